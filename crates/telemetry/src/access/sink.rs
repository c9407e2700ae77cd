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
/// lines that do not fit into the queue are dropped; [`dropped`](Self::dropped) counts them. One warning is traced when lines
/// begin to be lost, and one message of level `INFO` with their number when all that was queued is written again, or at the
/// end. What is queued is written in one piece and flushed, so a writer needs no buffer of its own.
///
/// A clone is the same sink. A line that comes after the [`AccessLogGuard`] is gone counts as dropped.
#[derive(Clone)]
pub struct AccessLogSink {
    shared: Arc<Shared>,
    format: AccessLogFormat,
}

/// The form of a line: see [`AccessLogLayer`](crate::AccessLogLayer#format).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum AccessLogFormat {
    /// `name=value`, one blank between.
    #[default]
    Text,
    /// One JSON object on a line.
    Json,
}

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
    /// While lines are being lost: how many were before.
    losing: Option<u64>,
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
        Ok((Self { shared: Arc::clone(&shared), format: AccessLogFormat::default() }, AccessLogGuard(shared)))
    }

    /// Writes lines of this form through this handle. Default: text.
    #[must_use]
    pub fn with_format(mut self, format: AccessLogFormat) -> Self {
        self.format = format;
        self
    }

    pub(super) fn format(&self) -> AccessLogFormat {
        self.format
    }

    /// How many lines were lost since the start: the queue was full, the writer failed, or the guard was gone.
    #[must_use]
    pub fn dropped(&self) -> u64 {
        self.shared.lock().dropped
    }

    /// Queues a line, which ends with its line feed.
    pub(super) fn write(&self, line: &str) {
        let mut queue = self.shared.lock();
        if queue.closed || queue.bytes.len() + line.len() > Self::MAX_QUEUED_BYTES {
            let begins = queue.lose(1);
            let why = if queue.closed { "the log has ended" } else { "the queue is full" };
            drop(queue);
            if begins {
                // Here and not in the thread, which may be stuck in a write for good.
                tracing::warn!(why, "lines of the access log are being lost");
            }
            return;
        }
        let was_empty = queue.bytes.is_empty();
        queue.bytes.extend_from_slice(line.as_bytes());
        queue.lines += 1;
        drop(queue);
        // The thread waits for an empty queue only.
        if was_empty {
            self.shared.filled.notify_one();
        }
    }
}

impl Queue {
    /// Counts lost lines. Says whether they are the first of a run.
    fn lose(&mut self, lines: u64) -> bool {
        let begins = self.losing.is_none();
        self.losing.get_or_insert(self.dropped);
        self.dropped += lines;
        begins
    }

    /// Ends a run of losses, if there is one: how many lines were lost in it.
    fn regain(&mut self) -> Option<u64> {
        self.losing.take().map(|before| self.dropped - before)
    }
}

impl fmt::Debug for AccessLogSink {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AccessLogSink")
            .field("format", &self.format)
            .field("dropped", &self.dropped())
            .finish_non_exhaustive()
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
        loop {
            bytes.clear();
            let mut queue = self.lock();
            while queue.bytes.is_empty() && !queue.closed {
                queue = self.filled.wait(queue).unwrap_or_else(PoisonError::into_inner);
            }
            if queue.bytes.is_empty() {
                let lost = queue.regain();
                drop(queue);
                tell_lost(lost);
                return;
            }
            // The two buffers change places, so that neither is allocated again.
            std::mem::swap(&mut queue.bytes, &mut bytes);
            let (lines, dropped) = (std::mem::take(&mut queue.lines), queue.dropped);
            drop(queue);
            let outcome = writer.write_all(&bytes).and_then(|()| writer.flush());
            let mut queue = self.lock();
            if let Err(error) = outcome {
                let begins = queue.lose(lines);
                drop(queue);
                if begins {
                    tracing::warn!(%error, "lines of the access log are being lost");
                }
            } else if queue.dropped == dropped {
                // Written, and none was lost meanwhile.
                let lost = queue.regain();
                drop(queue);
                tell_lost(lost);
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

fn tell_lost(lines: Option<u64>) {
    if let Some(lines) = lines {
        tracing::info!(lines, "lines of the access log were lost");
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

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Clone, Default)]
    struct Told(Arc<Mutex<Vec<u8>>>);

    impl Write for Told {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.lock().unwrap().write(bytes)
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    /// What happens while the writer writes, turn by turn, on the thread of the test.
    struct Script {
        sink: AccessLogSink,
        turn: usize,
    }

    impl Write for Script {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.turn += 1;
            let queue = |line: &str| self.sink.write(line);
            let half = "x".repeat(AccessLogSink::MAX_QUEUED_BYTES / 2);
            match self.turn {
                // Two fill the queue: three are lost, then one.
                1 => (0..5).for_each(|_| queue(&half)),
                2 => (0..3).for_each(|_| queue(&half)),
                3 => queue("a\n"),
                4 => {
                    queue("b\n");
                    return Err(io::ErrorKind::StorageFull.into());
                }
                5 => {
                    queue("c\n");
                    return Err(io::ErrorKind::StorageFull.into());
                }
                6 => queue("d\n"),
                _ => {
                    self.sink.shared.lock().closed = true;
                    return Err(io::ErrorKind::BrokenPipe.into());
                }
            }
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    /// A full disk at a thousand requests a second must not fill the other log as well.
    #[test]
    fn a_run_of_losses_is_one_warning_and_its_number_comes_at_its_end() {
        let told = Told::default();
        let writer = told.clone();
        let subscriber = tracing_subscriber::fmt()
            .without_time()
            .with_target(false)
            .with_ansi(false)
            .with_writer(move || writer.clone())
            .finish();
        let shared =
            Arc::new(Shared { queue: Mutex::new(Queue::default()), filled: Condvar::new(), ended: Condvar::new() });
        let sink = AccessLogSink { shared: Arc::clone(&shared), format: AccessLogFormat::Text };
        sink.write("first\n");
        tracing::subscriber::with_default(subscriber, || {
            shared.run(Script { sink: sink.clone(), turn: 0 });
            sink.write("too late\n");
            sink.write("too late\n");
        });
        let told = String::from_utf8(told.0.lock().unwrap().clone()).unwrap();
        let expected = [
            "WARN lines of the access log are being lost why=\"the queue is full\"",
            "INFO lines of the access log were lost lines=4",
            "WARN lines of the access log are being lost error=no storage space",
            "INFO lines of the access log were lost lines=2",
            "WARN lines of the access log are being lost error=broken pipe",
            "INFO lines of the access log were lost lines=1",
            "WARN lines of the access log are being lost why=\"the log has ended\"",
        ];
        assert_eq!(told.lines().map(str::trim_start).collect::<Vec<_>>(), expected);
        assert_eq!(sink.dropped(), 9);
    }
}
