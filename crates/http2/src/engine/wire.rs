//! The IO beneath h2, which h2 does not give out again: what has to be known of it, or done with it, stands here.

use std::{
    io,
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering::Relaxed},
    },
    task::{Context, Poll, ready},
    time::Duration,
};

use chaski_core::Io;
use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    time::Instant,
};

use super::{
    Budget, Deadline,
    meter::{Meter, Passed},
};

/// The most that is read and thrown away of a connection that closes.
const DRAIN_LIMIT: usize = 1024 * 1024;

/// An IO that tells what passes through it, and that closes in a way that lets the last frames arrive.
pub(crate) struct Wire<I> {
    io: I,
    state: Arc<WireState>,
    closing: Closing,
    /// What the peer's stream begins with, and in a frame tells its length.
    first: [u8; 3],
    flood: Flood,
    /// How long it goes on reading behind the end of what it writes.
    linger: Duration,
    deadline: Deadline,
}

/// What is known of a [`Wire`] by the one who drives the connection. One task changes it; others may look.
#[derive(Debug, Default)]
pub(crate) struct WireState {
    read: AtomicU64,
    written: AtomicU64,
    /// The last write was not taken.
    blocked: AtomicBool,
    /// What may still be read in this turn.
    allowance: AtomicUsize,
    /// More frames came than exchanges account for.
    flooded: AtomicBool,
    /// The peer has sent a PING of its own.
    pinged: AtomicBool,
    /// How many bytes the peer's first frame has; 0 while that is not known.
    greeting: AtomicU64,
}

impl WireState {
    /// Lets so many bytes be read, and a read more. Beyond them reads are pending, and the task is woken at once.
    pub(crate) fn allow(&self, bytes: usize) {
        self.allowance.store(bytes, Relaxed);
    }

    /// Whether the peer sends more frames of no use than it may. Nothing is read any more then.
    pub(crate) fn is_flooded(&self) -> bool {
        self.flooded.load(Relaxed)
    }

    /// Whether the peer sends PINGs of its own; known where frames are counted.
    pub(crate) fn is_pinged(&self) -> bool {
        self.pinged.load(Relaxed)
    }

    /// How many bytes were read until now.
    pub(crate) fn read(&self) -> u64 {
        self.read.load(Relaxed)
    }

    /// Whether any byte was read.
    pub(crate) fn has_read(&self) -> bool {
        self.read.load(Relaxed) > 0
    }

    /// Whether the peer's first frame was read to its end. A client's peer says nothing before it.
    pub(crate) fn has_greeting(&self) -> bool {
        let greeting = self.greeting.load(Relaxed);
        greeting > 0 && self.read() >= greeting
    }

    /// How many bytes were written until now.
    pub(crate) fn written(&self) -> u64 {
        self.written.load(Relaxed)
    }

    /// How many bytes were read and written until now, together: when it stands still, nothing moves.
    pub(crate) fn traffic(&self) -> u64 {
        self.read.load(Relaxed) + self.written.load(Relaxed)
    }

    /// How many bytes were written, if the peer does not take more now.
    pub(crate) fn blocked_at(&self) -> Option<u64> {
        self.blocked.load(Relaxed).then(|| self.written.load(Relaxed))
    }

    fn note_write(&self, written: &Poll<io::Result<usize>>) {
        match written {
            Poll::Ready(Ok(bytes)) => {
                self.written.store(self.written.load(Relaxed) + *bytes as u64, Relaxed);
                self.blocked.store(false, Relaxed);
            }
            Poll::Ready(Err(_)) => {}
            Poll::Pending => self.blocked.store(true, Relaxed),
        }
    }
}

/// CVE-2019-9512, CVE-2019-9515 and their like: each PING and each SETTINGS is answered, and every other frame is at least
/// read, which costs more than to send it. Frames of messages make up for those that come with them: WINDOW_UPDATE for one.
#[derive(Default)]
struct Flood {
    incoming: Meter,
    outgoing: Meter,
    budget: Budget,
    /// Without a limit nothing is counted.
    max_others: Option<u32>,
}

impl Flood {
    /// What was read.
    fn read(&mut self, bytes: &[u8]) -> Passed {
        let mut passed = Passed::default();
        if self.max_others.is_some() {
            self.incoming.feed(bytes, &mut passed);
        }
        passed
    }

    /// Whether what was read is bearable.
    fn bears(&mut self, passed: Passed) -> bool {
        self.budget.earn(passed.messages);
        self.max_others.is_none_or(|max| self.budget.spend(passed.others, max))
    }

