//! The heads of responses.

use http::{HeaderMap, Method, StatusCode, Version};

use super::{
    BodyEncoding, BodyPlan, BodySize, Seen, arrange::arrange, body_length, is_http10, write_length, write_persistence,
};
use crate::codec::error::EncodeError;
use crate::codec::layout::HeaderLayout;

/// What the encoder of a response has to know about the exchange.
#[derive(Debug, Clone, Copy)]
pub struct ResponsePlan<'a> {
    /// The version of the request. The status line says HTTP/1.1 whatever this
    /// is (RFC 9110 section 2.5), but nothing goes out that HTTP/1.0 does not
    /// know.
    pub version: Version,
    /// The method of the request.
    pub method: &'a Method,
    /// What is known about the body.
    pub body: BodySize,
    /// Whether the server would take another request after this exchange. The
    /// caller's `connection: close` says no as well.
    pub keep_alive: bool,
    /// The value of Date, 29 bytes of IMF-fixdate, which goes out unless the
    /// caller's headers have one. Only a server without a clock has none (RFC
    /// 9110 section 6.6.1).
    pub date: Option<&'a [u8; 29]>,
    /// Where the fields stand and in which case, and what the reason phrase is if the
    /// status is its; `None` for the encoder's order, lower case and the
    /// canonical phrase.
    pub layout: Option<&'a HeaderLayout>,
}

/// Appends the head of a response to `out` and says how to send the body.
///
/// Framing is decided here (RFC 9112 section 6):
///
/// | response | fields | body |
/// |---|---|---|
/// | 1xx, 204, 2xx to CONNECT | no length, no coding | none |
/// | 205 | `content-length: 0` | none |
/// | 304, to HEAD | the caller's length; for HEAD else that of a body given | none |
/// | known length, or the caller's length with an unknown one | `content-length` | as it is |
/// | unknown length, HTTP/1.1 | `transfer-encoding: chunked` | chunks |
/// | unknown length, HTTP/1.0 | `connection: close` | until close |
///
/// `connection` goes out with the caller's tokens but `close` and
/// `keep-alive`, which follow from [`BodyPlan::keep_alive`].
///
/// # Errors
///
/// What the caller says about the length is wrong. `out` is as it was.
#[inline]
pub fn encode_response_head(
    out: &mut Vec<u8>,
    status: StatusCode,
    headers: &HeaderMap,
    plan: &ResponsePlan<'_>,
) -> Result<BodyPlan, EncodeError> {
    let start = out.len();
    let result = encode(out, status, headers, plan);
    if result.is_err() {
        out.truncate(start);
    }
    result
}

fn encode(
    out: &mut Vec<u8>,
    status: StatusCode,
    headers: &HeaderMap,
    plan: &ResponsePlan<'_>,
) -> Result<BodyPlan, EncodeError> {
    let is_http10 = is_http10(plan.version)?;
    // RFC 9110 section 15.2: HTTP/1.0 has no 1xx.
    if is_http10 && status.is_informational() {
        return Err(EncodeError::Status);
    }
    match plan.layout.and_then(HeaderLayout::status) {
        Some((code, reason)) if code == status.as_str().as_bytes() => write_status(out, code, reason),
        _ => write_status_line(out, status),
    }
    let fields = out.len();
    let mut seen = Seen::default();
    seen.write_fields(out, headers, false)?;

    let (encoding, length) = match Content::of(plan.method, status) {
        Content::Never => (BodyEncoding::Empty, None),
        Content::Described => {
            let length = match plan.body {
                // An empty body is what a handler gives that knows of HEAD: it
                // says nothing about what GET would bring.
                BodySize::Exact(0) | BodySize::Unknown => seen.length,
                _ if status == StatusCode::NOT_MODIFIED => seen.length,
                body => body_length(seen.length, body)?,
            };
            (BodyEncoding::Empty, length)
        }
        // RFC 9110 section 15.3.6: 205 has no content, and says so by length.
        Content::Sent if status == StatusCode::RESET_CONTENT => (BodyEncoding::Empty, Some(0)),
        Content::Sent => match body_length(seen.length, plan.body)? {
            Some(0) => (BodyEncoding::Empty, Some(0)),
            Some(length) => (BodyEncoding::Length(length), Some(length)),
            None if is_http10 => (BodyEncoding::UntilClose, None),
            None => (BodyEncoding::Chunked, None),
        },
    };
    if let Some(length) = length {
        write_length(out, length);
    } else if encoding == BodyEncoding::Chunked {
        out.extend_from_slice(b"transfer-encoding: chunked\r\n");
    }
    let keep_alive = plan.keep_alive && !seen.connection.close && encoding != BodyEncoding::UntilClose;
    // An interim response decides nothing about the connection, and neither
    // does one after which the connection is no longer HTTP.
    let tunnel = *plan.method == Method::CONNECT && status.is_success();
    if !status.is_informational() && !tunnel {
        write_persistence(out, is_http10, keep_alive, seen.says_keep_alive(plan.layout));
    }
    if let Some(date) = plan.date
        && !seen.date
        && !status.is_informational()
    {
        let mut line = *b"date: Thu, 01 Jan 1970 00:00:00 GMT\r\n";
        line[6..35].copy_from_slice(date);
        out.extend_from_slice(&line);
    }
    if let Some(layout) = plan.layout {
        arrange(out, fields, layout);
    }
    out.extend_from_slice(b"\r\n");
    Ok(BodyPlan { encoding, keep_alive, upgrade: seen.asks_upgrade() })
}

