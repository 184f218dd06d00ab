//! Faults that few meet, of chains, of leaves and of revocation, each shown by `openssl` or `curl` with
//! what `openssl` makes.

use super::authority::{authority, client_of, publish, revoke};
use super::program::{Program, config, curl, openssl, s_client};
use super::{P256, assert_says, make_ca, request, sign};
use crate::support::pki::TestPki;

/// A leaf's extensions and further words for `openssl x509`; reason, why and help.
const LEAVES: [(&str, &str, &str, [&str; 3]); 3] = [
    (
        "critical",
        "1.2.3.4=critical,ASN1:UTF8String:ours",
        "",
        [
            "client_cert_extension",
            "it or an issuer has a critical extension that is not understood (1.2.3.4)",
            "re-issue it without marking that extension critical",
        ],
    ),
    (
        "staple",
        "tlsfeature=critical,status_request",
        "",
        ["client_cert_extension", "has a critical extension that is not understood", "re-issue it"],
    ),
    (
        "below-0",
        "extendedKeyUsage=clientAuth",
        "-set_serial -5",
        [
            "client_cert_bad_encoding",
            "its serial number is not a positive one",
            "re-issue it with a common tool and its defaults",
        ],
    ),
];

/// Scenario: leaves with rare faults, over TLS 1.2 and 1.3.
/// Guarantees: each is named with what mends it.
#[test]
fn rare_faults_of_leaves_are_named() {
    let pki = TestPki::new();
    make_ca(&pki, "my-ca");
    for (name, extensions, more, _said) in LEAVES {
        request(&pki, name, P256);
        sign(&pki, name, "my-ca", extensions, more);
    }
    for version in ["-tls1_2", "-tls1_3"] {
        let program = Program::start(&pki, "client_ca_file: my-ca.crt");
        for (name, _extensions, _more, [reason, why, help]) in LEAVES {
            let words = format!("{version} -cert {name}.crt -key {name}.key");
            let said = s_client(&pki, program.port, &words);
            assert!(said.contains("alert number"), "{name} {version}: {said}");
            assert_says(&program.refusal(name), name, reason, why, help);
        }
    }
}

/// Signs `name` and writes `NAME.chain` with it and these issuers.
fn chained(pki: &TestPki, name: &str, issuer: &str, extensions: &str, sent: &[&str]) {
    request(pki, name, P256);
    sign(pki, name, issuer, extensions, "");
    let files = std::iter::once(&name).chain(sent).map(|name| pki.path(&format!("{name}.crt")));
    let chain: String = files.map(|file| std::fs::read_to_string(file).unwrap()).collect();
    pki.write(&format!("{name}.chain"), chain);
}

/// Who shows it, reason, why and help.
const CHAINS: [[&str; 4]; 9] = [
    [
        "too-deep",
        "client_cert_chain",
        "its chain of 3 certificates is longer than one of its CAs allows (`pathlen` of",
        "issue it under the CA that sets the limit, or re-issue that CA with a larger pathlen",
    ],
    [
        "of-no-ca",
        "client_cert_chain",
        "its issuer CN=no-ca is no CA (it lacks basicConstraints CA:TRUE)",
        "issue it under a CA; if that issuer is meant to be one, re-issue it with",
    ],
    [
        "of-eight",
        "client_cert_chain",
        "its chain of 9 certificates is longer than is followed, which is six intermediates",
        "put one of its intermediates into my-ca.crt, or issue it nearer to its root",
    ],
    [
        "elsewhere",
        "client_cert_name_constraint",
        "its names are outside of what its CA may vouch for: DNS:otel.elsewhere.net",
        ALLOWS,
    ],
    [
        "spiffe",
        "client_cert_name_constraint",
        "or its CA constrains URIs, which cannot be checked: URI:spiffe://example.com/a",
        ALLOWS,
    ],
    [
        "of-stars",
        "client_cert_name_constraint",
        "its issuer CN=stars has name constraints that cannot be read",
        "a DNS constraint is a domain such as example.com, without `*`",
    ],
    [
        "of-holes",
        "client_cert_name_constraint",
        "its issuer CN=holes has name constraints that cannot be read",
        "an IP constraint an address with a mask of leading ones",
    ],
    [
        "no-host",
        "client_cert_name_constraint",
        "its issuer CN=bound has name constraints, and one of its names is no name to compare \
     with them: DNS:our shop",
        "re-issue it with names of hosts alone",
    ],
    [
        "of-backwards",
        "client_cert_expired",
        "an issuer that it came with, CN=backwards (issuer CN=my-ca, serial ",
        "renew it",
    ],
];

const ALLOWS: &str = "issue it under a CA whose name constraints allow these names";

