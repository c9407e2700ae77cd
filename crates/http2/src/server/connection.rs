//! The life of a connection: its streams come, are served and go, until it ends.

use std::{
    future::poll_fn,
    io,
    pin::{Pin, pin},
    sync::Arc,
    task::{Context, Poll, Wake, Waker},
};

use chaski_core::{
    Conn, Deadline, Elapsed, Extensions, HttpVersion, IntoBoxError, Io, Service, ShutdownMoment, ShutdownSignal,
    http::{Body, InformationalSource, Message, Request, Response},
};
use h2::{
    Reason, RecvStream,
    server::{self, SendResponse},
};
use http::{Method, Version};
use tokio::{
    task::{coop::has_budget_remaining, yield_now},
    time::Instant,
};

use super::{
    body::RequestBody,
    config::Http2ServerConfig,
    error::Http2ServerError,
    place::{Connecting, End, Place, Serving},
    request::{Expectation, check},
    schedule::Schedule,
    watch::Watch,
};
use crate::{
    ConnectProtocol, ErrorCode,
    engine::{Budget, Chunk, Incoming, Pinger, Room, Wire, WireState},
};

/// So many parts are polled in one turn of the connection's task: a service that is always ready must not keep the thread
/// from all other connections.
const PARTS_IN_TURN: usize = 128;

/// So many streams are taken in before those that are there have their turn.
const STREAMS_IN_TURN: usize = 64;

/// So many bytes, and a read more, are read before the streams have their turn.
const READ_IN_TURN: usize = 256 * 1024;

/// A connection that has served so many streams keeps so many places while it is idle: more are likely to come.
const BUSY: u32 = 16;
const KEPT: usize = 4;

/// The connection itself among its parts.
const SELF: usize = 0;

/// Serves a connection to its end.
pub(super) async fn run<S, I>(
    conn: Conn<I>,
    service: &S,
    config: &Http2ServerConfig,
    shutdown: Option<ShutdownSignal>,
) -> Result<(), Http2ServerError>
where
    S: Service<Request, Output = Response, Error: IntoBoxError>,
    I: Io,
{
    let Conn { io, ext } = conn;
    let (wire, state) = Wire::of_server(io, config.linger, config.max_control_frames);
    let mut shutdown = shutdown.map(|signal| signal.draining());
    let Some(h2) = handshake(wire, &state, config, &mut shutdown).await? else { return Ok(()) };
    let schedule = Arc::<Schedule>::default();
    schedule.wake(SELF);
    let waker = Waker::from(Arc::new(OwnWaker(Arc::clone(&schedule))));
    let mut connection = Connection::new(h2, state, ext, config, schedule, shutdown);
    let serve = |request| service.serve(request);
    poll_fn(|cx| connection.poll(&serve, &waker, cx)).await
}

/// Sends the settings and waits for the client's preface. `None` if the connection ends in peace before it.
async fn handshake<I: Io>(
    wire: Wire<I>,
    state: &WireState,
    config: &Http2ServerConfig,
    shutdown: &mut Option<ShutdownMoment>,
) -> Result<Option<server::Connection<Wire<I>, Chunk>>, Http2ServerError> {
    let mut deadline = Deadline::default();
    deadline.set(config.preface_timeout.map(|limit| Instant::now() + limit));
    let mut handshake = pin!(config.builder().handshake(wire));
    poll_fn(|cx| {
        state.allow(READ_IN_TURN);
        if let Poll::Ready(done) = handshake.as_mut().poll(cx) {
            return Poll::Ready(match done {
                Ok(h2) => Ok(Some(h2)),
                // A client that says nothing and goes, as those do that look whether a server is there.
                Err(error) if is_eof(&error) && !state.has_read() => Ok(None),
                Err(error) => Err(error.into()),
            });
        }
        if !state.has_read() && has_come(shutdown, cx) {
            return Poll::Ready(Ok(None));
        }
        match config.preface_timeout {
            Some(limit) if deadline.poll(cx).is_ready() => {
                Poll::Ready(Err(Elapsed { what: "the connection preface", limit }.into()))
            }
            _ => Poll::Pending,
        }
    })
    .await
}

fn is_eof(error: &h2::Error) -> bool {
    error.get_io().is_some_and(|error| error.kind() == io::ErrorKind::UnexpectedEof)
}

fn has_come(shutdown: &mut Option<ShutdownMoment>, cx: &mut Context<'_>) -> bool {
    shutdown.as_mut().is_some_and(|draining| Pin::new(draining).poll(cx).is_ready())
}

