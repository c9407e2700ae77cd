//! Bulk: when a direction has it, and how it goes through a pipe.

use std::{
    io,
    task::{Context, Poll, ready},
};

use tokio::{io::Interest, net::TcpStream};

use super::pipe::Pipe;

/// So many bytes are copied before the first splice: few tunnels that carry little ever need a pipe.
const BULK: usize = 64 * 1024;

/// A reader that runs dry after fewer bytes than these has no bulk any more: below it a pipe's system calls cost more than
/// the copying that it saves.
const SMALL_BURST: usize = 16 * 1024;

/// The pipe of one direction, held while there are bytes in it or while one reads.
#[derive(Debug)]
pub(super) struct Splice {
    /// Whether it may be tried.
    on: bool,
    pipe: Option<Pipe>,
    /// Bytes read since the reader had nothing.
    burst: usize,
    /// Bytes read since a burst was small.
    bulk: usize,
    /// Bytes that went through a pipe.
    pub(super) written: u64,
}

impl Splice {
    pub(super) const fn new(on: bool) -> Self {
        Self { on, pipe: None, burst: 0, bulk: 0, written: 0 }
    }

    /// Whether bytes are in the pipe.
    pub(super) fn holds_bytes(&self) -> bool {
        self.pipe.as_ref().is_some_and(|pipe| !pipe.is_empty())
    }

    /// Whether the next bytes are worth a pipe.
    pub(super) const fn is_due(&self) -> bool {
        self.on && self.bulk >= BULK
    }

    /// `n` bytes were read, in whichever way.
    pub(super) const fn count(&mut self, n: usize) {
        self.burst = self.burst.saturating_add(n);
        self.bulk = self.bulk.saturating_add(n);
    }

    /// Fills the empty pipe from the reader. `None` when that gave nothing, and a read has to tell why: at the end of a
    /// stream, where there is nothing yet, but also in front of urgent data (RFC 9293 section 3.8.5), where a splice finds
    /// nothing, or even the end, and a read goes on.
    pub(super) fn fill(&mut self, from: &TcpStream) -> Option<io::Result<usize>> {
        // What finds nothing leaves the readiness as it is, so that the read does make its system call.
        let filled = from.try_io(Interest::READABLE, || {
            self.pipe = self.pipe.take().or_else(Pipe::take);
            match &mut self.pipe {
                Some(pipe) => pipe.fill(from),
                None => {
                    // Not before as many bytes again: to ask the system each time would cost as much as it saves.
                    self.bulk = 0;
                    Ok(0)
                }
            }
        });
        match filled {
            Ok(0) => None,
            Ok(n) => {
                self.count(n);
                Some(Ok(n))
            }
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => None,
            Err(error) if error.kind() == io::ErrorKind::Unsupported => {
                self.on = false;
                None
            }
            Err(error) => Some(Err(error)),
        }
    }

    /// Writes what is in the pipe, as far as the writer takes it.
    pub(super) fn poll_drain(&mut self, cx: &mut Context<'_>, to: &TcpStream) -> Poll<io::Result<usize>> {
        let Some(pipe) = &mut self.pipe else { return Poll::Ready(Ok(0)) };
        loop {
            ready!(to.poll_write_ready(cx))?;
            match to.try_io(Interest::WRITABLE, || pipe.drain(to)) {
                // The readiness was an old one; with the next look the task's waker is left.
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                result => {
                    self.written += *result.as_ref().unwrap_or(&0) as u64;
                    return Poll::Ready(result);
                }
            }
        }
    }

    /// The reader has nothing: the pipe goes back.
    pub(super) fn rest(&mut self) {
        if (1..SMALL_BURST).contains(&self.burst) {
            self.bulk = 0;
        }
        self.burst = 0;
        self.release();
    }

    /// Gives the pipe back, and loses what is in it.
    pub(super) fn release(&mut self) {
        if let Some(pipe) = self.pipe.take() {
            pipe.give_back();
        }
    }

    #[cfg(test)]
    pub(super) const fn holds_a_pipe(&self) -> bool {
        self.pipe.is_some()
    }
}

impl Drop for Splice {
    fn drop(&mut self) {
        self.release();
    }
}
