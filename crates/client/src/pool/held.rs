//! A connection, its place, and its use by a request.

use std::sync::{
    Arc, Weak,
    atomic::{AtomicBool, AtomicU8, AtomicU64, AtomicUsize, Ordering::Relaxed, Ordering::SeqCst},
};

use chaski_core::{Host, Session, SessionState, http::Request};
use tokio::time::Instant;

use super::{Pool, coalesce::Hosts};
use crate::{stats::Closed, target::Key};

/// The right to have one connection open: counted until it is dropped, and then given to who waits.
pub(crate) struct Place<S: Session<Request>> {
    pool: Weak<Pool<S>>,
    pub(super) key: Arc<Key>,
    /// What dropping it means: a [`Closed`].
    end: AtomicU8,
}

impl<S: Session<Request>> Place<S> {
    /// A place that is counted already, for a dial that is.
    pub(super) fn new(pool: Weak<Pool<S>>, key: Arc<Key>) -> Self {
        Self { pool, key, end: AtomicU8::new(Closed::NeverOpen as u8) }
    }

    pub(super) fn ends(&self, why: Closed) {
        self.end.store(why as u8, Relaxed);
    }
}

impl<S: Session<Request>> Drop for Place<S> {
    fn drop(&mut self) {
        if let Some(pool) = self.pool.upgrade() {
            pool.release(&self.key, Closed::from_u8(*self.end.get_mut()));
        }
    }
}

/// A connection.
pub(super) struct Held<S: Session<Request>> {
    pub(super) session: S,
    pub(super) shared: bool,
    /// From when on it takes no new requests.
    retire_at: Option<Instant>,
    /// A shared one that was let go of must not come back when its last request ends.
    retired: AtomicBool,
    /// How many requests use it.
    uses: AtomicUsize,
    /// How many of them have not reached the session yet, which still counts their slots as free.
    reserved: AtomicUsize,
    /// How many requests it has had, this one included.
    requests: Arc<AtomicU64>,
    /// Somebody waits for it to change.
    pub(super) watched: AtomicBool,
    /// The other hosts that it carries requests for.
    pub(super) hosts: Hosts,
    // Last, so that the place is free when the session has been dropped.
    pub(super) place: Place<S>,
}

impl<S: Session<Request>> Held<S> {
    pub(super) fn new(
        session: S,
        shared: bool,
        retire_at: Option<Instant>,
        requests: Arc<AtomicU64>,
        place: Place<S>,
    ) -> Self {
        // Unless something else closes it, it ends with its use.
        place.ends(Closed::Used);
        Self {
            session,
            shared,
            retire_at,
            retired: AtomicBool::new(false),
            uses: AtomicUsize::new(0),
            reserved: AtomicUsize::new(0),
            requests,
            watched: AtomicBool::new(false),
            hosts: Hosts::default(),
            place,
        }
    }

    /// Lets go of it. Requests under way on a shared one finish.
    pub(super) fn close(this: Arc<Self>, why: Closed) {
        this.place.ends(why);
        this.session.drain();
    }

    pub(super) fn is_old(&self, now: Instant) -> bool {
        self.retire_at.is_some_and(|at| at <= now)
    }

    pub(super) fn retire_at(&self) -> Option<Instant> {
        self.retire_at
    }

    pub(super) fn retire(&self) {
        self.retired.store(true, SeqCst);
    }

    pub(super) fn is_retired(&self) -> bool {
        self.retired.load(SeqCst)
    }

    pub(super) fn in_use(&self) -> bool {
        self.uses.load(SeqCst) > 0
    }

    pub(super) fn use_once(&self) {
        self.uses.fetch_add(1, SeqCst);
    }

    pub(super) fn unuse(&self) {
        self.uses.fetch_sub(1, SeqCst);
    }

    pub(super) fn has_free_slot(&self) -> bool {
        self.session.state() == SessionState::Open && self.session.slots().free > 0
    }

