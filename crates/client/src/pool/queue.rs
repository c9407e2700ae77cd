//! Who may dial, and who is given what becomes free.

use std::sync::{
    Arc,
    atomic::{AtomicU64, Ordering::SeqCst},
};

use chaski_core::{Session, http::Request};
use tokio::time::Instant;

use super::{
    Pool,
    held::{Held, Lease, Place},
    shard::{Entry, Shard},
    wait::{Cell, Dial, QueueFull, Turn, Wait},
};
use crate::{ConnectionReuse, stats::Closed, target::Key};

impl<S: Session<Request>> Entry<S> {
    /// Whether one more dial is allowed, as far as the key goes. While one is under way that will probably make a shared
    /// session, those who come later wait for that.
    fn may_dial(&self, limit: usize) -> bool {
        self.open < limit && !(self.shared && self.dials > 0)
    }
}

impl<S: Session<Request>> Pool<S> {
    /// Joins those who wait for a connection of `key`; with a place to dial at once, if there is one.
    ///
    /// # Errors
    ///
    /// [`QueueFull`] when there is none, and as many wait as may.
    pub(crate) fn enter(self: &Arc<Self>, key: Arc<Key>) -> Result<Wait<S>, QueueFull> {
        // Before a call is refused, room is made for it: those who fill the queue may wait for a key that is at its own limit.
        let mut may_make_room = true;
        loop {
            let cell = Arc::new(Cell::default());
            let mut shard = self.shard(&key);
            let number = self.next_number();
            let entry = shard.entry(&key, &self.config);
            let alone = entry.waiting.is_empty() && entry.may_dial(self.config.max_connections_per_key);
            if alone && self.claims.is_empty() && self.try_open() {
                entry.dialing.insert(number, Arc::clone(&cell));
                let turn = self.place(entry, &key);
                shard.counts.dials += 1;
                drop(shard);
                return Ok(Wait::new(Arc::clone(self), key, number, cell, Some(turn)));
            }
            if self.waiting.fetch_add(1, SeqCst) < self.config.max_waiting {
                entry.waiting.insert(number, Arc::clone(&cell));
                self.settle_claim(entry, &key);
                shard.counts.waits += 1;
                drop(shard);
                let wait = Wait::new(Arc::clone(self), Arc::clone(&key), number, cell, None);
                // What was given back since the caller looked found nobody waiting.
                self.serve_queue(&key);
                self.feed();
                self.make_room();
                return Ok(wait);
            }
            self.waiting.fetch_sub(1, SeqCst);
            shard.forget_if_empty(&key);
            drop(shard);
            if !(may_make_room && alone && self.close_oldest()) {
                return Err(QueueFull(self.config.max_waiting));
            }
            may_make_room = false;
        }
    }

    /// Leaves the queue.
    pub(super) fn leave(self: &Arc<Self>, key: &Arc<Key>, number: u64) {
        let mut shard = self.shard(key);
        let Some(entry) = shard.existing(key) else { return };
        // A cell that is still in the queue has nothing in it that could be dropped under the lock.
        entry.dialing.remove(&number);
        if entry.waiting.remove(&number).is_some() {
            self.waiting.fetch_sub(1, SeqCst);
            self.settle_claim(entry, key);
        }
        shard.forget_if_empty(key);
        drop(shard);
        self.feed();
    }

    /// Hands the dial of one who left to the first who has none; drops it if there is nobody.
    pub(super) fn pass_on(&self, dial: Dial<S>) {
        let key = Arc::clone(&dial.place.key);
        let mut shard = self.shard(&key);
        let next = shard.existing(&key).and_then(|entry| {
            let cell = self.promote(entry)?;
            self.settle_claim(entry, &key);
            Some(cell)
        });
        let Some(cell) = next else {
            drop(shard);
            return drop(dial);
        };
        shard.counts.handed_over += 1;
        let waker = cell.give(Turn::Dial(dial));
        drop(shard);
        waker.wake();
    }

    /// A dial has made a session: its caller, `number` in the queue, gets the use of it.
    pub(super) fn established(self: &Arc<Self>, number: Option<u64>, session: S, place: Place<S>) -> Lease<S> {
        let key = Arc::clone(&place.key);
        let shared = session.slots().shared;
        let requests = Arc::new(AtomicU64::new(0));
        session.scope().insert(ConnectionReuse::of_kept(&requests));
        let now = Instant::now();
        let retire_at = self.lifetime().and_then(|life| now.checked_add(life));
        let held = Arc::new(Held::new(session, shared, retire_at, requests, place));
        let mut shard = self.shard(&key);
        shard.counts.established += 1;
        let mut own = None;
        if let Some(entry) = shard.existing(&key) {
            own = number.and_then(|number| entry.dialing.remove(&number));
            entry.shared = shared;
        }
        drop(shard);
        drop(own);
        let lease = if shared {
            self.may_carry_others(&held);
            held.use_once();
            let reserved = held.reserve();
            let lease = Lease::shared(Arc::clone(&held), reserved);
            // Those who wait join, and those who dial too, before one more is sent to dial.
            if self.insert(held, now) {
                self.serve_queue(&key);
                self.kept(&key, true);
            }
            lease
        } else {
            Lease::new(held)
        };
        let mut shard = self.shard(&key);
        if let Some(entry) = shard.existing(&key) {
            entry.dials -= 1;
            self.settle_claim(entry, &key);
        }
        drop(shard);
        self.feed();
        self.make_room();
        lease
    }

    /// A connection has failed, and its place is used for another one.
    pub(super) fn dial_again(&self, key: &Arc<Key>, why: Closed) {
        let mut shard = self.shard(key);
        shard.counts.close(why);
        shard.counts.dials += 1;
        if let Some(entry) = shard.existing(key) {
            entry.dials += 1;
            self.settle_claim(entry, key);
        }
    }

