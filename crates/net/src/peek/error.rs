use std::io;

use chaski_core::Elapsed;

/// Why a connection that was to be looked at reached no service.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum PeekError {
    /// The connection failed.
    #[error("cannot read the first bytes of the connection")]
    Read(#[source] io::Error),
    /// The client was too slow: the bytes that had come in time did not tell its protocol.
    #[error("the first {seen} bytes do not tell the protocol")]
    TimedOut {
        /// How many bytes had come.
        seen: usize,
        /// The limit that passed.
        #[source]
        elapsed: Elapsed,
    },
    /// As many bytes as may be looked at did not tell the protocol.
    #[error("the first {limit} bytes do not tell the protocol, and no more are looked at")]
    LimitReached {
        /// The limit, in bytes.
        limit: usize,
    },
    /// The server stops, and the client had not sent anything.
    #[error("the server stops, and the client had not sent anything")]
    Draining,
}
