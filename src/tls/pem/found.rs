//! Names what stands in a file instead of PEM, and says how to mend it.

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use x509_parser::certification_request::X509CertificationRequest;
use x509_parser::prelude::FromDer;
use x509_parser::revocation_list::CertificateRevocationList;

use crate::tls::inspect;
use crate::tls::pem::Fault;

fn fault(line: usize, reason: &'static str, message: String, help: &str) -> Fault {
    Fault { line, reason, message, help: help.to_owned() }
}

pub(super) fn no_end(begin: usize, label: &str, next: Option<usize>) -> Fault {
    let label = inspect::shown(label);
    let what = match next {
        Some(line) => format!("before the next block begins on line {line}"),
        None => "before the end of the file".to_owned(),
    };
    let message = format!(
        "is cut short: the {label} block that begins on line {begin} has no \
         `-----END {label}-----` {what}"
    );
    fault(begin, "pem_truncated", message, "copy the file again, whole")
}

pub(super) fn no_begin(line: usize) -> Fault {
    let message = format!("has an `-----END` on line {line} without its `-----BEGIN`");
    fault(line, "pem_truncated", message, "copy the file again, whole")
}

pub(super) fn glued(line: usize) -> Fault {
    let message = format!("has a PEM marker in the middle of line {line}");
    fault(
        line,
        "pem_glued",
        message,
        "markers stand on lines of their own: two files were probably joined without a line break \
         between them, or line breaks were lost; join with `awk 1 a.pem b.pem`",
    )
}

pub(super) fn broken_marker(line: usize) -> Fault {
    let message = format!("has a damaged PEM marker on line {line}");
    fault(line, "pem_damaged", message, "it should end in five dashes: copy the file again")
}

pub(super) fn not_base64(line: usize, label: &str, character: char) -> Fault {
    let message = format!(
        "holds {:?} on line {line}, inside a {} block, where base64 should be",
        character,
        inspect::shown(label)
    );
    fault(line, "pem_damaged", message, "copy the file again")
}

pub(super) fn other_end(line: usize, begun: &str, ended: &str) -> Fault {
    let message = format!(
        "begins a {} block and ends a {} block on line {line}",
        inspect::shown(begun),
        inspect::shown(ended)
    );
    fault(line, "pem_truncated", message, "a part in between is missing: copy the file again")
}

pub(super) fn damaged(line: usize, label: &str, length: usize) -> Fault {
    let label = inspect::shown(label);
    let message = format!(
        "has a damaged {label} block on line {line}: its {length} base64 characters do not decode"
    );
    fault(line, "pem_damaged", message, "characters were lost or added: copy the file again")
}

pub(super) fn empty_block(line: usize, label: &str) -> Fault {
    let label = inspect::shown(label);
    let message = format!("has an empty {label} block on line {line}");
    fault(line, "pem_damaged", message, "copy the file again")
}

/// For bytes that are not UTF-8.
pub(super) fn not_text(bytes: &[u8]) -> Fault {
    if let Some(der) = der(bytes) {
        return der;
    }
    match bytes {
        [0xff, 0xfe, ..] | [0xfe, 0xff, ..] => utf16("UTF-16"),
        [0xfe, 0xed, 0xfe, 0xed, ..] => fault(
            0,
            "pem_jks",
            "is a Java key store (JKS), not PEM".to_owned(),
            "export it: `keytool -importkeystore -srckeystore FILE -destkeystore FILE.p12 \
             -deststoretype PKCS12`, then `openssl pkcs12 -in FILE.p12 -nodes -out all.pem`",
        ),
        _ => fault(
            0,
            "pem_none",
            "is binary data of an unknown kind, not PEM".to_owned(),
            "PEM is text with `-----BEGIN ...-----` lines",
        ),
    }
}

