//! Many sessions, watched by one task: each is polled only when it was the one that woke the task.

use std::{
    future::Future,
    pin::Pin,
    sync::{Arc, Mutex, Weak, atomic::Ordering::SeqCst},
    task::{Context, Poll, Wake, Waker},
};

use chaski_core::{Session, http::Request};

use super::{held::Held, lock};

type Changed = Pin<Box<dyn Future<Output = ()> + Send>>;

pub(super) struct Watches<S: Session<Request>> {
    slots: Vec<Option<Watch<S>>>,
    free: Vec<usize>,
    woken: Arc<Woken>,
    /// What was woken before this turn of the task, and is to be polled in it.
    batch: Vec<usize>,
}

struct Watch<S: Session<Request>> {
    changed: Changed,
    held: Weak<Held<S>>,
    waker: Waker,
}

/// The slots to be polled, and the task that does it.
#[derive(Default)]
struct Woken(Mutex<(Vec<usize>, Option<Waker>)>);

struct SlotWaker {
    slot: usize,
    woken: Arc<Woken>,
}

impl<S: Session<Request>> Watches<S> {
    /// Watches one more session.
    pub(super) fn add(&mut self, changed: impl Future<Output = ()> + Send + 'static, held: Weak<Held<S>>) {
        let slot = self.free.pop().unwrap_or_else(|| {
            self.slots.push(None);
            self.slots.len() - 1
        });
        let waker = Waker::from(Arc::new(SlotWaker { slot, woken: Arc::clone(&self.woken) }));
        // It has to be polled once, so that it knows whom to wake.
        waker.wake_by_ref();
        if let Some(place) = self.slots.get_mut(slot) {
            *place = Some(Watch { changed: Box::pin(changed), held, waker });
        }
    }

    /// The next session that has changed. Pending for ever when none is watched.
    ///
    /// Those that are woken while others are polled have to wait for the next turn: one that wakes itself would keep the
    /// task, and its thread, for ever.
    pub(super) fn poll_next(&mut self, cx: &mut Context<'_>) -> Poll<Weak<Held<S>>> {
        let mut in_last_batch = false;
        loop {
            let Some(slot) = self.batch.pop() else {
                if in_last_batch {
                    return Poll::Pending;
                }
                in_last_batch = true;
                let mut woken = lock(&self.woken.0);
                woken.1 = Some(cx.waker().clone());
                std::mem::swap(&mut woken.0, &mut self.batch);
                continue;
            };
            // A late wake-up may be for one that has ended: another one in its slot is polled for nothing.
            let Some(Some(watch)) = self.slots.get_mut(slot) else { continue };
            if watch.changed.as_mut().poll(&mut Context::from_waker(&watch.waker)).is_pending() {
                continue;
            }
            if let Some(ended) = self.slots.get_mut(slot).and_then(Option::take) {
                self.free.push(slot);
                return Poll::Ready(Weak::clone(&ended.held));
            }
        }
    }
}

impl<S: Session<Request>> Default for Watches<S> {
    fn default() -> Self {
        Self { slots: Vec::new(), free: Vec::new(), woken: Arc::default(), batch: Vec::new() }
    }
}

impl<S: Session<Request>> Drop for Watch<S> {
    /// Also when the task ends, with its runtime perhaps: the next one has to watch what this one did.
    fn drop(&mut self) {
        if let Some(held) = self.held.upgrade() {
            held.watched.store(false, SeqCst);
        }
    }
}

impl Wake for SlotWaker {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        let mut woken = lock(&self.woken.0);
        woken.0.push(self.slot);
        let task = woken.1.take();
        drop(woken);
        if let Some(task) = task {
            task.wake();
        }
    }
}
