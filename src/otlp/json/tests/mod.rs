//! OTLP/JSON in both directions.

mod forms;
mod oracle;
mod refusals;

use prost::Message;

use super::{JsonError, decode};
use crate::batch::Rope;
use crate::otlp::check::check;
use crate::signal::Signal;

/// Decodes a text and checks what comes out.
#[expect(clippy::unwrap_in_result, reason = "what fails here is a defect, not a refusal")]
fn read<M: Message + Default>(signal: Signal, text: &str) -> Result<M, JsonError> {
    let bytes = decode(signal, text.as_bytes())?.request;
    check(signal, &Rope::from(bytes.clone())).expect("passes the checker");
    Ok(M::decode(bytes).expect("prost decodes it"))
}
