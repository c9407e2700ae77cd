//! The far end of a connection, by script.

use std::{fmt, io, time::Duration};

use bytes::Bytes;
use tokio::{
    io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt},
    time::{sleep, timeout},
};

/// The far end of a connection that does, step by step, what it was told.
///
/// Reading steps take exactly the bytes that they are about, so what follows them is left for the next step. Where the
/// script ends, the IO is dropped; to hold the connection open until the other side leaves, end with
/// [`expect_eof`](Self::expect_eof), and to go on with it later, give the script `&mut io`.
///
/// ```
/// use chaski_core::test_util::{ScriptedPeer, pipe};
/// use tokio::io::{AsyncReadExt, AsyncWriteExt};
///
/// # async fn example() -> Result<(), Box<dyn std::error::Error>> {
/// let (far, mut near) = pipe();
/// let peer = ScriptedPeer::new(far)
///     .expect("GET / HTTP/1.1\r\n")
///     .expect_until("\r\n\r\n")
///     .send_pieces(3, "HTTP/1.1 204 No Content\r\n\r\n")
///     .expect_eof();
/// let (received, answer) = tokio::join!(peer.run(), async {
///     near.write_all(b"GET / HTTP/1.1\r\nhost: a\r\n\r\n").await?;
///     near.shutdown().await?;
///     let mut answer = String::new();
///     near.read_to_string(&mut answer).await.map(|_| answer)
/// });
/// assert_eq!(received?.until, ["host: a\r\n\r\n"]);
/// assert_eq!(answer?, "HTTP/1.1 204 No Content\r\n\r\n");
/// # Ok(()) }
/// # tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(example()).unwrap();
/// ```
#[derive(Debug)]
#[must_use = "a script does nothing until it is run"]
pub struct ScriptedPeer<S> {
    io: S,
    steps: Vec<Step>,
    patience: Option<Duration>,
}

#[derive(Debug)]
enum Step {
    Expect(Bytes),
    ExpectUntil(Bytes),
    ExpectEof,
    Send(Bytes),
    SendPieces(usize, Bytes),
    Wait(Duration),
    Shutdown,
    Close,
}

impl<S: AsyncRead + AsyncWrite + Unpin> ScriptedPeer<S> {
    /// A script without steps, at this end of a connection.
    pub fn new(io: S) -> Self {
        Self { io, steps: Vec::new(), patience: None }
    }

    /// Fails a step that takes longer than this, [`wait`](Self::wait) excepted. Unbounded by default.
    ///
    /// On a paused clock a script that waits for what nobody sends then fails at once, and shows what it got.
    pub fn patience(mut self, patience: Duration) -> Self {
        self.patience = Some(patience);
        self
    }

    /// Reads exactly these bytes. Fails at the first that differs, without waiting for the others.
    pub fn expect(self, bytes: impl AsRef<[u8]>) -> Self {
        self.step(Step::Expect(copy(bytes)))
    }

    /// Reads until `pattern` was read, and keeps what was read, the pattern included, in [`Received::until`].
    pub fn expect_until(self, pattern: impl AsRef<[u8]>) -> Self {
        self.step(Step::ExpectUntil(copy(pattern)))
    }

    /// Reads the end of the stream.
    pub fn expect_eof(self) -> Self {
        self.step(Step::ExpectEof)
    }

    /// Writes these bytes, in one write if the IO takes them.
    pub fn send(self, bytes: impl AsRef<[u8]>) -> Self {
        self.step(Step::Send(copy(bytes)))
    }

    /// Writes these bytes `size` at a time (at least 1). Between two pieces it yields, so that on a runtime of one
    /// thread a reader that waits sees each alone.
    pub fn send_pieces(self, size: usize, bytes: impl AsRef<[u8]>) -> Self {
        self.step(Step::SendPieces(size.max(1), copy(bytes)))
    }

    /// Waits for so long on tokio's clock.
    pub fn wait(self, duration: Duration) -> Self {
        self.step(Step::Wait(duration))
    }

    /// Ends the direction in which this peer writes.
    pub fn shutdown(self) -> Self {
        self.step(Step::Shutdown)
    }

    /// Drops the IO, as the end of the script does. A later step fails.
    pub fn close(self) -> Self {
        self.step(Step::Close)
    }

    fn step(mut self, step: Step) -> Self {
        self.steps.push(step);
        self
    }

