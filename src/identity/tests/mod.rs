//! Who a certificate is taken for, and whom a rule lets in: the tables of threats 20 to 22.

mod properties;

use super::*;

fn leaf() -> Identity {
    Identity {
        subject: "CN=agent".to_owned(),
        issuer: "CN=ca".to_owned(),
        common_name: Some("agent".to_owned()),
        serial: "1".to_owned(),
        sha256: "ab".repeat(32),
        ..Identity::nobody()
    }
}

fn texts(list: &[&str]) -> Vec<String> {
    list.iter().map(|text| (*text).to_owned()).collect()
}

fn with(uris: &[&str], dns: &[&str]) -> Identity {
    Identity { uris: texts(uris), dns: texts(dns), ..leaf() }
}

fn pattern(kind: Kind, text: &str) -> Pattern {
    Pattern::parse(kind, text).unwrap_or_else(|why| panic!("{kind} {text}: {why}"))
}

fn rules(source: &[Kind], allow: &[(Kind, &str)], deny: &[(Kind, &str)]) -> Rules {
    let rule =
        |(kind, text): &(Kind, &str)| Rule { pattern: pattern(*kind, text), signals: [true; 4] };
    Rules {
        key_path: "extensions.client_identity".to_owned(),
        source: source.to_vec(),
        allow: Allow::Rules(allow.iter().map(rule).collect()),
        deny: deny.iter().map(|(kind, text)| pattern(*kind, text)).collect(),
    }
}

fn reason(decision: &Decision) -> &'static str {
    match decision {
        Decision::Admitted { .. } => "admitted",
        Decision::Refused(denial) => denial.reason(),
    }
}

const MOST: [Kind; 3] = [Kind::Spiffe, Kind::Dns, Kind::Cn];
const GOOD: &str = "spiffe://shop.example/ns/prod/sa/web";

/// Scenario: two ids, NUL, other alphabets, wildcards, ports, queries, CAs.
/// Guarantees: each gives no identity at all, also where a good name of another kind is beside it.
#[test]
fn t20_a_certificate_with_confusing_names_gives_no_identity() {
    let long = format!("spiffe://shop.example/{}", "a".repeat(2048));
    let uris: &[&[&str]] = &[
        &[GOOD, "spiffe://shop.example/ns/prod/sa/admin"],
        &[GOOD, GOOD],
        &[GOOD, "https://shop.example/web"],
        &["SPIFFE://shop.example/ns/prod/sa/web"],
        &["Spiffe:shop"],
        &["spiffe:/shop.example/web"],
        &["spiffe://shop.example"],
        &["spiffe://shop.example/"],
        &["spiffe:///ns/prod"],
        &["spiffe://shop.example/ns//web"],
        &["spiffe://shop.example/ns/web/"],
        &["spiffe://shop.example/ns/./web"],
        &["spiffe://shop.example/ns/../web"],
        &["spiffe://shop.example/ns/%2e%2e/web"],
        &["spiffe://shop.example/ns/web?a=b"],
        &["spiffe://shop.example/ns/web#a"],
        &["spiffe://shop.example:443/ns/web"],
        &["spiffe://me@shop.example/ns/web"],
        &["spiffe://Shop.example/ns/web"],
        &["spiffe://shop.example/ns/*"],
        &["spiffe://*/ns/web"],
        &["spiffe://shop.example/ns/web\0.evil"],
        &["spiffe://sh\u{43e}p.example/ns/web"],
        &["spiffe://shop.example/ns/web "],
        &[" spiffe://shop.example/ns/web"],
        &["spiffe://shop.example\\ns/web"],
        &[&long],
    ];
    for case in uris {
        for source in [&MOST[..], &[Kind::Dns], &[Kind::Cn], &[Kind::Sha256]] {
            let found = extract(&with(case, &["good.example"]), source);
            assert!(found.is_err_and(|why| why.is_malformed()), "{case:?} by {source:?}");
        }
    }
    let names: &[&[&str]] = &[
        &["*.shop.example"],
        &["a.shop.example", "b.shop.example"],
        &["a.shop.example\0.evil.example"],
        &["b\u{fc}cher.example"],
        &["a..example"],
        &["a.example."],
        &[".example"],
        &["a example"],
        &["a/b"],
        &[""],
    ];
    for case in names {
        let found = extract(&with(&[], case), &MOST);
        assert!(found.is_err(), "{case:?} is {found:?}");
    }
    let signer = Identity { may_sign: true, ..with(&[GOOD], &[]) };
    assert_eq!(extract(&signer, &MOST), Err(Unfit::Signs));
    let odd = Identity { unreadable_names: true, ..with(&[GOOD], &[]) };
    assert_eq!(extract(&odd, &MOST), Err(Unfit::Unreadable));
    let many = Identity { dns: vec!["a.example".to_owned(); 65], ..with(&[GOOD], &[]) };
    assert_eq!(extract(&many, &MOST), Err(Unfit::Names(66)));
    assert_eq!(extract(&with(&[GOOD], &[]), &MOST).unwrap().to_string(), GOOD);
}

