//! What a session, its exchange and its response's body share: who has the connection.

use std::{
    fmt,
    future::{Future, poll_fn},
    io,
    pin::{Pin, pin},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    task::{Context, Poll, Waker},
    time::Duration,
};

use chaski_core::{Deadline, Extensions, Io, SessionState};
use tokio::{io::ReadBuf as TokioReadBuf, time::Instant};

use super::{Http1ClientConfig, Http1Error};
use crate::{codec::ResponseDecoder, engine::ReadBuf};

/// One per connection.
///
/// The wire is in here while the connection is idle. An exchange takes it out and owns it until it gives it back, so
/// reads and writes happen without a lock, and whoever drops the wire has closed the connection. The mutex is locked for
/// these hand-overs, and to look at an idle connection.
pub(super) struct Shared<IO> {
    pub(super) ext: Extensions,
    pub(super) config: Http1ClientConfig,
    state: Mutex<State<IO>>,
}

struct State<IO> {
    slot: Slot<IO>,
    draining: bool,
    /// Counts the changes of `slot` and `draining`.
    version: u64,
    /// Who waits for the next change.
    waiter: Option<Waker>,
}

/// ```text
/// Free <---> Taken
///   +---------+----> Closed
/// ```
enum Slot<IO> {
    Free(Box<Wire<IO>>),
    Taken,
    Closed,
}

/// The connection itself, and what is kept from one exchange to the next.
pub(super) struct Wire<IO> {
    pub(super) io: IO,
    pub(super) decoder: ResponseDecoder,
    pub(super) read: ReadBuf,
    pub(super) deadline: Deadline,
}

impl<IO: Io> Wire<IO> {
    /// Whether `limit` has passed since the first call after the deadline was cleared. Without a limit the clock is
    /// never looked at, so this is called for waits that have one.
    pub(super) fn poll_deadline(&mut self, limit: Duration, cx: &mut Context<'_>) -> Poll<()> {
        if !self.deadline.is_set() {
            // A limit that reaches beyond the clock's end is none.
            self.deadline.set(Instant::now().checked_add(limit));
        }
        self.deadline.poll(cx)
    }

    /// Whether there is nothing to read: no byte, and no end. If `waiter` is there, it is woken when that changes.
    fn is_silent(&mut self, waiter: Option<&Waker>) -> bool {
        // A socket that nobody waits on is asked without a waker. That costs a third, and this is done for every request.
        if let (None, Some(socket), []) = (waiter, self.io.plain_socket(), self.io.leftover()) {
            return socket.try_read(&mut [0]).is_err_and(|error| error.kind() == io::ErrorKind::WouldBlock);
        }
        // An IO keeps one waker for reads: that of a waiter must not be replaced by one that does nothing.
        let mut cx = Context::from_waker(waiter.unwrap_or(Waker::noop()));
        let mut byte = [0];
        let read = poll_fn(|cx| Pin::new(&mut self.io).poll_read(cx, &mut TokioReadBuf::new(&mut byte)));
        // Outside the cooperative budget: to a task that has used its share up, every connection would seem alive.
        pin!(tokio::task::unconstrained(read)).poll(&mut cx).is_pending()
    }

    /// Says that nothing follows, as far as that needs no waiting: TLS has a message for it. To be dropped then.
    fn shutdown(&mut self) {
        let _ = Pin::new(&mut self.io).poll_shutdown(&mut Context::from_waker(Waker::noop()));
    }
}

impl<IO: Io> Shared<IO> {
    pub(super) fn new(io: IO, ext: Extensions, config: Http1ClientConfig) -> Self {
        let wire = Wire {
            io,
            decoder: ResponseDecoder::new(config.head),
            read: ReadBuf::default(),
            deadline: Deadline::default(),
        };
        let state = State { slot: Slot::Free(Box::new(wire)), draining: false, version: 0, waiter: None };
        Self { ext, config, state: Mutex::new(state) }
    }

    /// Takes the connection for an exchange.
    pub(super) fn lease(self: &Arc<Self>) -> Result<Lease<IO>, Http1Error> {
        let mut state = self.lock();
        let lost = state.probe();
        match std::mem::replace(&mut state.slot, Slot::Taken) {
            Slot::Free(wire) => {
                let waiter = state.change();
                drop(state);
                wake(waiter);
                Ok(Lease { shared: Arc::clone(self), wire: Some(wire), touched: false })
            }
            Slot::Taken => Err(if state.draining { Http1Error::Draining } else { Http1Error::Busy }),
            Slot::Closed => {
                state.slot = Slot::Closed;
                drop(state);
                lost.tell();
                Err(Http1Error::Closed)
            }
        }
    }

    pub(super) fn state(&self) -> SessionState {
        let mut state = self.lock();
        let lost = state.probe();
        let now = match (&state.slot, state.draining) {
            (Slot::Closed, _) => SessionState::Closed,
            (_, true) => SessionState::Draining,
            _ => SessionState::Open,
        };
        drop(state);
        lost.tell();
        now
    }

    pub(super) fn is_free(&self) -> bool {
        matches!(self.lock().slot, Slot::Free(_))
    }

    pub(super) fn version(&self) -> u64 {
        self.lock().version
    }

