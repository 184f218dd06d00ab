"""Certificates: most by `portcullis certs`, those that it does not make by openssl."""

import base64
import dataclasses
import datetime
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
    # The front's authority made anew: its name, another key.
    anew: pathlib.Path


def make(folder, portcullis):
    pki = Pki(folder / "front", folder / "back", folder / "other", folder / "anew")
    for side in (pki.front, pki.back, pki.other):
        _run(portcullis, "certs", "ca", "--dir", side, "--name", f"Interop {side.name} CA")
    _run(portcullis, "certs", "ca", "--dir", pki.anew, "--name", f"Interop {pki.front.name} CA")
    for side in (pki.front, pki.back):
        _run(portcullis, "certs", "server", "--dir", side, "--san", NAMES)
    _run(portcullis, "certs", "client", "--dir", pki.front, "--name", "shop")
    _run(portcullis, "certs", "client", "--dir", pki.back, "--name", "gateway")
    _run(portcullis, "certs", "client", "--dir", pki.other, "--name", "stranger")
    _run(portcullis, "certs", "client", "--dir", pki.anew, "--name", "rekeyed")
    _by_openssl(pki.front)
    _odd_clients(pki.front)
    _odd_keys_and_signatures(pki.front)
    _lists(pki)
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


def _odd_clients(ca):
    """Clients with faults that few meet."""
    _dated(ca, "future", FUTURE)
    _leaf(ca, "is-ca", ["basicConstraints=critical,CA:TRUE"])
    _leaf(ca, "critical", ["1.2.3.4=critical,ASN1:UTF8String:ours", "extendedKeyUsage=clientAuth"])
    _leaf(ca, "last", ["basicConstraints=critical,CA:TRUE,pathlen:0"])
    _leaf(ca, "further", ["basicConstraints=critical,CA:TRUE"], "last")
    _leaf(ca, "too-deep", ["extendedKeyUsage=clientAuth"], "further")
    _leaf(ca, "narrow", ["basicConstraints=critical,CA:TRUE", "nameConstraints=critical,permitted;DNS:example.com"])
    _leaf(ca, "outside", ["extendedKeyUsage=clientAuth", "subjectAltName=DNS:otel.elsewhere.example"], "narrow")
    # Its intermediate is not sent.
    _leaf(ca, "below", ["extendedKeyUsage=clientAuth"], "last")
    (ca / "below.crt").write_text((ca / "below.crt").read_text().partition("-----END CERTIFICATE-----\n")[0]
                                  + "-----END CERTIFICATE-----\n")


CLIENT = ["basicConstraints=CA:FALSE", "extendedKeyUsage=clientAuth"]


def _odd_keys_and_signatures(ca):
    _leaf(ca, "weak", CLIENT, key=["rsa:1024"])
    _leaf(ca, "explicit", CLIENT, key=[*P256, "-pkeyopt", "ec_param_enc:explicit"])
    _leaf(ca, "sha1", CLIENT, more=["-sha1"])
    _leaf(ca, "below-0", CLIENT, more=["-set_serial", "-5"])
    _leaf(ca, "changed", [*CLIENT, "authorityKeyIdentifier=keyid"])
    der = bytearray(_der(ca / "changed.crt"))
    # Of its signature.
    der[-1] ^= 1
    _pem(ca / "changed.crt", "CERTIFICATE", der)
    _leaf(ca, "foreign", [*CLIENT, "subjectAltName=URI:spiffe://other.example/shop"])
    _leaf(ca, "two-ids", [*CLIENT, "subjectAltName=URI:spiffe://our.example/a,URI:spiffe://our.example/b"])
    # Version 1 with OpenSSL 3.0, which writes no later one without extensions.
    _leaf(ca, "v1-issuer", [])
    _leaf(ca, "of-v1", CLIENT, "v1-issuer")
    _leaf(ca, "copied", CLIENT)
    _forged_key(ca, "copied")


def _forged_key(ca, name):
    """A key file with the public half of a certificate and the secret of somebody else. Programs look
    at the public half to find out whether key and certificate belong together."""
    _run("openssl", "ecparam", "-name", "prime256v1", "-genkey", "-noout", "-outform", "DER", "-out", ca / "thief.der")
    _run("openssl", "ec", "-in", ca / f"{name}.key", "-pubout", "-outform", "DER", "-out", ca / "public.der")
    # Both end in the point of the curve.
    thief, public = (ca / "thief.der").read_bytes(), (ca / "public.der").read_bytes()
    _pem(ca / f"{name}.key", "EC PRIVATE KEY", thief[:-65] + public[-65:])


