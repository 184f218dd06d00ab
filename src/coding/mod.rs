//! Content codings of OTLP bodies: their names, inflating under a limit, and compressing.
//!
//! Guarantees that inflating never yields more than its limit and never panics on hostile input.
//! Knows nothing of HTTP, gRPC or OTLP messages.

use crate::batch::Rope;

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

/// Why a body could not be inflated.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum InflateError {
    /// Not in the format that its header names, or damaged.
    #[error("the body is not valid {coding:?}: {detail}")]
    Corrupt {
        /// The coding announced.
        coding: Coding,
        /// What the decoder says.
        detail: String,
    },
    /// It inflates to more than the limit.
    #[error("the body inflates to more than {limit} bytes")]
    TooLarge {
        /// In bytes.
        limit: usize,
    },
    /// It ends before its end.
    #[error("the {coding:?} body ends too early")]
    Truncated {
        /// The coding announced.
        coding: Coding,
    },
}

/// Inflates one body as its frames arrive.
#[derive(Debug)]
pub(crate) struct Inflater {
    coding: Coding,
    limit: usize,
}

impl Inflater {
    /// `limit` is the most bytes the inflated body may have.
    pub(crate) fn new(coding: Coding, limit: usize) -> Self {
        Self { coding, limit }
    }

    /// Takes the next bytes of the body and appends what they inflate to.
    ///
    /// # Errors
    /// The body is corrupt or inflates beyond the limit.
    pub(crate) fn push(&mut self, _piece: &[u8], _out: &mut Rope) -> Result<(), InflateError> {
        Err(InflateError::TooLarge { limit: self.limit })
    }

    /// The body has ended; appends what was still held back.
    ///
    /// # Errors
    /// The body ended too early.
    pub(crate) fn finish(self, _out: &mut Rope) -> Result<(), InflateError> {
        Err(InflateError::Truncated { coding: self.coding })
    }
}

/// Compresses a whole body; `level` is the library's own scale, `None` its default.
pub(crate) fn compress(_coding: Coding, _level: Option<i32>, body: &Rope) -> Rope {
    body.clone()
}

impl Coding {
    /// The coding of a `Content-Encoding` value, in any case. `Some(None)` is "no coding"
    /// (`identity` and the empty text), `None` an unknown name.
    pub(crate) fn from_http_name(_name: &str) -> Option<Option<Self>> {
        None
    }

    /// The coding of a `grpc-encoding` value; `Some(None)` is `identity`.
    pub(crate) fn from_grpc_name(_name: &str) -> Option<Option<Self>> {
        None
    }

    /// The name in `Content-Encoding`.
    pub(crate) fn http_name(self) -> &'static str {
        ""
    }

    /// The name in `grpc-encoding`; `None` for codings that gRPC does not have.
    pub(crate) fn grpc_name(self) -> Option<&'static str> {
        None
    }
}
