//! A connector whose sessions do what a test says.

use std::{
    collections::VecDeque,
    future::poll_fn,
    pin::Pin,
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, AtomicUsize, Ordering::SeqCst},
    },
    task::{Context, Poll, ready},
    time::Duration,
};

use bytes::Bytes;
use chaski_client::{Client, ClientConfig, ClientError};
use chaski_core::{
    BoxError, Connect, ConnectError, ConnectStage, Extensions, Host, SendError, ServerIdentity, Service, Session,
    SessionState, Slots, Target,
    http::{Body, Message, Request, Response},
};
use http_body::Frame;
use tokio::{sync::Notify, task::JoinHandle};

/// What a session does with a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Act {
    /// Answers with bytes in hand.
    Answer,
    /// Answers with a body of two frames.
    Stream,
    /// Answers, and closes as `Connection: close` has it.
    AnswerAndClose,
    /// Closes before anything of the request was sent.
    CloseUnsent,
    /// Refuses the request unprocessed, and goes on.
    Unprocessed,
    /// Takes the request, and closes without an answer.
    CloseSilent,
    /// Takes the request, and breaks off within the head of the answer.
    BreakOff,
    /// Never answers.
    Hang,
    /// Answers 417 to an expectation, with the body unread; else as `Answer`.
    RefuseExpectation,
    /// The same, after a frame of the body.
    RefuseExpectationLate,
    /// Answers 417 to everything.
    Refuse,
    /// Answers 421.
    Misdirected,
}

/// A request as a session saw it: the number of the connection, method and body.
pub(crate) type Seen = (usize, String, Bytes);

#[derive(Default)]
pub(crate) struct Server {
    pub(crate) connects: AtomicUsize,
    pub(crate) live: AtomicUsize,
    pub(crate) seen: Mutex<Vec<Seen>>,
    /// What is done with the next requests; `Answer` when there is no more.
    pub(crate) script: Mutex<VecDeque<Act>>,
    /// What follows `Answer` on every connection's first request, if anything.
    pub(crate) on_reuse: Mutex<Option<Act>>,
    pub(crate) refuse: AtomicBool,
    pub(crate) dial: Mutex<Duration>,
    /// How long a dial of this host takes, whatever `dial` says.
    pub(crate) slow: Mutex<Option<(&'static str, Duration)>>,
    pub(crate) shared: AtomicBool,
    /// How many requests at once a shared session takes; 100 when it is 0.
    pub(crate) most: AtomicUsize,
    /// The hosts that every server proves to be; `*` for any.
    pub(crate) certified: Mutex<Vec<&'static str>>,
    /// Who has proved it, if not the server that is asked for: a proxy on the way.
    pub(crate) proved_by: Mutex<Option<&'static str>>,
    last: Mutex<Option<Arc<Line>>>,
}

/// The state of a connection.
pub(crate) struct Line {
    number: usize,
    requests: AtomicUsize,
    busy: AtomicUsize,
    closed: AtomicBool,
    changed: Arc<Notify>,
    /// Each look spends some of what the runtime lets a task do in a turn, as a look at a socket does that was readable.
    pub(crate) spends: AtomicBool,
}

impl Line {
    /// Tells whoever watches that something has changed.
    pub(crate) fn changed(&self) {
        self.changed.notify_one();
    }

    /// What the peer does when it closes.
    pub(crate) fn close(&self) {
        self.closed.store(true, SeqCst);
        self.changed.notify_one();
    }
}

pub(crate) struct Scripted {
    server: Arc<Server>,
    line: Arc<Line>,
    scope: Extensions,
}

/// Connects to a [`Server`].
#[derive(Clone)]
pub(crate) struct Dialer(pub(crate) Arc<Server>);

impl Service<Connect> for Dialer {
    type Output = Scripted;
    type Error = ConnectError;

