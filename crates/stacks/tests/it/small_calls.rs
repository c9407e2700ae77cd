//! Small calls over HTTP/2 on a real socket, as gRPC makes them: messages that leave in several writes on both sides.

use std::{
    pin::Pin,
    task::{Context, Poll},
    time::{Duration, Instant},
};

use bytes::Bytes;
use chaski_core::{
    BoxError, HttpVersions, Route, Service, Shutdown,
    http::{Body, Request, Response},
    service_fn,
};
use chaski_net::TcpListener;
use chaski_stacks::{HttpClientConfig, HttpServer};
use http::{HeaderMap, HeaderValue};
use http_body::{Body as HttpBody, Frame};

const CALLS: usize = 1000;

/// A message of 69 bytes, as gRPC frames one of 64.
const MESSAGE: &[u8] = b"\0\0\0\0\x40................................................................";

/// A message that is not there at once, so that the head leaves in a write of its own.
struct Later {
    message: Option<Bytes>,
    waited: bool,
}

fn later() -> Body {
    Body::new(Later { message: Some(Bytes::from_static(MESSAGE)), waited: false })
}

impl HttpBody for Later {
    type Data = Bytes;
    type Error = BoxError;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        self.waited = !self.waited;
        if self.waited {
            cx.waker().wake_by_ref();
            return Poll::Pending;
        }
        Poll::Ready(self.message.take().map(|message| Ok(Frame::data(message))))
    }
}

/// Answers when the message is there, with a head, a message and trailers.
async fn unary(request: Request) -> Result<Response, BoxError> {
    assert_eq!(request.into_body().collect(100).await?, MESSAGE);
    let mut trailers = HeaderMap::new();
    trailers.insert("grpc-status", HeaderValue::from_static("0"));
    Ok(Response::new(later().with_trailers(trailers)))
}

/// How long this thread has run, or could have run while others had the processor. Client and server are both in it, so that the
/// rest of the time they wait for the network.
#[cfg(target_os = "linux")]
fn at_work() -> Duration {
    let figures = std::fs::read_to_string("/proc/thread-self/schedstat").unwrap();
    figures.split(' ').take(2).map(|figure| Duration::from_nanos(figure.parse().unwrap())).sum()
}

#[cfg(not(target_os = "linux"))]
fn at_work() -> Duration {
    Duration::ZERO
}

/// NET-01: of 1,000 calls ten at most wait for 5 ms. With Nagle's algorithm at either end, its second write would wait until the
/// other end acknowledges the first, which is put off for 40 ms.
#[tokio::test]
async fn net_01_small_calls_over_http2_wait_for_no_acknowledgement() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let uri = format!("http://{}/echo.Echo/Unary", listener.local_addr().unwrap());
    tokio::spawn(async move { listener.serve(HttpServer::new(service_fn(unary)), &Shutdown::new()).await });
    let client = HttpClientConfig::default().build().unwrap();
    let mut waits = Vec::with_capacity(CALLS);
    for _ in 0..CALLS {
        let mut request = Request::post(&uri).body(later()).unwrap();
        request.extensions_mut().insert(Route::default().with(HttpVersions::Http2));
        let (begun, worked) = (Instant::now(), at_work());
        let response = client.serve(request).await.unwrap();
        let mut body = response.into_body();
        assert_eq!(body.frame().await.unwrap().unwrap().into_data().unwrap(), MESSAGE);
        assert_eq!(body.frame().await.unwrap().unwrap().into_trailers().unwrap()["grpc-status"], "0");
        waits.push(begun.elapsed().saturating_sub(at_work() - worked));
    }
    assert_eq!(client.stats().dials, 1);
    waits.sort_unstable();
    let p99 = waits[CALLS * 99 / 100 - 1];
    assert!(p99 < Duration::from_millis(5), "{p99:?}, at most {:?}", waits[CALLS - 1]);
}
