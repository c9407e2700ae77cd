//! The connections that are kept.

use std::{
    collections::{BTreeMap, HashMap},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use chaski_core::{
    Session, SessionState,
    http::{Body, Request},
};
use tokio::time::Instant;

use crate::{ClientConfig, target::Key};

/// How many expired connections are let go each time one is kept.
const SWEEP: usize = 4;

/// A connection and the key it was made for.
#[derive(Debug)]
pub(crate) struct Held<S> {
    pub(crate) key: Key,
    pub(crate) session: S,
}

/// Idle connections by key.
///
/// An exclusive session is taken out when it is used and put in again afterwards; one that is shared stays. Neither is a
/// session asked anything nor is one dropped while the lock is held: both may reach a socket, and what a session holds
/// (a request body that is the response body of another call) may come back here when it is dropped.
#[derive(Debug)]
pub(crate) struct Pool<S> {
    idle: Mutex<Idle<S>>,
    config: ClientConfig,
}

#[derive(Debug)]
struct Idle<S> {
    by_key: HashMap<Key, Vec<Entry<S>>>,
    /// The key of each entry, by its number: the first was kept longest ago.
    by_age: BTreeMap<u64, Key>,
    next: u64,
}

#[derive(Debug)]
struct Entry<S> {
    number: u64,
    since: Instant,
    shared: bool,
    held: Arc<Held<S>>,
}

/// What [`Idle::candidate`] found.
enum Candidate<S> {
    Expired(Arc<Held<S>>),
    Exclusive(Arc<Held<S>>),
    Shared(Arc<Held<S>>),
}

impl<S: Session<Request<Body>>> Pool<S> {
    pub(crate) fn new(config: ClientConfig) -> Self {
        Self { idle: Mutex::new(Idle { by_key: HashMap::new(), by_age: BTreeMap::new(), next: 0 }), config }
    }

    pub(crate) fn config(&self) -> &ClientConfig {
        &self.config
    }

    /// Takes a connection that is alive and has a free slot, the one used last first: it is the likeliest to live.
    pub(crate) fn take(&self, key: &Key) -> Option<Arc<Held<S>>> {
        let mut busy = 0;
        loop {
            // The lock is let go at the end of this statement.
            let candidate = self.lock().candidate(key, busy, &self.config)?;
            match candidate {
                Candidate::Expired(held) => drop(held),
                Candidate::Exclusive(held) if has_free_slot(&held.session) => return Some(held),
                Candidate::Exclusive(gone) => drop(gone),
                Candidate::Shared(held) if has_free_slot(&held.session) => return Some(held),
                Candidate::Shared(held) if held.session.state() == SessionState::Open => busy += 1,
                Candidate::Shared(gone) => self.forget(&gone),
            }
        }
    }

    /// Keeps a connection if it is open with a free slot, as one used just now; lets go of it otherwise.
    pub(crate) fn give_back(&self, held: Arc<Held<S>>) {
        if !has_free_slot(&held.session) {
            // A shared session may only be busy for the moment: then it stays where it is.
            if held.session.state() != SessionState::Open {
                self.forget(&held);
            }
            return;
        }
        self.keep(held);
    }

    /// Keeps a connection, and lets go of those that are too many or too old.
    pub(crate) fn keep(&self, held: Arc<Held<S>>) {
        let shared = held.session.slots().shared;
        let mut gone = Vec::new();
        let mut idle = self.lock();
        let earlier = if shared { idle.number_of(&held) } else { None };
        gone.extend(earlier.and_then(|number| idle.remove(number)));
        let now = Instant::now();
        let first = idle.push(held, shared, now, self.config.max_idle_per_key);
        gone.extend(first.and_then(|number| idle.remove(number)));
        while idle.by_age.len() > self.config.max_idle {
            let Some((&oldest, _)) = idle.by_age.first_key_value() else { break };
            gone.extend(idle.remove(oldest));
        }
        for _ in 0..SWEEP {
            let Some(oldest) = idle.expired(now, &self.config) else { break };
            gone.extend(idle.remove(oldest));
        }
        drop(idle);
        drop(gone);
    }

    /// Lets go of a shared connection that takes no more requests.
    fn forget(&self, held: &Arc<Held<S>>) {
        let mut idle = self.lock();
        let number = idle.number_of(held);
        let gone = number.and_then(|number| idle.remove(number));
        drop(idle);
        drop(gone);
    }

    /// Drains and lets go of all that is kept.
    pub(crate) fn close_idle(&self) -> usize {
        let mut idle = self.lock();
        idle.by_age.clear();
        let all: Vec<Entry<S>> = std::mem::take(&mut idle.by_key).into_values().flatten().collect();
        drop(idle);
        for entry in &all {
            entry.held.session.drain();
        }
        all.len()
    }

    /// How many connections are kept.
    pub(crate) fn len(&self) -> usize {
        self.lock().by_age.len()
    }

    fn lock(&self) -> MutexGuard<'_, Idle<S>> {
        // Nothing panics between two changes that belong together, so a poisoned pool is a whole one.
        self.idle.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<S> Idle<S> {
    /// The entry of `key` used last, but for `busy` newer ones; taken out unless it is shared and fresh.
    fn candidate(&mut self, key: &Key, busy: usize, config: &ClientConfig) -> Option<Candidate<S>> {
        let list = self.by_key.get(key)?;
        let entry = list.get(list.len().checked_sub(1 + busy)?)?;
        let expired = entry.is_expired(Instant::now(), config);
        if entry.shared && !expired {
            return Some(Candidate::Shared(Arc::clone(&entry.held)));
        }
        let number = entry.number;
        let held = self.remove(number)?.held;
        Some(if expired { Candidate::Expired(held) } else { Candidate::Exclusive(held) })
    }

    /// Adds an entry. Gives the number of the oldest of its key if there are more than `limit` now.
    fn push(&mut self, held: Arc<Held<S>>, shared: bool, since: Instant, limit: usize) -> Option<u64> {
        let number = self.next;
        self.next += 1;
        self.by_age.insert(number, held.key.clone());
        let list = self.by_key.entry(held.key.clone()).or_default();
        list.push(Entry { number, since, shared, held });
        if list.len() > limit { list.first().map(|entry| entry.number) } else { None }
    }

    fn remove(&mut self, number: u64) -> Option<Entry<S>> {
        let key = self.by_age.remove(&number)?;
        let list = self.by_key.get_mut(&key)?;
        let at = list.iter().position(|entry| entry.number == number)?;
        let entry = list.remove(at);
        if list.is_empty() {
            self.by_key.remove(&key);
        }
        Some(entry)
    }

    fn number_of(&self, held: &Arc<Held<S>>) -> Option<u64> {
        let list = self.by_key.get(&held.key)?;
        list.iter().find(|entry| Arc::ptr_eq(&entry.held, held)).map(|entry| entry.number)
    }

    /// The oldest entry, if it has expired. A shared one in use at its head hides those behind it until it is used
    /// again, which a sweep of a few can afford.
    fn expired(&self, now: Instant, config: &ClientConfig) -> Option<u64> {
        let (number, key) = self.by_age.first_key_value()?;
        let entry = self.by_key.get(key)?.iter().find(|entry| entry.number == *number)?;
        entry.is_expired(now, config).then_some(*number)
    }
}

impl<S> Entry<S> {
    fn is_expired(&self, now: Instant, config: &ClientConfig) -> bool {
        // A shared session under a request that takes long is not idle: whoever uses it holds it too.
        let in_use = self.shared && Arc::strong_count(&self.held) > 1;
        !in_use && now.saturating_duration_since(self.since) >= config.idle_timeout
    }
}

fn has_free_slot<S: Session<Request<Body>>>(session: &S) -> bool {
    session.state() == SessionState::Open && session.slots().free > 0
}
