//! The connections of a client, and the calls that wait for one.
//!
//! ```text
//! take ---- hit ----> Lease                            held.rs
//!   |                   | dropped: given back, closed, or handed to who waits
//!   +- miss -> Wait ----+                              wait.rs
//!                |  a connection given back, a place to dial, or the dial of one who left
//!                +-> Dial -> established
//! ```
//!
//! - `shard.rs` has the maps; `queue.rs` decides who may dial, `reaper.rs` closes what nobody uses, `coalesce.rs` finds
//!   connections to other hosts that may be asked.
//! - A *place* is the right to have one connection open; it belongs to the dial, then to the connection.
//! - A *claim* (`claims.rs`) is that of a key whose first waiter could dial, were it not for the limit in all.
//!
//! Neither is a session asked anything nor is anything dropped that may hold one while a lock is held: both may reach a
//! socket, and what a session holds (a request body that is the response body of another call) may come back here when
//! it is dropped. Locks are taken in one order: a shard, then a waiter's cell or the claims.

mod claims;
mod coalesce;
mod held;
mod queue;
mod reaper;
mod shard;
mod wait;
mod watch;

use std::{
    hash::{BuildHasher, Hasher},
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU64, AtomicUsize, Ordering::Relaxed, Ordering::SeqCst},
    },
    time::Duration,
};

use chaski_core::{Session, SessionState, http::Request};
use tokio::time::Instant;

use self::{claims::Claims, coalesce::Coalescing, held::Held, reaper::Reaper, shard::Shard};
use crate::{
    ClientConfig, PoolStats,
    stats::Closed,
    target::{Key, Keys},
};

pub(crate) use self::{
    held::{Lease, Place},
    wait::{DialFuture, QueueFull, Wait},
};

/// How many locks the keys are spread over. More than the threads of most machines, so that two calls for different
/// targets seldom meet.
const SHARDS: usize = 16;

pub(crate) struct Pool<S: Session<Request>> {
    shards: [Mutex<Shard<S>>; SHARDS],
    /// Places that are taken: connections, and dials under way.
    open: AtomicUsize,
    /// Connections that are kept.
    idle: AtomicUsize,
    /// Calls that wait without a dial of their own.
    waiting: AtomicUsize,
    claims: Claims,
    /// Gives waiters and kept connections their order.
    numbers: AtomicU64,
    jitter: AtomicU64,
    reaper: Arc<Reaper>,
    coalescing: Coalescing<S>,
    keys: Keys,
    config: ClientConfig,
}

impl<S: Session<Request>> Pool<S> {
    pub(crate) fn new(config: ClientConfig) -> Self {
        let keys = Keys::new();
        let seed = config.jitter_seed.unwrap_or_else(|| keys.hasher().build_hasher().finish());
        Self {
            shards: std::array::from_fn(|_| Mutex::default()),
            open: AtomicUsize::new(0),
            idle: AtomicUsize::new(0),
            waiting: AtomicUsize::new(0),
            claims: Claims::default(),
            numbers: AtomicU64::new(0),
            jitter: AtomicU64::new(seed),
            reaper: Arc::default(),
            coalescing: Coalescing::default(),
            keys,
            config,
        }
    }

    pub(crate) fn config(&self) -> &ClientConfig {
        &self.config
    }

    pub(crate) fn keys(&self) -> &Keys {
        &self.keys
    }

    /// A connection for a call that comes now: none when others wait for one already, who are served first.
    pub(crate) fn take_in_turn(&self, key: &Key) -> Option<Lease<S>> {
        match self.waiting.load(SeqCst) > 0 && self.shard(key).existing(key).is_some_and(|entry| entry.is_waited_for())
        {
            true => None,
            false => self.take(key),
        }
    }

