use std::io;

use chaski_core::Elapsed;

use crate::ErrorCode;

/// Why a server's connection ended other than in peace.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Http2ServerError {
    /// The client broke the protocol, or behaved as in an attack
    /// ([`ENHANCE_YOUR_CALM`](ErrorCode::ENHANCE_YOUR_CALM)), and was told so by a GOAWAY frame.
    #[error("refused the client's frames with {0}")]
    Refused(ErrorCode),
    /// The client closed the connection because of an error.
    #[error("the client closed the connection with {0}")]
    GoAway(ErrorCode),
    /// A limit of time passed.
    #[error("a client was too slow")]
    Timeout(#[from] Elapsed),
    /// The IO failed.
    #[error("the connection failed")]
    Io(#[from] io::Error),
    /// The client went away before all its requests were answered.
    #[error("the client went away before its answers were complete")]
    ClientGone,
}

impl From<h2::Error> for Http2ServerError {
    fn from(error: h2::Error) -> Self {
        match error.reason() {
            Some(reason) if error.is_remote() => Self::GoAway(reason.into()),
            Some(reason) => Self::Refused(reason.into()),
            None => Self::Io(error.into_io().unwrap_or_else(|| io::ErrorKind::Other.into())),
        }
    }
}
