//! One direction: what one side sends, on its way to the other.

use std::{
    io,
    pin::{Pin, pin},
    task::{Context, Poll, ready},
};

use chaski_core::Io;
use tokio::{io::ReadBuf, task::yield_now, time::Instant};

use super::{
    RelayStep,
    buffer::{Buffer, Size},
    splice::Splice,
};

/// ```text
///             end of stream                 all written, flushed            shut down, or failed to
///   Copying ----------------> Emptying(Close) ------------------> Closing -------------------------> Ended
///      | read failed                                                                                   ^
///      '-------------------> Emptying(Cut) ------------------------------------------------------------|
///   any: a write or a flush failed, or the other direction found the writer's side gone ---------------'
/// ```
#[derive(Debug)]
pub(super) struct Direction {
    phase: Phase,
    buffer: Buffer,
    /// The way of bulk between plain sockets. Its pipe and the buffer never hold bytes at the same time.
    splice: Splice,
    /// Bytes were written since the last flush.
    unflushed: bool,
    /// At least one byte was read.
    pub(super) has_read: bool,
    /// Bytes that the writer took.
    pub(super) written: u64,
    /// The reader said that its stream ends here.
    pub(super) saw_end: bool,
    /// What went wrong first. In a box, as nothing does in most.
    pub(super) failure: Option<Box<Failure>>,
}

#[derive(Clone, Copy, Debug)]
pub(super) struct Failure {
    pub(super) during: RelayStep,
    pub(super) kind: io::ErrorKind,
    pub(super) at: Instant,
}

#[derive(Clone, Copy, Debug)]
enum Phase {
    /// The reader may have more.
    Copying,
    /// The reader has no more; what is in the buffer goes out.
    Emptying(Then),
    /// The writer's half is being shut down, since then.
    Closing(Instant),
    /// Nothing is left to do.
    Ended,
}

/// What follows once everything was written.
#[derive(Clone, Copy, Debug)]
enum Then {
    /// The stream ended in order, and the writer's peer is told so.
    Close,
    /// The stream was cut, and the writer's peer must not take it for whole.
    Cut,
}

impl Direction {
    pub(super) const fn new(max_buffer: Size, splice: bool) -> Self {
        Self {
            phase: Phase::Copying,
            buffer: Buffer::new(max_buffer),
            splice: Splice::new(splice),
            unflushed: false,
            has_read: false,
            written: 0,
            saw_end: false,
            failure: None,
        }
    }

    /// Whether the reader may have more.
    pub(super) const fn is_copying(&self) -> bool {
        matches!(self.phase, Phase::Copying)
    }

    pub(super) const fn is_ended(&self) -> bool {
        matches!(self.phase, Phase::Ended)
    }

    /// Since when the writer's half is being shut down.
    pub(super) const fn closing_since(&self) -> Option<Instant> {
        if let Phase::Closing(since) = self.phase { Some(since) } else { None }
    }

    /// Of the bytes that the writer took, those that were not copied.
    pub(super) const fn spliced(&self) -> u64 {
        self.splice.written
    }

    /// Whether the reader's side is gone, both ways.
    pub(super) fn reader_is_gone(&self) -> bool {
        self.failure.as_ref().is_some_and(|failure| failure.during == RelayStep::Read)
    }

    /// Ends here, whatever is on its way: the writer's side is gone.
    pub(super) fn abandon(&mut self) {
        self.phase = Phase::Ended;
        self.buffer.release();
        self.splice.release();
    }

