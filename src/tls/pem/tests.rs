use super::*;

const ONE: &str = "-----BEGIN CERTIFICATE-----\nAQIDBA==\n-----END CERTIFICATE-----\n";

fn reason(bytes: &[u8]) -> &'static str {
    parse(bytes).unwrap_err().reason
}

#[test]
fn blocks_come_with_label_line_and_bytes() {
    let blocks = parse(format!("Subject: CN=a\n{ONE}\n{ONE}").as_bytes()).unwrap();
    assert_eq!(blocks.len(), 2);
    assert_eq!(blocks[0], Block { label: Label::Certificate, line: 2, der: vec![1, 2, 3, 4] });
    assert_eq!(blocks[1].line, 6);
}

#[test]
fn marks_line_ends_indentation_and_lost_padding_do_no_harm() {
    let marked = [b"\xef\xbb\xbf", ONE.as_bytes()].concat();
    let windows = ONE.replace('\n', "\r\n");
    let indented = ONE.replace('\n', "\n    ");
    let unpadded = ONE.replace("==", "");
    for text in [marked.as_slice(), windows.as_bytes(), indented.as_bytes(), unpadded.as_bytes()] {
        assert_eq!(parse(text).unwrap()[0].der, [1, 2, 3, 4]);
    }
}

#[test]
fn every_begin_is_a_block_or_a_fault() {
    let glued = ONE.trim_end().to_owned() + ONE;
    assert_eq!(reason(glued.as_bytes()), "pem_glued");
    assert_eq!(parse(glued.as_bytes()).unwrap_err().line, 3);
    assert_eq!(reason(ONE.replace('\n', "").as_bytes()), "pem_glued");
    assert_eq!(reason(&ONE.as_bytes()[..40]), "pem_truncated");
    assert_eq!(reason(format!("{}\n{ONE}", &ONE[..36]).as_bytes()), "pem_truncated");
    assert_eq!(reason(ONE.replace("AQID", "AQ*D").as_bytes()), "pem_damaged");
    assert_eq!(reason(ONE.replace("AQIDBA==", "AQIDB").as_bytes()), "pem_damaged");
    assert_eq!(reason(ONE.replace("AQIDBA==", "").as_bytes()), "pem_damaged");
    assert_eq!(reason(ONE.replace("END CERT", "END X509 CERT").as_bytes()), "pem_truncated");
}

#[test]
fn what_is_there_instead_is_named() {
    use base64::prelude::BASE64_STANDARD;

    assert_eq!(reason(b""), "pem_empty");
    assert_eq!(reason(b" \n\n"), "pem_empty");
    assert_eq!(reason(b"hello"), "pem_none");
    assert_eq!(reason(BASE64_STANDARD.encode(ONE).as_bytes()), "pem_base64");
    let little: Vec<u8> = ONE.encode_utf16().flat_map(u16::to_le_bytes).collect();
    let big: Vec<u8> = ONE.encode_utf16().flat_map(u16::to_be_bytes).collect();
    for (text, form) in [
        ([b"\xff\xfe", &*little].concat(), "UTF-16 "),
        ([b"\xfe\xff", &*big].concat(), "UTF-16 "),
        (little, "UTF-16LE "),
        (big, "UTF-16BE "),
    ] {
        let fault = parse(&text).unwrap_err();
        assert_eq!(fault.reason, "pem_utf16");
        assert!(fault.help.contains(&format!("`iconv -f {form}-t UTF-8 ")), "{}", fault.help);
    }
    let pki = crate::tls::testing::TestPki::new();
    let fault = parse(pki.server.certificate.der()).unwrap_err();
    assert_eq!(fault.message, "is a certificate in DER form, not PEM");
    let fault = parse(pki.server.key.serialized_der()).unwrap_err();
    assert_eq!(fault.message, "is a private key in DER form, not PEM");
    let bare = BASE64_STANDARD.encode(pki.server.certificate.der());
    assert_eq!(reason(bare.as_bytes()), "pem_no_markers");
}

#[test]
fn encrypted_keys_are_told_apart() {
    let text = "-----BEGIN RSA PRIVATE KEY-----\nProc-Type: 4,ENCRYPTED\nDEK-Info: AES-256-CBC,00\n\n\
                AQIDBA==\n-----END RSA PRIVATE KEY-----\n";
    let blocks = parse(text.as_bytes()).unwrap();
    assert_eq!(blocks[0].label, Label::EncryptedKey("RSA PRIVATE KEY"));
    let plain = text.replace("Proc-Type: 4,ENCRYPTED\nDEK-Info: AES-256-CBC,00\n\n", "");
    assert_eq!(parse(plain.as_bytes()).unwrap()[0].label.to_string(), "RSA PRIVATE KEY");
}

#[test]
fn a_block_never_shows_its_bytes() {
    let text = ONE.replace("CERTIFICATE", "PRIVATE KEY");
    let shown = format!("{:?}", parse(text.as_bytes()).unwrap());
    assert!(!shown.contains("[1, 2") && !shown.contains("AQID"), "{shown}");
}

proptest::proptest! {
    #[test]
    fn no_bytes_make_it_panic(bytes: Vec<u8>, cut in 0_usize..80) {
        let _ = parse(&bytes);
        let text = [&ONE.as_bytes()[..cut.min(ONE.len())], &bytes, ONE.as_bytes()].concat();
        let _ = parse(&text);
    }
}

/// Guarantees: what is longer than is decoded at once is the same, whole, cut and with padding in
/// its middle.
#[test]
fn a_block_of_many_parts_is_decoded_as_one() {
    use base64::Engine as _;
    use base64::prelude::BASE64_STANDARD;
    let block = |base64: &str| {
        let lines: Vec<_> = base64.as_bytes().chunks(64).map(String::from_utf8_lossy).collect();
        format!("-----BEGIN X509 CRL-----\n{}\n-----END X509 CRL-----\n", lines.join("\n"))
    };
    for length in [49_151, 49_152, 49_153, 98_304, 200_000] {
        let bytes: Vec<u8> = (0..length).map(|n: u32| (n * 7 % 251) as u8).collect();
        let base64 = BASE64_STANDARD.encode(&bytes);
        assert_eq!(parse(block(&base64).as_bytes()).unwrap()[0].der, bytes, "{length}");
        let mut padded = base64.clone().into_bytes();
        padded[30_003] = b'=';
        padded.push(b'A');
        let padded = String::from_utf8(padded).unwrap();
        assert_eq!(parse(block(&padded).as_bytes()).unwrap_err().reason, "pem_damaged");
    }
    let edge = format!("{}={}", "A".repeat((1 << 16) - 1), "A".repeat(64));
    assert_eq!(parse(block(&edge).as_bytes()).unwrap_err().reason, "pem_damaged");
}

/// Scenario: a password in a file of its own is named where a key is wanted; pages of web servers are
/// stored instead of certificates.
/// Guarantees: the kind is named, and nothing of the text is shown.
#[test]
fn nothing_is_shown_of_a_text_without_pem() {
    for (text, kind) in [
        ("hunter2\n", "is text without a PEM block"),
        ("<html>hunter2</html>", "is HTML or XML (an error page, perhaps) without a PEM block"),
        ("{\"key\": \"hunter2\"}", "is JSON without a PEM block"),
    ] {
        let fault = parse(text.as_bytes()).unwrap_err();
        assert_eq!((fault.reason, fault.message.as_str()), ("pem_none", kind));
        assert!(!fault.help.contains("hunter"), "{}", fault.help);
    }
}
