//! The IO beneath h2, which h2 does not give out again: what has to be known of it, or done with it, stands here.

use std::{
    io,
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU32, AtomicU64, AtomicUsize, Ordering::Relaxed},
    },
    task::{Context, Poll, ready},
    time::Duration,
};

use chaski_core::{Deadline, Io};
use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    time::Instant,
};

use super::{
    Budget,
    meter::{Meter, Passed},
};
use crate::ErrorCode;

/// The most that is read and thrown away of a connection that closes.
const DRAIN_LIMIT: usize = 1024 * 1024;

/// How long the client's preface is, which comes before its frames (RFC 9113 section 3.4).
const PREFACE: usize = 24;

/// An IO that tells what passes through it, refuses frames that h2 would bear or name otherwise, and closes in a way that lets
/// the last frames arrive.
pub(crate) struct Wire<I> {
    io: I,
    state: Arc<WireState>,
    closing: Closing,
    /// What the peer's stream begins with, and in a frame tells its length.
    first: [u8; 3],
    frames: Frames,
    /// Who says goodbye to a peer whose frames were refused.
    farewell: Farewell,
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
    /// Why the peer's frames are refused; 0 if they are not.
    fault: AtomicU32,
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

    /// Why the peer's frames are refused: it sends more of no use than it may, or what h2 calls by another name. Nothing is
    /// read any more then.
    pub(crate) fn fault(&self) -> Option<ErrorCode> {
        let code = self.fault.load(Relaxed);
        (code != 0).then(|| code.into())
    }

    /// Whether the peer sends PINGs of its own.
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
struct Frames {
    incoming: Meter,
    outgoing: Meter,
    budget: Budget,
    max_others: u32,
}

impl Frames {
    fn new(incoming: Meter, outgoing: Meter, max_others: u32) -> Self {
        Self { incoming, outgoing, budget: Budget::default(), max_others }
    }

    /// What was read; refused if it is not bearable.
    fn read(&mut self, bytes: &[u8]) -> (Passed, Option<ErrorCode>) {
        let mut passed = Passed::default();
        self.incoming.feed(bytes, &mut passed);
        self.budget.earn(passed.messages);
        let fault = if passed.impossible_window {
            // RFC 9113 section 6.5.2; to h2 it is a PROTOCOL_ERROR.
            Some(ErrorCode::FLOW_CONTROL_ERROR)
        } else if self.budget.spend(passed.others, self.max_others) {
            None
        } else {
            Some(ErrorCode::ENHANCE_YOUR_CALM)
        };
        (passed, fault)
    }

    /// What was written. One frame of a message may be answered by two updates of windows, and DATA by as many of small size:
    /// there are peers that send both for every 4 KiB.
    fn written(&mut self, bytes: &[u8]) {
        let mut passed = Passed::default();
        self.outgoing.feed(bytes, &mut passed);
        self.budget.earn(passed.messages * 2);
        self.budget.earn(u32::try_from(passed.data / 1024).unwrap_or(u32::MAX));
    }
}

/// What becomes of a peer whose frames were refused.
enum Farewell {
    /// The server's h2 closes the connection with any code.
    Awaited,
    /// The client's h2 cannot be told to: the wire does it, and fails.
    Own,
}

enum Closing {
    No,
    Shutdown,
    Drain { left: usize },
    Done,
}

impl<I: Io> Wire<I> {
    /// The server's side, which goes on reading for as long as `linger` behind the end of what it writes. The client may send
    /// `max_others` frames that no message accounts for in a [period](Budget::PERIOD). One that sends more is to be told by
    /// whoever has h2, which reads nothing more.
    pub(crate) fn of_server(io: I, linger: Duration, max_others: u32) -> (Self, Arc<WireState>) {
        let frames = Frames::new(Meter::behind(PREFACE), Meter::default(), max_others);
        Self::new(io, linger, frames, Farewell::Awaited)
    }

    /// The client's side. The server may send `max_others` frames that no message accounts for in a
    /// [period](Budget::PERIOD). One that sends more is told so, and the wire fails.
    pub(crate) fn of_client(io: I, max_others: u32) -> (Self, Arc<WireState>) {
        let frames = Frames::new(Meter::default(), Meter::behind(PREFACE), max_others);
        Self::new(io, Duration::ZERO, frames, Farewell::Own)
    }

    fn new(io: I, linger: Duration, frames: Frames, farewell: Farewell) -> (Self, Arc<WireState>) {
        let state = Arc::new(WireState::default());
        let (closing, deadline) = (Closing::No, Deadline::default());
        let wire = Self { io, state: Arc::clone(&state), closing, first: [0; 3], frames, farewell, linger, deadline };
        (wire, state)
    }

    /// Nothing more is read of a peer whose frames are refused with this code.
    #[cold]
    fn poll_refused(&mut self, code: ErrorCode, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.farewell {
            Farewell::Awaited => {
                cx.waker().wake_by_ref();
                Poll::Pending
            }
            Farewell::Own => {
                self.say_goodbye(code, cx);
                let why = format!("the peer was refused with {code}");
                Poll::Ready(Err(io::Error::new(io::ErrorKind::InvalidData, why)))
            }
        }
    }

    /// Sends a GOAWAY frame, in which the last stream is 0 since a server may not begin any (RFC 9113 section 6.8). Where the
    /// peer does not take it at once, or has to take the rest of a frame first, it goes without.
    fn say_goodbye(&mut self, code: ErrorCode, cx: &mut Context<'_>) {
        if self.frames.outgoing.is_between_frames() {
            let mut frame = [0, 0, 8, 7, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0];
            frame[13..].copy_from_slice(&u32::from(code).to_be_bytes());
            let _ = Pin::new(&mut self.io).poll_write(cx, &frame);
            let _ = Pin::new(&mut self.io).poll_flush(cx);
        }
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
        if let Some(code) = this.state.fault() {
            return this.poll_refused(code, cx);
        }
        let allowance = this.state.allowance.load(Relaxed);
        if allowance == 0 {
            cx.waker().wake_by_ref();
            return Poll::Pending;
        }
        let before = buf.filled().len();
        ready!(Pin::new(&mut this.io).poll_read(cx, buf))?;
        let bytes = buf.filled().len() - before;
        let (passed, fault) = this.frames.read(&buf.filled()[before..]);
        if passed.pings > 0 {
            this.state.pinged.store(true, Relaxed);
        }
        this.state.allowance.store(allowance.saturating_sub(bytes), Relaxed);
        this.note_read(this.state.read(), &buf.filled()[before..]);
        if let Some(code) = fault {
            this.state.fault.store(code.into(), Relaxed);
            // h2 sees nothing of it: so the GOAWAY is true that says what was not processed.
            buf.set_filled(before);
            return this.poll_refused(code, cx);
        }
        Poll::Ready(Ok(()))
    }
}

impl<I: Io> AsyncWrite for Wire<I> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.io).poll_write(cx, bytes);
        self.state.note_write(&written);
        if let Poll::Ready(Ok(count)) = written {
            self.frames.written(&bytes[..count]);
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
                self.frames.written(&slice[..count]);
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
