//! Content codings of OTLP bodies: names and, later in this module, inflating and compressing.

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
