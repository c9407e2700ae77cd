use std::io;

use chaski_core::{BoxError, Elapsed};

use crate::codec::{BodyError, HeadError};

/// Why a server's connection ended other than in peace.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Http1ServerError {
    /// The client sent a head that was refused, and was told so.
    #[error("refused a request")]
    Head(#[from] HeadError),
    /// The client closed in the middle of a head.
    #[error("the connection ended in the middle of a request's head")]
    IncompleteHead,
    /// A limit of time passed.
    #[error("a client was too slow")]
    Timeout(#[from] Elapsed),
    /// The IO failed.
    #[error("the connection failed")]
    Io(#[from] io::Error),
    /// The body of a response failed after its head had left: all that was left was to cut the connection.
    #[error("a response's body failed on the way")]
    ResponseBody(#[source] BoxError),
    /// The client went away before its answer was complete.
    #[error("the client went away before its answer was complete")]
    ClientGone,
}

/// Why the body of a request cannot be read on.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum RequestBodyError {
    /// The client's framing is wrong, or the body was cut off.
    #[error("the request's body is malformed")]
    Malformed(#[from] BodyError),
    /// The client took too long.
    #[error("the request's body stalled")]
    Timeout(#[from] Elapsed),
    /// The IO failed.
    #[error("the connection failed in the request's body")]
    Io(#[from] io::Error),
    /// The connection has ended, so there is nothing left to read from.
    #[error("the connection of the request's body has ended")]
    Closed,
}
