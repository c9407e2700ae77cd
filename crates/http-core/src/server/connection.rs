//! The life of a connection: read a head, run the exchange, go on or close.

use std::{
    future::poll_fn,
    panic::{AssertUnwindSafe, catch_unwind},
    pin::{Pin, pin},
    sync::Arc,
    task::{Context, Poll, ready},
};

use chaski_core::{
    Conn, Elapsed, Extensions, HttpVersion, IntoBoxError, Io, Service, ShutdownSignal,
    http::{InformationalSource, Request, Response},
};
use http::{StatusCode, Version};
use tokio::time::Instant;
use tokio_util::sync::WaitForCancellationFutureOwned;

use super::{
    config::Http1ServerConfig,
    error::Http1ServerError,
    exchange::{Asked, Handled, Next, bare},
    shared::Shared,
};
use crate::{
    codec::{HeadError, RequestDecoder},
    engine::{Deadline, Output},
};

/// The connection's own side of things; what it shares with a request's body is in [`Shared`].
pub(super) struct Connection<I: Io> {
    pub(super) shared: Arc<Shared<I>>,
    pub(super) config: Http1ServerConfig,
    pub(super) decoder: RequestDecoder,
    pub(super) out: Output,
    pub(super) deadline: Deadline,
    pub(super) shutdown: Option<Watch>,
    pub(super) ext: Extensions,
    /// Whether anything is known about the connection; else requests get no scope.
    pub(super) has_facts: bool,
    /// A recent reading of the clock: one serves a whole batch of requests. It is renewed after every wait, because the
    /// next deadline counts from it.
    pub(super) now: Instant,
    /// When the head that is being read has to be complete.
    head_due: Option<Instant>,
    /// When a write that is blocked has to have made progress. Apart from the deadline, which may still be that of a body.
    write_due: Option<Instant>,
}