    async fn serve(&self, connect: Connect) -> Result<Scripted, ConnectError> {
        let server = Arc::clone(&self.0);
        let number = server.connects.fetch_add(1, SeqCst);
        let dial = match *server.slow.lock().unwrap() {
            Some((host, slow)) if connect.target.to_string().starts_with(host) => slow,
            _ => *server.dial.lock().unwrap(),
        };
        tokio::time::sleep(dial).await;
        if server.refuse.load(SeqCst) {
            return Err(ConnectError::new(ConnectStage::Dial).with_source("refused"));
        }
        let line = Arc::new(Line {
            number,
            requests: AtomicUsize::new(0),
            busy: AtomicUsize::new(0),
            closed: AtomicBool::new(false),
            changed: Arc::default(),
            spends: AtomicBool::new(false),
        });
        *server.last.lock().unwrap() = Some(Arc::clone(&line));
        // After it, so that who sees a session that lives finds the last one.
        server.live.fetch_add(1, SeqCst);
        let scope = Extensions::new();
        if let (Target::Host(target), true) = (&connect.target, connect.protocol.is_secure()) {
            let certifier = Arc::clone(&server);
            let covers = move |host: &Host| {
                certifier.certified.lock().unwrap().iter().any(|name| ["*", &host.to_string()].contains(name))
            };
            let by = server.proved_by.lock().unwrap().map_or_else(|| target.host.clone(), |name| name.parse().unwrap());
            scope.insert(ServerIdentity::new(by, covers));
        }
        Ok(Scripted { server, line, scope })
    }
}

impl Drop for Scripted {
    fn drop(&mut self) {
        self.line.changed.notify_one();
        self.server.live.fetch_sub(1, SeqCst);
    }
}

impl Session<Request<Body>> for Scripted {
    fn slots(&self) -> Slots {
        let shared = self.server.shared.load(SeqCst);
        let most = match (shared, self.server.most.load(SeqCst)) {
            (false, _) => 1,
            (true, 0) => 100,
            (true, most) => most,
        };
        Slots { free: most.saturating_sub(self.line.busy.load(SeqCst)), shared }
    }

    fn state(&self) -> SessionState {
        if self.line.closed.load(SeqCst) { SessionState::Closed } else { SessionState::Open }
    }

    fn changed(&self) -> impl Future<Output = ()> + Send + 'static {
        let line = Arc::downgrade(&self.line);
        let mut changed = Box::pin(Arc::clone(&self.line.changed).notified_owned());
        poll_fn(move |cx| {
            if line.upgrade().is_some_and(|line| line.spends.load(SeqCst)) {
                ready!(tokio::task::coop::poll_proceed(cx)).made_progress();
            }
            changed.as_mut().poll(cx)
        })
    }

    fn scope(&self) -> &Extensions {
        &self.scope
    }

    fn drain(&self) {
        self.line.close();
    }
}

impl Service<Request<Body>> for Scripted {
    type Output = Response<Body>;
    type Error = SendError<Request<Body>>;

    async fn serve(&self, request: Request<Body>) -> Result<Response<Body>, SendError<Request<Body>>> {
        // As every engine does: what is told of the connection is found on the response, and with the error.
        let mut response = self.act(request).await.map_err(|error| error.with_scope(self.scope.fork()))?;
        response.set_scope(self.scope.fork());
        Ok(response)
    }
}

/// A fact about one attempt.
#[derive(Debug)]
struct Told;

impl Scripted {
    async fn act(&self, mut request: Request<Body>) -> Result<Response<Body>, SendError<Request<Body>>> {
        let first = self.line.requests.fetch_add(1, SeqCst) == 0;
        let on_reuse = *self.server.on_reuse.lock().unwrap();
        let act = match on_reuse {
            Some(act) if !first => act,
            _ => self.server.script.lock().unwrap().pop_front().unwrap_or(Act::Answer),
        };
        if self.slots().free == 0 {
            return Err(SendError::not_sent(request, "no slot is free"));
        }
        if act == Act::CloseUnsent {
            self.drain();
            return Err(SendError::not_sent(request, "the peer has closed"));
        }
        // Whatever an attempt is told is found by no other one.
        assert!(request.fact::<Told>().is_none());
        if act == Act::Misdirected {
            request.scope().insert(Told);
        }
        if act == Act::Unprocessed {
            return Err(SendError::not_sent(request, "the peer refused the stream"));
        }
        let busy = Busy { line: Arc::clone(&self.line), ended: self.slots().shared };
        self.line.busy.fetch_add(1, SeqCst);
        let method = request.method().to_string();
        let expects = request.headers().contains_key("expect");
        let (head, mut body) = request.into_parts();
        // As an engine does, this gives a request back whose body it had in hand.
        let whole = body.as_full().cloned().map(|bytes| Request::from_parts(head, Body::full(bytes)));
        if expects && matches!(act, Act::RefuseExpectation | Act::RefuseExpectationLate) {
            if act == Act::RefuseExpectationLate {
                body.frame().await;
            }
            self.server.seen.lock().unwrap().push((self.line.number, method, Bytes::from_static(b"(refused)")));
            return Ok(http::Response::builder().status(417).body(Body::empty()).unwrap());
        }
        let body = body.collect(1024).await.map_err(SendError::unknown)?;
        self.server.seen.lock().unwrap().push((self.line.number, method, body));
        match act {
            Act::Answer | Act::RefuseExpectation | Act::RefuseExpectationLate => {
                busy.end();
                Ok(Response::new(Body::full("answer")))
            }
            Act::Stream => {
                let frames = VecDeque::from(["an", "swer"]);
                Ok(Response::new(Body::new(Streamed { frames, busy: Some(busy) })))
            }
            Act::Refuse => {
                busy.end();
                Ok(http::Response::builder().status(417).body(Body::empty()).unwrap())
            }
            Act::Misdirected => {
                busy.end();
                Ok(http::Response::builder().status(421).body(Body::empty()).unwrap())
            }
            Act::AnswerAndClose => {
                busy.end();
                self.drain();
                Ok(http::Response::builder().header("connection", "close").body(Body::full("answer")).unwrap())
            }
            Act::CloseSilent => {
                let error = SendError::unknown("the peer closed").with_response_seen(false);
                Err(match whole {
                    Some(request) => error.with_request(request),
                    None => error,
                })
            }
            Act::BreakOff => Err(SendError::unknown("the peer broke off")),
            Act::Hang | Act::CloseUnsent | Act::Unprocessed => std::future::pending().await,
        }
    }
}

