//! Which fields may stand in a trailer section.

use http::{HeaderMap, HeaderName};

/// Drops the fields that must not be in a trailer section: those that frame the message, route it, change how the request
/// is handled, authenticate, steer caches, or say how to read the content (RFC 9110 section 6.5.1), and those of one
/// connection. Done with what is sent and with what is received.
pub(crate) fn retain_allowed(trailers: &mut HeaderMap) {
    if !trailers.keys().any(is_forbidden) {
        return;
    }
    let forbidden: Vec<HeaderName> = trailers.keys().filter(|name| is_forbidden(name)).cloned().collect();
    for name in forbidden {
        trailers.remove(name);
    }
}

fn is_forbidden(name: &HeaderName) -> bool {
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_frames_or_routes_a_message_is_dropped_the_rest_stays() {
        let mut trailers = HeaderMap::new();
        for name in ["grpc-status", "content-length", "checksum", "host", "te"] {
            trailers.append(name, "1".parse().unwrap());
            trailers.append(name, "2".parse().unwrap());
        }
        retain_allowed(&mut trailers);
        let names: Vec<&str> = trailers.keys().map(HeaderName::as_str).collect();
        assert_eq!(names, ["grpc-status", "checksum"]);
        assert_eq!(trailers.len(), 4);
    }
}
