use std::fmt;

/// Which versions of HTTP may be spoken on a connection: a choice of a [`Route`](crate::Route), from which follows what a TLS
/// connector offers by ALPN.
///
/// A caller that needs one version says so before the dial: the handshake then offers nothing else, and an HTTP connector
/// speaks nothing else.
///
/// ```
/// use chaski_core::{HttpVersions, Route};
///
/// let route = Route::default().with(HttpVersions::Http1);
/// let versions = route.choice::<HttpVersions>().copied().unwrap_or_default();
/// assert_eq!(versions.alpn(), [b"http/1.1"]);
/// assert_eq!(HttpVersions::default().alpn(), [&b"h2"[..], b"http/1.1"]);
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum HttpVersions {
    /// HTTP/2 where the peer agrees to it, else HTTP/1.1. Without TLS there is nothing to agree by, and it is HTTP/1.1.
    #[default]
    Any,
    /// HTTP/1.1, or 1.0 where a request says so.
    Http1,
    /// HTTP/2, without TLS too: with prior knowledge (RFC 9113 section 3.3).
    Http2,
}

impl HttpVersions {
    /// Their names for ALPN, the preferred one first.
    #[must_use]
    pub const fn alpn(self) -> &'static [&'static [u8]] {
        // RFC 9113 section 3.1 and RFC 7301 section 6.
        match self {
            Self::Any => &[b"h2", b"http/1.1"],
            Self::Http1 => &[b"http/1.1"],
            Self::Http2 => &[b"h2"],
        }
    }
}

impl fmt::Display for HttpVersions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Any => "HTTP/2 or HTTP/1.1",
            Self::Http1 => "HTTP/1.1",
            Self::Http2 => "HTTP/2",
        })
    }
}
