//! What a connection's task shares with the body of the request that it is serving.
//!
//! Writes belong to the connection's task, always. Reads belong to the request's body while one is live and not complete,
//! else to the connection's task. One body is live at a time, and the next head is not parsed before it is released. So no
//! read races with another, whichever task holds the body.

use std::{
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    task::{Context, Poll, Waker, ready},
    time::Duration,
};

use bytes::Bytes;
use chaski_core::{
    BoxError, Elapsed, Io,
    http::{Body, InformationalError, InformationalSink},
};
use http::{HeaderMap, Method, StatusCode, Version};
use http_body::{Body as HttpBody, Frame, SizeHint};
use tokio::time::Instant;

use super::{config::Http1ServerConfig, error::RequestBodyError};
use crate::{
    codec::{BodyDecoder, BodyEvent, BodySize, Expectation, Framing, ResponsePlan, encode_response_head},
    engine::{Output, ReadBuf, poll_fill},
};

/// The most bytes of informational responses that wait to be written: 16 KiB.
const MAX_INFORMATIONAL: usize = 16 * 1024;

/// One for each connection. The lock is held only inside a poll, never across an await.
pub(super) struct Shared<I> {
    state: Mutex<State<I>>,
}

pub(super) struct State<I> {
    /// `None` when the connection has ended, or was handed to an upgrade.
    pub(super) io: Option<I>,
    pub(super) read: ReadBuf,
    /// The body of the request that is being served; `None` when it has none or it is complete.
    pub(super) body: Option<BodyDecoder>,
    /// A handle to the body exists.
    pub(super) live: bool,
    /// What `Expect: 100-continue` has come to.
    pub(super) expect: Expect,
    /// Why the body cannot be read on.
    pub(super) failed: Option<BodyFailure>,
    /// Since when the holder of the body has been waiting for bytes.
    pub(super) waiting: Option<Instant>,
    /// The client has closed its sending side, and still wants its answer.
    pub(super) half_closed: bool,
    /// An answer has begun whose end is that of the connection, and is not whole yet.
    pub(super) unfinished: bool,
    /// Wakes the connection's task while it waits for the holder of the body.
    conn_waker: Option<Waker>,
    /// Wakes the holder of the body, which may be in another task.
    body_waker: Option<Waker>,
    pub(super) informational: Queue,
}

/// RFC 9110 section 10.1.1, seen from the server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Expect {
    /// The client sends its body unasked, or has been asked.
    Nothing,
    /// The client waits; nobody has read the body yet.
    Waiting,
    /// The body was read: the connection's task has to send 100.
    Asked,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum BodyFailure {
    Malformed,
    Timeout { limit: Duration },
    Gone,
}

/// Informational responses on their way from a handler to the connection's task.
#[derive(Debug, Default)]
pub(super) struct Queue {
    /// Whether the final answer to the request being served has not begun yet.
    pub(super) open: bool,
    /// Whether its client knows 1xx.
    pub(super) supported: bool,
    /// Counts requests, so that what was asked for an earlier one cannot slip into a later one.
    pub(super) request: u64,
    pub(super) encoded: Vec<u8>,
}

impl<I: Io> Shared<I> {
    pub(super) fn new(io: I) -> Self {
        Self {
            state: Mutex::new(State {
                io: Some(io),
                read: ReadBuf::default(),
                body: None,
                live: false,
                expect: Expect::Nothing,
                failed: None,
                waiting: None,
                half_closed: false,
                unfinished: false,
                conn_waker: None,
                body_waker: None,
                informational: Queue::default(),
            }),
        }
    }

    pub(super) fn lock(&self) -> MutexGuard<'_, State<I>> {
        // A panic between lock and unlock would be a bug of this crate; what the state holds is still sound.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Ends the connection: whoever still reads the body is told.
    pub(super) fn close(&self) {
        let mut state = self.lock();
        let mut io = state.io.take();
        if state.unfinished
            && let Some(io) = &mut io
        {
            io.abort();
        }
        state.informational.open = false;
        let waker = state.body_waker.take();
        drop(state);
        // Outside the lock: dropping an IO and waking a task may run foreign code.
        drop(io);
        if let Some(waker) = waker {
            waker.wake();
        }
    }
}

