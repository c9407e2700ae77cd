//! The life of a stream: the call to the service, its answer, its body.

use std::{
    panic::{AssertUnwindSafe, catch_unwind},
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, Waker},
};

use chaski_core::{
    BoxIo, Conn, Extensions, IntoBoxError, display_chain,
    http::{Request, Response, Upgrade},
};
use h2::{Reason, RecvStream, server::SendResponse};
use http::{Method, StatusCode, header};

use super::{
    config::Http2ServerConfig,
    date::date,
    handle::{Handle, interim},
    response::{Plan, bare, prepare, remove_connection_fields},
    schedule::Schedule,
};
use crate::{
    ErrorCode,
    engine::{Chunk, Pump, PumpError, Room, Tunnel},
};

/// Up to this many bytes of a body in hand are given to h2 at once, whatever the window: there are at most so many for each
/// stream. Longer ones wait here for the window.
const SMALL: usize = 16 * 1024;

/// Where a stream is served, and after it another one: the room for the call to the service, its waker and its handle are
/// used again.
pub(super) struct Place<F> {
    handle: Arc<Handle>,
    waker: Waker,
    call: Pin<Box<Option<F>>>,
    stage: Stage,
}

enum Stage {
    Free,
    Serving(Serving),
    Sending(Box<Pump>),
    /// The stream is no longer a message's, but the continuation's of an upgrade.
    Switched(Pin<Box<dyn Future<Output = ()> + Send>>),
}

/// A request whose answer is pending.
pub(super) struct Serving {
    pub(super) respond: SendResponse<Chunk>,
    pub(super) method: Method,
    /// The client expects what is not known here.
    pub(super) unmet: bool,
    /// What a CONNECT request may become. In a box, as few are.
    pub(super) connect: Option<Box<Connecting>>,
}

/// What is kept of a CONNECT request for its tunnel.
pub(super) struct Connecting {
    pub(super) receiver: RecvStream,
    /// A child of the request's scope.
    pub(super) scope: Extensions,
}

/// How a stream ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum End {
    /// The answer was given to h2 in whole.
    Answered,
    /// The client reset it before that.
    Reset,
    /// The answer failed on the way.
    Failed,
}

impl<F> Place<F> {
    pub(super) fn new(part: usize, schedule: &Arc<Schedule>) -> Self {
        let handle = Handle::new(part, Arc::clone(schedule));
        let waker = Waker::from(Arc::clone(&handle));
        Self { handle, waker, call: Box::pin(None), stage: Stage::Free }
    }

    pub(super) fn handle(&self) -> &Arc<Handle> {
        &self.handle
    }

    /// Takes a stream in, and calls the service unless its request is already known to be answered without.
    pub(super) fn begin(&mut self, serving: Serving, request: Request, serve: impl FnOnce(Request) -> F) {
        let mut call = self.call.as_mut();
        if !serving.unmet {
            // The call may panic before there is a future; then there is none.
            let _ = catch_unwind(AssertUnwindSafe(|| call.set(Some(serve(request)))));
        }
        self.stage = Stage::Serving(serving);
    }
}

