//! The body that is sent.

use std::{
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
    time::Duration,
};

use bytes::{Bytes, BytesMut};
use chaski_core::{BoxError, Deadline, Elapsed, http::Body};
use h2::SendStream;
use http::HeaderMap;
use http_body::{Body as _, Frame};
use tokio::time::Instant;

use super::{Chunk, Room, trailers};
use crate::ErrorCode;

/// So many frames of a body are sent in one turn, if they are there: a body of many tiny ones that are always ready must not
/// keep the others from theirs.
const FRAMES_IN_TURN: u32 = 32;

/// Frames with fewer bytes are joined while more of them are ready: what a frame costs is held against whoever sends many
/// small ones.
const SMALL: usize = 1024;

/// They are joined up to here.
const JOINED: usize = 8 * 1024;

/// Sends a body, frame by frame, as the windows of flow control allow.
///
/// One frame is held at a time. What h2 was given and could not write yet is bounded by its buffer for each stream, and by
/// the room of the connection.
pub(crate) struct Pump {
    stream: SendStream<Chunk>,
    body: Body,
    /// What waits for the window.
    held: Bytes,
    /// What follows it.
    next: Bytes,
    /// Small frames that are being joined.
    joined: BytesMut,
    rest: Rest,
    /// What the head promised and was not sent yet.
    left: Option<u64>,
    room: Arc<Room>,
    /// The body was there before it was sent: what of it waits is no memory of the connection's, and takes no room.
    in_hand: bool,
    /// How long the peer may leave the window shut.
    limit: Option<Duration>,
    deadline: Deadline,
}

/// What follows the data that is at hand.
enum Rest {
    /// The body is to be asked.
    More,
    /// The end.
    End,
    Trailers(HeaderMap),
    /// The stream has been ended.
    Sent,
}

/// Why a body was not sent to its end.
#[derive(Debug)]
pub(crate) enum PumpError {
    /// The body failed, or is not as long as its head says.
    Body(BoxError),
    /// The peer does not want it.
    Reset(ErrorCode),
    /// The peer does not read.
    Stalled(Elapsed),
    /// The connection has ended.
    Closed,
}

/// A body does not keep what its length promised.
#[derive(Debug, thiserror::Error)]
#[error("the body is {verb} than its length says")]
struct WrongLength {
    verb: &'static str,
}

impl Pump {
    /// Sends `body` on `stream`; `length` is that of the head.
    pub(crate) fn new(
        stream: SendStream<Chunk>,
        body: Body,
        length: Option<u64>,
        room: Arc<Room>,
        limit: Option<Duration>,
    ) -> Self {
        Self {
            stream,
            in_hand: body.as_full().is_some(),
            body,
            held: Bytes::new(),
            next: Bytes::new(),
            joined: BytesMut::new(),
            rest: Rest::More,
            left: length,
            room,
            limit,
            deadline: Deadline::default(),
        }
    }

    /// Resets the stream, for a body that failed.
    pub(crate) fn reset(&mut self, code: ErrorCode) {
        self.stream.send_reset(u32::from(code).into());
    }