/// `NAME.chain` of all of them, and of `sound`.
fn chains() -> TestPki {
    let pki = TestPki::new();
    make_ca(&pki, "my-ca");
    let client = "extendedKeyUsage=clientAuth";
    let san = |name: &str| format!("{client}\nsubjectAltName={name}");
    chained(&pki, "last", "my-ca", "basicConstraints=critical,CA:TRUE,pathlen:0", &[]);
    chained(&pki, "further", "last", SUB_CA, &[]);
    chained(&pki, "too-deep", "further", client, &["further", "last"]);
    chained(&pki, "sound", "last", client, &["last"]);
    chained(&pki, "no-ca", "my-ca", "basicConstraints=critical,CA:FALSE", &[]);
    chained(&pki, "of-no-ca", "no-ca", client, &["no-ca"]);
    chained(&pki, "i0", "my-ca", SUB_CA, &[]);
    let names: Vec<String> = (0..8).map(|number| format!("i{number}")).collect();
    for pair in names.windows(2) {
        chained(&pki, &pair[1], &pair[0], SUB_CA, &[]);
    }
    let sent: Vec<&str> = names.iter().rev().map(String::as_str).collect();
    chained(&pki, "of-eight", "i7", client, &sent);
    let bound = |to: &str| format!("{SUB_CA}\nnameConstraints=critical,permitted;{to}");
    chained(&pki, "bound", "my-ca", &bound("DNS:example.com"), &[]);
    chained(&pki, "elsewhere", "bound", &san("DNS:otel.elsewhere.net"), &["bound"]);
    chained(&pki, "uris", "my-ca", &bound("URI:example.com"), &[]);
    chained(&pki, "spiffe", "uris", &san("URI:spiffe://example.com/a"), &["uris"]);
    chained(&pki, "stars", "my-ca", &bound("DNS:*.example.com"), &[]);
    chained(&pki, "of-stars", "stars", &san("DNS:otel.example.com"), &["stars"]);
    chained(&pki, "holes", "my-ca", &bound("IP:10.0.0.0/255.0.255.0"), &[]);
    chained(&pki, "of-holes", "holes", &san("IP:10.1.2.3"), &["holes"]);
    chained(&pki, "no-host", "bound", &san("DNS:our shop"), &["bound"]);
    request(&pki, "backwards", P256);
    // It ends before it begins.
    sign(&pki, "backwards", "my-ca", SUB_CA, "-days -1");
    chained(&pki, "of-backwards", "backwards", client, &["backwards"]);
    pki
}

/// Scenario: `curl` sends chains: one longer than its CA allows, one through an issuer that is no CA,
/// one with eight intermediates, one through an issuer that ended before it began, a name that the CA
/// may not vouch for, names and constraints that no check can compare; beside them a chain that is
/// sound.
/// Guarantees: each is named with what mends it; the sound one is served.
#[test]
fn rare_faults_of_chains_are_named() {
    let pki = chains();
    let program = Program::start(&pki, "client_ca_file: my-ca.crt");
    let url = format!("https://localhost:{}/v1/traces", program.port);
    let post = |name: &str| {
        let who = format!("--cacert ca.crt --cert {name}.chain --key {name}.key");
        curl(&pki, &format!("{who} -H content-type:application/json --data {{}} {url}"))
    };
    for [name, reason, why, help] in CHAINS {
        let said = post(name);
        assert!(said.contains("alert"), "{name}: {said}");
        assert_says(&program.refusal(name), name, reason, why, help);
    }
    let said = post("sound");
    assert!(said.contains(" 200"), "{said}");
}

const SUB_CA: &str = "basicConstraints=critical,CA:TRUE";

/// A key file with the public half of a certificate and the secret of somebody else. Programs look at
/// the public half to find out whether key and certificate belong together.
pub(super) fn forged_key(pki: &TestPki, certificate: &str, file: &str) {
    openssl(pki.dir(), "ecparam -name prime256v1 -genkey -noout -outform DER -out thief.der");
    openssl(pki.dir(), &format!("x509 -in {certificate} -noout -pubkey -out public.pem"));
    openssl(pki.dir(), "pkey -pubin -in public.pem -outform DER -out public.der");
    let read = |name: &str| std::fs::read(pki.path(name)).unwrap();
    let (mut key, public) = (read("thief.der"), read("public.der"));
    // Both end in the point of the curve.
    let point = public.len() - 65..;
    key.truncate(key.len() - 65);
    key.extend_from_slice(&public[point]);
    pki.write("forged.der", key);
    openssl(pki.dir(), &format!("ec -inform DER -in forged.der -out {file}"));
}

/// Scenario: `openssl s_client` shows a good certificate that was copied, and signs with another key.
/// Guarantees: it is refused in both versions, and the certificate's owner is named.
#[test]
fn a_copied_certificate_is_of_no_use_without_its_key() {
    let pki = TestPki::new();
    forged_key(&pki, "client.crt", "forged.key");
    for version in ["-tls1_2", "-tls1_3"] {
        let program = Program::start(&pki, "client_ca_file: ca.crt");
        let words = format!("{version} -cert client.crt -key forged.key");
        let said = s_client(&pki, program.port, &words);
        assert!(said.contains("alert number"), "{version}: {said}");
        assert_says(
            &program.refusal(version),
            version,
            "client_cert_not_proven",
            "presented CN=test-client (issuer CN=Test CA, serial ",
            "check that its certificate and its key belong together; if they do, somebody else \
             shows a copy of that certificate",
        );
    }
}

