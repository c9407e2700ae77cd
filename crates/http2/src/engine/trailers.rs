//! Which fields may stand in a trailer section.

use chaski_core::http::is_forbidden_trailer;
use http::{HeaderMap, HeaderName};

/// Drops the fields that must not be in a trailer section (RFC 9110 section 6.5.1). Done with what is sent and with what is
/// received.
pub(crate) fn retain_allowed(trailers: &mut HeaderMap) {
    if !trailers.keys().any(is_forbidden_trailer) {
        return;
    }
    let forbidden: Vec<HeaderName> = trailers.keys().filter(|name| is_forbidden_trailer(name)).cloned().collect();
    for name in forbidden {
        trailers.remove(name);
    }
}

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
