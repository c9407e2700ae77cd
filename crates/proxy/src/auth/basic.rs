//! What a client offers: the field Proxy-Authorization, read.

use std::fmt;

use base64::{Engine as _, prelude::BASE64_STANDARD};
use http::{HeaderMap, header};
use zeroize::Zeroizing;

use crate::Credentials;

/// How long the base64 of the longest credentials is.
const MAX_ENCODED: usize = Credentials::MAX_LEN.div_ceil(3) * 4;

/// A name and a password as a client sent them. Wiped when dropped; the field that they came in is not.
pub(crate) struct Offered {
    text: Zeroizing<Vec<u8>>,
    colon: usize,
}

impl Offered {
    /// Reads the field. `None` also for what no user can have: that is refused without the cost of comparing it.
    pub(crate) fn of(headers: &HeaderMap) -> Option<Self> {
        let mut values = headers.get_all(header::PROXY_AUTHORIZATION).iter();
        // Of two fields, another proxy might take the other.
        let (Some(value), None) = (values.next(), values.next()) else { return None };
        let text = Zeroizing::new(basic(value.as_bytes())?);
        // RFC 7617 section 2: the first colon ends the name, and there are no control characters.
        let colon = text.iter().position(|byte| *byte == b':')?;
        let has_both = colon > 0 && colon + 1 < text.len();
        let is_possible = text.len() <= Credentials::MAX_LEN && !text.iter().any(u8::is_ascii_control);
        (has_both && is_possible).then_some(Self { text, colon })
    }

    /// `NAME:PASSWORD`.
    pub(crate) fn text(&self) -> &[u8] {
        &self.text
    }

    pub(crate) fn name(&self) -> &[u8] {
        &self.text[..self.colon]
    }

    pub(crate) fn password(&self) -> &[u8] {
        &self.text[self.colon + 1..]
    }
}

// By hand: a password is not for logs.
impl fmt::Debug for Offered {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Offered").finish_non_exhaustive()
    }
}

/// `Basic SP token68`, the scheme in any case (RFC 9110 section 11.4, RFC 7617 section 2).
fn basic(value: &[u8]) -> Option<Vec<u8>> {
    let (scheme, encoded) = value.split_at_checked("Basic ".len())?;
    let encoded = encoded.trim_ascii_start();
    if !scheme.eq_ignore_ascii_case(b"Basic ") || encoded.len() > MAX_ENCODED {
        return None;
    }
    BASE64_STANDARD.decode(encoded).ok()
}
