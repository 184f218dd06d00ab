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
    # How the client's TLS is set up, if not as it comes; see SETTINGS.
    settings: str = ""


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
    Case("weak-key", "weak_rsa_key", (
        "presented CN=weak (issuer ", "has an RSA key of 1024 bits; the least is 2048", "make a new key"), client="weak"),
    Case("explicit-key", "client_cert_key_unsupported", (
        "presented CN=explicit (issuer ", "of kind EC with explicit parameters, which cannot be verified",
        "make a new key, RSA from 2048 to 8192 bits"), client="explicit"),
    Case("made-anew", "ca_key_changed", (
        "presented CN=rekeyed (issuer CN=Interop front CA, ", "trusts a CA of the name CN=Interop front CA but with another key",
        "the CA was made anew under its old name"), client="rekeyed", side="anew"),
    Case("changed", "bad_signature", (
        "presented CN=changed (issuer ", "its signature is not the one that CN=Interop front CA made",
        "it was changed after it was signed: copy it again, or re-issue it"), client="changed"),
    Case("sha1", "cert_signature_algorithm", (
        "presented CN=sha1 (issuer ", "signed with an algorithm that is not accepted (ecdsa-with-SHA1, by CN=Interop front CA)",
        "re-issue it with SHA-256"), client="sha1", settings="SHA-1"),
    Case("below-0", "client_cert_bad_encoding", (
        "presented CN=below-0 (issuer ", "its serial number is not a positive one",
        "re-issue it with a common tool and its defaults"), client="below-0"),
    Case("of-v1", "client_cert_issuer_x509_v1", (
        "presented CN=of-v1 (issuer CN=v1-issuer, ", "its issuer CN=v1-issuer is in X.509 v1 form, which only a root may be",
        "re-issue that intermediate with `-extfile <(printf"), client="of-v1"),
    Case("copied", "client_cert_not_proven", (
        "presented CN=copied (issuer ", "it did not prove that it holds the certificate's private key",
        "if they do, somebody else shows a copy"), client="copied"),
    Case("foreign-id", "client_cert_trust_domain", (
        "presented CN=foreign (issuer ", "its id is spiffe://other.example/shop, and trust_domains lists no CA for other.example",
        "add it to trust_domains with its CAs"), client="foreign", listener="domains"),
    Case("two-ids", "client_cert_spiffe_id", (
        "presented CN=two-ids (issuer ", "exactly one", "have its issuer make it by the rules for X.509-SVIDs"),
        client="two-ids", listener="domains"),
    Case("old-tls", "tls_version_too_old", (
        "speaks TLS 1.1 at most; this listener speaks TLS 1.2 and 1.3", "update the client or its TLS library"),
        settings="TLS 1.1"),
    Case("not-allowed-tls", "tls_version_not_allowed", (
        "offered TLS 1.2 at most, which is not allowed here", "look at `min_version` and `max_version` of both sides"),
        listener="modern", settings="TLS 1.2"),
    Case("only-cbc", "no_common_cipher", (
        "offered no cipher suite that is allowed here: ", "0xc009", "allow ECDHE with AES-GCM or ChaCha20 there"),
        listener="capped", settings="CBC"),
    Case("only-p521", "no_common_group", (
        "offered no key exchange group of ours: P-521", "allow X25519, P-256 or P-384 there"), settings="P-521"),
    Case("only-rsa", "no_common_signature", (
        "accepts no signature that our key can make", "a client that knows RSA only needs a listener with an RSA key"),
        settings="RSA"),
]

# For a client's whole process: what its TLS library reads from its environment. OpenSSL's is a file.
PYTHON_GRPC = {"SHA-1": {}, "CBC": {"GRPC_SSL_CIPHER_SUITES": "ECDHE-ECDSA-AES128-SHA"}}
# Python sets the ciphers and the security level itself, so that no SHA-1 and no CBC is left.
PYTHON_HTTP = {"TLS 1.2": "MaxProtocol = TLSv1.2", "P-521": "Groups = P-521", "RSA": "SignatureAlgorithms = RSA-PSS+SHA256"}
# Defaults of Node's module `tls`.
NODE_TLS = {
    "SHA-1": {"DEFAULT_CIPHERS": "DEFAULT@SECLEVEL=0"},
    "TLS 1.1": {"DEFAULT_MIN_VERSION": "TLSv1", "DEFAULT_MAX_VERSION": "TLSv1.1", "DEFAULT_CIPHERS": "DEFAULT@SECLEVEL=0"},
    "TLS 1.2": {"DEFAULT_MAX_VERSION": "TLSv1.2"},
    "CBC": {"DEFAULT_MAX_VERSION": "TLSv1.2", "DEFAULT_CIPHERS": "ECDHE-ECDSA-AES128-SHA"},
    "P-521": {"DEFAULT_ECDH_CURVE": "P-521"},
}
# The exporter's `tls` block.
COLLECTOR_TLS = {
    "SHA-1": "",
    "TLS 1.1": "min_version: '1.0', max_version: '1.1'",
    "TLS 1.2": "max_version: '1.2'",
    "CBC": "max_version: '1.2', cipher_suites: [TLS_ECDHE_ECDSA_WITH_AES_128_CBC_SHA]",
    "P-521": "curve_preferences: [P521]",
}


