//! A call that waits for a connection.

use std::{
    error::Error,
    fmt,
    future::Future,
    pin::Pin,
    sync::{Arc, Mutex},
    task::{Context, Poll, Waker},
};

use chaski_core::{ConnectError, Session, http::Request};

use super::{
    Pool,
    held::{Lease, Place},
    lock,
};
use crate::target::Key;

/// A dial under way. It borrows nothing from the call that began it, so that another one can go on with it.
pub(crate) type DialFuture<S> = Pin<Box<dyn Future<Output = Result<S, ConnectError>> + Send>>;

/// A dial and the place of what comes of it.
pub(super) struct Dial<S: Session<Request>> {
    future: DialFuture<S>,
    pub(super) place: Place<S>,
}

/// What lets a waiter go on.
pub(super) enum Turn<S: Session<Request>> {
    /// It may dial.
    Place(Place<S>),
    /// It goes on with the dial of one who left.
    Dial(Dial<S>),
}

/// As many calls wait for a connection as may: the limit.
#[derive(Clone, Copy, Debug)]
pub(crate) struct QueueFull(pub(crate) usize);

/// Where a waiter finds what it was given. It is filled by whoever took the waiter out of the queue, or moved it among those
/// who dial, so by one at a time.
pub(super) struct Cell<S: Session<Request>>(Mutex<Contents<S>>);

struct Contents<S: Session<Request>> {
    lease: Option<Lease<S>>,
    turn: Option<Turn<S>>,
    waker: Option<Waker>,
}

/// To be woken when no lock is held.
#[must_use]
pub(super) struct Wake(Option<Waker>);

impl Wake {
    pub(super) fn wake(self) {
        if let Some(waker) = self.0 {
            waker.wake();
        }
    }
}

impl<S: Session<Request>> Cell<S> {
    pub(super) fn hand(&self, lease: Lease<S>) -> Wake {
        let mut contents = lock(&self.0);
        contents.lease = Some(lease);
        Wake(contents.waker.take())
    }

    pub(super) fn give(&self, turn: Turn<S>) -> Wake {
        let mut contents = lock(&self.0);
        contents.turn = Some(turn);
        Wake(contents.waker.take())
    }

    /// Takes what is there, a connection rather than anything else.
    fn poll(&self, cx: &mut Context<'_>) -> Poll<Given<S>> {
        let mut contents = lock(&self.0);
        if let Some(lease) = contents.lease.take() {
            return Poll::Ready(Given::Lease(lease));
        }
        if let Some(turn) = contents.turn.take() {
            return Poll::Ready(Given::Turn(turn));
        }
        let earlier = match &contents.waker {
            Some(waker) if waker.will_wake(cx.waker()) => None,
            _ => contents.waker.replace(cx.waker().clone()),
        };
        drop(contents);
        drop(earlier);
        Poll::Pending
    }
}

impl<S: Session<Request>> Default for Cell<S> {
    fn default() -> Self {
        Self(Mutex::new(Contents { lease: None, turn: None, waker: None }))
    }
}

enum Given<S: Session<Request>> {
    Lease(Lease<S>),
    Turn(Turn<S>),
}

/// A call in the queue.
///
/// # Cancel safety
///
/// Dropping it gives back what it was given, and hands the dial that it drives to the next one.
pub(crate) struct Wait<S: Session<Request>> {
    pool: Arc<Pool<S>>,
    key: Arc<Key>,
    /// `None` for one that came with a place: it wants a connection of its own, and is in no queue.
    queued: Option<(u64, Arc<Cell<S>>)>,
    turn: Option<Turn<S>>,
    /// The dial was begun by this call, so its failure is the call's.
    own: bool,
}

impl<S: Session<Request>> Wait<S> {
    pub(super) fn new(
        pool: Arc<Pool<S>>,
        key: Arc<Key>,
        number: u64,
        cell: Arc<Cell<S>>,
        turn: Option<Turn<S>>,
    ) -> Self {
        Self { pool, key, queued: Some((number, cell)), turn, own: false }
    }