/// Whether a response has content, by method and status.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Content {
    /// It has, even if it is empty.
    Sent,
    /// It has none, but its fields may describe it (RFC 9110 sections 9.3.2
    /// and 15.4.5).
    Described,
    /// It has none, and says so by having neither framing field (RFC 9110
    /// section 8.6, RFC 9112 section 6.1).
    Never,
}

impl Content {
    #[inline]
    fn of(method: &Method, status: StatusCode) -> Self {
        if status.is_informational()
            || status == StatusCode::NO_CONTENT
            || (*method == Method::CONNECT && status.is_success())
        {
            Self::Never
        } else if *method == Method::HEAD || status == StatusCode::NOT_MODIFIED {
            Self::Described
        } else {
            Self::Sent
        }
    }
}

/// The usual lines in one piece, the others from the code and its canonical
/// phrase, which may be empty (RFC 9112 section 4).
#[inline]
fn write_status_line(out: &mut Vec<u8>, status: StatusCode) {
    // Nearly all of them; of a length that is known here, so that no function has to copy it.
    if status == StatusCode::OK {
        return out.extend_from_slice(b"HTTP/1.1 200 OK\r\n");
    }
    let line: &[u8] = match status.as_u16() {
        201 => b"HTTP/1.1 201 Created\r\n",
        204 => b"HTTP/1.1 204 No Content\r\n",
        206 => b"HTTP/1.1 206 Partial Content\r\n",
        301 => b"HTTP/1.1 301 Moved Permanently\r\n",
        302 => b"HTTP/1.1 302 Found\r\n",
        304 => b"HTTP/1.1 304 Not Modified\r\n",
        400 => b"HTTP/1.1 400 Bad Request\r\n",
        401 => b"HTTP/1.1 401 Unauthorized\r\n",
        403 => b"HTTP/1.1 403 Forbidden\r\n",
        404 => b"HTTP/1.1 404 Not Found\r\n",
        500 => b"HTTP/1.1 500 Internal Server Error\r\n",
        502 => b"HTTP/1.1 502 Bad Gateway\r\n",
        503 => b"HTTP/1.1 503 Service Unavailable\r\n",
        504 => b"HTTP/1.1 504 Gateway Timeout\r\n",
        _ => {
            let reason = status.canonical_reason().unwrap_or_default();
            return write_status(out, status.as_str().as_bytes(), reason.as_bytes());
        }
    };
    out.extend_from_slice(line);
}

#[cold]
fn write_status(out: &mut Vec<u8>, code: &[u8], reason: &[u8]) {
    for part in [b"HTTP/1.1 ", code, b" ", reason, b"\r\n"] {
        out.extend_from_slice(part);
    }
}