    /// Goes on. `Ready` when the stream has been ended, or cannot be.
    ///
    /// # Panics
    ///
    /// When the body does.
    pub(crate) fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), PumpError>> {
        for _ in 0..FRAMES_IN_TURN {
            while !self.held.is_empty() {
                match self.poll_send(cx) {
                    Poll::Ready(Ok(())) => {}
                    Poll::Ready(Err(error)) => return Poll::Ready(Err(error)),
                    Poll::Pending => return self.poll_stalled(cx),
                }
            }
            match std::mem::replace(&mut self.rest, Rest::Sent) {
                Rest::More => self.rest = Rest::More,
                Rest::End => return Poll::Ready(self.send_end()),
                Rest::Trailers(trailers) => return Poll::Ready(self.send_trailers(trailers)),
                Rest::Sent => return Poll::Ready(Ok(())),
            }
            match Pin::new(&mut self.body).poll_frame(cx) {
                Poll::Ready(frame) => self.take(frame)?,
                Poll::Pending if !self.joined.is_empty() => self.held = self.joined.split().freeze(),
                // Nobody else would notice that the peer has lost interest.
                Poll::Pending => return self.stream.poll_reset(cx).map(|reset| Err(gone(reset))),
            }
        }
        cx.waker().wake_by_ref();
        Poll::Pending
    }

    /// Takes in what the body gave. Nothing is held then.
    fn take(&mut self, frame: Option<Result<Frame<Bytes>, BoxError>>) -> Result<(), PumpError> {
        let mut data = Bytes::new();
        match frame.transpose().map_err(PumpError::Body)?.map(Frame::into_data) {
            Some(Ok(bytes)) => data = bytes,
            Some(Err(frame)) => self.rest = Rest::Trailers(frame.into_trailers().unwrap_or_default()),
            None => self.rest = Rest::End,
        }
        if let Some(left) = &mut self.left {
            *left = left.checked_sub(data.len() as u64).ok_or_else(|| wrong_length("longer"))?;
        }
        if matches!(self.rest, Rest::More) && self.body.is_end_stream() {
            self.rest = Rest::End;
        }
        if matches!(self.rest, Rest::More) {
            if data.len() < SMALL && self.joined.len() < JOINED {
                self.joined.extend_from_slice(&data);
                return Ok(());
            }
        } else {
            self.check_all_sent()?;
        }
        if self.joined.is_empty() {
            self.held = data;
        } else {
            self.held = self.joined.split().freeze();
            self.next = data;
        }
        Ok(())
    }

    /// RFC 9113 section 8.1.1: a message whose length is not that of its data is malformed.
    fn check_all_sent(&self) -> Result<(), PumpError> {
        match self.left {
            None | Some(0) => Ok(()),
            Some(_) => Err(wrong_length("shorter")),
        }
    }

    fn send_trailers(&mut self, mut trailers: HeaderMap) -> Result<(), PumpError> {
        trailers::retain_allowed(&mut trailers);
        if trailers.is_empty() {
            return self.send_end();
        }
        self.stream.send_trailers(trailers).map_err(|_| PumpError::Closed)
    }

    /// Ends the stream behind what was sent.
    fn send_end(&mut self) -> Result<(), PumpError> {
        self.stream.send_data(Chunk::small(Bytes::new()), true).map_err(|_| PumpError::Closed)
    }

    /// Hands over as much of the held data as the window, the buffer and the connection's room take.
    fn poll_send(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), PumpError>> {
        self.stream.reserve_capacity(self.held.len());
        let mut window = self.stream.capacity();
        if window == 0 {
            window = match self.stream.poll_capacity(cx) {
                Poll::Ready(Some(Ok(window))) => window,
                // The stream is closed for sending: the peer reset it, or the connection ended.
                Poll::Ready(_) => {
                    return match self.stream.poll_reset(cx) {
                        Poll::Ready(reset) => Poll::Ready(Err(gone(reset))),
                        Poll::Pending => Poll::Ready(Err(PumpError::Closed)),
                    };
                }
                Poll::Pending => {
                    if let Some(limit) = self.limit
                        && !self.deadline.is_set()
                    {
                        self.deadline.set(Some(Instant::now() + limit));
                    }
                    return Poll::Pending;
                }
            };
        }
        self.deadline.clear();
        let chunk = if self.in_hand {
            Some(Chunk::small(self.held.split_to(window.min(self.held.len()))))
        } else {
            Chunk::split_off(&mut self.held, window, &self.room, cx)
        };
        let Some(chunk) = chunk else {
            // Its siblings have filled the connection, which is the connection's to watch.
            return self.stream.poll_reset(cx).map(|reset| Err(gone(reset)));
        };
        if self.held.is_empty() {
            self.held = std::mem::take(&mut self.next);
        }
        let last = matches!(self.rest, Rest::End) && self.held.is_empty();
        if last {
            self.rest = Rest::Sent;
        }
        Poll::Ready(self.stream.send_data(chunk, last).map_err(|_| PumpError::Closed))
    }

    /// Nothing can be sent now.
    fn poll_stalled(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), PumpError>> {
        // No frame can be taken, but a body that is fed by the peer's own upload has to go on taking that: the peer may
        // not read before it has sent everything.
        self.body.poll_progress(cx);
        let Some(limit) = self.limit else { return Poll::Pending };
        self.deadline.poll(cx).map(|()| Err(PumpError::Stalled(Elapsed { what: "the peer's reading", limit })))
    }
}

fn gone(reset: Result<h2::Reason, h2::Error>) -> PumpError {
    reset.map_or(PumpError::Closed, |reason| PumpError::Reset(reason.into()))
}

fn wrong_length(verb: &'static str) -> PumpError {
    PumpError::Body(WrongLength { verb }.into())
}