impl<I: Io> Connection<I> {
    pub(super) fn new(conn: Conn<I>, config: Http1ServerConfig, shutdown: Option<ShutdownSignal>) -> Self {
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
            shutdown: shutdown.map(|signal| Watch { signal, waiting: None }),
            ext,
            has_facts,
            now,
            // The only way to bound a client that says nothing: the first head is due from the accept on.
            head_due: config.head_timeout.map(|limit| now + limit),
            write_due: None,
            config,
        }
    }

    /// Serves requests until the connection ends.
    ///
    /// What happens to every request happens here, without a future of its own: a head is made a request where it was
    /// decoded, and an answer in hand is encoded where it came back, so that neither is moved through futures.
    pub(super) async fn run<S>(&mut self, service: &S) -> Result<(), Http1ServerError>
    where
        S: Service<Request, Output = Response>,
        S::Error: IntoBoxError,
    {
        loop {
            let (request, asked) = match self.next_request() {
                Ok(Some(next)) => next,
                Ok(None) => match self.wait().await {
                    Ok(true) => continue,
                    Ok(false) => return self.close().await,
                    Err(error) => return self.refuse(error).await,
                },
                Err(error) => return self.refuse(error.into()).await,
            };
            let mut waited = false;
            let handled = if asked.unmet {
                // RFC 9110 section 10.1.1: an expectation other than 100-continue may be answered with 417.
                drop(request);
                Handled::Answer(bare(StatusCode::EXPECTATION_FAILED))
            } else {
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
            let response = match handled {
                Handled::Answer(response) => response,
                Handled::Failed(error) => self.failed(&asked, &*error),
                Handled::Panicked => self.panicked(&asked),
                Handled::Gone(error) => return Err(self.cut(error).await),
            };
            let sending = self.answer(&asked, response)?;
            if sending.is_done() && self.is_clear() {
                continue;
            }
            match self.conclude(&asked, sending).await? {
                Next::Request => {}
                Next::Linger => return self.close_lingering().await,
                Next::Done => return Ok(()),
            }
        }
    }

    /// The next request, if all of its head is in the buffer.
    #[inline]
    fn next_request(&mut self) -> Result<Option<(Request, Asked)>, HeadError> {
        let head = {
            let mut state = self.shared.lock();
            if state.read.bytes.is_empty() {
                return Ok(None);
            }
            self.decoder.decode(&mut state.read.bytes)?
        };
        let Some(head) = head else { return Ok(None) };
        self.head_due = None;
        Ok(Some(self.accept(head)))
    }

    /// Waits for more of a head; `false` when the connection ends between two requests.
    async fn wait(&mut self) -> Result<bool, Http1ServerError> {
        // No further request is complete in the buffer: now the answers leave, all in one write.
        self.flush().await?;
        if self.fill().await? > 0 {
            return Ok(true);
        }
        let cut = self.decoder.is_partial() || !self.shared.lock().read.bytes.is_empty();
        if cut { Err(Http1ServerError::IncompleteHead) } else { Ok(false) }
    }

    /// Reads more of a head; 0 when there will be no more.
    async fn fill(&mut self) -> Result<usize, Http1ServerError> {
        let begun = self.decoder.is_partial();
        let limit = if begun || self.head_due.is_some() {
            // The head has begun, or it is the first: its deadline stands.
            let due = self.config.head_timeout.map(|limit| self.now + limit);
            self.head_due = self.head_due.or(due);
            self.deadline.set(self.head_due);
            self.config.head_timeout.map(|limit| Elapsed { what: "a request's head", limit })
        } else {
            // Between two requests another limit holds.
            self.deadline.set(self.config.idle_timeout.map(|limit| self.now + limit));
            None
        };
        let mut first = true;
        let read = poll_fn(|cx| {
            let read = self.shared.lock().poll_read(cx);
            if let Poll::Ready(read) = read {
                return Poll::Ready(Ok(read?));
            }
            if first {
                self.out.release();
            }
            // The reading of the clock from before is new enough for the first poll; a later one may be the timer's.
            let now = first.then_some(self.now);
            first = false;
            if self.deadline.poll(cx, now).is_ready() {
                return match limit {
                    Some(elapsed) if begun => Poll::Ready(Err(elapsed.into())),
                    // A client that is silent is not told.
                    _ => Poll::Ready(Ok(0)),
                };
            }
            if !begun && self.shutdown.as_mut().is_some_and(|watch| watch.poll(cx).is_ready()) {
                return Poll::Ready(Ok(0));
            }
            Poll::Pending
        })
        .await;
        self.deadline.clear();
        self.now = Instant::now();
        read
    }

    /// Writes everything that waits.
    pub(super) async fn flush(&mut self) -> Result<(), Http1ServerError> {
        if self.out.is_empty() {
            return Ok(());
        }
        let mut waited = false;
        let flushed = poll_fn(|cx| {
            let flushed = self.poll_flush(cx);
            waited |= flushed.is_pending();
            flushed
        })
        .await;
        if waited {
            self.now = Instant::now();
        }
        flushed
    }

    /// Writes everything that waits, in time.
    pub(super) fn poll_flush(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Http1ServerError>> {
        let waiting = self.out.waiting();
        let flushed = {
            let mut state = self.shared.lock();
            match &mut state.io {
                Some(io) => self.out.poll_flush(io, cx),
                None => Poll::Ready(Ok(())),
            }
        };
        match flushed {
            Poll::Ready(result) => {
                self.write_due = None;
                self.deadline.clear();
                Poll::Ready(result.map_err(Into::into))
            }
            Poll::Pending => {
                let Some(limit) = self.config.write_timeout else { return Poll::Pending };
                if self.out.waiting() != waiting {
                    self.write_due = None;
                }
                let due = *self.write_due.get_or_insert_with(|| Instant::now() + limit);
                self.deadline.set(Some(due));
                ready!(self.deadline.poll(cx, None));
                Poll::Ready(Err(Elapsed { what: "the client's reading", limit }.into()))
            }
        }
    }

    pub(super) fn is_draining(&self) -> bool {
        self.shutdown.as_ref().is_some_and(|watch| watch.signal.is_draining())
    }
}

/// However a connection ends, also when its future is dropped: the IO closes, and whoever holds a body is told.
impl<I: Io> Drop for Connection<I> {
    fn drop(&mut self) {
        self.shared.close();
    }
}

/// Waits for draining to begin. Registers once, not at every wait.
pub(super) struct Watch {
    signal: ShutdownSignal,
    waiting: Option<(Pin<Box<WaitForCancellationFutureOwned>>, std::task::Waker)>,
}

impl Watch {
    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        if self.signal.is_draining() {
            return Poll::Ready(());
        }
        match &self.waiting {
            Some((_, waker)) if waker.will_wake(cx.waker()) => Poll::Pending,
            _ => {
                let (waiting, _) = self.waiting.insert((Box::pin(self.signal.draining()), cx.waker().clone()));
                waiting.as_mut().poll(cx)
            }
        }
    }
}
