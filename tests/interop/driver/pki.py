"""Certificates: most by `portcullis certs`, those that it does not make by openssl."""

import dataclasses
import pathlib
import subprocess

NAMES = "localhost,127.0.0.1"


@dataclasses.dataclass(frozen=True)
class Pki:
    # The side of the senders: the gateway's listener and its clients.
    front: pathlib.Path
    # The side of the backend: its listener and the gateway as its client.
    back: pathlib.Path
    # An authority that nobody trusts.
    other: pathlib.Path


def make(folder, portcullis):
    pki = Pki(folder / "front", folder / "back", folder / "other")
    for side in (pki.front, pki.back, pki.other):
        _run(portcullis, "certs", "ca", "--dir", side, "--name", f"Interop {side.name} CA")
    for side in (pki.front, pki.back):
        _run(portcullis, "certs", "server", "--dir", side, "--san", NAMES)
    _run(portcullis, "certs", "client", "--dir", pki.front, "--name", "shop")
    _run(portcullis, "certs", "client", "--dir", pki.back, "--name", "gateway")
    _run(portcullis, "certs", "client", "--dir", pki.other, "--name", "stranger")
    _by_openssl(pki.front)
    _bad_servers(pki.back)
    return pki


def _by_openssl(ca):
    # What many guides do: no extensions file, which with OpenSSL 3.0 makes an X.509 v1 leaf.
    _leaf(ca, "v1", [])
    _leaf(ca, "server-only", ["basicConstraints=CA:FALSE", "extendedKeyUsage=serverAuth"])
    # A sound server with a name that nobody asks for.
    _leaf(ca, "elsewhere", ELSEWHERE)
    _openssl_ca(ca)
    _dated(ca, "expired", EXPIRED)
    _revoked(ca, "revoked")


def _bad_servers(ca):
    """Servers that the gateway must not send to."""
    _leaf(ca, "elsewhere", ELSEWHERE)
    _leaf(ca, "server-client", ["basicConstraints=CA:FALSE", "extendedKeyUsage=clientAuth", LOCAL])
    _openssl_ca(ca)
    server = ["basicConstraints=CA:FALSE", "extendedKeyUsage=serverAuth", LOCAL]
    _dated(ca, "server-expired", EXPIRED, server)
    _dated(ca, "server-future", ("20440101000000Z", "20450101000000Z"), server)
    _revoked(ca, "server-revoked", server)
    _run("openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes",
         "-subj", "/CN=server-self", "-addext", LOCAL, "-keyout", ca / "server-self.key", "-out", ca / "server-self.crt")


LOCAL = "subjectAltName=DNS:localhost"
ELSEWHERE = ["basicConstraints=CA:FALSE", "extendedKeyUsage=serverAuth", "subjectAltName=DNS:otel.elsewhere.example"]
EXPIRED = ("20240101000000Z", "20240201000000Z")


def _leaf(ca, name, extensions):
    _key_and_request(ca, name)
    sign = ["openssl", "x509", "-req", "-in", ca / f"{name}.csr", "-CA", ca / "ca.crt",
            "-CAkey", ca / "ca.key", "-CAcreateserial", "-days", "2", "-out", ca / f"{name}.crt"]
    if extensions:
        (ca / f"{name}.ext").write_text("\n".join(extensions) + "\n")
        sign += ["-extfile", ca / f"{name}.ext"]
    _run(*sign)


def _openssl_ca(ca):
    """`openssl x509` of OpenSSL 3.0 can neither set dates nor revoke, `openssl ca` can."""
    (ca / "index.txt").write_text("")
    (ca / "crlnumber").write_text("01\n")
    (ca / "ca.conf").write_text(
        "[ca]\ndefault_ca = it\n[it]\n"
        f"database = {ca}/index.txt\nnew_certs_dir = {ca}\ndefault_md = sha256\npolicy = any\n"
        f"rand_serial = yes\ncrlnumber = {ca}/crlnumber\ndefault_crl_days = 30\n"
        "[any]\ncommonName = supplied\n")


def _ca(ca, *words):
    _run("openssl", "ca", "-batch", "-notext", "-config", ca / "ca.conf", "-cert", ca / "ca.crt",
         "-keyfile", ca / "ca.key", *words)


def _dated(ca, name, dates, extensions=("basicConstraints=CA:FALSE", "extendedKeyUsage=clientAuth")):
    _key_and_request(ca, name)
    (ca / f"{name}.ext").write_text("\n".join(extensions) + "\n")
    _ca(ca, "-startdate", dates[0], "-enddate", dates[1], "-extfile", ca / f"{name}.ext",
        "-in", ca / f"{name}.csr", "-out", ca / f"{name}.crt")


def _revoked(ca, name, *extensions):
    """A good certificate that the CA took back, and the list that says so."""
    _dated(ca, name, ("20240101000000Z", "20440101000000Z"), *extensions)
    _ca(ca, "-revoke", ca / f"{name}.crt", "-crl_reason", "keyCompromise")
    _ca(ca, "-gencrl", "-out", ca / "revoked.crl")


def _key_and_request(ca, name):
    _run("openssl", "req", "-new", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes",
         "-subj", f"/CN={name}", "-keyout", ca / f"{name}.key", "-out", ca / f"{name}.csr")


def _run(*command):
    done = subprocess.run([str(part) for part in command], capture_output=True, text=True, check=False)
    if done.returncode:
        raise RuntimeError(f"{' '.join(map(str, command))}: {done.stdout}{done.stderr}")
