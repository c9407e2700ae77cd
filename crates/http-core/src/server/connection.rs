//! The life of a connection: read a head, run the exchange, go on or close.

use std::{
    future::poll_fn,
    panic::{AssertUnwindSafe, catch_unwind},
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, ready},
};

use chaski_core::{
    Conn, Deadline, Elapsed, Extensions, HttpVersion, IntoBoxError, Io, Service, ShutdownMoment, ShutdownSignal,
    http::{InformationalSource, Message, Request, Response},
};
use http::{Method, StatusCode, Version};
use tokio::{task::yield_now, time::Instant};

use super::{
    call::Call,
    close::End,
    config::Http1ServerConfig,
    error::Http1ServerError,
    exchange::{Asked, Next, Sending, Tunnel, bare},
    shared::Shared,
};
use crate::{
    codec::{Expectation, HeadError, HeaderLayout, RequestDecoder, RequestHead},
    engine::{Output, take_extensions},
};

/// So many requests are served in one turn of the connection's task, if they are there. A pipeline that never ends would keep
/// the thread from all other connections; the runtime's own budget counts reads, and one read can bring thousands.
const MAX_IN_TURN: u32 = 64;

/// The connection's own side of things; what it shares with a request's body is in [`Shared`].
pub(super) struct Connection<'a, I: Io> {
    pub(super) shared: Arc<Shared<I>>,
    pub(super) config: &'a Http1ServerConfig,
    pub(super) decoder: RequestDecoder,
    pub(super) out: Output,
    pub(super) deadline: Deadline,
    /// When draining begins.
    pub(super) shutdown: Option<ShutdownMoment>,
    pub(super) ext: Extensions,
    /// Whether anything is known about the connection; else requests get no scope.
    pub(super) has_facts: bool,
    /// A reading of the clock since the last wait, once it was needed: one serves a whole batch of requests.
    now: Option<Instant>,
    /// When the head that is being read has to be complete.
    head_due: Option<Instant>,
    /// When a write that is blocked has to have made progress. Apart from the deadline, which may still be that of a body.
    write_due: Option<Instant>,
    /// Why the next head was refused. In a box, as few are.
    refused: Option<Box<HeadError>>,
    /// Requests since the task last waited for one.
    in_turn: u32,
    /// Whether the request's body was complete and let go of when its answer began. Then it stays so.
    pub(super) is_read: bool,
}

impl<'a, I: Io> Connection<'a, I> {
    pub(super) fn new(conn: Conn<I>, config: &'a Http1ServerConfig, shutdown: Option<ShutdownSignal>) -> Self {
        let Conn { io, ext } = conn;
        let shared = Arc::new(Shared::new(io));
        let has_facts = !ext.is_empty();
        if has_facts {
            ext.insert(HttpVersion(Version::HTTP_11));
            ext.insert(InformationalSource(Arc::clone(&shared) as Arc<_>));
        }
        let now = Instant::now();
        Self {
            shared,
            decoder: RequestDecoder::new(config.head),
            out: Output::default(),
            deadline: Deadline::default(),
            shutdown: shutdown.map(|signal| signal.draining()),
            ext,
            has_facts,
            now: Some(now),
            // The only way to bound a client that says nothing: the first head is due from the accept on.
            head_due: config.head_timeout.map(|limit| now + limit),
            write_due: None,
            refused: None,
            in_turn: 0,
            is_read: false,
            config,
        }
    }

    /// Serves requests until the connection ends, or becomes something else, which is for the caller to run: nothing of all this
    /// is needed for it.
    ///
    /// What happens to every request happens here, without a future of its own: a head is made a request where it was
    /// decoded, and an answer in hand is encoded where it came back, so that neither is moved through futures.
    pub(super) async fn run<S>(&mut self, service: &S) -> Result<Option<Tunnel>, Http1ServerError>
    where
        S: Service<Request, Output = Response>,
        S::Error: IntoBoxError,
    {
        let mut asked = Asked::unknown();
        let mut call = Call::default();
        let end = loop {
            let begun = self.next_request(&mut asked, |request| {
                let mut room = call.room();
                // The call may panic before there is a future; then there is none.
                let _ = catch_unwind(AssertUnwindSafe(|| room.set(Some(service.serve(request)))));
            });
            if !begun {
                match self.wait(|| call.rest()).await {
                    Ok(true) => continue,
                    Ok(false) => break End::Quiet,
                    Err(error) => break End::Refused(error),
                }
            }
            let mut sending = poll_fn(|cx| self.poll_call(&asked, &mut call, cx)).await;
            if sending.is_done() && self.is_clear() {
                continue;
            }
            match self.conclude(&asked, &mut sending).await? {
                Next::Request => {}
                Next::Linger => break End::Linger,
                Next::Switched(tunnel) => return Ok(Some(tunnel)),
            }
        };
        self.end(end).await?;
        Ok(None)
    }

