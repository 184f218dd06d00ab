"""Every kind of answer that is none: what the gateway's log says and what the sender is told.

The upstreams are servers of Node.js that do each of it, and programs that were never meant for OTLP:
the HTTP server of Python, `openssl s_server`, a Collector on the port for the other protocol. Proxies
come last. All are tried at the same time.
"""

import dataclasses
import sys

import exporting
from stage import COLLECTOR, Explained, Program, Scenario
from topology import QUIET


@dataclasses.dataclass(frozen=True)
class Case(Explained):
    server: str = ""
    # `otlp_grpc`, `otlp_http`, or `otlp_http` through a server as a proxy, with or without TLS to the upstream.
    kind: str = "otlp_grpc"
    # What the sender's HTTP says.
    status: int = 503
    # More of the exporter.
    more: str = "tls: {insecure: true}"


CUT_OFF = "the request was cut off: "
MAYBE = "the upstream may have taken the batch"
PROXY = "did not open a tunnel to backend.example:4318: "
CASES = [
    # Streams of gRPC.
    Case("reset", "upstream_reset", (CUT_OFF, MAYBE), "node: resets with INTERNAL_ERROR", status=500),
    Case("cancelled", "upstream_cancelled", (CUT_OFF, MAYBE), "node: resets with CANCEL"),
    Case("calm", "upstream_calm", (CUT_OFF, MAYBE), "node: resets with ENHANCE_YOUR_CALM", status=429),
    Case("security", "upstream_inadequate_security", (CUT_OFF, MAYBE), "node: resets with INADEQUATE_SECURITY", status=403),
    Case("refused", "upstream_refused_stream", (CUT_OFF, "the upstream did not take the batch"),
         "node: resets with REFUSED_STREAM"),
    Case("no-streams", "upstream_streams_exhausted", (
        "every connection carries as many requests as the upstream allows at a time", "(max_concurrent_streams)"),
        "node: takes no streams", more="timeout: 2s, tls: {insecure: true}"),
    Case("no-status", "upstream_no_grpc_status", (
        "its answer in gRPC has no grpc-status (HTTP status 200)", "a proxy before it dropped the trailers"),
        "node: forgets the status", status=500),
    Case("website", "upstream_not_grpc", (
        "it did not answer in gRPC (HTTP status 404, content type \"text/html\")", "is a gRPC service behind this endpoint?"),
        "node: is a website", status=404),
    Case("grpc-redirect", "upstream_not_grpc", ("it did not answer in gRPC (HTTP status 308,",), "node: redirects over HTTP/2",
         status=500),
    Case("long-answer", "upstream_answer_too_large", ("its answer is larger than 4 MiB and was not read", "may have taken"),
         "node: answers at length", status=500),
    Case("huge-headers", "upstream_protocol_error", (
        "breaks the rules of HTTP/2, or has headers that are too large", MAYBE), "node: sends huge headers", status=500),
    Case("goes-away", "upstream_disconnected", (
        "took leave (GOAWAY) before it was asked anything", "it is shutting down, or overloaded"), "node: takes leave"),
    Case("goes-silent", "upstream_deadline", ("no answer in time", "it may have taken the batch"), "node: takes leave, and no more",
         more="timeout: 2s, tls: {insecure: true}"),
    Case("hangs-up", "upstream_disconnected", (CUT_OFF, MAYBE), "node: hangs up"),
    Case("silent", "upstream_deadline", ("no answer in time: it is slow or hangs", "it may have taken the batch"),
         "node: never answers", more="timeout: 2s, tls: {insecure: true}"),
    Case("no-window", "upstream_deadline", ("no answer in time", "it may have taken the batch"), "node: opens no window",
         more="timeout: 2s, tls: {insecure: true}"),
    Case("endless", "upstream_deadline", ("no answer in time", "the exporter's timeout is too short"), "node: never ends",
         more="timeout: 2s, tls: {insecure: true}"),
    Case("http-port", "upstream_not_grpc", (
        "it did not answer in gRPC (HTTP status 404,", "is a gRPC service behind this endpoint?"), "collector: http",
        status=404, more="tls: {ca_file: {ca}}"),
    # OTLP over HTTP.
    Case("http-redirect", "upstream_redirect", (
        "it answered HTTP status 308 and sends us to \"https://elsewhere.example/\"",
        "redirects are not followed: write the final URL into the exporter's endpoint"),
        "node: redirects", "otlp_http", 500),
    Case("torn", "upstream_disconnected", (CUT_OFF, MAYBE, "its log knows why it hung up"), "node: tears its body", "otlp_http"),
    Case("torn-off", "upstream_disconnected", (CUT_OFF, "(if this port wants TLS, write https://)", MAYBE),
         "node: tears nothing but the connection", "otlp_http"),
    Case("http-to-openssl", "upstream_disconnected", (CUT_OFF, "(if this port wants TLS, write https://)"), "openssl", "otlp_http"),
    Case("long-page", "upstream_answer_too_large", ("its answer is larger than 4 MiB and was not read", "may have taken"),
         "node: answers with 5 MiB", "otlp_http", 500),
    Case("huge-head", "upstream_answer_too_large", ("the head of its answer is larger than is read", "may have taken"),
         "node: has a huge head", "otlp_http", 500),
    Case("drips", "upstream_deadline", ("no answer in time", "it may have taken the batch"), "node: drips", "otlp_http",
         more="timeout: 2s"),
    Case("file-server", "upstream_http_5xx", (
        "it answered HTTP status 501 without an OTLP status (content type \"text/html;charset=utf-8\")",), "python",
        "otlp_http", 500),
    Case("https-to-openssl", "upstream_disconnected", (CUT_OFF, MAYBE), "openssl", "otlp_http",
         more="tls: {ca_file: {ca}}"),
    Case("http-to-grpc", "upstream_not_http", (
        "it speaks HTTP/2 from its first byte, as servers of gRPC do", "is this the port for OTLP over HTTP?"),
        "collector: plain grpc", "otlp_http"),
    Case("https-to-grpc", "upstream_http_415", ("it answered HTTP status 415",), "collector: grpc", "otlp_http", 500,
         more="tls: {ca_file: {ca}}"),
    # Proxies.
    Case("proxy-password", "upstream_proxy", (
        PROXY, "it answered \"HTTP/1.1 407 Proxy Authentication Required\"; it wants a user and a password"),
        "node: wants a password", "proxy"),
    Case("proxy-forbids", "upstream_proxy", (PROXY, "403 Forbidden\"; its rules forbid this way: ask whoever runs it"),
         "node: forbids", "proxy"),
    Case("proxy-cannot", "upstream_proxy", (PROXY, "502 Bad Gateway\"; it cannot reach the upstream: is that up"),
         "node: cannot reach", "proxy"),
    Case("proxy-hangs", "upstream_proxy", (PROXY, "no answer within connect_timeout", "check proxy_url or HTTPS_PROXY"),
         "node: hangs", "proxy"),
    Case("no-proxy", "upstream_proxy", (
        ", which leads to backend.example:4318, cannot be reached: ", "start it, or correct proxy_url"), "none", "proxy"),
    Case("proxy-files", "upstream_proxy", (PROXY, "501 Unsupported method ('CONNECT')", "check proxy_url or HTTPS_PROXY"),
         "python", "proxy"),
    Case("proxy-tls", "upstream_proxy", (PROXY, "hung up without an answer", "check proxy_url or HTTPS_PROXY"), "openssl", "proxy"),
    Case("proxy-grpc", "upstream_proxy", (PROXY, ", which is not HTTP", "check proxy_url or HTTPS_PROXY"),
         "collector: plain grpc", "proxy"),
    Case("clear-proxy-password", "upstream_http_407", (
        "407", "the proxy wants a user and a password", "http://USER:PASSWORD@HOST:PORT"), "node: wants a password",
        "clear proxy", 500),
]