/// Scenario: clients of three CAs. One has a current list and revoked a client, the list of one is
/// out of date, and there is none of the last.
/// Guarantees: the revoked one, and everybody of the other two, is refused for a reason of its own; who
/// is not on a current list is served.
#[test]
fn who_was_revoked_and_of_whom_that_is_not_known_are_told_apart() {
    let pki = TestPki::new();
    let mut cas = String::new();
    for name in ["current", "stale", "listless"] {
        authority(&pki, name);
        client_of(&pki, name, &format!("of-{name}"));
        cas.push_str(&std::fs::read_to_string(pki.path(&format!("{name}.crt"))).unwrap());
    }
    pki.write("cas.crt", cas);
    client_of(&pki, "current", "taken-back");
    revoke(&pki, "current", "taken-back");
    publish(&pki, "current", "current.crl", "");
    let past = "-crl_lastupdate 20240101000000Z -crl_nextupdate 20240201000000Z";
    publish(&pki, "stale", "stale.crl", past);
    let tls = "client_ca_file: cas.crt, client_crl_file: [current.crl, stale.crl]";
    let program = Program::start(&pki, tls);
    for (name, reason, why, help) in [
        (
            "taken-back",
            "client_cert_revoked",
            "its CA CN=current revoked it (key compromise; list ",
            "issue a new certificate for a new key, if its owner is still to be trusted",
        ),
        (
            "of-stale",
            "client_crl_expired",
            "the revocation list of its CA CN=stale in current.crl, stale.crl is out of date since \
             2024-02-01 00:00:00 UTC (",
            "fetch the CA's current list, or mend this machine's clock",
        ),
        (
            "of-listless",
            "client_cert_revocation_unknown",
            "no revocation list of its CA CN=listless is in current.crl, stale.crl (there: ",
            "add that CA's list; `revocation.scope: leaf` asks for those of leaves alone",
        ),
    ] {
        let said = s_client(&pki, program.port, &format!("-cert {name}.crt -key {name}.key"));
        assert!(said.contains("alert number"), "{name}: {said}");
        assert_says(&program.refusal(name), name, reason, why, help);
    }
    let url = format!("https://localhost:{}/v1/traces", program.port);
    let who = "--cacert ca.crt --cert of-current.crt --key of-current.key";
    let said = curl(&pki, &format!("{who} -H content-type:application/json --data {{}} {url}"));
    assert!(said.contains(" 200"), "{said}");
}

/// Scenario: a listener with `trust_domains`; ids of another domain and ids that break the standard.
/// Guarantees: each is refused in words of its own.
#[test]
fn spiffe_ids_that_do_not_hold_are_told() {
    let pki = TestPki::new();
    make_ca(&pki, "my-ca");
    for (name, san) in [
        ("foreign", "URI:spiffe://other.example/a"),
        ("double", "URI:spiffe://our.example/a,URI:spiffe://our.example/b"),
    ] {
        request(&pki, name, P256);
        let extensions = format!("extendedKeyUsage=clientAuth\nsubjectAltName={san}");
        sign(&pki, name, "my-ca", &extensions, "");
    }
    let rules = "extensions:
  client_identity: { allow: any, trust_domains: { our.example: my-ca.crt } }
service:
  extensions: [client_identity]";
    let yaml = config("client_ca_file: my-ca.crt")
        .replace("tls: {", "auth: { authenticator: client_identity }\n        tls: {")
        .replace("service:", rules);
    let program = Program::with_config(&pki, &yaml);
    for (name, reason, why) in [
        ("foreign", "client_cert_trust_domain", "other.example"),
        ("double", "client_cert_spiffe_id", "exactly one"),
    ] {
        s_client(&pki, program.port, &format!("-cert {name}.crt -key {name}.key"));
        let line = program.refusal(name);
        assert_says(&line, name, reason, why, "");
        assert_ne!(line["help"], "", "{line}");
    }
}

/// What a listener demands, what `openssl s_client` offers, and the line of the log.
const SETTINGS: [(&str, &str, [&str; 3]); 3] = [
    (
        "min_version: '1.3'",
        "-tls1_2",
        [
            "tls_version_not_allowed",
            "offered TLS 1.2 at most, which is not allowed here",
            "look at `min_version` and `max_version` of both sides",
        ],
    ),
    (
        "max_version: '1.2'",
        "-tls1_3",
        [
            "tls_version_not_allowed",
            "which is not allowed here",
            "look at `min_version` and `max_version` of both sides",
        ],
    ),
    (
        "",
        "-tls1_3 -sigalgs rsa_pss_rsae_sha256",
        [
            "no_common_signature",
            "accepts no signature that our key can make",
            "a client that knows RSA only needs a listener with an RSA key",
        ],
    ),
];

#[test]
fn settings_that_leave_nothing_in_common_are_named() {
    let pki = TestPki::new();
    for (tls, words, [reason, why, help]) in SETTINGS {
        let program =
            Program::with_config(&pki, &config(&format!("client_ca_file: ca.crt, {tls}")));
        s_client(&pki, program.port, words);
        assert_says(&program.refusal(words), words, reason, why, help);
    }
}
