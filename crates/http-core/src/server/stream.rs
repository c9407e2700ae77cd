//! Sending a response's body that comes in frames.

use std::{
    future::poll_fn,
    panic::{AssertUnwindSafe, catch_unwind},
    pin::Pin,
    task::{Context, Poll},
};

use bytes::Bytes;
use chaski_core::{BoxError, Io, http::Body};
use http::HeaderMap;
use http_body::{Body as _, Frame};

use super::{connection::Connection, error::Http1ServerError};
use crate::{
    codec::{BodyEncoding, CHUNK_END, encode_chunk_header, encode_last_chunk},
    engine::Output,
};

/// A response's body does not keep what its length promised.
#[derive(Debug, thiserror::Error)]
#[error("the body is {verb} than its length of {length} bytes")]
struct WrongLength {
    verb: &'static str,
    length: u64,
}

/// A response's body panicked.
#[derive(Debug, thiserror::Error)]
#[error("the body panicked")]
struct BodyPanicked;

impl<I: Io> Connection<'_, I> {
    /// Sends the body. What is ready leaves in batches, and before every wait.
    ///
    /// # Errors
    ///
    /// The client has gone or does not read; the body failed. The head has left, so the connection can only be cut: a body
    /// that stops short is no complete body to its reader.
    pub(super) async fn stream(
        &mut self,
        body: &mut Body,
        encoding: BodyEncoding,
        trailers_wanted: bool,
    ) -> Result<(), Http1ServerError> {
        let mut sender = Sender { encoding, sent: 0, trailers_wanted };
        let result = poll_fn(|cx| self.poll_stream(body, &mut sender, cx)).await;
        self.forget_now();
        result
    }

    fn poll_stream(
        &mut self,
        body: &mut Body,
        sender: &mut Sender,
        cx: &mut Context<'_>,
    ) -> Poll<Result<(), Http1ServerError>> {
        loop {
            if !self.out.has_room() && self.poll_flush(cx)?.is_pending() {
                // No frame can be taken, but a body that is fed by this client's own upload has to go on taking that: the
                // client may not read before it has sent everything.
                let progress = catch_unwind(AssertUnwindSafe(|| body.poll_progress(cx)));
                return match progress {
                    Ok(()) => Poll::Pending,
                    Err(_) => Poll::Ready(Err(Http1ServerError::ResponseBody(BodyPanicked.into()))),
                };
            }
            // A panic costs this response, not the process.
            let frame = catch_unwind(AssertUnwindSafe(|| Pin::new(&mut *body).poll_frame(cx)));
            let frame = match frame {
                Ok(Poll::Ready(frame)) => frame,
                // Its length has been sent: the client has it all, whatever the body waits for.
                Ok(Poll::Pending) if sender.is_complete() => return Poll::Ready(Ok(())),
                Ok(Poll::Pending) => return self.attend(cx).map(Err),
                Err(_) => Some(Err(BodyPanicked.into())),
            };
            match frame {
                Some(Ok(frame)) => {
                    let done = sender.push(frame, &mut self.out).map_err(Http1ServerError::ResponseBody)?;
                    if done {
                        return Poll::Ready(Ok(()));
                    }
                }
                None => {
                    return Poll::Ready(sender.end(None, &mut self.out).map_err(Http1ServerError::ResponseBody));
                }
                Some(Err(error)) => return Poll::Ready(Err(Http1ServerError::ResponseBody(error))),
            }
        }
    }
}

struct Sender {
    encoding: BodyEncoding,
    sent: u64,
    trailers_wanted: bool,
}

impl Sender {
    /// Whether all that the head promised was encoded; known of a length only.
    fn is_complete(&self) -> bool {
        matches!(self.encoding, BodyEncoding::Length(length) if self.sent == length)
    }

    /// Encodes a frame. `true` when it was the last.
    fn push(&mut self, frame: Frame<Bytes>, out: &mut Output) -> Result<bool, BoxError> {
        let data = match frame.into_data() {
            Ok(data) => data,
            Err(frame) => {
                let trailers = frame.into_trailers().unwrap_or_default();
                self.end(Some(&trailers), out)?;
                return Ok(true);
            }
        };
        if data.is_empty() {
            return Ok(false);
        }
        self.sent += data.len() as u64;
        match self.encoding {
            BodyEncoding::Length(length) if self.sent > length => {
                return Err(WrongLength { verb: "longer", length }.into());
            }
            BodyEncoding::Chunked => {
                encode_chunk_header(out.encoded(), data.len() as u64);
                out.push(&data, CHUNK_END);
            }
            _ => out.push(&data, b""),
        }
        Ok(false)
    }

    fn end(&mut self, trailers: Option<&HeaderMap>, out: &mut Output) -> Result<(), BoxError> {
        match self.encoding {
            BodyEncoding::Length(length) if self.sent < length => Err(WrongLength { verb: "shorter", length }.into()),
            BodyEncoding::Chunked => {
                // What was there before was flushed before the body was polled, so nothing is overtaken.
                encode_last_chunk(out.encoded(), trailers.filter(|_| self.trailers_wanted));
                Ok(())
            }
            _ => Ok(()),
        }
    }
}