impl<F, E> Place<F>
where
    F: Future<Output = Result<Response, E>>,
    E: IntoBoxError,
{
    /// Goes on with the stream. A place without one is never ready.
    pub(super) fn poll(&mut self, config: &Http2ServerConfig, room: &Arc<Room>) -> Poll<End> {
        let polled = catch_unwind(AssertUnwindSafe(|| self.poll_stage(config, room)));
        polled.unwrap_or_else(|_| Poll::Ready(self.abandon()))
    }

    fn poll_stage(&mut self, config: &Http2ServerConfig, room: &Arc<Room>) -> Poll<End> {
        let mut cx = Context::from_waker(&self.waker);
        let cx = &mut cx;
        if let Stage::Serving(serving) = &mut self.stage {
            let called = match self.call.as_mut().as_pin_mut() {
                // A panic costs this stream, not its siblings.
                Some(future) => match catch_unwind(AssertUnwindSafe(|| future.poll(cx))) {
                    Ok(Poll::Ready(Ok(response))) => Poll::Ready(response),
                    Ok(Poll::Ready(Err(error))) => Poll::Ready(failed(&self.handle, serving, &*error.into_box_error())),
                    Ok(Poll::Pending) => Poll::Pending,
                    Err(_) => Poll::Ready(panicked(serving)),
                },
                // RFC 9110 section 10.1.1: an expectation other than 100-continue may be answered with 417.
                None if serving.unmet => Poll::Ready(bare(StatusCode::EXPECTATION_FAILED)),
                None => Poll::Ready(panicked(serving)),
            };
            let Poll::Ready(response) = called else {
                send_news(&self.handle, serving, cx);
                if serving.respond.poll_reset(cx).is_pending() {
                    return Poll::Pending;
                }
                return Poll::Ready(self.end(End::Reset));
            };
            // What the future still holds, the request's body for one, is let go of before the answer begins.
            self.call.as_mut().set(None);
            send_news(&self.handle, serving, cx);
            if self.handle.close() && serving.respond.poll_reset(cx).is_pending() {
                // Somebody still holds the body: another task, or the answer's own body. It will be read beside the answer,
                // and there is no asking for it once the final head has left.
                let _ = serving.respond.send_informational(interim(StatusCode::CONTINUE));
            }
            match answer(serving, response, config, room) {
                Answer::Whole => return Poll::Ready(self.end(End::Answered)),
                Answer::Failed => return Poll::Ready(self.end(End::Failed)),
                Answer::Body(pump) => self.stage = Stage::Sending(pump),
                Answer::Switch(continuation) => self.stage = Stage::Switched(continuation),
            }
        }
        if let Stage::Switched(continuation) = &mut self.stage {
            return match catch_unwind(AssertUnwindSafe(|| continuation.as_mut().poll(cx))) {
                Ok(Poll::Pending) => Poll::Pending,
                Ok(Poll::Ready(())) => Poll::Ready(self.end(End::Answered)),
                Err(_) => {
                    tracing::error!("the continuation of an upgrade panicked");
                    Poll::Ready(self.end(End::Failed))
                }
            };
        }
        let Stage::Sending(pump) = &mut self.stage else { return Poll::Pending };
        let sent = match catch_unwind(AssertUnwindSafe(|| pump.poll(cx))) {
            Ok(Poll::Pending) => return Poll::Pending,
            Ok(Poll::Ready(sent)) => sent,
            Err(_) => {
                tracing::error!("the body of a response panicked");
                pump.reset(ErrorCode::INTERNAL_ERROR);
                return Poll::Ready(self.end(End::Failed));
            }
        };
        let end = match sent {
            Ok(()) => End::Answered,
            Err(PumpError::Reset(code)) => {
                tracing::debug!(%code, "a client reset a stream");
                End::Reset
            }
            Err(PumpError::Closed) => End::Reset,
            Err(PumpError::Body(error)) => {
                tracing::warn!(error = %display_chain(&*error), "the body of a response failed");
                // RFC 9113 section 5.4.2: all that is left to say; what stops short is no complete answer.
                pump.reset(ErrorCode::INTERNAL_ERROR);
                End::Failed
            }
            Err(PumpError::Stalled(elapsed)) => {
                tracing::debug!(%elapsed, "a stream was reset");
                pump.reset(ErrorCode::CANCEL);
                End::Failed
            }
        };
        Poll::Ready(self.end(end))
    }

    /// Lets go of all that the stream had. Last of what is foreign, whose drop may panic.
    fn end(&mut self, end: End) -> End {
        self.handle.close();
        let stage = std::mem::replace(&mut self.stage, Stage::Free);
        self.call.as_mut().set(None);
        drop(stage);
        end
    }

    /// The stream panicked where nothing better can be said of it: in a drop, for one.
    fn abandon(&mut self) -> End {
        tracing::error!("a service or its answer panicked when it was let go");
        match &mut self.stage {
            Stage::Serving(serving) => serving.respond.send_reset(Reason::INTERNAL_ERROR),
            Stage::Sending(pump) => pump.reset(ErrorCode::INTERNAL_ERROR),
            Stage::Free | Stage::Switched(_) => {}
        }
        self.end(End::Failed)
    }
}

