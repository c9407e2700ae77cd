//! Graceful shutdown: announce, drain, then cut at a deadline.

use std::{
    future::{Future, poll_fn},
    pin::pin,
    sync::{
        Arc,
        atomic::{AtomicU8, AtomicUsize, Ordering},
    },
    task::{Poll, Waker},
    time::Duration,
};

use tokio_util::{
    sync::{CancellationToken, WaitForCancellationFutureOwned},
    task::{TaskTracker, task_tracker::TaskTrackerToken},
};

const RUNNING: u8 = 0;
const DRAINING: u8 = 1;
const CUT: u8 = 2;

/// The owner's end of a graceful shutdown.
///
/// Two moments: *draining* (listeners stop accepting, idle connections close, busy ones announce and finish what they are
/// doing) and *cut* (what is left is dropped). Connections know of them through a [`ShutdownSignal`], which may travel as a
/// fact; each connection's task holds a [`ShutdownGuard`], which is what draining waits for.
///
/// ```
/// use chaski_core::Shutdown;
/// use std::time::Duration;
///
/// # async fn example() {
/// let shutdown = Shutdown::new();
/// let guard = shutdown.guard();
/// let task = tokio::spawn(guard.run(std::future::pending::<()>()));
///
/// let report = shutdown.drain(Duration::from_millis(1)).await;
/// assert_eq!((report.drained, report.cut), (0, 1));
/// assert_eq!(task.await.unwrap(), None);
/// # }
/// # tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build().unwrap().block_on(example());
/// ```
#[derive(Clone, Debug)]
pub struct Shutdown {
    signal: ShutdownSignal,
    tracker: TaskTracker,
    cut: Arc<AtomicUsize>,
}

impl Default for Shutdown {
    fn default() -> Self {
        Self::new()
    }
}

impl Shutdown {
    /// A shutdown that has not begun.
    #[must_use]
    pub fn new() -> Self {
        Self {
            signal: ShutdownSignal {
                phase: Arc::new(AtomicU8::new(RUNNING)),
                draining: CancellationToken::new(),
                cut: CancellationToken::new(),
            },
            tracker: TaskTracker::new(),
            cut: Arc::new(AtomicUsize::new(0)),
        }
    }

    /// The signal that connections and listeners listen to.
    #[must_use]
    pub fn signal(&self) -> ShutdownSignal {
        self.signal.clone()
    }

    /// A guard for one connection's task: draining waits until it is dropped.
    #[must_use]
    pub fn guard(&self) -> ShutdownGuard {
        ShutdownGuard { signal: self.signal.clone(), cut: Arc::clone(&self.cut), _token: self.tracker.token() }
    }

    /// How many guards are held.
    #[must_use]
    pub fn open(&self) -> usize {
        self.tracker.len()
    }

    /// Begins to drain. Does not wait.
    pub fn begin(&self) {
        self.signal.phase.fetch_max(DRAINING, Ordering::AcqRel);
        self.signal.draining.cancel();
        self.tracker.close();
    }

    /// Cuts what is left, now.
    pub fn cut(&self) {
        self.begin();
        self.signal.phase.store(CUT, Ordering::Release);
        self.signal.cut.cancel();
    }

    /// Begins to drain if that has not happened yet, waits at most `limit`, cuts what is left then, and reports.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future leaves the draining under way, without a deadline; call it again to set one.
    pub async fn drain(&self, limit: Duration) -> ShutdownReport {
        let open = self.open();
        self.begin();
        if tokio::time::timeout(limit, self.tracker.wait()).await.is_err() {
            self.cut();
            self.tracker.wait().await;
        }
        let cut = self.cut.load(Ordering::Acquire);
        ShutdownReport { drained: open.saturating_sub(cut), cut }
    }
}

/// What became of the connections that were open when draining began.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ShutdownReport {
    /// They finished by themselves.
    pub drained: usize,
    /// They were dropped at the deadline.
    pub cut: usize,
}

/// Tells when draining begins and when what is left is cut. Cheap to clone; may be kept as a fact.
#[derive(Clone, Debug)]
pub struct ShutdownSignal {
    // Asked for each request and at each wake-up; the tokens would take their locks.
    phase: Arc<AtomicU8>,
    draining: CancellationToken,
    cut: CancellationToken,
}

impl ShutdownSignal {
    /// Whether draining has begun.
    #[must_use]
    pub fn is_draining(&self) -> bool {
        self.phase.load(Ordering::Acquire) >= DRAINING
    }

    fn is_cut(&self) -> bool {
        self.phase.load(Ordering::Acquire) == CUT
    }

    /// Completes when draining begins. Cancel safe.
    pub fn draining(&self) -> WaitForCancellationFutureOwned {
        self.draining.clone().cancelled_owned()
    }

    /// Completes when what is left is cut. Cancel safe.
    pub fn cut(&self) -> WaitForCancellationFutureOwned {
        self.cut.clone().cancelled_owned()
    }
}

/// Held by a connection's task for as long as the connection lives.
#[derive(Debug)]
pub struct ShutdownGuard {
    signal: ShutdownSignal,
    cut: Arc<AtomicUsize>,
    _token: TaskTrackerToken,
}

impl ShutdownGuard {
    /// The signal this guard belongs to.
    #[must_use]
    pub fn signal(&self) -> &ShutdownSignal {
        &self.signal
    }

    /// Runs a connection until it ends, or until it is cut: then `None`, and the future is dropped.
    pub async fn run<F: Future>(self, connection: F) -> Option<F::Output> {
        let mut connection = pin!(connection);
        let mut cut = pin!(self.signal.cut());
        let mut registered: Option<Waker> = None;
        let output = poll_fn(|cx| {
            // The connection is polled first: what is finished at the moment of the cut counts as finished.
            if let Poll::Ready(output) = connection.as_mut().poll(cx) {
                return Poll::Ready(Some(output));
            }
            // The token's lock is taken once for each waker, not at every wake-up of the connection.
            if registered.as_ref().is_some_and(|waker| waker.will_wake(cx.waker())) && !self.signal.is_cut() {
                return Poll::Pending;
            }
            registered = Some(cx.waker().clone());
            cut.as_mut().poll(cx).map(|()| None)
        })
        .await;
        if output.is_none() {
            self.cut.fetch_add(1, Ordering::AcqRel);
        }
        output
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn those_that_finish_are_drained_the_others_are_cut() {
        let shutdown = Shutdown::new();
        let signal = shutdown.signal();
        let polite = shutdown.guard();
        let announced = polite.signal().draining();
        let polite = tokio::spawn(polite.run(announced));
        let stubborn = tokio::spawn(shutdown.guard().run(std::future::pending::<()>()));
        assert!(!signal.is_draining());

        let started = tokio::time::Instant::now();
        let report = shutdown.drain(Duration::from_secs(10)).await;

        assert_eq!(report, ShutdownReport { drained: 1, cut: 1 });
        assert_eq!(started.elapsed(), Duration::from_secs(10));
        assert_eq!(polite.await.unwrap(), Some(()));
        assert_eq!(stubborn.await.unwrap(), None);
    }

    #[tokio::test(start_paused = true)]
    async fn with_nothing_open_draining_is_over_at_once() {
        let started = tokio::time::Instant::now();
        let report = Shutdown::new().drain(Duration::from_secs(10)).await;
        assert_eq!(report, ShutdownReport { drained: 0, cut: 0 });
        assert_eq!(started.elapsed(), Duration::ZERO);
    }
}
