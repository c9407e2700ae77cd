//! Which fields may stand in a trailer section.

use http::HeaderName;

/// Whether a field must not be sent in a trailer section, and is dropped when received there: those that frame the message,
/// route it, change how the request is handled, authenticate, steer caches, or say how to read the content, and those of one
/// connection (RFC 9110 section 6.5.1). All versions of HTTP go by it.
///
/// ```
/// use chaski_core::http::is_forbidden_trailer;
/// use http::{HeaderName, header};
///
/// assert!(is_forbidden_trailer(&header::CONTENT_LENGTH));
/// assert!(!is_forbidden_trailer(&HeaderName::from_static("grpc-status")));
/// ```
#[must_use]
pub fn is_forbidden_trailer(name: &HeaderName) -> bool {
    FORBIDDEN.contains(&name.as_str())
}

const FORBIDDEN: &[&str] = &[
    // Framing and the connection.
    "connection",
    "content-length",
    "http2-settings",
    "keep-alive",
    "proxy-connection",
    "te",
    "trailer",
    "transfer-encoding",
    "upgrade",
    // Routing.
    "host",
    // Request modifiers.
    "cache-control",
    "expect",
    "if-match",
    "if-modified-since",
    "if-none-match",
    "if-range",
    "if-unmodified-since",
    "max-forwards",
    "pragma",
    "range",
    // Authentication and what stands in for it.
    "authorization",
    "cookie",
    "proxy-authenticate",
    "proxy-authentication-info",
    "proxy-authorization",
    "set-cookie",
    "www-authenticate",
    // Control of the response.
    "age",
    "date",
    "expires",
    "location",
    "retry-after",
    "vary",
    "warning",
    // How to read the content.
    "content-encoding",
    "content-range",
    "content-type",
];
