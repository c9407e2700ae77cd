//! A response body that gives its connection back.

use std::{
    pin::Pin,
    task::{Context, Poll, ready},
};

use bytes::Bytes;
use chaski_core::{
    BoxError, Session,
    http::{Body, Progress, Request},
};
use http_body::{Body as HttpBody, Frame, SizeHint};

use crate::pool::Lease;

/// A body whose end ends a [`Lease`].
pub(crate) struct Kept<S: Session<Request>> {
    body: Body,
    lease: Option<Lease<S>>,
}

impl<S: Session<Request>> Kept<S> {
    pub(crate) fn new(body: Body, lease: Lease<S>) -> Self {
        Self { body, lease: Some(lease) }
    }

    fn end(&mut self) {
        // The engine's body goes first: only then is the session's slot free, and a body dropped later could disturb the
        // connection's next request.
        drop(std::mem::take(&mut self.body));
        drop(self.lease.take());
    }
}

impl<S: Session<Request>> HttpBody for Kept<S> {
    type Data = Bytes;
    type Error = BoxError;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        let frame = ready!(Pin::new(&mut self.body).poll_frame(cx));
        // At the last frame already: many readers do not ask for the end after a known length.
        if !matches!(frame, Some(Ok(_))) || self.body.is_end_stream() {
            self.end();
        }
        Poll::Ready(frame)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

impl<S: Session<Request>> Progress for Kept<S> {
    fn poll_progress(mut self: Pin<&mut Self>, cx: &mut Context<'_>) {
        self.body.poll_progress(cx);
    }
}

impl<S: Session<Request>> Drop for Kept<S> {
    fn drop(&mut self) {
        self.end();
    }
}