#[test]
fn names_of_each_kind_are_read_in_the_order_of_the_source() {
    let all = Identity {
        emails: texts(&["Ops@Shop.Example"]),
        ips: vec!["::ffff:192.0.2.1".parse().unwrap()],
        ..with(&["https://shop.example/web"], &["Web.Shop.Example"])
    };
    for (kind, expected) in [
        (Kind::Dns, "dns:web.shop.example"),
        (Kind::Uri, "uri:https://shop.example/web"),
        (Kind::Email, "email:Ops@shop.example"),
        (Kind::Ip, "ip:192.0.2.1"),
        (Kind::Cn, "cn:agent"),
        (Kind::Sha256, &format!("sha256:{}", "ab".repeat(32))),
    ] {
        assert_eq!(extract(&all, &[Kind::Spiffe, kind]).unwrap().to_string(), expected);
        let pattern = pattern(kind, expected.split_once(':').unwrap().1);
        assert!(pattern.matches(&extract(&all, &[kind]).unwrap()), "{pattern}");
        assert!(pattern.matches_any(&all), "{pattern}");
    }
    assert!(extract(&all, &[Kind::Spiffe]).is_err());
    let odd = Identity { common_name: Some("agent\n2026 INFO".to_owned()), ..leaf() };
    let why = extract(&odd, &[Kind::Cn]).unwrap_err().to_string();
    assert!(!why.contains('\n'), "{why}");
}

/// Scenario: a common name, a URI or an address that reads as an allowed name of another kind.
/// Guarantees: it is denied, whatever the order of the source.
#[test]
fn t21_a_common_name_never_passes_for_another_kind_of_name() {
    let kinds = [Kind::Dns, Kind::Cn, Kind::Uri, Kind::Email];
    let spoofs = [
        Identity { common_name: Some("admin.svc".to_owned()), ..leaf() },
        Identity { emails: texts(&["x@admin.svc"]), ..leaf() },
        Identity { uris: texts(&["https://admin.svc"]), common_name: None, ..leaf() },
        Identity { common_name: Some("dns:admin.svc".to_owned()), ..leaf() },
    ];
    let only_dns = rules(&kinds, &[(Kind::Dns, "admin.svc"), (Kind::Dns, "**.svc")], &[]);
    for spoof in &spoofs {
        let decision = only_dns.decide(spoof);
        assert_eq!(reason(&decision), "identity_denied", "{spoof:?}");
    }
    assert_eq!(reason(&only_dns.decide(&with(&[], &["admin.svc"]))), "admitted");
    // The other way round: the rule is for the common name.
    let only_cn = rules(&[Kind::Cn, Kind::Dns], &[(Kind::Cn, "admin.svc")], &[]);
    let named = Identity { common_name: None, ..with(&[], &["admin.svc"]) };
    assert_eq!(reason(&only_cn.decide(&named)), "identity_denied");
    let Decision::Refused(denial) = only_dns.decide(&spoofs[0]) else { panic!() };
    assert_eq!(
        denial.to_string(),
        "cn:admin.svc is not allowed here: no rule under extensions.client_identity.allow names \
         it; the gateway's operator can add { cn: \"admin.svc\" }"
    );
    // Without `cn` in the source a common name is nobody.
    let decision = rules(&[Kind::Dns], &[(Kind::Dns, "admin.svc")], &[]).decide(&spoofs[0]);
    assert_eq!(reason(&decision), "identity_missing");
}