    /// What was written. One frame of a message may be answered by two updates of windows.
    fn written(&mut self, bytes: &[u8]) {
        if self.max_others.is_none() {
            return;
        }
        let mut passed = Passed::default();
        self.outgoing.feed(bytes, &mut passed);
        self.budget.earn(passed.messages * 2);
    }
}

enum Closing {
    No,
    Shutdown,
    Drain { left: usize },
    Done,
}

impl<I: Io> Wire<I> {
    pub(crate) fn new(io: I, linger: Duration) -> (Self, Arc<WireState>) {
        let state = Arc::new(WireState::default());
        let flood = Flood::default();
        let (closing, deadline) = (Closing::No, Deadline::default());
        let wire = Self { io, state: Arc::clone(&state), closing, first: [0; 3], flood, linger, deadline };
        (wire, state)
    }

    /// The peer's first bytes are `preface`, and it may send so many frames that no message accounts for in a
    /// [period](Budget::PERIOD).
    pub(crate) fn with_frame_limit(mut self, preface: usize, max_others: u32) -> Self {
        self.flood = Flood { incoming: Meter::behind(preface), max_others: Some(max_others), ..Flood::default() };
        self
    }

    /// Takes in what was read, behind the first `read` bytes.
    fn note_read(&mut self, read: u64, bytes: &[u8]) {
        // Hardly ever: once for a connection.
        if let Some(begin) = self.first.get_mut(usize::try_from(read).unwrap_or(usize::MAX)..) {
            let taken = begin.len().min(bytes.len());
            begin[..taken].copy_from_slice(&bytes[..taken]);
            if taken == begin.len() {
                let [a, b, c] = self.first;
                // RFC 9113 section 4.1: behind a head of nine bytes.
                self.state.greeting.store(9 + u64::from(u32::from_be_bytes([0, a, b, c])), Relaxed);
            }
        }
        self.state.read.store(read + bytes.len() as u64, Relaxed);
    }

    /// Throws away what the peer still sends, until it closes too, or for a while.
    ///
    /// What lies unread in a socket that is closed makes the peer's side throw away what it has not read either: the
    /// GOAWAY, and the ends of answers.
    fn poll_drain(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        let mut buf = [0; 4096];
        while let Closing::Drain { left } = &mut self.closing {
            if self.deadline.poll(cx).is_ready() {
                return Poll::Ready(());
            }
            let mut buf = ReadBuf::new(&mut buf);
            match ready!(Pin::new(&mut self.io).poll_read(cx, &mut buf)) {
                Ok(()) if !buf.filled().is_empty() => match left.checked_sub(buf.filled().len()) {
                    Some(still) => *left = still,
                    None => return Poll::Ready(()),
                },
                _ => return Poll::Ready(()),
            }
        }
        Poll::Ready(())
    }
}

impl<I: Io> AsyncRead for Wire<I> {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let this = &mut *self;
        let allowance = this.state.allowance.load(Relaxed);
        if allowance == 0 || this.state.is_flooded() {
            cx.waker().wake_by_ref();
            return Poll::Pending;
        }
        let before = buf.filled().len();
        ready!(Pin::new(&mut this.io).poll_read(cx, buf))?;
        let bytes = buf.filled().len() - before;
        let passed = this.flood.read(&buf.filled()[before..]);
        if passed.pings > 0 {
            this.state.pinged.store(true, Relaxed);
        }
        if !this.flood.bears(passed) {
            this.state.flooded.store(true, Relaxed);
        }
        this.state.allowance.store(allowance.saturating_sub(bytes), Relaxed);
        this.note_read(this.state.read(), &buf.filled()[before..]);
        Poll::Ready(Ok(()))
    }
}

impl<I: Io> AsyncWrite for Wire<I> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.io).poll_write(cx, bytes);
        self.state.note_write(&written);
        if let Poll::Ready(Ok(count)) = written {
            self.flood.written(&bytes[..count]);
        }
        written
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.io).poll_write_vectored(cx, slices);
        self.state.note_write(&written);
        if let Poll::Ready(Ok(mut left)) = written {
            for slice in slices {
                let count = left.min(slice.len());
                self.flood.written(&slice[..count]);
                left -= count;
            }
        }
        written
    }

    fn is_write_vectored(&self) -> bool {
        self.io.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = &mut *self;
        if matches!(this.closing, Closing::No) {
            this.closing = Closing::Shutdown;
        }
        if matches!(this.closing, Closing::Shutdown) {
            ready!(Pin::new(&mut this.io).poll_shutdown(cx))?;
            this.closing = Closing::Drain { left: DRAIN_LIMIT };
            this.deadline.set(Some(Instant::now() + this.linger));
        }
        ready!(this.poll_drain(cx));
        this.closing = Closing::Done;
        Poll::Ready(Ok(()))
    }
}