    /// Does the steps.
    ///
    /// # Errors
    ///
    /// At the first step that does not go as written.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future ends the script and drops the IO.
    pub async fn run(self) -> Result<Received, ScriptError> {
        let mut io = Some(self.io);
        let mut received = Received::default();
        for (n, step) in self.steps.iter().enumerate() {
            let from = received.all.len();
            let doing = received.step(&mut io, step, from);
            let outcome = match self.patience {
                Some(patience) if !matches!(step, Step::Wait(_)) => {
                    timeout(patience, doing).await.unwrap_or(Err(ScriptErrorKind::TimedOut))
                }
                _ => doing.await,
            };
            if let Err(kind) = outcome {
                let got = Bytes::copy_from_slice(&received.all[from..]);
                return Err(ScriptError { step: n + 1, wanted: step.to_string(), received: got, kind });
            }
        }
        Ok(received)
    }
}

/// What a [`ScriptedPeer`] has read.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Received {
    /// Every byte.
    pub all: Vec<u8>,
    /// What each [`expect_until`](ScriptedPeer::expect_until) has read, one after the other.
    pub until: Vec<Bytes>,
}

impl Received {
    /// Does a step; what it reads goes to `self.all`, from the position `from` on.
    async fn step<S>(&mut self, slot: &mut Option<S>, step: &Step, from: usize) -> Result<(), ScriptErrorKind>
    where
        S: AsyncRead + AsyncWrite + Unpin,
    {
        let io = slot.as_mut().ok_or(ScriptErrorKind::Closed)?;
        match step {
            Step::Expect(wanted) => {
                while self.all.len() - from < wanted.len() {
                    let missing = wanted.len() - (self.all.len() - from);
                    if io.take(missing as u64).read_buf(&mut self.all).await? == 0 {
                        return Err(ScriptErrorKind::UnexpectedEof);
                    }
                    let pairs = self.all[from..].iter().zip(wanted);
                    if let Some(position) = pairs.into_iter().position(|(got, wanted)| got != wanted) {
                        return Err(ScriptErrorKind::Mismatch { position });
                    }
                }
            }
            Step::ExpectUntil(pattern) => {
                // One byte at a time: none of those after the pattern may be taken.
                while !self.all[from..].ends_with(pattern) {
                    if io.take(1).read_buf(&mut self.all).await? == 0 {
                        return Err(ScriptErrorKind::UnexpectedEof);
                    }
                }
                self.until.push(Bytes::copy_from_slice(&self.all[from..]));
            }
            Step::ExpectEof => {
                if io.read_buf(&mut self.all).await? != 0 {
                    return Err(ScriptErrorKind::NotEof);
                }
            }
            Step::Send(bytes) => {
                io.write_all(bytes).await?;
                io.flush().await?;
            }
            Step::SendPieces(size, bytes) => {
                for piece in bytes.chunks(*size) {
                    io.write_all(piece).await?;
                    io.flush().await?;
                    // Twice: `join!` polls its futures in turning order, so that after one yield this one may be polled
                    // again before the reader was.
                    tokio::task::yield_now().await;
                    tokio::task::yield_now().await;
                }
            }
            Step::Wait(duration) => sleep(*duration).await,
            Step::Shutdown => io.shutdown().await?,
            Step::Close => *slot = None,
        }
        Ok(())
    }
}

/// A step of a script that did not go as written. `Debug` prints what `Display` does, for `unwrap` in tests.
pub struct ScriptError {
    /// Which step, counted from 1.
    pub step: usize,
    /// What the step was to do.
    pub wanted: String,
    /// What the step has read.
    pub received: Bytes,
    /// What went wrong.
    pub kind: ScriptErrorKind,
}

/// What went wrong in a step.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ScriptErrorKind {
    /// Another byte came than was expected.
    #[error("the bytes differ from position {position} on")]
    Mismatch {
        /// Where, counted from 0 at the step's first byte.
        position: usize,
    },
    /// The stream ended within the step.
    #[error("the stream has ended")]
    UnexpectedEof,
    /// Bytes came where the end of the stream was expected.
    #[error("the stream has not ended")]
    NotEof,
    /// The step took longer than the script's [`patience`](ScriptedPeer::patience).
    #[error("nothing more came in time")]
    TimedOut,
    /// The script had closed the connection in an earlier step.
    #[error("the script has closed the connection before")]
    Closed,
    /// The IO failed.
    #[error("the IO failed: {0}")]
    Io(#[from] io::Error),
}

impl fmt::Display for ScriptError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "script step {}: {}", self.step, self.kind)?;
        writeln!(f, "  wanted: {}", self.wanted)?;
        write!(f, "received: {:?}", self.received)
    }
}

impl fmt::Debug for ScriptError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl std::error::Error for ScriptError {}

impl fmt::Display for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Expect(bytes) => write!(f, "expect {bytes:?}"),
            Self::ExpectUntil(pattern) => write!(f, "expect until {pattern:?}"),
            Self::ExpectEof => f.write_str("expect the end of the stream"),
            Self::Send(bytes) => write!(f, "send {bytes:?}"),
            Self::SendPieces(size, bytes) => write!(f, "send, {size} at a time, {bytes:?}"),
            Self::Wait(duration) => write!(f, "wait {duration:?}"),
            Self::Shutdown => f.write_str("shut down"),
            Self::Close => f.write_str("close"),
        }
    }
}

