//! Whose name is looked up next.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use chaski_core::Caller;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// So many callers have to keep all their places at once before others wait for them.
const SHARES: usize = 8;

/// A bounded number of look-ups in all, and for each caller an eighth of that: who asks for names whose servers are silent
/// waits in a queue of its own, in front of the common one.
#[derive(Debug)]
pub(super) struct Places {
    all: Arc<Semaphore>,
    in_all: usize,
    callers: Arc<Mutex<HashMap<Caller, Share>>>,
}

/// A caller's part, there while somebody waits for it or holds of it.
#[derive(Debug)]
struct Share {
    users: usize,
    places: Arc<Semaphore>,
}

/// Leave to look a name up; given back on drop, in whatever thread.
#[derive(Debug)]
pub(super) struct Place {
    _place: Option<OwnedSemaphorePermit>,
    _part: Option<OwnedSemaphorePermit>,
    _membership: Option<Membership>,
}

impl Places {
    pub(super) fn new(places: usize) -> Self {
        let in_all = places.clamp(1, Semaphore::MAX_PERMITS);
        Self { all: Arc::new(Semaphore::new(in_all)), in_all, callers: Arc::default() }
    }

    pub(super) fn in_all(&self) -> usize {
        self.in_all
    }

    pub(super) fn of_one(&self) -> usize {
        self.in_all.div_ceil(SHARES)
    }

    /// Waits for a place, first among those of the same caller. A program's own look-ups, for nobody, may take all.
    ///
    /// Cancel safe: dropping the future gives the place in the queue up.
    pub(super) async fn take(&self, caller: Caller) -> Place {
        // The semaphores are never closed.
        let (part, membership) = match caller {
            Caller::Unknown => (None, None),
            caller => {
                let (membership, places) = Membership::new(&self.callers, caller, self.of_one());
                (places.acquire_owned().await.ok(), Some(membership))
            }
        };
        Place { _place: Arc::clone(&self.all).acquire_owned().await.ok(), _part: part, _membership: membership }
    }

    #[cfg(test)]
    pub(super) fn callers(&self) -> usize {
        lock(&self.callers).len()
    }
}

/// Keeps a caller's share known.
#[derive(Debug)]
struct Membership {
    callers: Arc<Mutex<HashMap<Caller, Share>>>,
    caller: Caller,
}

impl Membership {
    fn new(callers: &Arc<Mutex<HashMap<Caller, Share>>>, caller: Caller, places: usize) -> (Self, Arc<Semaphore>) {
        let mut all = lock(callers);
        let new = || Share { users: 0, places: Arc::new(Semaphore::new(places)) };
        let share = all.entry(caller.clone()).or_insert_with(new);
        share.users += 1;
        (Self { callers: Arc::clone(callers), caller }, Arc::clone(&share.places))
    }
}

impl Drop for Membership {
    fn drop(&mut self) {
        let mut all = lock(&self.callers);
        if let Some(share) = all.get_mut(&self.caller) {
            share.users -= 1;
            if share.users == 0 {
                all.remove(&self.caller);
            }
        }
    }
}

fn lock(callers: &Mutex<HashMap<Caller, Share>>) -> MutexGuard<'_, HashMap<Caller, Share>> {
    // Nothing panics while the lock is held.
    callers.lock().unwrap_or_else(PoisonError::into_inner)
}
