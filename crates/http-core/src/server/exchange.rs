//! One exchange: a request to the service, its answer to the client.

use std::{
    future::poll_fn,
    panic::{AssertUnwindSafe, catch_unwind},
    pin::pin,
    sync::Arc,
    task::{Context, Poll},
};

use bytes::Bytes;
use chaski_core::{
    BoxError, BoxIo, Conn, Elapsed, Extensions, IntoBoxError, Io, Prefixed, Service, display_chain,
    http::{Body, Message, Request, Response, Upgrade},
};
use http::{HeaderMap, Method, StatusCode, Version, header::TE};
use http_body::Body as _;
use tokio::time::Instant;

use super::{
    connection::Connection,
    error::Http1ServerError,
    shared::{BodyFailure, Expect, Incoming, State},
};
use crate::{
    codec::{
        BodyDecoder, BodyEncoding, BodyPlan, BodySize, EncodeError, Expectation, RequestHead, ResponsePlan,
        encode_response_head,
    },
    engine::Date,
};

/// The most that is read ahead while a service works, to notice a client that has gone.
const READ_AHEAD: usize = 8 * 1024;

/// What comes after an exchange.
pub(super) enum Next {
    /// Another request.
    Request,
    /// The end: everything was read.
    Close,
    /// The end, with a client that may still be sending.
    Linger,
    /// The connection is no longer ours.
    Done,
}

/// What of a request the answer depends on.
pub(super) struct Asked {
    pub(super) method: Method,
    pub(super) version: Version,
    pub(super) keep_alive: bool,
    /// The client takes trailers.
    trailers: bool,
    /// The request's scope, where an upgrade may need it.
    scope: Option<Extensions>,
}

impl Asked {
    /// For a request that could not be read.
    pub(super) fn unknown() -> Self {
        Self { method: Method::GET, version: Version::HTTP_11, keep_alive: false, trailers: false, scope: None }
    }
}

/// What came of a call to the service.
enum Handled {
    Answer(Response),
    Failed(BoxError),
    Panicked,
    /// The client went away meanwhile.
    Gone(Http1ServerError),
}

impl<I: Io> Connection<I> {
    pub(super) async fn exchange<S>(&mut self, service: &S, head: RequestHead) -> Result<Next, Http1ServerError>
    where
        S: Service<Request, Output = Response>,
        S::Error: IntoBoxError,
    {
        // RFC 9110 section 10.1.1: an expectation other than 100-continue may be answered with 417.
        let unmet = head.expect == Expectation::Other;
        let (request, asked) = self.accept(head);
        if unmet {
            drop(request);
            return self.answer(&asked, bare(StatusCode::EXPECTATION_FAILED)).await;
        }
        let mut waited = false;
        let handled = {
            // The call may panic before there is a future. The future stays in one place, so that it is stored once.
            let mut future = pin!(catch_unwind(AssertUnwindSafe(|| service.serve(request))).ok());
            poll_fn(|cx| {
                let Some(future) = future.as_mut().as_pin_mut() else { return Poll::Ready(Handled::Panicked) };
                match catch_unwind(AssertUnwindSafe(|| future.poll(cx))) {
                    Ok(Poll::Ready(Ok(response))) => Poll::Ready(Handled::Answer(response)),
                    Ok(Poll::Ready(Err(error))) => Poll::Ready(Handled::Failed(error.into_box_error())),
                    Ok(Poll::Pending) => {
                        waited = true;
                        self.attend(cx).map(Handled::Gone)
                    }
                    Err(_) => Poll::Ready(Handled::Panicked),
                }
            })
            .await
        };
        if waited {
            self.now = Instant::now();
        }
        match handled {
            Handled::Answer(response) => self.answer(&asked, response).await,
            Handled::Failed(error) => {
                tracing::warn!(error = %display_chain(&*error), method = %asked.method, "a service failed");
                let status = self.status_of_failure();
                self.answer(&asked, bare(status)).await
            }
            Handled::Panicked => {
                tracing::error!(method = %asked.method, "a service panicked");
                self.answer(&asked, bare(StatusCode::INTERNAL_SERVER_ERROR)).await
            }
            Handled::Gone(error) => Err(self.cut(error).await),
        }
    }

