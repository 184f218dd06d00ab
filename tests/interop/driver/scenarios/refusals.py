"""Senders that must not get in: what they see, what the gateway's log says, and that nothing of
theirs arrives while a healthy sender beside them never notices.
"""

import json
import uuid

import payload
from pki import is_v1
from scenarios.sdks import NODE, PYTHON, WANTED, arrived, emit
from stage import Scenario, check, command
from topology import gateway, start_gateway

BEHIND = ("grpc", "gzip")


def _listener(stage):
    front = gateway(stage)
    return front.program, front.ports[BEHIND]


def _curl(stage, url, run, *certificate):
    """POSTs a request; curl's exit code, the HTTP status and all that it prints."""
    done = command([
        "curl", "--silent", "--show-error", "--max-time", "10", "--cacert", stage.pki.front / "ca.crt", *certificate,
        "--header", "Content-Type: application/json", "--data-binary", "@-", "--write-out", "\n%{http_code}", url,
    ], text=json.dumps(payload.request("traces", run)))
    body, _, status = done.stdout.rpartition("\n")
    return done.returncode, int(status or 0), body + done.stderr


def _presenting(folder, name):
    return "--cert", folder / f"{name}.crt", "--key", folder / f"{name}.key"


def _nothing_arrived(stage, run):
    check(not stage.sink.items(run, "traces"), "a refused sender's spans arrived")


def _healthy(stage, port):
    """A sender with a good certificate gets its answer, now."""
    run = f"healthy-{uuid.uuid4()}"
    _, status, text = _curl(stage, f"https://localhost:{port}/v1/traces", run, *_presenting(stage.pki.front, "shop"))
    check(status == 200, f"a healthy sender beside got {status}: {text}")
    check(len(stage.sink.items(run, "traces")) == payload.COUNTS["traces"], "a healthy sender's spans are missing")


def _openssl_without_certificate(stage):
    program, ports = _listener(stage)
    for port in ports:
        mark = program.mark()
        done = command(
            ["openssl", "s_client", "-connect", f"localhost:{port}", "-CAfile", stage.pki.front / "ca.crt",
             "-alpn", "h2", "-ign_eof"], text="\n", seconds=20)
        seen = done.stdout + done.stderr
        check("alert certificate required" in seen, f"openssl saw: {seen[-1500:]}")
        program.wait_for_line("client_cert_missing", "127.0.0.1", since=mark)
    _healthy(stage, ports[1])


def _curl_plaintext(stage):
    program, (_, port) = _listener(stage)
    mark, run = program.mark(), f"plaintext-{uuid.uuid4()}"
    code, status, text = _curl(stage, f"http://localhost:{port}/v1/traces", run)
    check(code == 0 and status == 400, f"curl ended with {code}, status {status}: {text}")
    check("https://" in text, f"the answer does not say what to do: {text}")
    program.wait_for_line("plaintext_on_tls_port", since=mark)
    _nothing_arrived(stage, run)
    _healthy(stage, port)


def _refused(title, client, reason, *wanted_in_line, side="front"):
    """curl presents a certificate that must not do."""
    def run(stage):
        program, (_, port) = _listener(stage)
        mark, name = program.mark(), f"refused-{uuid.uuid4()}"
        certificate = _presenting(getattr(stage.pki, side), client)
        code, status, text = _curl(stage, f"https://localhost:{port}/v1/traces", name, *certificate)
        check(code != 0 and status == 0, f"curl ended with {code}, status {status}: {text}")
        program.wait_for_line(reason, *wanted_in_line, since=mark)
        _nothing_arrived(stage, name)
        _healthy(stage, port)
    return Scenario(f"refused: {title}", run, ours_only=True)


def _sdk_without_certificate(language, program, protocol, index):
    def run(stage):
        # The log says the same refusal of one address once a minute.
        own = start_gateway(stage, f"gateway-{language}")
        gate, ports = own.program, own.ports[BEHIND]
        mark = gate.mark()
        name, done = emit(stage, program, protocol, ports[index], client=None)
        check(done.returncode != 0, f"the SDK was told of success: {done.stdout}{done.stderr}")
        check(not any(arrived(stage, name).values()), "a refused SDK's items arrived")
        gate.wait_for_line("client_cert_missing", since=mark)
        name, done = emit(stage, program, protocol, ports[index])
        check(done.returncode == 0, f"with a certificate the SDK ended with {done.returncode}: {done.stderr}")
        check(arrived(stage, name) == WANTED, f"arrived: {arrived(stage, name)}")
        check(gate.stop() == 0, f"the gateway ended with {gate.process.returncode}")
    return Scenario(f"refused: {language} SDK ({protocol}) without a certificate", run, ours_only=True)


def _old_tls(stage):
    program, (port, _) = _listener(stage)
    mark = program.mark()
    done = command(["openssl", "s_client", "-connect", f"localhost:{port}", "-tls1_1",
                    "-cipher", "ALL:@SECLEVEL=0"], text="\n", seconds=20)
    check(done.returncode != 0, f"openssl got in with TLS 1.1: {done.stdout[-1500:]}")
    program.wait_for_line("tls_version_too_old", since=mark)


def _v1_certificate(stage):
    """Published recipes make X.509 v1 client certificates: let in, with one warning for each."""
    program, (_, port) = _listener(stage)
    mark = program.mark()
    if not is_v1(stage.pki.front / "v1.crt"):
        return  # OpenSSL from 3.2 on makes v3.
    for attempt in range(3):
        run = f"v1-{uuid.uuid4()}"
        _, status, text = _curl(stage, f"https://localhost:{port}/v1/traces", run, *_presenting(stage.pki.front, "v1"))
        check(status == 200, f"attempt {attempt}: {status}: {text}")
        check(len(stage.sink.items(run, "traces")) == payload.COUNTS["traces"], "its spans are missing")
    program.wait_for_line("x509_v1", "CN=v1", since=mark)
    lines = [line for line in program.text(mark).splitlines() if "x509_v1" in line]
    check(len(lines) == 1, f"warned {len(lines)} times: {lines}")


SCENARIOS = [
    Scenario("refused: openssl without a certificate", _openssl_without_certificate, ours_only=True),
    Scenario("refused: curl in plaintext on the TLS port", _curl_plaintext, ours_only=True),
    _refused("curl with a certificate of another CA", "stranger", "client_cert_unknown_issuer",
             "Interop other CA", side="other"),
    _refused("curl with an expired certificate", "expired", "client_cert_expired", "CN=expired", "2024-02-01"),
    _refused("curl with a certificate for servers", "server-only", "client_cert_eku", "CN=server-only"),
    Scenario("refused: openssl with TLS 1.1", _old_tls, ours_only=True),
    _sdk_without_certificate("python", PYTHON, "grpc", 0),
    _sdk_without_certificate("node", NODE, "http", 1),
    Scenario("let in: curl with an X.509 v1 certificate", _v1_certificate, ours_only=True),
]