/// For text without a single block.
pub(super) fn no_block(bytes: &[u8], text: &str) -> Fault {
    if text.trim().is_empty() {
        return fault(
            0,
            "pem_empty",
            "is empty".to_owned(),
            "whatever writes it has not written it yet, or failed",
        );
    }
    // DER of small numbers may happen to be UTF-8; UTF-16 without a mark is full of zeros.
    if let Some(der) = der(bytes) {
        return der;
    }
    if bytes.contains(&0) && text.contains('-') {
        // Without a mark `iconv` takes the order of the machine.
        return utf16(if bytes.first() == Some(&0) { "UTF-16BE" } else { "UTF-16LE" });
    }
    let joined: String = text.split_ascii_whitespace().collect();
    match BASE64_STANDARD.decode(&joined) {
        Ok(inside) if inside.windows(11).any(|part| part == b"-----BEGIN ") => fault(
            0,
            "pem_base64",
            "is base64 of PEM, as in a Kubernetes Secret's `data`".to_owned(),
            "decode it once: `base64 -d FILE > decoded.pem`",
        ),
        Ok(inside) if der(&inside).is_some() => fault(
            0,
            "pem_no_markers",
            "is bare base64 without `-----BEGIN ...-----` lines".to_owned(),
            "add the two marker lines around it",
        ),
        _ => fault(
            0,
            "pem_none",
            format!("is {} without a PEM block", kind_of(text)),
            "PEM has `-----BEGIN ...-----` lines; is it the right file?",
        ),
    }
}

fn utf16(form: &str) -> Fault {
    fault(
        0,
        "pem_utf16",
        "is UTF-16 text, as some Windows tools write".to_owned(),
        &format!("rewrite it: `iconv -f {form} -t UTF-8 FILE > utf8.pem`"),
    )
}

/// In words: a part of the text itself may be a password, named as a key by mistake.
fn kind_of(text: &str) -> &'static str {
    match text.trim_start().bytes().next() {
        Some(b'<') => "HTML or XML (an error page, perhaps)",
        Some(b'{' | b'[') => "JSON",
        _ => "text",
    }
}

/// Binary forms that are common: DER, PKCS#7 and PKCS#12.
fn der(bytes: &[u8]) -> Option<Fault> {
    if bytes.first() != Some(&0x30) {
        return None;
    }
    let is = |what: &str, help: &str| Some(fault(0, "pem_der", format!("is {what}"), help));
    if inspect::describe(bytes).is_some() {
        return is(
            "a certificate in DER form, not PEM",
            "convert it: `openssl x509 -inform DER -in FILE -out FILE.pem`",
        );
    }
    if CertificateRevocationList::from_der(bytes).is_ok() {
        return is(
            "a CRL in DER form, not PEM",
            "convert it: `openssl crl -inform DER -in FILE -out FILE.pem`",
        );
    }
    if X509CertificationRequest::from_der(bytes).is_ok() {
        return is("a certificate request in DER form, not PEM", "name the certificate instead");
    }
    // OID 1.2.840.113549.1.7.2, signedData, and .1.7.1, data, which PKCS#12 wraps.
    let head = bytes.get(..64).unwrap_or(bytes);
    let holds = |oid: &[u8]| head.windows(oid.len()).any(|part| part == oid);
    if holds(&[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x07, 0x02]) {
        return is(
            "a PKCS#7 bundle (.p7b), not PEM",
            "unpack it: `openssl pkcs7 -inform DER -print_certs -in FILE -out certificates.pem`",
        );
    }
    if holds(&[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x07, 0x01]) {
        return is(
            "a PKCS#12 store (.p12, .pfx), not PEM",
            "unpack it: `openssl pkcs12 -in FILE -nodes -out all.pem`, which holds certificate and \
             key",
        );
    }
    if holds(&[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x05, 0x0d]) {
        return is(
            "an encrypted private key in DER form, not PEM",
            "convert and decrypt it: `openssl pkey -inform DER -in FILE -out plain.pem`",
        );
    }
    // version 0 or 1, then an algorithm (PKCS#8), a number (PKCS#1) or a key (SEC1)
    let key = matches!(bytes, [0x30, 0x82, _, _, 0x02, 0x01, 0 | 1, ..])
        || matches!(bytes, [0x30, 0x81, _, 0x02, 0x01, 0 | 1, ..])
        || matches!(bytes, [0x30, 0..=0x7f, 0x02, 0x01, 0 | 1, ..]);
    if key {
        return is(
            "a private key in DER form, not PEM",
            "convert it: `openssl pkey -inform DER -in FILE -out FILE.pem`",
        );
    }
    None
}