    /// Makes the request of a head.
    fn accept(&mut self, head: RequestHead) -> (Request, Asked) {
        let body = {
            let mut state = self.shared.lock();
            state.informational.request += 1;
            state.informational.open = true;
            // RFC 9110 section 15.2: HTTP/1.0 has no 1xx.
            state.informational.supported = head.version != Version::HTTP_10;
            if head.framing.is_empty() {
                Body::empty()
            } else {
                let decoder = BodyDecoder::new(head.framing, self.config.body);
                state.begin_body(decoder, head.expect == Expectation::Continue);
                drop(state);
                Body::new(Incoming::new(Arc::clone(&self.shared), head.framing))
            }
        };
        let mut request = Request::new(body);
        let may_upgrade = head.upgrade || head.method == Method::CONNECT;
        let mut scope = None;
        if self.has_facts || may_upgrade {
            let fork = self.ext.fork();
            if may_upgrade {
                scope = Some(fork.clone());
            }
            request.set_scope(fork);
        }
        let asked = Asked {
            method: head.method.clone(),
            version: head.version,
            keep_alive: head.keep_alive,
            trailers: takes_trailers(&head),
            scope,
        };
        *request.method_mut() = head.method;
        *request.uri_mut() = head.uri;
        *request.version_mut() = head.version;
        *request.headers_mut() = head.headers;
        (request, asked)
    }

    /// What there is to do while the service, or the body of its answer, is pending: write what waits, watch the client and the deadlines.
    #[cold]
    pub(super) fn attend(&mut self, cx: &mut Context<'_>) -> Poll<Http1ServerError> {
        let mut state = self.shared.lock();
        if state.expect == Expect::Asked {
            state.expect = Expect::Nothing;
            self.out.encoded().extend_from_slice(b"HTTP/1.1 100 Continue\r\n\r\n");
        }
        // With a full batch before them, as when the client does not read, they stay where they count against their limit.
        if !state.informational.encoded.is_empty() && self.out.has_room() {
            self.out.encoded().append(&mut state.informational.encoded);
        }
        state.store_conn_waker(cx);
        if !state.body_reads()
            && let Poll::Ready(gone) = read_ahead(&mut state, self.config.half_close, cx)
        {
            return Poll::Ready(gone);
        }
        let waiting = state.waiting.filter(|_| state.failed.is_none());
        drop(state);
        if !self.out.is_empty() {
            match self.poll_flush(cx) {
                Poll::Ready(Ok(())) => {}
                Poll::Ready(Err(error)) => return Poll::Ready(error),
                Poll::Pending => return Poll::Pending,
            }
            if !self.shared.lock().informational.encoded.is_empty() {
                // They stayed behind when the flush began.
                cx.waker().wake_by_ref();
            }
        }
        let Some((since, limit)) = waiting.zip(self.config.body_timeout) else {
            self.deadline.clear();
            return Poll::Pending;
        };
        self.deadline.set(Some(since + limit));
        if self.deadline.poll(cx, None).is_ready() {
            self.deadline.clear();
            // The holder of the body is told, and decides what to answer.
            let elapsed = Elapsed { what: "a read of the request's body", limit };
            self.shared.lock().fail_body(BodyFailure::Timeout(elapsed));
        }
        Poll::Pending
    }

    /// A service that failed because of its request's body is not to blame.
    fn status_of_failure(&self) -> StatusCode {
        match self.shared.lock().failed {
            Some(BodyFailure::Malformed | BodyFailure::Gone) => StatusCode::BAD_REQUEST,
            Some(BodyFailure::Timeout(_)) => StatusCode::REQUEST_TIMEOUT,
            None => StatusCode::INTERNAL_SERVER_ERROR,
        }
    }

