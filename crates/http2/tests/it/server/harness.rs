//! A client on h2, and services that are easy to answer with.

use std::{future::Future, time::Duration};

use bytes::Bytes;
use chaski_core::{
    BoxError, Conn, Service, Shutdown,
    http::{Body, Request, Response},
    test_util::{Pipe, PipeOptions, PipeProbe},
};
use chaski_http2::{Http2Server, Http2ServerConfig, Http2ServerError};
use h2::{RecvStream, SendStream, client::ResponseFuture, client::SendRequest};
use http::{HeaderMap, StatusCode};
use tokio::task::JoinHandle;

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
    config: Http2ServerConfig,
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

    pub(super) fn config(mut self, change: impl FnOnce(Http2ServerConfig) -> Http2ServerConfig) -> Self {
        self.config = change(self.config);
        self
    }

    /// What the client sends (`a_to_b`) and what it gets (`b_to_a`).
    pub(super) fn pipe(mut self, pipe: PipeOptions) -> Self {
        self.pipe = pipe;
        self
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

    /// Serves, with nothing sent yet.
    pub(super) fn start<S>(self, service: S) -> Far
    where
        S: Service<Request, Output = Response, Error = BoxError>,
    {
        let (io, server) = self.pipe.pipe();
        let probe = server.probe();
        let conn = Conn::new(server);
        if self.facts {
            conn.ext.insert(Known);
        }
        let mut server = Http2Server::new(service).with_config(self.config);
        let guard = self.shutdown.map(|shutdown| shutdown.guard());
        if let Some(guard) = &guard {
            server = server.with_shutdown(guard.signal().clone());
        }
        let server = tokio::spawn(async move {
            let serving = server.serve(conn);
            match guard {
                Some(guard) => guard.run(serving).await,
                None => Some(serving.await),
            }
        });
        Far { io, server, probe }
    }

    /// Serves a client of h2.
    pub(super) async fn serve<S>(self, service: S) -> Client
    where
        S: Service<Request, Output = Response, Error = BoxError>,
    {
        self.serve_with(service, &h2::client::Builder::new()).await
    }

    pub(super) async fn serve_with<S>(self, service: S, builder: &h2::client::Builder) -> Client
    where
        S: Service<Request, Output = Response, Error = BoxError>,
    {
        let Far { io, server, probe } = self.start(service);
        let (requests, connection) = patient("the handshake", builder.handshake(io)).await.unwrap();
        Client { requests, driver: tokio::spawn(connection), server, probe }
    }
}

/// Serves with the defaults.
pub(super) async fn serve<S>(service: S) -> Client
where
    S: Service<Request, Output = Response, Error = BoxError>,
{
    Setup::new().serve(service).await
}

/// The far end of a served connection.
pub(super) struct Far {
    pub(super) io: Pipe,
    /// What came of the connection; `None` when it was cut.
    pub(super) server: JoinHandle<Option<Result<(), Http2ServerError>>>,
    /// Of the server's end.
    pub(super) probe: PipeProbe,
}

impl Far {
    /// What came of the connection.
    pub(super) async fn outcome(&mut self) -> Result<(), Http2ServerError> {
        let server = patient("the server", &mut self.server).await;
        server.expect("the connection's task panicked").expect("the connection was cut")
    }
}

pub(super) struct Client {
    pub(super) requests: SendRequest<Bytes>,
    pub(super) driver: JoinHandle<Result<(), h2::Error>>,
    pub(super) server: JoinHandle<Option<Result<(), Http2ServerError>>>,
    pub(super) probe: PipeProbe,
}

impl Client {
    /// Begins a request; `end` when it has no body.
    pub(super) async fn begin(&mut self, request: http::Request<()>, end: bool) -> (ResponseFuture, SendStream<Bytes>) {
        let requests = patient("a free stream", self.requests.clone().ready()).await.unwrap();
        let mut requests = requests;
        requests.send_request(request, end).unwrap()
    }

    pub(super) async fn get(&mut self, path: &str) -> Answer {
        let (response, _) = self.begin(request("GET", path), true).await;
        answer(response).await
    }

