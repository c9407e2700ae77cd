use std::{
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
};

use bytes::Bytes;
use chaski_core::BoxError;
use http::StatusCode;
use http_body::{Body, Frame, SizeHint};

use super::handle::Handle;
use crate::{Http2BodyError, engine::Incoming};

/// The body of a request, as its service gets it: it asks for itself when the client waits for that, and tells when it
/// fails.
pub(super) struct RequestBody {
    body: Incoming,
    handle: Arc<Handle>,
    request: u64,
    /// The client waits to be asked, and nobody has read yet.
    expected: bool,
}

impl RequestBody {
    pub(super) fn new(body: Incoming, handle: Arc<Handle>, request: u64, expected: bool) -> Self {
        Self { body, handle, request, expected }
    }
}

impl Body for RequestBody {
    type Data = Bytes;
    type Error = BoxError;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        let frame = Pin::new(&mut self.body).poll_frame(cx);
        if std::mem::take(&mut self.expected) {
            if frame.is_pending() {
                self.handle.ask(self.request);
            } else {
                // RFC 9110 section 10.1.1: who has begun to send does not wait to be asked.
                self.handle.waive(self.request);
            }
        }
        if let Poll::Ready(Some(Err(error))) = &frame {
            let slow = matches!(error.downcast_ref(), Some(Http2BodyError::Timeout(_)));
            let status = if slow { StatusCode::REQUEST_TIMEOUT } else { StatusCode::BAD_REQUEST };
            self.handle.body_failed(self.request, status);
        }
        frame
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

impl Drop for RequestBody {
    fn drop(&mut self) {
        if self.expected {
            self.handle.waive(self.request);
        }
    }
}
