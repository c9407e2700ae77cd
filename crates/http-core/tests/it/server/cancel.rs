//! Clients that go away.

use std::{sync::Arc, time::Duration};

use chaski_core::{
    BoxError,
    http::Request,
    service_fn,
    test_util::{Fault, PipeDirection, PipeOptions, mock},
};
use chaski_http_core::Http1ServerError;
use tokio::{
    sync::Notify,
    time::{Instant, sleep},
};

use super::harness::*;

const GET: &str = "GET /a HTTP/1.1\r\nhost: a\r\n\r\n";

/// Lets the other tasks run, as often as they like to.
async fn turns() {
    for _ in 0..20 {
        tokio::task::yield_now().await;
    }
}

/// H1-28: a FIN while the answer is pending drops the service's future and closes.
#[tokio::test(start_paused = true)]
async fn a_client_that_closes_cancels_its_request() {
    for pipelined in ["", GET] {
        let (service, mut calls) = mock::<Request, chaski_core::http::Response, BoxError>();
        let mut client = serve(service);
        client.send(format!("{GET}{pipelined}")).await;
        let mut call = calls.next().await;
        sleep(Duration::from_secs(3)).await;
        assert!(!call.is_cancelled());
        client.end().await;
        let start = Instant::now();
        patient("the call", call.cancelled()).await;
        assert_eq!(start.elapsed(), Duration::ZERO);
        let outcome = client.outcome().await;
        assert!(matches!(outcome, Err(Http1ServerError::ClientGone)), "{outcome:?}");
        client.assert_closed().await;
        assert!(calls.try_next().is_none());
    }
}

/// H1-28: a client that closes in an upload that nobody reads is noticed as well.
#[tokio::test(start_paused = true)]
async fn a_client_that_closes_behind_an_unread_body_cancels_its_request() {
    let (service, mut calls) = mock::<Request, chaski_core::http::Response, BoxError>();
    let mut client = serve(service);
    client.send("POST /a HTTP/1.1\r\nhost: a\r\ncontent-length: 1000\r\n\r\nsome").await;
    let mut call = calls.next().await;
    // The body is held, in the call's input, and not read.
    client.end().await;
    patient("the call", call.cancelled()).await;
    let outcome = client.outcome().await;
    assert!(matches!(outcome, Err(Http1ServerError::ClientGone)), "{outcome:?}");
}

/// H1-28: a reset cancels it too, whatever is said about half-closing.
#[tokio::test(start_paused = true)]
async fn a_reset_cancels_the_request() {
    for half_close in [false, true] {
        let (service, mut calls) = mock::<Request, chaski_core::http::Response, BoxError>();
        let length = GET.len() as u64;
        let fault = PipeDirection { fault: Some(Fault::ResetAfter(length + 1)), ..PipeDirection::default() };
        let mut client = Setup::new()
            .pipe(PipeOptions { a_to_b: fault, ..PipeOptions::default() })
            .config(|config| config.with_half_close(half_close))
            .serve(service);
        client.send(GET).await;
        let mut call = calls.next().await;
        client.send("G").await;
        patient("the call", call.cancelled()).await;
        let outcome = client.outcome().await;
        assert!(matches!(outcome, Err(Http1ServerError::Io(_))), "{outcome:?}");
    }
}

/// H1-28: with `half_close(true)` a FIN is no good-bye: the answer is sent, then the connection closes.
#[tokio::test(start_paused = true)]
async fn a_half_closed_client_gets_its_answer_when_configured() {
    let (service, mut calls) = mock::<Request, chaski_core::http::Response, BoxError>();
    let mut client = Setup::new().config(|config| config.with_half_close(true)).serve(service);
    client.send(format!("{GET}{GET}")).await;
    client.end().await;
    for _ in 0..2 {
        let call = calls.next().await;
        turns().await;
        assert!(call.respond(Ok(ok("late"))));
        assert_eq!(client.response().await, "HTTP/1.1 200 OK\r\ncontent-length: 4\r\n\r\nlate");
    }
    client.assert_closed().await;
    client.outcome().await.unwrap();
}

/// H1-28: a client that closes in the middle of a streamed answer stops it.
#[tokio::test(start_paused = true)]
async fn a_client_that_closes_stops_a_streamed_answer() {
    let (frames, body) = channel();
    let body = std::sync::Mutex::new(Some(body));
    let mut client =
        serve(service_fn(move |_: Request| std::future::ready(Ok(ok(body.lock().unwrap().take().unwrap())))));
    frames.data("begun");
    client.send(GET).await;
    client.until("begun\r\n").await;
    client.end().await;
    frames.dropped().await;
    let outcome = client.outcome().await;
    assert!(matches!(outcome, Err(Http1ServerError::ClientGone)), "{outcome:?}");
}

/// H1-28: a client that goes in the middle of its upload fails the body, and the service is told so.
#[tokio::test(start_paused = true)]
async fn a_client_that_goes_in_its_upload_fails_the_body() {
    let told = Arc::new(Notify::new());
    let telling = Arc::clone(&told);
    let service = service_fn(move |request: Request| {
        let telling = Arc::clone(&telling);
        async move {
            let error = request.into_body().collect(1000).await.unwrap_err();
            telling.notify_one();
            Err::<chaski_core::http::Response, BoxError>(error)
        }
    });
    let mut client = serve(service);
    client.send("POST / HTTP/1.1\r\nhost: a\r\ncontent-length: 10\r\n\r\nabc").await;
    client.end().await;
    patient("the service", told.notified()).await;
    assert_eq!(client.rest().await, "HTTP/1.1 400 Bad Request\r\ncontent-length: 0\r\nconnection: close\r\n\r\n");
}

/// H1-16: a half-closed client with an answer that is still streamed costs no polls while nothing happens.
#[tokio::test(start_paused = true)]
async fn a_half_closed_client_is_not_polled_in_a_loop() {
    let (frames, body) = channel();
    let body = std::sync::Mutex::new(Some(body));
    let service = service_fn(move |_: Request| std::future::ready(Ok(ok(body.lock().unwrap().take().unwrap()))));
    let mut client = Setup::new().config(|config| config.with_half_close(true)).serve(service);
    client.send(GET).await;
    client.end().await;
    client.head().await;
    let before = client.probe.stats().read_polls;
    for _ in 0..100 {
        frames.data("tick");
        assert_eq!(client.until("tick\r\n").await, "4\r\ntick\r\n");
        // Not a sleep: beside a task that spins, a paused clock stands still.
        turns().await;
    }
    drop(frames);
    assert_eq!(client.rest().await, "0\r\n\r\n");
    let polls = client.probe.stats().read_polls - before;
    assert!(polls <= 3, "{polls} polls of the read side");
    client.outcome().await.unwrap();
}

/// Answers that were complete when the client closed are delivered, whatever becomes of those that were not.
#[tokio::test(start_paused = true)]
async fn complete_answers_are_delivered_to_a_client_that_closed() {
    let service = service_fn(async |request: Request| {
        if request.uri().path() == "/slow" {
            std::future::pending::<()>().await;
        }
        path(request).await
    });
    let mut client = serve(service);
    client.send(format!("{GET}{GET}GET /slow HTTP/1.1\r\nhost: a\r\n\r\n")).await;
    client.end().await;
    let answer = "HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\n/a";
    assert_eq!(client.rest().await, format!("{answer}{answer}"));
    let outcome = client.outcome().await;
    assert!(matches!(outcome, Err(Http1ServerError::ClientGone)), "{outcome:?}");
}
