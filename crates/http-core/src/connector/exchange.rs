//! One request and the head of its response.

use std::{
    io,
    task::{Context, Poll},
};

use chaski_core::{
    BoxIo, Conn, Elapsed, Io, Prefixed, SendError,
    http::{Body, Message, OnInformational, Request, Response, Upgraded, empty_extensions},
};
use http::{Method, StatusCode, Version, header};
use http_body::Body as _;

use super::{
    Http1ClientConfig, Http1Error,
    incoming::Incoming,
    shared::Lease,
    upload::{Upload, UploadError},
};
use crate::{
    codec::{BodySize, EncodeError, Framing, RequestPlan, ResponseHead, TargetForm, encode_request_head},
    engine::poll_fill,
};

/// The exchange, from the request to the response's head. The connection is its own.
pub(super) struct Exchange<IO: Io> {
    lease: Lease<IO>,
    upload: Upload,
    /// Whether the request leaves the connection usable.
    keep_alive: bool,
    asks_upgrade: bool,
    /// The connection did not take the first byte at once.
    blocked: bool,
    /// Something of a response was read.
    heard: bool,
    /// How many informational responses came.
    informational: usize,
}

impl<IO: Io> Exchange<IO> {
    /// Takes the request's body and encodes its head. Writes nothing yet.
    ///
    /// # Errors
    ///
    /// [`Http1Error::Encode`]; the request is whole, and the connection as it was.
    pub(super) fn begin(lease: Lease<IO>, request: &mut Request) -> Result<Self, Http1Error> {
        let body = std::mem::take(request.body_mut());
        let plan = plan(request, &body, &lease.shared().config);
        let hold = plan.body != BodySize::Exact(0) && plan.version == Version::HTTP_11 && expects_continue(request);
        let (mut keep_alive, mut asks_upgrade) = (false, false);
        let write_timeout = lease.shared().config.write_timeout;
        let upload = Upload::new(body, hold, write_timeout, |out| {
            let (method, uri, headers) = (request.method(), request.uri(), request.headers());
            let plan = encode_request_head(out, method, uri, headers, &plan)?;
            (keep_alive, asks_upgrade) = (plan.keep_alive, plan.upgrade);
            Ok::<_, EncodeError>(plan.encoding)
        });
        match upload {
            Ok(upload) => {
                Ok(Self { lease, upload, keep_alive, asks_upgrade, blocked: false, heard: false, informational: 0 })
            }
            Err((body, error)) => {
                *request.body_mut() = body;
                Err(error.into())
            }
        }
    }

    /// Writes the request and reads the response's head, both at once.
    pub(super) fn poll_head(
        &mut self,
        cx: &mut Context<'_>,
        request: &mut Request,
    ) -> Poll<Result<ResponseHead, Http1Error>> {
        loop {
            if self.blocked && self.upload.written() == 0 {
                self.check_silence(cx)?;
            }
            self.poll_write(cx)?;
            if self.upload.written() == 0 {
                self.blocked = true;
                self.check_silence(cx)?;
                return Poll::Pending;
            }
            let held = self.upload.is_held();
            if let Some(head) = self.poll_read(cx, request)? {
                return Poll::Ready(Ok(head));
            }
            self.check_time(cx)?;
            // When `100` has come, or was waited for long enough, the body follows.
            if held == self.upload.is_held() {
                return Poll::Pending;
            }
        }
    }

    /// Writes what can be written.
    fn poll_write(&mut self, cx: &mut Context<'_>) -> Result<(), Http1Error> {
        if self.upload.is_over() {
            return Ok(());
        }
        let Some(wire) = self.lease.wire() else { return Err(Http1Error::Closed) };
        let begun = self.upload.written() > 0;
        let result = self.upload.poll(&mut wire.io, cx);
        if !begun && self.upload.written() > 0 {
            self.lease.touch();
        }
        match result {
            Poll::Ready(Err(UploadError::Body(error))) => Err(error),
            Poll::Ready(Err(UploadError::Io(error))) => Err(self.ended(Some(error))),
            Poll::Ready(Ok(())) | Poll::Pending => Ok(()),
        }
    }

