//! A payload is raw bytes, or the same frames as hex text.

use alloc::borrow::Cow;

/// In which form a payload came; a ping is answered in the form of the question.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Form {
    /// Raw bytes.
    Raw,
    /// Hex digits of either case, white space between them allowed.
    Hex,
}

/// A payload as raw bytes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Normalised<'a> {
    /// The form it came in.
    pub form: Form,
    /// The bytes; borrowed when they came raw.
    pub bytes: Cow<'a, [u8]>,
    /// Text behind the last whole hex pair that could not be read, as it came
    /// (reason `bad_hex`), with its offset in the payload.
    pub unreadable: Option<(usize, &'a [u8])>,
}

/// STUB for the helper: see the contract in the task.
pub fn normalise(payload: &[u8]) -> Normalised<'_> {
    Normalised { form: Form::Raw, bytes: Cow::Borrowed(payload), unreadable: None }
}
