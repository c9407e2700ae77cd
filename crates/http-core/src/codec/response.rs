//! Decoding the heads of responses.

use bytes::{Bytes, BytesMut};
use http::{HeaderMap, Method, StatusCode, Version, header};

use super::config::HeadConfig;
use super::error::{HeadError, HeadFault};
use super::facts::Facts;
use super::fields::read_fields;
use super::layout::HeaderLayout;
use super::message::{Framing, ResponseHead};
use super::names::Field;
use super::scan::{Scanner, Section};
use super::spare;

/// Decodes the heads of the responses on one connection, one after another,
/// interim ones included.
///
/// # Example
///
/// ```
/// use bytes::BytesMut;
/// use chaski_http_core::codec::{Framing, HeadConfig, ResponseDecoder};
/// use http::Method;
///
/// let mut decoder = ResponseDecoder::new(HeadConfig::default());
/// let mut buf = BytesMut::from("HTTP/1.1 200 OK\r\ncontent-length: 3\r\n\r\nabc");
/// let head = decoder.decode(&mut buf, &Method::GET)?.expect("the head is complete");
/// assert_eq!(head.framing, Framing::Length(3));
/// assert_eq!(&buf[..], b"abc");
/// # Ok::<(), chaski_http_core::codec::HeadError>(())
/// ```
#[derive(Debug, Default)]
pub struct ResponseDecoder {
    config: HeadConfig,
    scanner: Scanner,
}

impl ResponseDecoder {
    /// A decoder with limits.
    #[must_use]
    pub fn new(config: HeadConfig) -> Self {
        Self { config, ..Self::default() }
    }

    /// Takes a head off the front of `buf`, or nothing while it is incomplete.
    ///
    /// `method` is the one of the request that this answers: it decides
    /// whether a body follows. Between calls bytes may be appended to `buf`;
    /// what is in it stays until the head is returned. The head's values share
    /// the memory of `buf`.
    ///
    /// An interim response (1xx but 101) is followed by another head.
    ///
    /// # Errors
    ///
    /// A head that RFC 9112 does not allow, that is over a limit, or that could
    /// be read in two ways. The connection cannot be read further.
    pub fn decode(&mut self, buf: &mut BytesMut, method: &Method) -> Result<Option<ResponseHead>, HeadError> {
        if !self.scanner.has_first_line() {
            check_start(buf)?;
        }
        let scan = self.scanner.scan(buf, self.config.max_head_bytes);
        let section = match scan {
            Ok(Some(section)) => section,
            Ok(None) => return Ok(None),
            Err((fault, offset)) => return Err(HeadError::new(fault, offset)),
        };
        self.scanner.reset();
        let bytes = buf.split_to(section.len).freeze();
        self.parse(&bytes, section, method)
    }

    /// Gives a map back whose memory the next head on this thread may use.
    ///
    /// It is kept only if it is neither empty of memory nor large, so that a
    /// thread does not hold on to what one unusual message took.
    pub fn recycle(&mut self, headers: HeaderMap) {
        spare::put(headers);
    }

    /// Whether a part of a head was seen by [`decode`](Self::decode).
    #[must_use]
    pub fn is_partial(&self) -> bool {
        self.scanner.has_begun()
    }

