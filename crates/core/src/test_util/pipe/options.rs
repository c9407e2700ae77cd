use std::time::Duration;

use super::Pipe;
use crate::test_util::Chunking;

/// How the two directions of a pipe behave. `a` is the first end that [`pipe`](Self::pipe) returns, `b` the second.
///
/// ```
/// use chaski_core::test_util::{Fault, PipeDirection, PipeOptions};
/// use tokio::io::{AsyncReadExt, AsyncWriteExt};
///
/// # async fn example() {
/// let options = PipeOptions {
///     b_to_a: PipeDirection { fault: Some(Fault::CloseAfter(4)), ..PipeDirection::default() },
///     ..PipeOptions::default()
/// };
/// let (mut client, mut server) = options.pipe();
/// let error = server.write_all(b"HTTP/1.1").await.unwrap_err();
/// assert_eq!(error.kind(), std::io::ErrorKind::BrokenPipe);
///
/// let mut text = String::new();
/// client.read_to_string(&mut text).await.unwrap();
/// assert_eq!(text, "HTTP");
/// # }
/// # tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(example());
/// ```
#[derive(Clone, Copy, Debug, Default)]
pub struct PipeOptions {
    /// What the first end writes and the second reads.
    pub a_to_b: PipeDirection,
    /// What the second end writes and the first reads.
    pub b_to_a: PipeDirection,
}

impl PipeOptions {
    /// The same for both directions.
    #[must_use]
    pub const fn both(direction: PipeDirection) -> Self {
        Self { a_to_b: direction, b_to_a: direction }
    }

    /// The two ends.
    #[must_use]
    pub fn pipe(self) -> (Pipe, Pipe) {
        Pipe::pair(self)
    }
}

/// How one direction of a pipe behaves.
#[derive(Clone, Copy, Debug)]
pub struct PipeDirection {
    /// The bytes that may be under way: written, and not read yet. 64 KiB by default; with 0 no write ever completes.
    pub capacity: usize,
    /// The sizes in which the reader gets what is there.
    pub reads: Chunking,
    /// The sizes in which bytes are taken from the writer: anything but [`Chunking::Whole`] makes short writes.
    pub writes: Chunking,
    /// How long after its write a piece can be read, and after a shutdown or a drop the end of the stream. It counts
    /// for the reader only: a writer gets `BrokenPipe` at once when the reader has gone. More than zero needs a runtime
    /// with its clock enabled; a millisecond is the finest step.
    pub latency: Duration,
    /// Makes every read and write that could go on return `Pending` once first, with a wake-up at once. Finds futures
    /// that lose what they know between two polls.
    pub pending_first: bool,
    /// Whether the writer says that it takes vectored writes well (`true` by default, as sockets do). They work anyhow.
    pub vectored: bool,
    /// What goes wrong.
    pub fault: Option<Fault>,
}

impl Default for PipeDirection {
    fn default() -> Self {
        Self {
            capacity: 64 * 1024,
            reads: Chunking::Whole,
            writes: Chunking::Whole,
            latency: Duration::ZERO,
            pending_first: false,
            vectored: true,
            fault: None,
        }
    }
}

/// What goes wrong in one direction, after so many bytes of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// After these bytes the reader gets the end of the stream, and the writer `BrokenPipe`.
    CloseAfter(u64),
    /// After these bytes both get `ConnectionReset`. As soon as they are written, the other direction is reset too, and
    /// loses what is under way in it.
    ResetAfter(u64),
    /// After these bytes a write returns `Ok(0)`.
    WriteZeroAfter(u64),
    /// After these bytes the reader waits for ever. The writer goes on until the pipe is full.
    StallAfter(u64),
}