/// Sends what the service wants to be sent ahead of its answer, unless the stream is closed: h2 would send it behind the
/// reset, where the client may take it for an error of the connection (RFC 9113 section 5.1).
fn send_news(handle: &Handle, serving: &mut Serving, cx: &mut Context<'_>) {
    let news = handle.take_news();
    if news.is_empty() || serving.respond.poll_reset(cx).is_ready() {
        return;
    }
    for response in news {
        // It fails if the client has gone, and then there is nobody to tell.
        let _ = serving.respond.send_informational(response);
    }
}

enum Answer {
    Whole,
    Body(Box<Pump>),
    Switch(Pin<Box<dyn Future<Output = ()> + Send>>),
    Failed,
}

/// Sends an answer: its head, and its body if that is in hand and small.
#[inline]
fn answer(serving: &mut Serving, mut response: Response, config: &Http2ServerConfig, room: &Arc<Room>) -> Answer {
    let status = response.status();
    // RFC 9113 section 8.6: there is no 101. No other informational status is an answer (RFC 9110 section 15.2).
    let switches = serving.method == Method::CONNECT && status.is_success();
    if switches && let Some(upgrade) = Upgrade::detach(&mut response) {
        return switch(serving, response, upgrade, room);
    }
    let plan = if status.is_informational() || switches {
        tracing::error!(%status, "a service answered with a status that it cannot answer with here");
        None
    } else {
        let plan = prepare(&serving.method, &mut response);
        plan.inspect_err(|error| tracing::error!(%error, "a response cannot be sent")).ok()
    };
    let plan = plan.unwrap_or_else(|| {
        response = bare(StatusCode::INTERNAL_SERVER_ERROR);
        prepare(&serving.method, &mut response).unwrap_or(Plan::Head)
    });
    let (head, body) = response.into_parts();
    let head = http::Response::from_parts(head, ());
    let sent = serving.respond.send_response(head, plan == Plan::Head);
    let mut stream = match sent {
        Ok(stream) => stream,
        Err(error) => {
            // Nearly always since the client has reset the stream.
            tracing::debug!(%error, "a response was not sent");
            serving.respond.send_reset(Reason::INTERNAL_ERROR);
            return Answer::Failed;
        }
    };
    match (plan, body.as_full()) {
        (Plan::Head, _) => Answer::Whole,
        (Plan::Body(_), Some(bytes)) if bytes.len() <= SMALL => {
            match stream.send_data(Chunk::small(bytes.clone()), true) {
                Ok(()) => Answer::Whole,
                Err(_) => Answer::Failed,
            }
        }
        (Plan::Body(length), _) => {
            Answer::Body(Box::new(Pump::new(stream, body, length, Arc::clone(room), config.write_timeout)))
        }
    }
}

/// RFC 9113 section 8.5: a 2xx answer to CONNECT, behind which the stream is a tunnel.
#[cold]
fn switch(serving: &mut Serving, response: Response, upgrade: Upgrade, room: &Arc<Room>) -> Answer {
    let (mut head, _) = response.into_parts();
    remove_connection_fields(&mut head.headers);
    // RFC 9110 section 9.3.6: what follows is no content.
    head.headers.remove(header::CONTENT_LENGTH);
    head.headers.entry(header::DATE).or_insert_with(date);
    let Some(connect) = serving.connect.take() else { return Answer::Failed };
    match serving.respond.send_response(http::Response::from_parts(head, ()), false) {
        Ok(sender) => {
            let Connecting { receiver, scope } = *connect;
            let io: BoxIo = Box::new(Tunnel::new(sender, receiver, Arc::clone(room)));
            Answer::Switch(upgrade.run(Conn { io, ext: scope }))
        }
        Err(error) => {
            tracing::debug!(%error, "a response was not sent");
            Answer::Failed
        }
    }
}

/// The answer for a service that failed.
#[cold]
fn failed(handle: &Handle, serving: &Serving, error: &(dyn std::error::Error + 'static)) -> Response {
    tracing::warn!(error = %display_chain(error), method = %serving.method, "a service failed");
    bare(handle.status_of_failure())
}

/// The answer for a service that panicked.
#[cold]
fn panicked(serving: &Serving) -> Response {
    tracing::error!(method = %serving.method, "a service panicked");
    bare(StatusCode::INTERNAL_SERVER_ERROR)
}