    /// Takes a connection that is alive and has a free slot, the one used last first: it is the likeliest to live.
    fn take(&self, key: &Key) -> Option<Lease<S>> {
        let now = Instant::now();
        let mut busy = 0;
        loop {
            // The lock is let go at the end of this statement.
            let candidate = self.shard(key).candidate(key, busy, now, &self.config)?;
            match candidate {
                Candidate::Gone(held, why) => {
                    self.idle.fetch_sub(1, SeqCst);
                    Held::close(held, why);
                }
                Candidate::Exclusive(held) => {
                    self.idle.fetch_sub(1, SeqCst);
                    if held.has_free_slot() {
                        return Some(Lease::new(held));
                    }
                    self.shard(key).counts.reused -= 1;
                    Held::close(held, Closed::Dead);
                }
                Candidate::Shared(held) => match self.reserve(held) {
                    Ok(lease) => return Some(lease),
                    Err(Unusable::Busy) => busy += 1,
                    Err(Unusable::Dead) => {}
                },
            }
        }
    }

    /// Takes a slot of a shared connection that counts as in use, and as used once more; else lets go of it.
    fn reserve(&self, held: Arc<Held<S>>) -> Result<Lease<S>, Unusable> {
        if held.reserve() {
            return Ok(Lease::shared(held, true));
        }
        self.shard(&held.place.key).counts.reused -= 1;
        let open = held.session.state() == SessionState::Open;
        held.unuse();
        if open {
            return Err(Unusable::Busy);
        }
        self.remove(&held, Closed::Dead);
        Err(Unusable::Dead)
    }

    /// Decides what becomes of a connection whose request has ended: kept, handed to who waits, or closed.
    fn give_back(self: &Arc<Self>, held: Arc<Held<S>>) {
        let open = held.session.state() == SessionState::Open;
        let now = Instant::now();
        if held.shared {
            // While it counts as in use, nobody takes it for idle.
            let kept = open && !held.is_old(now) && self.insert(Arc::clone(&held), now);
            held.unuse();
            match (open, kept) {
                (true, true) => self.kept(&held.place.key, true),
                (true, false) => self.remove(&held, Closed::Age),
                (false, _) => self.remove(&held, Closed::Used),
            }
        } else if !open || held.session.slots().free == 0 {
            Held::close(held, Closed::Used);
        } else if held.is_old(now) {
            Held::close(held, Closed::Age);
        } else {
            held.unuse();
            let key = Arc::clone(&held.place.key);
            if self.insert(held, now) {
                self.kept(&key, false);
            }
        }
    }

    /// Does what follows from there being one more connection that can be used.
    fn kept(self: &Arc<Self>, key: &Arc<Key>, shared: bool) {
        if shared {
            self.serve_queue_of_shared(key);
            // It may be too much now that it is not in use any more.
            let surplus = self.shard(key).surplus(key, self.config.max_idle_per_key);
            self.let_go(surplus);
        }
        while self.idle.load(SeqCst) > self.config.max_idle && self.close_oldest() {}
        self.make_room();
        self.reaper.kept(self);
    }

    /// Puts a connection among those that are kept, as one used just now, or hands it to the first who waits for it. Says
    /// whether it is kept: a shared one that was let go of stays out.
    fn insert(&self, held: Arc<Held<S>>, now: Instant) -> bool {
        let key = Arc::clone(&held.place.key);
        let mut shard = self.shard(&key);
        if held.shared {
            if held.is_retired() {
                return false;
            }
            if shard.touch(&held, self.next_number(), now) {
                drop(shard);
                return true;
            }
        } else if self.is_turn_of_claim(&mut shard, &key) {
            drop(shard);
            // Its place goes to the claim.
            Held::close(held, Closed::Limit);
            return false;
        } else if let Some(cell) = self.pop_first(&mut shard, &key) {
            shard.counts.reused += 1;
            let waker = cell.hand(Lease::new(held));
            drop(shard);
            waker.wake();
            return false;
        }
        self.idle.fetch_add(1, SeqCst);
        let count = shard.push(held, self.next_number(), now);
        let limit = self.config.max_idle_per_key;
        let surplus = if count > limit { shard.surplus(&key, limit) } else { None };
        drop(shard);
        self.let_go(surplus);
        true
    }

