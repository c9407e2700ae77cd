//! The client side, against peers that do what a script says.

mod connect;
mod framing;
mod idle;
mod informational;
mod layout;
mod streaming;
mod switching;
mod upload;
mod writing;

use std::{
    error::Error,
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    task::{Context, Poll},
    time::Duration,
};

use bytes::Bytes;
use chaski_core::{
    BoxError, Conn, SendError, Service, find_cause,
    http::{Body, Request, Response},
    test_util::{Pipe, ScriptedPeer},
};
use chaski_http_core::{Http1ClientConfig, Http1Error, Http1Session};
use http::{HeaderMap, Method};
use tokio::{
    io::{AsyncRead, AsyncWrite},
    sync::mpsc,
};

/// Longer than anything here takes by itself; on the paused clock a script that waits in vain fails at once.
const PATIENCE: Duration = Duration::from_secs(3600);

fn session(io: Pipe) -> Http1Session<Pipe> {
    Http1Session::new(Conn::new(io), Http1ClientConfig::default())
}

/// A peer that goes when its script is over, unless it is only lent the connection.
fn script<S: AsyncRead + AsyncWrite + Unpin>(io: S) -> ScriptedPeer<S> {
    ScriptedPeer::new(io).patience(PATIENCE)
}

fn request(method: Method, body: impl Into<Body>) -> Request {
    http::Request::builder().method(method).uri("http://a/").body(body.into()).unwrap()
}

fn get() -> Request {
    request(Method::GET, ())
}

/// What `get()` looks like on the wire.
const GET: &str = "GET / HTTP/1.1\r\nhost: a\r\n\r\n";

const OK_EMPTY: &str = "HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n";

fn with(mut request: Request, name: &'static str, value: &'static str) -> Request {
    request.headers_mut().insert(name, value.parse().unwrap());
    request
}

async fn text(response: Response) -> String {
    let bytes = response.into_body().collect(1 << 20).await.unwrap();
    String::from_utf8(bytes.to_vec()).unwrap()
}

/// Sends a GET and reads the whole response.
async fn get_text(session: &Http1Session<Pipe>) -> String {
    text(session.serve(get()).await.unwrap()).await
}

fn cause<'a>(error: &'a (dyn Error + 'static)) -> &'a Http1Error {
    find_cause::<Http1Error>(error).expect("an error of the engine")
}

/// The error of an exchange that must not have been handed back.
fn unknown(result: Result<Response, SendError<Request>>) -> SendError<Request> {
    let error = result.unwrap_err();
    assert!(!error.is_not_sent(), "{error:?}");
    error
}

/// The request of an exchange that did not happen, and why.
fn not_sent(result: Result<Response, SendError<Request>>) -> (Request, String) {
    let error = result.unwrap_err();
    let why = error.cause().to_string();
    (error.into_request().expect("the request is handed back"), why)
}

/// A body whose frames are given by the test; it is complete when the sender is dropped.
fn channel() -> (mpsc::UnboundedSender<Result<Bytes, BoxError>>, Body) {
    struct Frames(mpsc::UnboundedReceiver<Result<Bytes, BoxError>>);
    impl http_body::Body for Frames {
        type Data = Bytes;
        type Error = BoxError;
        fn poll_frame(
            mut self: Pin<&mut Self>,
            cx: &mut Context<'_>,
        ) -> Poll<Option<Result<http_body::Frame<Bytes>, BoxError>>> {
            self.0.poll_recv(cx).map(|item| item.map(|item| item.map(http_body::Frame::data)))
        }
    }
    let (sender, receiver) = mpsc::unbounded_channel();
    (sender, Body::new(Frames(receiver)))
}

/// A body's data and trailers.
async fn drain(mut body: Body) -> Result<(Vec<u8>, Option<HeaderMap>), BoxError> {
    let (mut data, mut trailers) = (Vec::new(), None);
    while let Some(frame) = body.frame().await {
        match frame?.into_data() {
            Ok(piece) => data.extend_from_slice(&piece),
            Err(frame) => trailers = frame.into_trailers().ok(),
        }
    }
    Ok((data, trailers))
}

/// Counts how often a future is polled.
async fn counted<F: Future>(polls: &AtomicUsize, future: F) -> F::Output {
    let mut future = std::pin::pin!(future);
    std::future::poll_fn(|cx| {
        polls.fetch_add(1, Ordering::Relaxed);
        future.as_mut().poll(cx)
    })
    .await
}
