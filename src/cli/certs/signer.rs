//! What of an authority's certificate its signatures repeat: its name, key id and usages.
//!
//! The name has to be repeated byte for byte, string types included, or nobody finds the issuer.

use rcgen::string::{BmpString, Ia5String, PrintableString, TeletexString};
use rcgen::{CertificateParams, DistinguishedName, DnType, DnValue, KeyIdMethod, KeyUsagePurpose};
use x509_parser::certificate::X509Certificate;
use x509_parser::der_parser::asn1_rs::Tag;
use x509_parser::extensions::ParsedExtension;
use x509_parser::x509::{AttributeTypeAndValue, X509Name};

/// The parameters of an issuer; `None` when its name has a form that cannot be repeated.
pub(super) fn params(certificate: &X509Certificate<'_>) -> Option<CertificateParams> {
    let mut params = CertificateParams::default();
    params.distinguished_name = name(certificate.subject())?;
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign];
    for extension in certificate.extensions() {
        if let ParsedExtension::SubjectKeyIdentifier(id) = extension.parsed_extension() {
            params.key_identifier_method = KeyIdMethod::PreSpecified(id.0.to_vec());
        }
    }
    Some(params)
}

fn name(subject: &X509Name<'_>) -> Option<DistinguishedName> {
    let mut name = DistinguishedName::new();
    for part in subject.iter_rdn() {
        let mut attributes = part.iter();
        let attribute = attributes.next()?;
        let oid: Vec<u64> = attribute.attr_type().iter()?.collect();
        let kind = DnType::from_oid(&oid);
        // Neither several attributes in one part nor two parts of one kind can be written.
        if attributes.next().is_some() || name.get(&kind).is_some() {
            return None;
        }
        name.push(kind, value(attribute)?);
    }
    Some(name)
}

fn value(attribute: &AttributeTypeAndValue<'_>) -> Option<DnValue> {
    let bytes = attribute.attr_value().data;
    let text = || str::from_utf8(bytes).ok();
    Some(match attribute.attr_value().header.tag() {
        Tag::BmpString => DnValue::BmpString(BmpString::from_utf16be(bytes.to_vec()).ok()?),
        Tag::Ia5String => DnValue::Ia5String(Ia5String::try_from(text()?).ok()?),
        Tag::PrintableString => DnValue::PrintableString(PrintableString::try_from(text()?).ok()?),
        Tag::T61String => DnValue::TeletexString(TeletexString::try_from(text()?).ok()?),
        Tag::Utf8String => DnValue::Utf8String(text()?.to_owned()),
        _ => return None,
    })
}
