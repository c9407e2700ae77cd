//! One direction of a pipe.

use std::{
    collections::VecDeque,
    io,
    task::{Context, Poll, Waker},
};

use bytes::{Buf, BytesMut};
use tokio::{io::ReadBuf, time::Instant};

use super::{Fault, PipeDirection};
use crate::test_util::chunking::Sizes;

/// One direction: a writer, the bytes under way, a reader. Each side has its own waker.
pub(super) struct Lane {
    options: PipeDirection,
    read_sizes: Sizes,
    write_sizes: Sizes,
    buffer: BytesMut,
    written: u64,
    read: u64,
    /// What is still on its way: from a position on nothing can be read before an instant. The end of the stream is
    /// such a piece too, of no length. Empty without latency, so that no clock is read.
    arrivals: VecDeque<(Instant, u64)>,
    /// The writer was shut down or dropped.
    ended: bool,
    /// The reader was dropped.
    left: bool,
    /// The connection was reset by a fault in the other lane.
    aborted: bool,
    read_pended: bool,
    write_pended: bool,
    reader: Option<Waker>,
    writer: Option<Waker>,
}

/// How a read went.
pub(super) enum Reading {
    Done(io::Result<()>),
    /// The waker is kept.
    Wait,
    /// The waker is kept, and something arrives at this instant.
    Until(Instant),
}

impl Lane {
    pub(super) fn new(options: PipeDirection) -> Self {
        Self {
            options,
            read_sizes: Sizes::new(options.reads),
            write_sizes: Sizes::new(options.writes),
            buffer: BytesMut::new(),
            written: 0,
            read: 0,
            arrivals: VecDeque::new(),
            ended: false,
            left: false,
            aborted: false,
            read_pended: false,
            write_pended: false,
            reader: None,
            writer: None,
        }
    }

    pub(super) const fn is_vectored(&self) -> bool {
        self.options.vectored
    }

    /// A reset is of the whole connection: carries one that a lane's fault has caused over to the other lane.
    pub(super) fn spread_reset(lanes: &mut [Self; 2], wake: &mut Vec<Waker>) {
        for (from, to) in [(0, 1), (1, 0)] {
            if matches!(lanes[from].options.fault, Some(Fault::ResetAfter(n)) if lanes[from].written >= n) {
                lanes[to].aborted = true;
                lanes[to].buffer.clear();
                wake.extend(lanes[to].reader.take());
                wake.extend(lanes[to].writer.take());
            }
        }
    }

    pub(super) fn poll_read(&mut self, cx: &Context<'_>, buf: &mut ReadBuf<'_>, wake: &mut Vec<Waker>) -> Reading {
        if self.aborted {
            return Reading::Done(Err(io::ErrorKind::ConnectionReset.into()));
        }
        if buf.remaining() == 0 {
            return Reading::Done(Ok(()));
        }
        let mut readable = self.arrived();
        match self.options.fault {
            Some(Fault::CloseAfter(n)) if self.read >= n => return Reading::Done(Ok(())),
            Some(Fault::ResetAfter(n)) if self.read >= n => {
                return Reading::Done(Err(io::ErrorKind::ConnectionReset.into()));
            }
            Some(Fault::StallAfter(n)) if self.read >= n => return self.wait_to_read(cx),
            Some(Fault::StallAfter(n)) => readable = readable.min(n),
            _ => {}
        }
        let at_end = self.ended && self.arrivals.is_empty();
        if readable == self.read && !at_end {
            return self.wait_to_read(cx);
        }
        if self.options.pending_first && !std::mem::replace(&mut self.read_pended, true) {
            wake.push(cx.waker().clone());
            return Reading::Wait;
        }
        self.read_pended = false;
        if readable > self.read {
            let there = usize::try_from(readable - self.read).unwrap_or(usize::MAX);
            let n = there.min(buf.remaining()).min(self.read_sizes.current());
            buf.put_slice(&self.buffer[..n]);
            self.buffer.advance(n);
            self.read += n as u64;
            self.read_sizes.advance();
            wake.extend(self.writer.take());
        }
        Reading::Done(Ok(()))
    }