    /// Gives the next request to `serve`, if all of its head is in the buffer and can be served in this turn. Returns whether
    /// there was one; what it expects may be [unmet](Asked::unmet), then it is not served.
    ///
    /// The head is taken apart where it was decoded, and the request is made where it is used: as a whole either would be
    /// copied with each step.
    #[inline]
    fn next_request(&mut self, asked: &mut Asked, serve: impl FnOnce(Request)) -> bool {
        // Nobody asks for the last request's any more.
        asked.scope = None;
        if self.in_turn == MAX_IN_TURN {
            return false;
        }
        let mut state = self.shared.lock();
        if state.read.bytes.is_empty() {
            return false;
        }
        match self.decoder.decode(&mut state.read.bytes) {
            Ok(Some(RequestHead {
                method,
                uri,
                version,
                headers,
                framing,
                keep_alive,
                upgrade,
                expect,
                trailers,
                layout,
                ..
            })) => {
                let body = state.begin(version, framing, expect, &self.shared, self.config);
                drop(state);
                self.head_due = None;
                self.in_turn += 1;
                let may_upgrade = upgrade || method == Method::CONNECT;
                *asked = Asked {
                    method: method.clone(),
                    version,
                    keep_alive,
                    trailers,
                    unmet: expect == Expectation::Other,
                    scope: None,
                };
                let mut request = Request::new(body);
                *request.method_mut() = method;
                *request.uri_mut() = uri;
                *request.version_mut() = version;
                *request.headers_mut() = headers;
                if self.has_facts || may_upgrade || layout.is_some() {
                    let scope = self.scope_of_request(layout, may_upgrade);
                    asked.scope = may_upgrade.then(|| scope.clone());
                    *request.extensions_mut() = take_extensions();
                    request.set_scope(scope);
                }
                if !asked.unmet {
                    serve(request);
                }
                true
            }
            Ok(None) => false,
            Err(error) => {
                drop(state);
                self.refused = Some(Box::new(error));
                false
            }
        }
    }

    /// A child of the connection's scope for a request.
    #[inline]
    fn scope_of_request(&self, layout: Option<HeaderLayout>, may_upgrade: bool) -> Extensions {
        let scope = self.ext.fork();
        if let Some(layout) = layout {
            scope.insert(if may_upgrade { layout.detached() } else { layout });
        }
        scope
    }