# Certificate and further keys of each listener's `tls` block.
LISTENERS = {
    "front": ("server", "client_ca_file: {front}/ca.crt, client_crl_file: {front}/revoked.crl"),
    "elsewhere": ("elsewhere", "client_ca_file: {front}/ca.crt"),
    "strict": ("server", "client_ca_file: {front}/ca.crt, strict_x509: true"),
    "stale": ("server", "client_ca_file: {front}/ca.crt, client_crl_file: {front}/stale.crl"),
    "listless": ("server", "client_ca_file: {front}/both.crt, client_crl_file: {front}/of-other.crl"),
    "modern": ("server", "client_ca_file: {front}/ca.crt, min_version: '1.3'"),
    "capped": ("server", "client_ca_file: {front}/ca.crt, max_version: '1.2'"),
    "domains": ("server", "client_ca_file: {front}/ca.crt"),
}
IDENTITY = "client_identity: {{allow: any, trust_domains: {{our.example: {front}/ca.crt}}}}"


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
        if listener == "domains":
            tls += ", auth: {authenticator: client_identity}"
        grpc, http = ports[listener]
        receivers += (f"  otlp/{listener}: {{protocols: {{grpc: {{endpoint: 'localhost:{grpc}', tls: {tls}}}, "
                      f"http: {{endpoint: 'localhost:{http}', tls: {tls}}}}}}}\n")
    config = (f"receivers:\n{receivers}exporters: {{nop: {{}}}}\nextensions: {{{IDENTITY.format(front=front)}}}\n"
              f"service:\n{QUIET}  extensions: [client_identity]\n"
              f"  pipelines: {{traces: {{receivers: [{', '.join(f'otlp/{name}' for name in LISTENERS)}], exporters: [nop]}}}}\n")
    listening = [port for pair in ports.values() for port in pair]
    return stage.start(f"refuses-{client}", stage.gateway_program, config, listening), ports


def _ca(stage, case):
    return getattr(stage.pki, case.ca) / "ca.crt"


def _environment(stage, case, port):
    env = sender_env(stage, port, case.client, getattr(stage.pki, case.side), _ca(stage, case))
    env["OTEL_EXPORTER_OTLP_ENDPOINT"] = f"{case.scheme}://localhost:{port}"
    return env


def _export(stage, program, protocol, env, cases, ports, tls=None):
    """What an SDK's process told of each case."""
    environments = {case.name: {
        "environment": _environment(stage, case, ports[case.listener][protocol != "grpc"]),
        "tls": (tls or {}).get(case.settings),
    } for case in cases}
    env = {"REQUESTS_CA_BUNDLE": "", "CURL_CA_BUNDLE": "", **env}
    done = command([*program, protocol], env, text=json.dumps(environments))
    check(done.returncode == 0, f"it ended with {done.returncode}: {done.stdout}{done.stderr}")
    return {name: f"{text} {done.stderr}" for name, text in json.loads(done.stdout).items()}


def _openssl_settings(stage, lines):
    path = stage.folder / f"{abs(hash(lines))}.cnf"
    path.write_text(f"openssl_conf = one\n[one]\nssl_conf = two\n[two]\nsystem_default = three\n[three]\n{lines}\n")
    return {"OPENSSL_CONF": str(path)}


def _python(protocol):
    """One process for all cases, and one for each with settings."""
    def attempt(stage, cases, ports):
        export = functools.partial(_export, stage, [PYTHON[0], HERE / "python/refused.py"], protocol)
        settings = {case.settings for case in cases}

        def process(setting):
            env = {}
            if setting:
                env = PYTHON_GRPC[setting] if protocol == "grpc" else _openssl_settings(stage, PYTHON_HTTP[setting])
            of_it = [case for case in cases if case.settings == setting]
            return export({"OTEL_EXPORTER_OTLP_TIMEOUT": "2", **env}, of_it, ports)
        with concurrent.futures.ThreadPoolExecutor(len(settings)) as pool:
            return {name: text for told in pool.map(process, settings) for name, text in told.items()}
    return attempt


