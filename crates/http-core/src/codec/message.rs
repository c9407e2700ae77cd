//! The heads that decoders return, with the facts that were gathered on the
//! way.

use bytes::Bytes;
use http::{HeaderMap, Method, StatusCode, Uri, Version};

use super::layout::HeaderLayout;

/// How the body that follows a head is delimited (RFC 9112 section 6.3).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Framing {
    /// Nothing follows. `content-length: 0` is this too.
    Empty,
    /// So many bytes follow, at least one.
    Length(u64),
    /// Chunks follow.
    Chunked,
    /// All bytes until the connection ends. Responses only.
    UntilClose,
}

impl Framing {
    /// Whether no body bytes follow the head.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        matches!(self, Self::Empty)
    }
}

/// The tokens of `Connection` that this codec acts on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct ConnectionTokens {
    /// `close` was there.
    pub close: bool,
    /// `keep-alive` was there.
    pub keep_alive: bool,
    /// `upgrade` was there.
    pub upgrade: bool,
    /// Some other token was there: it names a field of this hop alone.
    pub other: bool,
}

/// What a request expects (RFC 9110 section 10.1.1).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Expectation {
    /// Nothing. An HTTP/1.0 request never expects anything.
    #[default]
    None,
    /// `100-continue`.
    Continue,
    /// Something else; a server may answer 417.
    Other,
}

/// The form of a request target (RFC 9112 section 3.2).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TargetForm {
    /// `/path?query`.
    Origin,
    /// `scheme://authority/path?query`, as sent to a proxy.
    Absolute,
    /// `host:port`, with CONNECT.
    Authority,
    /// `*`, with OPTIONS.
    Asterisk,
}

/// The head of a request.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct RequestHead {
    /// The method.
    pub method: Method,
    /// The target, as it was sent: for origin-form it has no authority.
    pub uri: Uri,
    /// HTTP/1.0 or HTTP/1.1.
    pub version: Version,
    /// The fields, in the order they came, values without the white space
    /// around them. `Host` is the target's authority where the target has one
    /// (RFC 9112 section 3.2.2), without its userinfo.
    pub headers: HeaderMap,
    /// The form the target was sent in.
    pub target: TargetForm,
    /// The target carries userinfo (`user@host`), which is deprecated and
    /// which a proxy refuses (RFC 9110 section 4.2.4).
    pub userinfo: bool,
    /// How the body is delimited. Never [`Framing::UntilClose`].
    pub framing: Framing,
    /// The tokens of Connection.
    pub connection: ConnectionTokens,
    /// Whether the peer will send another request after this one, going by the
    /// version and Connection (RFC 9112 section 9.3).
    pub keep_alive: bool,
    /// Whether the peer asks for an upgrade: HTTP/1.1 with Upgrade and with
    /// the token in Connection (RFC 9110 section 7.8).
    pub upgrade: bool,
    /// What the peer waits for before it sends the body.
    pub expect: Expectation,
    /// Whether the peer takes trailers after the answer: HTTP/1.1 with
    /// `te: trailers` (RFC 9110 section 6.5.1).
    pub trailers: bool,
    /// How the fields stood on the wire, if that is
    /// [recorded](super::HeadConfig::header_layout).
    pub layout: Option<HeaderLayout>,
}

/// The head of a response.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct ResponseHead {
    /// The status, 100 to 999.
    pub status: StatusCode,
    /// HTTP/1.0 or HTTP/1.1.
    pub version: Version,
    /// The reason phrase where it is not the canonical one. May have bytes
    /// over 0x7f.
    pub reason: Option<Bytes>,
    /// The fields, in the order they came, values without the white space
    /// around them.
    pub headers: HeaderMap,
    /// How the body is delimited, for the method that was asked with.
    pub framing: Framing,
    /// The tokens of Connection.
    pub connection: ConnectionTokens,
    /// Whether another request can be sent after this exchange: the version
    /// and Connection allow it, and the body does not end with the connection.
    pub keep_alive: bool,
    /// Whether the connection changes its protocol after this head: 101, or a
    /// 2xx answer to CONNECT.
    pub switches: bool,
    /// How the fields stood on the wire, if that is
    /// [recorded](super::HeadConfig::header_layout).
    pub layout: Option<HeaderLayout>,
}