/// Guarantees: a pattern is held against whole segments from the first to the last.
#[test]
fn t22_a_pattern_matches_whole_segments_and_nothing_beside_them() {
    for (kind, rule, name, expected) in [
        (Kind::Spiffe, "spiffe://a.example/ns/prod", "spiffe://a.example/ns/prod", true),
        (Kind::Spiffe, "spiffe://a.example/ns/prod", "spiffe://a.example/ns/prod-evil", false),
        (Kind::Spiffe, "spiffe://a.example/ns/prod", "spiffe://a.example/ns/prod/sa", false),
        (Kind::Spiffe, "spiffe://a.example/ns/prod", "spiffe://a.example/ns", false),
        (Kind::Spiffe, "spiffe://a.example/ns/prod", "spiffe://a.example/ns/Prod", false),
        (Kind::Spiffe, "spiffe://a.example/ns/prod", "spiffe://a.example.evil/ns/prod", false),
        (Kind::Spiffe, "spiffe://a.example/ns/prod", "spiffe://evil.a.example/ns/prod", false),
        (Kind::Spiffe, "spiffe://a.example/ns/prod", "spiffe://evil/a.example/ns/prod", false),
        (Kind::Spiffe, "spiffe://a.example/ns/*/web", "spiffe://a.example/ns/x/web", true),
        (Kind::Spiffe, "spiffe://a.example/ns/*/web", "spiffe://a.example/ns/x/y/web", false),
        (Kind::Spiffe, "spiffe://a.example/ns/*/web", "spiffe://a.example/ns/web", false),
        (Kind::Spiffe, "spiffe://a.example/ns/*", "spiffe://a.example/ns/x", true),
        (Kind::Spiffe, "spiffe://a.example/ns/*", "spiffe://a.example/ns/x/y", false),
        (Kind::Spiffe, "spiffe://a.example/ns/*", "spiffe://a.example/ns", false),
        (Kind::Spiffe, "spiffe://a.example/ns/**", "spiffe://a.example/ns/x/y/z", true),
        (Kind::Spiffe, "spiffe://a.example/ns/**", "spiffe://a.example/ns", false),
        (Kind::Spiffe, "spiffe://a.example/ns/**", "spiffe://a.example/nsx/y", false),
        (Kind::Spiffe, "spiffe://a.example/**", "spiffe://a.example/x", true),
        (Kind::Spiffe, "spiffe://a.example/**", "spiffe://b.example/x", false),
        (Kind::Spiffe, "spiffe://a.example/...", "spiffe://a.example/...", true),
        (Kind::Dns, "admin.svc", "ADMIN.svc", true),
        (Kind::Dns, "Admin.svc", "admin.svc", true),
        (Kind::Dns, "admin.svc", "admin.svc.evil", false),
        (Kind::Dns, "admin.svc", "xadmin.svc", false),
        (Kind::Dns, "*.svc", "admin.svc", true),
        (Kind::Dns, "*.svc", "a.admin.svc", false),
        (Kind::Dns, "*.svc", "svc", false),
        (Kind::Dns, "a.*.svc", "a.b.svc", true),
        (Kind::Dns, "**.svc", "a.b.svc", true),
        (Kind::Dns, "**.svc", "svc", false),
        (Kind::Dns, "**.svc", "evilsvc", false),
        (Kind::Uri, "https://a.example/x/*", "https://a.example/x/y", true),
        (Kind::Uri, "https://a.example/x/*", "https://a.example/x/y/z", false),
        (Kind::Uri, "https://a.example/x/**", "https://a.example/x/y/z", true),
        (Kind::Uri, "https://a.example/x/**", "https://a.example/xy/z", false),
        (Kind::Uri, "https://a.example/x", "http://a.example/x", false),
        (Kind::Uri, "urn:uuid:1", "urn:uuid:1", true),
        (Kind::Uri, "urn:uuid:1", "urn:uuid:12", false),
        (Kind::Email, "a@b.example", "a@B.example", true),
        (Kind::Email, "a@b.example", "A@b.example", false),
        (Kind::Email, "*@b.example", "x@b.example", true),
        (Kind::Email, "*@b.example", "x@a.b.example", false),
        (Kind::Email, "*@b.example", "x@xb.example", false),
        (Kind::Ip, "192.0.2.1", "192.0.2.1", true),
        (Kind::Ip, "192.0.2.1", "::ffff:192.0.2.1", true),
        (Kind::Ip, "192.0.2.1", "192.0.2.10", false),
        (Kind::Cn, "agent", "agent", true),
        (Kind::Cn, "agent", "Agent", false),
        (Kind::Cn, "agent", "agent2", false),
    ] {
        let mut leaf = Identity { common_name: None, ..leaf() };
        match kind {
            Kind::Spiffe | Kind::Uri => leaf.uris.push(name.to_owned()),
            Kind::Dns => leaf.dns.push(name.to_owned()),
            Kind::Email => leaf.emails.push(name.to_owned()),
            Kind::Ip => leaf.ips.push(name.parse().unwrap()),
            Kind::Cn | Kind::Sha256 => leaf.common_name = Some(name.to_owned()),
        }
        let name = extract(&leaf, &[kind]).unwrap();
        assert_eq!(pattern(kind, rule).matches(&name), expected, "{rule} and {name}");
    }
    // What would walk out of a folder is no name at all.
    for name in
        ["https://a.example/x/../y", "https://a.example/x/%2e%2e/y", "https://a.example/x//y"]
    {
        assert!(extract(&with(&[name], &[]), &[Kind::Uri]).is_err(), "{name}");
    }
}

