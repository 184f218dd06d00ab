"""Every kind of backend that the gateway cannot use: what its log says and what the sender is told.

The backends are the real Collector, `openssl s_server`, and sockets that say what they should not.
One gateway has a way in and an exporter for each case and protocol; all are tried at the same time.
"""

import concurrent.futures
import dataclasses
import json
import socket
import threading

import payload
from stage import COLLECTOR, Explained, Program, Scenario, check, eventually
from topology import QUIET

PROTOCOLS = ("grpc", "http")


@dataclasses.dataclass(frozen=True)
class Case(Explained):
    # The backend's certificate where it is the Collector; otherwise which other backend.
    server: str = ""
    backend: str = ""
    # More keys of the Collector's `tls` block, and the gateway's own.
    server_tls: str = ""
    tls: str = "{back_ca}, {identity}"
    protocols: tuple = PROTOCOLS
    scheme: str = "https"


PRESENTED = "the upstream presented CN="
CASES = [
    Case("other-name", "upstream_name_mismatch", (
        f"{PRESENTED}elsewhere (issuer CN=Interop back CA, serial ",
        "wanted localhost, but the certificate is for DNS:otel.elsewhere.example",
        "set `tls.server_name_override: otel.elsewhere.example` if that is the upstream you mean"), server="elsewhere"),
    Case("unknown-ca", "upstream_unknown_issuer", (
        PRESENTED, "its issuer CN=Interop back CA is not in ", "(1 CA: CN=Interop front CA)", "add that issuer there"),
        server="server", tls="{front_ca}, {identity}"),
    Case("expired", "upstream_expired", (
        f"{PRESENTED}server-expired (", "it expired on 2024-02-01 00:00:00 UTC (",
        "if it was just renewed, the upstream has not reloaded it"), server="server-expired"),
    Case("not-yet-valid", "upstream_not_yet_valid", (
        f"{PRESENTED}server-future (", "it is not valid before 2044-01-01 00:00:00 UTC (in ", "compare the clocks: here"),
        server="server-future"),
    Case("made-for-clients", "upstream_cert_eku", (
        f"{PRESENTED}server-client (", "it allows clientAuth and not serverAuth",
        "re-issue it with extendedKeyUsage serverAuth"), server="server-client"),
    Case("self-signed", "upstream_cert_is_ca", (
        f"{PRESENTED}server-self (issuer CN=server-self, ", "and no CA of ", "issue a leaf"), server="server-self"),
    Case("revoked", "upstream_cert_revoked", (
        f"{PRESENTED}server-revoked (", "its CA CN=Interop back CA revoked it (", "issue a new certificate"),
        server="server-revoked", tls="{back_ca}, {identity}, crl_file: {back}/revoked.crl"),
    Case("demands-a-certificate", "upstream_demands_certificate", (
        "it demands a client certificate, and none is configured", "set `tls.cert_file` and `tls.key_file`"),
        server="server", server_tls=", client_ca_file: {back}/ca.crt", tls="{back_ca}"),
    Case("refuses-ours", "upstream_rejected_our_certificate", (
        "refused our certificate CN=shop (issuer CN=Interop front CA, serial ",
        "the upstream must trust our issuer CN=Interop front CA (its client CA)"),
        server="server", server_tls=", client_ca_file: {back}/ca.crt",
        tls="{back_ca}, cert_file: {front}/shop.crt, key_file: {front}/shop.key"),
    Case("old-tls", "upstream_tls_version", (
        "the upstream shares no TLS version (alert protocol_version)", "it speaks neither TLS 1.2 nor 1.3"), server="server",
         server_tls=", min_version: '1.0', max_version: '1.1'"),
    Case("plaintext", "upstream_plaintext", ("the upstream answered with plaintext HTTP/", "the port speaks no TLS"),
         backend="collector in clear"),
    Case("no-alpn", "upstream_no_alpn", (
        "the upstream did not agree on HTTP/2 (ALPN h2), which gRPC needs", "enable HTTP/2 there"),
        backend="openssl without ALPN", protocols=("grpc",)),
    Case("clear-to-tls", "upstream_closed", (
        "hung up before it said anything", "it probably expects TLS on this port; remove tls.insecure"),
        server="server", tls="insecure: true", protocols=("grpc",)),
    Case("http-to-tls", "upstream_expects_tls", (
        "it answered that this port wants TLS", "write https:// into the exporter's endpoint"),
        server="server", tls="insecure: true", protocols=("http",), scheme="http"),
    Case("not-http2", "upstream_not_h2", (
        "answered with something that is not HTTP/2", "for OTLP over HTTP use otlp_http"),
        backend="HTTP/1.1", tls="insecure: true", protocols=("grpc",)),
    Case("no-cipher", "upstream_no_common_cipher", (
        "found nothing in common (alert handshake_failure)", "RSA key exchange and CBC suites are not supported"),
        backend="openssl with CBC only"),
    Case("ssh", "upstream_plaintext", ("the upstream answered with SSH", "the port speaks no TLS"), backend="ssh"),
    Case("hangs-up", "upstream_closed_during_handshake", (
        "closed the connection during the handshake", "does it speak TLS on this port"), backend="hangs up"),
    Case("silent", "upstream_handshake_timeout", (
        "did not finish the handshake in time", "a port that waits for plaintext?"), backend="silent"),
    Case("no-answer", "upstream_timeout", ("did not answer within connect_timeout", "no firewall drops the packets"),
         backend="full"),
    Case("nobody-listens", "upstream_refused", (
        "refused the connection: nothing listens there", "start the upstream or correct the endpoint"), backend="none"),
    Case("no-such-name", "upstream_unresolvable", (
        "the name otel..backend cannot be resolved: ", "check the endpoint's spelling and the DNS settings"),
        backend="misspelt"),
]


