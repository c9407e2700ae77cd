//! What a connection is watched for: a client that does not read, one that has nothing to say, and the end of draining.

use std::{
    task::{Context, Poll},
    time::Duration,
};

use chaski_core::{Deadline, Elapsed, Io};
use h2::Reason;
use tokio::time::Instant;

use super::{connection::Connection, error::Http2ServerError};
use crate::engine::PingEvent;

/// How long a connection that drains, and has no stream any more, waits for the client's answer to its first GOAWAY.
const DRAIN_GRACE: Duration = Duration::from_secs(1);

#[derive(Debug, Default)]
pub(super) struct Watch {
    deadline: Deadline,
    /// What the socket does not take: how much was written until then, and until when it has to go on.
    blocked: Option<(u64, Option<Instant>)>,
    /// Nothing is served: how much was read and written until then, and until when this may last.
    rest: Option<(u64, Option<Instant>)>,
    /// The shutdown has begun.
    draining: bool,
}

impl<I: Io, F> Connection<'_, I, F> {
    /// RFC 9113 section 6.8: in two steps, so that requests on their way are not lost. An idle connection closes at once:
    /// its client learns from the GOAWAY that what it has sent meanwhile was not processed.
    pub(super) fn drain(&mut self) {
        self.watch.draining = true;
        if self.is_idle() {
            self.close(Reason::NO_ERROR, Ok(()));
        } else {
            self.h2.graceful_shutdown();
        }
    }

    /// Says goodbye and closes, whatever is under way.
    pub(super) fn close(&mut self, reason: Reason, ending: Result<(), Http2ServerError>) {
        if self.ending.is_none() {
            self.h2.abrupt_shutdown(reason);
            self.ending = Some(Box::new(ending));
            self.wake_self();
        }
    }

    fn is_idle(&self) -> bool {
        self.active() == 0 && !self.h2.has_streams()
    }

    /// Watches while nothing comes.
    pub(super) fn poll_watch(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Http2ServerError>> {
        if self.ending.is_none() && self.poll_pings(cx).is_ready() {
            let limit = self.config.keep_alive_timeout;
            return Poll::Ready(Err(Elapsed { what: "the client's answer to PING", limit }.into()));
        }
        self.note_blocked();
        self.note_rest();
        let due = |noted: Option<(u64, Option<Instant>)>| noted.and_then(|(_, due)| due);
        let (blocked, rest) = (due(self.watch.blocked), due(self.watch.rest));
        self.watch.deadline.set(match (blocked, rest) {
            (Some(blocked), Some(rest)) => Some(blocked.min(rest)),
            (blocked, rest) => blocked.or(rest),
        });
        if self.watch.deadline.poll(cx).is_pending() {
            return Poll::Pending;
        }
        let now = Instant::now();
        if let (Some(blocked), Some(limit)) = (blocked, self.config.write_timeout)
            && blocked <= now
        {
            return Poll::Ready(match self.ending.take() {
                Some(ending) => *ending,
                None => Err(Elapsed { what: "the client's reading", limit }.into()),
            });
        }
        self.watch.rest = None;
        self.close(Reason::NO_ERROR, Ok(()));
        Poll::Pending
    }

    /// `Ready` when the client is no longer there.
    fn poll_pings(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        if self.state.is_pinged() {
            // h2 reads nothing while it owes the answer to a PING and cannot write it: two sides that both measure, with
            // both directions full, would wait for each other.
            self.pinger.pin();
        }
        let (read, busy) = (self.state.read(), self.active() > 0);
        while let Poll::Ready(event) = self.pinger.poll(read, busy, || self.h2.ping_pong(), cx) {
            match event {
                PingEvent::Dead => return Poll::Ready(()),
                // It is refused while the client has not yet taken in the last one; then a later sample says so again.
                PingEvent::Grow(window) => {
                    if self.h2.set_initial_window_size(window).is_ok() {
                        self.h2.set_target_window_size(window.max(self.config.connection_window));
                        self.pinger.grown(window);
                        self.wake_self();
                    }
                }
            }
        }
        Poll::Pending
    }

    fn note_blocked(&mut self) {
        let watch = &mut self.watch;
        watch.blocked = match (self.state.blocked_at(), watch.blocked) {
            (None, _) => None,
            (Some(written), Some(noted)) if written == noted.0 => Some(noted),
            (Some(written), _) => Some((written, self.config.write_timeout.map(|limit| Instant::now() + limit))),
        };
    }

    /// A connection without streams is idle. If h2 still has some, they are answers that wait for the client's window or
    /// bodies in foreign tasks: it is at rest as long as no byte moves.
    fn note_rest(&mut self) {
        if self.active() > 0 || self.ending.is_some() {
            self.watch.rest = None;
            return;
        }
        let idle = !self.h2.has_streams();
        let traffic = if idle { 0 } else { self.state.traffic() };
        match self.watch.rest {
            Some((noted, _)) if noted == traffic => {}
            _ => {
                if idle {
                    self.let_go();
                }
                let limit = if idle && self.watch.draining { Some(DRAIN_GRACE) } else { self.config.idle_timeout };
                self.watch.rest = Some((traffic, limit.map(|limit| Instant::now() + limit)));
            }
        }
    }
}
