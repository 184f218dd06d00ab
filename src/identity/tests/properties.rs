//! What holds of any certificate and any rule.

use proptest::prelude::*;

use super::*;

fn any_name() -> impl Strategy<Value = String> {
    prop_oneof![
        Just(GOOD.to_owned()),
        Just("spiffe://b.example/x".to_owned()),
        "(spiffe|SPIFFE|https|urn):(//)?[a-zA-Z.:@*]{0,8}(/[a-z.*%]{0,4}){0,4}",
        "[a-zA-Z*.]{0,12}(@[a-z.]{1,8})?",
        "\\PC{0,12}",
        any::<String>(),
    ]
}

fn any_leaf() -> impl Strategy<Value = Identity> {
    let names = || prop::collection::vec(any_name(), 0..4);
    let flags = (prop::bool::weighted(0.1), prop::bool::weighted(0.1));
    (names(), names(), names(), prop::option::of(any_name()), flags).prop_map(
        |(uris, dns, emails, common_name, (unreadable_names, may_sign))| Identity {
            uris,
            dns,
            emails,
            common_name,
            unreadable_names,
            may_sign,
            ..leaf()
        },
    )
}

proptest! {
    /// Guarantees: never a panic, never two SPIFFE ids, and one name has one form.
    #[test]
    fn whatever_a_certificate_holds_at_most_one_sound_identity_comes_out(
        leaf in any_leaf(),
        source in prop::sample::subsequence(Kind::ALL.to_vec(), 0..=7).prop_shuffle(),
    ) {
        let found = extract(&leaf, &source);
        if leaf.uris.iter().filter(|uri| is_spiffe(uri)).count() > 1 {
            prop_assert!(found.is_err());
        }
        if let Ok(name) = &found {
            prop_assert!(source.contains(&name.kind()));
            prop_assert!(!name.to_string().chars().any(|c| c.is_control() || !c.is_ascii()));
            if let Name::Spiffe(id) = name {
                prop_assert_eq!(&leaf.uris, &vec![id.to_string()]);
                prop_assert!(!leaf.may_sign && !leaf.unreadable_names);
            }
            // A rule that repeats the name admits it.
            if let Ok(same) = Pattern::parse(name.kind(), &raw(name)) {
                prop_assert!(same.matches(name) && same.matches_any(&leaf));
            } else {
                prop_assert!(false, "{:?} cannot be written as a rule", name);
            }
        }
    }

    #[test]
    fn any_text_is_a_pattern_or_an_error_and_never_a_panic(
        text in any_name(),
        leaf in any_leaf(),
    ) {
        for kind in Kind::ALL {
            let Ok(pattern) = Pattern::parse(kind, &text) else { continue };
            if let Ok(name) = extract(&leaf, &[kind])
                && pattern.matches(&name)
            {
                prop_assert!(pattern.matches_any(&leaf));
                if !text.contains('*') {
                    prop_assert!(raw(&name).eq_ignore_ascii_case(&text) || kind == Kind::Ip);
                }
            }
        }
    }

    /// Guarantees: `**` begins where a segment does.
    #[test]
    fn a_pattern_for_the_rest_is_a_prefix_of_whole_segments(
        head in prop::collection::vec("[a-c]{1,2}", 1..3),
        path in prop::collection::vec("[a-c]{1,2}", 1..5),
    ) {
        let rule = pattern(Kind::Spiffe, &format!("spiffe://a.example/{}/**", head.join("/")));
        let name = format!("spiffe://a.example/{}", path.join("/"));
        let name = extract(&with(&[&name], &[]), &[Kind::Spiffe]).unwrap();
        prop_assert_eq!(rule.matches(&name), path.len() > head.len() && path.starts_with(&head));
    }
}

fn raw(name: &Name) -> String {
    match name {
        Name::Cn(text)
        | Name::Dns(text)
        | Name::Email(text)
        | Name::Sha256(text)
        | Name::Uri(text) => text.clone(),
        Name::Ip(ip) => ip.to_string(),
        Name::Spiffe(id) => id.to_string(),
    }
}