def _talker(stage, behave):
    """A socket with a mind of its own; its port."""
    listener = socket.create_server(("127.0.0.1", stage.port()), backlog=16)
    stage.shared.setdefault("sockets", []).append(listener)

    def serve():
        while True:
            try:
                behave(listener.accept()[0])
            except OSError:
                return
    threading.Thread(target=serve, daemon=True).start()
    return listener.getsockname()[1]


def _full(stage):
    """A port whose queue of connections is full: packets to it vanish."""
    listener = socket.create_server(("127.0.0.1", stage.port()), backlog=0)
    sockets = stage.shared.setdefault("sockets", [])
    sockets.append(listener)
    for _ in range(8):
        waiting = socket.socket()
        waiting.settimeout(0.3)
        sockets.append(waiting)
        try:
            waiting.connect(listener.getsockname())
        except OSError:
            return listener.getsockname()[1]
    raise RuntimeError("the queue never fills")


def _ssh(connection):
    connection.sendall(b"SSH-2.0-OpenSSH_9.2\r\n")
    connection.close()


def _openssl(stage, name, *words):
    port, back = stage.port(), stage.pki.back
    stage.programs.append(Program(
        name, ["openssl", "s_server", "-accept", f"127.0.0.1:{port}", "-cert", back / "server.crt", "-key",
               back / "server.key", "-quiet", *words], stage.folder, [port]))
    return port


def _others(stage):
    """Ports of all backends that are not the Collector with TLS."""
    held = stage.shared.setdefault("held connections", [])
    return {
        "openssl without ALPN": _openssl(stage, "s_server-no-alpn"),
        "openssl with CBC only": _openssl(
            stage, "s_server-cbc", "-tls1_2", "-cipher", "ECDHE-ECDSA-AES128-SHA:@SECLEVEL=0"),
        "ssh": _talker(stage, _ssh),
        "hangs up": _talker(stage, lambda connection: (connection.recv(1 << 14), connection.close())),
        "silent": _talker(stage, held.append),
        "full": _full(stage),
        "none": stage.port(),
        "HTTP/1.1": int(stage.sink.url.rpartition(":")[2]),
    }


