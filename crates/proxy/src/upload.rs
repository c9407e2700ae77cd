//! Whose fault it is when a request's body fails.

use std::{
    pin::Pin,
    task::{Context, Poll},
};

use bytes::Bytes;
use chaski_core::{BoxError, http::Body};
use http_body::{Body as HttpBody, Frame, SizeHint};

/// The body of a client's request failed on the client's side of the proxy. It marks the cause in what the proxy's own
/// client reports, where it would look like a failure of the target.
#[derive(Debug, thiserror::Error)]
#[error("the client's body failed")]
pub(crate) struct UploadError(#[source] pub(crate) BoxError);

/// The same body, with its failures marked as [`UploadError`].
pub(crate) fn marked(body: Body) -> Body {
    // Bytes in hand cannot fail.
    if body.as_full().is_some() { body } else { Body::new(Upload { body }) }
}

struct Upload {
    body: Body,
}

impl HttpBody for Upload {
    type Data = Bytes;
    type Error = UploadError;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, UploadError>>> {
        Pin::new(&mut self.body).poll_frame(cx).map_err(UploadError)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}
