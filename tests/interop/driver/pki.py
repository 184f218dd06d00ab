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
    return pki


def _by_openssl(ca):
    # What many guides do: no extensions file, which with OpenSSL 3.0 makes an X.509 v1 leaf.
    _leaf(ca, "v1", [])
    _leaf(ca, "server-only", ["basicConstraints=CA:FALSE", "extendedKeyUsage=serverAuth"])
    # A sound server with a name that nobody asks for.
    _leaf(ca, "elsewhere", ["basicConstraints=CA:FALSE", "extendedKeyUsage=serverAuth",
                            "subjectAltName=DNS:otel.elsewhere.example"])
    _by_openssl_ca(ca)


def _leaf(ca, name, extensions):
    _key_and_request(ca, name)
    sign = ["openssl", "x509", "-req", "-in", ca / f"{name}.csr", "-CA", ca / "ca.crt",
            "-CAkey", ca / "ca.key", "-CAcreateserial", "-days", "2", "-out", ca / f"{name}.crt"]
    if extensions:
        (ca / f"{name}.ext").write_text("\n".join(extensions) + "\n")
        sign += ["-extfile", ca / f"{name}.ext"]
    _run(*sign)


def _by_openssl_ca(ca):
    """`openssl x509` of OpenSSL 3.0 can neither set dates nor revoke, `openssl ca` can."""
    (ca / "index.txt").write_text("")
    (ca / "crlnumber").write_text("01\n")
    (ca / "ca.conf").write_text(
        "[ca]\ndefault_ca = it\n[it]\n"
        f"database = {ca}/index.txt\nnew_certs_dir = {ca}\ndefault_md = sha256\npolicy = any\n"
        f"rand_serial = yes\nx509_extensions = leaf\ncrlnumber = {ca}/crlnumber\ndefault_crl_days = 30\n"
        "[any]\ncommonName = supplied\n[leaf]\nbasicConstraints = CA:FALSE\nextendedKeyUsage = clientAuth\n")
    command = ["openssl", "ca", "-batch", "-notext", "-config", ca / "ca.conf", "-cert", ca / "ca.crt",
               "-keyfile", ca / "ca.key"]
    for name, start, end in (("expired", "20240101000000Z", "20240201000000Z"),
                             ("revoked", "20240101000000Z", "20440101000000Z")):
        _key_and_request(ca, name)
        _run(*command, "-startdate", start, "-enddate", end, "-in", ca / f"{name}.csr", "-out", ca / f"{name}.crt")
    _run(*command, "-revoke", ca / "revoked.crt", "-crl_reason", "keyCompromise")
    _run(*command, "-gencrl", "-out", ca / "clients.crl")


def _key_and_request(ca, name):
    _run("openssl", "req", "-new", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes",
         "-subj", f"/CN={name}", "-keyout", ca / f"{name}.key", "-out", ca / f"{name}.csr")


def _run(*command):
    done = subprocess.run([str(part) for part in command], capture_output=True, text=True, check=False)
    if done.returncode:
        raise RuntimeError(f"{' '.join(map(str, command))}: {done.stdout}{done.stderr}")