/// Has the connection itself polled.
struct OwnWaker(Arc<Schedule>);

impl Wake for OwnWaker {
    fn wake(self: Arc<Self>) {
        self.0.wake(SELF);
    }

    fn wake_by_ref(self: &Arc<Self>) {
        self.0.wake(SELF);
    }
}

pub(super) struct Connection<'a, I: Io, F> {
    /// One for each stream that is served, and free ones. Dropped before h2, so that bodies go before what they read.
    places: Vec<Place<F>>,
    free: Vec<usize>,
    pub(super) h2: server::Connection<Wire<I>, Chunk>,
    schedule: Arc<Schedule>,
    /// Parts that were woken and are polled in this round.
    batch: Vec<usize>,
    ext: Extensions,
    /// Whether anything is known about the connection; else requests get no scope.
    has_facts: bool,
    /// Streams that were served, up to [`BUSY`].
    served: u32,
    resets: Budget,
    room: Arc<Room>,
    pub(super) watch: Watch,
    pub(super) pinger: Pinger,
    shutdown: Option<ShutdownMoment>,
    pub(super) state: Arc<WireState>,
    pub(super) config: &'a Http2ServerConfig,
    /// What comes of the connection when h2 has said goodbye. In a box, as it is seldom there.
    pub(super) ending: Option<Box<Result<(), Http2ServerError>>>,
}

impl<'a, I: Io, F> Connection<'a, I, F> {
    fn new(
        h2: server::Connection<Wire<I>, Chunk>,
        state: Arc<WireState>,
        ext: Extensions,
        config: &'a Http2ServerConfig,
        schedule: Arc<Schedule>,
        shutdown: Option<ShutdownMoment>,
    ) -> Self {
        let has_facts = !ext.is_empty();
        if has_facts {
            ext.insert(HttpVersion(Version::HTTP_2));
        }
        Self {
            places: Vec::new(),
            free: Vec::new(),
            h2,
            schedule,
            batch: Vec::new(),
            ext,
            has_facts,
            served: 0,
            resets: Budget::default(),
            room: Room::new(config.max_unsent),
            watch: Watch::default(),
            pinger: Pinger::new(config.pings()),
            shutdown,
            state,
            config,
            ending: None,
        }
    }

    pub(super) fn active(&self) -> usize {
        self.places.len() - self.free.len()
    }

    pub(super) fn wake_self(&self) {
        self.schedule.wake(SELF);
    }

    /// There is nothing to do for now: an idle connection has no room for what may be large, unless it is a busy one.
    pub(super) fn let_go(&mut self) {
        let keep = if self.served < BUSY { 0 } else { KEPT };
        if self.places.len() > keep {
            self.places = self.places.drain(..keep).collect();
            self.free = (0..keep).collect();
        }
    }
}

