"""Every kind of backend that the gateway cannot use: what its log says and what the sender is told.

The backends are the real Collector, `openssl s_server`, servers of Python and Node.js, and a socket
where no program at hand does it. All are tried at the same time.
"""

import dataclasses
import shutil
import socket
import sys
import threading

import exporting
from pki import is_v1
from stage import COLLECTOR, Explained, Program, Scenario
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
    Case("explicit-key", "upstream_cert_key_unsupported", (
        f"{PRESENTED}server-explicit (", "of kind EC with explicit parameters, which cannot be verified",
        "make a new key, RSA from 2048 to 8192 bits"), backend="openssl with explicit parameters"),
    Case("of-v1", "upstream_cert_issuer_x509_v1", (
        f"{PRESENTED}server-of-v1 (", "its issuer CN=v1-issuer is in X.509 v1 form, which only a root may be",
        "re-issue that intermediate with `-extfile <(printf"), server="server-of-v1"),
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
    Case("no-alpn-in-common", "upstream_no_alpn", (
        "the upstream did not agree on HTTP/2 (ALPN h2), which gRPC needs", "enable HTTP/2 there"),
        backend="node: speaks HTTP/1.1 alone", protocols=("grpc",)),
    Case("clear-to-tls", "upstream_closed", (
        "hung up before it said anything", "it probably expects TLS on this port; remove tls.insecure"),
        server="server", tls="insecure: true", protocols=("grpc",)),
    Case("http-to-tls", "upstream_expects_tls", (
        "it answered that this port wants TLS", "write https:// into the exporter's endpoint"),
        server="server", tls="insecure: true", protocols=("http",), scheme="http"),
    Case("clear-to-openssl", "upstream_closed", (
        "hung up before it said anything", "it probably expects TLS on this port; remove tls.insecure"),
        backend="openssl without ALPN", tls="insecure: true", protocols=("grpc",)),
    Case("not-http2", "upstream_not_h2", (
        "answered with something that is not HTTP/2", "for OTLP over HTTP use otlp_http"),
        backend="HTTP/1.1", tls="insecure: true", protocols=("grpc",)),
    Case("no-cipher", "upstream_no_common_cipher", (
        "found nothing in common (alert handshake_failure)", "RSA key exchange and CBC suites are not supported"),
        backend="openssl with CBC only"),
    Case("no-certificate", "upstream_no_common_cipher", (
        "found nothing in common (alert handshake_failure)", "one that has no certificate says so, too"),
        backend="node: has no certificate"),
    Case("lost-its-key", "upstream_internal_error", (
        "the upstream failed inside (alert internal_error)", "such as the Collector, say so when their certificate or key"),
        server="vanishes", server_tls=", reload_interval: 1ms"),
    Case("ssh", "upstream_plaintext", ("the upstream answered with SSH", "the port speaks no TLS"), backend="ssh"),
    Case("hangs-up", "upstream_closed_during_handshake", (
        "closed the connection during the handshake", "does it speak TLS on this port"),
        backend="node: serves nobody"),
    Case("silent", "upstream_handshake_timeout", (
        "did not finish the handshake in time", "a port that waits for plaintext?"), backend="stopped openssl"),
    Case("no-answer", "upstream_timeout", ("did not answer within connect_timeout", "no firewall drops the packets"),
         backend="stopped HTTP server with a full queue"),
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
    """A port whose queue of connections is full, since its server stands still: packets to it vanish."""
    port = stage.port()
    program = Program("http-server", [sys.executable, "-m", "http.server", port, "--bind", "127.0.0.1", "--directory",
                                      stage.folder / "pki/other"], stage.folder, [port])
    stage.programs.append(program)
    program.freeze()
    sockets = stage.shared.setdefault("sockets", [])
    for _ in range(64):
        waiting = socket.socket()
        waiting.settimeout(0.3)
        sockets.append(waiting)
        try:
            waiting.connect(("127.0.0.1", port))
        except OSError:
            return port
    raise RuntimeError("the queue never fills")


def _stopped(stage):
    port = _openssl(stage, "s_server-stopped")
    stage.programs[-1].freeze()
    return port


def _ssh(connection):
    connection.sendall(b"SSH-2.0-OpenSSH_9.2\r\n")
    connection.close()


def _openssl(stage, name, *words, certificate="server"):
    port, pair = stage.port(), stage.pki.back / certificate
    stage.programs.append(Program(
        name, ["openssl", "s_server", "-accept", f"127.0.0.1:{port}", "-cert", f"{pair}.crt", "-key", f"{pair}.key",
               "-quiet", *words], stage.folder, [port]))
    return port


def _others(stage):
    """Ports of all backends that are not the Collector with TLS."""
    return {
        **{f"node: {name}": port for name, port in exporting.node_servers(stage).items()},
        "openssl without ALPN": _openssl(stage, "s_server-no-alpn"),
        "openssl with CBC only": _openssl(
            stage, "s_server-cbc", "-tls1_2", "-cipher", "ECDHE-ECDSA-AES128-SHA:@SECLEVEL=0"),
        "openssl with explicit parameters": _openssl(
            stage, "s_server-explicit", "-alpn", "h2,http/1.1", certificate="server-explicit"),
        "ssh": _talker(stage, _ssh),
        "stopped openssl": _stopped(stage),
        "stopped HTTP server with a full queue": _full(stage),
        "none": stage.port(),
        "HTTP/1.1": int(stage.sink.url.rpartition(":")[2]),
    }


def _backend(stage):
    """One Collector with a receiver for each case."""
    ports, receivers, lines = {}, "", ""
    cases = [case for case in CASES if case.server or case.backend == "collector in clear"]
    back = stage.pki.back
    for suffix in ("crt", "key"):
        shutil.copy(back / f"server.{suffix}", back / f"vanishes.{suffix}")
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
    (back / "vanishes.key").unlink()
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
    collector, others = _backend(stage), _others(stage)
    front, back = stage.pki.front, stage.pki.back
    places = {
        "front": front, "back": back, "front_ca": f"ca_file: {front}/ca.crt", "back_ca": f"ca_file: {back}/ca.crt",
        "identity": f"cert_file: {back}/gateway.crt, key_file: {back}/gateway.key",
    }
    return exporting.attempt(stage, "unusable-upstreams", {
        f"otlp_{protocol}/{case.name}":
            f"endpoint: '{_endpoint(case, protocol, collector, others)}', tls: {{{case.tls.format(**places)}}}, "
            f"timeout: 8s, connect_timeout: {1 if case.backend.startswith('stopped') else 6}s"
        for case in CASES for protocol in case.protocols})


def _scenario(case, protocol):
    def run(stage):
        if case.name == "of-v1" and not is_v1(stage.pki.back / "v1-issuer.crt"):
            return  # OpenSSL from 3.2 on makes v3.
        tried = stage.once("unusable upstreams", _all)
        tried.check(f"otlp_{protocol}/{case.name}", case.reason, case.texts)
    return Scenario(f"upstream: {case.name}, {protocol}", run, ours_only=True)


SCENARIOS = [_scenario(case, protocol) for case in CASES for protocol in case.protocols]
