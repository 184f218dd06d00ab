//! Why a text is refused, and where.
//!
//! Guarantees that the path costs nothing until there is an error: it is put together on the way
//! out.

/// Why a text is not an OTLP/JSON request.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{path}: {message}")]
pub(crate) struct JsonError {
    /// Such as `$.resourceSpans[0].scopeSpans[2].spans[1].traceId`.
    pub(crate) path: String,
    /// What is wrong and what it should be.
    pub(crate) message: String,
    /// Stable reason code, such as `json_syntax`.
    pub(crate) reason: &'static str,
}

/// The reason of a request that is larger in protobuf than it may be.
pub(crate) const TOO_LARGE: &str = "json_too_large";

/// What the parts of the decoder return.
pub(super) type Parsed<T> = Result<T, Box<Fault>>;

/// An error on its way out.
#[derive(Clone, Debug)]
pub(super) struct Fault {
    reason: &'static str,
    message: String,
    /// The innermost first.
    path: Vec<Segment>,
}

#[derive(Clone, Copy, Debug)]
enum Segment {
    Field(&'static str),
    Index(usize),
}

/// A new fault; always boxed, because errors are rare and results should be small.
#[cold]
pub(super) fn fault(reason: &'static str, message: impl Into<String>) -> Box<Fault> {
    Box::new(Fault { reason, message: message.into(), path: Vec::new() })
}

impl Fault {
    /// It is in this field.
    #[cold]
    pub(super) fn in_field(mut self: Box<Self>, name: &'static str) -> Box<Self> {
        self.path.push(Segment::Field(name));
        self
    }

    /// It is in the element with this index.
    #[cold]
    pub(super) fn in_element(mut self: Box<Self>, index: usize) -> Box<Self> {
        self.path.push(Segment::Index(index));
        self
    }
}

impl From<Box<Fault>> for JsonError {
    fn from(fault: Box<Fault>) -> Self {
        let mut path = "$".to_owned();
        for segment in fault.path.iter().rev() {
            match segment {
                Segment::Field(name) => {
                    path.push('.');
                    path.push_str(name);
                }
                Segment::Index(index) => path.push_str(&format!("[{index}]")),
            }
        }
        Self { path, message: fault.message, reason: fault.reason }
    }
}