    /// One that has a place already, and takes no connection but a new one.
    pub(crate) fn with_place(pool: Arc<Pool<S>>, place: Place<S>) -> Self {
        let key = Arc::clone(&place.key);
        Self { pool, key, queued: None, turn: Some(Turn::Place(place)), own: false }
    }

    /// Whether it may dial already.
    pub(crate) fn has_turn(&self) -> bool {
        self.turn.is_some()
    }

    /// Waits for a connection, or for the turn to dial: then there is none.
    pub(crate) fn poll_turn(&mut self, cx: &mut Context<'_>) -> Poll<Option<Lease<S>>> {
        if self.turn.is_some() {
            return Poll::Ready(None);
        }
        let Some((_, cell)) = &self.queued else { return Poll::Pending };
        cell.poll(cx).map(|given| match given {
            Given::Lease(lease) => Some(lease),
            Given::Turn(turn) => {
                self.turn = Some(turn);
                None
            }
        })
    }

    /// Dials with `dial`, or goes on with the dial of one who left; unless a connection comes first. Says of that whether
    /// another call has used it, or made it.
    ///
    /// # Errors
    ///
    /// That of the dial, if it was this call's own. If not, it is followed by one.
    pub(crate) fn poll_dial(
        &mut self,
        cx: &mut Context<'_>,
        dial: &mut impl FnMut(&Key) -> DialFuture<S>,
    ) -> Poll<Result<(Lease<S>, bool), ConnectError>> {
        if let Some((_, cell)) = &self.queued {
            match cell.poll(cx) {
                Poll::Ready(Given::Lease(lease)) => return Poll::Ready(Ok((lease, true))),
                Poll::Ready(Given::Turn(turn)) => self.turn = Some(turn),
                Poll::Pending => {}
            }
        }
        loop {
            match self.turn.take() {
                None => return Poll::Pending,
                Some(Turn::Place(place)) => {
                    self.own = true;
                    self.turn = Some(Turn::Dial(Dial { future: dial(&self.key), place }));
                }
                Some(Turn::Dial(Dial { mut future, place })) => match future.as_mut().poll(cx) {
                    Poll::Pending => {
                        self.turn = Some(Turn::Dial(Dial { future, place }));
                        return Poll::Pending;
                    }
                    Poll::Ready(Ok(session)) => {
                        let number = self.queued.as_ref().map(|(number, _)| *number);
                        let lease = self.pool.established(number, session, place);
                        return Poll::Ready(Ok((lease, false)));
                    }
                    Poll::Ready(Err(error)) if self.own => return Poll::Ready(Err(error)),
                    // It may have failed for want of time, of which this call has had less.
                    Poll::Ready(Err(_)) => {
                        self.pool.count_dial(&self.key);
                        self.turn = Some(Turn::Place(place));
                    }
                },
            }
        }
    }
}

impl<S: Session<Request>> Drop for Wait<S> {
    fn drop(&mut self) {
        let mut turns = [self.turn.take(), None];
        if let Some((number, cell)) = self.queued.take() {
            self.pool.leave(&self.key, number);
            // From here on nothing more can come.
            let contents = std::mem::take(&mut *lock(&cell.0));
            turns[1] = contents.turn;
            drop(contents.lease);
        }
        for turn in turns.into_iter().flatten() {
            match turn {
                Turn::Place(place) => drop(place),
                Turn::Dial(dial) => self.pool.pass_on(dial),
            }
        }
    }
}

impl<S: Session<Request>> Default for Contents<S> {
    fn default() -> Self {
        Self { lease: None, turn: None, waker: None }
    }
}

impl fmt::Display for QueueFull {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} calls wait for a connection already", self.0)
    }
}

impl Error for QueueFull {}
