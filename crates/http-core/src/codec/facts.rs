//! What the fields of a head say about the message, gathered while they are
//! put into the map.

use http::header::{CONTENT_LENGTH, HeaderMap};

use super::config::HeadConfig;
use super::error::{HeadError, HeadFault};
use super::fields::{elements, is_token};
use super::message::{ConnectionTokens, Expectation, Framing};
use super::names::Field;
use super::target::is_host_and_port;

/// The facts of one head.
#[derive(Debug, Default)]
pub(super) struct Facts {
    pub(super) connection: ConnectionTokens,
    pub(super) has_upgrade: bool,
    pub(super) expect: Expectation,
    pub(super) trailers: bool,
    pub(super) has_host: bool,
    length: Option<u64>,
    /// Where `transfer-encoding: chunked` stands.
    chunked: Option<usize>,
    /// The first fault of a framing field. It is kept until it is known
    /// whether those fields count.
    fault: Option<HeadError>,
}

impl Facts {
    /// Reads one field. Returns how much of its value goes into the map.
    #[inline]
    pub(super) fn read(
        &mut self,
        field: Field,
        value: &[u8],
        at: usize,
        config: &HeadConfig,
    ) -> Result<Option<usize>, HeadError> {
        match field {
            // RFC 9112 section 3.2: one Host, and a valid one.
            Field::Host if self.has_host => return Err(HeadError::new(HeadFault::RepeatedHost, at)),
            Field::Host if !is_host_and_port(value) => return Err(HeadError::new(HeadFault::InvalidHost, at)),
            Field::Host => self.has_host = true,
            Field::ContentLength => return Ok(self.content_length(value, at, config.lenient_framing)),
            field => self.read_other(field, value, at),
        }
        Ok(Some(value.len()))
    }

    /// Reads a field that not every head has; all of its value goes into the map.
    #[inline(never)]
    fn read_other(&mut self, field: Field, value: &[u8], at: usize) {
        match field {
            Field::Connection => self.connection.add(value),
            Field::Upgrade => self.has_upgrade = true,
            // RFC 9110 section 10.1.4: the keyword is caseless, and may stand among codings.
            Field::Te => self.trailers |= elements(value).any(|coding| coding.eq_ignore_ascii_case(b"trailers")),
            Field::Expect => {
                // RFC 9110 section 10.1.1: the value is caseless.
                let proceed = value.eq_ignore_ascii_case(b"100-continue");
                self.expect = match (proceed, self.expect) {
                    (true, Expectation::None | Expectation::Continue) => Expectation::Continue,
                    _ => Expectation::Other,
                };
            }
            Field::TransferEncoding => match transfer_encoding(value) {
                Ok(()) if self.chunked.is_none() => self.chunked = Some(at),
                Ok(()) => self.fail(HeadFault::TransferEncoding, at),
                Err(fault) => {
                    self.chunked = Some(at);
                    self.fail(fault, at);
                }
            },
            Field::Host | Field::ContentLength | Field::Plain => {}
        }
    }

    /// Reads one Content-Length. What is returned goes into the map.
    #[inline(never)]
    fn content_length(&mut self, value: &[u8], at: usize, lenient: bool) -> Option<usize> {
        let repeated = || one_of_list(value).filter(|_| lenient);
        let Some((length, kept)) = decimal(value).map(|length| (length, value.len())).or_else(repeated) else {
            self.fail(HeadFault::ContentLength, at);
            return None;
        };
        match self.length {
            None => {
                self.length = Some(length);
                Some(kept)
            }
            // RFC 9110 section 8.6 lets a recipient take equal values for one;
            // strictly it is a sign of two parties that each added theirs.
            Some(other) if lenient && other == length => None,
            Some(_) => {
                self.fail(HeadFault::RepeatedContentLength, at);
                None
            }
        }
    }

    #[cold]
    fn fail(&mut self, fault: HeadFault, at: usize) {
        self.fault.get_or_insert(HeadError::new(fault, at));
    }

    /// Whether Transfer-Encoding or Content-Length was there.
    #[inline]
    pub(super) fn is_framed(&self) -> bool {
        self.length.is_some() || self.chunked.is_some() || self.fault.is_some()
    }

