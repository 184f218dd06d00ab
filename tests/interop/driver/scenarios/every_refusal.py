"""Every kind of refused sender by every kind of client: what the gateway's log says, and that the
client was not told of success.

Each client tries all cases at the same time, against a gateway of its own, whose log would say the
same refusal once a minute only.
"""

import concurrent.futures
import dataclasses
import functools
import json

import payload
from pki import is_v1
from scenarios.sdks import NODE, PYTHON
from stage import COLLECTOR, HERE, Explained, Scenario, check, command
from topology import QUIET, sender_env


@dataclasses.dataclass(frozen=True)
class Case(Explained):
    client: str = "shop"
    side: str = "front"
    ca: str = "front"
    scheme: str = "https"
    listener: str = "front"


HELP_TRUST = "give it our CA CN=Interop front CA (OTEL_EXPORTER_OTLP_CERTIFICATE"
CASES = [
    Case("no-certificate", "client_cert_missing", (
        "presented no certificate; this listener demands one of", "set OTEL_EXPORTER_OTLP_CLIENT_CERTIFICATE and "),
        client=""),
    Case("other-ca", "client_cert_unknown_issuer", (
        "presented CN=stranger (issuer CN=Interop other CA, serial ", "its issuer CN=Interop other CA is not in ",
        "(1 CA: CN=Interop front CA)", "add that issuer there"), client="stranger", side="other"),
    Case("expired", "client_cert_expired", (
        "presented CN=expired (issuer ", "it expired on 2024-02-01 00:00:00 UTC (", "renew it; if it was just renewed"),
        client="expired"),
    Case("server-only", "client_cert_eku", (
        "presented CN=server-only (issuer ", "it allows serverAuth and not clientAuth",
        "re-issue it with extendedKeyUsage clientAuth"), client="server-only"),
    Case("revoked", "client_cert_revoked", (
        "presented CN=revoked (issuer ", "its CA CN=Interop front CA revoked it (key compromise"), client="revoked"),
    Case("plaintext", "plaintext_on_tls_port", ("spoke in the clear: ", "this port speaks TLS: use https://"),
         scheme="http"),
    Case("distrusts-us", "peer_rejected_us", ("does not accept our certificate CN=", HELP_TRUST), ca="other"),
    Case("other-name", "peer_rejected_us", ("does not accept our certificate CN=elsewhere", HELP_TRUST),
         listener="elsewhere"),
    Case("not-yet-valid", "client_cert_not_yet_valid", (
        "presented CN=future (issuer ", "it is not valid before 2044-01-01 00:00:00 UTC (in ", "compare the clocks: here"),
        client="future"),
    Case("v1", "client_cert_x509_v1", (
        "presented CN=v1 (issuer ", "it is in X.509 v1 form", "re-issue it with `-extfile <(printf"), client="v1",
        listener="strict"),
    Case("is-ca", "client_cert_is_ca", (
        "presented CN=is-ca (issuer ", "it is marked CA:TRUE, which is what `openssl req -x509` makes", "issue a leaf, or add"),
        client="is-ca", listener="strict"),
    Case("below", "client_cert_unknown_issuer", (
        "presented CN=below (issuer CN=last, ", "its issuer CN=last is not in ", "must send leaf and intermediate"),
        client="below"),
    Case("too-deep", "client_cert_chain", (
        "presented CN=too-deep (issuer CN=further, ", "its chain of 3 certificates is longer than one of its CAs allows",
        "issue it under the CA that sets the limit"), client="too-deep", listener="strict"),
    Case("outside", "client_cert_name_constraint", (
        "presented CN=outside (issuer CN=narrow, ", "outside of what its CA may vouch for: DNS:otel.elsewhere.example",
        "issue it under a CA whose name constraints allow these names"), client="outside", listener="strict"),
    Case("critical", "client_cert_extension", (
        "presented CN=critical (issuer ", "critical extension that is not understood (1.2.3.4)",
        "re-issue it without marking that extension critical"), client="critical"),
    Case("list-out-of-date", "client_crl_expired", (
        "the revocation list of its CA CN=Interop front CA in ", "is out of date since 2024-02-01 00:00:00 UTC (",
        "fetch the CA's current list"), listener="stale"),
    Case("no-list", "client_cert_revocation_unknown", (
        "no revocation list of its CA CN=Interop front CA is in ", "(there: CN=Interop other CA)", "add that CA's list"),
        listener="listless"),
    Case("old-tls", "tls_version_too_old", (
        "speaks TLS 1.1 at most; this listener speaks TLS 1.2 and 1.3", "update the client or its TLS library")),
]


