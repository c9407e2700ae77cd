//! A queue of lines, and the thread that writes them.

use std::{
    fmt,
    io::{self, Write},
    sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError},
    thread,
    time::Duration,
};

/// Where the access log goes: a bounded queue, and a thread that writes it.
///
/// Handing over a line takes a short lock and never waits for the writer. When the writer is slower than the requests,
/// lines that do not fit into the queue are dropped; [`dropped`](Self::dropped) counts them, and a warning is traced when
/// the writer gets on. What is queued is written in one piece and flushed, so a writer needs no buffer of its own.
///
/// A clone is the same sink. A line that comes after the [`AccessLogGuard`] is gone counts as dropped.
#[derive(Clone)]
pub struct AccessLogSink(Arc<Shared>);

struct Shared {
    queue: Mutex<Queue>,
    /// There is something to write, or the queue was closed.
    filled: Condvar,
    /// The thread has ended.
    ended: Condvar,
}

#[derive(Default)]
struct Queue {
    bytes: Vec<u8>,
    lines: u64,
    dropped: u64,
    closed: bool,
    ended: bool,
}

impl AccessLogSink {
    /// The most bytes of lines that wait to be written; as many again may be under way to the writer.
    pub const MAX_QUEUED_BYTES: usize = 1024 * 1024;

    /// A sink that writes to standard output.
    ///
    /// # Errors
    ///
    /// When no thread can be started.
    pub fn stdout() -> io::Result<(Self, AccessLogGuard)> {
        Self::to(io::stdout())
    }

    /// A sink that writes to `writer`, in a thread of its own. Keep the guard until the last line was handed over.
    ///
    /// An error of the writer is traced, the lines count as dropped, and the next ones are tried again.
    ///
    /// # Errors
    ///
    /// When no thread can be started.
    pub fn to(writer: impl Write + Send + 'static) -> io::Result<(Self, AccessLogGuard)> {
        let shared =
            Arc::new(Shared { queue: Mutex::new(Queue::default()), filled: Condvar::new(), ended: Condvar::new() });
        let ending = Ending(Arc::clone(&shared));
        thread::Builder::new().name("access-log".to_owned()).spawn(move || ending.0.run(writer))?;
        Ok((Self(Arc::clone(&shared)), AccessLogGuard(shared)))
    }

    /// How many lines were lost since the start: the queue was full, the writer failed, or the guard was gone.
    #[must_use]
    pub fn dropped(&self) -> u64 {
        self.0.lock().dropped
    }

    /// Queues a line, which ends with its line feed.
    pub(super) fn write(&self, line: &str) {
        let mut queue = self.0.lock();
        if queue.closed || queue.bytes.len() + line.len() > Self::MAX_QUEUED_BYTES {
            queue.dropped += 1;
            return;
        }
        let was_empty = queue.bytes.is_empty();
        queue.bytes.extend_from_slice(line.as_bytes());
        queue.lines += 1;
        drop(queue);
        // The thread waits for an empty queue only.
        if was_empty {
            self.0.filled.notify_one();
        }
    }
}

impl fmt::Debug for AccessLogSink {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AccessLogSink").field("dropped", &self.dropped()).finish_non_exhaustive()
    }
}

/// Keeps an [`AccessLogSink`] open. When it is dropped, the lines that are queued are still written; it waits for that, but
/// no longer than [`FLUSH_LIMIT`](Self::FLUSH_LIMIT).
#[must_use = "the log ends when its guard is dropped"]
pub struct AccessLogGuard(Arc<Shared>);

impl AccessLogGuard {
    /// How long dropping the guard may block.
    pub const FLUSH_LIMIT: Duration = Duration::from_secs(2);

    /// Writes what is queued and ends the log, as dropping the guard does. Blocks, so call it last. Says whether all was
    /// written in time.
    pub fn finish(self) -> bool {
        self.0.close()
    }
}

impl Drop for AccessLogGuard {
    fn drop(&mut self) {
        // After `finish` it has waited long enough.
        if !self.0.lock().closed {
            self.0.close();
        }
    }
}

impl fmt::Debug for AccessLogGuard {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AccessLogGuard").finish_non_exhaustive()
    }
}

impl Shared {
    /// The thread.
    fn run(&self, mut writer: impl Write) {
        let mut bytes = Vec::new();
        let mut reported = 0;
        loop {
            bytes.clear();
            let mut queue = self.lock();
            while queue.bytes.is_empty() && !queue.closed {
                queue = self.filled.wait(queue).unwrap_or_else(PoisonError::into_inner);
            }
            if queue.bytes.is_empty() {
                return;
            }
            // The two buffers change places, so that neither is allocated again.
            std::mem::swap(&mut queue.bytes, &mut bytes);
            let lines = std::mem::take(&mut queue.lines);
            drop(queue);
            let outcome = writer.write_all(&bytes).and_then(|()| writer.flush());
            let mut queue = self.lock();
            if outcome.is_err() {
                queue.dropped += lines;
            }
            let dropped = queue.dropped;
            drop(queue);
            if dropped > reported {
                let error = outcome.err().map(tracing::field::display);
                tracing::warn!(lines = dropped - reported, error, "lines of the access log were dropped");
                reported = dropped;
            }
        }
    }

    fn close(&self) -> bool {
        let mut queue = self.lock();
        queue.closed = true;
        self.filled.notify_one();
        let (queue, _) = self
            .ended
            .wait_timeout_while(queue, AccessLogGuard::FLUSH_LIMIT, |queue| !queue.ended)
            .unwrap_or_else(PoisonError::into_inner);
        queue.ended
    }

    fn lock(&self) -> MutexGuard<'_, Queue> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Says that the thread has ended, even when its writer panics.
struct Ending(Arc<Shared>);

impl Drop for Ending {
    fn drop(&mut self) {
        let mut queue = self.0.lock();
        (queue.closed, queue.ended) = (true, true);
        drop(queue);
        self.0.ended.notify_all();
    }
}
