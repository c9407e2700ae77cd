//! Decoding the heads of requests.

use bytes::{Buf as _, Bytes, BytesMut};
use http::{HeaderMap, Method, Version, header};

use super::config::HeadConfig;
use super::error::{HeadError, HeadFault};
use super::facts::Facts;
use super::fields::{is_token, read_fields};
use super::layout::HeaderLayout;
use super::message::{Expectation, Framing, RequestHead, TargetForm};
use super::scan::{Scanner, Section};
use super::spare;
use super::target::Target;

/// The longest method that is taken. IANA's registry ends at 18 bytes
/// (`UPDATEREDIRECTREF`).
const MAX_METHOD_BYTES: usize = 24;

/// `SP HTTP/1.1 CR`: what of a request line follows its target.
const AFTER_TARGET: usize = 10;

/// Decodes the heads of the requests on one connection, one after another.
///
/// Bytes go in as they arrive, in pieces of any size. What was searched once
/// is not searched again.
///
/// # Example
///
/// ```
/// use bytes::BytesMut;
/// use chaski_http_core::codec::{Framing, HeadConfig, RequestDecoder};
///
/// let mut decoder = RequestDecoder::new(HeadConfig::default());
/// let mut buf = BytesMut::from("GET /a HTTP/1.1\r\nHo");
/// assert!(decoder.decode(&mut buf)?.is_none());
/// buf.extend_from_slice(b"st: example.com\r\n\r\nrest");
/// let head = decoder.decode(&mut buf)?.expect("the head is complete");
/// assert_eq!(head.uri.path(), "/a");
/// assert_eq!(head.framing, Framing::Empty);
/// assert_eq!(&buf[..], b"rest");
/// # Ok::<(), chaski_http_core::codec::HeadError>(())
/// ```
#[derive(Debug, Default)]
pub struct RequestDecoder {
    config: HeadConfig,
    scanner: Scanner,
    /// The empty line that is tolerated before a request was there.
    skipped: bool,
}

impl RequestDecoder {
    /// A decoder with limits.
    #[must_use]
    pub fn new(config: HeadConfig) -> Self {
        Self { config, ..Self::default() }
    }

    /// Takes a head off the front of `buf`, or nothing while it is incomplete.
    ///
    /// Between calls bytes may be appended to `buf`; what is in it stays until
    /// the head is returned. The head's values and URI share the memory of
    /// `buf`.
    ///
    /// One empty line before the request line is skipped (RFC 9112 section
    /// 2.2), as some clients end a body with one too many.
    ///
    /// # Errors
    ///
    /// A head that RFC 9112 does not allow, that is over a limit, or that could
    /// be read in two ways. The connection cannot be read further: answer with
    /// [`HeadError::status`] and close it.
    pub fn decode(&mut self, buf: &mut BytesMut) -> Result<Option<RequestHead>, HeadError> {
        if !self.scanner.has_first_line() && !self.begin(buf)? {
            return Ok(None);
        }
        let had_line = self.scanner.has_first_line();
        let scan = self.scanner.scan(buf, self.config.max_head_bytes);
        if !had_line {
            // Before the fault of the scan: a long target says more than a
            // long head, and it is what a slower sender would have heard.
            let line = self.scanner.first_line(buf);
            line_length(line, &self.config)?;
        }
        let section = match scan {
            Ok(Some(section)) => section,
            Ok(None) => return Ok(None),
            Err((fault, offset)) => return Err(HeadError::new(fault, offset)),
        };
        self.scanner.reset();
        self.skipped = false;
        let bytes = buf.split_to(section.len).freeze();
        self.parse(&bytes, section)
    }

    /// Gives a map back whose memory the next head on this thread may use.
    ///
    /// It is kept only if it is neither empty of memory nor large, so that a
    /// thread does not hold on to what one unusual message took.
    pub fn recycle(&mut self, headers: HeaderMap) {
        spare::put(headers);
    }

    /// Whether a part of a head was seen by [`decode`](Self::decode): the end
    /// of the connection here cuts a request off, and the deadline for heads
    /// runs.
    #[must_use]
    pub fn is_partial(&self) -> bool {
        self.scanner.has_begun()
    }

    /// Looks at the first byte of a head. Returns whether there is one.
    #[inline]
    fn begin(&mut self, buf: &mut BytesMut) -> Result<bool, HeadError> {
        match buf.first() {
            None => return Ok(false),
            Some(b'\r') => {
                if self.skipped {
                    return Err(HeadError::new(HeadFault::LeadingEmptyLine, 0));
                }
                match buf.get(1) {
                    None => return Ok(false),
                    Some(b'\n') => {}
                    Some(_) => return Err(HeadError::new(HeadFault::BareCr, 0)),
                }
                buf.advance(2);
                self.skipped = true;
                return self.begin(buf);
            }
            _ => {}
        }
        // What cannot become a request, such as a TLS hello sent to a plain
        // port, is refused at its first byte instead of at the deadline.
        match buf.first() {
            Some(b'\n') => Err(HeadError::new(HeadFault::BareLf, 0)),
            Some(&byte) if !is_token(byte) => Err(HeadError::new(HeadFault::Method { byte }, 0)),
            _ => Ok(true),
        }
    }

