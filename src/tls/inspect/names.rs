//! Texts out of certificates, made fit for a log line.
//!
//! Guarantees: no control characters, no line breaks, a bounded number of bytes a text.

use time::OffsetDateTime;
use time::macros::format_description;
use x509_parser::x509::{AttributeTypeAndValue, X509Name};

use crate::identity::Identity;

pub(crate) use crate::identity::shown;

/// A distinguished name as RFC 4514 text: most specific part first, special characters escaped.
pub(in crate::tls) fn distinguished_name(name: &X509Name<'_>) -> String {
    let parts: Vec<_> = name.iter_rdn().collect();
    let mut text = String::new();
    for (index, part) in parts.iter().rev().enumerate() {
        if index > 0 {
            text.push(',');
        }
        for (index, attribute) in part.iter().enumerate() {
            if index > 0 {
                text.push('+');
            }
            text.push_str(&attribute_type(attribute));
            text.push('=');
            escape_value(&attribute_value(attribute), &mut text);
        }
    }
    text
}

/// The one common name of a subject, or several that it has.
pub(super) fn common_names(name: &X509Name<'_>) -> (Option<String>, Vec<String>) {
    let mut names: Vec<_> = name.iter_common_name().map(attribute_value).collect();
    if names.len() == 1 { (names.pop(), Vec::new()) } else { (None, names) }
}

/// A point in time as `2026-01-31 12:00:00 UTC`.
pub(crate) fn date(unix_seconds: i64) -> String {
    OffsetDateTime::from_unix_timestamp(unix_seconds)
        .ok()
        .and_then(|at| {
            at.format(format_description!("[year]-[month]-[day] [hour]:[minute]:[second] UTC")).ok()
        })
        .unwrap_or_else(|| format!("{unix_seconds} s since 1970"))
}

impl Identity {
    /// All subject alternative names of all kinds, `DNS:a, IP:10.0.0.1`, escaped; at most `count`.
    pub(crate) fn names(&self, count: usize) -> String {
        let dns = self.dns.iter().map(|name| format!("DNS:{}", shown(name)));
        let ips = self.ips.iter().map(|ip| format!("IP:{ip}"));
        let uris = self.uris.iter().map(|uri| format!("URI:{}", shown(uri)));
        let emails = self.emails.iter().map(|email| format!("email:{}", shown(email)));
        let all: Vec<_> = dns.chain(ips).chain(uris).chain(emails).collect();
        match all.get(..count) {
            Some(some) if all.len() > count => {
                format!("{} and {} more", some.join(", "), all.len() - count)
            }
            _ => all.join(", "),
        }
    }
}

fn attribute_type(attribute: &AttributeTypeAndValue<'_>) -> String {
    let oid = attribute.attr_type().to_id_string();
    let name = match oid.as_str() {
        "2.5.4.3" => "CN",
        "2.5.4.5" => "serialNumber",
        "2.5.4.6" => "C",
        "2.5.4.7" => "L",
        "2.5.4.8" => "ST",
        "2.5.4.9" => "STREET",
        "2.5.4.10" => "O",
        "2.5.4.11" => "OU",
        "0.9.2342.19200300.100.1.1" => "UID",
        "0.9.2342.19200300.100.1.25" => "DC",
        "1.2.840.113549.1.9.1" => "emailAddress",
        _ => return oid,
    };
    name.to_owned()
}

fn attribute_value(attribute: &AttributeTypeAndValue<'_>) -> String {
    match attribute.as_str() {
        Ok(text) => text.to_owned(),
        // BMPString and friends: the bytes in RFC 4514's hexadecimal form.
        Err(_) => {
            let hex: String =
                attribute.as_slice().iter().map(|byte| format!("{byte:02x}")).collect();
            format!("#{hex}")
        }
    }
}

fn escape_value(value: &str, text: &mut String) {
    let last = value.chars().count().saturating_sub(1);
    for (index, character) in value.chars().enumerate() {
        let special = matches!(character, ',' | '+' | '"' | '\\' | '<' | '>' | ';' | '=')
            || (index == 0 && matches!(character, ' ' | '#') && value.len() > 1)
            || (index == last && character == ' ');
        if special {
            text.push('\\');
        }
        text.push(character);
    }
}
