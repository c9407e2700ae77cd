use std::{fmt, sync::Arc};

/// The protocol that an extended CONNECT request asks for (RFC 8441 section 4): its `:protocol`, such as `websocket`.
///
/// A server adds it as a fact to the request's scope; a client's session sends what it finds there. A CONNECT request without
/// it asks for a plain tunnel.
///
/// ```
/// use chaski_http2::ConnectProtocol;
///
/// assert_eq!(ConnectProtocol::new("websocket").as_str(), "websocket");
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct ConnectProtocol(Arc<str>);

impl ConnectProtocol {
    /// A protocol of this name, one of the registry of upgrade tokens (RFC 9110 section 16.7).
    #[must_use]
    pub fn new(name: &str) -> Self {
        Self(name.into())
    }

    /// The name.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for ConnectProtocol {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}
