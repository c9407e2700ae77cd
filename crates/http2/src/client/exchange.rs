//! One request and the head of its response.

use std::{
    future::Future,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, ready},
};

use bytes::Bytes;
use chaski_core::{
    BoxIo, Conn, Deadline, Elapsed, SendError,
    http::{Body, Message, OnInformational, Request, Response, Upgraded},
};
use h2::{RecvStream, SendStream, client::ResponseFuture};
use http::{Method, StatusCode, Version, header};
use http_body::Body as _;
use tokio::time::Instant;

use super::{
    Http2Error,
    body::ResponseBody,
    fields,
    shared::Slot,
    tunnel::ClientTunnel,
    upload::{Terms, Upload},
};
use crate::engine::{Chunk, Incoming, Tunnel};

/// The exchange, from the request to the response's head.
pub(super) struct Exchange {
    response: ResponseFuture,
    upload: Upload,
    /// The way to the peer of a CONNECT request.
    tunnel: Option<SendStream<Chunk>>,
    /// A second handle to a body that is in hand.
    whole: Option<Body>,
    method: Method,
    deadline: Deadline,
    /// How many bytes had been written to the connection before this request.
    written: u64,
    /// How many informational responses came.
    informational: usize,
    // Last, so that the stream is gone when the slot is free.
    slot: Slot,
}

impl Exchange {
    /// Takes the request's body, and hands the head over.
    ///
    /// # Errors
    ///
    /// Nothing was sent; the request is whole.
    pub(super) fn begin(slot: Slot, request: &mut Request) -> Result<Self, Http2Error> {
        let config = &slot.shared().config;
        let body = request.body();
        let length = body.size_hint().exact();
        let head = fields::head(request, length, config.split_cookies)?;
        let connect = *request.method() == Method::CONNECT;
        let empty = body.is_end_stream();
        if connect && !empty {
            return Err(Http2Error::Request("a CONNECT request has no body"));
        }
        let hold = !empty && expects_continue(request);
        let opened = slot.open(head, empty && !connect)?;
        let whole = request.body().replay();
        let body = std::mem::take(request.body_mut());
        let (upload, tunnel) = match (connect, empty) {
            (true, _) => (Upload::none(), Some(opened.stream)),
            // Without this handle h2 resets a stream that is given up by itself.
            (false, true) => (Upload::none(), None),
            (false, false) => {
                let (room, write_timeout) = (Arc::clone(&slot.shared().room), config.write_timeout);
                (Upload::new(opened.stream, body, Terms { length, room, write_timeout }, hold), None)
            }
        };
        let method = request.method().clone();
        let (response, written) = (opened.response, opened.written);
        let deadline = Deadline::default();
        Ok(Self { response, upload, tunnel, whole, method, deadline, written, informational: 0, slot })
    }

    /// Sends the request's body and waits for the response's head, both at once.
    pub(super) fn poll_head(
        &mut self,
        cx: &mut Context<'_>,
        request: &Request,
    ) -> Poll<Result<Response<RecvStream>, Http2Error>> {
        loop {
            self.upload.poll(cx)?;
            let held = self.upload.is_held();
            if let Poll::Ready(head) = self.poll_response(cx, request)? {
                return Poll::Ready(Ok(head));
            }
            self.check_time(cx)?;
            // When `100` has come, or was waited for long enough, the body follows.
            if held == self.upload.is_held() {
                return Poll::Pending;
            }
        }
    }

    fn poll_response(
        &mut self,
        cx: &mut Context<'_>,
        request: &Request,
    ) -> Poll<Result<Response<RecvStream>, Http2Error>> {
        while let Some(response) = ready!(self.response.poll_informational(cx)?) {
            self.inform(response, request)?;
        }
        Pin::new(&mut self.response).poll(cx).map_err(Into::into)
    }

    /// Takes an informational response.
    fn inform(&mut self, response: Response<()>, request: &Request) -> Result<(), Http2Error> {
        let limit = self.slot.shared().config.max_informational;
        self.informational += 1;
        if self.informational > limit {
            return Err(Http2Error::TooManyInformational { limit });
        }
        if response.status() == StatusCode::CONTINUE {
            // RFC 9110 section 15.2.1: one that was not asked for means nothing.
            if self.upload.release() {
                self.deadline.clear();
            }
        } else if let Some(listener) = OnInformational::of(request) {
            listener.report(response);
        }
        Ok(())
    }

