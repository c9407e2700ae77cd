//! The body of a response.

use std::{
    pin::Pin,
    task::{Context, Poll},
};

use bytes::Bytes;
use chaski_core::{Elapsed, Io, http::Progress};
use http_body::{Body, Frame, SizeHint};

use super::{
    Http1Error,
    shared::Lease,
    upload::{Upload, UploadError},
};
use crate::{
    codec::{BodyDecoder, BodyEvent, Framing},
    engine::poll_fill,
};

/// A response's body, which reads the connection when it is polled, and drives what is left of the upload.
pub(super) struct Incoming<IO: Io> {
    /// Ends with the body.
    lease: Lease<IO>,
    decoder: BodyDecoder,
    /// What is left of the upload.
    upload: Option<Upload>,
    /// Whether the connection may be used again, as far as the heads tell.
    reuse: bool,
    /// What ended the upload while no frame was asked for.
    failed: Option<Http1Error>,
}

impl<IO: Io> Incoming<IO> {
    /// `reuse` tells whether both heads leave the connection usable.
    pub(super) fn new(lease: Lease<IO>, upload: Upload, framing: Framing, reuse: bool) -> Self {
        let decoder = BodyDecoder::new(framing, lease.shared().config.body);
        // RFC 9110 section 10.1.1: after a final response, a body that was held back is not sent.
        let goes_on = !upload.is_over() && !upload.is_held();
        let reuse = reuse && (goes_on || upload.is_done());
        Self { lease, decoder, upload: goes_on.then_some(upload), reuse, failed: None }
    }

    /// Writes more of what is left of the upload.
    ///
    /// # Errors
    ///
    /// The request's body has failed, which its peer can only be told by closing. A peer that takes no more is no error:
    /// it may well send its response to the end.
    fn poll_upload(&mut self, cx: &mut Context<'_>) -> Result<(), Http1Error> {
        let (Some(upload), Some(wire)) = (&mut self.upload, self.lease.wire()) else { return Ok(()) };
        match upload.poll(&mut wire.io, cx) {
            Poll::Pending => return Ok(()),
            Poll::Ready(Ok(())) => self.reuse &= upload.is_done(),
            Poll::Ready(Err(UploadError::Io(_))) => self.reuse = false,
            Poll::Ready(Err(UploadError::Body(error))) => return Err(error),
        }
        self.upload = None;
        Ok(())
    }

    /// The next frame, or the end.
    fn poll_next(&mut self, cx: &mut Context<'_>) -> Poll<Result<Option<Frame<Bytes>>, Http1Error>> {
        if let Some(error) = self.failed.take() {
            return Poll::Ready(Err(error));
        }
        self.poll_upload(cx)?;
        let limit = self.lease.shared().config.body_timeout;
        let Some(wire) = self.lease.wire() else { return Poll::Ready(Ok(None)) };
        loop {
            if let Some(event) = self.decoder.decode(&mut wire.read.bytes)? {
                wire.deadline.clear();
                return Poll::Ready(Ok(match event {
                    BodyEvent::Data(data) => Some(Frame::data(data)),
                    BodyEvent::Trailers(trailers) => Some(Frame::trailers(trailers)),
                    BodyEvent::End => None,
                }));
            }
            match poll_fill(&mut wire.io, &mut wire.read, cx)? {
                // RFC 9112 section 8: an end where the framing has none yet is an incomplete message.
                Poll::Ready(0) => return Poll::Ready(self.decoder.eof().map(|()| None).map_err(Http1Error::Body)),
                Poll::Ready(_) => wire.deadline.clear(),
                Poll::Pending => break,
            }
        }
        match limit {
            Some(limit) if wire.poll_deadline(limit, cx).is_ready() => {
                Poll::Ready(Err(Http1Error::BodyTimeout(Elapsed { what: "the response's body", limit })))
            }
            _ => Poll::Pending,
        }
    }

    /// Gives the connection back after the last byte of the body.
    fn finish(&mut self) {
        // RFC 9112 section 9.3: the next request may not follow one that was not sent completely.
        let reuse = self.reuse && self.upload.is_none();
        self.upload = None;
        self.lease.finish(reuse);
    }
}

impl<IO: Io> Body for Incoming<IO> {
    type Data = Bytes;
    type Error = Http1Error;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Http1Error>>> {
        if self.lease.is_over() {
            return Poll::Ready(None);
        }
        let result = std::task::ready!(self.poll_next(cx));
        match &result {
            // The connection is free with the last byte, not when somebody asks whether there are more.
            Ok(_) if self.decoder.is_end() => self.finish(),
            Ok(_) => {}
            Err(_) => self.lease.close(),
        }
        Poll::Ready(result.transpose())
    }

    fn is_end_stream(&self) -> bool {
        self.lease.is_over()
    }

    fn size_hint(&self) -> SizeHint {
        self.decoder.remaining().map_or_else(SizeHint::default, SizeHint::with_exact)
    }
}

impl<IO: Io> Progress for Incoming<IO> {
    /// Goes on with the upload.
    fn poll_progress(mut self: Pin<&mut Self>, cx: &mut Context<'_>) {
        if let Err(error) = self.poll_upload(cx) {
            // The next frame tells it.
            self.failed = Some(error);
        }
    }
}

impl<IO: Io> Drop for Incoming<IO> {
    /// Finishes what is in hand: a body of which all was read, and only not looked at. Any other one ends the connection.
    fn drop(&mut self) {
        let Some(wire) = self.lease.wire() else { return };
        while let Ok(Some(event)) = self.decoder.decode(&mut wire.read.bytes) {
            if matches!(event, BodyEvent::End) || self.decoder.is_end() {
                return self.finish();
            }
        }
        self.lease.close();
    }
}
