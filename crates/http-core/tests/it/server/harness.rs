//! A client that speaks in raw bytes, and services that are easy to answer with.

use std::{
    future::Future,
    pin::Pin,
    task::{Context, Poll},
    time::Duration,
};

use bytes::Bytes;
use chaski_core::{
    BoxError, Conn, Io, Service, Shutdown,
    http::{Body, Request, Response},
    test_util::{Chunking, Pipe, PipeDirection, PipeOptions, PipeProbe},
};
use chaski_http_core::{Http1Server, Http1ServerConfig, Http1ServerError};
use http::{HeaderMap, StatusCode};
use http_body::Frame;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    sync::mpsc,
    task::JoinHandle,
    time::Instant,
};

pub(super) type Handled = Result<Response, BoxError>;

/// Longer than any limit of the engine: what takes this long, in paused time, hangs.
const FOR_EVER: Duration = Duration::from_secs(7 * 24 * 3600);

pub(super) async fn patient<F: Future>(what: &str, future: F) -> F::Output {
    let waited = tokio::time::timeout(FOR_EVER, future).await;
    waited.unwrap_or_else(|_| panic!("{what} hangs"))
}

/// A connection to be served.
#[derive(Default)]
pub(super) struct Setup {
    config: Http1ServerConfig,
    pipe: PipeOptions,
    shutdown: Option<Shutdown>,
    facts: bool,
}

/// A fact, so that requests have a scope.
#[derive(Debug)]
pub(super) struct Known;

impl Setup {
    pub(super) fn new() -> Self {
        Self::default()
    }

    pub(super) fn config(mut self, change: impl FnOnce(Http1ServerConfig) -> Http1ServerConfig) -> Self {
        self.config = change(self.config);
        self
    }

    /// What the client sends (`a_to_b`) and what it gets (`b_to_a`).
    pub(super) fn pipe(mut self, pipe: PipeOptions) -> Self {
        self.pipe = pipe;
        self
    }

    /// Room for so many bytes under way, and no more than so many at once.
    pub(super) fn tiny(self, bytes: usize) -> Self {
        let chunking = Chunking::Bytes(bytes);
        let direction =
            PipeDirection { capacity: bytes, reads: chunking, writes: chunking, ..PipeDirection::default() };
        self.pipe(PipeOptions::both(direction))
    }

    /// The connection has facts, so its requests have scopes.
    pub(super) fn facts(mut self) -> Self {
        self.facts = true;
        self
    }

    /// The connection is guarded by `shutdown`.
    pub(super) fn shutdown(mut self, shutdown: &Shutdown) -> Self {
        self.shutdown = Some(shutdown.clone());
        self
    }

    pub(super) fn serve<S>(self, service: S) -> Client
    where
        S: Service<Request, Output = Response, Error = BoxError>,
    {
        let (client, server) = self.pipe.pipe();
        let probe = server.probe();
        self.serve_io(service, client, server, probe)
    }

    pub(super) fn serve_io<S, I>(self, service: S, client: Pipe, io: I, probe: PipeProbe) -> Client
    where
        S: Service<Request, Output = Response, Error = BoxError>,
        I: Io,
    {
        let mut server = Http1Server::new(service).with_config(self.config);
        let guard = self.shutdown.map(|shutdown| shutdown.guard());
        if let Some(guard) = &guard {
            server = server.with_shutdown(guard.signal().clone());
        }
        let conn = Conn::new(io);
        if self.facts {
            conn.ext.insert(Known);
        }
        let server = tokio::spawn(async move {
            let serving = server.serve(conn);
            match guard {
                Some(guard) => guard.run(serving).await,
                None => Some(serving.await),
            }
        });
        Client { io: client, seen: Vec::new(), server, probe }
    }
}

/// Serves with the defaults.
pub(super) fn serve<S>(service: S) -> Client
where
    S: Service<Request, Output = Response, Error = BoxError>,
{
    Setup::new().serve(service)
}

/// The client's end.
pub(super) struct Client {
    pub(super) io: Pipe,
    /// What was read and not looked at.
    seen: Vec<u8>,
    /// What came of the connection; `None` when it was cut.
    pub(super) server: JoinHandle<Option<Result<(), Http1ServerError>>>,
    /// Of the server's end.
    pub(super) probe: PipeProbe,
}

impl Client {
    pub(super) async fn send(&mut self, bytes: impl AsRef<[u8]>) {
        patient("sending", self.io.write_all(bytes.as_ref())).await.unwrap();
    }

    /// Sends byte by byte, as far as the server takes it, `pause` apart.
    pub(super) async fn drip(&mut self, bytes: &[u8], pause: Duration) {
        for byte in bytes {
            if self.io.write_all(&[*byte]).await.is_err() {
                return;
            }
            tokio::time::sleep(pause).await;
        }
    }

    pub(super) async fn end(&mut self) {
        self.io.shutdown().await.unwrap();
    }

    /// Reads more; `false` at the end of the stream.
    async fn more(&mut self) -> bool {
        patient("reading", self.io.read_buf(&mut self.seen)).await.unwrap() > 0
    }

    async fn take(&mut self, count: usize) -> String {
        while self.seen.len() < count {
            assert!(self.more().await, "closed after {:?}", String::from_utf8_lossy(&self.seen));
        }
        String::from_utf8(self.seen.drain(..count).collect()).unwrap()
    }

