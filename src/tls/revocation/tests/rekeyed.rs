//! An intermediate that was made anew under its old name: each of its keys has lists of its own.

use super::*;

/// Scenario: the lists of both keys of an intermediate that the bundle does not name, each with
/// numbers of its own; then both are renewed.
/// Guarantees: each counts for the certificates of its key, and neither passes for an older edition
/// of the other.
#[test]
fn lists_of_both_keys_of_a_renewed_intermediate_count() {
    let pki = TestPki::new();
    let (old, new) = (pki.ca.intermediate("Middle CA"), pki.ca.intermediate("Middle CA"));
    let leaf = |ca: &Ca, name| ca.issue(client_params(name));
    let of_old = [leaf(&old, "kept"), leaf(&old, "revoked")];
    let of_new = [leaf(&new, "kept"), leaf(&new, "revoked")];
    let [revoked_old, revoked_new] = [&of_old[1], &of_new[1]];
    let write = |of_old: u64, of_new: u64| {
        pki.write("root.crl", list(&pki.ca, of_old, &[]));
        pki.write("old.crl", list(&old, of_old, &[revoked_old]));
        pki.write("new.crl", list(&new, of_new, &[revoked_new]));
    };
    let tls = revoking(&pki, &["root.crl", "old.crl", "new.crl"]);
    write(57, 3);
    assert_eq!(warnings(&tls), ["crl_unknown_issuer", "crl_unknown_issuer"]);
    let mut snapshot = load(&tls);
    for _edition in ["first", "renewed"] {
        for (ca, [kept, revoked]) in [(&old, &of_old), (&new, &of_new)] {
            let judged =
                |leaf: &Leaf| verdict(&snapshot, &[leaf.certificate.der(), ca.certificate.der()]);
            assert!(matches!(judged(kept), Verdict::Trusted), "{:?}", judged(kept));
            assert_eq!(fault(judged(revoked)).reason, "client_cert_revoked");
        }
        write(58, 4);
        snapshot = server::reload(&tls, &snapshot).unwrap().snapshot;
    }
    // An older list of one of the keys is one all the same.
    write(58, 3);
    let problems = server::reload(&tls, &snapshot).unwrap_err().problems;
    assert_eq!(problems[0].reason, "crl_rolled_back");
    assert!(problems[0].message.contains("is number 0x3 of "), "{}", problems[0].message);
}

fn list(ca: &Ca, number: u64, revoked: &[&Leaf]) -> String {
    Published { number, revoked, ..Published::default() }.by(ca).pem().unwrap()
}
