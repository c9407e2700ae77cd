use std::fmt;

/// The code of an error in HTTP/2 (RFC 9113 section 7): why a stream was reset, or a connection closed.
///
/// ```
/// use chaski_http2::ErrorCode;
///
/// assert_eq!(ErrorCode::CANCEL.to_string(), "CANCEL");
/// assert_eq!(ErrorCode::from(0xbeef_u32).to_string(), "0xbeef");
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct ErrorCode(u32);

macro_rules! codes {
    ($($(#[$doc:meta])* $name:ident = $code:literal;)*) => {
        impl ErrorCode {
            $($(#[$doc])* pub const $name: Self = Self($code);)*

            /// The name in the registry; `None` for a code that is not in RFC 9113.
            #[must_use]
            pub const fn name(self) -> Option<&'static str> {
                match self.0 {
                    $($code => Some(stringify!($name)),)*
                    _ => None,
                }
            }
        }
    };
}

codes! {
    /// Nothing is wrong: a stream is no longer needed, a connection closes in peace.
    NO_ERROR = 0x0;
    /// The peer broke the protocol.
    PROTOCOL_ERROR = 0x1;
    /// Something failed that is not the peer's business.
    INTERNAL_ERROR = 0x2;
    /// The peer sent more than the flow-control window allowed.
    FLOW_CONTROL_ERROR = 0x3;
    /// Settings were not acknowledged in time.
    SETTINGS_TIMEOUT = 0x4;
    /// A frame came for a stream that was half-closed.
    STREAM_CLOSED = 0x5;
    /// A frame has an impossible size.
    FRAME_SIZE_ERROR = 0x6;
    /// The stream was not processed at all: the request may be sent again.
    REFUSED_STREAM = 0x7;
    /// The stream is no longer wanted.
    CANCEL = 0x8;
    /// Header compression has lost its state.
    COMPRESSION_ERROR = 0x9;
    /// The connection behind a CONNECT request was reset.
    CONNECT_ERROR = 0xa;
    /// The peer's behaviour might be an attack.
    ENHANCE_YOUR_CALM = 0xb;
    /// The transport is not secure enough (RFC 9113 section 9.2).
    INADEQUATE_SECURITY = 0xc;
    /// The request has to be sent over HTTP/1.1.
    HTTP_1_1_REQUIRED = 0xd;
}

impl From<u32> for ErrorCode {
    fn from(code: u32) -> Self {
        Self(code)
    }
}

impl From<ErrorCode> for u32 {
    fn from(code: ErrorCode) -> Self {
        code.0
    }
}

impl From<h2::Reason> for ErrorCode {
    fn from(reason: h2::Reason) -> Self {
        Self(reason.into())
    }
}

impl fmt::Display for ErrorCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.name() {
            Some(name) => f.write_str(name),
            None => write!(f, "{:#x}", self.0),
        }
    }
}