/// A request under way; dropped before its end it closes the connection, as HTTP/1 does, unless that is shared.
struct Busy {
    line: Arc<Line>,
    ended: bool,
}

impl Busy {
    fn end(mut self) {
        self.ended = true;
    }
}

impl Drop for Busy {
    fn drop(&mut self) {
        self.line.busy.fetch_sub(1, SeqCst);
        if !self.ended {
            self.line.close();
        }
    }
}

struct Streamed {
    frames: VecDeque<&'static str>,
    busy: Option<Busy>,
}

impl http_body::Body for Streamed {
    type Data = Bytes;
    type Error = BoxError;

    fn poll_frame(mut self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        let frame = self.frames.pop_front();
        Poll::Ready(frame.map(|text| Ok(Frame::data(Bytes::from_static(text.as_bytes())))))
    }

    fn is_end_stream(&self) -> bool {
        self.frames.is_empty()
    }
}

// Only here: an engine may free its slot no earlier than when its body is gone.
impl Drop for Streamed {
    fn drop(&mut self) {
        if self.frames.is_empty()
            && let Some(busy) = self.busy.take()
        {
            busy.end();
        }
    }
}

impl Server {
    pub(crate) fn with_script(acts: &[Act]) -> Arc<Self> {
        Arc::new(Self { script: Mutex::new(acts.iter().copied().collect()), ..Self::default() })
    }

    pub(crate) fn client(self: &Arc<Self>, config: ClientConfig) -> Client<Dialer> {
        Client::with_config(Dialer(Arc::clone(self)), config)
    }

    /// The connection that was made last.
    pub(crate) fn last(&self) -> Arc<Line> {
        self.last.lock().unwrap().clone().unwrap()
    }

    pub(crate) fn connects(&self) -> usize {
        self.connects.load(SeqCst)
    }

    /// How many sessions exist.
    pub(crate) fn live(&self) -> usize {
        self.live.load(SeqCst)
    }

    /// What the sessions saw: the number of the connection and the method.
    pub(crate) fn seen(&self) -> Vec<(usize, String)> {
        self.seen.lock().unwrap().iter().map(|(number, method, _)| (*number, method.clone())).collect()
    }
}

pub(crate) fn request(method: &str, host: &str, body: impl Into<Body>) -> Request<Body> {
    http::Request::builder().method(method).uri(format!("http://{host}/")).body(body.into()).unwrap()
}

/// One over TLS.
pub(crate) fn secure(method: &str, host: &str, body: impl Into<Body>) -> Request<Body> {
    http::Request::builder().method(method).uri(format!("https://{host}/")).body(body.into()).unwrap()
}

/// Sends a request and reads the whole answer.
pub(crate) async fn exchange(client: &Client<Dialer>, request: Request<Body>) -> Result<Bytes, ClientError> {
    Ok(client.serve(request).await?.into_body().collect(1024).await.unwrap())
}

/// Begins a call in a task of its own.
pub(crate) fn call(client: &Client<Dialer>, request: Request<Body>) -> JoinHandle<Result<Response, ClientError>> {
    let client = client.clone();
    tokio::spawn(async move { client.serve(request).await })
}

/// Lets tasks run, and so much time pass.
pub(crate) async fn advance_ms(millis: u64) {
    // A sleep lets everything else come to rest before the clock moves.
    tokio::time::sleep(Duration::from_millis(millis)).await;
    for _ in 0..8 {
        tokio::task::yield_now().await;
    }
}
