"""The gateway's own certificate before the real Collector: refused again and again, and at its end."""

import concurrent.futures
import json
import shutil

import payload
from pki import short_lived
from stage import COLLECTOR, Scenario, check, eventually
from topology import QUIET, backend, client_tls, server_tls

ATTEMPTS = 50
LOUD = "  telemetry: {metrics: {level: none}, logs: {encoding: json, sampling: {enabled: false}}}\n"


def _gateway(stage, name, exporters):
    """A gateway with an entrance for each exporter, which is its kind, endpoint and `tls` block; their ports."""
    ports = {key: stage.port() for key in exporters}
    receivers, blocks, lines = "", "", ""
    for key, (kind, endpoint, tls) in exporters.items():
        receivers += f"  otlp/{key}: {{protocols: {{http: {{endpoint: 'localhost:{ports[key]}'}}}}}}\n"
        blocks += f"  {kind}/{key}: {{endpoint: '{endpoint}', tls: {tls}, timeout: 8s}}\n"
        lines += f"    traces/{key}: {{receivers: [otlp/{key}], exporters: [{kind}/{key}]}}\n"
    config = f"receivers:\n{receivers}exporters:\n{blocks}service:\n{LOUD}  pipelines:\n{lines}"
    return stage.start(name, stage.gateway_program, config, list(ports.values())), ports


def _to(ports):
    """Kind and endpoint of both exporters to a receiver."""
    return ("otlp_grpc", f"localhost:{ports[0]}"), ("otlp_http", f"https://localhost:{ports[1]}")


def _failures(program):
    """The lines of failed exports, by exporter."""
    lines = (json.loads(line) for line in program.text().splitlines() if line.startswith("{"))
    return {line["exporter"]: line for line in lines if "exporter" in line and "items" in line}


def _refused_every_time(stage):
    """Fifty exporters to a Collector that trusts another CA, several at a time: the alert is heard, always."""
    demanding = stage.port(), stage.port()
    tls = server_tls(stage.pki.back)
    config = (f"receivers:\n  otlp: {{protocols: {{grpc: {{endpoint: 'localhost:{demanding[0]}', tls: {tls}}}, "
              f"http: {{endpoint: 'localhost:{demanding[1]}', tls: {tls}}}}}}}\nexporters: {{debug: {{}}}}\n"
              f"service:\n{QUIET}  pipelines: {{traces: {{receivers: [otlp], exporters: [debug]}}}}\n")
    stage.start("demanding-backend", COLLECTOR, config, demanding)
    front, back = stage.pki.front, stage.pki.back
    own = f"{{ca_file: {back}/ca.crt, cert_file: {front}/shop.crt, key_file: {front}/shop.key}}"
    exporters = {str(index): (*_to(demanding)[index % 2], own) for index in range(ATTEMPTS)}
    program, ports = _gateway(stage, "refused-again", exporters)
    with concurrent.futures.ThreadPoolExecutor(8) as pool:
        told = list(pool.map(lambda port: payload.post(port, "traces", "refused"), ports.values()))
    check(all(status == 503 for status, _ in told), f"the senders were told {told}")
    lines = eventually("a line for each", lambda: found if len(found := _failures(program)) == ATTEMPTS else None)
    reasons = {line["reason"] for line in lines.values()}
    check(reasons == {"upstream_rejected_our_certificate"}, f"the reasons are {reasons}")
    texts = {line["error"].partition(": the upstream ")[2] for line in lines.values()}
    check(len(texts) == 1, f"not always the same: {texts}")
    text = texts.pop()
    for wanted in ("(alert ", "): it refused our certificate CN=shop (issuer CN=Interop front CA, serial ",
                   "the upstream must trust our issuer CN=Interop front CA (its client CA)"):
        check(wanted in text, f"no {wanted!r} in {text}")
    for _, body in told:
        check(text in json.loads(body)["message"], f"{text!r} is not in {body}")


def _at_its_end(stage):
    """A certificate that ends while it is used: no more connections, in words, until there is a new one."""
    behind, back = backend(stage), stage.pki.back
    # Long enough for the start, and two seconds before its end it is given up.
    short_lived(stage.pki, "ending", 10)
    own = client_tls(back, "ending")
    grpc, http = _to(behind)
    program, ports = _gateway(stage, "own-certificate-ends", {"grpc": (*grpc, own), "http": (*http, own)})

    def told(key, wanted):
        status, body = payload.post(ports[key], "traces", f"ending-{key}")
        return body if status == wanted else None
    for key in ports:
        check(told(key, 200) is not None, f"{key}: it is not even used while it is in force: {program.text()[-2000:]}")
    def refused(key):
        body = told(key, 503)
        # One that was under way when the connection was closed is told that, too.
        return body if body and "so the connection was closed" not in body else None
    for key in ports:
        body = eventually(f"the end of the certificate, {key}", lambda: refused(key), 20)
        message = json.loads(body)["message"]
        for wanted in ("our certificate CN=ending (issuer CN=Interop back CA, serial ", "ending.crt ended on ",
                       "and no connection is opened with it", "renew it; it is read by itself"):
            check(wanted in message, f"no {wanted!r} in {message}")
    for exporter, line in _failures(program).items():
        check(line["reason"] == "upstream_own_certificate_expired", f"{exporter}: {line}")
    for kind in ("crt", "key"):
        shutil.copy(back / f"gateway.{kind}", back / f"ending.{kind}")
    for key in ports:
        eventually(f"the new certificate is used, {key}", lambda: told(key, 200) is not None, 20)


SCENARIOS = [
    Scenario("own certificate: refused by the Collector, the same 50 times", _refused_every_time, ours_only=True),
    Scenario("own certificate: ends, and is renewed", _at_its_end, ours_only=True),
]
