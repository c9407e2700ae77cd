//! The body of a request on its way out.

use std::{
    sync::Arc,
    task::{Context, Poll},
    time::Duration,
};

use chaski_core::http::Body;
use h2::SendStream;

use super::Http2Error;
use crate::engine::{Chunk, Pump, PumpError, Room};

/// The largest body in hand that is given to h2 as a whole, so that it leaves with the head. A larger one is sent by a pump,
/// which waits for the windows, and notices a peer that does not open them.
const AT_ONCE: usize = 16 * 1024;

/// The upload of one request. Dropped before its end it is given up: h2 throws away what it was given, and resets a stream
/// to which there is no handle any more.
pub(super) struct Upload {
    state: State,
}

/// On what terms a body is pumped.
pub(super) struct Terms {
    /// The length that the head has told.
    pub(super) length: Option<u64>,
    pub(super) room: Arc<Room>,
    pub(super) write_timeout: Option<Duration>,
}

/// ```text
/// Held --> Pumping --> Over
///   +--------------------^
/// ```
enum State {
    /// The body waits for `100 Continue`.
    Held { stream: SendStream<Chunk>, body: Body, terms: Terms },
    /// The body has more frames, or they wait for the window.
    Pumping(Box<Pump>),
    /// There is no body, h2 has all of it, or the peer wants no more of it.
    Over,
}

impl Upload {
    /// A request without a body.
    pub(super) fn none() -> Self {
        Self { state: State::Over }
    }

    /// `hold` keeps the body back until it is [released](Self::release).
    pub(super) fn new(stream: SendStream<Chunk>, body: Body, terms: Terms, hold: bool) -> Self {
        let mut upload = Self { state: State::Held { stream, body, terms } };
        if !hold {
            upload.release();
        }
        upload
    }

    /// Lets go of a body that was held. Says whether one was.
    pub(super) fn release(&mut self) -> bool {
        match std::mem::replace(&mut self.state, State::Over) {
            State::Held { mut stream, body, terms } => {
                self.state = match body.as_full() {
                    Some(full) if full.len() <= AT_ONCE => {
                        // Where the stream has ended already, its response tells why.
                        let _ = stream.send_data(Chunk::small(full.clone()), true);
                        State::Over
                    }
                    _ => {
                        let Terms { length, room, write_timeout } = terms;
                        State::Pumping(Box::new(Pump::new(stream, body, length, room, write_timeout)))
                    }
                };
                true
            }
            state => {
                self.state = state;
                false
            }
        }
    }

    pub(super) fn is_held(&self) -> bool {
        matches!(self.state, State::Held { .. })
    }

    /// Whether nothing more is to be done.
    pub(super) fn is_over(&self) -> bool {
        matches!(self.state, State::Over)
    }

    /// The body, if nothing was taken out of it.
    pub(super) fn take_untouched(&mut self) -> Option<Body> {
        match &mut self.state {
            State::Held { body, .. } => Some(std::mem::take(body)),
            _ => None,
        }
    }

    /// Goes on.
    ///
    /// # Errors
    ///
    /// The body has failed, or the peer takes nothing of it. A peer that takes no more of it is no error: it may well send
    /// its response to the end.
    pub(super) fn poll(&mut self, cx: &mut Context<'_>) -> Result<(), Http2Error> {
        let State::Pumping(pump) = &mut self.state else { return Ok(()) };
        let result = match pump.poll(cx) {
            Poll::Pending => return Ok(()),
            Poll::Ready(Ok(()) | Err(PumpError::Reset(_) | PumpError::Closed)) => Ok(()),
            Poll::Ready(Err(PumpError::Body(error))) => Err(Http2Error::RequestBody(error)),
            Poll::Ready(Err(PumpError::Stalled(elapsed))) => Err(Http2Error::WriteTimeout(elapsed)),
        };
        self.state = State::Over;
        result
    }
}
