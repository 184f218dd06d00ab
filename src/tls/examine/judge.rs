//! What is wrong with what a file holds, and who says what about it.

use std::path::Path;

use crate::tls::anchors;
use crate::tls::examine::{Complaint, Examined, Item, Kind};
use crate::tls::inspect::{self, CertificateFacts, Purpose};
use crate::tls::own;
use crate::tls::pem::Label;
use crate::tls::time;

/// Whether a certificate is there to sign others: marked so, or a root of X.509 v1.
pub(crate) fn is_authority(facts: &CertificateFacts) -> bool {
    let root = facts.identity.subject == facts.identity.issuer;
    facts.ca == Some(true) || (facts.version < 3 && root)
}

/// Bytes in front of the text that some readers take for a part of it.
pub(super) fn marks(bytes: &[u8], complaints: &mut Vec<Complaint>) {
    if bytes.starts_with(b"\xef\xbb\xbf") {
        complaints.push(
            Complaint::new(
                1,
                "pem_bom",
                "begins with a UTF-8 byte order mark; it is passed over here, but Go finds no PEM \
                 data in such a file, and rustls passes over its first block in silence",
                "remove it: `sed -i '1s/^\\xef\\xbb\\xbf//' FILE`",
            )
            .note(),
        );
    }
}

/// For a block that is neither certificate, CRL nor a readable key.
pub(super) fn foreign(line: usize, label: &Label) -> Option<Complaint> {
    let (reason, message) = match label {
        Label::Parameters => return None,
        Label::EncryptedKey(_) => (
            "key_encrypted",
            format!(
                "has an encrypted private key ({label}); Go says `asn1: structure error: tags \
                 don't match`, rustls `no items found`"
            ),
        ),
        Label::PublicKey => ("key_is_public", "has a public key".to_owned()),
        Label::CertificateRequest => ("cert_request", "has a certificate request".to_owned()),
        _ => {
            ("pem_other", format!("has a {label} block, which Go and rustls pass over in silence"))
        }
    };
    Some(Complaint::new(line, reason, message, label.mend()))
}

/// Each certificate, key and list by itself.
pub(super) fn items(items: &[Item], complaints: &mut Vec<Complaint>) {
    for Item { line, kind } in items {
        match kind {
            Kind::Certificate(facts) => certificate(*line, facts, complaints),
            Kind::Crl { next_update: Some(due), .. } if *due < time::now() => {
                let when = inspect::date(*due);
                complaints.push(Complaint::new(
                    *line,
                    "crl_expired",
                    format!("the CRL's next update was due on {when}"),
                    "fetch the CA's newest CRL",
                ));
            }
            Kind::Key { facts, spki_sha256: None } => {
                let what = match facts {
                    Some(facts) => format!("has a key of kind {facts} that cannot be used"),
                    None => "has a damaged private key".to_owned(),
                };
                let help = "supported: RSA from 2048 to 8192 bits, ECDSA on P-256, P-384 or P-521, \
                            Ed25519; make a new one: `openssl ecparam -name prime256v1 -genkey \
                            -noout`";
                complaints.push(Complaint::new(*line, "key_unsupported", what, help));
            }
            _ => {}
        }
    }
}

fn certificate(line: usize, facts: &CertificateFacts, complaints: &mut Vec<Complaint>) {
    let mut say = |reason, message: String, help: &str| {
        complaints.push(Complaint::new(line, reason, message, help));
    };
    if is_authority(facts) {
        // One that is restricted to one side is of use on that side.
        let unfit = |purpose| anchors::unfit(facts, &purpose, time::now());
        if let (Some((reason, why, help)), Some(_)) =
            (unfit(Purpose::ClientAuth), unfit(Purpose::ServerAuth))
        {
            say(reason, format!("as a CA it {why}"), help);
        }
        let used_as_leaf = facts.purposes.is_some()
            || !facts.identity.dns.is_empty()
            || !facts.identity.ips.is_empty();
        if used_as_leaf && facts.ca == Some(true) {
            say(
                "cert_is_ca",
                "it is marked CA:TRUE and yet looks like a leaf (what `openssl req -x509` makes): \
                 Go accepts it from a peer, rustls says CaUsedAsEndEntity; from a sender it is \
                 accepted here with a warning unless `strict_x509: true`"
                    .to_owned(),
                "issue a leaf, or add `-addext basicConstraints=critical,CA:FALSE`",
            );
        }
        return;
    }
    leaf_by_itself(facts, &mut say);
    for purpose in roles(facts) {
        for (reason, message, help) in own::complaints(facts, &purpose) {
            // Said above, in the words for both sides.
            if !matches!(reason, "own_cert_x509_v1" | "own_cert_signature") {
                say(reason, message.to_owned(), help);
            }
        }
    }
}