    /// Sends an answer.
    async fn answer(&mut self, asked: &Asked, mut response: Response) -> Result<Next, Http1ServerError> {
        let switches = response.status() == StatusCode::SWITCHING_PROTOCOLS
            || (asked.method == Method::CONNECT && response.status().is_success());
        if switches {
            return self.switch(asked, response).await;
        }
        if response.status().is_informational() {
            // RFC 9110 section 15.2: an interim response is not an answer.
            tracing::error!(status = %response.status(), "a service answered with an interim status");
            response = bare(StatusCode::INTERNAL_SERVER_ERROR);
        }
        let keep_alive = self.begin_answer(asked);
        let (parts, body) = response.into_parts();
        // Two shapes: bytes in hand leave with the head; a stream is polled.
        let (plan, body) = match body.as_full().cloned() {
            Some(bytes) => {
                let plan = self.encode_head(asked, parts.status, &parts.headers, length(&bytes), keep_alive);
                match plan {
                    Ok(plan) => {
                        if plan.encoding != BodyEncoding::Empty {
                            self.out.push(bytes, b"");
                        }
                        (plan, None)
                    }
                    Err(error) => (self.encode_failure(asked, error, keep_alive)?, None),
                }
            }
            None => {
                let size = body.size_hint().exact().map_or(BodySize::Unknown, BodySize::Exact);
                match self.encode_head(asked, parts.status, &parts.headers, size, keep_alive) {
                    Ok(plan) => (plan, Some(body)),
                    Err(error) => (self.encode_failure(asked, error, keep_alive)?, None),
                }
            }
        };
        self.decoder.recycle(parts.headers);
        if let Some(body) = body
            && plan.encoding != BodyEncoding::Empty
        {
            let streamed = self.stream(body, plan.encoding, asked.trailers).await;
            if let Err(error) = streamed {
                return Err(self.cut(error).await);
            }
        } else if !self.out.has_room() {
            self.flush().await?;
        }
        self.finish(plan.keep_alive && keep_alive).await
    }

    /// Closes the way for informational responses and for `100 Continue`, writes those that wait, and says whether the
    /// connection may go on.
    fn begin_answer(&mut self, asked: &Asked) -> bool {
        let draining = self.is_draining();
        let mut state = self.shared.lock();
        state.informational.open = false;
        if !state.informational.encoded.is_empty() {
            self.out.encoded().append(&mut state.informational.encoded);
        }
        if state.expect != Expect::Nothing && state.body_reads() {
            // Somebody still holds the body: another task, or the answer's own body. It will be read beside the answer, and
            // there is no asking for it once the final head has left.
            state.expect = Expect::Nothing;
            self.out.encoded().extend_from_slice(b"HTTP/1.1 100 Continue\r\n\r\n");
        }
        // RFC 9110 section 10.1.1: after a final answer the client may send the body or not, so what comes next cannot be
        // told. The connection closes.
        let unasked = std::mem::replace(&mut state.expect, Expect::Nothing) != Expect::Nothing;
        // More than would be drained: whoever holds the body may still read it, but it is announced now or never.
        let left = state.body.as_ref().and_then(BodyDecoder::remaining);
        let too_much = left.is_some_and(|left| left > self.config.drain_limit);
        asked.keep_alive && !draining && !unasked && !too_much && state.failed.is_none()
    }

    pub(super) fn encode_head(
        &mut self,
        asked: &Asked,
        status: StatusCode,
        headers: &HeaderMap,
        body: BodySize,
        keep_alive: bool,
    ) -> Result<BodyPlan, EncodeError> {
        let date = Date::at(self.now.into_std());
        let plan =
            ResponsePlan { version: asked.version, method: &asked.method, body, keep_alive, date: Some(date.text()) };
        encode_response_head(self.out.encoded(), status, headers, &plan)
    }

