//! One exchange: a request to the service, its answer to the client.

use std::{
    pin::Pin,
    task::{Context, Poll},
};

use bytes::Bytes;
use chaski_core::{
    BoxIo, Conn, Extensions, Io, Prefixed, display_chain,
    http::{Body, Message, Response, Upgrade},
};
use http::{HeaderMap, Method, StatusCode, Version};
use http_body::Body as _;

use super::{
    connection::Connection,
    error::Http1ServerError,
    shared::{BodyFailure, Expect, State},
};
use crate::{
    codec::{
        BodyDecoder, BodyEncoding, BodyPlan, BodySize, EncodeError, HeaderLayout, ResponsePlan, encode_response_head,
    },
    engine::{Date, put_extensions},
};

/// The most that is read ahead while a service works, to notice a client that has gone.
const READ_AHEAD: usize = 8 * 1024;

/// What a connection has become by an upgrade.
pub(super) type Tunnel = Pin<Box<dyn Future<Output = ()> + Send>>;

/// What comes after an exchange.
pub(super) enum Next {
    /// Another request.
    Request,
    /// The end. The client may still be sending, the next request for one (RFC 9112 section 9.6).
    Linger,
    /// The connection is no longer ours, but the continuation's of an upgrade.
    Switched(Tunnel),
}

/// What of a request the answer depends on.
pub(super) struct Asked {
    pub(super) method: Method,
    pub(super) version: Version,
    pub(super) keep_alive: bool,
    /// The client takes trailers.
    pub(super) trailers: bool,
    /// The client expects what is not known here.
    pub(super) unmet: bool,
    /// The request's scope, where an upgrade may need it.
    pub(super) scope: Option<Extensions>,
}

impl Asked {
    /// For a request that could not be read.
    pub(super) fn unknown() -> Self {
        Self {
            method: Method::GET,
            version: Version::HTTP_11,
            keep_alive: false,
            trailers: false,
            unmet: false,
            scope: None,
        }
    }
}

/// How an answer goes on after its head.
pub(super) enum Sending {
    /// It does not: all of it is encoded.
    Whole { keep_alive: bool },
    /// Its body is polled.
    Stream { body: Body, encoding: BodyEncoding, keep_alive: bool },
    /// The connection is handed over.
    Switch(Upgrade),
    /// It cannot be completed: the connection is cut.
    Cut(Http1ServerError),
}

impl Sending {
    /// Whether the answer itself leaves nothing to do but to go on.
    pub(super) fn is_done(&self) -> bool {
        matches!(self, Self::Whole { keep_alive: true })
    }
}