    /// Polls the call to the service, and encodes its answer where it comes back.
    #[inline]
    fn poll_call<F, E>(&mut self, asked: &Asked, call: &mut Call<F>, cx: &mut Context<'_>) -> Poll<Sending>
    where
        F: Future<Output = Result<Response, E>>,
        E: IntoBoxError,
    {
        let mut response = match call.future() {
            Some(future) => match catch_unwind(AssertUnwindSafe(|| future.poll(cx))) {
                Ok(Poll::Ready(Ok(response))) => response,
                Ok(Poll::Ready(Err(error))) => self.failed(asked, &*error.into_box_error()),
                Ok(Poll::Pending) => return self.attend(cx).map(Sending::Cut),
                Err(_) => self.panicked(asked),
            },
            // RFC 9110 section 10.1.1: an expectation other than 100-continue may be answered with 417.
            None if asked.unmet => bare(StatusCode::EXPECTATION_FAILED),
            None => self.panicked(asked),
        };
        // What the future still holds, the request's body for one, is let go of before the answer begins.
        call.end();
        Poll::Ready(self.answer(asked, &mut response))
    }

    /// Waits for more of a head; `false` when the connection ends between two requests. `rest` is called while there is nothing
    /// to do, to let go of what the next request will need again.
    async fn wait(&mut self, mut rest: impl FnMut()) -> Result<bool, Http1ServerError> {
        if let Some(refused) = self.refused.take() {
            return Err((*refused).into());
        }
        if self.in_turn == MAX_IN_TURN {
            self.in_turn = 0;
            self.now = None;
            yield_now().await;
            // There may be more in the buffer.
            return Ok(true);
        }
        let mut watched = false;
        let read = poll_fn(|cx| {
            let read = self.poll_wait(&mut watched, cx);
            if read.is_pending() {
                rest();
            }
            read
        })
        .await;
        if watched {
            self.in_turn = 0;
        }
        self.deadline.clear();
        self.now = None;
        if read? > 0 {
            return Ok(true);
        }
        let cut = self.decoder.is_partial() || !self.shared.lock().read.bytes.is_empty();
        if cut { Err(Http1ServerError::IncompleteHead) } else { Ok(false) }
    }

    /// Writes what waits, and reads more of a head; 0 when there will be no more.
    #[inline]
    fn poll_wait(&mut self, watched: &mut bool, cx: &mut Context<'_>) -> Poll<Result<usize, Http1ServerError>> {
        let mut state = self.shared.lock();
        // No further request is complete in the buffer: now the answers leave, all in one write.
        if !self.out.is_empty() {
            let flushed = state.poll_flush(&mut self.out, cx);
            if !matches!(flushed, Poll::Ready(Ok(()))) {
                drop(state);
                return self.written(flushed, cx).map_ok(|()| 0);
            }
            self.write_due = None;
        }
        let read = state.poll_read(cx);
        drop(state);
        if let Poll::Ready(read) = read {
            return Poll::Ready(Ok(read?));
        }
        self.poll_idle(watched, cx)
    }

    /// Watches the deadline and the shutdown while nothing comes.
    fn poll_idle(&mut self, watched: &mut bool, cx: &mut Context<'_>) -> Poll<Result<usize, Http1ServerError>> {
        let begun = self.decoder.is_partial();
        let now = self.now();
        if !std::mem::replace(watched, true) {
            self.out.release();
            // The head has begun, or it is the first: its deadline stands. Between two requests another limit holds.
            if begun || self.head_due.is_some() {
                self.head_due = self.head_due.or_else(|| self.config.head_timeout.map(|limit| now + limit));
                self.deadline.set(self.head_due);
            } else {
                self.deadline.set(self.config.idle_timeout.map(|limit| now + limit));
            }
        }
        self.now = None;
        if self.deadline.poll_at(cx, now).is_ready() {
            return match self.config.head_timeout {
                Some(limit) if begun => Poll::Ready(Err(Elapsed { what: "a request's head", limit }.into())),
                // A client that is silent is not told.
                _ => Poll::Ready(Ok(0)),
            };
        }
        if !begun && self.shutdown.as_mut().is_some_and(|draining| Pin::new(draining).poll(cx).is_ready()) {
            return Poll::Ready(Ok(0));
        }
        Poll::Pending
    }

    /// The time, as it was read since the last wait. Whoever waits clears the reading, because deadlines count from it.
    pub(super) fn now(&mut self) -> Instant {
        *self.now.get_or_insert_with(Instant::now)
    }

    /// The reading of the clock grows old: the task waits.
    pub(super) fn forget_now(&mut self) {
        self.now = None;
    }

    /// Writes everything that waits.
    pub(super) async fn flush(&mut self) -> Result<(), Http1ServerError> {
        if self.out.is_empty() {
            return Ok(());
        }
        poll_fn(|cx| self.poll_flush(cx)).await
    }

    /// Writes everything that waits, in time.
    pub(super) fn poll_flush(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Http1ServerError>> {
        let flushed = self.shared.lock().poll_flush(&mut self.out, cx);
        self.written(flushed, cx)
    }

    /// Keeps the deadline of a write.
    fn written(
        &mut self,
        flushed: Poll<std::io::Result<()>>,
        cx: &mut Context<'_>,
    ) -> Poll<Result<(), Http1ServerError>> {
        if let Poll::Ready(result) = flushed {
            self.write_due = None;
            self.deadline.clear();
            return Poll::Ready(result.map_err(Into::into));
        }
        self.forget_now();
        let Some(limit) = self.config.write_timeout else { return Poll::Pending };
        if self.out.take_progress() {
            self.write_due = None;
        }
        let due = *self.write_due.get_or_insert_with(|| Instant::now() + limit);
        self.deadline.set(Some(due));
        ready!(self.deadline.poll(cx));
        Poll::Ready(Err(Elapsed { what: "the client's reading", limit }.into()))
    }

    pub(super) fn is_draining(&self) -> bool {
        self.shutdown.as_ref().is_some_and(ShutdownMoment::has_come)
    }
}

/// However a connection ends, also when its future is dropped: the IO closes, and whoever holds a body is told.
impl<I: Io> Drop for Connection<'_, I> {
    fn drop(&mut self) {
        self.shared.close();
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::DuplexStream;

    use super::*;
    use crate::server::shared::State;

    /// There may be many thousands of them that wait for a request. Beside these two there is the service's future.
    #[test]
    fn what_a_connection_holds_is_small() {
        let (own, shared) = (size_of::<Connection<'_, DuplexStream>>(), size_of::<State<()>>());
        assert!(own <= 376 && shared <= 224, "{own} and {shared}");
    }
}
