//! A part of the keys: their connections, in the order in which they were kept, and their waiters.

use std::{
    collections::{BTreeMap, HashMap, VecDeque},
    hash::{BuildHasherDefault, Hasher},
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
    time::Duration,
};

use chaski_core::{Session, http::Request};
use tokio::time::Instant;

use super::{Candidate, held::Held, wait::Cell};
use crate::{
    ClientConfig,
    stats::{Closed, Counts},
    target::Key,
};

/// How many entries of connections that are gone `order` may have beyond as many as there are connections.
const SLACK: usize = 32;

pub(super) struct Shard<S: Session<Request>> {
    keys: HashMap<Arc<Key>, Entry<S>, BuildHasherDefault<KeyHasher>>,
    /// The number and key of each kept connection, the one kept longest first. One that is taken out of `keys` leaves its
    /// entry here until that is passed or there are too many of them: so taking is not a search.
    order: VecDeque<(u64, Arc<Key>)>,
    kept: usize,
    pub(super) counts: Counts,
}

/// One key. It is there as long as a place is taken or somebody waits.
pub(super) struct Entry<S: Session<Request>> {
    /// By number, the one kept longest first.
    kept: VecDeque<Kept<S>>,
    /// Places that are taken.
    pub(super) open: usize,
    /// How many of them are dials.
    pub(super) dials: usize,
    /// Whether the next session will probably be shared, as the last one was.
    pub(super) shared: bool,
    /// The number of the waiter that stands among the claims.
    pub(super) claim: Option<u64>,
    /// Calls that have a dial, and take a connection that comes first.
    pub(super) dialing: BTreeMap<u64, Arc<Cell<S>>>,
    /// Calls that have none.
    pub(super) waiting: BTreeMap<u64, Arc<Cell<S>>>,
}

struct Kept<S: Session<Request>> {
    number: u64,
    since: Instant,
    held: Arc<Held<S>>,
}

impl<S: Session<Request>> Shard<S> {
    /// The entry of a key, made when there is none.
    pub(super) fn entry(&mut self, key: &Arc<Key>, config: &ClientConfig) -> &mut Entry<S> {
        self.keys.entry(Arc::clone(key)).or_insert_with(|| Entry {
            kept: VecDeque::new(),
            open: 0,
            dials: 0,
            shared: config.shared_sessions.unwrap_or_else(|| key.expects_shared()),
            claim: None,
            dialing: BTreeMap::new(),
            waiting: BTreeMap::new(),
        })
    }

    pub(super) fn existing(&mut self, key: &Key) -> Option<&mut Entry<S>> {
        self.keys.get_mut(key)
    }

    /// Forgets a key that nothing is known about.
    pub(super) fn forget_if_empty(&mut self, key: &Key) {
        let empty = |entry: &Entry<S>| entry.open == 0 && entry.kept.is_empty() && !entry.has_queue();
        if self.keys.get(key).is_some_and(empty) {
            self.keys.remove(key);
        }
    }

    /// The connection of `key` used last, but for `busy` newer ones; taken out unless it is shared and fresh.
    pub(super) fn candidate(
        &mut self,
        key: &Key,
        busy: usize,
        now: Instant,
        config: &ClientConfig,
    ) -> Option<Candidate<S>> {
        let list = &mut self.keys.get_mut(key)?.kept;
        let at = list.len().checked_sub(1 + busy)?;
        let kept = list.get(at)?;
        let expired = kept.expired(now, config.idle_timeout);
        if kept.held.shared && expired.is_none() {
            kept.held.use_once();
            self.counts.reused += 1;
            return Some(Candidate::Shared(Arc::clone(&kept.held)));
        }
        let held = list.remove(at)?.held;
        self.kept -= 1;
        if let Some(why) = expired {
            held.retire();
            return Some(Candidate::Gone(held, why));
        }
        self.counts.reused += 1;
        Some(Candidate::Exclusive(held))
    }

    /// Counts a use of a shared connection, if it is kept and fresh and nobody waits for one of its key.
    pub(super) fn use_kept(&mut self, held: &Arc<Held<S>>, now: Instant, config: &ClientConfig) -> bool {
        let Some(entry) = self.keys.get_mut(&held.place.key).filter(|entry| !entry.is_waited_for()) else {
            return false;
        };
        let kept = entry.kept.iter().find(|kept| Arc::ptr_eq(&kept.held, held));
        if kept.is_none_or(|kept| kept.expired(now, config.idle_timeout).is_some()) {
            return false;
        }
        held.use_once();
        self.counts.reused += 1;
        true
    }

    /// Adds a connection, and says how many there are of its key now. That has an entry, since its place is taken.
    pub(super) fn push(&mut self, held: Arc<Held<S>>, number: u64, since: Instant) -> usize {
        let key = Arc::clone(&held.place.key);
        let Some(entry) = self.keys.get_mut(&key) else { return 0 };
        entry.kept.push_back(Kept { number, since, held });
        let count = entry.kept.len();
        self.kept += 1;
        self.order.push_back((number, key));
        self.compact();
        count
    }

    /// Takes out the connection of `key` that was kept longest and is not in use, if there are more than `limit`.
    pub(super) fn surplus(&mut self, key: &Key, limit: usize) -> Option<Arc<Held<S>>> {
        let list = &mut self.keys.get_mut(key)?.kept;
        if list.len() <= limit {
            return None;
        }
        let at = list.iter().position(|kept| !kept.held.in_use())?;
        let gone = list.remove(at)?.held;
        self.kept -= 1;
        gone.retire();
        Some(gone)
    }