    /// Takes one of the free slots of a shared session for a request that is about to be sent.
    pub(super) fn reserve(&self) -> bool {
        let mut reserved = self.reserved.load(SeqCst);
        loop {
            if self.session.state() != SessionState::Open || self.session.slots().free <= reserved {
                return false;
            }
            match self.reserved.compare_exchange(reserved, reserved + 1, SeqCst, SeqCst) {
                Ok(_) => return true,
                Err(now) => reserved = now,
            }
        }
    }
}

/// The use of a connection by one request. Dropping it gives the connection back: its session's state decides what
/// becomes of it.
pub(crate) struct Lease<S: Session<Request>> {
    /// `None` only in those who consume the lease.
    held: Option<Arc<Held<S>>>,
    reservation: Option<Reservation<S>>,
}

impl<S: Session<Request>> Lease<S> {
    /// The use of a connection that nobody else uses.
    pub(super) fn new(held: Arc<Held<S>>) -> Self {
        held.use_once();
        Self { held: Some(held), reservation: None }
    }

    /// A use of a shared one, which counts it already, and may have reserved a slot for it.
    pub(super) fn shared(held: Arc<Held<S>>, reserved: bool) -> Self {
        let reservation = reserved.then(|| Reservation(Arc::clone(&held)));
        Self { held: Some(held), reservation }
    }

    #[expect(clippy::expect_used, reason = "it is taken by `into_place` and `drop` alone, and both consume the lease")]
    fn held(&self) -> &Held<S> {
        self.held.as_ref().expect("a lease has a connection")
    }

    pub(crate) fn session(&self) -> &S {
        &self.held().session
    }

    pub(crate) fn is_shared(&self) -> bool {
        self.held().shared
    }

    /// The key that the connection was made for.
    pub(crate) fn key(&self) -> &Arc<Key> {
        &self.held().place.key
    }

    /// Notes what the peer's answer to a request for another host than its own says: whether it wants such requests.
    pub(crate) fn answered(&self, host: &Host, misdirected: bool) {
        self.held().hosts.answered(host, misdirected);
        if let Some(pool) = self.held().place.pool.upgrade().filter(|_| misdirected) {
            pool.count_misdirected(self.key());
        }
    }

    /// Counts the request that is sent now. To be dropped when the session knows of it, and counts its slot itself.
    pub(crate) fn begin(&mut self) -> Option<Reservation<S>> {
        self.held().requests.fetch_add(1, Relaxed);
        self.reservation.take()
    }

    /// Closes a connection that has failed, and keeps its place for a new one. `None` when others use the connection.
    pub(crate) fn into_place(mut self) -> Option<Place<S>> {
        if self.held().shared {
            return None;
        }
        let Held { session, place, .. } = Arc::into_inner(self.held.take()?)?;
        drop(session);
        place.ends(Closed::NeverOpen);
        if let Some(pool) = place.pool.upgrade() {
            pool.dial_again(&place.key, Closed::Dead);
        }
        Some(place)
    }
}

impl<S: Session<Request>> Drop for Lease<S> {
    fn drop(&mut self) {
        drop(self.reservation.take());
        let Some(held) = self.held.take() else { return };
        // Weak: a body that outlives its client must not keep a pool alive for nobody.
        match held.place.pool.upgrade() {
            Some(pool) => pool.give_back(held),
            None => held.unuse(),
        }
    }
}

/// A slot of a shared session, until the session knows of the request.
pub(crate) struct Reservation<S: Session<Request>>(Arc<Held<S>>);

impl<S: Session<Request>> Drop for Reservation<S> {
    fn drop(&mut self) {
        self.0.reserved.fetch_sub(1, SeqCst);
        // For a moment the slot was counted twice, and somebody may wait who need not.
        if let Some(pool) = self.0.place.pool.upgrade() {
            pool.serve_queue_of_shared(&self.0.place.key);
        }
    }
}
