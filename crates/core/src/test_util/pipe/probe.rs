use std::{fmt, sync::Arc};

use tokio::{sync::watch, time::Instant};

/// Tells what one end of a pipe was asked to do. Clones tell of the same end; it lives on when the end is dropped.
#[derive(Clone)]
pub struct PipeProbe {
    stats: Arc<watch::Sender<PipeStats>>,
}

impl PipeProbe {
    pub(super) fn new() -> Self {
        Self { stats: Arc::new(watch::Sender::new(PipeStats::default())) }
    }

    pub(super) fn record(&self, change: impl FnOnce(&mut PipeStats)) {
        self.stats.send_if_modified(|stats| {
            change(stats);
            // Telling costs more than a small read or write, and mostly there is nobody to tell.
            self.stats.receiver_count() > 0
        });
    }

    /// What has happened until now.
    #[must_use]
    pub fn stats(&self) -> PipeStats {
        *self.stats.borrow()
    }

    /// Waits until `condition` holds.
    ///
    /// ```
    /// use chaski_core::test_util::pipe;
    ///
    /// # async fn example() {
    /// let (near, far) = pipe();
    /// let probe = near.probe();
    /// tokio::join!(probe.until(|stats| stats.dropped_at.is_some()), async { drop(near) });
    /// # drop(far); }
    /// # tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(example());
    /// ```
    ///
    /// # Cancel safety
    ///
    /// Dropping the future changes nothing.
    pub async fn until(&self, mut condition: impl FnMut(&PipeStats) -> bool) -> PipeStats {
        let mut changes = self.stats.subscribe();
        loop {
            let stats = *changes.borrow_and_update();
            // The sender cannot be gone while `self` holds it.
            if condition(&stats) || changes.changed().await.is_err() {
                return stats;
            }
        }
    }
}

impl fmt::Debug for PipeProbe {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.stats().fmt(f)
    }
}

/// What one end of a pipe was asked to do, told by [`PipeProbe`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct PipeStats {
    /// Bytes that this end has read.
    pub bytes_read: u64,
    /// Bytes that were taken from this end.
    pub bytes_written: u64,
    /// Reads that succeeded, those included that found the end of the stream.
    pub reads: u64,
    /// Writes that succeeded, vectored or not.
    pub writes: u64,
    /// Calls of `poll_read`.
    pub read_polls: u64,
    /// Calls of `poll_write` and `poll_write_vectored`.
    pub write_polls: u64,
    /// Calls of `poll_flush`.
    pub flush_polls: u64,
    /// Calls of `poll_shutdown`.
    pub shutdown_polls: u64,
    /// When this end was first shut down.
    pub shutdown_at: Option<Instant>,
    /// When this end was dropped.
    pub dropped_at: Option<Instant>,
}
