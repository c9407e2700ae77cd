//! The client side, against a peer that does what a test says.

mod cancel;
mod connect;
mod floods;
mod goaway;
mod peer;
mod pings;
mod programs;
mod requests;
mod shutdown;
mod slots;
mod threads;
mod uploads;

use std::{
    error::Error,
    pin::Pin,
    task::{Context, Poll},
};

use bytes::Bytes;
use chaski_core::{
    BoxError, SendError, find_cause,
    http::{Body, Request, Response},
};
use chaski_http2::Http2Error;
use http::{HeaderMap, Method};
use tokio::{sync::mpsc, task::JoinHandle};

fn request(method: Method, body: impl Into<Body>) -> Request {
    http::Request::builder().method(method).uri("http://a/").body(body.into()).unwrap()
}

fn get() -> Request {
    request(Method::GET, ())
}

async fn text(response: Response) -> String {
    let bytes = response.into_body().collect(1 << 20).await.unwrap();
    String::from_utf8(bytes.to_vec()).unwrap()
}

/// Awaits what has to come. On the paused clock it is missed at once.
async fn soon<F: Future>(future: F) -> F::Output {
    tokio::time::timeout(peer::PATIENCE, future).await.expect("it never comes")
}

/// Sends a request in a task of its own.
fn serve(session: &std::sync::Arc<chaski_http2::Http2Session>, request: Request) -> Call {
    let session = std::sync::Arc::clone(session);
    tokio::spawn(async move { chaski_core::Service::serve(&*session, request).await })
}

type Call = JoinHandle<Sent>;

type Sent = Result<Response, SendError<Request>>;

fn cause<'a>(error: &'a (dyn Error + 'static)) -> &'a Http2Error {
    find_cause::<Http2Error>(error).expect("an error of the engine")
}

/// The request of an exchange that did not happen, and why.
fn not_sent(result: Sent) -> (Request, String) {
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
