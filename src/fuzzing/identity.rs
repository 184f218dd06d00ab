//! Whom a certificate is taken for.

use crate::identity::{Allow, Decision, Kind, Name, Rules, extract, is_spiffe, spiffe_id};
use crate::tls::inspect::describe;

/// Takes any bytes for a certificate in DER. Nothing panics; at most one SPIFFE id comes out, and
/// only of a certificate that holds exactly one URI; whatever is said of it is fit for a log line.
pub fn identity(data: &[u8]) {
    let Some(facts) = describe(data) else { return };
    let leaf = facts.identity;
    let ids = leaf.uris.iter().filter(|uri| is_spiffe(uri)).count();
    match spiffe_id(&leaf) {
        Ok(Some(id)) => assert_eq!(leaf.uris, [id.to_string()], "an id beside another URI"),
        Ok(None) => assert_eq!(ids, 0, "an id was overlooked"),
        Err(_unfit) => assert!(ids > 0, "a fault of an id that is not there"),
    }
    for kind in Kind::ALL {
        let found = extract(&leaf, &[kind]);
        assert!(ids < 2 || found.is_err(), "a name beside two ids");
        if let Ok(name) = &found {
            assert_eq!(name.kind(), kind);
            assert!(!matches!(name, Name::Spiffe(_)) || !leaf.may_sign, "a CA has an id");
        }
        fit(&found.map_or_else(|unfit| unfit.to_string(), |name| name.to_string()));
    }
    let rules = Rules {
        key_path: "extensions.client_identity".to_owned(),
        source: Kind::ALL.to_vec(),
        allow: Allow::Rules(Vec::new()),
        deny: Vec::new(),
    };
    match rules.decide(&leaf) {
        Decision::Admitted { .. } => panic!("let in by no rule"),
        Decision::Refused(denial) => fit(&denial.to_string()),
    }
}

fn fit(text: &str) {
    assert!(!text.chars().any(|c| c.is_control() || !c.is_ascii()), "not escaped: {text:?}");
}