#[test]
fn a_pattern_that_could_be_misread_is_refused() {
    for (kind, text) in [
        (Kind::Spiffe, "spiffe://a.example"),
        (Kind::Spiffe, "spiffe://*/ns/prod"),
        (Kind::Spiffe, "spiffe://a.example/ns/prod-*"),
        (Kind::Spiffe, "spiffe://a.example/**/web"),
        (Kind::Spiffe, "spiffe://a.example/ns/"),
        (Kind::Spiffe, "spiffe://a.example/ns/../x"),
        (Kind::Spiffe, "a.example/ns/prod"),
        (Kind::Spiffe, "*"),
        (Kind::Dns, "web*.svc"),
        (Kind::Dns, "a.**.svc"),
        (Kind::Dns, "a..svc"),
        (Kind::Dns, "a.svc."),
        (Kind::Dns, ""),
        (Kind::Dns, "https://a.svc"),
        (Kind::Uri, "https://*/x"),
        (Kind::Uri, "https://a.example/x*"),
        (Kind::Uri, "https://a.example/**/x"),
        (Kind::Uri, "https://a.example/x?y"),
        (Kind::Uri, "*"),
        (Kind::Uri, "**"),
        (Kind::Uri, "spiffe://a.example/x"),
        (Kind::Email, "*"),
        (Kind::Email, "a*@b.example"),
        (Kind::Email, "b.example"),
        (Kind::Ip, "10.0.0.0/8"),
        (Kind::Ip, "10.0.0.*"),
        (Kind::Cn, "*"),
        (Kind::Cn, ""),
        (Kind::Cn, "#0061"),
        (Kind::Sha256, "abcd"),
    ] {
        let read = Pattern::parse(kind, text);
        assert!(read.is_err(), "{kind}: {text:?} is {read:?}");
    }
}

