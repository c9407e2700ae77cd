//! The body of a response.

use std::{
    future::poll_fn,
    pin::Pin,
    task::{Context, Poll, ready},
};

use bytes::Bytes;
use chaski_core::{
    BoxError,
    http::{Body as CoreBody, Progress},
};
use http_body::{Body, Frame, SizeHint};

use super::{Http2Error, shared::Slot, upload::Upload};
use crate::{Http2BodyError, engine::Incoming};

/// A response's body, which drives what is left of the upload.
pub(super) struct ResponseBody {
    /// `None` behind the last frame.
    open: Option<Open>,
    /// What was there when the head came.
    first: Option<Result<Frame<Bytes>, BoxError>>,
    /// What ended the upload while no frame was asked for.
    failed: Option<Http2Error>,
}

struct Open {
    incoming: Incoming,
    upload: Upload,
    // Last, so that the stream is gone when the slot is free.
    slot: Slot,
}

impl Open {
    fn poll_frame(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        let frame = ready!(Pin::new(&mut self.incoming).poll_frame(cx));
        Poll::Ready(frame.map(|frame| frame.map_err(|error| self.explain(error))))
    }

    /// To h2 the connection has failed if this side has refused the peer's frames.
    fn explain(&self, error: BoxError) -> BoxError {
        match (error.downcast_ref(), self.slot.shared().wire.fault()) {
            (Some(Http2BodyError::Closed(_)), Some(code)) => Http2BodyError::Malformed(code).into(),
            _ => error,
        }
    }
}

impl ResponseBody {
    /// The body, in hand if it is there as a whole.
    pub(super) async fn receive(incoming: Incoming, upload: Upload, slot: Slot) -> CoreBody {
        let mut open = Open { incoming, upload, slot };
        // Nothing is waited for.
        let first = match poll_fn(|cx| Poll::Ready(open.poll_frame(cx))).await {
            Poll::Pending => None,
            Poll::Ready(None) => return CoreBody::empty(),
            Poll::Ready(Some(Ok(frame))) if open.incoming.is_end_stream() => match frame.into_data() {
                Ok(data) => return CoreBody::full(data),
                Err(trailers) => Some(Ok(trailers)),
            },
            Poll::Ready(Some(frame)) => Some(frame),
        };
        CoreBody::with_progress(Self { open: Some(open), first, failed: None })
    }

    fn poll_next(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        let Some(open) = &mut self.open else { return Poll::Ready(None) };
        if let Some(error) = self.failed.take() {
            return Poll::Ready(Some(Err(error.into())));
        }
        open.upload.poll(cx)?;
        match self.first.take() {
            Some(first) => Poll::Ready(Some(first)),
            None => open.poll_frame(cx),
        }
    }
}

impl Body for ResponseBody {
    type Data = Bytes;
    type Error = BoxError;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        let frame = ready!(self.poll_next(cx));
        // The slot is free with the last frame, not when somebody asks whether there are more.
        let ended = |open: &mut Open| !matches!(frame, Some(Ok(_))) || open.incoming.is_end_stream();
        drop(self.open.take_if(ended));
        Poll::Ready(frame)
    }

    fn is_end_stream(&self) -> bool {
        self.open.is_none()
    }

    fn size_hint(&self) -> SizeHint {
        let mut hint = self.open.as_ref().map_or_else(|| SizeHint::with_exact(0), |open| open.incoming.size_hint());
        // What is in hand already counts as well.
        if let (Some(left), Some(Ok(first))) = (hint.exact(), &self.first) {
            hint.set_exact(left + first.data_ref().map_or(0, |data| data.len() as u64));
        }
        hint
    }
}

impl Progress for ResponseBody {
    /// Goes on with the upload.
    fn poll_progress(mut self: Pin<&mut Self>, cx: &mut Context<'_>) {
        if let Some(open) = &mut self.open
            && let Err(error) = open.upload.poll(cx)
        {
            // The next frame tells it.
            self.failed = Some(error);
        }
    }
}
