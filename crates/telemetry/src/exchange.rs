//! A request from its arrival to the end of its response, or of the tunnel that it became.

use std::{
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    task::{Context, Poll, ready},
};

use bytes::Bytes;
use chaski_core::{
    BoxError,
    http::{Body, Progress, Request, Response, Upgrade},
};
use http::{Method, StatusCode, header};
use http_body::{Body as HttpBody, Frame, SizeHint};

use crate::TunnelRecord;

/// How a request ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Outcome {
    /// The response was taken to its end.
    Ok,
    /// The request's future or the response's body was dropped: the client has gone, or the server stopped.
    Cancelled,
    /// The service or the response's body failed.
    Error,
}

/// What an ended request amounts to.
pub(crate) struct End {
    pub(crate) status: Option<StatusCode>,
    /// Bytes of the request's body that were read.
    pub(crate) received: u64,
    /// Bytes of the response's body that were taken.
    pub(crate) sent: u64,
}

/// Who wants to know.
pub(crate) trait Observer: Send + Unpin + 'static {
    /// The request became a tunnel; [`tunnel_ended`](Self::tunnel_ended) will follow.
    fn tunnel_began(&mut self, _status: StatusCode) {}

    /// The tunnel has ended. `end` counts its bytes.
    fn tunnel_ended(&mut self, end: &End, outcome: &str);

    /// The request has ended.
    fn ended(&mut self, end: &End, outcome: Outcome);
}

/// Tells its observer of the end, once, whatever happens: it goes along with the request's future, then with the
/// response's body or the tunnel's continuation, and is dropped with it.
pub(crate) struct Exchange<O: Observer> {
    observer: O,
    state: State,
    status: Option<StatusCode>,
    is_head: bool,
    is_connect: bool,
    received: Received,
    sent: u64,
    /// Only for a request that may become a tunnel.
    tunnel: Option<TunnelRecord>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum State {
    Open,
    Tunnel,
    Over,
}

enum Received {
    InHand(u64),
    Counted(Arc<AtomicU64>),
}

impl<O: Observer> Exchange<O> {
    /// Begins to follow a request. A body in hand stays in hand, a streamed one is wrapped.
    pub(crate) fn begin(observer: O, request: &mut Request) -> Self {
        let received = match request.body().as_full() {
            Some(bytes) => Received::InHand(bytes.len() as u64),
            None => {
                let count = Arc::new(AtomicU64::new(0));
                let body = std::mem::take(request.body_mut());
                *request.body_mut() = Body::with_progress(Counted { body, count: Arc::clone(&count) });
                Received::Counted(count)
            }
        };
        let is_connect = request.method() == Method::CONNECT;
        let may_switch = is_connect || request.headers().contains_key(header::UPGRADE);
        Self {
            observer,
            state: State::Open,
            status: None,
            is_head: request.method() == Method::HEAD,
            is_connect,
            received,
            sent: 0,
            tunnel: may_switch.then(|| TunnelRecord::of(request)),
        }
    }

    /// Goes on with the response.
    pub(crate) fn answer(mut self, mut response: Response) -> Response {
        let status = response.status();
        self.status = Some(status);
        let switches = status == StatusCode::SWITCHING_PROTOCOLS || self.is_connect && status.is_success();
        if switches && let Some(upgrade) = Upgrade::detach(&mut response) {
            self.state = State::Tunnel;
            self.observer.tunnel_began(status);
            let followed = Upgrade::new(move |conn| {
                let running = upgrade.run(conn);
                // Held across the run: when the continuation is dropped, its parts go first, so that a relay can still
                // say what it carried. And held once: what is moved within a future is kept in it twice.
                async move {
                    running.await;
                    self.end_tunnel("ok");
                }
            });
            followed.attach(&mut response);
            return response;
        }
        if let Some(bytes) = response.body().as_full() {
            // It leaves in one piece, and an engine knows how to do that best: so it is not wrapped.
            self.sent = if self.has_no_body() { 0 } else { bytes.len() as u64 };
            self.end(Outcome::Ok);
            return response;
        }
        response.map(|body| Body::with_progress(Followed { body, exchange: self }))
    }

    /// The service failed.
    pub(crate) fn fail(mut self) {
        self.end(Outcome::Error);
    }

    /// RFC 9110 section 6.4.1: whatever the response's body is, none is sent.
    fn has_no_body(&self) -> bool {
        self.is_head || matches!(self.status, Some(StatusCode::NO_CONTENT | StatusCode::NOT_MODIFIED))
    }

    fn end(&mut self, outcome: Outcome) {
        if self.state == State::Open {
            self.state = State::Over;
            let received = match &self.received {
                Received::InHand(length) => *length,
                Received::Counted(count) => count.load(Ordering::Relaxed),
            };
            self.observer.ended(&End { status: self.status, received, sent: self.sent }, outcome);
        }
    }

    fn end_tunnel(&mut self, unless_told: &str) {
        if self.state == State::Tunnel {
            self.state = State::Over;
            let told = self.tunnel.as_ref().and_then(TunnelRecord::outcome);
            let (received, sent) = self.tunnel.as_ref().map_or((0, 0), TunnelRecord::bytes);
            let end = End { status: self.status, received, sent };
            self.observer.tunnel_ended(&end, told.as_deref().unwrap_or(unless_told));
        }
    }
}

impl<O: Observer> Drop for Exchange<O> {
    fn drop(&mut self) {
        self.end(Outcome::Cancelled);
        self.end_tunnel("cut");
    }
}

/// A request's body of which the bytes are counted as they are read.
struct Counted {
    body: Body,
    count: Arc<AtomicU64>,
}

impl Progress for Counted {
    fn poll_progress(mut self: Pin<&mut Self>, cx: &mut Context<'_>) {
        self.body.poll_progress(cx);
    }
}

impl HttpBody for Counted {
    type Data = Bytes;
    type Error = BoxError;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        let frame = ready!(Pin::new(&mut self.body).poll_frame(cx));
        if let Some(data) = data_of(frame.as_ref()) {
            self.count.fetch_add(data.len() as u64, Ordering::Relaxed);
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

/// A response's body, and what is to be told at its end.
struct Followed<O: Observer> {
    body: Body,
    exchange: Exchange<O>,
}

impl<O: Observer> Progress for Followed<O> {
    fn poll_progress(mut self: Pin<&mut Self>, cx: &mut Context<'_>) {
        self.body.poll_progress(cx);
    }
}

impl<O: Observer> HttpBody for Followed<O> {
    type Data = Bytes;
    type Error = BoxError;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        let frame = ready!(Pin::new(&mut self.body).poll_frame(cx));
        if let Some(data) = data_of(frame.as_ref()) {
            self.exchange.sent += data.len() as u64;
        }
        match &frame {
            Some(Err(_)) => self.exchange.end(Outcome::Error),
            // At the last frame already: who knows the length does not ask for the end.
            _ if frame.is_none() || self.body.is_end_stream() => self.exchange.end(Outcome::Ok),
            _ => {}
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

impl<O: Observer> Drop for Followed<O> {
    fn drop(&mut self) {
        // Nothing was left to take. Otherwise the exchange, dropped next, says that it was cancelled.
        if self.exchange.has_no_body() || self.body.is_end_stream() || self.body.size_hint().exact() == Some(0) {
            self.exchange.end(Outcome::Ok);
        }
    }
}

fn data_of(frame: Option<&Result<Frame<Bytes>, BoxError>>) -> Option<&Bytes> {
    frame?.as_ref().ok()?.data_ref()
}
