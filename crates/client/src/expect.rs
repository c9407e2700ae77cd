//! A request whose expectation is refused.

use std::{
    pin::Pin,
    sync::{Arc, Mutex, PoisonError},
    task::{Context, Poll},
};

use bytes::Bytes;
use chaski_core::{
    BoxError,
    http::{Body, Progress, Request, Response},
};
use http::{StatusCode, header};
use http_body::{Body as HttpBody, Frame, SizeHint};

use crate::replay;

/// What is kept of a request with `Expect: 100-continue`: it goes out again without that if the answer is 417.
///
/// RFC 9110 section 10.1.1: a 417 says that somebody on the way does not support expectations. Nobody has acted on the
/// request then, so its method does not matter.
pub(crate) struct Expectation {
    without: Request,
    body: Rest,
}

/// What the second request can have as its body.
enum Rest {
    InHand(Body),
    /// A streamed one, in there for as long as nobody has polled it.
    Unread(Arc<Mutex<Option<Body>>>),
}

impl Expectation {
    pub(crate) fn of(request: &mut Request) -> Option<Self> {
        // The value is caseless, as in the engine that holds the body back.
        let value = request.headers().get(header::EXPECT)?;
        if !value.as_bytes().eq_ignore_ascii_case(b"100-continue") {
            return None;
        }
        let body = match request.body().replay() {
            Some(body) => Rest::InHand(body),
            None => {
                let body = std::mem::take(request.body_mut());
                let (hint, ended) = (body.size_hint(), body.is_end_stream());
                let rest = Arc::new(Mutex::new(Some(body)));
                let lent = Lent { rest: Arc::clone(&rest), body: None, hint, ended };
                *request.body_mut() = Body::with_progress(lent);
                Rest::Unread(rest)
            }
        };
        let mut without = replay::copy(request, Body::empty());
        without.headers_mut().remove(header::EXPECT);
        Some(Self { without, body })
    }

    /// The request without its expectation, if that was the fault, and its body can still be sent. Once.
    pub(crate) fn failed(this: &mut Option<Self>, response: &Response) -> Option<Request> {
        if response.status() != StatusCode::EXPECTATION_FAILED {
            return None;
        }
        let Self { mut without, body } = this.take()?;
        *without.body_mut() = match body {
            Rest::InHand(body) => body,
            Rest::Unread(rest) => take(&rest)?,
        };
        tracing::debug!(uri = %without.uri(), "the expectation was refused, the request is repeated without it");
        Some(without)
    }
}

/// A body that can be had back until it is polled.
struct Lent {
    rest: Arc<Mutex<Option<Body>>>,
    body: Option<Body>,
    hint: SizeHint,
    ended: bool,
}

impl Lent {
    /// The body, from now on for good.
    fn body(&mut self) -> Option<&mut Body> {
        if self.body.is_none() {
            self.body = take(&self.rest);
        }
        self.body.as_mut()
    }
}

impl HttpBody for Lent {
    type Data = Bytes;
    type Error = BoxError;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        match self.body() {
            Some(body) => Pin::new(body).poll_frame(cx),
            None => Poll::Ready(None),
        }
    }

    fn is_end_stream(&self) -> bool {
        self.body.as_ref().map_or(self.ended, HttpBody::is_end_stream)
    }

    fn size_hint(&self) -> SizeHint {
        self.body.as_ref().map_or(self.hint, HttpBody::size_hint)
    }
}

impl Progress for Lent {
    fn poll_progress(mut self: Pin<&mut Self>, cx: &mut Context<'_>) {
        // One that is not read yet has nothing to go on with.
        if let Some(body) = &mut self.body {
            body.poll_progress(cx);
        }
    }
}

fn take(rest: &Mutex<Option<Body>>) -> Option<Body> {
    rest.lock().unwrap_or_else(PoisonError::into_inner).take()
}