    /// Counts a dial that follows one which had been handed over and failed.
    pub(super) fn count_dial(&self, key: &Key) {
        self.shard(key).counts.dials += 1;
    }

    /// A place is free: that of a connection which was closed, or of a dial that came to nothing.
    pub(super) fn release(self: &Arc<Self>, key: &Arc<Key>, why: Closed) {
        let mut shard = self.shard(key);
        shard.counts.close(why);
        if let Some(entry) = shard.existing(key) {
            entry.open -= 1;
            entry.dials -= usize::from(why == Closed::NeverOpen);
            self.settle_claim(entry, key);
        }
        shard.forget_if_empty(key);
        drop(shard);
        self.open.fetch_sub(1, SeqCst);
        self.feed();
    }

    /// Gives places to those who have a claim, as far as there are any.
    pub(super) fn feed(self: &Arc<Self>) {
        while !self.claims.is_empty() && self.try_open() {
            let granted = self.claims.pop().is_some_and(|(number, key)| self.grant(number, &key));
            if !granted {
                // Whoever held the claim was served meanwhile, and the place is free again.
                self.open.fetch_sub(1, SeqCst);
            }
        }
    }

    /// Gives a place to the waiter `number`, if its claim stands.
    fn grant(self: &Arc<Self>, number: u64, key: &Arc<Key>) -> bool {
        let mut shard = self.shard(key);
        let Some(entry) = shard.existing(key).filter(|entry| entry.claim == Some(number)) else { return false };
        entry.claim = None;
        let Some(cell) = self.promote(entry) else { return false };
        let place = self.place(entry, key);
        self.settle_claim(entry, key);
        shard.counts.dials += 1;
        let waker = cell.give(place);
        drop(shard);
        waker.wake();
        true
    }

    /// Gives connections that are kept to those who wait for one of this key.
    pub(super) fn serve_queue(self: &Arc<Self>, key: &Arc<Key>) {
        loop {
            let queue = self.shard(key).existing(key).is_some_and(|entry| entry.has_queue());
            let Some(lease) = queue.then(|| self.take(key)).flatten() else { return };
            let mut shard = self.shard(key);
            match self.pop_first(&mut shard, key) {
                Some(cell) => {
                    let waker = cell.hand(lease);
                    drop(shard);
                    waker.wake();
                }
                None => {
                    shard.counts.reused -= 1;
                    drop(shard);
                    drop(lease);
                }
            }
        }
    }

    /// The same, where it is for the slots of a session: usually nobody waits, and that is seen without a lock.
    pub(super) fn serve_queue_of_shared(self: &Arc<Self>, key: &Arc<Key>) {
        if self.waiting.load(SeqCst) > 0 {
            self.serve_queue(key);
        }
    }

    /// Closes the connections that were kept longest, as long as somebody waits who may not dial because of the limit in all.
    /// A place that becomes free by that is given away at once.
    pub(super) fn make_room(&self) {
        let wanted = || !self.claims.is_empty() && self.open.load(SeqCst) >= self.config.max_connections;
        while wanted() && self.close_oldest() {}
    }

    /// Whether a connection that was given back is to be closed for a call that waits for one of another key, rather than
    /// handed to the first who waits for it: after as many calls as there are places have overtaken the other one in this way.
    /// So connections are seldom closed that somebody wants, and a target that is asked all the time keeps nobody out.
    pub(super) fn is_turn_of_claim(&self, shard: &mut Shard<S>, key: &Arc<Key>) -> bool {
        if self.claims.is_empty() {
            return false;
        }
        let first = shard.existing(key).and_then(|entry| entry.first());
        first.is_some_and(|number| self.claims.overtake(number, self.config.max_connections).is_err())
    }

    /// The first in the queue, who leaves it with a connection.
    pub(super) fn pop_first(&self, shard: &mut Shard<S>, key: &Arc<Key>) -> Option<Arc<Cell<S>>> {
        let entry = shard.existing(key)?;
        let first = entry.first()?;
        if let Some(cell) = entry.dialing.remove(&first) {
            return Some(cell);
        }
        let cell = entry.waiting.remove(&first)?;
        self.waiting.fetch_sub(1, SeqCst);
        self.settle_claim(entry, key);
        Some(cell)
    }

    /// The first who waits becomes one who dials.
    fn promote(&self, entry: &mut Entry<S>) -> Option<Arc<Cell<S>>> {
        let (number, cell) = entry.waiting.pop_first()?;
        self.waiting.fetch_sub(1, SeqCst);
        entry.dialing.insert(number, Arc::clone(&cell));
        Some(cell)
    }

    /// Makes the claim of a key what it should be, after any change of its entry.
    fn settle_claim(&self, entry: &mut Entry<S>, key: &Arc<Key>) {
        let first = entry.waiting.first_key_value().map(|(number, _)| *number);
        let due = first.filter(|_| entry.may_dial(self.config.max_connections_per_key));
        if due == entry.claim {
            return;
        }
        if let Some(number) = entry.claim {
            self.claims.withdraw(number);
        }
        if let Some(number) = due {
            self.claims.add(number, key);
        }
        entry.claim = due;
    }

    /// A place of this key, which the limit in all allows already.
    fn place(self: &Arc<Self>, entry: &mut Entry<S>, key: &Arc<Key>) -> Turn<S> {
        entry.open += 1;
        entry.dials += 1;
        Turn::Place(Place::new(Arc::downgrade(self), Arc::clone(key)))
    }

    /// Takes a place as far as the limit in all goes.
    fn try_open(&self) -> bool {
        let limit = self.config.max_connections;
        self.open.fetch_update(SeqCst, SeqCst, |open| (open < limit).then_some(open + 1)).is_ok()
    }
}