def _der(path):
    lines = path.read_text().strip().splitlines()
    return base64.b64decode("".join(lines[1:-1]))


def _pem(path, label, der):
    path.write_text(f"-----BEGIN {label}-----\n{base64.encodebytes(bytes(der)).decode()}-----END {label}-----\n")


def _lists(pki):
    """Revocation lists: one out of date, and one of a CA that is trusted beside the front's."""
    _ca(pki.front, "-gencrl", "-crl_lastupdate", EXPIRED[0], "-crl_nextupdate", EXPIRED[1], "-out", pki.front / "stale.crl")
    _openssl_ca(pki.other)
    _ca(pki.other, "-gencrl", "-out", pki.front / "of-other.crl")
    both = (pki.front / "ca.crt").read_text() + (pki.other / "ca.crt").read_text()
    (pki.front / "both.crt").write_text(both)


def is_v1(certificate):
    return "Version: 1 " in _run("openssl", "x509", "-in", certificate, "-noout", "-text")


def short_lived(pki, name, seconds):
    """A certificate and key by which the gateway is known to the backend, for so many seconds."""
    now = datetime.datetime.now(datetime.timezone.utc)
    dates = [f"{at:%Y%m%d%H%M%S}Z" for at in (now - datetime.timedelta(days=1), now + datetime.timedelta(seconds=seconds))]
    _dated(pki.back, name, dates)


def _bad_servers(ca):
    """Servers that the gateway must not send to."""
    _leaf(ca, "elsewhere", ELSEWHERE)
    server = ["basicConstraints=CA:FALSE", "extendedKeyUsage=serverAuth", LOCAL]
    _leaf(ca, "server-explicit", server, key=[*P256, "-pkeyopt", "ec_param_enc:explicit"])
    _leaf(ca, "v1-issuer", [])
    _leaf(ca, "server-of-v1", server, "v1-issuer")
    _leaf(ca, "server-client", ["basicConstraints=CA:FALSE", "extendedKeyUsage=clientAuth", LOCAL])
    _openssl_ca(ca)
    _dated(ca, "server-expired", EXPIRED, server)
    _dated(ca, "server-future", FUTURE, server)
    _revoked(ca, "server-revoked", server)
    _run("openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes",
         "-subj", "/CN=server-self", "-addext", LOCAL, "-keyout", ca / "server-self.key", "-out", ca / "server-self.crt")


LOCAL = "subjectAltName=DNS:localhost"
ELSEWHERE = ["basicConstraints=CA:FALSE", "extendedKeyUsage=serverAuth", "subjectAltName=DNS:otel.elsewhere.example"]
EXPIRED = ("20240101000000Z", "20240201000000Z")
FUTURE = ("20440101000000Z", "20450101000000Z")


P256 = ("ec", "-pkeyopt", "ec_paramgen_curve:prime256v1")


def _leaf(ca, name, extensions, issuer="ca", key=P256, more=()):
    """Signed by the CA of the folder, or by one below it, whose file stands behind it in its own."""
    _key_and_request(ca, name, key)
    sign = ["openssl", "x509", "-req", "-in", ca / f"{name}.csr", "-CA", ca / f"{issuer}.crt",
            "-CAkey", ca / f"{issuer}.key", "-CAcreateserial", "-days", "2", "-out", ca / f"{name}.crt", *more]
    if extensions:
        (ca / f"{name}.ext").write_text("\n".join(extensions) + "\n")
        sign += ["-extfile", ca / f"{name}.ext"]
    _run(*sign)
    if issuer != "ca":
        chain = "".join((ca / f"{one}.crt").read_text() for one in (name, issuer))
        (ca / f"{name}.crt").write_text(chain)


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


def _key_and_request(ca, name, key=P256):
    _run("openssl", "req", "-new", "-newkey", *key, "-nodes", "-subj", f"/CN={name}",
         "-keyout", ca / f"{name}.key", "-out", ca / f"{name}.csr")


def _run(*command):
    done = subprocess.run([str(part) for part in command], capture_output=True, text=True, check=False)
    if done.returncode:
        raise RuntimeError(f"{' '.join(map(str, command))}: {done.stdout}{done.stderr}")
    return done.stdout
