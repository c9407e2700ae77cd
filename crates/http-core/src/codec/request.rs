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
use super::target::{Target, host_of};

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
        let had_line = self.scanner.has_first_line();
        if !had_line && !self.begin(buf)? {
            return Ok(None);
        }
        let section = match self.scanner.scan(buf, self.config.max_head_bytes) {
            Ok(Some(section)) => section,
            incomplete => {
                if !had_line {
                    // Before the fault of the scan: a long target says more than a
                    // long head, and it is what a slower sender would have heard.
                    read_method(self.scanner.first_line(buf), &self.config)?;
                }
                return match incomplete {
                    Err((fault, offset)) => Err(HeadError::new(fault, offset)),
                    Ok(_) => Ok(None),
                };
            }
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
        // Its CR is part of the line.
        let line = &bytes[..section.first - 1];
        let Some((method, at)) = read_method(line, config)? else {
            return Err(HeadError::new(HeadFault::RequestLine, 0));
        };
        let Some((_, version)) = line[at..].split_last_chunk::<AFTER_TARGET>() else {
            return Err(HeadError::new(HeadFault::RequestLine, 0));
        };
        // Compared as a whole: a pattern would be compared byte by byte.
        let version = if version == b" HTTP/1.1\r" {
            Version::HTTP_11
        } else if version == b" HTTP/1.0\r" {
            Version::HTTP_10
        } else {
            return Err(bad_version(version, line.len()));
        };
        let Target { uri, form, userinfo } = match Target::parse(&method, bytes, at..line.len() - AFTER_TARGET) {
            Ok(target) => target,
            Err(fault) => return Err(HeadError::new(fault, at)),
        };
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

        let is_http10 = version == Version::HTTP_10;
        // RFC 9112 section 3.2: HTTP/1.1 needs it, HTTP/1.0 did not know it.
        if !facts.has_host && !is_http10 {
            return Err(HeadError::new(HeadFault::MissingHost, section.first));
        }
        if form != TargetForm::Origin
            && let Some(host) = host_of(&uri)
        {
            headers.insert(header::HOST, host);
        }
        let (framing, repaired) = facts.framing(is_http10, config, &mut headers)?;
        Ok(Some(RequestHead {
            method,
            uri,
            version,
            headers,
            target: form,
            userinfo,
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

/// Reads `method SP` (RFC 9112 section 3), and checks the length of the target
/// that follows. Returns the method and where the target begins, or `None`
/// where the line ends before. `line` ends before the LF, or is incomplete.
///
/// The measure is the same for a complete line and for one that is still
/// arriving, so that a request is refused for the same reason however it was
/// split.
#[inline]
fn read_method(line: &[u8], config: &HeadConfig) -> Result<Option<(Method, usize)>, HeadError> {
    // Nearly all requests.
    let (method, at) = if line.starts_with(b"GET ") {
        (Method::GET, 4)
    } else {
        match read_rare_method(line)? {
            Some(read) => read,
            None => return Ok(None),
        }
    };
    let limit = config.max_uri_bytes;
    if line.len() - at > limit.saturating_add(AFTER_TARGET) {
        return Err(HeadError::new(HeadFault::UriTooLong { limit }, at));
    }
    Ok(Some((method, at)))
}

fn read_rare_method(line: &[u8]) -> Result<Option<(Method, usize)>, HeadError> {
    let window = &line[..line.len().min(MAX_METHOD_BYTES + 1)];
    let Some(space) = window.iter().position(|&byte| !is_token(byte)) else {
        if line.len() > MAX_METHOD_BYTES {
            let limit = MAX_METHOD_BYTES;
            return Err(HeadError::new(HeadFault::MethodTooLong { limit }, limit));
        }
        return Ok(None);
    };
    match line[space] {
        b' ' => {}
        // The line may end here, which is for the parser to refuse.
        b'\r' if space + 1 == line.len() => return Ok(None),
        byte => return Err(HeadError::new(HeadFault::Method { byte }, space)),
    }
    match Method::from_bytes(&line[..space]) {
        Ok(method) => Ok(Some((method, space + 1))),
        Err(_) => Err(HeadError::new(HeadFault::RequestLine, 0)),
    }
}

/// Names what is wrong with the end of a request line.
#[cold]
fn bad_version(version: &[u8; AFTER_TARGET], line: usize) -> HeadError {
    match version {
        [b' ', b'H', b'T', b'T', b'P', b'/', major, b'.', minor, _]
            if major.is_ascii_digit() && minor.is_ascii_digit() =>
        {
            HeadError::new(HeadFault::Version, line - 9)
        }
        _ => HeadError::new(HeadFault::RequestLine, 0),
    }
}

#[cfg(test)]
mod tests;