# Certificate and further keys of each listener's `tls` block.
LISTENERS = {
    "front": ("server", "client_ca_file: {front}/ca.crt, client_crl_file: {front}/revoked.crl"),
    "elsewhere": ("elsewhere", "client_ca_file: {front}/ca.crt"),
    "strict": ("server", "client_ca_file: {front}/ca.crt, strict_x509: true"),
    "stale": ("server", "client_ca_file: {front}/ca.crt, client_crl_file: {front}/stale.crl"),
    "listless": ("server", "client_ca_file: {front}/both.crt, client_crl_file: {front}/of-other.crl"),
}


@dataclasses.dataclass
class Refused:
    gateway: object
    # What the client was told, by case.
    told: dict


def _gateway(stage, client):
    ports, receivers = {}, ""
    front = stage.pki.front
    for listener, (cert, more) in LISTENERS.items():
        ports[listener] = stage.port(), stage.port()
        tls = f"{{cert_file: {front}/{cert}.crt, key_file: {front}/{cert}.key, {more.format(front=front)}}}"
        grpc, http = ports[listener]
        receivers += (f"  otlp/{listener}: {{protocols: {{grpc: {{endpoint: 'localhost:{grpc}', tls: {tls}}}, "
                      f"http: {{endpoint: 'localhost:{http}', tls: {tls}}}}}}}\n")
    config = (f"receivers:\n{receivers}exporters: {{nop: {{}}}}\nservice:\n{QUIET}"
              f"  pipelines: {{traces: {{receivers: [{', '.join(f'otlp/{name}' for name in LISTENERS)}], exporters: [nop]}}}}\n")
    listening = [port for pair in ports.values() for port in pair]
    return stage.start(f"refuses-{client}", stage.gateway_program, config, listening), ports


def _ca(stage, case):
    return getattr(stage.pki, case.ca) / "ca.crt"


def _environment(stage, case, port):
    env = sender_env(stage, port, case.client, getattr(stage.pki, case.side), _ca(stage, case))
    env["OTEL_EXPORTER_OTLP_ENDPOINT"] = f"{case.scheme}://localhost:{port}"
    return env


def _sdk(program, protocol, timeout):
    def attempt(stage, cases, ports):
        environments = {
            case.name: _environment(stage, case, ports[case.listener][protocol != "grpc"]) for case in cases}
        env = {"OTEL_EXPORTER_OTLP_TIMEOUT": timeout, "REQUESTS_CA_BUNDLE": "", "CURL_CA_BUNDLE": ""}
        done = command([*program, protocol], env, text=json.dumps(environments))
        check(done.returncode == 0, f"it ended with {done.returncode}: {done.stdout}{done.stderr}")
        return {name: f"{text} {done.stderr}" for name, text in json.loads(done.stdout).items()}
    return attempt