def _backend(stage):
    """One Collector with a receiver for each case."""
    ports, receivers, lines = {}, "", ""
    cases = [case for case in CASES if case.server or case.backend == "collector in clear"]
    back = stage.pki.back
    for case in cases:
        grpc, http = ports[case.name] = stage.port(), stage.port()
        tls = ""
        if case.server:
            tls = (f", tls: {{cert_file: {back}/{case.server}.crt, key_file: {back}/{case.server}.key"
                   f"{case.server_tls.format(back=back)}}}")
        receivers += (f"  otlp/{case.name}: {{protocols: {{grpc: {{endpoint: 'localhost:{grpc}'{tls}}}, "
                      f"http: {{endpoint: 'localhost:{http}'{tls}}}}}}}\n")
        lines += f"    traces/{case.name}: {{receivers: [otlp/{case.name}], exporters: [otlp_http/sink]}}\n"
    config = (f"receivers:\n{receivers}exporters:\n  otlp_http/sink: {{endpoint: {stage.sink.url}, encoding: json}}\n"
              f"service:\n{QUIET}  pipelines:\n{lines}")
    listening = [port for pair in ports.values() for port in pair]
    stage.start("unusable-backend", COLLECTOR, config, listening)
    return ports


def _endpoint(case, protocol, collector, others):
    if case.name in collector:
        place = f"localhost:{collector[case.name][protocol == 'http']}"
    elif case.backend == "misspelt":
        place = "otel..backend:4317"
    else:
        place = f"localhost:{others[case.backend]}"
    return place if protocol == "grpc" else f"{case.scheme}://{place}"


def _all(stage):
    """The gateway's program, and what the sender was told, by case and protocol."""
    collector, others = _backend(stage), _others(stage)
    front, back = stage.pki.front, stage.pki.back
    places = {
        "front": front, "back": back, "front_ca": f"ca_file: {front}/ca.crt", "back_ca": f"ca_file: {back}/ca.crt",
        "identity": f"cert_file: {back}/gateway.crt, key_file: {back}/gateway.key",
    }
    entrances, receivers, exporters, lines = {}, "", "", ""
    for case in CASES:
        for protocol in case.protocols:
            key = f"{protocol}-{case.name}"
            entrances[case.name, protocol] = stage.port()
            receivers += f"  otlp/{key}: {{protocols: {{http: {{endpoint: 'localhost:{entrances[case.name, protocol]}'}}}}}}\n"
            exporters += (
                f"  otlp_{protocol}/{case.name}: {{endpoint: '{_endpoint(case, protocol, collector, others)}', "
                f"tls: {{{case.tls.format(**places)}}}, timeout: 8s, connect_timeout: 1s}}\n")
            lines += f"    traces/{key}: {{receivers: [otlp/{key}], exporters: [otlp_{protocol}/{case.name}]}}\n"
    quiet = "  telemetry: {metrics: {level: none}, logs: {encoding: json, sampling: {enabled: false}}}\n"
    config = f"receivers:\n{receivers}exporters:\n{exporters}service:\n{quiet}  pipelines:\n{lines}"
    program = stage.start("unusable-upstreams", stage.gateway_program, config, list(entrances.values()))
    with concurrent.futures.ThreadPoolExecutor(len(entrances)) as pool:
        answers = pool.map(lambda port: payload.post(port, "traces", "unusable"), entrances.values())
        return program, dict(zip(entrances, answers))


def _line(program, case, protocol):
    """The line of a failed export."""
    for line in program.text().splitlines():
        record = json.loads(line) if line.startswith("{") else {}
        if record.get("exporter") == f"otlp_{protocol}/{case.name}" and "items" in record:
            return record
    return None


def _scenario(case, protocol):
    def run(stage):
        program, told = stage.once("unusable upstreams", _all)
        status, body = told[case.name, protocol]
        check(status == 503, f"the sender was told {status}: {body}")
        record = eventually("the line of the failed export", lambda: _line(program, case, protocol))
        check(record["reason"] == case.reason, f"the reason is {record['reason']}: {record}")
        message = json.loads(body)["message"]
        for text in (f"exporter otlp_{protocol}/{case.name}", *case.texts):
            check(text in message, f"the sender is not told {text!r}: {message}")
            check(text in record["error"], f"no {text!r} in {record}")
    return Scenario(f"upstream: {case.name}, {protocol}", run, ours_only=True)


SCENARIOS = [_scenario(case, protocol) for case in CASES for protocol in case.protocols]
