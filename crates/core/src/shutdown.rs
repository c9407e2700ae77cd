//! Graceful shutdown: announce, drain, then cut at a deadline.

mod moment;

pub use moment::ShutdownMoment;

use std::{
    future::Future,
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicU8, AtomicUsize, Ordering},
    },
    task::{Context, Poll, ready},
    time::Duration,
};

use pin_project_lite::pin_project;
use tokio_util::task::{TaskTracker, task_tracker::TaskTrackerToken};

use moment::Waiters;

// 0, as that is the phase of a default state.
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
}

/// What all signals and guards share, so that either is one word of each connection.
#[derive(Debug, Default)]
struct State {
    // Asked for each request and at each wake-up, without a lock.
    phase: AtomicU8,
    draining: Waiters,
    cut: Waiters,
    counts: Counts,
}

impl State {
    #[inline]
    fn has_reached(&self, phase: u8) -> bool {
        self.phase.load(Ordering::Acquire) >= phase
    }

    const fn waiters(&self, phase: u8) -> &Waiters {
        if phase == CUT { &self.cut } else { &self.draining }
    }
}

#[derive(Debug, Default)]
struct Counts {
    /// Guards that were held when draining began.
    open: AtomicUsize,
    /// Connections that were dropped at the cut.
    cut: AtomicUsize,
}

impl Default for Shutdown {
    fn default() -> Self {
        Self::new()
    }
}

impl Shutdown {
    /// How long [`drain`](Self::drain) waits after the cut for tasks to drop their connections: they do so when they are
    /// polled next, so one that takes longer blocks its thread, or does not [run](ShutdownGuard::run) under its guard.
    pub const CUT_GRACE: Duration = Duration::from_secs(1);

    /// A shutdown that has not begun.
    #[must_use]
    pub fn new() -> Self {
        Self { signal: ShutdownSignal { state: Arc::default() }, tracker: TaskTracker::new() }
    }

    /// The signal that connections and listeners listen to.
    #[must_use]
    pub fn signal(&self) -> ShutdownSignal {
        self.signal.clone()
    }

    /// A guard for one connection's task: draining waits until it is dropped.
    #[must_use]
    pub fn guard(&self) -> ShutdownGuard {
        ShutdownGuard { signal: self.signal.clone(), _token: self.tracker.token() }
    }

    /// How many guards are held.
    #[must_use]
    pub fn open(&self) -> usize {
        self.tracker.len()
    }

    /// Begins to drain. Does not wait.
    pub fn begin(&self) {
        let state = &self.signal.state;
        if state.phase.fetch_max(DRAINING, Ordering::AcqRel) == RUNNING {
            state.counts.open.store(self.open(), Ordering::Release);
        }
        state.draining.wake();
        self.tracker.close();
    }

    /// Cuts what is left, now.
    pub fn cut(&self) {
        self.begin();
        let state = &self.signal.state;
        state.phase.store(CUT, Ordering::Release);
        state.cut.wake();
    }

    /// Begins to drain if that has not happened yet, waits at most `limit`, cuts what is left then, and reports on all
    /// that were open when draining began. After the cut it waits at most [`CUT_GRACE`](Self::CUT_GRACE).
    ///
    /// # Cancel safety
    ///
    /// Dropping the future leaves the draining under way, without a deadline; call it again to set one.
    pub async fn drain(&self, limit: Duration) -> ShutdownReport {
        self.begin();
        if tokio::time::timeout(limit, self.tracker.wait()).await.is_err() {
            self.cut();
            let _ = tokio::time::timeout(Self::CUT_GRACE, self.tracker.wait()).await;
        }
        // Who has not let go by now is as good as cut: nobody waits for it any longer.
        let counts = &self.signal.state.counts;
        let cut = counts.cut.load(Ordering::Acquire) + self.open();
        ShutdownReport { drained: counts.open.load(Ordering::Acquire).saturating_sub(cut), cut }
    }
}