    /// Moves what can be moved, and says whether anything was or any phase ended.
    ///
    /// When it returns before the end, each IO that it waits for has the task's waker, or the task is woken already
    /// because its work was cut short to let others run.
    pub(super) fn poll(&mut self, cx: &mut Context<'_>, from: &mut impl Io, to: &mut impl Io) -> bool {
        let mut work = Work::default();
        let mut progress = false;
        loop {
            if work.is_done() && !self.is_ended() {
                // Not by waking the task: the runtime would come back to it dozens of times before it asks the system which
                // of the others have something to do.
                let _ = pin!(yield_now()).poll(cx);
                return progress;
            }
            let step = match self.phase {
                Phase::Copying => self.poll_copy(cx, from, to, &mut work),
                Phase::Emptying(then) => self.poll_empty(cx, to, then, &mut work),
                Phase::Closing(_) => self.poll_close(cx, to),
                Phase::Ended => return progress,
            };
            if step.is_pending() {
                return progress;
            }
            progress = true;
        }
    }

    /// One read and one write, as far as there is space and there are bytes. While the writer is blocked the rest of the
    /// buffer is filled, and no more.
    fn poll_copy(&mut self, cx: &mut Context<'_>, from: &mut impl Io, to: &mut impl Io, work: &mut Work) -> Poll<()> {
        if let Some(turn) = self.poll_splice(cx, from, to, work) {
            return turn;
        }
        let read = self.poll_read(cx, from, work);
        let written = self.poll_write(cx, to, work);
        if read.is_ready() || written.is_ready() {
            return Poll::Ready(());
        }
        // Before it waits for more, what the writer holds back has to leave. A blocked writer needs no flush to go on.
        if self.buffer.is_empty() && self.poll_flush(cx, to).is_ready() && self.is_ended() {
            return Poll::Ready(());
        }
        Poll::Pending
    }

    /// The other way of copying, for bulk between plain sockets: one splice into the pipe, or one out of it. `None` leaves
    /// the turn to the copy. That one begins every direction, and it alone sees ends of streams and waits for the
    /// reader, so whatever cannot be spliced is found out, and done, by reading it.
    fn poll_splice(
        &mut self,
        cx: &mut Context<'_>,
        from: &impl Io,
        to: &mut impl Io,
        work: &mut Work,
    ) -> Option<Poll<()>> {
        if self.splice.holds_bytes() {
            let drained = match to.plain_socket() {
                Some(to) => self.splice.poll_drain(cx, to),
                // It was one when the bytes were read for it.
                None => Poll::Ready(Err(io::ErrorKind::Unsupported.into())),
            };
            return Some(drained.map(|result| self.wrote(result, work)));
        }
        // What came before leaves first, on both sides: from the buffer, from a wrapper around either socket.
        if !self.splice.is_due() || !self.buffer.is_empty() || !from.leftover().is_empty() {
            return None;
        }
        let from = to.plain_socket().and(from.plain_socket())?;
        match self.poll_flush(cx, to) {
            Poll::Ready(()) if !self.is_ended() => {}
            unflushed => return Some(unflushed),
        }
        match self.splice.fill(from)? {
            Ok(n) => work.count(n),
            Err(error) => self.cut(&error),
        }
        Some(Poll::Ready(()))
    }

    fn poll_empty(&mut self, cx: &mut Context<'_>, to: &mut impl Io, then: Then, work: &mut Work) -> Poll<()> {
        if !self.buffer.is_empty() {
            return self.poll_write(cx, to, work);
        }
        ready!(self.poll_flush(cx, to));
        if !self.is_ended() {
            self.buffer.release();
            self.phase = match then {
                Then::Close => Phase::Closing(Instant::now()),
                Then::Cut => Phase::Ended,
            };
        }
        Poll::Ready(())
    }

    fn poll_close(&mut self, cx: &mut Context<'_>, to: &mut impl Io) -> Poll<()> {
        if let Err(error) = ready!(Pin::new(to).poll_shutdown(cx)) {
            self.note(RelayStep::Shutdown, &error);
        }
        self.phase = Phase::Ended;
        Poll::Ready(())
    }

