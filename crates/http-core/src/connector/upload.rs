//! The request on its way out.

use std::{
    io::{self, IoSlice},
    pin::Pin,
    task::{Context, Poll, ready},
    time::Duration,
};

use bytes::Bytes;
use chaski_core::{BoxError, Deadline, Elapsed, http::Body};
use http::HeaderMap;
use http_body::{Body as _, Frame};
use tokio::{io::AsyncWrite, time::Instant};

use super::Http1Error;
use crate::{
    codec::{BodyEncoding, CHUNK_END, encode_chunk_header, encode_last_chunk},
    engine::Output,
};

/// How many writes are made before the peer is listened to again, so that a peer that takes everything at once does not
/// keep its early response from being seen.
const WRITES_PER_TURN: usize = 16;

/// The head and the body of a request, as far as they are not written yet.
pub(super) struct Upload {
    output: Output,
    body: Body,
    encoding: BodyEncoding,
    state: State,
    /// How many bytes a body of announced length still owes.
    owed: u64,
    written: u64,
    /// A streamed body was polled.
    polled: bool,
    /// Something is to be written or flushed.
    dirty: bool,
    stall: Stall,
}

/// Watches over writes that make no progress because the peer does not read.
struct Stall {
    limit: Option<Duration>,
    deadline: Deadline,
    /// How much was written when the deadline was set.
    written: u64,
}

/// ```text
/// Held --> Streaming --> Queued --> Done
///   +----------+------------+-----> Broken
/// ```
enum State {
    /// The body waits for `100 Continue`.
    Held,
    /// The body has more frames.
    Streaming,
    /// All there is, is in the output.
    Queued,
    /// All is written.
    Done,
    /// The peer takes no more.
    Broken(io::Error),
    /// The request's body failed.
    Failed,
}

/// What ends an upload early.
#[derive(Debug)]
pub(super) enum UploadError {
    /// The request's body failed, or the peer does not read it.
    Body(Http1Error),
    /// Writing failed before anything was written, or in a way that leaves nothing to be read.
    Io(io::Error),
}

/// How far the output was filled.
enum Filled {
    /// No more room; the body may have more.
    Full,
    /// The body has nothing now.
    Starved,
    /// The body is complete.
    Complete,
}

impl Upload {
    /// An upload of the head that `encode` writes, and which tells how to send the body.
    ///
    /// # Errors
    ///
    /// Those of `encode`; the body is given back.
    pub(super) fn new<E>(
        body: Body,
        hold: bool,
        write_timeout: Option<Duration>,
        encode: impl FnOnce(&mut Vec<u8>) -> Result<BodyEncoding, E>,
    ) -> Result<Self, (Body, E)> {
        let mut output = Output::default();
        let encoding = match encode(output.encoded()) {
            Ok(encoding) => encoding,
            Err(error) => return Err((body, error)),
        };
        let owed = if let BodyEncoding::Length(length) = encoding { length } else { 0 };
        let stall = Stall { limit: write_timeout, deadline: Deadline::default(), written: 0 };
        let mut upload =
            Self { output, body, encoding, state: State::Held, owed, written: 0, polled: false, dirty: true, stall };
        if !hold || encoding == BodyEncoding::Empty {
            upload.release();
        }
        Ok(upload)
    }

    /// Lets go of a body that was held.
    pub(super) fn release(&mut self) {
        if !self.is_held() {
            return;
        }
        match (self.encoding, self.body.as_full()) {
            (BodyEncoding::Empty, _) => self.state = State::Queued,
            (BodyEncoding::Length(_), Some(full)) => {
                // A second handle to the bytes: the body itself can still be handed back.
                self.output.push(full, b"");
                self.owed = 0;
                self.dirty = true;
                self.state = State::Queued;
            }
            _ => self.state = State::Streaming,
        }
    }

    pub(super) fn is_held(&self) -> bool {
        matches!(self.state, State::Held)
    }

    /// Whether the request was written completely.
    pub(super) fn is_done(&self) -> bool {
        matches!(self.state, State::Done)
    }

    /// Whether nothing more will be written.
    pub(super) fn is_over(&self) -> bool {
        matches!(self.state, State::Done | State::Broken(_) | State::Failed)
    }

    /// How many bytes were taken by the IO.
    pub(super) fn written(&self) -> u64 {
        self.written
    }

    /// Why the peer takes no more, if that is so.
    pub(super) fn take_broken(&mut self) -> Option<io::Error> {
        match std::mem::replace(&mut self.state, State::Failed) {
            State::Broken(error) => Some(error),
            state => {
                self.state = state;
                None
            }
        }
    }

    /// The body, if nothing was taken out of it.
    pub(super) fn into_whole_body(self) -> Option<Body> {
        (!self.polled).then_some(self.body)
    }

    /// The body of a request of which nothing was written. `None` when frames of it were taken already.
    pub(super) fn into_unsent_body(self) -> Option<Body> {
        match self.state {
            // What is left of a body that failed must not be taken for a whole one.
            State::Failed => Some(Body::new(Spent)),
            _ => self.into_whole_body(),
        }
    }