    /// What a service answered cannot be sent: it is told in the log, and the client gets a bare 500.
    #[cold]
    fn encode_failure(
        &mut self,
        asked: &Asked,
        error: EncodeError,
        keep_alive: bool,
    ) -> Result<BodyPlan, Http1ServerError> {
        tracing::error!(%error, "a response cannot be sent");
        let status = StatusCode::INTERNAL_SERVER_ERROR;
        self.encode_head(asked, status, &HeaderMap::new(), BodySize::Exact(0), keep_alive)
            .map_err(|error| Http1ServerError::ResponseBody(error.into()))
    }

    /// RFC 9110 sections 7.8 and 9.3.6: sends the head, then hands the connection to the response's continuation.
    async fn switch(&mut self, asked: &Asked, mut response: Response) -> Result<Next, Http1ServerError> {
        let upgrade = Upgrade::detach(&mut response);
        let unread = self.shared.lock().body.is_some();
        let (Some(upgrade), Some(scope), false) = (upgrade, &asked.scope, unread) else {
            tracing::error!(status = %response.status(), "a service switched protocols without an upgrade, or was not asked");
            return Box::pin(self.answer(asked, bare(StatusCode::INTERNAL_SERVER_ERROR))).await;
        };
        self.begin_answer(asked);
        let (status, headers) = (response.status(), response.headers());
        if let Err(error) = self.encode_head(asked, status, headers, BodySize::Exact(0), true) {
            self.encode_failure(asked, error, false)?;
            return Ok(Next::Linger);
        }
        self.flush().await?;
        let (io, leftover) = {
            let mut state = self.shared.lock();
            (state.io.take(), std::mem::take(&mut state.read.bytes))
        };
        self.out.release();
        let Some(io) = io else { return Ok(Next::Done) };
        let leftover = if leftover.is_empty() { Bytes::new() } else { leftover.freeze() };
        let io: BoxIo = Box::new(Prefixed::new(leftover, io));
        let ext = scope.fork();
        drop(response);
        upgrade.run(Conn { io, ext }).await;
        Ok(Next::Done)
    }

    /// Gets rid of what is left of the request, so that the next one can be read.
    async fn finish(&mut self, keep_alive: bool) -> Result<Next, Http1ServerError> {
        let unread = self.shared.lock().body.is_some();
        if !keep_alive {
            let more = unread || !self.shared.lock().read.bytes.is_empty();
            return Ok(if more { Next::Linger } else { Next::Close });
        }
        if unread || self.shared.lock().live {
            self.flush().await?;
            let drained = self.drain().await;
            self.now = Instant::now();
            return Ok(if drained { Next::Request } else { Next::Linger });
        }
        Ok(Next::Request)
    }
}

/// Reads up to a limit, to notice a client that has gone. `Ready` when it has.
fn read_ahead<I: Io>(state: &mut State<I>, half_close: bool, cx: &mut Context<'_>) -> Poll<Http1ServerError> {
    if state.half_closed {
        return Poll::Pending;
    }
    while state.read.bytes.len() < READ_AHEAD {
        match state.poll_read(cx) {
            Poll::Ready(Ok(0)) if half_close => {
                state.half_closed = true;
                return Poll::Pending;
            }
            Poll::Ready(Ok(0)) => return Poll::Ready(Http1ServerError::ClientGone),
            Poll::Ready(Err(error)) => return Poll::Ready(error.into()),
            Poll::Ready(Ok(_)) => {}
            Poll::Pending => return Poll::Pending,
        }
    }
    Poll::Pending
}

/// RFC 9110 section 6.5.1: trailers go to a client that says `te: trailers`, in whatever case. HTTP/1.0 has none.
fn takes_trailers(head: &RequestHead) -> bool {
    head.version == Version::HTTP_11
        && head.headers.get_all(TE).iter().any(|value| {
            let mut codings = value.as_bytes().split(|&byte| byte == b',');
            codings.any(|coding| coding.trim_ascii().eq_ignore_ascii_case(b"trailers"))
        })
}

fn length(bytes: &Bytes) -> BodySize {
    BodySize::Exact(bytes.len() as u64)
}

/// A response of a status alone.
pub(super) fn bare(status: StatusCode) -> Response {
    let mut response = Response::new(Body::empty());
    *response.status_mut() = status;
    response
}
