//! Whose password is verified next.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use chaski_core::Caller;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

pub(super) const MAX_PLACES: usize = 1024;
pub(super) const MAX_PLACES_OF_ONE: usize = 256;

/// A bounded number of verifications run at a time, and a bounded number wait.
///
/// No caller has more of them in the common queue than can run at once: the others wait in a queue of the caller's own. So
/// the callers take turns, and somebody who guesses as fast as the network allows delays another by little more than one
/// verification.
#[derive(Debug)]
pub(super) struct Turns {
    at_once: usize,
    slots: Arc<Semaphore>,
    places: Arc<Mutex<Places>>,
}

/// Too many wait already.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Busy;

/// Leave to verify. It may go to another thread; dropping it is the end of the turn.
#[derive(Debug)]
pub(super) struct Turn {
    _slot: OwnedSemaphorePermit,
    _share: OwnedSemaphorePermit,
    _place: Place,
}

impl Turns {
    pub(super) fn new(at_once: usize) -> Self {
        Self { at_once, slots: Arc::new(Semaphore::new(at_once)), places: Arc::default() }
    }

    pub(super) fn at_once(&self) -> usize {
        self.at_once
    }

    /// Waits for a turn. Dropping the future gives the place in the queue up.
    pub(super) async fn take(&self, caller: Caller) -> Result<Turn, Busy> {
        let (place, share) = Place::take(&self.places, caller, self.at_once)?;
        // They fail only when they are closed, and nobody closes them.
        let share = share.acquire_owned().await.map_err(|_| Busy)?;
        let slot = Arc::clone(&self.slots).acquire_owned().await.map_err(|_| Busy)?;
        Ok(Turn { _slot: slot, _share: share, _place: place })
    }

    /// How many verifications wait or run, and for how many callers.
    #[cfg(test)]
    pub(super) fn under_way(&self) -> (usize, usize) {
        let places = lock(&self.places);
        (places.taken, places.callers.len())
    }
}

/// Who waits or has a turn.
#[derive(Debug, Default)]
struct Places {
    taken: usize,
    callers: HashMap<Caller, Share>,
}

#[derive(Debug)]
struct Share {
    taken: usize,
    slots: Arc<Semaphore>,
}

/// One of the [`Places`], given back on drop.
#[derive(Debug)]
struct Place {
    places: Arc<Mutex<Places>>,
    caller: Caller,
}

impl Place {
    fn take(places: &Arc<Mutex<Places>>, caller: Caller, at_once: usize) -> Result<(Self, Arc<Semaphore>), Busy> {
        let mut all = lock(places);
        if all.taken == MAX_PLACES {
            return Err(Busy);
        }
        let new = || Share { taken: 0, slots: Arc::new(Semaphore::new(at_once)) };
        let share = all.callers.entry(caller.clone()).or_insert_with(new);
        if share.taken == MAX_PLACES_OF_ONE {
            return Err(Busy);
        }
        share.taken += 1;
        let slots = Arc::clone(&share.slots);
        all.taken += 1;
        Ok((Self { places: Arc::clone(places), caller }, slots))
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut all = lock(&self.places);
        all.taken -= 1;
        if let Some(share) = all.callers.get_mut(&self.caller) {
            share.taken -= 1;
            if share.taken == 0 {
                all.callers.remove(&self.caller);
            }
        }
    }
}

fn lock(places: &Mutex<Places>) -> MutexGuard<'_, Places> {
    // Nothing panics while the lock is held.
    places.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use std::{future::Future, net::IpAddr, pin::Pin, time::Duration};

    use tokio::time::timeout;

    use super::*;

    type Taking<'a> = Pin<Box<dyn Future<Output = Result<Turn, Busy>> + 'a>>;

    fn caller(n: u8) -> Caller {
        Caller::Address(IpAddr::from([10, 0, 0, n]))
    }

    /// Polled until it waits.
    async fn waiting(turns: &Turns, n: u8) -> Taking<'_> {
        let mut taking: Taking<'_> = Box::pin(turns.take(caller(n)));
        assert!(is_waiting(&mut taking).await);
        taking
    }

    async fn is_waiting(taking: &mut Taking<'_>) -> bool {
        timeout(Duration::ZERO, taking).await.is_err()
    }

    #[tokio::test(start_paused = true)]
    async fn callers_take_turns_however_many_wait_for_one() {
        let turns = Turns::new(1);
        let first = turns.take(caller(3)).await.unwrap();
        let mut greedy = Vec::new();
        for _ in 0..20 {
            greedy.push(waiting(&turns, 1).await);
        }
        let modest = waiting(&turns, 2).await;
        drop(first);
        // The one that is next already goes ahead of it, and none of the others.
        drop(timeout(Duration::ZERO, greedy.remove(0)).await.unwrap().unwrap());
        let turn = timeout(Duration::ZERO, modest).await.unwrap().unwrap();
        assert!(is_waiting(&mut greedy[0]).await);
        drop(turn);
        for taking in greedy {
            drop(taking.await.unwrap());
        }
        assert_eq!(turns.under_way(), (0, 0));
    }

    #[tokio::test(start_paused = true)]
    async fn one_caller_may_use_all_slots_when_nobody_else_does() {
        let turns = Turns::new(3);
        let mut held = Vec::new();
        for _ in 0..3 {
            held.push(timeout(Duration::ZERO, turns.take(caller(1))).await.unwrap().unwrap());
        }
        let _fourth = waiting(&turns, 1).await;
    }

    #[tokio::test(start_paused = true)]
    async fn places_are_bounded_for_each_and_for_all() {
        // No slots: all wait.
        let turns = Turns::new(0);
        let mut held = Vec::new();
        for n in 1..=4 {
            for _ in 0..256 {
                held.push(waiting(&turns, n).await);
            }
            assert_eq!(turns.take(caller(n)).await.unwrap_err(), Busy, "of caller {n}");
        }
        assert_eq!(turns.take(caller(5)).await.unwrap_err(), Busy, "of all");
        assert_eq!(turns.under_way(), (1024, 4), "a refused caller is not remembered");
        held.pop();
        let _place = waiting(&turns, 5).await;
    }

    #[tokio::test(start_paused = true)]
    async fn ten_thousand_that_are_dropped_leave_nothing() {
        let turns = Turns::new(1);
        for round in 0..100_u8 {
            let turn = turns.take(caller(0)).await.unwrap();
            let mut taken = Vec::new();
            for n in 0..100 {
                taken.push(waiting(&turns, n % 7).await);
            }
            // Some are dropped while they wait, some with the turn in hand.
            if round % 2 == 0 {
                drop(turn);
            }
            drop(taken);
        }
        assert_eq!(turns.under_way(), (0, 0));
        assert_eq!(turns.slots.available_permits(), 1);
    }
}