/// Guarantees: a denial beats every permission, and sees every name of a certificate.
#[test]
fn a_denial_is_held_against_every_name_and_beats_every_permission() {
    let kinds = [Kind::Spiffe];
    let allow = [(Kind::Spiffe, "spiffe://shop.example/**")];
    let peer = Identity { emails: texts(&["a@b.example"]), ..with(&[GOOD], &["Web.Shop.Example"]) };
    assert_eq!(reason(&rules(&kinds, &allow, &[]).decide(&peer)), "admitted");
    for deny in [
        (Kind::Spiffe, "spiffe://shop.example/ns/prod/sa/*"),
        (Kind::Spiffe, "spiffe://shop.example/NS/prod/sa/web"),
        (Kind::Dns, "**.example"),
        (Kind::Cn, "Agent"),
        (Kind::Email, "*@b.example"),
        (Kind::Sha256, &"AB:".repeat(32)),
    ] {
        for mut rules in [rules(&kinds, &allow, &[deny]), rules(&kinds, &allow, &[deny])] {
            assert_eq!(reason(&rules.decide(&peer)), "identity_denied", "{deny:?}");
            rules.allow = Allow::Any;
            assert_eq!(reason(&rules.decide(&peer)), "identity_denied", "{deny:?}");
        }
    }
}

/// Scenario: a CA lets its client add a common name to the one that is denied here.
/// Guarantees: it is denied all the same, where any certificate is let in, too.
#[test]
fn a_second_common_name_does_not_hide_the_denied_one() {
    let two = Identity { common_name: None, common_names: texts(&["other", "agent"]), ..leaf() };
    let mut any = rules(&[Kind::Cn], &[], &[(Kind::Cn, "agent")]);
    any.allow = Allow::Any;
    assert_eq!(reason(&any.decide(&two)), "identity_denied");
    any.deny.clear();
    assert!(matches!(any.decide(&two), Decision::Admitted { name: None, .. }));
}

#[test]
fn any_admits_a_certificate_without_a_name_but_none_that_is_malformed() {
    let mut any = rules(&MOST, &[], &[]);
    any.allow = Allow::Any;
    let nameless = Identity { common_name: None, ..leaf() };
    assert!(matches!(any.decide(&nameless), Decision::Admitted { name: None, .. }));
    assert_eq!(reason(&any.decide(&with(&[], &["a.example", "b.example"]))), "admitted");
    assert_eq!(reason(&any.decide(&with(&[GOOD, GOOD], &[]))), "identity_invalid");
    let rules = rules(&MOST, &[], &[]);
    assert_eq!(reason(&rules.decide(&nameless)), "identity_missing");
    let two = rules.decide(&with(&[], &["a.example", "b.example"]));
    assert_eq!(reason(&two), "identity_ambiguous");
}

/// Guarantees: patterns that are compared as a whole match names of their own kind alone.
#[test]
fn t21_no_text_passes_for_a_name_of_another_kind() {
    let hash = "ab".repeat(32);
    let address = "web@shop.example".to_owned();
    let names = [
        Name::Cn(hash.clone()),
        Name::Sha256(hash.clone()),
        Name::Cn(address.clone()),
        Name::Email(address.clone()),
    ];
    for (kind, text) in
        [(Kind::Cn, &hash), (Kind::Sha256, &hash), (Kind::Cn, &address), (Kind::Email, &address)]
    {
        let pattern = pattern(kind, text);
        for name in &names {
            let same = name.kind() == kind && name.value() == *text;
            assert_eq!(pattern.matches(name), same, "{kind} {text}: {name}");
        }
    }
}

/// Guarantees: a name as long as the longest SPIFFE id is looked at, and no longer one, also where
/// another kind decides.
#[test]
fn t20_a_name_that_is_too_long_gives_no_identity() {
    for (length, fits) in [(2048, true), (2049, false)] {
        let uri = format!("https://{}", "a".repeat(length - 8));
        let leaf = Identity { uris: vec![uri], common_name: Some("web".to_owned()), ..leaf() };
        let found = extract(&leaf, &[Kind::Cn]);
        assert_eq!(found.is_ok(), fits, "{length}: {found:?}");
    }
}
