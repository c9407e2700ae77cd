//! Encoding heads, chunks and trailers.
//!
//! What leaves is rebuilt from the model: the encoder decides the framing
//! fields from what it is told about the exchange, and what the caller's
//! headers say about framing is checked, replaced or left out. No byte of a
//! head comes from anything but the checked types of `http`, none of which can
//! hold CR, LF or NUL: `Method` and `HeaderName` are tokens, `Uri` has neither
//! controls nor spaces, `HeaderValue` has no control but HTAB.

use http::{HeaderMap, HeaderValue, Version};

use super::error::EncodeError;
use super::facts::decimal;
use super::fields::elements;
use super::layout::HeaderLayout;
use super::message::ConnectionTokens;

mod arrange;
mod chunk;
mod request;
mod response;

pub use self::chunk::{CHUNK_END, encode_chunk_header, encode_last_chunk};
pub use self::request::{RequestPlan, encode_request_head};
pub use self::response::{ResponsePlan, encode_response_head};

/// What is known about a body before it is sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BodySize {
    /// It has exactly so many bytes; 0 is no body.
    Exact(u64),
    /// Only its end will tell.
    Unknown,
}

/// What the caller has to do after a head.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct BodyPlan {
    /// How to send the body.
    pub encoding: BodyEncoding,
    /// Whether another message may follow on this connection, going by the
    /// plan, the caller's Connection field and the encoding.
    pub keep_alive: bool,
    /// Whether the fields say Upgrade, and Connection names it.
    pub upgrade: bool,
}

/// How the body behind an encoded head is to be sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BodyEncoding {
    /// Nothing may be sent, even if there is a body: it is dropped.
    Empty,
    /// The bytes as they are, exactly so many, at least one.
    Length(u64),
    /// As chunks: [`encode_chunk_header`], the data, [`CHUNK_END`], and
    /// [`encode_last_chunk`] in the end.
    Chunked,
    /// The bytes as they are; then the connection is closed.
    UntilClose,
}

/// The fields that this codec writes itself, seen in the caller's headers.
#[derive(Debug, Default)]
struct Seen {
    length: Option<u64>,
    connection: ConnectionTokens,
    date: bool,
    upgrade: bool,
}

impl Seen {
    /// Writes the caller's fields but those that the codec writes, all in one
    /// pass. `skip_host` leaves Host out too.
    #[inline]
    fn write_fields(&mut self, out: &mut Vec<u8>, headers: &HeaderMap, skip_host: bool) -> Result<(), EncodeError> {
        for (name, value) in headers {
            let text = name.as_str();
            // By length first: hardly any field goes beyond this line.
            match text.len() {
                4 if text == "host" && skip_host => continue,
                4 if text == "date" => self.date = true,
                7 if text == "upgrade" => self.upgrade = true,
                10 if text == "connection" => {
                    self.write_connection(out, value);
                    continue;
                }
                14 if text == "content-length" => {
                    self.read_length(value)?;
                    continue;
                }
                17 if text == "transfer-encoding" => continue,
                _ => {}
            }
            write_field(out, text, value.as_bytes());
        }
        Ok(())
    }

    /// RFC 9110 section 7.8: Upgrade counts with its token in Connection.
    fn asks_upgrade(&self) -> bool {
        self.upgrade && self.connection.upgrade
    }

    /// Whether `keep-alive` is to be written where it goes without saying: the caller says it, and the layout has a place
    /// for it.
    #[inline]
    fn says_keep_alive(&self, layout: Option<&HeaderLayout>) -> bool {
        let has_place = |layout: &HeaderLayout| layout.names().any(|name| name.eq_ignore_ascii_case("connection"));
        self.connection.keep_alive && layout.is_some_and(has_place)
    }

    /// RFC 9110 section 8.6: the length goes out once and is a number.
    fn read_length(&mut self, value: &HeaderValue) -> Result<(), EncodeError> {
        let length = decimal(value.as_bytes()).ok_or(EncodeError::ContentLength)?;
        match self.length.replace(length) {
            Some(other) if other != length => Err(EncodeError::ContentLength),
            _ => Ok(()),
        }
    }

    /// Writes the tokens of Connection but those about persistence, which the
    /// encoder decides and writes last.
    fn write_connection(&mut self, out: &mut Vec<u8>, value: &HeaderValue) {
        self.connection.add(value.as_bytes());
        let mut separator = &b"connection: "[..];
        for token in elements(value.as_bytes()) {
            let persistence =
                token.eq_ignore_ascii_case(b"close") || token.eq_ignore_ascii_case(b"keep-alive") || token.is_empty();
            if !persistence {
                out.extend_from_slice(separator);
                out.extend_from_slice(token);
                separator = b", ";
            }
        }
        if separator == b", " {
            out.extend_from_slice(b"\r\n");
        }
    }
}

/// `connection` where the version's default is not what will happen (RFC 9112
/// section 9.3), or where it is said anyway.
#[inline]
fn write_persistence(out: &mut Vec<u8>, is_http10: bool, keep_alive: bool, said: bool) {
    match (is_http10, keep_alive) {
        (false, true) if !said => {}
        (_, true) => out.extend_from_slice(b"connection: keep-alive\r\n"),
        // HTTP/1.0 closes anyway, but many of its implementations do as HTTP/1.1.
        (_, false) => out.extend_from_slice(b"connection: close\r\n"),
    }
}

#[inline]
fn write_length(out: &mut Vec<u8>, length: u64) {
    out.extend_from_slice(b"content-length: ");
    out.extend_from_slice(itoa::Buffer::new().format(length).as_bytes());
    out.extend_from_slice(b"\r\n");
}

/// Names go out in lower case, as they are kept.
#[inline]
fn write_field(out: &mut Vec<u8>, name: &str, value: &[u8]) {
    out.reserve(name.len() + value.len() + 4);
    out.extend_from_slice(name.as_bytes());
    out.extend_from_slice(b": ");
    out.extend_from_slice(value);
    out.extend_from_slice(b"\r\n");
}

/// Whether the version is HTTP/1.0.
#[inline]
fn is_http10(version: Version) -> Result<bool, EncodeError> {
    match version {
        Version::HTTP_11 => Ok(false),
        Version::HTTP_10 => Ok(true),
        _ => Err(EncodeError::Version),
    }
}

/// The encoding of a body that may be there, for a caller's header and what is
/// known about the body. `None` stands for chunked, which HTTP/1.0 lacks.
#[inline]
fn body_length(declared: Option<u64>, size: BodySize) -> Result<Option<u64>, EncodeError> {
    match (declared, size) {
        (None, BodySize::Exact(actual)) => Ok(Some(actual)),
        (Some(declared), BodySize::Exact(actual)) if declared != actual => {
            Err(EncodeError::LengthMismatch { declared, actual })
        }
        // A stream whose length the caller promises is sent by that length.
        (Some(length), _) => Ok(Some(length)),
        (None, BodySize::Unknown) => Ok(None),
    }
}

#[cfg(test)]
mod tests;
