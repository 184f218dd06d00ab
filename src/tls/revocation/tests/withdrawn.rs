//! Lists of issuers that are no anchors, gone at a reload while what they were about is still trusted.

use super::*;

/// A root and an intermediate that revoked one client, each with a list, and `unknown: allow`.
struct Below {
    pki: TestPki,
    middle: Ca,
    client: Leaf,
    tls: ServerTls,
}

impl Below {
    fn new() -> Self {
        let pki = TestPki::new();
        let middle = pki.ca.intermediate("Middle CA");
        let client = middle.issue(client_params("below"));
        let mut tls = revoking(&pki, &["all.crl"]);
        tls.revocation.unknown = OnDoubt::Allow;
        let below = Self { pki, middle, client, tls };
        below.publish(Some(1));
        below
    }

    /// The root's list and, with this number, the intermediate's.
    fn publish(&self, number: Option<u64>) {
        let mut lists = Published::default().by(&self.pki.ca).pem().unwrap();
        if let Some(number) = number {
            let revoked: &[&Leaf] = &[&self.client];
            let list = Published { number, revoked, ..Published::default() }.by(&self.middle);
            lists.push_str(&list.pem().unwrap());
        }
        self.pki.write("all.crl", lists);
    }

    fn judged(&self, snapshot: &ServerSnapshot) -> Verdict {
        verdict(snapshot, &[self.client.certificate.der(), self.middle.certificate.der()])
    }

    fn reload(&self, before: &ServerSnapshot) -> Result<ServerSnapshot, Vec<Problem>> {
        let loaded = server::reload(&self.tls, before);
        loaded.map(|loaded| loaded.snapshot).map_err(|error| error.problems)
    }

    fn warnings(&self, before: &ServerSnapshot) -> Vec<&'static str> {
        let found = server::reload(&self.tls, before).unwrap().warnings.into_iter();
        let about_lists = found.filter(|warning| warning.key_path.ends_with("client_crl_file"));
        about_lists.map(|warning| warning.reason).collect()
    }
}

/// Guarantees: once a chain showed whose the list is, it cannot go while the anchor of that chain is
/// trusted, after any number of reloads without another client, and with newer editions between.
#[test]
fn t14_the_list_of_an_intermediate_that_was_seen_does_not_vanish() {
    let below = Below::new();
    let mut snapshot = load(&below.tls);
    assert!(matches!(below.judged(&snapshot), Verdict::Revoked(_)));
    for number in [1, 2, 3] {
        below.publish(Some(number));
        snapshot = below.reload(&snapshot).unwrap();
    }
    below.publish(None);
    let problems = below.reload(&snapshot).unwrap_err();
    assert_eq!(problems[0].reason, "crl_withdrawn");
    let message = &problems[0].message;
    assert!(message.starts_with("has no list of CN=Middle CA any more, "), "{message}");
    let help = problems[0].help.as_deref().unwrap_or_default();
    assert!(help.contains("restart"), "{help}");
    // Another key's list under that name is none of it.
    let impostor = Published { number: 9, ..Published::default() }.by(&Ca::new("Middle CA"));
    let root = Published::default().by(&below.pki.ca).pem().unwrap();
    below.pki.write("all.crl", root + &impostor.pem().unwrap());
    assert_eq!(below.reload(&snapshot).unwrap_err()[0].reason, "crl_withdrawn");
}

/// Guarantees: a list that no chain was seen for may be of a stranger, so it may go, but not without
/// a word.
#[test]
fn a_list_that_nobody_was_seen_for_goes_with_a_warning() {
    let below = Below::new();
    let snapshot = load(&below.tls);
    below.publish(None);
    assert_eq!(below.warnings(&snapshot), ["crl_withdrawn"]);
}

/// Scenario: the CA above the intermediate leaves the bundle together with the list.
#[test]
fn the_list_of_an_intermediate_may_go_with_its_ca() {
    let below = Below::new();
    let bundle = |pem: String| below.pki.write("ca.crt", pem);
    bundle(below.pki.ca.pem() + &below.pki.other_ca.pem());
    let snapshot = load(&below.tls);
    assert!(matches!(below.judged(&snapshot), Verdict::Revoked(_)));
    bundle(below.pki.other_ca.pem());
    below.pki.write("all.crl", Published::default().by(&below.pki.other_ca).pem().unwrap());
    assert!(below.reload(&snapshot).is_ok());
}

/// Guarantees: where the loss of a list refuses its clients by itself, the reload is not refused, too.
#[test]
fn the_list_of_an_intermediate_may_go_where_that_refuses_its_clients() {
    let mut below = Below::new();
    below.tls.revocation.unknown = OnDoubt::Deny;
    let snapshot = load(&below.tls);
    assert!(matches!(below.judged(&snapshot), Verdict::Revoked(_)));
    below.publish(None);
    assert_eq!(below.warnings(&snapshot), [""; 0]);
    let after = below.reload(&snapshot).unwrap();
    assert_eq!(fault(below.judged(&after)).reason, "client_cert_revocation_unknown");
}

/// Guarantees: a pinned leaf needs no list, so the one that it is on holds whatever the policy is; one
/// that names no pinned leaf may go.
#[test]
fn the_list_that_a_pinned_leaf_is_on_does_not_vanish() {
    let pki = TestPki::new();
    pki.write("ca.crt", pki.client.cert_pem() + &pki.other_ca.pem());
    let other = Published::default().by(&pki.other_ca).pem().unwrap();
    let tls = revoking(&pki, &["all.crl"]);
    for (revoked, may_go) in [(&[&pki.client][..], false), (&[], true)] {
        let list = Published { revoked, ..Published::default() }.by(&pki.ca).pem().unwrap();
        pki.write("all.crl", other.clone() + &list);
        let snapshot = load(&tls);
        assert_eq!(is_trusted(&snapshot, &pki.client), may_go);
        pki.write("all.crl", &other);
        match server::reload(&tls, &snapshot) {
            Ok(_loaded) => assert!(may_go),
            Err(error) => assert!(!may_go && error.problems[0].reason == "crl_withdrawn"),
        }
    }
}
