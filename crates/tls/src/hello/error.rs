use std::fmt;

/// Why bytes are not a ClientHello, and at which of them that shows.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{kind}, at byte {position} of the {}", if kind.is_in_message() { "message" } else { "stream" })]
pub struct ClientHelloError {
    kind: ClientHelloErrorKind,
    position: usize,
}

impl ClientHelloError {
    pub(super) const fn new(kind: ClientHelloErrorKind, position: usize) -> Self {
        Self { kind, position }
    }

    /// What is wrong.
    pub const fn kind(&self) -> ClientHelloErrorKind {
        self.kind
    }

    /// Where: a byte of the stream, counted from its first, when records are at fault; a byte of the message, its type
    /// being the first, when what is in them is ([`ClientHelloErrorKind::is_in_message`]).
    pub const fn position(&self) -> usize {
        self.position
    }
}

/// What is wrong with bytes that are not a ClientHello.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ClientHelloErrorKind {
    /// The stream does not begin with a TLS handshake record: whoever speaks there speaks something else.
    #[error("no TLS handshake record")]
    NotTls,
    /// The first handshake message has another type, which is given.
    #[error("a handshake message of type {0} instead of a ClientHello")]
    MessageType(u8),
    /// A record of another type, which is given, before the hello was over (RFC 8446 section 5.1).
    #[error("a record of type {0} in the middle of the ClientHello")]
    RecordType(u8),
    /// A later record whose version is not 3.x; its first byte is given.
    #[error("a record of version {0}.x in the middle of the ClientHello")]
    RecordVersion(u8),
    /// A later record of this length: none of a handshake is empty or longer than 16,384 bytes (RFC 8446 section 5.1).
    #[error("a record of {0} bytes")]
    RecordLength(u16),
    /// The hello would end beyond as many bytes of the stream as are read.
    #[error("a ClientHello of more than {limit} bytes with its records")]
    TooLong {
        /// The limit, in bytes.
        limit: usize,
    },
    /// The hello is followed by something in its own record, which no client sends before the server has spoken.
    #[error("a record that goes on behind the ClientHello")]
    RecordGoesOn,
    /// A part says of something in it that it is longer than the part.
    #[error("{0} too short for what it holds")]
    Short(HelloPart),
    /// A part says that it is longer than what it holds.
    #[error("{0} with bytes behind its end")]
    Long(HelloPart),
    /// A part, or a list in it, has a length that it cannot have: none, an odd one, or a session id of more than 32 bytes.
    #[error("{0} of an impossible length")]
    Length(HelloPart),
    /// A second extension of one type (RFC 8446 section 4.2), or a second name of one type (RFC 6066 section 3).
    #[error("{0} that repeats itself")]
    Repeated(HelloPart),
}

impl ClientHelloErrorKind {
    /// Whether the records were in order, and the message in them was not.
    pub const fn is_in_message(self) -> bool {
        matches!(self, Self::Short(_) | Self::Long(_) | Self::Length(_) | Self::Repeated(_))
    }
}

/// A part of a ClientHello; prints as its name in RFC 8446 section 4.1.2.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum HelloPart {
    /// The message as a whole.
    Message,
    /// `legacy_session_id`.
    SessionId,
    /// `cipher_suites`.
    CipherSuites,
    /// `legacy_compression_methods`.
    CompressionMethods,
    /// The block of all extensions.
    Extensions,
    /// The extension of this type.
    Extension(u16),
}

impl fmt::Display for HelloPart {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Message => f.write_str("a ClientHello"),
            Self::SessionId => f.write_str("a session id"),
            Self::CipherSuites => f.write_str("cipher suites"),
            Self::CompressionMethods => f.write_str("compression methods"),
            Self::Extensions => f.write_str("a block of extensions"),
            Self::Extension(kind) => write!(f, "an extension {kind:#06x}"),
        }
    }
}
