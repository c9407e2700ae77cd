use std::{
    future::{Future, poll_fn},
    pin::pin,
    task::Poll,
};

use chaski_core::{Conn, Elapsed, Io, Peeked, Prefixed, ShutdownSignal};
use tokio::time::{Instant, timeout_at};

use super::{Detect, Limits, PeekError, Undecided, Verdict};

/// A connection that is being looked at: what one case of a [`PeekLayer`](super::PeekLayer) hands to the next.
#[derive(Debug)]
pub struct Peeking<S> {
    conn: Conn<Peeked<S>>,
    limits: Limits,
    deadline: Option<Instant>,
    /// No more is read: "need more" counts as no.
    over: bool,
}

impl<S: Io> Peeking<S> {
    pub(super) fn new(conn: Conn<S>, limits: Limits) -> Self {
        // A limit too large for the clock is none.
        let deadline = limits.time.and_then(|limit| Instant::now().checked_add(limit));
        Self { conn: conn.map_io(Peeked::new), limits, deadline, over: false }
    }

    /// The connection from its first byte on.
    pub(super) fn into_conn(self) -> Conn<Prefixed<S>> {
        self.conn.map_io(Peeked::into_io)
    }

    /// Reads until `detector` knows, or until it has to do with what there is.
    pub(super) async fn is(&mut self, detector: &impl Detect) -> Result<bool, PeekError> {
        loop {
            let seen = self.conn.io.bytes();
            match if seen.is_empty() { Verdict::NeedMore } else { detector.detect(seen) } {
                Verdict::Yes => return Ok(true),
                Verdict::No => return Ok(false),
                Verdict::NeedMore if self.over => return Ok(false),
                Verdict::NeedMore => self.read_more().await?,
            }
        }
    }

    async fn read_more(&mut self) -> Result<(), PeekError> {
        let Limits { bytes: limit, .. } = self.limits;
        let seen = self.conn.io.bytes().len();
        if seen >= limit {
            return self.give_up(PeekError::LimitReached { limit });
        }
        // A connection on which nothing has come is idle, and an idle one does not hold the draining up.
        let signal = if seen == 0 { self.conn.ext.get::<ShutdownSignal>().cloned() } else { None };
        let read = before(self.deadline, self.conn.io.read_more(limit));
        match unless_draining(signal, read).await {
            Some(Ok(Ok(0))) => self.over = true,
            Some(Ok(Ok(_))) => {}
            Some(Ok(Err(error))) => return Err(PeekError::Read(error)),
            Some(Err(TooLate)) => {
                let elapsed = Elapsed { what: "the choice of a protocol", limit: self.limits.time.unwrap_or_default() };
                return self.give_up(PeekError::TimedOut { seen, elapsed });
            }
            None => return Err(PeekError::Draining),
        }
        Ok(())
    }

    fn give_up(&mut self, why: PeekError) -> Result<(), PeekError> {
        match self.limits.undecided {
            Undecided::Refuse => Err(why),
            Undecided::PassOn => {
                tracing::debug!(error = %why, "passed a connection on");
                self.over = true;
                Ok(())
            }
        }
    }
}

struct TooLate;

/// The output of `read` if it comes in time, or is there when the time is over.
async fn before<T>(deadline: Option<Instant>, read: impl Future<Output = T>) -> Result<T, TooLate> {
    match deadline {
        Some(deadline) => timeout_at(deadline, read).await.map_err(|_| TooLate),
        None => Ok(read.await),
    }
}

/// `None` when draining begins before `read` is done.
async fn unless_draining<T>(signal: Option<ShutdownSignal>, read: impl Future<Output = T>) -> Option<T> {
    let Some(signal) = signal else { return Some(read.await) };
    let (mut read, mut draining) = (pin!(read), pin!(signal.draining()));
    poll_fn(|cx| match read.as_mut().poll(cx) {
        Poll::Ready(output) => Poll::Ready(Some(output)),
        Poll::Pending => draining.as_mut().poll(cx).map(|()| None),
    })
    .await
}
