//! The one task of a connection: it reads and writes for all streams.

use std::{
    future::Future,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, Waker},
};

use chaski_core::{Deadline, Elapsed, Io, ShutdownMoment};
use h2::client::Connection;
use tokio::time::Instant;

use super::shared::{GivenUp, Shared};
use crate::engine::{Chunk, PingEvent, Pinger, Wire};

/// How much is read before other tasks have their turn.
const READ_IN_TURN: usize = 256 * 1024;

/// Drives a connection until the session was dropped or drained and its last stream is gone, or until the connection fails.
pub(super) struct Driver<IO: Io> {
    connection: Connection<Wire<IO>, Chunk>,
    shared: Arc<Shared>,
    draining: Option<ShutdownMoment>,
    /// How much had moved when the peer's frames were looked at last.
    seen: u64,
    /// How much was written when the peer was found not to read.
    blocked_at: Option<u64>,
    stall: Deadline,
    pinger: Pinger,
    /// Whom the others wake.
    waker: Option<Waker>,
}

impl<IO: Io> Driver<IO> {
    pub(super) fn new(
        connection: Connection<Wire<IO>, Chunk>,
        shared: Arc<Shared>,
        draining: Option<ShutdownMoment>,
    ) -> Self {
        let pinger = Pinger::new(shared.config.pings());
        let (stall, waker) = (Deadline::default(), None);
        Self { connection, shared, draining, seen: 0, blocked_at: None, stall, pinger, waker }
    }

    /// In a shutdown, a session that has had a request takes no more. One that was made since may have its first: it is
    /// the answer to somebody who is drained as well.
    fn poll_shutdown(&mut self, cx: &mut Context<'_>) {
        if let Some(draining) = &mut self.draining
            && Pin::new(draining).poll(cx).is_ready()
            && self.shared.is_used()
        {
            self.shared.drain();
            self.draining = None;
        }
    }

    /// `Ready` when the peer is no longer there.
    fn poll_pings(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        let (read, busy) = (self.shared.wire.read(), self.shared.is_busy());
        while let Poll::Ready(event) = self.pinger.poll(read, busy, || self.connection.ping_pong(), cx) {
            match event {
                PingEvent::Dead => {
                    let limit = self.shared.config.keep_alive_timeout;
                    self.shared.give_up(GivenUp::Unanswered(Elapsed { what: "the answer to a PING", limit }));
                    return Poll::Ready(());
                }
                // It is refused while the peer has not yet taken in the last one; then a later sample says so again. The window
                // of the connection stays: it is what bounds the memory.
                PingEvent::Grow(window) => {
                    if self.connection.set_initial_window_size(window).is_ok() {
                        self.pinger.grown(window);
                        cx.waker().wake_by_ref();
                    }
                }
            }
        }
        Poll::Pending
    }

    /// A peer that reads nothing holds everything that is to be written.
    fn poll_stalled(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        let blocked_at = self.shared.wire.blocked_at();
        let (Some(limit), Some(_)) = (self.shared.config.write_timeout, blocked_at) else {
            self.stall.clear();
            return Poll::Pending;
        };
        if !self.stall.is_set() || blocked_at != self.blocked_at {
            self.blocked_at = blocked_at;
            // A limit that reaches beyond the clock's end is none.
            self.stall.set(Instant::now().checked_add(limit));
        }
        let elapsed = Elapsed { what: "the peer's reading", limit };
        self.stall.poll(cx).map(|()| self.shared.give_up(GivenUp::Unread(elapsed)))
    }
}

impl<IO: Io> Future for Driver<IO> {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        let this = &mut *self;
        if !this.waker.as_ref().is_some_and(|waker| waker.will_wake(cx.waker())) {
            this.shared.set_driver(cx.waker());
            this.waker = Some(cx.waker().clone());
        }
        this.poll_shutdown(cx);
        this.shared.wire.allow(READ_IN_TURN);
        loop {
            let finished = this.shared.finish_if_drained();
            if let Poll::Ready(result) = Pin::new(&mut this.connection).poll(cx) {
                if let Err(error) = result {
                    tracing::debug!(%error, "an HTTP/2 connection has failed");
                }
                return Poll::Ready(());
            }
            let traffic = this.shared.wire.traffic();
            if std::mem::replace(&mut this.seen, traffic) != traffic {
                this.shared.learn(this.connection.max_concurrent_send_streams());
            }
            // What the peer has said may end an idle connection, and only h2 can end it.
            if finished || !this.shared.finish_if_drained() {
                break;
            }
        }
        if this.poll_pings(cx).is_ready() {
            return Poll::Ready(());
        }
        this.poll_stalled(cx)
    }
}

impl<IO: Io> Drop for Driver<IO> {
    fn drop(&mut self) {
        self.shared.close();
    }
}