impl<I: Io> Connection<'_, I> {
    /// What there is to do while the service, or the body of its answer, is pending: write what waits, watch the client and the deadlines.
    #[cold]
    pub(super) fn attend(&mut self, cx: &mut Context<'_>) -> Poll<Http1ServerError> {
        self.forget_now();
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
        // While somebody waits in a read of the body, the socket is theirs, and its end is told to them. Else nobody would
        // notice it.
        if !(state.body_reads() && state.waiting.is_some())
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
        if self.deadline.poll(cx).is_ready() {
            self.deadline.clear();
            // The holder of the body is told, and decides what to answer.
            self.shared.lock().fail_body(BodyFailure::Timeout { limit });
        }
        Poll::Pending
    }

    /// A service that failed because of its request's body is not to blame.
    fn status_of_failure(&self) -> StatusCode {
        match self.shared.lock().failed {
            Some(BodyFailure::Malformed | BodyFailure::Gone) => StatusCode::BAD_REQUEST,
            Some(BodyFailure::Timeout { .. }) => StatusCode::REQUEST_TIMEOUT,
            None => StatusCode::INTERNAL_SERVER_ERROR,
        }
    }

    /// The answer for a service that failed.
    #[cold]
    pub(super) fn failed(&self, asked: &Asked, error: &(dyn std::error::Error + 'static)) -> Response {
        tracing::warn!(error = %display_chain(error), method = %asked.method, "a service failed");
        bare(self.status_of_failure())
    }

    /// The answer for a service that panicked.
    #[cold]
    pub(super) fn panicked(&self, asked: &Asked) -> Response {
        tracing::error!(method = %asked.method, "a service panicked");
        bare(StatusCode::INTERNAL_SERVER_ERROR)
    }

    /// Encodes an answer: its head, and its body if that is in hand.
    #[inline]
    pub(super) fn answer(&mut self, asked: &Asked, response: &mut Response) -> Sending {
        let connect = asked.method == Method::CONNECT && response.status().is_success();
        if connect || response.status().is_informational() {
            match self.switch(asked, response) {
                Ok(sending) => {
                    self.recycle(response);
                    return sending;
                }
                Err(NoSwitch) => *response = bare(StatusCode::INTERNAL_SERVER_ERROR),
            }
        }
        let keep_alive = self.begin_answer(asked);
        let body = response.body();
        let size = match body.as_full() {
            Some(bytes) => BodySize::Exact(bytes.len() as u64),
            None => body.size_hint().exact().map_or(BodySize::Unknown, BodySize::Exact),
        };
        let (status, headers, layout) = (response.status(), response.headers(), response.fact());
        let sending = match self.encode_head(asked, status, headers, layout, size, keep_alive) {
            Ok(BodyPlan { encoding: BodyEncoding::Empty, keep_alive, .. }) => Sending::Whole { keep_alive },
            // Two shapes: bytes in hand leave with the head; a stream is polled.
            Ok(BodyPlan { encoding, keep_alive, .. }) => match body.as_full() {
                Some(bytes) => {
                    self.out.push(bytes, b"");
                    Sending::Whole { keep_alive }
                }
                None => Sending::Stream { body: std::mem::take(response.body_mut()), encoding, keep_alive },
            },
            Err(error) => self.encode_failure(asked, error, keep_alive),
        };
        self.recycle(response);
        sending
    }

    /// Keeps the memory of an answer that is encoded for another message.
    fn recycle(&mut self, response: &mut Response) {
        self.decoder.recycle(std::mem::take(response.headers_mut()));
        put_extensions(std::mem::take(response.extensions_mut()));
    }

    /// Whether nothing is left of the exchange, and there is room for the next answer.
    #[inline]
    pub(super) fn is_clear(&self) -> bool {
        self.is_read && self.out.has_room()
    }

    /// Does what is left of an exchange.
    pub(super) async fn conclude(&mut self, asked: &Asked, sending: &mut Sending) -> Result<Next, Http1ServerError> {
        let keep_alive = match sending {
            Sending::Whole { keep_alive } => *keep_alive,
            Sending::Stream { body, encoding, keep_alive } => {
                let until_close = *encoding == BodyEncoding::UntilClose;
                if until_close {
                    self.shared.lock().unfinished = true;
                }
                let streamed = self.stream(body, *encoding, asked.trailers).await;
                if until_close && streamed.is_ok() {
                    self.shared.lock().unfinished = false;
                }
                // It may hold the request's body, which has to be let go of.
                *body = Body::empty();
                match streamed {
                    Ok(()) => *keep_alive,
                    Err(error) => return Err(self.cut(error).await),
                }
            }
            Sending::Switch(upgrade) => return self.hand_over(asked, upgrade).await,
            Sending::Cut(error) => {
                let error = std::mem::replace(error, Http1ServerError::ClientGone);
                return Err(self.cut(error).await);
            }
        };
        if !self.out.has_room() {
            self.flush().await?;
        }
        self.finish(keep_alive).await
    }

    /// Closes the way for informational responses and for `100 Continue`, writes those that wait, and says whether the
    /// connection may go on.
    fn begin_answer(&mut self, asked: &Asked) -> bool {
        let draining = self.is_draining();
        let mut state = self.shared.lock();
        state.informational.open = false;
        self.is_read = state.body.is_none() && !state.live;
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
        // RFC 9931, on CONNECT: a client that does not wait for its tunnel has sent what others gave it, which must not be
        // taken for its own next request.
        let refused_tunnel = asked.method == Method::CONNECT;
        asked.keep_alive && !draining && !unasked && !too_much && !refused_tunnel && state.failed.is_none()
    }

    pub(super) fn encode_head(
        &mut self,
        asked: &Asked,
        status: StatusCode,
        headers: &HeaderMap,
        layout: Option<&HeaderLayout>,
        body: BodySize,
        keep_alive: bool,
    ) -> Result<BodyPlan, EncodeError> {
        let date = Date::at(self.now().into_std());
        let (version, method, date) = (asked.version, &asked.method, Some(date.text()));
        let plan = ResponsePlan { version, method, body, keep_alive, date, layout };
        encode_response_head(self.out.encoded(), status, headers, &plan)
    }

    /// What a service answered cannot be sent: it is told in the log, and the client gets a bare 500.
    #[cold]
    fn encode_failure(&mut self, asked: &Asked, error: EncodeError, keep_alive: bool) -> Sending {
        tracing::error!(%error, "a response cannot be sent");
        let status = StatusCode::INTERNAL_SERVER_ERROR;
        let plan = self.encode_head(asked, status, &HeaderMap::new(), None, BodySize::Exact(0), keep_alive);
        match plan {
            Ok(plan) => Sending::Whole { keep_alive: plan.keep_alive },
            Err(error) => Sending::Cut(Http1ServerError::ResponseBody(error.into())),
        }
    }

    /// RFC 9110 sections 7.8 and 9.3.6: encodes the head after which the connection is no longer HTTP.
    ///
    /// # Errors
    ///
    /// The service cannot switch: it gave no continuation, was not asked, left the request's body unread, or answered with
    /// an interim status, which is no answer (RFC 9110 section 15.2).
    #[cold]
    fn switch(&mut self, asked: &Asked, response: &mut Response) -> Result<Sending, NoSwitch> {
        let status = response.status();
        let unread = self.shared.lock().body.is_some();
        let fits = (status == StatusCode::SWITCHING_PROTOCOLS) != (asked.method == Method::CONNECT);
        let upgrade = Upgrade::detach(response).filter(|_| fits && !unread && asked.scope.is_some());
        let Some(upgrade) = upgrade else {
            tracing::error!(%status, "a service answered with a status that it cannot answer with here");
            return Err(NoSwitch);
        };
        self.begin_answer(asked);
        match self.encode_head(asked, status, response.headers(), response.fact(), BodySize::Exact(0), true) {
            Ok(_) => Ok(Sending::Switch(upgrade)),
            Err(error) => {
                tracing::error!(%error, "a response cannot be sent");
                Err(NoSwitch)
            }
        }
    }

    /// Sends the head of a switch, then hands the connection to its continuation.
    async fn hand_over(&mut self, asked: &Asked, upgrade: &Upgrade) -> Result<Next, Http1ServerError> {
        self.flush().await?;
        let (io, leftover) = {
            let mut state = self.shared.lock();
            (state.io.take(), std::mem::take(&mut state.read.bytes))
        };
        // Only a connection that has ended has none.
        let Some(io) = io else { return Err(Http1ServerError::ClientGone) };
        let leftover = if leftover.is_empty() { Bytes::new() } else { leftover.freeze() };
        let io: BoxIo = Box::new(Prefixed::new(leftover, io));
        // Every request that may switch has a scope.
        let ext = asked.scope.as_ref().map(Extensions::fork).unwrap_or_default();
        Ok(Next::Switched(upgrade.clone().run(Conn { io, ext })))
    }

    /// Gets rid of what is left of the request, so that the next one can be read.
    async fn finish(&mut self, keep_alive: bool) -> Result<Next, Http1ServerError> {
        let unread = self.shared.lock().body.is_some();
        if !keep_alive {
            return Ok(Next::Linger);
        }
        if unread || self.shared.lock().live {
            self.flush().await?;
            let drained = self.drain().await;
            self.forget_now();
            return Ok(if drained { Next::Request } else { Next::Linger });
        }
        Ok(Next::Request)
    }
}

/// A service's answer asks for a switch that cannot be.
struct NoSwitch;

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

/// A response of a status alone.
pub(super) fn bare(status: StatusCode) -> Response {
    let mut response = Response::new(Body::empty());
    *response.status_mut() = status;
    response
}