def _collector(protocol):
    """One Collector with a receiver and an exporter for each case."""
    def attempt(stage, cases, ports):
        entrances = {case.name: stage.port() for case in cases}
        receivers, exporters, lines = "", "", ""
        for case in cases:
            grpc, http = ports[case.listener]
            tls = f"ca_file: {_ca(stage, case)}"
            if case.scheme == "http":
                tls = "insecure: true"
            elif case.client:
                pair = getattr(stage.pki, case.side) / case.client
                tls += f", cert_file: {pair}.crt, key_file: {pair}.key"
            if case.name == "old-tls":
                tls += ", min_version: '1.0', max_version: '1.1'"
            kind, endpoint = ("otlp_grpc", f"localhost:{grpc}") if protocol == "grpc" else (
                "otlp_http", f"{case.scheme}://localhost:{http}")
            entrance = f"localhost:{entrances[case.name]}"
            receivers += f"  otlp/{case.name}: {{protocols: {{http: {{endpoint: '{entrance}'}}}}}}\n"
            exporters += (f"  {kind}/{case.name}: {{endpoint: '{endpoint}', tls: {{{tls}}}, timeout: 2s, "
                          "sending_queue: {enabled: false}, retry_on_failure: {enabled: false}}\n")
            lines += f"    traces/{case.name}: {{receivers: [otlp/{case.name}], exporters: [{kind}/{case.name}]}}\n"
        config = f"receivers:\n{receivers}exporters:\n{exporters}service:\n{QUIET}  pipelines:\n{lines}"
        stage.start(f"refused-collector-{protocol}", COLLECTOR, config, list(entrances.values()))
        with concurrent.futures.ThreadPoolExecutor(len(cases)) as pool:
            answers = pool.map(lambda case: payload.post(entrances[case.name], "traces", "refused"), cases)
            return {case.name: f"{'SUCCESS' if status == 200 else 'FAILURE'} {status} {text}"
                    for case, (status, text) in zip(cases, answers)}
    return attempt


OLD_TLS = {"old-tls"}
# Some clients hang up without an alert when they do not trust us.
SILENTLY = ("closed_during_handshake", ("closed the connection when it had our certificate CN=", "they do not trust it"))
# What tries, which cases it cannot produce, and whether it hangs up on us without an alert.
CLIENTS = {
    # Its C core asks for our name after the handshake: we cannot tell that from a health check.
    "python gRPC": (_sdk([PYTHON[0], HERE / "python/refused.py"], "grpc", "2"), OLD_TLS | {"other-name"}, True),
    "python HTTP": (_sdk([PYTHON[0], HERE / "python/refused.py"], "http", "2"), OLD_TLS, False),
    "node gRPC": (_sdk(["node", NODE[1].parent / "refused.mjs"], "grpc", "2000"), set(), True),
    "node HTTP": (_sdk(["node", NODE[1].parent / "refused.mjs"], "proto", "2000"), set(), True),
    # gRPC for Go has no cipher suite for it, and does not even connect.
    "collector gRPC": (_collector("grpc"), OLD_TLS, False),
    "collector HTTP": (_collector("http"), set(), False),
}


def _attempt(client, stage):
    attempt, cannot, _ = CLIENTS[client]
    program, ports = _gateway(stage, client.replace(" ", "-").lower())
    return Refused(program, attempt(stage, [case for case in CASES if case.name not in cannot], ports))


def _scenario(client, case):
    _, _, silent = CLIENTS[client]
    reason, texts = case.reason, case.texts
    if silent and reason == "peer_rejected_us":
        reason, texts = SILENTLY
        texts = (f"{texts[0]}{'elsewhere' if case.listener == 'elsewhere' else 'localhost'}", *texts[1:])

    def run(stage):
        if case.name == "v1" and not is_v1(stage.pki.front / "v1.crt"):
            return  # OpenSSL from 3.2 on makes v3.
        refused = stage.once(f"refused {client}", functools.partial(_attempt, client))
        told = refused.told[case.name]
        check(told.startswith("FAILURE"), f"the client was told: {told}")
        line = refused.gateway.wait_for_line(f'"{reason}"', texts[0])
        for text in (*texts, "127.0.0.1"):
            check(text in line, f"no {text!r} in {line}")
    return Scenario(f"refused: {client}, {case.name}", run, ours_only=True)


SCENARIOS = [
    _scenario(client, case) for client, (_, cannot, _) in CLIENTS.items() for case in CASES if case.name not in cannot]