    #[inline]
    fn parse(&mut self, bytes: &Bytes, section: Section) -> Result<Option<RequestHead>, HeadError> {
        let config = &self.config;
        let limit = config.max_headers;
        let line = parse_line(bytes, section.first)?;
        let count = section.lines - 2;
        if count > limit {
            return Err(HeadError::new(HeadFault::TooManyHeaders { limit }, section.first));
        }
        let mut headers = spare::take(count, limit)?;
        let mut facts = Facts::default();
        let start = (section.first, 1);
        read_fields(bytes, start, &self.scanner.ends, &mut headers, limit, |field, value, at| {
            facts.read(field, value, at, config)
        })?;

        let is_http10 = line.version == Version::HTTP_10;
        // RFC 9112 section 3.2: HTTP/1.1 needs it, HTTP/1.0 did not know it.
        if !facts.has_host && !is_http10 {
            return Err(HeadError::new(HeadFault::MissingHost, section.first));
        }
        if line.target.form != TargetForm::Origin
            && let Some(host) = line.target.host()
        {
            headers.insert(header::HOST, host);
        }
        let (framing, repaired) = facts.framing(is_http10, config, &mut headers)?;
        Ok(Some(RequestHead {
            method: line.method,
            uri: line.target.uri,
            version: line.version,
            headers,
            target: line.target.form,
            userinfo: line.target.userinfo,
            framing: framing.unwrap_or(Framing::Empty),
            connection: facts.connection,
            keep_alive: facts.keep_alive(is_http10) && !repaired,
            upgrade: facts.has_upgrade && facts.connection.upgrade && !is_http10,
            // RFC 9110 section 10.1.1: ignored in HTTP/1.0.
            expect: if is_http10 { Expectation::None } else { facts.expect },
            trailers: facts.trailers && !is_http10,
            layout: config.header_layout.then(|| HeaderLayout::of(bytes)),
        }))
    }
}

struct RequestLine {
    method: Method,
    target: Target,
    version: Version,
}

/// Parses `method SP request-target SP HTTP-version CRLF` (RFC 9112 section 3).
#[inline]
fn parse_line(bytes: &Bytes, first: usize) -> Result<RequestLine, HeadError> {
    let line = &bytes[..first - 2];
    let Some(space) = method_length(line).filter(|&space| line[space] == b' ') else {
        return Err(HeadError::new(HeadFault::RequestLine, 0));
    };
    let rest = &line[space + 1..];
    let method = match &line[..space] {
        b"GET" => Method::GET,
        // Its bytes were checked with its length.
        other => match Method::from_bytes(other) {
            Ok(method) => method,
            Err(_) => return Err(HeadError::new(HeadFault::RequestLine, 0)),
        },
    };
    let (target, version) = match rest.split_last_chunk::<9>() {
        Some((target, b" HTTP/1.1")) => (target, Version::HTTP_11),
        Some((target, b" HTTP/1.0")) => (target, Version::HTTP_10),
        Some((_, [b' ', b'H', b'T', b'T', b'P', b'/', major, b'.', minor]))
            if major.is_ascii_digit() && minor.is_ascii_digit() =>
        {
            return Err(HeadError::new(HeadFault::Version, line.len() - 8));
        }
        _ => return Err(HeadError::new(HeadFault::RequestLine, 0)),
    };
    let at = space + 1;
    match Target::parse(&method, bytes.slice(at..at + target.len())) {
        Ok(target) => Ok(RequestLine { method, target, version }),
        Err(fault) => Err(HeadError::new(fault, at)),
    }
}

/// The length of the method, if it ends in `line`.
#[inline]
fn method_length(line: &[u8]) -> Option<usize> {
    // Nearly all requests.
    if line.starts_with(b"GET ") {
        return Some(3);
    }
    line.iter().position(|&byte| !is_token(byte))
}

/// Checks the lengths of a request line's method and target. `line` ends
/// before the LF, or is incomplete.
///
/// The measure is the same for a complete line and for one that is still
/// arriving, so that a request is refused for the same reason however it was
/// split.
#[inline]
fn line_length(line: &[u8], config: &HeadConfig) -> Result<(), HeadError> {
    let window = &line[..line.len().min(MAX_METHOD_BYTES + 1)];
    let Some(space) = method_length(window) else {
        if line.len() > MAX_METHOD_BYTES {
            let limit = MAX_METHOD_BYTES;
            return Err(HeadError::new(HeadFault::MethodTooLong { limit }, limit));
        }
        return Ok(());
    };
    match line[space] {
        b' ' => {}
        // The line may end here, which is for the parser to refuse.
        b'\r' if space + 1 == line.len() => return Ok(()),
        byte => return Err(HeadError::new(HeadFault::Method { byte }, space)),
    }
    let limit = config.max_uri_bytes;
    if line.len() - space - 1 > limit.saturating_add(AFTER_TARGET) {
        return Err(HeadError::new(HeadFault::UriTooLong { limit }, space + 1));
    }
    Ok(())
}

#[cfg(test)]
mod tests;