    /// Notes that a connection which is kept was used just now. Says whether it is kept.
    pub(super) fn touch(&mut self, held: &Arc<Held<S>>, number: u64, since: Instant) -> bool {
        let Some(kept) = self.remove(held) else { return false };
        self.push(kept, number, since);
        true
    }

    pub(super) fn remove(&mut self, held: &Arc<Held<S>>) -> Option<Arc<Held<S>>> {
        let list = &mut self.keys.get_mut(&held.place.key)?.kept;
        let at = list.iter().position(|kept| Arc::ptr_eq(&kept.held, held))?;
        self.kept -= 1;
        Some(list.remove(at)?.held)
    }

    /// The number of the connection kept longest. One in use is used just now, and so goes to the end.
    pub(super) fn oldest(&mut self, numbers: &AtomicU64) -> Option<u64> {
        for _ in 0..self.order.len() {
            let (number, key) = self.order.front()?;
            let (number, key) = (*number, Arc::clone(key));
            let list = self.keys.get_mut(&key).map(|entry| &mut entry.kept);
            // What was kept longest of its key stands at the front there: it is that, or gone.
            match list.filter(|list| list.front().is_some_and(|kept| kept.number == number)) {
                Some(list) if list.front().is_some_and(|kept| kept.held.in_use()) => {
                    let next = numbers.fetch_add(1, Relaxed);
                    if let Some(kept) = list.pop_front() {
                        list.push_back(Kept { number: next, ..kept });
                    }
                    self.order.pop_front();
                    self.order.push_back((next, key));
                }
                Some(_) => return Some(number),
                None => drop(self.order.pop_front()),
            }
        }
        None
    }

    pub(super) fn take_oldest(&mut self, numbers: &AtomicU64) -> Option<Arc<Held<S>>> {
        self.oldest(numbers)?;
        let (_, key) = self.order.pop_front()?;
        let kept = self.keys.get_mut(&key)?.kept.pop_front()?;
        self.kept -= 1;
        kept.held.retire();
        Some(kept.held)
    }

    /// All that are kept, taken out.
    pub(super) fn drain(&mut self) -> Vec<Arc<Held<S>>> {
        self.order.clear();
        self.kept = 0;
        let all: Vec<_> = self.keys.values_mut().flat_map(|entry| entry.kept.drain(..)).map(|kept| kept.held).collect();
        // Before the lock is let go, so that a shared one whose request ends now does not come back.
        all.iter().for_each(|held| held.retire());
        all
    }

    /// Takes out what has expired, and tells the rest to `each`, with the time at which it will have.
    pub(super) fn sweep(
        &mut self,
        now: Instant,
        idle: Duration,
        mut each: impl FnMut(&Arc<Held<S>>, Option<Instant>),
    ) -> Vec<(Arc<Held<S>>, Closed)> {
        let mut gone = Vec::new();
        for entry in self.keys.values_mut() {
            entry.kept.retain(|kept| {
                if let Some(why) = kept.expired(now, idle) {
                    kept.held.retire();
                    gone.push((Arc::clone(&kept.held), why));
                    return false;
                }
                each(&kept.held, kept.expires(idle));
                true
            });
        }
        self.kept -= gone.len();
        gone
    }

    fn compact(&mut self) {
        if self.order.len() <= 2 * self.kept + SLACK {
            return;
        }
        let Self { order, keys, .. } = self;
        order.retain(|(number, key)| {
            keys.get(key).is_some_and(|entry| entry.kept.binary_search_by_key(number, |kept| kept.number).is_ok())
        });
    }
}

impl<S: Session<Request>> Default for Shard<S> {
    fn default() -> Self {
        Self { keys: HashMap::default(), order: VecDeque::new(), kept: 0, counts: Counts::default() }
    }
}

impl<S: Session<Request>> Kept<S> {
    fn expired(&self, now: Instant, idle: Duration) -> Option<Closed> {
        if self.held.is_old(now) {
            return Some(Closed::Age);
        }
        // A shared session under a request that takes long is not idle.
        let idle = !self.held.in_use() && now.saturating_duration_since(self.since) >= idle;
        idle.then_some(Closed::Idle)
    }

    /// When it will have expired, if nothing happens until then.
    fn expires(&self, idle: Duration) -> Option<Instant> {
        // A limit that reaches beyond the clock's end is none.
        let idle = if self.held.in_use() { None } else { self.since.checked_add(idle) };
        match (idle, self.held.retire_at()) {
            (Some(idle), Some(age)) => Some(idle.min(age)),
            (idle, age) => idle.or(age),
        }
    }
}

impl<S: Session<Request>> Entry<S> {
    pub(super) fn has_queue(&self) -> bool {
        !self.dialing.is_empty() || !self.waiting.is_empty()
    }

    /// Whether a call waits that has no dial of its own.
    pub(super) fn is_waited_for(&self) -> bool {
        !self.waiting.is_empty()
    }

    /// The number of the first in the queue.
    pub(super) fn first(&self) -> Option<u64> {
        let firsts = [self.dialing.first_key_value(), self.waiting.first_key_value()];
        firsts.into_iter().flatten().map(|(number, _)| *number).min()
    }
}

/// A [`Key`] has its hash in it.
#[derive(Default)]
struct KeyHasher(u64);

impl Hasher for KeyHasher {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write_u64(&mut self, hash: u64) {
        self.0 = hash;
    }

    fn write(&mut self, _: &[u8]) {
        debug_assert!(false, "a key writes one word");
    }
}
