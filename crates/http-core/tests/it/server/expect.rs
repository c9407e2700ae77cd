//! `Expect: 100-continue`.

use std::time::Duration;

use chaski_core::{http::Request, service_fn};
use tokio::time::{Instant, sleep};

use super::harness::*;

const CONTINUE: &str = "HTTP/1.1 100 Continue\r\n\r\n";
const HEAD: &str = "POST /a HTTP/1.1\r\nhost: a\r\nexpect: 100-continue\r\ncontent-length: 4\r\n\r\n";
const ECHOED: &str = "HTTP/1.1 200 OK\r\ncontent-length: 4\r\n\r\nbody";

/// H1-23: a service that rejects without reading answers at once, without 100, and the connection closes.
#[tokio::test(start_paused = true)]
async fn a_rejection_needs_no_body() {
    let mut client = serve(service_fn(async |_: Request| Ok(status(401))));
    let start = Instant::now();
    client.send(HEAD).await;
    assert_eq!(client.rest().await, "HTTP/1.1 401 Unauthorized\r\ncontent-length: 0\r\nconnection: close\r\n\r\n");
    assert_eq!(start.elapsed(), Duration::ZERO);
}

/// H1-23: a service that reads has 100 sent, once, when it reads; the connection goes on.
#[tokio::test(start_paused = true)]
async fn reading_asks_for_the_body_once() {
    let service = service_fn(async |request: Request| {
        sleep(Duration::from_secs(5)).await;
        collected(request).await
    });
    for tiny in [1, 1000] {
        let mut client = Setup::new().tiny(tiny).serve(service);
        for _ in 0..3 {
            let start = Instant::now();
            client.send(HEAD).await;
            assert_eq!(client.until("\r\n\r\n").await, CONTINUE);
            assert_eq!(start.elapsed(), Duration::from_secs(5));
            client.drip(b"body", Duration::from_secs(1)).await;
            assert_eq!(client.response().await, ECHOED);
        }
    }
}

/// H1-23: also when the body is read in another task.
#[tokio::test(start_paused = true)]
async fn reading_elsewhere_asks_for_the_body_too() {
    let service = service_fn(async |request: Request| {
        let body = request.into_body();
        let read = tokio::spawn(async move {
            sleep(Duration::from_secs(5)).await;
            body.collect(100).await
        });
        Ok(ok(read.await??))
    });
    let mut client = serve(service);
    for _ in 0..3 {
        client.send(HEAD).await;
        assert_eq!(client.until("\r\n\r\n").await, CONTINUE);
        client.send("body").await;
        assert_eq!(client.response().await, ECHOED);
    }
}

/// H1-23: a body that is on its way already is not asked for, and the connection goes on after it.
#[tokio::test(start_paused = true)]
async fn a_body_in_flight_is_not_asked_for() {
    let mut client = serve(service_fn(collected));
    for _ in 0..2 {
        client.send(format!("{HEAD}body")).await;
        assert_eq!(client.response().await, ECHOED);
    }
    // A first part is enough to know that the client does not wait.
    client.send(format!("{HEAD}bo")).await;
    sleep(Duration::from_secs(1)).await;
    client.send("dy").await;
    assert_eq!(client.response().await, ECHOED);
}

/// H1-23: what the client sends in spite of a rejection is never a request.
#[tokio::test(start_paused = true)]
async fn a_body_sent_in_spite_of_a_rejection_is_no_request() {
    let mut client = serve(service_fn(async |_: Request| Ok(status(401))));
    client.send(HEAD.replace(" 4\r\n", " 34\r\n")).await;
    client.send("GET /smuggled HTTP/1.1\r\nhost: a\r\n\r\n").await;
    client.send("GET /next HTTP/1.1\r\nhost: a\r\n\r\n").await;
    assert_eq!(client.rest().await, "HTTP/1.1 401 Unauthorized\r\ncontent-length: 0\r\nconnection: close\r\n\r\n");
}

/// RFC 9110 section 10.1.1: HTTP/1.0 knows no expectation.
#[tokio::test(start_paused = true)]
async fn http_1_0_is_never_asked() {
    let mut client = serve(service_fn(collected));
    client.send(HEAD.replace("HTTP/1.1", "HTTP/1.0")).await;
    sleep(Duration::from_secs(1)).await;
    client.send("body").await;
    assert_eq!(client.rest().await, "HTTP/1.1 200 OK\r\ncontent-length: 4\r\nconnection: close\r\n\r\nbody");
}

/// RFC 9110 section 10.1.1: another expectation is answered with 417, and the connection goes on.
#[tokio::test(start_paused = true)]
async fn another_expectation_is_not_met() {
    let mut client = serve(service_fn(collected));
    client.send(format!("{}body", HEAD.replace("100-continue", "200-maybe"))).await;
    assert_eq!(client.response().await, "HTTP/1.1 417 Expectation Failed\r\ncontent-length: 0\r\n\r\n");
    client.send(format!("{HEAD}body")).await;
    assert_eq!(client.response().await, ECHOED);
}

/// A body that is first read in another task, just before the answer, is asked for and read to its end.
#[tokio::test(start_paused = true)]
async fn a_body_asked_for_beside_the_answer_is_read() {
    let (read, mut result) = tokio::sync::mpsc::unbounded_channel();
    let service = service_fn(move |request: Request| {
        let read = read.clone();
        async move {
            let body = request.into_body();
            tokio::spawn(async move { read.send(body.collect(100).await.unwrap()).unwrap() });
            // The reader runs and asks; the answer follows in the same turn of this task.
            tokio::task::yield_now().await;
            tokio::task::yield_now().await;
            Ok(status(202))
        }
    });
    let mut client = serve(service);
    client.send(HEAD).await;
    assert_eq!(client.until("\r\n\r\n").await, CONTINUE);
    assert_eq!(client.response().await, "HTTP/1.1 202 Accepted\r\ncontent-length: 0\r\n\r\n");
    client.send("body").await;
    assert_eq!(patient("the reader", result.recv()).await.unwrap(), "body");
    client.send("GET / HTTP/1.1\r\nhost: a\r\n\r\n").await;
    assert_eq!(client.response().await, "HTTP/1.1 202 Accepted\r\ncontent-length: 0\r\n\r\n");
}

/// An answer that echoes its request asks for the body before its head: afterwards it could not.
#[tokio::test(start_paused = true)]
async fn an_echo_asks_before_its_head() {
    let mut client = serve(service_fn(echo));
    for _ in 0..2 {
        client.send(HEAD).await;
        assert_eq!(client.until("\r\n\r\n").await, CONTINUE);
        client.send("body").await;
        assert_eq!(client.response().await, ECHOED);
    }
}
