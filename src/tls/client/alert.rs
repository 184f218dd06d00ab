//! What alerts say, and what they are about.

use rustls::AlertDescription;

/// Whether it may mean that a certificate was refused.
pub(super) fn is_about_certificate(alert: AlertDescription) -> bool {
    use AlertDescription as A;

    matches!(
        alert,
        A::BadCertificate
            | A::UnsupportedCertificate
            | A::CertificateRevoked
            | A::CertificateExpired
            | A::CertificateUnknown
            | A::CertificateRequired
            | A::NoCertificate
            | A::UnknownCA
            | A::AccessDenied
            | A::DecryptError
    )
}

/// Whether its sender could not read what it got.
pub(crate) fn is_about_protocol(alert: AlertDescription) -> bool {
    use AlertDescription as A;

    matches!(
        alert,
        A::BadRecordMac
            | A::DecodeError
            | A::DecompressionFailure
            | A::DecryptionFailed
            | A::MissingExtension
            | A::RecordOverflow
            | A::UnexpectedMessage
            | A::UnsupportedExtension
    )
}

/// What an alert says, to follow its sender.
pub(crate) fn words(alert: AlertDescription) -> &'static str {
    use AlertDescription as A;

    match alert {
        A::AccessDenied => "denied access (alert access_denied)",
        A::BadCertificate => "says the certificate is bad (alert bad_certificate)",
        A::BadRecordMac => "cannot decrypt a message (alert bad_record_mac)",
        A::CertificateExpired => "says the certificate is out of date (alert certificate_expired)",
        A::CertificateRequired => "says a certificate is required (alert certificate_required)",
        A::CertificateRevoked => "says the certificate is revoked (alert certificate_revoked)",
        A::CertificateUnknown => {
            "says there is something wrong with the certificate (alert certificate_unknown)"
        }
        A::DecodeError => "cannot read a message (alert decode_error)",
        A::DecryptError => "says a signature does not verify (alert decrypt_error)",
        A::HandshakeFailure => "found nothing in common (alert handshake_failure)",
        A::IllegalParameter => "does not allow a value (alert illegal_parameter)",
        A::InsufficientSecurity => "wants stronger algorithms (alert insufficient_security)",
        A::InternalError => "failed inside (alert internal_error)",
        A::MissingExtension => "misses an extension (alert missing_extension)",
        A::NoApplicationProtocol => "shares no protocol (alert no_application_protocol)",
        A::ProtocolVersion => "shares no TLS version (alert protocol_version)",
        A::RecordOverflow => "got a message that is too long (alert record_overflow)",
        A::UnexpectedMessage => "did not expect a message (alert unexpected_message)",
        A::UnknownCA => "does not know the CA (alert unknown_ca)",
        A::UnrecognisedName => "does not serve that name (alert unrecognized_name)",
        A::UnsupportedCertificate => {
            "says the certificate is not for this use (alert unsupported_certificate)"
        }
        A::UnsupportedExtension => "does not allow an extension (alert unsupported_extension)",
        A::UserCanceled => "gave up (alert user_canceled)",
        _ => "ended the handshake with an alert",
    }
}