impl<I: Io> State<I> {
    /// Prepares for the next request, and makes the handle to its body.
    #[inline]
    pub(super) fn begin(
        &mut self,
        version: Version,
        framing: Framing,
        expect: Expectation,
        shared: &Arc<Shared<I>>,
        config: &Http1ServerConfig,
    ) -> Body {
        self.informational.request += 1;
        self.informational.open = true;
        // RFC 9110 section 15.2: HTTP/1.0 has no 1xx.
        self.informational.supported = version != Version::HTTP_10;
        if framing.is_empty() {
            return Body::empty();
        }
        self.body = Some(BodyDecoder::new(framing, config.body));
        self.live = true;
        self.failed = None;
        self.waiting = None;
        self.expect = if expect == Expectation::Continue { Expect::Waiting } else { Expect::Nothing };
        Body::new(Incoming::new(Arc::clone(shared), framing))
    }

    /// Whether the body's holder is the one who reads.
    pub(super) fn body_reads(&self) -> bool {
        self.live && self.body.is_some() && self.failed.is_none()
    }

    /// Asks to be woken when the body is released, fails, asks for 100 or waits for bytes.
    pub(super) fn store_conn_waker(&mut self, cx: &Context<'_>) {
        match &mut self.conn_waker {
            Some(waker) => waker.clone_from(cx.waker()),
            none => *none = Some(cx.waker().clone()),
        }
    }

    /// Makes the body fail, and tells its holder.
    pub(super) fn fail_body(&mut self, failure: BodyFailure) {
        self.failed = Some(failure);
        self.waiting = None;
        if let Some(waker) = self.body_waker.take() {
            waker.wake();
        }
    }

    /// Wakes the connection's task, unless it is the one that is running.
    fn wake_conn(&mut self, cx: Option<&Context<'_>>) {
        if let Some(waker) = &self.conn_waker
            && cx.is_none_or(|cx| !waker.will_wake(cx.waker()))
        {
            waker.wake_by_ref();
        }
    }

    /// Reads once. `Ready(Ok(0))` is the end of the stream, or of the connection.
    pub(super) fn poll_read(&mut self, cx: &mut Context<'_>) -> Poll<std::io::Result<usize>> {
        match &mut self.io {
            Some(io) => poll_fill(io, &mut self.read, cx),
            None => Poll::Ready(Ok(0)),
        }
    }

    /// Writes everything that waits in `out`.
    #[inline]
    pub(super) fn poll_flush(&mut self, out: &mut Output, cx: &mut Context<'_>) -> Poll<std::io::Result<()>> {
        match &mut self.io {
            Some(io) => out.poll_flush(io, cx),
            None => Poll::Ready(Ok(())),
        }
    }