    /// Lets go of the connection, and says what came of it.
    pub(super) async fn outcome(self) -> Result<(), Http2ServerError> {
        drop(self.requests);
        let _ = patient("the client's end", self.driver).await.unwrap();
        let server = patient("the server", self.server).await;
        server.expect("the connection's task panicked").expect("the connection was cut")
    }
}

pub(super) fn request(method: &str, path: &str) -> http::Request<()> {
    http::Request::builder().method(method).uri(format!("http://a.test{path}")).body(()).unwrap()
}

/// A whole answer.
#[derive(Debug)]
pub(super) struct Answer {
    pub(super) status: u16,
    pub(super) headers: HeaderMap,
    pub(super) body: Bytes,
    pub(super) trailers: Option<HeaderMap>,
}

impl Answer {
    pub(super) fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).map(|value| value.to_str().unwrap())
    }

    /// Status and body.
    pub(super) fn short(&self) -> (u16, &str) {
        (self.status, std::str::from_utf8(&self.body).unwrap())
    }
}

pub(super) async fn answer(response: ResponseFuture) -> Answer {
    let response = patient("an answer", response).await.unwrap();
    let (parts, mut body) = response.into_parts();
    let (bytes, trailers) = read(&mut body).await.unwrap();
    Answer { status: parts.status.as_u16(), headers: parts.headers, body: bytes, trailers }
}

/// Reads a body to its end, with its trailers.
pub(super) async fn read(body: &mut RecvStream) -> Result<(Bytes, Option<HeaderMap>), h2::Error> {
    let mut bytes = Vec::new();
    while let Some(data) = patient("a body", body.data()).await {
        let data = data?;
        body.flow_control().release_capacity(data.len())?;
        bytes.extend(data);
    }
    Ok((bytes.into(), patient("trailers", body.trailers()).await?))
}

/// Sends all of it as the window allows.
pub(super) async fn send(stream: &mut SendStream<Bytes>, mut bytes: Bytes, end: bool) {
    while !bytes.is_empty() {
        stream.reserve_capacity(bytes.len());
        let room = patient("a window", std::future::poll_fn(|cx| stream.poll_capacity(cx))).await.unwrap().unwrap();
        let piece = bytes.split_to(room.min(bytes.len()));
        stream.send_data(piece, end && bytes.is_empty()).unwrap();
    }
}

pub(super) fn ok(body: impl Into<Body>) -> Response {
    Response::new(body.into())
}

pub(super) fn status(status: u16) -> Response {
    let mut response = Response::new(Body::empty());
    *response.status_mut() = StatusCode::from_u16(status).unwrap();
    response
}

/// A body that never has a frame, and keeps something until it is dropped.
pub(super) struct Pending<T>(T);

impl<T: Send + Unpin + 'static> Pending<T> {
    pub(super) fn body(kept: T) -> Body {
        Body::new(Self(kept))
    }
}

impl<T: Unpin> http_body::Body for Pending<T> {
    type Data = Bytes;
    type Error = BoxError;

    fn poll_frame(
        self: std::pin::Pin<&mut Self>,
        _: &mut std::task::Context<'_>,
    ) -> std::task::Poll<Option<Result<http_body::Frame<Bytes>, BoxError>>> {
        std::task::Poll::Pending
    }
}

/// Answers with the path.
pub(super) async fn path(request: Request) -> Handled {
    Ok(ok(request.uri().path().to_owned()))
}

/// Answers with the request's own body, as it comes.
pub(super) async fn echo(request: Request) -> Handled {
    Ok(Response::new(request.into_body()))
}

/// A stream of what an iterator gives.
pub(super) struct Iter<I>(pub(super) I);

impl<I: Iterator + Unpin> futures_core::Stream for Iter<I> {
    type Item = I::Item;

    fn poll_next(
        mut self: std::pin::Pin<&mut Self>,
        _: &mut std::task::Context<'_>,
    ) -> std::task::Poll<Option<Self::Item>> {
        std::task::Poll::Ready(self.0.next())
    }
}