def _node(protocol):
    def attempt(stage, cases, ports):
        env = {"OTEL_EXPORTER_OTLP_TIMEOUT": "2000"}
        return _export(stage, ["node", NODE[1].parent / "refused.mjs"], protocol, env, cases, ports, NODE_TLS)
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
            if case.settings and COLLECTOR_TLS[case.settings]:
                tls += f", {COLLECTOR_TLS[case.settings]}"
            kind, endpoint = ("otlp_grpc", f"localhost:{grpc}") if protocol == "grpc" else (
                "otlp_http", f"{case.scheme}://localhost:{http}")
            entrance = f"localhost:{entrances[case.name]}"
            receivers += f"  otlp/{case.name}: {{protocols: {{http: {{endpoint: '{entrance}'}}}}}}\n"
            exporters += (f"  {kind}/{case.name}: {{endpoint: '{endpoint}', tls: {{{tls}}}, timeout: 2s, "
                          "sending_queue: {enabled: false}, retry_on_failure: {enabled: false}}\n")
            lines += f"    traces/{case.name}: {{receivers: [otlp/{case.name}], exporters: [{kind}/{case.name}]}}\n"
        config = f"receivers:\n{receivers}exporters:\n{exporters}service:\n{QUIET}  pipelines:\n{lines}"
        stage.start(f"refused-collector-{protocol}", COLLECTOR, config, list(entrances.values()), env=OLD_GO)
        with concurrent.futures.ThreadPoolExecutor(len(cases)) as pool:
            answers = pool.map(lambda case: payload.post(entrances[case.name], "traces", "refused"), cases)
            return {case.name: f"{'SUCCESS' if status == 200 else 'FAILURE'} {status} {text}"
                    for case, (status, text) in zip(cases, answers)}
    return attempt


# Go refuses these itself, unless it is told to do as it did before.
OLD_GO = {"GODEBUG": "rsa1024min=0,x509negativeserial=1"}
# Some clients hang up without an alert when they do not trust us.
SILENTLY = ("closed_during_handshake", ("closed the connection when it had our certificate CN=", "they do not trust it"))


@dataclasses.dataclass(frozen=True)
class Client:
    attempt: object
    # By name, of those whose setting can be made.
    settings: dict
    # Cases that it cannot produce.
    cannot: frozenset = frozenset()
    # Whether it hangs up on us without an alert.
    is_silent: bool = False

    def cases(self):
        return [case for case in CASES if case.name not in self.cannot and case.settings in {"", *self.settings}]


NOT_LOADED_BY_GO = frozenset({"explicit-key", "copied"})
CLIENTS = {
    # Its C core asks for our name after the handshake: we cannot tell that from a health check. It does
    # not load a key that is not the certificate's, nor one with explicit parameters, and sends none.
    "python gRPC": Client(_python("grpc"), PYTHON_GRPC, frozenset({"other-name", "explicit-key", "copied"}), True),
    # OpenSSL does not load a short key at the level that Python sets.
    "python HTTP": Client(_python("http"), PYTHON_HTTP, frozenset({"weak-key"})),
    "node gRPC": Client(_node("grpc"), NODE_TLS, is_silent=True),
    "node HTTP": Client(_node("proto"), NODE_TLS, is_silent=True),
    # gRPC for Go has no cipher suite for TLS 1.1, and does not even connect.
    "collector gRPC": Client(_collector("grpc"), COLLECTOR_TLS, NOT_LOADED_BY_GO | {"old-tls"}),
    "collector HTTP": Client(_collector("http"), COLLECTOR_TLS, NOT_LOADED_BY_GO),
}


def _attempt(client, stage):
    program, ports = _gateway(stage, client.replace(" ", "-").lower())
    return Refused(program, CLIENTS[client].attempt(stage, CLIENTS[client].cases(), ports))


def _scenario(client, case):
    reason, texts = case.reason, case.texts
    if CLIENTS[client].is_silent and reason == "peer_rejected_us":
        reason, texts = SILENTLY
        texts = (f"{texts[0]}{'elsewhere' if case.listener == 'elsewhere' else 'localhost'}", *texts[1:])

    def run(stage):
        if case.name in {"v1", "of-v1"} and not is_v1(stage.pki.front / "v1.crt"):
            return  # OpenSSL from 3.2 on makes v3.
        refused = stage.once(f"refused {client}", functools.partial(_attempt, client))
        told = refused.told[case.name]
        check(told.startswith("FAILURE"), f"the client was told: {told}")
        line = refused.gateway.wait_for_line(f'"{reason}"', texts[0])
        for text in (*texts, "127.0.0.1"):
            check(text in line, f"no {text!r} in {line}")
    return Scenario(f"refused: {client}, {case.name}", run, ours_only=True)


SCENARIOS = [_scenario(client, case) for client in CLIENTS for case in CLIENTS[client].cases()]