    /// Completes when something has changed since `version`, or when nothing will any more. Meanwhile it watches an idle
    /// connection.
    pub(super) fn poll_changed(&self, version: u64, cx: &mut Context<'_>) -> Poll<()> {
        let mut state = self.lock();
        if state.version != version || matches!(state.slot, Slot::Closed) {
            return Poll::Ready(());
        }
        match &mut state.waiter {
            Some(waiter) => waiter.clone_from(cx.waker()),
            none => *none = Some(cx.waker().clone()),
        }
        let lost = state.probe();
        drop(state);
        if lost.wire.is_some() { Poll::Ready(()) } else { Poll::Pending }
    }

    pub(super) fn drain(&self) {
        let mut state = self.lock();
        if state.draining {
            return;
        }
        state.draining = true;
        let idle = match &mut state.slot {
            Slot::Free(_) => std::mem::replace(&mut state.slot, Slot::Closed),
            _ => Slot::Closed,
        };
        let waiter = state.change();
        drop(state);
        if let Slot::Free(mut wire) = idle {
            wire.shutdown();
        }
        wake(waiter);
    }

    /// Takes the wire back, or learns that it is gone.
    fn settle(&self, wire: Option<Box<Wire<IO>>>) {
        let mut state = self.lock();
        let refused = match wire {
            Some(wire) if !state.draining => {
                state.slot = Slot::Free(wire);
                None
            }
            wire => {
                state.slot = Slot::Closed;
                wire
            }
        };
        let waiter = state.change();
        drop(state);
        if let Some(mut wire) = refused {
            wire.shutdown();
        }
        wake(waiter);
    }
}

impl<IO> Shared<IO> {
    fn lock(&self) -> MutexGuard<'_, State<IO>> {
        // Every change of the state is a single assignment, so it is whole even when an IO has panicked.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<IO> Drop for Shared<IO> {
    /// Whoever watches the connection learns that there is none any more.
    fn drop(&mut self) {
        let state = self.state.get_mut().unwrap_or_else(PoisonError::into_inner);
        wake(state.waiter.take());
    }
}

impl<IO: Io> State<IO> {
    /// Looks whether the peer of an idle connection has closed it, or has sent what nobody asked for. Either ends it: a
    /// byte that comes before the next request would be taken for its answer.
    fn probe(&mut self) -> Lost<IO> {
        let none = Lost { wire: None, waiter: None };
        let Slot::Free(wire) = &mut self.slot else { return none };
        if wire.is_silent(self.waiter.as_ref()) {
            return none;
        }
        match std::mem::replace(&mut self.slot, Slot::Closed) {
            Slot::Free(wire) => Lost { wire: Some(wire), waiter: self.change() },
            _ => none,
        }
    }
}

/// An idle connection that was found to have ended, if so: to be dropped, and told, when the lock is free again.
#[must_use]
struct Lost<IO> {
    wire: Option<Box<Wire<IO>>>,
    waiter: Option<Waker>,
}

impl<IO> Lost<IO> {
    fn tell(self) {
        drop(self.wire);
        wake(self.waiter);
    }
}

impl<IO> State<IO> {
    /// Notes a change; the waker is to be woken.
    fn change(&mut self) -> Option<Waker> {
        self.version = self.version.wrapping_add(1);
        self.waiter.take()
    }
}

fn wake(waker: Option<Waker>) {
    if let Some(waker) = waker {
        waker.wake();
    }
}

impl<IO> fmt::Debug for Shared<IO> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let state = self.lock();
        let slot = match state.slot {
            Slot::Free(_) => "free",
            Slot::Taken => "taken",
            Slot::Closed => "closed",
        };
        f.debug_struct("Shared").field("slot", &slot).field("draining", &state.draining).finish_non_exhaustive()
    }
}

/// The connection for as long as an exchange has it.
///
/// Dropping it closes the connection, unless nothing was written yet: then the connection is as it was.
pub(super) struct Lease<IO: Io> {
    shared: Arc<Shared<IO>>,
    /// `None` once the connection was given back or closed.
    wire: Option<Box<Wire<IO>>>,
    /// Something was written.
    touched: bool,
}

impl<IO: Io> Lease<IO> {
    /// The connection, unless this lease has ended.
    #[inline]
    pub(super) fn wire(&mut self) -> Option<&mut Wire<IO>> {
        self.wire.as_deref_mut()
    }

    /// Whether the connection was given back or closed.
    pub(super) fn is_over(&self) -> bool {
        self.wire.is_none()
    }

    pub(super) fn shared(&self) -> &Shared<IO> {
        &self.shared
    }

    /// Notes that the connection is no longer as it was.
    pub(super) fn touch(&mut self) {
        self.touched = true;
    }

    /// Ends the lease after an exchange that is complete: the connection is free for the next one, or closed if it may
    /// not be used again.
    pub(super) fn finish(&mut self, reuse: bool) {
        let Some(mut wire) = self.wire.take() else { return };
        // Bytes beyond the response belong to no request: they would be taken for the answer to the next one.
        if !reuse || !wire.read.bytes.is_empty() {
            wire.shutdown();
            return self.shared.settle(None);
        }
        wire.read.release();
        wire.deadline.clear();
        self.shared.settle(Some(wire));
    }

    /// Ends the lease and the connection.
    pub(super) fn close(&mut self) {
        if self.wire.take().is_some() {
            self.shared.settle(None);
        }
    }

    /// Ends the lease: the connection is the caller's, and no session any more.
    pub(super) fn detach(mut self) -> Option<Wire<IO>> {
        let wire = self.wire.take()?;
        self.shared.settle(None);
        Some(*wire)
    }
}

impl<IO: Io> Drop for Lease<IO> {
    fn drop(&mut self) {
        if self.touched { self.close() } else { self.finish(true) }
    }
}
