"""The common set: a backend Collector, the gateway before it, and senders' environment.

    sender --mTLS (front)--> gateway --mTLS (back)--> backend Collector --JSON--> sink
"""

import dataclasses

from stage import COLLECTOR

# How a hop is spoken: (protocol, compression).
HOPS = [(protocol, compression) for protocol in ("grpc", "http") for compression in ("gzip", "none")]
SIGNALS = ("traces", "metrics", "logs")


@dataclasses.dataclass
class Gateway:
    program: object
    # By the hop behind the gateway: (gRPC port, HTTP port).
    ports: dict


def name(hop):
    return "_".join(hop)


def backend(stage):
    """(gRPC port, HTTP port) of the backend; it demands certificates of the back CA."""
    return stage.once("backend", _start_backend)


def gateway(stage):
    """The gateway, with one receiver and one exporter for each way to reach the backend."""
    return stage.once("gateway", start_gateway)


def sender_env(stage, port, client="shop", side=None, ca=None):
    """What an SDK is told in its environment."""
    front = stage.pki.front
    env = {
        "OTEL_EXPORTER_OTLP_ENDPOINT": f"https://localhost:{port}",
        "OTEL_EXPORTER_OTLP_CERTIFICATE": str(ca or front / "ca.crt"),
    }
    if client:
        env["OTEL_EXPORTER_OTLP_CLIENT_CERTIFICATE"] = str((side or front) / f"{client}.crt")
        env["OTEL_EXPORTER_OTLP_CLIENT_KEY"] = str((side or front) / f"{client}.key")
    return env


def pipelines(receiver, exporter, suffix=""):
    return "".join(
        f"    {signal}{suffix}: {{receivers: [{receiver}], exporters: [{exporter}]}}\n" for signal in SIGNALS)


def server_tls(side):
    return f"{{cert_file: {side}/server.crt, key_file: {side}/server.key, client_ca_file: {side}/ca.crt}}"


def client_tls(side, client):
    return f"{{ca_file: {side}/ca.crt, cert_file: {side}/{client}.crt, key_file: {side}/{client}.key}}"


def exporter(hop, ports, side, client, suffix):
    """The YAML of an exporter that answers for each batch before its sender is answered."""
    protocol, compression = hop
    kind, endpoint = (
        ("otlp_grpc", f"localhost:{ports[0]}") if protocol == "grpc"
        else ("otlp_http", f"https://localhost:{ports[1]}"))
    return f"{kind}/{suffix}", (
        f"  {kind}/{suffix}:\n"
        f"    endpoint: {endpoint}\n"
        f"    compression: {compression}\n"
        f"    tls: {client_tls(side, client)}\n"
        "    sending_queue: {enabled: false}\n"
        "    retry_on_failure: {enabled: false}\n")


def receiver(suffix, ports, tls):
    return (
        f"  otlp/{suffix}:\n    protocols:\n"
        f"      grpc: {{endpoint: 'localhost:{ports[0]}', tls: {tls}}}\n"
        f"      http: {{endpoint: 'localhost:{ports[1]}', tls: {tls}}}\n")


QUIET = "  telemetry: {metrics: {level: none}, logs: {encoding: json}}\n"


def _start_backend(stage):
    ports = stage.port(), stage.port()
    config = (
        "receivers:\n" + receiver("back", ports, server_tls(stage.pki.back))
        + "exporters:\n"
        f"  otlp_http/sink: {{endpoint: {stage.sink.url}, encoding: json, compression: none, "
        "sending_queue: {enabled: false}, retry_on_failure: {enabled: false}}\n"
        "service:\n" + QUIET + "  pipelines:\n" + pipelines("otlp/back", "otlp_http/sink"))
    stage.start("backend", COLLECTOR, config, ports)
    return ports


def start_gateway(stage, name_of_program="gateway"):
    """A gateway of its own, for who must not find what others left in its log."""
    behind = backend(stage)
    ports, receivers, exporters, lines = {}, "", "", ""
    for hop in HOPS:
        ports[hop] = stage.port(), stage.port()
        receivers += receiver(name(hop), ports[hop], server_tls(stage.pki.front))
        exporter_id, text = exporter(hop, behind, stage.pki.back, "gateway", name(hop))
        exporters += text
        lines += pipelines(f"otlp/{name(hop)}", exporter_id, f"/{name(hop)}")
    config = (
        f"receivers:\n{receivers}exporters:\n{exporters}service:\n{QUIET}  pipelines:\n{lines}")
    program = stage.start(name_of_program, stage.gateway_program, config, [p for pair in ports.values() for p in pair])
    return Gateway(program, ports)