    /// Whether an HTTP/1.0 message says Transfer-Encoding: its sender mixes
    /// the versions up, so the connection is not used again.
    pub(super) fn is_http10_chunked(&self, is_http10: bool) -> bool {
        is_http10 && self.chunked.is_some()
    }

    /// The framing that the fields tell, or `None` where they tell none; and
    /// whether it had to be repaired, so that the connection must close.
    ///
    /// # Errors
    ///
    /// Fields that could be read in two ways (RFC 9112 section 6.3).
    pub(super) fn framing(
        &self,
        is_http10: bool,
        config: &HeadConfig,
        headers: &mut HeaderMap,
    ) -> Result<(Option<Framing>, bool), HeadError> {
        if let Some(error) = self.fault {
            return Err(error);
        }
        match (self.chunked, self.length) {
            // RFC 9112 section 6.1: an HTTP/1.0 message with Transfer-Encoding
            // has faulty framing, whatever else it says.
            (Some(at), _) if is_http10 => Err(HeadError::new(HeadFault::TransferEncodingInHttp10, at)),
            (Some(_), None) => Ok((Some(Framing::Chunked), false)),
            (Some(_), Some(_)) if config.lenient_framing => {
                headers.remove(CONTENT_LENGTH);
                Ok((Some(Framing::Chunked), true))
            }
            (Some(at), Some(_)) => Err(HeadError::new(HeadFault::LengthAndTransferEncoding, at)),
            (None, Some(0)) => Ok((Some(Framing::Empty), false)),
            (None, Some(length)) => Ok((Some(Framing::Length(length)), false)),
            (None, None) => Ok((None, false)),
        }
    }

    /// RFC 9112 section 9.3: HTTP/1.1 persists unless told otherwise, HTTP/1.0
    /// only when told so.
    #[inline]
    pub(super) fn keep_alive(&self, is_http10: bool) -> bool {
        !self.connection.close && (!is_http10 || self.connection.keep_alive)
    }
}

impl ConnectionTokens {
    /// Adds the tokens of one Connection value.
    pub(super) fn add(&mut self, value: &[u8]) {
        if value == b"keep-alive" {
            self.keep_alive = true;
            return;
        }
        for token in elements(value) {
            if token.eq_ignore_ascii_case(b"keep-alive") {
                self.keep_alive = true;
            } else if token.eq_ignore_ascii_case(b"close") {
                self.close = true;
            } else if token.eq_ignore_ascii_case(b"upgrade") {
                self.upgrade = true;
            } else if !token.is_empty() {
                self.other = true;
            }
        }
    }
}

/// `1*DIGIT` that fits into 64 bits, and nothing else: no sign, no space, no
/// list (RFC 9110 section 8.6).
#[inline]
pub(super) fn decimal(value: &[u8]) -> Option<u64> {
    if value.is_empty() {
        return None;
    }
    value.iter().try_fold(0_u64, |number, &byte| {
        let digit = byte.wrapping_sub(b'0');
        if digit > 9 {
            return None;
        }
        number.checked_mul(10)?.checked_add(u64::from(digit))
    })
}

/// The one length of a list that repeats it, and how many of the list's first bytes say it.
fn one_of_list(value: &[u8]) -> Option<(u64, usize)> {
    let mut list = elements(value);
    let first = list.next()?;
    let length = decimal(first)?;
    list.all(|other| decimal(other) == Some(length)).then_some((length, first.len()))
}

/// Accepts `chunked` alone: no other coding is supported, and a body's length
/// is known only where `chunked` comes once and last (RFC 9112 section 6.1).
fn transfer_encoding(value: &[u8]) -> Result<(), HeadFault> {
    let is_chunked = |coding: &[u8]| coding.eq_ignore_ascii_case(b"chunked");
    if is_chunked(value) {
        return Ok(());
    }
    let Some(comma) = value.iter().rposition(|&byte| byte == b',') else {
        return Err(HeadFault::TransferEncoding);
    };
    let (before, last) = (&value[..comma], super::fields::trim(&value[comma + 1..]));
    let sound = elements(before)
        .all(|coding| !coding.is_empty() && coding.iter().all(|&byte| is_token(byte)) && !is_chunked(coding));
    if is_chunked(last) && sound { Err(HeadFault::UnsupportedTransferCoding) } else { Err(HeadFault::TransferEncoding) }
}