    /// Closes a connection that was taken out because there are too many.
    fn let_go(&self, surplus: Option<Arc<Held<S>>>) {
        if let Some(held) = surplus {
            self.idle.fetch_sub(1, SeqCst);
            Held::close(held, Closed::Limit);
        }
    }

    /// Closes the connection that was kept longest and is not in use, of whatever key. Says whether there was one.
    fn close_oldest(&self) -> bool {
        let oldest = |shard: &Mutex<Shard<S>>| lock(shard).oldest(&self.numbers);
        loop {
            let numbered = self.shards.iter().filter_map(|shard| Some((oldest(shard)?, shard)));
            let Some((_, shard)) = numbered.min_by_key(|(number, _)| *number) else { return false };
            let gone = lock(shard).take_oldest(&self.numbers);
            // If it was the only one there and another call was faster, the other shards may still have some.
            if gone.is_some() {
                self.let_go(gone);
                return true;
            }
        }
    }

    /// Lets go of a connection, if it is kept. One that is shared finishes what is under way.
    fn remove(&self, held: &Arc<Held<S>>, why: Closed) {
        held.retire();
        let gone = self.shard(&held.place.key).remove(held);
        if let Some(gone) = gone {
            self.idle.fetch_sub(1, SeqCst);
            Held::close(gone, why);
        }
    }

    /// Drains and lets go of all that is kept.
    pub(crate) fn close_idle(&self) -> usize {
        let mut count = 0;
        for shard in &self.shards {
            let all = lock(shard).drain();
            self.idle.fetch_sub(all.len(), SeqCst);
            count += all.len();
            for held in all {
                Held::close(held, Closed::Asked);
            }
        }
        count
    }

    /// How many connections are kept.
    pub(crate) fn idle(&self) -> usize {
        self.idle.load(SeqCst)
    }

    pub(crate) fn stats(&self) -> PoolStats {
        let mut stats = PoolStats {
            open: self.open.load(SeqCst),
            idle: self.idle.load(SeqCst),
            waiting: self.waiting.load(SeqCst),
            ..PoolStats::default()
        };
        for shard in &self.shards {
            lock(shard).counts.add_to(&mut stats);
        }
        stats
    }

    /// How long a new connection may be used: the limit, a tenth more or less.
    fn lifetime(&self) -> Option<Duration> {
        let limit = self.config.max_age?;
        // SplitMix64 (Steele, Lea, Flood 2014): one word of state, so that it needs no lock.
        const GAMMA: u64 = 0x9e37_79b9_7f4a_7c15;
        let mut z = self.jitter.fetch_add(GAMMA, Relaxed).wrapping_add(GAMMA);
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^= z >> 31;
        // 53 bits are what a float holds exactly.
        let unit = (z >> 11) as f64 / (1_u64 << 53) as f64;
        let share = f64::from(ClientConfig::MAX_AGE_JITTER_PERCENT) / 100.0;
        Some(Duration::try_from_secs_f64(limit.as_secs_f64() * (1.0 + share * (2.0 * unit - 1.0))).unwrap_or(limit))
    }

    fn next_number(&self) -> u64 {
        self.numbers.fetch_add(1, Relaxed)
    }

    fn shard(&self, key: &Key) -> MutexGuard<'_, Shard<S>> {
        lock(&self.shards[key.shard(SHARDS)])
    }
}

impl<S: Session<Request>> Drop for Pool<S> {
    fn drop(&mut self) {
        self.reaper.stop();
    }
}

/// What [`Shard::candidate`] found.
enum Candidate<S: Session<Request>> {
    /// Not to be used any more, and taken out.
    Gone(Arc<Held<S>>, Closed),
    /// Taken out.
    Exclusive(Arc<Held<S>>),
    /// Still there, and counted as in use.
    Shared(Arc<Held<S>>),
}

/// Why a shared connection takes no request now.
enum Unusable {
    Busy,
    Dead,
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    // Nothing panics between two changes that belong together, so what was poisoned is whole.
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