    /// As long as nothing of the request was written, nothing can answer it: what the peer sends answers something else.
    fn check_silence(&mut self, cx: &mut Context<'_>) -> Result<(), Http1Error> {
        let Some(wire) = self.lease.wire() else { return Err(Http1Error::Closed) };
        match poll_fill(&mut wire.io, &mut wire.read, cx) {
            Poll::Pending => Ok(()),
            Poll::Ready(_) => Err(Http1Error::Closed),
        }
    }

    /// Reads until there is a head that ends the wait, or nothing more to be done by reading.
    fn poll_read(&mut self, cx: &mut Context<'_>, request: &mut Request) -> Result<Option<ResponseHead>, Http1Error> {
        loop {
            let Some(wire) = self.lease.wire() else { return Err(Http1Error::Closed) };
            if !wire.read.bytes.is_empty()
                && let Some(head) = wire.decoder.decode(&mut wire.read.bytes, request.method())?
            {
                if !head.switches && head.status.is_informational() {
                    let held = self.upload.is_held();
                    self.inform(head, request)?;
                    if held == self.upload.is_held() {
                        continue;
                    }
                    return Ok(None);
                }
                // RFC 9110 section 7.8: a server switches to what it was asked for, after the whole request.
                let asked = head.status != StatusCode::SWITCHING_PROTOCOLS || self.asks_upgrade;
                if head.switches && !(asked && self.upload.is_done()) {
                    return Err(Http1Error::UnsolicitedUpgrade);
                }
                return Ok(Some(head));
            }
            match poll_fill(&mut wire.io, &mut wire.read, cx) {
                Poll::Ready(Ok(0)) => return Err(self.ended(None)),
                Poll::Ready(Ok(_)) if !self.heard => {
                    self.heard = true;
                    // From here on the request is not handed back: the memory of its fields serves the response's.
                    wire.decoder.recycle(std::mem::take(request.headers_mut()));
                }
                Poll::Ready(Ok(_)) => {}
                Poll::Ready(Err(error)) => return Err(self.ended(Some(error))),
                Poll::Pending => return Ok(None),
            }
        }
    }

    /// Takes an informational response.
    fn inform(&mut self, head: ResponseHead, request: &Request) -> Result<(), Http1Error> {
        let limit = self.lease.shared().config.max_informational;
        self.informational += 1;
        if self.informational > limit {
            return Err(Http1Error::TooManyInformational { limit });
        }
        if head.status == StatusCode::CONTINUE {
            // RFC 9110 section 15.2.1: one that was not asked for means nothing.
            if self.upload.is_held() {
                self.upload.release();
                self.clear_deadline();
            }
        } else if let Some(listener) = OnInformational::of(request) {
            let mut response = Response::new(());
            *response.status_mut() = head.status;
            *response.version_mut() = head.version;
            *response.headers_mut() = head.headers;
            listener.report(response);
            return Ok(());
        }
        if let Some(wire) = self.lease.wire() {
            wire.decoder.recycle(head.headers);
        }
        Ok(())
    }

    /// Looks at the clock, if something is waited for that has a limit.
    fn check_time(&mut self, cx: &mut Context<'_>) -> Result<(), Http1Error> {
        let config = &self.lease.shared().config;
        let held = self.upload.is_held();
        let limit = match (held, self.upload.is_over()) {
            (true, _) => Some(config.expect_timeout),
            (false, true) => config.head_timeout,
            (false, false) => None,
        };
        let (Some(limit), Some(wire)) = (limit, self.lease.wire()) else { return Ok(()) };
        if wire.poll_deadline(limit, cx).is_pending() {
            return Ok(());
        }
        if !held {
            return Err(Http1Error::HeadTimeout(Elapsed { what: "the response head", limit }));
        }
        self.upload.release();
        self.clear_deadline();
        Ok(())
    }

    fn clear_deadline(&mut self) {
        if let Some(wire) = self.lease.wire() {
            wire.deadline.clear();
        }
    }

    /// What it means that the connection has ended before the head did.
    fn ended(&mut self, error: Option<io::Error>) -> Http1Error {
        let source = self.upload.take_broken().or(error);
        match source {
            source if !self.heard => Http1Error::ClosedBeforeResponse { written: self.upload.written(), source },
            Some(error) => Http1Error::Io(error),
            None => Http1Error::TruncatedHead,
        }
    }

