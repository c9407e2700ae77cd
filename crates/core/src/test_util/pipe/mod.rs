//! Two ends of a connection in memory.

mod lane;
mod options;
mod probe;

pub use options::{Fault, PipeDirection, PipeOptions};
pub use probe::{PipeProbe, PipeStats};

use std::{
    fmt, io,
    pin::Pin,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    task::{Context, Poll, Waker},
};

use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    time::{Instant, Sleep, sleep_until},
};

use self::lane::{Lane, Reading};
use crate::Io;

/// The two ends of a connection with the default [`PipeOptions`]: 64 KiB each way, no latency, no fault.
///
/// ```
/// use chaski_core::test_util::pipe;
/// use tokio::io::{AsyncReadExt, AsyncWriteExt};
///
/// # async fn example() -> std::io::Result<()> {
/// let (mut client, mut server) = pipe();
/// client.write_all(b"hello").await?;
/// client.shutdown().await?;
///
/// let mut text = String::new();
/// server.read_to_string(&mut text).await?;
/// assert_eq!(text, "hello");
/// // The other direction is still open.
/// server.write_all(b"bye").await?;
/// assert_eq!(server.probe().stats().bytes_written, 3);
/// # Ok(()) }
/// # tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(example()).unwrap();
/// ```
#[must_use]
pub fn pipe() -> (Pipe, Pipe) {
    PipeOptions::default().pipe()
}

/// One end of a connection in memory; made by [`pipe`] and [`PipeOptions::pipe`].
///
/// The read side and the write side may be polled by different tasks. Shutting an end down ends the direction in which
/// it writes, and that one only. Dropping an end is what closing a socket is: the other end reads what was written, then
/// the end of the stream, and gets `BrokenPipe` when it writes. (Other than with TCP, bytes that the dropped end had not
/// read cause no reset; choose [`Fault::ResetAfter`] for one.)
///
/// # Cancel safety
///
/// As a socket: a read or write that is dropped while pending has moved no byte.
pub struct Pipe {
    wire: Arc<Wire>,
    /// Which of the two lanes is written by this end; the other one is read.
    writes: usize,
    probe: PipeProbe,
    arrival: Option<Pin<Box<Sleep>>>,
}

/// What the two ends share.
struct Wire {
    lanes: Mutex<[Lane; 2]>,
}

impl Wire {
    fn lock(&self) -> MutexGuard<'_, [Lane; 2]> {
        // A panic of one end's test code says nothing about the lanes, which are whole between any two calls.
        self.lanes.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Pipe {
    fn pair(options: PipeOptions) -> (Self, Self) {
        let mut lanes = [Lane::new(options.a_to_b), Lane::new(options.b_to_a)];
        Lane::spread_reset(&mut lanes, &mut Vec::new());
        let wire = Arc::new(Wire { lanes: Mutex::new(lanes) });
        let end = |writes| Self { wire: Arc::clone(&wire), writes, probe: PipeProbe::new(), arrival: None };
        (end(0), end(1))
    }

    /// A handle that counts what this end is asked to do, and that outlives it.
    #[must_use]
    pub fn probe(&self) -> PipeProbe {
        self.probe.clone()
    }

    /// Runs `act` on the lanes, then wakes who has to know, when the lock is free again.
    fn with_lanes<T>(&self, act: impl FnOnce(&mut [Lane; 2], &mut Vec<Waker>) -> T) -> T {
        let mut wake = Vec::new();
        let result = act(&mut self.wire.lock(), &mut wake);
        wake.into_iter().for_each(Waker::wake);
        result
    }

    fn poll_write_any(&self, cx: &mut Context<'_>, bufs: &[io::IoSlice<'_>]) -> Poll<io::Result<usize>> {
        let result = self.with_lanes(|lanes, wake| {
            let result = lanes[self.writes].poll_write(cx, bufs, wake);
            Lane::spread_reset(lanes, wake);
            result
        });
        self.probe.record(|stats| {
            stats.write_polls += 1;
            if let Poll::Ready(Ok(n)) = result {
                stats.writes += 1;
                stats.bytes_written += n as u64;
            }
        });
        result
    }
}

impl Io for Pipe {}

impl AsyncRead for Pipe {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let before = buf.filled().len();
        let result = loop {
            let reading = self.with_lanes(|lanes, wake| lanes[1 - self.writes].poll_read(cx, buf, wake));
            match reading {
                Reading::Done(result) => break Poll::Ready(result),
                Reading::Wait => break Poll::Pending,
                Reading::Until(at) => match self.arrival.insert(Box::pin(sleep_until(at))).as_mut().poll(cx) {
                    Poll::Ready(()) => {}
                    Poll::Pending => break Poll::Pending,
                },
            }
        };
        if result.is_ready() {
            self.arrival = None;
        }
        self.probe.record(|stats| {
            stats.read_polls += 1;
            if let Poll::Ready(Ok(())) = result {
                stats.reads += 1;
                stats.bytes_read += (buf.filled().len() - before) as u64;
            }
        });
        result
    }
}

impl AsyncWrite for Pipe {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        self.poll_write_any(cx, &[io::IoSlice::new(buf)])
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        self.poll_write_any(cx, bufs)
    }

    fn is_write_vectored(&self) -> bool {
        self.wire.lock()[self.writes].is_vectored()
    }

    fn poll_flush(self: Pin<&mut Self>, _cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.probe.record(|stats| stats.flush_polls += 1);
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let result = self.with_lanes(|lanes, wake| lanes[self.writes].end(wake));
        self.probe.record(|stats| {
            stats.shutdown_polls += 1;
            stats.shutdown_at = stats.shutdown_at.or_else(|| Some(Instant::now()));
        });
        Poll::Ready(result)
    }
}

impl Drop for Pipe {
    fn drop(&mut self) {
        self.with_lanes(|lanes, wake| {
            // A connection that was reset has no end to tell.
            let _ = lanes[self.writes].end(wake);
            lanes[1 - self.writes].leave(wake);
        });
        self.probe.record(|stats| stats.dropped_at = Some(Instant::now()));
    }
}

impl fmt::Debug for Pipe {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Pipe").field("stats", &self.probe.stats()).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests;
