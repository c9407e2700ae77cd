use std::io;

use chaski_core::{BoxError, Elapsed};
use thiserror::Error;

use crate::codec::{BodyError, EncodeError, HeadError};

/// Why an exchange on a client's connection failed. Found beneath a [`SendError`](chaski_core::SendError), or as the error
/// of a response's body, with [`find_cause`](chaski_core::find_cause).
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum Http1Error {
    /// The connection has another exchange under way. The request was not sent.
    #[error("the connection has another exchange under way")]
    Busy,
    /// The connection takes no more requests. The request was not sent.
    #[error("the connection is draining")]
    Draining,
    /// The connection was closed before anything of the request was written: by this side, by the peer, or because the
    /// peer sent bytes that nobody had asked for. The request was not sent.
    #[error("the connection is closed")]
    Closed,
    /// The request cannot be written as asked: the caller's fault. It was not sent.
    #[error("the request cannot be written")]
    Encode(#[from] EncodeError),
    /// The request's body failed.
    #[error("the request's body failed")]
    RequestBody(#[source] BoxError),
    /// The request's body does not have the length that was announced: the caller's fault.
    #[error("the request's body has not the {declared} bytes that were announced")]
    RequestBodyLength {
        /// The length that was announced.
        declared: u64,
    },
    /// The connection ended, or writing failed, before any byte of a response was seen. On a connection that was used
    /// before, this is how it looks when the peer has closed it at the moment of reuse.
    #[error("the connection was closed before a response")]
    ClosedBeforeResponse {
        /// How many bytes of the request had been written. With 0 it was certainly not sent.
        written: u64,
        /// The error of the IO; `None` when the peer closed in an orderly way.
        source: Option<io::Error>,
    },
    /// The connection ended after a part of a response's head, or after informational responses only.
    #[error("the connection was closed within the response's head")]
    TruncatedHead,
    /// The peer's head was refused.
    #[error("the response was refused")]
    Head(#[from] HeadError),
    /// The response's body was refused or cut short.
    #[error("the response's body was refused")]
    Body(#[from] BodyError),
    /// The connection failed after a part of a response was seen.
    #[error("the connection failed")]
    Io(#[from] io::Error),
    /// The peer read nothing of the request for as long as
    /// [`write_timeout`](super::Http1ClientConfig::write_timeout).
    #[error("the peer stopped reading")]
    WriteTimeout(#[source] Elapsed),
    /// The final response's head did not come within
    /// [`head_timeout`](super::Http1ClientConfig::head_timeout).
    #[error("the peer did not answer in time")]
    HeadTimeout(#[source] Elapsed),
    /// Nothing of the response's body came within [`body_timeout`](super::Http1ClientConfig::body_timeout).
    #[error("the peer stopped sending")]
    BodyTimeout(#[source] Elapsed),
    /// The peer switched protocols though the request did not ask for that, or was not completely sent.
    #[error("the peer switched protocols without being asked to")]
    UnsolicitedUpgrade,
    /// More informational responses than [`max_informational`](super::Http1ClientConfig::max_informational).
    #[error("more than {limit} informational responses")]
    TooManyInformational {
        /// The limit.
        limit: usize,
    },
}

impl Http1Error {
    /// Whether the connection was or came to an end before any byte of a response was seen. When it had served another
    /// exchange before, it had then probably gone stale, and a request that may be repeated can be sent on another one.
    ///
    /// Whether anything of the request was written is told by [`SendError::is_not_sent`](chaski_core::SendError::is_not_sent).
    #[must_use]
    pub fn no_response_seen(&self) -> bool {
        matches!(self, Self::Closed | Self::ClosedBeforeResponse { .. })
    }
}
