//! Services and bodies that fail.

use std::{
    pin::Pin,
    task::{Context, Poll},
};

use bytes::Bytes;
use chaski_core::{
    BoxError,
    http::{Body, Request, Response},
    service_fn,
};
use chaski_http_core::Http1ServerError;
use http::header;
use http_body::Frame;

use super::harness::*;

const GET: &str = "GET /a HTTP/1.1\r\nhost: a\r\n\r\n";
const ANSWER: &str = "HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\n/a";
const FAILED: &str = "HTTP/1.1 500 Internal Server Error\r\ncontent-length: 0\r\n\r\n";

/// LIFE-06: a service that panics costs its own request: 500, and the connection goes on.
#[tokio::test(start_paused = true)]
async fn a_panic_costs_one_request() {
    let service = service_fn(|request: Request| {
        // Before there is a future, at its first poll, and later.
        assert!(request.uri().path() != "/before", "a panic of the test");
        async move {
            assert!(request.uri().path() != "/first", "a panic of the test");
            tokio::task::yield_now().await;
            assert!(request.uri().path() != "/later", "a panic of the test");
            path(request).await
        }
    });
    let mut client = serve(service);
    for panics in ["/before", "/first", "/later"] {
        for body in ["", "content-length: 4\r\n"] {
            let request = GET.replace("/a", panics).replace("\r\n\r\n", &format!("\r\n{body}\r\n"));
            client.send(request).await;
            if !body.is_empty() {
                client.send("body").await;
            }
            assert_eq!(client.response().await, FAILED, "{panics}");
            client.send(GET).await;
            assert_eq!(client.response().await, ANSWER);
        }
    }
}

struct Panics(bool);

impl http_body::Body for Panics {
    type Data = Bytes;
    type Error = BoxError;

    fn poll_frame(mut self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        assert!(!self.0, "a panic of the test");
        self.0 = true;
        Poll::Ready(Some(Ok(Frame::data(Bytes::from_static(b"begun")))))
    }
}

fn after_a_complete_one(body: fn() -> Body, fields: &'static [(&'static str, &'static str)]) -> Client {
    serve(service_fn(move |request: Request| async move {
        if request.uri().path() == "/a" {
            return path(request).await;
        }
        let mut response = ok(body());
        *response.headers_mut() = headers(fields);
        Ok(response)
    }))
}

/// LIFE-06: a body that panics cuts its connection: what came before arrives, and no end of the body does.
#[tokio::test(start_paused = true)]
async fn a_panic_in_a_body_cuts_the_connection() {
    let mut client = after_a_complete_one(|| Body::new(Panics(false)), &[]);
    client.send(format!("{GET}{}{GET}", GET.replace("/a", "/b"))).await;
    assert_eq!(
        client.rest().await,
        format!("{ANSWER}HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n5\r\nbegun\r\n")
    );
    let outcome = client.outcome().await;
    assert!(matches!(outcome, Err(Http1ServerError::ResponseBody(_))), "{outcome:?}");
}

/// An answer whose body fails is cut where it failed; the answers before it arrive.
#[tokio::test(start_paused = true)]
async fn an_error_in_a_body_cuts_the_connection() {
    let failing = || {
        let (frames, body) = channel();
        frames.data("begun");
        frames.fail();
        body
    };
    let mut client = after_a_complete_one(failing, &[]);
    client.send(format!("{GET}{}{GET}", GET.replace("/a", "/b"))).await;
    assert_eq!(
        client.rest().await,
        format!("{ANSWER}HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n5\r\nbegun\r\n")
    );
    let outcome = client.outcome().await;
    assert!(matches!(outcome, Err(Http1ServerError::ResponseBody(_))), "{outcome:?}");

    let mut client = after_a_complete_one(failing, &[("content-length", "10")]);
    client.send(GET.replace("/a", "/b")).await;
    assert_eq!(client.rest().await, "HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\nbegun");
}

/// A stream that is shorter or longer than the service said is cut: never more bytes than the length, never a second
/// answer behind too few.
#[tokio::test(start_paused = true)]
async fn a_stream_of_another_length_is_cut() {
    for (length, arrives) in [("10", "12345"), ("3", "")] {
        let fields: &'static [_] =
            if length == "10" { &[("content-length", "10")] } else { &[("content-length", "3")] };
        let mut client = after_a_complete_one(|| pieces(&["12345"]), fields);
        client.send(format!("{}{GET}", GET.replace("/a", "/b"))).await;
        assert_eq!(client.rest().await, format!("HTTP/1.1 200 OK\r\ncontent-length: {length}\r\n\r\n{arrives}"));
        let outcome = client.outcome().await;
        assert!(matches!(outcome, Err(Http1ServerError::ResponseBody(_))), "{outcome:?}");
    }
}

/// A length that is not that of the bytes in hand is answered with 500 before anything has left.
#[tokio::test(start_paused = true)]
async fn a_wrong_length_of_bytes_in_hand_is_a_500() {
    let service = service_fn(async |_: Request| {
        let mut response = ok("12345");
        response.headers_mut().insert(header::CONTENT_LENGTH, "4".parse().unwrap());
        Ok(response)
    });
    let mut client = serve(service);
    for _ in 0..2 {
        client.send(GET).await;
        assert_eq!(client.response().await, FAILED);
    }
}

/// A service that fails is answered for with 500, whatever it read, and the connection goes on.
#[tokio::test(start_paused = true)]
async fn an_error_is_answered_with_500() {
    let service = service_fn(async |request: Request| {
        if request.uri().path() == "/read" {
            request.into_body().collect(100).await?;
        }
        Err::<Response, BoxError>("failed".into())
    });
    let mut client = serve(service);
    for target in ["/read", "/unread"] {
        client.send(format!("POST {target} HTTP/1.1\r\nhost: a\r\ncontent-length: 4\r\n\r\nbody")).await;
        assert_eq!(client.response().await, FAILED);
    }
}

/// A service cannot answer with an interim status.
#[tokio::test(start_paused = true)]
async fn an_interim_status_is_no_answer() {
    for interim in [100, 102, 103, 101] {
        let mut client = serve(service_fn(move |_: Request| std::future::ready(Ok(status(interim)))));
        client.send(GET).await;
        assert_eq!(client.response().await, FAILED);
        client.send(GET).await;
        assert_eq!(client.response().await, FAILED);
    }
}
