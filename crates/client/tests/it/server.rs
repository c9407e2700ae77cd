//! A connector whose sessions do what a test says.

use std::{
    collections::VecDeque,
    pin::Pin,
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, AtomicUsize, Ordering::SeqCst},
    },
    task::{Context, Poll},
    time::Duration,
};

use bytes::Bytes;
use chaski_client::{Client, ClientConfig, ClientError};
use chaski_core::{
    BoxError, Connect, ConnectError, ConnectStage, Extensions, SendError, Service, Session, SessionState, Slots,
    http::{Body, Request, Response},
};
use http_body::Frame;

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
    /// Takes the request, and closes without an answer.
    CloseSilent,
    /// Takes the request, and breaks off within the head of the answer.
    BreakOff,
    /// Never answers.
    Hang,
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
    pub(crate) shared: AtomicBool,
    pub(crate) last: Mutex<Option<Arc<Line>>>,
}

/// The state of a connection.
pub(crate) struct Line {
    number: usize,
    requests: AtomicUsize,
    busy: AtomicUsize,
    pub(crate) closed: AtomicBool,
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

    async fn serve(&self, _: Connect) -> Result<Scripted, ConnectError> {
        let server = Arc::clone(&self.0);
        let number = server.connects.fetch_add(1, SeqCst);
        let dial = *server.dial.lock().unwrap();
        tokio::time::sleep(dial).await;
        if server.refuse.load(SeqCst) {
            return Err(ConnectError::new(ConnectStage::Dial).with_source("refused"));
        }
        server.live.fetch_add(1, SeqCst);
        let line =
            Line { number, requests: AtomicUsize::new(0), busy: AtomicUsize::new(0), closed: AtomicBool::new(false) };
        let line = Arc::new(line);
        *server.last.lock().unwrap() = Some(Arc::clone(&line));
        Ok(Scripted { server, line, scope: Extensions::new() })
    }
}

impl Drop for Scripted {
    fn drop(&mut self) {
        self.server.live.fetch_sub(1, SeqCst);
    }
}

impl Session<Request<Body>> for Scripted {
    fn slots(&self) -> Slots {
        let shared = self.server.shared.load(SeqCst);
        let most = if shared { 100 } else { 1 };
        Slots { free: most - self.line.busy.load(SeqCst), shared }
    }

    fn state(&self) -> SessionState {
        if self.line.closed.load(SeqCst) { SessionState::Closed } else { SessionState::Open }
    }

    async fn changed(&self) {
        std::future::pending::<()>().await;
    }

    fn scope(&self) -> &Extensions {
        &self.scope
    }

    fn drain(&self) {
        self.line.closed.store(true, SeqCst);
    }
}

impl Service<Request<Body>> for Scripted {
    type Output = Response<Body>;
    type Error = SendError<Request<Body>>;

    async fn serve(&self, request: Request<Body>) -> Result<Response<Body>, SendError<Request<Body>>> {
        let first = self.line.requests.fetch_add(1, SeqCst) == 0;
        let on_reuse = *self.server.on_reuse.lock().unwrap();
        let act = match on_reuse {
            Some(act) if !first => act,
            _ => self.server.script.lock().unwrap().pop_front().unwrap_or(Act::Answer),
        };
        if act == Act::CloseUnsent {
            self.drain();
            return Err(SendError::not_sent(request, "the peer has closed"));
        }
        let busy = Busy { line: Arc::clone(&self.line), ended: false };
        self.line.busy.fetch_add(1, SeqCst);
        let method = request.method().to_string();
        let body = request.into_body().collect(1024).await.map_err(SendError::unknown)?;
        self.server.seen.lock().unwrap().push((self.line.number, method, body));
        match act {
            Act::Answer => {
                busy.end();
                Ok(Response::new(Body::full("answer")))
            }
            Act::Stream => {
                let frames = VecDeque::from(["an", "swer"]);
                Ok(Response::new(Body::new(Streamed { frames, busy: Some(busy) })))
            }
            Act::AnswerAndClose => {
                busy.end();
                self.drain();
                Ok(http::Response::builder().header("connection", "close").body(Body::full("answer")).unwrap())
            }
            Act::CloseSilent => Err(SendError::unknown("the peer closed").with_response_seen(false)),
            Act::BreakOff => Err(SendError::unknown("the peer broke off")),
            Act::Hang | Act::CloseUnsent => std::future::pending().await,
        }
    }
}

/// A request under way; dropped before its end it closes the connection, as HTTP/1 does.
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
            self.line.closed.store(true, SeqCst);
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

/// Sends a request and reads the whole answer.
pub(crate) async fn exchange(client: &Client<Dialer>, request: Request<Body>) -> Result<Bytes, ClientError> {
    Ok(client.serve(request).await?.into_body().collect(1024).await.unwrap())
}