    /// The position up to which bytes have arrived.
    fn arrived(&mut self) -> u64 {
        while let Some(&(at, start)) = self.arrivals.front() {
            if Instant::now() < at {
                return start;
            }
            self.arrivals.pop_front();
        }
        self.written
    }

    fn wait_to_read(&mut self, cx: &Context<'_>) -> Reading {
        self.reader = Some(cx.waker().clone());
        let stalled = matches!(self.options.fault, Some(Fault::StallAfter(n)) if self.read >= n);
        match self.arrivals.front() {
            Some(&(at, _)) if !stalled => Reading::Until(at),
            _ => Reading::Wait,
        }
    }

    pub(super) fn poll_write(
        &mut self,
        cx: &Context<'_>,
        bufs: &[io::IoSlice<'_>],
        wake: &mut Vec<Waker>,
    ) -> Poll<io::Result<usize>> {
        if self.aborted {
            return Poll::Ready(Err(io::ErrorKind::ConnectionReset.into()));
        }
        if self.ended || self.left {
            return Poll::Ready(Err(io::ErrorKind::BrokenPipe.into()));
        }
        let wanted = bufs.iter().map(|buf| buf.len()).sum::<usize>();
        if wanted == 0 {
            return Poll::Ready(Ok(0));
        }
        let until_fault = match self.options.fault {
            Some(Fault::CloseAfter(n)) if self.written >= n => {
                return Poll::Ready(Err(io::ErrorKind::BrokenPipe.into()));
            }
            Some(Fault::ResetAfter(n)) if self.written >= n => {
                return Poll::Ready(Err(io::ErrorKind::ConnectionReset.into()));
            }
            Some(Fault::WriteZeroAfter(n)) if self.written >= n => return Poll::Ready(Ok(0)),
            Some(Fault::CloseAfter(n) | Fault::ResetAfter(n) | Fault::WriteZeroAfter(n)) => n - self.written,
            Some(Fault::StallAfter(_)) | None => u64::MAX,
        };
        let room = self.options.capacity.saturating_sub(self.buffer.len());
        if room == 0 {
            self.writer = Some(cx.waker().clone());
            return Poll::Pending;
        }
        if self.options.pending_first && !std::mem::replace(&mut self.write_pended, true) {
            wake.push(cx.waker().clone());
            return Poll::Pending;
        }
        self.write_pended = false;
        let until_fault = usize::try_from(until_fault).unwrap_or(usize::MAX);
        let n = wanted.min(room).min(until_fault).min(self.write_sizes.current());
        self.arrive_later();
        let mut left = n;
        for buf in bufs {
            let part = left.min(buf.len());
            self.buffer.extend_from_slice(&buf[..part]);
            left -= part;
        }
        self.written += n as u64;
        self.write_sizes.advance();
        wake.extend(self.reader.take());
        Poll::Ready(Ok(n))
    }

    /// What comes next, a piece or the end of the stream, is under way for as long as the latency.
    fn arrive_later(&mut self) {
        if !self.options.latency.is_zero() {
            self.arrivals.push_back((Instant::now() + self.options.latency, self.written));
        }
    }

    /// The writer says that nothing follows.
    pub(super) fn end(&mut self, wake: &mut Vec<Waker>) -> io::Result<()> {
        if !self.ended {
            self.ended = true;
            self.arrive_later();
            wake.extend(self.reader.take());
        }
        let reset = matches!(self.options.fault, Some(Fault::ResetAfter(n)) if self.written >= n);
        if self.aborted || reset { Err(io::ErrorKind::ConnectionReset.into()) } else { Ok(()) }
    }

    /// The reader has gone.
    pub(super) fn leave(&mut self, wake: &mut Vec<Waker>) {
        self.left = true;
        self.buffer.clear();
        wake.extend(self.writer.take());
    }
}