def _collector(stage):
    tls = f"{{cert_file: {stage.pki.back}/server.crt, key_file: {stage.pki.back}/server.key}}"
    ports = {name: stage.port() for name in ("grpc", "http", "plain grpc")}
    stage.start("misplaced-collector", COLLECTOR, (
        "receivers:\n"
        f"  otlp/tls: {{protocols: {{grpc: {{endpoint: 'localhost:{ports['grpc']}', tls: {tls}}}, "
        f"http: {{endpoint: 'localhost:{ports['http']}', tls: {tls}}}}}}}\n"
        f"  otlp/plain: {{protocols: {{grpc: {{endpoint: 'localhost:{ports['plain grpc']}'}}}}}}\n"
        f"exporters: {{otlp_http: {{endpoint: {stage.sink.url}, encoding: json}}}}\nservice:\n{QUIET}"
        "  pipelines: {traces: {receivers: [otlp/tls, otlp/plain], exporters: [otlp_http]}}\n"), list(ports.values()))
    return {f"collector: {name}": port for name, port in ports.items()}


def _servers(stage):
    back, files, openssl = stage.pki.back, stage.port(), stage.port()
    stage.programs.append(Program("file-server", [
        sys.executable, "-m", "http.server", files, "--bind", "127.0.0.1", "--directory", stage.pki.other],
        stage.folder, [files]))
    stage.programs.append(Program("s_server-silent", [
        "openssl", "s_server", "-accept", f"127.0.0.1:{openssl}", "-cert", back / "server.crt", "-key", back / "server.key",
        "-quiet"], stage.folder, [openssl]))
    return {
        **{f"node: {name}": port for name, port in exporting.node_servers(stage).items()},
        **_collector(stage), "python": files, "openssl": openssl, "none": stage.port(),
    }


def _exporter(case):
    return f"otlp_{'grpc' if case.kind == 'otlp_grpc' else 'http'}/{case.name}"


def _all(stage):
    servers, ca = _servers(stage), stage.pki.back / "ca.crt"

    def block(case):
        place = f"localhost:{servers[case.server]}"
        if case.kind == "proxy":
            patience = 1 if case.server == "node: hangs" else 6
            return (f"endpoint: 'https://backend.example:4318', proxy_url: 'http://{place}', timeout: 8s, "
                    f"connect_timeout: {patience}s")
        if case.kind == "clear proxy":
            return f"endpoint: 'http://backend.example:4318', proxy_url: 'http://{place}'"
        if case.kind == "otlp_http":
            place = f"http{'s' if 'ca_file' in case.more else ''}://{place}"
        return f"endpoint: '{place}', {case.more.replace('{ca}', str(ca))}"
    return exporting.attempt(stage, "odd-answers", {_exporter(case): block(case) for case in CASES})


def _scenario(case):
    def run(stage):
        tried = stage.once("odd answers", _all)
        tried.check(_exporter(case), case.reason, case.texts, case.status)
    return Scenario(f"answer: {case.name}", run, ours_only=True)


SCENARIOS = [_scenario(case) for case in CASES]
