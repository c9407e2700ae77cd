//! The one background task of a client: it closes connections that nobody uses.

use std::{
    future::{Future, poll_fn},
    pin::pin,
    sync::{
        Arc, Weak,
        atomic::{AtomicBool, Ordering::SeqCst},
    },
    task::Poll,
    time::Duration,
};

use chaski_core::{Session, SessionState, http::Request};
use tokio::{
    runtime::Handle,
    sync::Notify,
    time::{Instant, sleep_until},
};

use super::{Pool, held::Held, lock, watch::Watches};
use crate::stats::Closed;

/// How long after a connection was kept it is looked at, at the latest. In busy times most of them are in use again by
/// then, and cost no watch.
const LOOK_AFTER: Duration = Duration::from_secs(1);

/// What the pool and its task tell each other.
#[derive(Default)]
pub(super) struct Reaper {
    running: AtomicBool,
    /// A connection was kept since the task last looked, and the task knows.
    fresh: AtomicBool,
    bell: Notify,
}

impl Reaper {
    /// Notes that a connection is kept: starts the task, or sees to it that it looks soon.
    pub(super) fn kept<S: Session<Request>>(self: &Arc<Self>, pool: &Arc<Pool<S>>) {
        if !self.running.load(SeqCst) {
            self.start(pool);
        }
        if !self.fresh.load(SeqCst) && !self.fresh.swap(true, SeqCst) {
            self.bell.notify_one();
        }
    }

    /// Without a runtime there is no task: what has expired goes when it is asked for.
    fn start<S: Session<Request>>(self: &Arc<Self>, pool: &Arc<Pool<S>>) {
        let Ok(runtime) = Handle::try_current() else { return };
        if !self.running.swap(true, SeqCst) {
            let ended = Ended(Arc::clone(self));
            runtime.spawn(reap(Arc::downgrade(pool), ended));
        }
    }

    /// Ends the task, once the pool is gone.
    pub(super) fn stop(&self) {
        self.bell.notify_one();
    }
}

/// Dropped with the task, also when its runtime ends before the client does.
struct Ended(Arc<Reaper>);

impl Drop for Ended {
    fn drop(&mut self) {
        // A task that panicked, for want of a timer perhaps, would do so again.
        if !std::thread::panicking() {
            self.0.fresh.store(false, SeqCst);
            self.0.running.store(false, SeqCst);
        }
    }
}

/// Runs as long as there is a pool that keeps anything.
async fn reap<S: Session<Request>>(pool: Weak<Pool<S>>, task: Ended) {
    let mut watches = Watches::default();
    let mut look_at = None;
    let mut expiry = None;
    loop {
        let event = {
            let due: Option<Instant> = [look_at, expiry].into_iter().flatten().min();
            let mut bell = pin!(task.0.bell.notified());
            let mut timer = pin!(due.map(sleep_until));
            poll_fn(|cx| {
                if bell.as_mut().poll(cx).is_ready() {
                    return Poll::Ready(Event::Kept);
                }
                if let Some(timer) = timer.as_mut().as_pin_mut()
                    && timer.poll(cx).is_ready()
                {
                    return Poll::Ready(Event::Due);
                }
                watches.poll_next(cx).map(Event::Changed)
            })
            .await
        };
        let Some(pool) = pool.upgrade() else { return };
        // While all connections are in use between one moment and the next, a task for each of these moments would cost more than
        // the calls do: one that was told of a connection ends when it looks, at the earliest.
        let ends = !matches!(event, Event::Kept);
        let look_soon = || Instant::now().checked_add(LOOK_AFTER.min(pool.config.idle_timeout));
        match event {
            Event::Kept => look_at = look_at.or_else(look_soon),
            Event::Changed(held) => {
                if pool.changed(held) {
                    // It was used, or is: when it is idle again, it is watched again.
                    look_at = look_at.or_else(look_soon);
                }
            }
            Event::Due => {
                look_at = None;
                task.0.fresh.store(false, SeqCst);
                expiry = pool.sweep(&mut watches);
            }
        }
        if ends && pool.idle() == 0 {
            // First, so that what is in use now is known to be watched no more when another task begins.
            drop(watches);
            drop(task);
            // One that was kept meanwhile saw a task that ran.
            if pool.idle() > 0 {
                pool.reaper.kept(&pool);
            }
            return;
        }
    }
}

enum Event<S: Session<Request>> {
    Kept,
    Due,
    /// A watched connection has changed, or is gone.
    Changed(Weak<Held<S>>),
}

impl<S: Session<Request>> Pool<S> {
    /// Closes what has expired, watches what is kept, and says when the next one expires.
    fn sweep(&self, watches: &mut Watches<S>) -> Option<Instant> {
        let now = Instant::now();
        let mut expiry: Option<Instant> = None;
        for shard in &self.shards {
            let mut unwatched = Vec::new();
            let gone = lock(shard).sweep(now, self.config.idle_timeout, |held, expires| {
                expiry = expiry.into_iter().chain(expires).min();
                if !held.watched.load(SeqCst) {
                    unwatched.push(Arc::clone(held));
                }
            });
            self.idle.fetch_sub(gone.len(), SeqCst);
            for (held, why) in gone {
                Held::close(held, why);
            }
            for held in unwatched {
                held.watched.store(true, SeqCst);
                watches.add(held.session.changed(), Arc::downgrade(&held));
                // What has changed before it was watched is not told.
                self.close_if_dead(&held);
            }
        }
        expiry
    }

    /// A watched connection has changed. Says whether it goes on.
    fn changed(self: &Arc<Self>, held: Weak<Held<S>>) -> bool {
        let Some(held) = held.upgrade() else { return false };
        if self.close_if_dead(&held) {
            return false;
        }
        if held.shared {
            // Its peer may allow more requests.
            self.serve_queue_of_shared(&held.place.key);
        }
        true
    }

    /// Lets go of a kept connection that is not open any more: its peer has closed it, or sent what nobody asked for.
    fn close_if_dead(&self, held: &Arc<Held<S>>) -> bool {
        let dead = held.session.state() != SessionState::Open;
        if dead {
            self.remove(held, Closed::Dead);
        }
        dead
    }
}