    /// The response, which takes the connection along as far as it still needs it.
    pub(super) fn respond(self, head: ResponseHead, request: &mut Request) -> Response {
        let Self { mut lease, upload, keep_alive, .. } = self;
        let mut response = Response::new(Body::empty());
        *response.status_mut() = head.status;
        *response.version_mut() = head.version;
        *response.headers_mut() = head.headers;
        if !lease.shared().ext.is_empty() || head.layout.is_some() {
            let scope = lease.shared().ext.fork();
            if let Some(layout) = head.layout {
                scope.insert(if head.switches { layout.detached() } else { layout });
            }
            // Nobody looks at those of the request any more: their memory serves the response's.
            let mut extensions = std::mem::take(request.extensions_mut());
            empty_extensions(&mut extensions);
            *response.extensions_mut() = extensions;
            response.set_scope(scope);
        }
        if head.switches {
            switch(lease, &mut response);
            return response;
        }
        let Some(wire) = lease.wire() else { return response };
        wire.deadline.clear();
        let reuse = keep_alive && head.keep_alive;
        let buffered = wire.read.bytes.len() as u64;
        match head.framing {
            // RFC 9112 section 9.3: the next request may not follow one that was not sent completely.
            Framing::Empty => lease.finish(reuse && upload.is_done()),
            // The usual small response: it is whole, and the connection free, before anybody asks for its body.
            Framing::Length(length) if upload.is_done() && length <= buffered => {
                // It fits into memory, as it is there.
                let body = wire.read.bytes.split_to(length as usize).freeze();
                *response.body_mut() = Body::full(body);
                lease.finish(reuse);
            }
            framing => *response.body_mut() = Body::with_progress(Incoming::new(lease, upload, framing, reuse)),
        }
        response
    }

    /// Ends the exchange without a response.
    pub(super) fn fail(self, mut request: Request, error: Http1Error) -> SendError<Request> {
        let Self { mut lease, upload, .. } = self;
        let response_seen = !error.no_response_seen();
        if upload.written() > 0 {
            lease.close();
            let error = SendError::unknown(error).with_response_seen(response_seen);
            return match upload.into_whole_body() {
                Some(body) if !response_seen => {
                    *request.body_mut() = body;
                    error.with_request(request)
                }
                _ => error,
            };
        }
        if !matches!(error, Http1Error::RequestBody(_) | Http1Error::RequestBodyLength { .. }) {
            lease.close();
        }
        match upload.into_unsent_body() {
            Some(body) => {
                *request.body_mut() = body;
                SendError::not_sent(request, error)
            }
            None => SendError::unknown(error).with_response_seen(response_seen),
        }
    }
}

/// Gives the connection to the response, with the bytes that came behind its head.
fn switch<IO: Io>(lease: Lease<IO>, response: &mut Response) {
    let Some(wire) = lease.detach() else { return };
    let leftover = wire.read.bytes.freeze();
    let io: BoxIo = if leftover.is_empty() { Box::new(wire.io) } else { Box::new(Prefixed::new(leftover, wire.io)) };
    Upgraded::attach(Conn { io, ext: response.fork_scope() }, response);
}

/// How the request is written.
fn plan<'a>(request: &'a Request, body: &Body, config: &Http1ClientConfig) -> RequestPlan<'a> {
    let target = match (config.target_form, request.method()) {
        (_, &Method::CONNECT) => TargetForm::Authority,
        (TargetForm::Absolute, _) => TargetForm::Absolute,
        _ => TargetForm::Origin,
    };
    let body = match body.size_hint().exact() {
        // RFC 9110 section 6.5: only chunks leave room for trailers.
        Some(length) if body.as_full().is_some() || !request.headers().contains_key(header::TRAILER) => {
            BodySize::Exact(length)
        }
        _ if body.is_end_stream() => BodySize::Exact(0),
        _ => BodySize::Unknown,
    };
    let version = if request.version() == Version::HTTP_10 { Version::HTTP_10 } else { Version::HTTP_11 };
    RequestPlan { version, target, body, keep_alive: true, layout: request.fact() }
}

fn expects_continue(request: &Request) -> bool {
    // RFC 9110 section 10.1.1: the value is caseless.
    request.headers().get(header::EXPECT).is_some_and(|value| value.as_bytes().eq_ignore_ascii_case(b"100-continue"))
}
