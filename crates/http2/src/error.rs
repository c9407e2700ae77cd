use std::io;

use chaski_core::Elapsed;

use crate::ErrorCode;

/// Why a body that the peer sends cannot be read on.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Http2BodyError {
    /// The peer reset the stream.
    #[error("the peer reset the stream with {0}")]
    Reset(ErrorCode),
    /// The peer broke the protocol, on this stream or on the whole connection: its body is not as long as its
    /// `content-length` says, or it sent too many frames of no use
    /// ([`ENHANCE_YOUR_CALM`](ErrorCode::ENHANCE_YOUR_CALM)), for two.
    #[error("the peer's body is malformed ({0})")]
    Malformed(ErrorCode),
    /// The peer took too long.
    #[error("the body stalled")]
    Timeout(#[from] Elapsed),
    /// The connection failed, or has ended.
    #[error("the connection of the body has ended")]
    Closed(#[source] io::Error),
}

impl From<h2::Error> for Http2BodyError {
    fn from(error: h2::Error) -> Self {
        match error.reason() {
            Some(reason) if error.is_reset() && error.is_remote() => Self::Reset(reason.into()),
            Some(reason) if error.is_library() => Self::Malformed(reason.into()),
            _ => Self::Closed(error.into_io().unwrap_or_else(|| io::ErrorKind::ConnectionAborted.into())),
        }
    }
}