    /// Pending when the reader has nothing, or when there is no space.
    fn poll_read(&mut self, cx: &mut Context<'_>, from: &mut impl Io, work: &mut Work) -> Poll<()> {
        let Some(space) = self.buffer.space() else { return Poll::Pending };
        let mut space = ReadBuf::new(space);
        let Poll::Ready(result) = Pin::new(from).poll_read(cx, &mut space) else {
            if self.buffer.is_empty() {
                self.buffer.release();
            }
            self.splice.rest();
            return Poll::Pending;
        };
        let n = space.filled().len();
        match result {
            Ok(()) if n == 0 => {
                self.saw_end = true;
                self.phase = Phase::Emptying(Then::Close);
                self.splice.release();
            }
            Ok(()) => {
                self.has_read = true;
                self.buffer.fill(n);
                self.splice.count(n);
                work.count(n);
            }
            Err(error) => self.cut(&error),
        }
        Poll::Ready(())
    }

    /// Pending when the writer is blocked, or when there is nothing to write.
    fn poll_write(&mut self, cx: &mut Context<'_>, to: &mut impl Io, work: &mut Work) -> Poll<()> {
        let bytes = self.buffer.bytes();
        if bytes.is_empty() {
            return Poll::Pending;
        }
        let result = ready!(Pin::new(to).poll_write(cx, bytes)).map(|n| n.min(bytes.len()));
        self.buffer.consume(*result.as_ref().unwrap_or(&0));
        self.wrote(result, work);
        Poll::Ready(())
    }

    /// The writer took so many bytes, or failed.
    fn wrote(&mut self, result: io::Result<usize>, work: &mut Work) {
        match result {
            // A writer that takes no byte will take none the next time either: trying again would spin.
            Ok(0) => self.fail(RelayStep::Write, &io::ErrorKind::WriteZero.into()),
            Ok(n) => {
                self.written += n as u64;
                self.unflushed = true;
                work.count(n);
            }
            Err(error) => self.fail(RelayStep::Write, &error),
        }
    }

    fn poll_flush(&mut self, cx: &mut Context<'_>, to: &mut impl Io) -> Poll<()> {
        if self.unflushed {
            match ready!(Pin::new(to).poll_flush(cx)) {
                Ok(()) => self.unflushed = false,
                Err(error) => self.fail(RelayStep::Flush, &error),
            }
        }
        Poll::Ready(())
    }

    /// The reader is gone in the middle of its stream.
    fn cut(&mut self, error: &io::Error) {
        self.note(RelayStep::Read, error);
        self.phase = Phase::Emptying(Then::Cut);
        self.splice.release();
    }

    /// The writer takes no more.
    fn fail(&mut self, during: RelayStep, error: &io::Error) {
        self.note(during, error);
        self.abandon();
    }

    fn note(&mut self, during: RelayStep, error: &io::Error) {
        tracing::debug!(%during, %error, "a side of a relay failed");
        self.failure.get_or_insert_with(|| Box::new(Failure { during, kind: error.kind(), at: Instant::now() }));
    }

    #[cfg(test)]
    pub(super) fn held(&self) -> usize {
        self.buffer.held()
    }

    #[cfg(test)]
    pub(super) const fn holds_a_pipe(&self) -> bool {
        self.splice.holds_a_pipe()
    }
}

/// What one poll has done. It ends at some large reads and writes, or many small ones, so that one greedy tunnel does not
/// starve the other tasks of its thread. (The runtime's own budget does not count the IO that is not its own.)
#[derive(Debug, Default)]
struct Work {
    cost: usize,
}

impl Work {
    /// Bytes read plus bytes written: 1 MiB moved.
    const LIMIT: usize = 2 * 1024 * 1024;

    /// A call costs as much as copying some bytes: at most 256 reads and 256 writes of a byte.
    const CALL: usize = 4 * 1024;

    fn count(&mut self, bytes: usize) {
        self.cost += bytes + Self::CALL;
    }

    const fn is_done(&self) -> bool {
        self.cost >= Self::LIMIT
    }
}