fn copy(bytes: impl AsRef<[u8]>) -> Bytes {
    Bytes::copy_from_slice(bytes.as_ref())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::test_util::{Chunking, PipeDirection, PipeOptions, pipe};

    /// Runs `script` against an end that writes `bytes` and stays open.
    async fn fails(
        bytes: &[u8],
        script: impl FnOnce(ScriptedPeer<crate::test_util::Pipe>) -> ScriptedPeer<crate::test_util::Pipe>,
    ) -> ScriptError {
        let (far, mut near) = pipe();
        near.write_all(bytes).await.unwrap();
        script(ScriptedPeer::new(far)).run().await.unwrap_err()
    }

    #[tokio::test]
    async fn steps_take_exactly_their_bytes_in_pieces_of_any_size() {
        for reads in [Chunking::Whole, Chunking::Bytes(1), Chunking::Random { seed: 7, max: 3 }] {
            let options = PipeOptions::both(PipeDirection { reads, pending_first: true, ..PipeDirection::default() });
            let (mut far, mut near) = options.pipe();
            near.write_all(b"abcabab\n\nrest, more").await.unwrap();
            let script =
                ScriptedPeer::new(&mut far).expect("abc").expect_until("ab\n").expect_until("\n").expect("rest");
            let received = script.run().await.unwrap();
            assert_eq!(received.until, ["abab\n", "\n"]);
            assert_eq!(received.all, b"abcabab\n\nrest");
            near.shutdown().await.unwrap();
            ScriptedPeer::new(far).expect(", more").expect_eof().run().await.unwrap();
        }
    }

    #[tokio::test]
    async fn a_difference_is_shown_at_once_and_where_it_is() {
        let error = fails(b"ok\r\nGEX", |peer| peer.expect("ok\r\n").expect("GET /\0")).await;
        assert!(matches!(error.kind, ScriptErrorKind::Mismatch { position: 2 }));
        let text = "script step 2: the bytes differ from position 2 on\n\
                    \x20 wanted: expect b\"GET /\\0\"\n\
                    received: b\"GEX\"";
        assert_eq!(error.to_string(), text);
        assert_eq!(format!("{error:?}"), text);
    }

    #[tokio::test]
    async fn an_end_is_expected_or_not() {
        let error = fails(b"x", ScriptedPeer::expect_eof).await;
        assert!(matches!(error.kind, ScriptErrorKind::NotEof), "{error}");
        let (far, near) = pipe();
        drop(near);
        let error = ScriptedPeer::new(far).expect_until("\n").run().await.unwrap_err();
        assert!(matches!(error.kind, ScriptErrorKind::UnexpectedEof), "{error}");
        let error = fails(b"x", |peer| peer.close().expect("x")).await;
        assert!(matches!(error.kind, ScriptErrorKind::Closed), "{error}");
    }

    #[tokio::test]
    async fn an_io_error_is_told() {
        let (far, near) = pipe();
        drop(near);
        let error = ScriptedPeer::new(far).send("x").run().await.unwrap_err();
        assert!(matches!(&error.kind, ScriptErrorKind::Io(io) if io.kind() == io::ErrorKind::BrokenPipe), "{error}");
    }

    #[tokio::test(start_paused = true)]
    async fn patience_ends_a_step_but_not_a_wait() {
        let error = fails(b"hal", |peer| {
            peer.patience(Duration::from_secs(1)).wait(Duration::from_secs(5)).expect("half of it")
        });
        let start = tokio::time::Instant::now();
        let error = error.await;
        assert!(matches!(error.kind, ScriptErrorKind::TimedOut), "{error}");
        assert_eq!((error.step, &error.received[..]), (2, &b"hal"[..]));
        assert_eq!(start.elapsed(), Duration::from_secs(6));
    }

    #[tokio::test]
    async fn a_reader_that_waits_sees_every_piece_alone_and_then_the_end() {
        let (far, mut near) = pipe();
        let script = ScriptedPeer::new(far).send_pieces(2, "hello").shutdown().expect_eof();
        let reader = async {
            let (mut sizes, mut buf) = (Vec::new(), [0; 16]);
            loop {
                match near.read(&mut buf).await.unwrap() {
                    0 => break,
                    n => sizes.push(n),
                }
            }
            drop(near);
            sizes
        };
        let (received, sizes) = tokio::join!(script.run(), reader);
        assert_eq!(received.unwrap(), Received::default());
        assert_eq!(sizes, [2, 2, 1]);
    }
}