    /// Looks at the clock, if something is waited for that has a limit.
    fn check_time(&mut self, cx: &mut Context<'_>) -> Result<(), Http2Error> {
        let config = &self.slot.shared().config;
        let held = self.upload.is_held();
        let limit = match (held, self.upload.is_over()) {
            (true, _) => Some(config.expect_timeout),
            (false, true) => config.head_timeout,
            (false, false) => None,
        };
        let Some(limit) = limit else { return Ok(()) };
        if !self.deadline.is_set() {
            // A limit that reaches beyond the clock's end is none.
            self.deadline.set(Instant::now().checked_add(limit));
        }
        if self.deadline.poll(cx).is_pending() {
            return Ok(());
        }
        if !held {
            return Err(Http2Error::HeadTimeout(Elapsed { what: "the response head", limit }));
        }
        self.upload.release();
        self.deadline.clear();
        Ok(())
    }

    /// The response, which takes along what is left of the exchange.
    pub(super) async fn respond(self, head: Response<RecvStream>) -> Response {
        let Self { response: future, upload, tunnel, method, slot, .. } = self;
        let (head, stream) = head.into_parts();
        let mut response = Response::new(Body::empty());
        *response.status_mut() = head.status;
        *response.version_mut() = Version::HTTP_2;
        *response.headers_mut() = head.headers;
        let shared = slot.shared();
        if !shared.ext.is_empty() {
            response.set_scope(shared.ext.fork());
        }
        match tunnel {
            // RFC 9113 section 8.5.
            Some(sender) if response.status().is_success() => {
                let tunnel = Tunnel::new(sender, stream, Arc::clone(&shared.room));
                drop(future);
                let io: BoxIo = Box::new(ClientTunnel::new(tunnel, slot));
                Upgraded::attach(Conn { io, ext: response.fork_scope() }, &mut response);
                return response;
            }
            // It was refused: nothing follows.
            Some(mut sender) => drop(sender.send_data(Chunk::small(Bytes::new()), true)),
            None => {}
        }
        if stream.is_end_stream() {
            // The stream goes before its slot does.
            drop((future, stream, upload));
            return response;
        }
        drop(future);
        let length = length(&response, &method);
        let incoming = Incoming::new(stream, length, shared.config.body_timeout, "the response's body");
        *response.body_mut() = ResponseBody::receive(incoming, upload, slot).await;
        response
    }

    /// Ends the exchange without a response.
    pub(super) fn fail(mut self, mut request: Request, error: Http2Error) -> SendError<Request> {
        let shared = self.slot.shared();
        // Not one byte was written to the connection since the request was handed over.
        let unwritten = matches!(error, Http2Error::Io(_)) && shared.wire.written() == self.written;
        let error = match (error, shared.given_up()) {
            (Http2Error::Io(_), Some(why)) => why.into(),
            (error, _) => error,
        };
        let unprocessed = unwritten || error.is_unprocessed();
        let response_seen = self.informational > 0 || !error.no_response_seen();
        let body = self.whole.take().or_else(|| self.upload.take_untouched());
        match body {
            Some(body) if unprocessed || !response_seen => {
                *request.body_mut() = body;
                if unprocessed {
                    return SendError::not_sent(request, error);
                }
                SendError::unknown(error).with_response_seen(response_seen).with_request(request)
            }
            _ => SendError::unknown(error).with_response_seen(response_seen),
        }
    }
}

/// The length of a response's body, if it says one (RFC 9110 section 8.6); h2 holds the peer to it.
fn length<B>(response: &Response<B>, method: &Method) -> Option<u64> {
    if *method == Method::HEAD {
        return None;
    }
    response.headers().get(header::CONTENT_LENGTH)?.to_str().ok()?.parse().ok()
}

fn expects_continue(request: &Request) -> bool {
    // RFC 9110 section 10.1.1: the value is caseless.
    request.headers().get(header::EXPECT).is_some_and(|value| value.as_bytes().eq_ignore_ascii_case(b"100-continue"))
}