/// What became of the connections that were open when draining began.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ShutdownReport {
    /// They finished by themselves.
    pub drained: usize,
    /// They were dropped at the deadline, or had not let go of their guards soon after it.
    pub cut: usize,
}

/// Tells when draining begins and when what is left is cut. Cheap to clone; may be kept as a fact.
#[derive(Clone, Debug)]
pub struct ShutdownSignal {
    state: Arc<State>,
}

impl ShutdownSignal {
    /// Whether draining has begun.
    #[must_use]
    pub fn is_draining(&self) -> bool {
        self.state.has_reached(DRAINING)
    }

    /// Completes when draining begins. Cancel safe.
    pub fn draining(&self) -> ShutdownMoment {
        ShutdownMoment::new(Arc::clone(&self.state), DRAINING)
    }

    /// Completes when what is left is cut. Cancel safe.
    pub fn cut(&self) -> ShutdownMoment {
        ShutdownMoment::new(Arc::clone(&self.state), CUT)
    }
}

/// Held by a connection's task for as long as the connection lives.
#[derive(Debug)]
pub struct ShutdownGuard {
    signal: ShutdownSignal,
    _token: TaskTrackerToken,
}

impl ShutdownGuard {
    /// The signal this guard belongs to.
    #[must_use]
    pub fn signal(&self) -> &ShutdownSignal {
        &self.signal
    }

    /// Runs a connection until it ends, or until it is cut: then `None`, and the connection's future is dropped.
    pub fn run<F: Future>(self, connection: F) -> impl Future<Output = Option<F::Output>> {
        Guarded { connection, cut: self.signal.cut(), guard: self }
    }
}

pin_project! {
    // Written out, because an async function would hold the connection's future, the largest part of its task, twice. The
    // connection is dropped before the guard: draining waits for that.
    struct Guarded<F> {
        #[pin]
        connection: F,
        cut: ShutdownMoment,
        guard: ShutdownGuard,
    }
}

impl<F: Future> Future for Guarded<F> {
    type Output = Option<F::Output>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let this = self.project();
        // The connection is polled first: what is finished at the moment of the cut counts as finished.
        if let Poll::Ready(output) = this.connection.poll(cx) {
            return Poll::Ready(Some(output));
        }
        ready!(Pin::new(this.cut).poll(cx));
        this.guard.signal.state.counts.cut.fetch_add(1, Ordering::AcqRel);
        Poll::Ready(None)
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
    async fn a_drain_that_is_cut_short_still_counts_those_that_were_drained_before() {
        let shutdown = Shutdown::new();
        let (polite, stubborn) = (shutdown.guard(), shutdown.guard());
        let stubborn = tokio::spawn(stubborn.run(std::future::pending::<()>()));
        shutdown.begin();
        drop(polite);
        let first = shutdown.drain(Duration::from_secs(10));
        assert!(tokio::time::timeout(Duration::from_secs(1), first).await.is_err());
        shutdown.cut();
        assert_eq!(stubborn.await.unwrap(), None);

        assert_eq!(shutdown.drain(Duration::ZERO).await, ShutdownReport { drained: 1, cut: 1 });
    }

    /// A task that blocks its thread, or holds its guard without running under it.
    #[tokio::test(start_paused = true)]
    async fn a_guard_that_never_goes_does_not_hold_the_drain_up_for_ever() {
        let shutdown = Shutdown::new();
        let _forgotten = shutdown.guard();
        let report = tokio::time::timeout(Duration::from_secs(60), shutdown.drain(Duration::from_secs(10))).await;
        assert_eq!(report, Ok(ShutdownReport { drained: 0, cut: 1 }));
    }

    #[tokio::test(start_paused = true)]
    async fn with_nothing_open_draining_is_over_at_once() {
        let started = tokio::time::Instant::now();
        let report = Shutdown::new().drain(Duration::from_secs(10)).await;
        assert_eq!(report, ShutdownReport { drained: 0, cut: 0 });
        assert_eq!(started.elapsed(), Duration::ZERO);
    }
}
