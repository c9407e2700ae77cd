//! A moment of a shutdown, and those who wait for it.
//!
//! Every connection waits for two of them for as long as it lives, so what counts here is memory: who waits has a waker in the
//! one list, and keeps its number.

use std::{
    future::Future,
    mem,
    pin::Pin,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    task::{Context, Poll, Waker},
};

use super::State;

/// Those who wait for one moment.
#[derive(Debug, Default)]
pub(super) struct Waiters(Mutex<Places>);

impl Waiters {
    /// Wakes them all. The phase has changed before, so nobody comes after.
    pub(super) fn wake(&self) {
        // Outside the lock: a waker may run foreign code, and one that is dropped frees its place.
        let places = mem::take(&mut *self.lock());
        places.wakers.into_iter().flatten().for_each(Waker::wake);
    }

    fn lock(&self) -> MutexGuard<'_, Places> {
        // Nothing panics while the lock is held.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Wakers at numbers that stay. Places that were left are taken again, the last one first.
#[derive(Debug, Default)]
struct Places {
    wakers: Vec<Option<Waker>>,
    free: Vec<usize>,
}

impl Places {
    fn take(&mut self, waker: Waker) -> usize {
        if let Some(number) = self.free.pop() {
            self.wakers[number] = Some(waker);
            return number;
        }
        self.wakers.push(Some(waker));
        self.wakers.len() - 1
    }

    /// Frees a place, or does nothing once all were woken.
    fn leave(&mut self, number: usize) -> Option<Waker> {
        let left = self.wakers.get_mut(number)?.take();
        self.free.push(number);
        left
    }
}

/// Completes when a shutdown reaches a moment: see [`ShutdownSignal`](crate::ShutdownSignal).
///
/// # Cancel safety
///
/// It may be dropped at any time, and polled again after it has completed.
#[derive(Debug)]
#[must_use = "futures do nothing unless polled"]
pub struct ShutdownMoment {
    state: Arc<State>,
    phase: u8,
    waits: Option<Waits>,
}

#[derive(Debug)]
struct Waits {
    number: usize,
    /// What is in the list at that number.
    waker: Waker,
}

impl ShutdownMoment {
    pub(super) fn new(state: Arc<State>, phase: u8) -> Self {
        Self { state, phase, waits: None }
    }

    /// Whether it has come.
    #[inline]
    #[must_use]
    pub fn has_come(&self) -> bool {
        self.state.has_reached(self.phase)
    }

    #[cold]
    fn wait(&mut self, waker: &Waker) -> Poll<()> {
        self.leave();
        // Before the lock, as cloning may run foreign code.
        let (waker, listed) = (waker.clone(), waker.clone());
        let state = Arc::clone(&self.state);
        let mut places = state.waiters(self.phase).lock();
        // Asked again under the lock: who wakes takes it after the phase has changed.
        if self.has_come() {
            return Poll::Ready(());
        }
        self.waits = Some(Waits { number: places.take(listed), waker });
        Poll::Pending
    }

    /// Frees the place in the list.
    fn leave(&mut self) {
        if let Some(Waits { number, .. }) = self.waits.take() {
            let left = self.state.waiters(self.phase).lock().leave(number);
            drop(left);
        }
    }
}

impl Future for ShutdownMoment {
    type Output = ();

    #[inline]
    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        if self.has_come() {
            return Poll::Ready(());
        }
        // The lock is taken once for each waker, not at every wake-up of a connection.
        match &self.waits {
            Some(waits) if waits.waker.will_wake(cx.waker()) => Poll::Pending,
            _ => self.wait(cx.waker()),
        }
    }
}

impl Drop for ShutdownMoment {
    fn drop(&mut self) {
        self.leave();
    }
}

#[cfg(test)]
mod tests {
    use std::{
        sync::atomic::{AtomicUsize, Ordering},
        task::Wake,
    };

    use crate::Shutdown;

    use super::*;

    #[derive(Default)]
    struct Count(AtomicUsize);

    impl Wake for Count {
        fn wake(self: Arc<Self>) {
            self.0.fetch_add(1, Ordering::Relaxed);
        }
    }

    fn poll(moment: &mut ShutdownMoment, count: &Arc<Count>) -> Poll<()> {
        let waker = Waker::from(Arc::clone(count));
        Pin::new(moment).poll(&mut Context::from_waker(&waker))
    }

    fn woken(count: &Count) -> usize {
        count.0.load(Ordering::Relaxed)
    }

    #[test]
    fn whoever_waits_is_woken_and_places_are_used_again() {
        let shutdown = Shutdown::new();
        let counts: [Arc<Count>; 4] = Default::default();
        let [mut first, mut second, mut third, mut late] = [(); 4].map(|()| shutdown.signal().draining());
        for (moment, count) in [(&mut first, &counts[0]), (&mut second, &counts[1]), (&mut third, &counts[2])] {
            assert!(poll(moment, count).is_pending());
        }
        drop(first);
        drop(third);
        assert!(poll(&mut late, &counts[3]).is_pending());
        assert!(poll(&mut second, &counts[1]).is_pending(), "asked twice");
        assert_eq!(shutdown.signal().state.draining.lock().wakers.len(), 3, "one was taken again");

        shutdown.begin();
        assert_eq!(counts.each_ref().map(|count| woken(count)), [0, 1, 0, 1]);
        assert!(poll(&mut second, &counts[1]).is_ready());
        assert!(poll(&mut late, &counts[3]).is_ready());
        assert!(poll(&mut shutdown.signal().cut(), &counts[0]).is_pending(), "the other moment is still to come");
    }

    #[test]
    fn the_last_waker_is_the_one_that_is_woken() {
        let shutdown = Shutdown::new();
        let (before, after) = (Arc::default(), Arc::default());
        let mut moment = shutdown.signal().cut();
        assert!(poll(&mut moment, &before).is_pending());
        assert!(poll(&mut moment, &after).is_pending());
        shutdown.cut();
        assert_eq!((woken(&before), woken(&after)), (0, 1));
    }

    #[test]
    fn what_every_connection_holds_twice_is_small() {
        assert!(size_of::<ShutdownMoment>() <= 40);
        assert_eq!(size_of::<Option<Waker>>(), 16);
    }
}