    /// Writes as much as can be written now. Ready when the upload [is over](Self::is_over).
    ///
    /// A peer that takes no more may have said why: so a connection that breaks after a part was written is no error
    /// here.
    pub(super) fn poll<IO: AsyncWrite + Unpin>(
        &mut self,
        io: &mut IO,
        cx: &mut Context<'_>,
    ) -> Poll<Result<(), UploadError>> {
        let mut left = WRITES_PER_TURN;
        while !self.is_over() {
            let filled = match self.fill(cx) {
                Ok(filled) => filled,
                Err(error) => {
                    self.state = State::Failed;
                    return Poll::Ready(Err(UploadError::Body(error)));
                }
            };
            if self.dirty {
                let mut turn = Turn { io: &mut *io, written: &mut self.written, left: &mut left };
                match self.output.poll_flush(&mut turn, cx) {
                    Poll::Ready(Ok(())) => {}
                    Poll::Ready(Err(error)) => return Poll::Ready(self.broken(error)),
                    Poll::Pending => {
                        let elapsed = ready!(self.stall.poll(self.written, cx));
                        self.state = State::Failed;
                        return Poll::Ready(Err(UploadError::Body(Http1Error::WriteTimeout(elapsed))));
                    }
                }
                self.stall.deadline.clear();
                self.dirty = false;
                self.output.release();
            }
            match filled {
                Filled::Full => {}
                Filled::Starved => return Poll::Pending,
                Filled::Complete => self.state = State::Done,
            }
        }
        Poll::Ready(Ok(()))
    }

    /// Moves frames of the body into the output while there is room.
    fn fill(&mut self, cx: &mut Context<'_>) -> Result<Filled, Http1Error> {
        while matches!(self.state, State::Streaming) {
            if !self.output.has_room() {
                return Ok(Filled::Full);
            }
            self.polled = true;
            match Pin::new(&mut self.body).poll_frame(cx) {
                Poll::Pending => return Ok(Filled::Starved),
                Poll::Ready(None) => self.end(None)?,
                Poll::Ready(Some(Err(error))) => return Err(Http1Error::RequestBody(error)),
                Poll::Ready(Some(Ok(frame))) => match frame.into_data() {
                    Ok(data) => self.push(data)?,
                    Err(frame) => self.end(frame.into_trailers().ok())?,
                },
            }
        }
        Ok(if self.is_held() { Filled::Starved } else { Filled::Complete })
    }

    fn push(&mut self, data: Bytes) -> Result<(), Http1Error> {
        // An empty chunk would end the body.
        if data.is_empty() {
            return Ok(());
        }
        self.dirty = true;
        if self.encoding == BodyEncoding::Chunked {
            encode_chunk_header(self.output.encoded(), data.len() as u64);
            self.output.push(&data, CHUNK_END);
            return Ok(());
        }
        // RFC 9110 section 8.6: not one byte more than was announced, as it would be read as the next request.
        self.owed = self.owed.checked_sub(data.len() as u64).ok_or_else(|| self.wrong_length())?;
        self.output.push(&data, b"");
        if self.owed == 0 {
            self.state = State::Queued;
        }
        Ok(())
    }

    fn end(&mut self, trailers: Option<HeaderMap>) -> Result<(), Http1Error> {
        if self.encoding == BodyEncoding::Chunked {
            encode_last_chunk(self.output.encoded(), trailers.as_ref());
            self.dirty = true;
        } else if self.owed > 0 {
            return Err(self.wrong_length());
        }
        self.state = State::Queued;
        Ok(())
    }

    fn wrong_length(&self) -> Http1Error {
        let declared = if let BodyEncoding::Length(length) = self.encoding { length } else { 0 };
        Http1Error::RequestBodyLength { declared }
    }

    fn broken(&mut self, error: io::Error) -> Result<(), UploadError> {
        use io::ErrorKind::{BrokenPipe, ConnectionAborted, ConnectionReset, NotConnected};
        let gone = matches!(error.kind(), BrokenPipe | ConnectionAborted | ConnectionReset | NotConnected);
        if self.written == 0 || !gone {
            return Err(UploadError::Io(error));
        }
        self.output.clear();
        self.state = State::Broken(error);
        Ok(())
    }
}

impl Stall {
    /// Ready when a blocked write has made no progress for too long.
    #[cold]
    fn poll(&mut self, written: u64, cx: &mut Context<'_>) -> Poll<Elapsed> {
        let Some(limit) = self.limit else { return Poll::Pending };
        if !self.deadline.is_set() || self.written != written {
            self.written = written;
            self.deadline.set(Some(Instant::now() + limit));
        }
        self.deadline.poll(cx).map(|()| Elapsed { what: "the peer's reading of the request", limit })
    }
}

/// An IO that counts what it takes, and that takes a turn's number of writes.
struct Turn<'a, IO> {
    io: &'a mut IO,
    written: &'a mut u64,
    left: &'a mut usize,
}

impl<IO: AsyncWrite + Unpin> Turn<'_, IO> {
    fn poll_any(
        &mut self,
        cx: &mut Context<'_>,
        write: impl FnOnce(Pin<&mut IO>, &mut Context<'_>) -> Poll<io::Result<usize>>,
    ) -> Poll<io::Result<usize>> {
        if *self.left == 0 {
            cx.waker().wake_by_ref();
            return Poll::Pending;
        }
        let n = ready!(write(Pin::new(&mut *self.io), cx))?;
        *self.left -= 1;
        *self.written += n as u64;
        Poll::Ready(Ok(n))
    }
}

impl<IO: AsyncWrite + Unpin> AsyncWrite for Turn<'_, IO> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        self.poll_any(cx, |io, cx| io.poll_write(cx, buf))
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        self.poll_any(cx, |io, cx| io.poll_write_vectored(cx, bufs))
    }

    fn is_write_vectored(&self) -> bool {
        self.io.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut *self.io).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut *self.io).poll_shutdown(cx)
    }
}

/// What stands in for a body that has failed: it fails again.
struct Spent;

impl http_body::Body for Spent {
    type Data = Bytes;
    type Error = BoxError;

    fn poll_frame(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        Poll::Ready(Some(Err("the body has failed before".into())))
    }
}
