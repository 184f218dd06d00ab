"""The real Collector on both sides of the gateway, over every pair of hops.

    driver --JSON--> sender Collector --in--> gateway --out--> backend Collector --> sink

Shows that the gateway is invisible: what arrives is what arrives without it, and the sender is
told of success only after the far end has it.
"""

import payload
from stage import COLLECTOR, Scenario, check
from topology import HOPS, QUIET, SIGNALS, exporter, gateway, name, pipelines


def _sender(stage):
    """A Collector with one plaintext receiver for each pair of hops, and one past the gateway."""
    front = gateway(stage)
    ports, receivers, exporters, lines = {}, "", "", ""

    def route(key, suffix, exporter_id, text):
        nonlocal receivers, exporters, lines
        ports[key] = stage.port()
        receivers += f"  otlp/{suffix}: {{protocols: {{http: {{endpoint: 'localhost:{ports[key]}'}}}}}}\n"
        exporters += text
        lines += pipelines(f"otlp/{suffix}", exporter_id, f"/{suffix}")

    for hop_in in HOPS:
        for hop_out in HOPS:
            suffix = f"{name(hop_in)}_{name(hop_out)}"
            route((hop_in, hop_out), suffix, *exporter(hop_in, front.ports[hop_out], stage.pki.front, "shop", suffix))
    route("direct", "direct", "otlp_http/direct", (
        f"  otlp_http/direct: {{endpoint: {stage.sink.url}, encoding: json, compression: none, "
        "sending_queue: {enabled: false}}\n"))
    config = f"receivers:\n{receivers}exporters:\n{exporters}service:\n{QUIET}  pipelines:\n{lines}"
    stage.start("sender", COLLECTOR, config, list(ports.values()))
    return ports


def _send(stage, key, run, signal):
    ports = stage.once("sender", _sender)
    status, answer = payload.post(ports[key], signal, run)
    check(status == 200, f"{signal}: the sender was told {status}: {answer}")
    arrived = stage.sink.items(run, signal)
    check(len(arrived) == payload.COUNTS[signal],
          f"{len(arrived)} {signal} had arrived when success was told; {payload.COUNTS[signal]} were sent")
    return stage.sink.resources(run, signal)


def _pair(hop_in, hop_out):
    def run(stage):
        for signal in SIGNALS:
            wanted = stage.once(f"direct {signal}", lambda stage: _send(stage, "direct", "direct", signal))
            got = _send(stage, (hop_in, hop_out), f"{name(hop_in)}-{name(hop_out)}", signal)
            check(got == wanted, f"{signal} changed on the way: {got}, without the gateway: {wanted}")
    return Scenario(f"collector: {' '.join(hop_in)} in, {' '.join(hop_out)} out", run)


SCENARIOS = [_pair(hop_in, hop_out) for hop_in in HOPS for hop_out in HOPS]