fn leaf_by_itself(facts: &CertificateFacts, say: &mut impl FnMut(&'static str, String, &str)) {
    let now = time::now();
    let ago = |at| format!("{} ({})", inspect::date(at), time::ago(at, now));
    if facts.not_after < now {
        say("cert_expired", format!("it expired on {}", ago(facts.not_after)), "renew it");
    } else if facts.not_before > now {
        let message = format!("it is not valid before {}", ago(facts.not_before));
        say("cert_not_yet_valid", message, "wait, or mend the clock of this machine");
    }
    if facts.version < 3 {
        say(
            "cert_x509_v1",
            "it is in X.509 v1 form: Go and OpenSSL accept it from a client, rustls says \
             UnsupportedCertVersion; from a sender it is accepted here with a warning unless \
             `strict_x509: true`, and a server's has no name that a client would accept"
                .to_owned(),
            own::V1_ANY_MEND,
        );
    }
    if facts.key.is_weak_rsa() {
        let bits = facts.key.bits;
        say(
            "weak_rsa_key",
            format!("its RSA key has {bits} bits, the least is 2048: rustls says BadSignature"),
            "make a new key: `openssl ecparam -name prime256v1 -genkey -noout`",
        );
    } else if !facts.key.is_supported() {
        let message = format!("its key is of kind {}, which cannot be verified", facts.key);
        say("cert_key_unsupported", message, "use RSA, P-256, P-384, P-521 or Ed25519");
    }
    let algorithm = facts.signature_algorithm.as_str();
    let lower = algorithm.to_ascii_lowercase();
    if ["md5", "sha1", "sha224"].iter().any(|hash| lower.contains(hash)) {
        let message = format!("it is signed with {algorithm}, which Go and rustls refuse");
        say("cert_signature_algorithm", message, "re-issue it with SHA-256");
    }
    if let Some(oid) = facts.unknown_critical.first() {
        let oid = inspect::shown(oid);
        let message = format!("its critical extension {oid} is understood by nobody");
        say("cert_extension", message, "re-issue it without marking that extension critical");
    }
    if facts.negative_serial {
        say(
            "cert_negative_serial",
            "its serial number is negative, which Go refuses".to_owned(),
            "",
        );
    }
}

/// As what a leaf is likely to be shown.
fn roles(facts: &CertificateFacts) -> Vec<Purpose> {
    match &facts.purposes {
        Some(_) if facts.permits(&Purpose::ServerAuth) => vec![Purpose::ServerAuth],
        Some(_) if facts.permits(&Purpose::ClientAuth) => Vec::new(),
        // Neither: as a sender's it says so.
        Some(_) => vec![Purpose::ClientAuth],
        None => Vec::new(),
    }
}

/// A chain that does not begin with its leaf.
pub(super) fn order(items: &[Item], complaints: &mut Vec<Complaint>) {
    let chain: Vec<_> = items
        .iter()
        .filter_map(|item| match &item.kind {
            Kind::Certificate(facts) => Some((item.line, facts)),
            _ => None,
        })
        .collect();
    let Some((_line, first)) = chain.first() else { return };
    let leaf = chain.iter().skip(1).find(|(_line, facts)| !is_authority(facts));
    let Some((line, leaf)) = leaf.filter(|_| is_authority(first)) else { return };
    let issued = chain.iter().any(|(_, facts)| facts.identity.subject == leaf.identity.issuer);
    if issued {
        complaints.push(
            Complaint::new(
                *line,
                "chain_order",
                format!(
                    "its leaf {} stands behind its CA: as `cert_file` it is put first here; Go says \
                     `private key does not match public key`",
                    inspect::named(&leaf.identity.subject)
                ),
                "write the leaf first, then the CA that signed it, and so on",
            )
            .note(),
        );
    }
}

/// A certificate in a file named as a key, and the other way round.
pub(super) fn place(path: &Path, items: &[Item], complaints: &mut Vec<Complaint>) {
    let ending = path.extension().and_then(|ending| ending.to_str()).unwrap_or_default();
    let has = |wanted: fn(&Kind) -> bool| items.iter().any(|item| wanted(&item.kind));
    let certificate = has(|kind| matches!(kind, Kind::Certificate(_)));
    let key = has(|kind| matches!(kind, Kind::Key { .. }));
    if ending == "key" && certificate && !key {
        complaints.push(Complaint::new(
            0,
            "key_is_certificate",
            "is named as a key and holds a certificate only",
            "are the two files swapped? `key_file` wants the private key",
        ));
    } else if matches!(ending, "crt" | "cer" | "cert") && key && !certificate {
        complaints.push(Complaint::new(
            0,
            "cert_is_key",
            "is named as a certificate and holds a private key only",
            "are the two files swapped? `cert_file` wants the certificate",
        ));
    }
}

/// A key that everybody may read.
pub(super) fn mode(path: &Path, mode: u32, items: &[Item], complaints: &mut Vec<Complaint>) {
    let key = items.iter().any(|item| matches!(item.kind, Kind::Key { .. }));
    if key && mode & 0o004 != 0 {
        let message =
            format!("every user of this machine can read the private key (mode {mode:04o})");
        let help = format!("`chmod o-rwx {}`", path.display());
        complaints.push(Complaint::new(0, "key_world_readable", message, help).note());
    }
}

pub(super) fn unmatched(files: &[Examined]) -> Vec<(usize, Complaint)> {
    let certified: Vec<_> = files
        .iter()
        .flat_map(|file| &file.items)
        .filter_map(|item| match &item.kind {
            Kind::Certificate(facts) => Some(facts.spki_sha256.as_str()),
            _ => None,
        })
        .collect();
    // A key alone belongs to a certificate that nobody asked about.
    if certified.is_empty() {
        return Vec::new();
    }
    let mut found = Vec::new();
    for (index, file) in files.iter().enumerate() {
        for Item { line, kind } in &file.items {
            let Kind::Key { spki_sha256: Some(key), .. } = kind else { continue };
            if !certified.contains(&key.as_str()) {
                let message = "is the key of none of these certificates: Go says `private key does \
                               not match public key`, rustls KeyMismatch";
                let help = "certificate and key come from one request: was one of them renewed \
                            without the other?";
                found.push((index, Complaint::new(*line, "own_key_mismatch", message, help)));
            }
        }
    }
    found
}
