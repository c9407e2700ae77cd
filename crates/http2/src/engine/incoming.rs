//! The body that the peer sends.

use std::{
    pin::Pin,
    task::{Context, Poll},
    time::Duration,
};

use bytes::Bytes;
use chaski_core::{BoxError, Deadline, Elapsed};
use h2::RecvStream;
use http_body::{Body, Frame, SizeHint};
use tokio::time::Instant;

use super::trailers;
use crate::Http2BodyError;

/// A body that is received: data, then trailers. It may be read in any task.
///
/// The window of flow control opens again when a frame is handed to the reader, so what waits unread is bounded by the
/// windows, and what the reader keeps is the reader's. Dropped, it lets go of all that has come and will still come; whether
/// the stream is reset then depends on who else holds it.
pub(crate) struct Incoming {
    stream: RecvStream,
    /// What is still to come, if the peer has said it.
    hint: SizeHint,
    next: Next,
    /// How long one read may wait, and what the error says was waited for.
    limit: Option<Duration>,
    what: &'static str,
    deadline: Deadline,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Next {
    Data,
    Trailers,
    Nothing,
}

impl Incoming {
    /// `length` is that of the head's `content-length`, which h2 holds the peer to. A read may wait for as long as `limit`
    /// says; `what` names it in the error.
    pub(crate) fn new(stream: RecvStream, length: Option<u64>, limit: Option<Duration>, what: &'static str) -> Self {
        let hint = length.map_or_else(SizeHint::default, SizeHint::with_exact);
        Self { stream, hint, next: Next::Data, limit, what, deadline: Deadline::default() }
    }

    fn poll_next(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Http2BodyError>>> {
        while self.next == Next::Data {
            match self.stream.poll_data(cx) {
                Poll::Ready(Some(Ok(data))) => {
                    // It cannot fail: so many bytes were received just now and not released before.
                    let _ = self.stream.flow_control().release_capacity(data.len());
                    if let Some(left) = self.hint.exact() {
                        self.hint = SizeHint::with_exact(left.saturating_sub(data.len() as u64));
                    }
                    if self.stream.is_end_stream() {
                        self.next = Next::Nothing;
                    }
                    // RFC 9113 section 6.1: the last frame is often an empty one.
                    if !data.is_empty() {
                        return Poll::Ready(Some(Ok(Frame::data(data))));
                    }
                }
                Poll::Ready(Some(Err(error))) => return self.fail(error),
                Poll::Ready(None) => self.next = Next::Trailers,
                Poll::Pending => return Poll::Pending,
            }
        }
        if self.next == Next::Nothing {
            return Poll::Ready(None);
        }
        match self.stream.poll_trailers(cx) {
            Poll::Ready(Ok(found)) => {
                self.next = Next::Nothing;
                Poll::Ready(found.map(|mut found| {
                    trailers::retain_allowed(&mut found);
                    Ok(Frame::trailers(found))
                }))
            }
            Poll::Ready(Err(error)) => self.fail(error),
            Poll::Pending => Poll::Pending,
        }
    }

    fn fail(&mut self, error: h2::Error) -> Poll<Option<Result<Frame<Bytes>, Http2BodyError>>> {
        self.next = Next::Nothing;
        Poll::Ready(Some(Err(error.into())))
    }
}

impl Body for Incoming {
    type Data = Bytes;
    type Error = BoxError;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        let this = &mut *self;
        if let Poll::Ready(frame) = this.poll_next(cx) {
            this.deadline.clear();
            return Poll::Ready(frame.map(|frame| frame.map_err(Into::into)));
        }
        let Some(limit) = this.limit else { return Poll::Pending };
        if !this.deadline.is_set() {
            this.deadline.set(Some(Instant::now() + limit));
        }
        if this.deadline.poll(cx).is_pending() {
            return Poll::Pending;
        }
        this.next = Next::Nothing;
        let elapsed = Elapsed { what: this.what, limit };
        Poll::Ready(Some(Err(Http2BodyError::from(elapsed).into())))
    }

    fn is_end_stream(&self) -> bool {
        self.next == Next::Nothing
    }

    fn size_hint(&self) -> SizeHint {
        self.hint
    }
}
