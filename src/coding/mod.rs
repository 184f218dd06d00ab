//! Content codings of OTLP bodies: their names, inflating under a limit, and compressing.
//!
//! Guarantees that inflating never yields more than its limit and never panics on hostile input.
//! Knows nothing of HTTP, gRPC or OTLP messages.

mod compress;
mod flate;
mod gzip;
mod inflate;
mod lz4;
mod sink;
mod snappy;
mod zstandard;

#[cfg(test)]
mod tests;

pub(crate) use compress::compress;
pub(crate) use inflate::{InflateError, Inflater, Progress};

/// A compression that a body may have (contract 4.5). "No coding" is `Option::None`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Coding {
    /// `deflate`: the zlib format (RFC 1950), as the Collector reads it.
    Deflate,
    /// `gzip`, also with several members.
    Gzip,
    /// `lz4` frames.
    Lz4,
    /// `snappy` on HTTP: block format.
    Snappy,
    /// `x-snappy-framed` on HTTP, `snappy` on gRPC: framing format.
    SnappyFramed,
    /// `zlib` (RFC 1950).
    Zlib,
    /// `zstd`.
    Zstd,
}

impl Coding {
    /// Every coding.
    pub(crate) const ALL: [Self; 7] = [
        Self::Deflate,
        Self::Gzip,
        Self::Lz4,
        Self::Snappy,
        Self::SnappyFramed,
        Self::Zlib,
        Self::Zstd,
    ];

    /// The coding of a `Content-Encoding` value, in any case. `Some(None)` is "no coding"
    /// (`identity` and the empty text), `None` an unknown name.
    pub(crate) fn from_http_name(name: &str) -> Option<Option<Self>> {
        let name = name.trim_ascii();
        if name.is_empty() || name.eq_ignore_ascii_case("identity") {
            return Some(None);
        }
        // RFC 9110 8.4.1.3.
        if name.eq_ignore_ascii_case("x-gzip") {
            return Some(Some(Self::Gzip));
        }
        Self::ALL.into_iter().find(|coding| name.eq_ignore_ascii_case(coding.http_name())).map(Some)
    }

    /// The coding of a `grpc-encoding` value; `Some(None)` is `identity`. `deflate` is accepted
    /// because libraries built on gRPC's C core can send it.
    pub(crate) fn from_grpc_name(name: &str) -> Option<Option<Self>> {
        match name.trim_ascii() {
            "" | "identity" => Some(None),
            "deflate" => Some(Some(Self::Deflate)),
            name => Self::ALL.into_iter().find(|coding| coding.grpc_name() == Some(name)).map(Some),
        }
    }

    /// The name in `Content-Encoding`.
    pub(crate) fn http_name(self) -> &'static str {
        match self {
            Self::Deflate => "deflate",
            Self::Gzip => "gzip",
            Self::Lz4 => "lz4",
            Self::Snappy => "snappy",
            Self::SnappyFramed => "x-snappy-framed",
            Self::Zlib => "zlib",
            Self::Zstd => "zstd",
        }
    }

    /// The name in `grpc-encoding`; `None` for codings that no gRPC peer can be expected to have.
    pub(crate) fn grpc_name(self) -> Option<&'static str> {
        match self {
            Self::Gzip => Some("gzip"),
            Self::SnappyFramed => Some("snappy"),
            Self::Zstd => Some("zstd"),
            Self::Deflate | Self::Lz4 | Self::Snappy | Self::Zlib => None,
        }
    }
}