    /// Everything up to and with `mark`.
    pub(super) async fn until(&mut self, mark: &str) -> String {
        loop {
            let found = self.seen.windows(mark.len()).position(|window| window == mark.as_bytes());
            if let Some(at) = found {
                return self.take(at + mark.len()).await;
            }
            assert!(self.more().await, "no {mark:?} in {:?}", String::from_utf8_lossy(&self.seen));
        }
    }

    /// A head, without its Date.
    pub(super) async fn head(&mut self) -> String {
        undated(&self.until("\r\n\r\n").await)
    }

    /// A response, without its Date: head and body as they came, the body as long as the head says.
    pub(super) async fn response(&mut self) -> String {
        let mut response = self.head().await;
        if let Some((_, after)) = response.split_once("content-length: ") {
            let length = after.split("\r\n").next().unwrap().parse().unwrap();
            response += &self.take(length).await;
        } else if response.contains("transfer-encoding: chunked\r\n") {
            loop {
                let line = self.until("\r\n").await;
                response += &line;
                match usize::from_str_radix(line.trim_end(), 16).unwrap() {
                    0 => break,
                    size => response += &self.take(size + 2).await,
                }
            }
            loop {
                let line = self.until("\r\n").await;
                response += &line;
                if line == "\r\n" {
                    break;
                }
            }
        }
        response
    }

    /// Everything until the server closes, without the dates of heads.
    pub(super) async fn rest(&mut self) -> String {
        while self.more().await {}
        undated(&String::from_utf8(std::mem::take(&mut self.seen)).unwrap())
    }

    /// Nothing more comes, and the server closes.
    pub(super) async fn assert_closed(&mut self) {
        assert_eq!(self.rest().await, "");
    }

    /// What came of the connection.
    pub(super) async fn outcome(&mut self) -> Result<(), Http1ServerError> {
        let server = patient("the server", &mut self.server).await;
        server.expect("the connection's task panicked").expect("the connection was cut")
    }

    /// When the server dropped its end, counted from `start`.
    pub(super) async fn gone_after(&self, start: Instant) -> Duration {
        let gone = patient("closing", self.probe.until(|stats| stats.dropped_at.is_some())).await;
        gone.dropped_at.unwrap() - start
    }
}

/// Takes the lines `date: ..` out, after a look at their form.
pub(super) fn undated(text: &str) -> String {
    let mut left = String::new();
    for line in text.split_inclusive("\r\n") {
        match line.strip_prefix("date: ") {
            Some(date) => assert!(date.len() == 31 && date.ends_with(" GMT\r\n"), "not a date: {date:?}"),
            None => left += line,
        }
    }
    left
}

pub(super) fn ok(body: impl Into<Body>) -> Response {
    Response::new(body.into())
}

pub(super) fn status(status: u16) -> Response {
    let mut response = Response::new(Body::empty());
    *response.status_mut() = StatusCode::from_u16(status).unwrap();
    response
}

pub(super) fn headers(fields: &[(&'static str, &'static str)]) -> HeaderMap {
    let mut map = HeaderMap::new();
    for (name, value) in fields {
        map.append(*name, value.parse().unwrap());
    }
    map
}

/// Answers with the request's target.
pub(super) async fn path(request: Request) -> Handled {
    Ok(ok(request.uri().path().to_owned()))
}

/// Answers with the request's body, after it was read.
pub(super) async fn collected(request: Request) -> Handled {
    Ok(ok(request.into_body().collect(1 << 24).await?))
}

/// Answers with the request's body, while it is read.
pub(super) async fn echo(request: Request) -> Handled {
    Ok(ok(request.into_body()))
}

type Item = Result<Frame<Bytes>, BoxError>;

/// A body of unknown length whose frames the test sends.
pub(super) fn channel() -> (Frames, Body) {
    let (sender, receiver) = mpsc::unbounded_channel();
    (Frames(sender), Body::new(Channel(receiver)))
}

pub(super) struct Frames(mpsc::UnboundedSender<Item>);

impl Frames {
    pub(super) fn data(&self, data: &'static str) {
        let _ = self.0.send(Ok(Frame::data(Bytes::from_static(data.as_bytes()))));
    }

    pub(super) fn bytes(&self, data: Bytes) {
        let _ = self.0.send(Ok(Frame::data(data)));
    }

    pub(super) fn trailers(&self, trailers: HeaderMap) {
        let _ = self.0.send(Ok(Frame::trailers(trailers)));
    }

    pub(super) fn fail(&self) {
        let _ = self.0.send(Err("the source failed".into()));
    }

    /// Waits until the engine drops the body.
    pub(super) async fn dropped(&self) {
        patient("dropping the body", self.0.closed()).await;
    }
}

struct Channel(mpsc::UnboundedReceiver<Item>);

impl http_body::Body for Channel {
    type Data = Bytes;
    type Error = BoxError;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Item>> {
        self.0.poll_recv(cx)
    }
}

/// A body of these pieces, all ready.
pub(super) fn pieces(pieces: &[&'static str]) -> Body {
    let (frames, body) = channel();
    for piece in pieces {
        frames.data(piece);
    }
    body
}
