//! What `openssl ca` makes and `openssl x509` does not: revocation lists.

use super::program::openssl;
use super::{make_ca, request};
use crate::support::pki::TestPki;

/// `NAME.crt` and `NAME.key` with the database that `openssl ca` keeps.
pub(super) fn authority(pki: &TestPki, name: &str) {
    make_ca(pki, name);
    pki.write(&format!("{name}.db"), "");
    pki.write(&format!("{name}.number"), "01\n");
    pki.write(
        &format!("{name}.conf"),
        format!(
            "[ca]\ndefault_ca = it\n[it]\ndatabase = {name}.db\nnew_certs_dir = .\ndefault_md = \
             sha256\npolicy = any\nrand_serial = yes\ncrlnumber = {name}.number\ndefault_crl_days = \
             30\n[any]\ncommonName = supplied\n"
        ),
    );
}

fn ca(pki: &TestPki, name: &str, words: &str) {
    openssl(
        pki.dir(),
        &format!(
            "ca -batch -notext -config {name}.conf -cert {name}.crt -keyfile {name}.key {words}"
        ),
    );
}

/// A client's certificate and key of such a CA.
pub(super) fn client_of(pki: &TestPki, authority: &str, name: &str) {
    request(pki, name, super::P256);
    pki.write(&format!("{name}.ext"), "extendedKeyUsage=clientAuth");
    ca(pki, authority, &format!("-days 30 -extfile {name}.ext -in {name}.csr -out {name}.crt"));
}

/// Takes a certificate back.
pub(super) fn revoke(pki: &TestPki, authority: &str, name: &str) {
    ca(pki, authority, &format!("-revoke {name}.crt -crl_reason keyCompromise"));
}

/// Writes the CA's list.
pub(super) fn publish(pki: &TestPki, authority: &str, file: &str, more: &str) {
    ca(pki, authority, &format!("-gencrl -out {file} {more}"));
}
