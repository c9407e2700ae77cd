use std::io;

use chaski_core::{BoxError, Elapsed};
use thiserror::Error;

use crate::ErrorCode;

/// Why an exchange on a client's connection failed. Found beneath a [`SendError`](chaski_core::SendError) with
/// [`find_cause`](chaski_core::find_cause). A response's body fails with an [`Http2BodyError`](crate::Http2BodyError).
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum Http2Error {
    /// The connection has as many requests under way as its peer allows. The request was not sent.
    #[error("the connection has as many requests under way as its peer allows")]
    Busy,
    /// The connection takes no more requests: its peer or this side has said so. The request was not sent.
    #[error("the connection is draining")]
    Draining,
    /// The connection ended before the request was sent.
    #[error("the connection is closed")]
    Closed,
    /// The request cannot be sent as asked: the caller's fault. It was not sent.
    #[error("the request cannot be sent: {0}")]
    Request(&'static str),
    /// The request's body failed, or is not as long as it said.
    #[error("the request's body failed")]
    RequestBody(#[source] BoxError),
    /// The peer closes the connection and has not processed the request, nor will it (RFC 9113 section 6.8).
    #[error("the peer closes the connection and did not process the request ({0})")]
    NotProcessed(ErrorCode),
    /// The peer refused the stream without processing the request (RFC 9113 section 8.7).
    #[error("the peer refused the stream")]
    Refused,
    /// The peer reset the stream.
    #[error("the peer reset the stream with {0}")]
    Reset(ErrorCode),
    /// The peer's response was malformed, or it broke the protocol otherwise, or behaved as in an attack
    /// ([`ENHANCE_YOUR_CALM`](ErrorCode::ENHANCE_YOUR_CALM)): it sent more frames of no use than
    /// [`max_control_frames`](super::Http2ClientConfig::max_control_frames), for one.
    #[error("the peer broke the protocol ({0})")]
    Protocol(ErrorCode),
    /// The connection failed, or was closed by the peer, before a response.
    #[error("the connection was closed before a response")]
    Io(#[source] io::Error),
    /// The peer read nothing for as long as [`write_timeout`](super::Http2ClientConfig::write_timeout).
    #[error("the peer stopped reading")]
    WriteTimeout(#[source] Elapsed),
    /// The peer did not answer a PING within [`keep_alive_timeout`](super::Http2ClientConfig::keep_alive_timeout).
    #[error("the peer is no longer there")]
    KeepAliveTimeout(#[source] Elapsed),
    /// The final response's head did not come within
    /// [`head_timeout`](super::Http2ClientConfig::head_timeout).
    #[error("the peer did not answer in time")]
    HeadTimeout(#[source] Elapsed),
    /// More informational responses than [`max_informational`](super::Http2ClientConfig::max_informational).
    #[error("more than {limit} informational responses")]
    TooManyInformational {
        /// The limit.
        limit: usize,
    },
}

impl Http2Error {
    /// Whether the peer certainly did not act on the request.
    pub(super) fn is_unprocessed(&self) -> bool {
        matches!(
            self,
            Self::Busy | Self::Draining | Self::Closed | Self::Request(_) | Self::NotProcessed(_) | Self::Refused
        )
    }

    /// Whether the failure came without any part of a response: the connection or the stream ended.
    pub(super) fn no_response_seen(&self) -> bool {
        self.is_unprocessed()
            || matches!(self, Self::Reset(_) | Self::Io(_) | Self::WriteTimeout(_) | Self::KeepAliveTimeout(_))
    }
}

/// What h2 says of a stream.
impl From<h2::Error> for Http2Error {
    fn from(error: h2::Error) -> Self {
        match error.reason().map(ErrorCode::from) {
            // h2 gives it to the streams above the last one that the peer has processed, and to no other.
            Some(code) if error.is_go_away() && error.is_remote() => Self::NotProcessed(code),
            Some(ErrorCode::REFUSED_STREAM) if error.is_remote() => Self::Refused,
            Some(code) if error.is_remote() => Self::Reset(code),
            Some(code) => Self::Protocol(code),
            None => Self::Io(error.into_io().unwrap_or_else(|| io::ErrorKind::ConnectionAborted.into())),
        }
    }
}