    /// The next piece of the body. When there will be no more, the reading falls back to the connection's task, which is
    /// told: it has to notice a client that goes away.
    fn poll_body(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, RequestBodyError>>> {
        let held = self.body_reads();
        let frame = self.poll_next(cx);
        if held && !self.body_reads() {
            self.wake_conn(Some(cx));
        }
        frame
    }

    fn poll_next(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, RequestBodyError>>> {
        loop {
            match self.failed {
                None => {}
                Some(BodyFailure::Timeout { limit }) => {
                    let elapsed = Elapsed { what: "a read of the request's body", limit };
                    return Poll::Ready(Some(Err(elapsed.into())));
                }
                Some(BodyFailure::Malformed | BodyFailure::Gone) => {
                    return Poll::Ready(Some(Err(RequestBodyError::Closed)));
                }
            }
            let Some(decoder) = &mut self.body else { return Poll::Ready(None) };
            match decoder.decode(&mut self.read.bytes) {
                Ok(Some(BodyEvent::Data(data))) => {
                    self.waiting = None;
                    // RFC 9110 section 10.1.1: who has begun to send does not wait to be asked.
                    self.expect = Expect::Nothing;
                    if decoder.is_end() {
                        self.body = None;
                    }
                    return Poll::Ready(Some(Ok(Frame::data(data))));
                }
                Ok(Some(BodyEvent::Trailers(trailers))) => {
                    self.body = None;
                    return Poll::Ready(Some(Ok(Frame::trailers(trailers))));
                }
                Ok(Some(BodyEvent::End)) => {
                    self.body = None;
                    return Poll::Ready(None);
                }
                Ok(None) => {}
                Err(error) => {
                    self.failed = Some(BodyFailure::Malformed);
                    return Poll::Ready(Some(Err(error.into())));
                }
            }
            if self.expect == Expect::Waiting {
                // Only the connection's task writes.
                self.expect = Expect::Asked;
                self.wake_conn(Some(cx));
            }
            match self.poll_read(cx) {
                Poll::Ready(Ok(0)) => {
                    let error = match (&self.io, &mut self.body) {
                        (Some(_), Some(decoder)) => decoder.eof().err().map(RequestBodyError::from),
                        _ => None,
                    };
                    self.failed = Some(BodyFailure::Gone);
                    return Poll::Ready(Some(Err(error.unwrap_or(RequestBodyError::Closed))));
                }
                Poll::Ready(Ok(_)) => self.waiting = None,
                Poll::Ready(Err(error)) => {
                    self.failed = Some(BodyFailure::Gone);
                    return Poll::Ready(Some(Err(error.into())));
                }
                Poll::Pending => {
                    match &mut self.body_waker {
                        Some(waker) => waker.clone_from(cx.waker()),
                        none => *none = Some(cx.waker().clone()),
                    }
                    if self.waiting.is_none() {
                        self.waiting = Some(Instant::now());
                        // So that the connection's task watches the deadline.
                        self.wake_conn(Some(cx));
                    }
                    return Poll::Pending;
                }
            }
        }
    }
}

/// A [`Shared`] of which the IO's type is forgotten.
trait Source: Send + Sync {
    fn poll_body(&self, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, RequestBodyError>>>;
    fn release(&self);
}

impl<I: Io> Source for Shared<I> {
    fn poll_body(&self, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, RequestBodyError>>> {
        self.lock().poll_body(cx)
    }

    fn release(&self) {
        let mut state = self.lock();
        state.live = false;
        state.waiting = None;
        state.body_waker = None;
        state.wake_conn(None);
    }
}

/// The body of a request, as its service gets it. Dropping it gives the right to read back to the connection.
struct Incoming {
    source: Arc<dyn Source>,
    /// What is still to come; exact unless the body is chunked.
    hint: SizeHint,
    ended: bool,
}

impl Incoming {
    fn new<I: Io>(shared: Arc<Shared<I>>, framing: Framing) -> Self {
        let hint = match framing {
            Framing::Length(length) => SizeHint::with_exact(length),
            _ => SizeHint::default(),
        };
        Self { source: shared, hint, ended: false }
    }
}

impl HttpBody for Incoming {
    type Data = Bytes;
    type Error = BoxError;

    fn poll_frame(
        mut self: std::pin::Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        if self.ended {
            return Poll::Ready(None);
        }
        let frame = ready!(self.source.poll_body(cx));
        match &frame {
            Some(Ok(frame)) => {
                if let (Some(data), Some(left)) = (frame.data_ref(), self.hint.exact()) {
                    let left = left.saturating_sub(data.len() as u64);
                    self.hint = SizeHint::with_exact(left);
                    self.ended = left == 0;
                }
            }
            Some(Err(_)) | None => self.ended = true,
        }
        Poll::Ready(frame.map(|frame| frame.map_err(Into::into)))
    }

    fn is_end_stream(&self) -> bool {
        self.ended
    }

    fn size_hint(&self) -> SizeHint {
        self.hint
    }
}

impl Drop for Incoming {
    fn drop(&mut self) {
        self.source.release();
    }
}

impl<I: Io> InformationalSink for Shared<I> {
    fn request(&self) -> u64 {
        self.lock().informational.request
    }

    fn send(&self, request: u64, status: StatusCode, headers: &HeaderMap) -> Result<(), InformationalError> {
        let mut state = self.lock();
        let queue = &mut state.informational;
        if !queue.open || queue.request != request {
            return Err(InformationalError::TooLate);
        }
        if !queue.supported {
            return Err(InformationalError::NotSupported);
        }
        if status == StatusCode::CONTINUE {
            // RFC 9110 section 15.2.1: it is for a client that asked, and once; so it goes the way of reading the body.
            if state.expect == Expect::Waiting {
                state.expect = Expect::Asked;
                state.wake_conn(None);
            }
            return Ok(());
        }
        if queue.encoded.len() >= MAX_INFORMATIONAL {
            return Err(InformationalError::Full);
        }
        let plan = ResponsePlan {
            version: Version::HTTP_11,
            method: &Method::GET,
            body: BodySize::Exact(0),
            keep_alive: true,
            date: None,
            layout: None,
        };
        // RFC 9110 section 15.2: no body follows, so nothing in the headers can be wrong for it.
        encode_response_head(&mut queue.encoded, status, headers, &plan)
            .map_err(|_| InformationalError::NotInformational(status))?;
        state.wake_conn(None);
        Ok(())
    }
}