impl<I: Io, F, E> Connection<'_, I, F>
where
    F: Future<Output = Result<Response, E>>,
    E: IntoBoxError,
{
    /// One turn: polls the parts that were woken, each as often as it is woken, until none is or the turn is over.
    fn poll(
        &mut self,
        serve: &impl Fn(Request) -> F,
        own: &Waker,
        cx: &mut Context<'_>,
    ) -> Poll<Result<(), Http2ServerError>> {
        self.schedule.begin(cx.waker());
        let mut batch = std::mem::take(&mut self.batch);
        let mut left = PARTS_IN_TURN;
        let mut ended = Poll::Pending;
        'turn: while self.schedule.take(&mut batch) {
            for (done, part) in batch.iter().enumerate() {
                // Without budget whatever waits on the runtime's own wakes itself for ever.
                if left == 0 || !has_budget_remaining() {
                    self.schedule.put_back(&batch[done..]);
                    // Deferred, so that the runtime looks for what has come meanwhile.
                    let _ = pin!(yield_now()).poll(cx);
                    break 'turn;
                }
                left -= 1;
                if *part == SELF {
                    ended = self.poll_self(serve, &mut Context::from_waker(own));
                } else {
                    self.poll_place(*part - 1);
                }
                if ended.is_ready() {
                    break 'turn;
                }
            }
            batch.clear();
        }
        batch.clear();
        self.batch = batch;
        ended
    }

    fn poll_place(&mut self, index: usize) {
        // One that is no longer there was woken by a handle that somebody kept.
        let Some(place) = self.places.get_mut(index) else { return };
        let Poll::Ready(end) = place.poll(self.config, &self.room) else { return };
        self.free.push(index);
        match end {
            End::Answered => self.resets.earn(1),
            End::Failed => {}
            End::Reset => self.count_reset(),
        }
        if self.active() == 0 {
            self.wake_self();
        }
    }

    /// CVE-2023-44487, CVE-2025-8671: whoever makes streams and has them reset gets work done without waiting for it.
    fn count_reset(&mut self) {
        if !self.resets.spend(1, self.config.max_resets) {
            self.refuse(ErrorCode::ENHANCE_YOUR_CALM);
        }
    }

    fn refuse(&mut self, code: ErrorCode) {
        self.close(u32::from(code).into(), Err(Http2ServerError::Refused(code)));
    }

    /// Takes in what the client sends, writes what waits, and watches over both.
    fn poll_self(&mut self, serve: &impl Fn(Request) -> F, cx: &mut Context<'_>) -> Poll<Result<(), Http2ServerError>> {
        if self.ending.is_none() && has_come(&mut self.shutdown, cx) {
            // Asked no more.
            self.shutdown = None;
            self.drain();
        }
        self.state.allow(READ_IN_TURN);
        for _ in 0..STREAMS_IN_TURN {
            match self.h2.poll_accept(cx) {
                Poll::Ready(Some(Ok((request, respond)))) => self.accept(request, respond, serve),
                Poll::Ready(Some(Err(error))) => {
                    return Poll::Ready(match self.ending.take() {
                        Some(ending) => *ending,
                        None => Err(self.failure(error)),
                    });
                }
                Poll::Ready(None) => {
                    return Poll::Ready(match self.ending.take() {
                        Some(ending) => *ending,
                        None if self.active() > 0 => Err(Http2ServerError::ClientGone),
                        None => Ok(()),
                    });
                }
                Poll::Pending => {
                    if let Some(code) = self.state.fault() {
                        self.refuse(code);
                    }
                    return self.poll_watch(cx);
                }
            }
        }
        // There may be more.
        self.wake_self();
        Poll::Pending
    }

    /// A client that closes without a word between two requests has done nothing wrong.
    fn failure(&self, error: h2::Error) -> Http2ServerError {
        if is_eof(&error) && self.active() > 0 {
            return Http2ServerError::ClientGone;
        }
        error.into()
    }

    /// Serves a stream.
    #[inline]
    fn accept(
        &mut self,
        request: http::Request<RecvStream>,
        mut respond: SendResponse<Chunk>,
        serve: &impl Fn(Request) -> F,
    ) {
        let (mut parts, stream) = request.into_parts();
        let checked = match check(&mut parts) {
            Ok(checked) => checked,
            Err(error) => {
                // RFC 9113 section 8.1.1.
                tracing::debug!(%error, "a malformed request was refused");
                respond.send_reset(Reason::PROTOCOL_ERROR);
                self.count_reset();
                return;
            }
        };
        let index = self.free.pop().unwrap_or_else(|| {
            self.places.push(Place::new(self.places.len() + 1, &self.schedule));
            self.places.len() - 1
        });
        if self.served < BUSY {
            self.served += 1;
        }
        let place = &mut self.places[index];
        let connects = parts.method == Method::CONNECT;
        // What follows the head of a CONNECT request is not its content.
        let has_body = !connects && !stream.is_end_stream();
        let expected = has_body && checked.expect == Expectation::Continue;
        let number = place.handle().begin(expected);
        let protocol = if connects { parts.extensions.remove::<h2::ext::Protocol>() } else { None };
        let mut serving = Serving {
            respond,
            method: parts.method.clone(),
            unmet: checked.expect == Expectation::Other,
            connect: None,
        };
        let mut request = Request::from_parts(parts, Body::empty());
        if self.has_facts || connects {
            let scope = self.ext.fork();
            if self.has_facts {
                scope.insert(InformationalSource(Arc::clone(place.handle()) as Arc<_>));
            }
            if let Some(protocol) = protocol {
                scope.insert(ConnectProtocol::new(protocol.as_str()));
            }
            request.set_scope(scope);
        }
        if connects {
            let scope = request.fork_scope();
            serving.connect = Some(Box::new(Connecting { receiver: stream, scope }));
        } else if has_body {
            let limit = self.config.body_timeout;
            let incoming = Incoming::new(stream, checked.length, limit, "a read of the request's body");
            *request.body_mut() = Body::new(RequestBody::new(incoming, Arc::clone(place.handle()), number, expected));
        }
        place.begin(serving, request, serve);
        self.schedule.wake(index + 1);
    }
}