    #[inline]
    fn parse(&mut self, bytes: &Bytes, section: Section, method: &Method) -> Result<Option<ResponseHead>, HeadError> {
        let config = &self.config;
        let limit = config.max_headers;
        let (version, status, reason) = parse_line(bytes, section.first)?;
        let count = section.lines - 2;
        if count > limit {
            let fault = HeadFault::TooManyHeaders { limit };
            return Err(HeadError::new(fault, section.first));
        }
        let mut headers = spare::take(count, limit)?;
        let mut facts = Facts::default();
        let start = (section.first, 1);
        read_fields(bytes, start, &self.scanner.ends, &mut headers, limit, |field, value, at| match field {
            // Host means nothing in a response, so it need not be right either.
            Field::Host => Ok(Some(value.len())),
            field => facts.read(field, value, at, config),
        })?;

        let is_http10 = version == Version::HTTP_10;
        let switching = status == StatusCode::SWITCHING_PROTOCOLS;
        // RFC 9110 section 9.3.6: a 2xx answer to CONNECT opens a tunnel, and
        // a client ignores both framing fields in it.
        let tunnel = *method == Method::CONNECT && status.is_success();
        let (framing, repaired) = if tunnel {
            if facts.is_framed() {
                headers.remove(header::CONTENT_LENGTH);
                headers.remove(header::TRANSFER_ENCODING);
            }
            (Framing::Empty, false)
        } else if is_bodiless(method, status) {
            (Framing::Empty, facts.is_http10_chunked(is_http10))
        } else {
            match facts.framing(is_http10, config, &mut headers)? {
                (Some(framing), repaired) => (framing, repaired),
                // RFC 9112 section 6.3, the last rule.
                (None, _) => (Framing::UntilClose, false),
            }
        };
        Ok(Some(ResponseHead {
            status,
            version,
            reason,
            headers,
            framing,
            connection: facts.connection,
            keep_alive: facts.keep_alive(is_http10) && !repaired && framing != Framing::UntilClose,
            switches: switching || tunnel,
            layout: config.header_layout.then(|| HeaderLayout::of(bytes)),
        }))
    }
}

/// RFC 9112 section 6.3: these have no body, whatever their fields say. The
/// fields stay, as they tell what a GET would have brought.
fn is_bodiless(method: &Method, status: StatusCode) -> bool {
    *method == Method::HEAD
        || status.is_informational()
        || status == StatusCode::NO_CONTENT
        || status == StatusCode::NOT_MODIFIED
}

/// Refuses what cannot become a status line as soon as that can be told, so
/// that a peer of another protocol is not waited for.
#[inline]
fn check_start(buf: &[u8]) -> Result<(), HeadError> {
    const START: &[u8] = b"HTTP/";
    let length = buf.len().min(START.len());
    if buf[..length] == START[..length] {
        return Ok(());
    }
    match buf[0] {
        b'\r' | b'\n' => Err(HeadError::new(HeadFault::LeadingEmptyLine, 0)),
        _ => Err(HeadError::new(HeadFault::StatusLine, 0)),
    }
}

/// Parses `HTTP-version SP status-code SP [ reason-phrase ]` (RFC 9112 section
/// 4). The second space may be missing with the phrase, as it is from many
/// servers.
#[inline]
fn parse_line(bytes: &Bytes, first: usize) -> Result<(Version, StatusCode, Option<Bytes>), HeadError> {
    let line = &bytes[..first - 2];
    let Some((version, rest)) = line.split_first_chunk::<9>() else {
        return Err(HeadError::new(HeadFault::StatusLine, 0));
    };
    let version = match version {
        b"HTTP/1.1 " => Version::HTTP_11,
        b"HTTP/1.0 " => Version::HTTP_10,
        [b'H', b'T', b'T', b'P', b'/', major, b'.', minor, b' ']
            if major.is_ascii_digit() && minor.is_ascii_digit() =>
        {
            return Err(HeadError::new(HeadFault::Version, 0));
        }
        _ => return Err(HeadError::new(HeadFault::StatusLine, 0)),
    };
    let Some((code, rest)) = rest.split_first_chunk::<3>() else {
        return Err(HeadError::new(HeadFault::StatusLine, 9));
    };
    let Ok(status) = StatusCode::from_bytes(code) else {
        return Err(HeadError::new(HeadFault::StatusLine, 9));
    };
    let reason = match rest {
        [] => rest,
        [b' ', reason @ ..] => reason,
        _ => return Err(HeadError::new(HeadFault::StatusLine, 12)),
    };
    if let Some(index) = reason.iter().position(|&byte| is_control(byte)) {
        let fault = match reason[index] {
            b'\r' => HeadFault::BareCr,
            _ => HeadFault::StatusLine,
        };
        return Err(HeadError::new(fault, 13 + index));
    }
    let canonical = status.canonical_reason().unwrap_or_default();
    let reason = (reason != canonical.as_bytes()).then(|| bytes.slice_ref(reason));
    Ok((version, status, reason))
}

fn is_control(byte: u8) -> bool {
    (byte < 0x20 && byte != b'\t') || byte == 0x7f
}

#[cfg(test)]
mod tests;
