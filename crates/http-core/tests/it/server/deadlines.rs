//! Every wait has a limit, and each limit holds in its own phase only.

use std::time::Duration;

use chaski_core::{
    BoxError, Shutdown,
    http::Request,
    service_fn,
    test_util::{Fault, PipeDirection, PipeOptions},
};
use chaski_http_core::{Http1ServerConfig, Http1ServerError, RequestBodyError};
use tokio::time::{Instant, sleep};

use super::harness::*;

const HELLO: &str = "GET /hello HTTP/1.1\r\nhost: a\r\n\r\n";
const HELLO_ANSWER: &str = "HTTP/1.1 200 OK\r\ncontent-length: 6\r\n\r\n/hello";
const LATE: &str = "HTTP/1.1 408 Request Timeout\r\ncontent-length: 0\r\nconnection: close\r\n\r\n";

fn secs(secs: u64) -> Duration {
    Duration::from_secs(secs)
}

fn limits(config: Http1ServerConfig) -> Http1ServerConfig {
    config
        .with_head_timeout(Some(secs(5)))
        .with_idle_timeout(Some(secs(600)))
        .with_body_timeout(Some(secs(20)))
        .with_write_timeout(Some(secs(30)))
}

/// H1-06: a client that is silent from the accept on is closed at the head's limit, and told nothing.
#[tokio::test(start_paused = true)]
async fn silence_from_the_accept_on_ends_at_the_limit() {
    let start = Instant::now();
    let mut client = Setup::new().config(limits).serve(service_fn(path));
    client.assert_closed().await;
    assert_eq!(start.elapsed(), secs(5));
}

/// H1-06: the first head counts from the accept, also when its bytes drip in; 408 says so.
#[tokio::test(start_paused = true)]
async fn the_first_head_is_due_from_the_accept_on() {
    let start = Instant::now();
    let mut client = Setup::new().config(limits).serve(service_fn(path));
    client.drip(b"GET ", secs(1)).await;
    assert_eq!(client.rest().await, LATE);
    assert_eq!(start.elapsed(), secs(5));
    drop(client.io);
    let outcome = client.server.await.unwrap().unwrap();
    assert!(matches!(outcome, Err(Http1ServerError::Timeout(_))), "{outcome:?}");
}

/// H1-06: a later head counts from its first byte.
#[tokio::test(start_paused = true)]
async fn a_later_head_is_due_from_its_first_byte_on() {
    let mut client = Setup::new().config(limits).serve(service_fn(path));
    client.send(HELLO).await;
    assert_eq!(client.response().await, HELLO_ANSWER);
    sleep(secs(100)).await;
    let start = Instant::now();
    client.drip(b"GET /", secs(1)).await;
    assert_eq!(client.rest().await, LATE);
    assert_eq!(start.elapsed(), secs(5));
}

/// H1-06: the limit holds while the server drains, too.
#[tokio::test(start_paused = true)]
async fn half_a_head_ends_at_the_limit_while_draining() {
    let shutdown = Shutdown::new();
    let mut client = Setup::new().config(limits).shutdown(&shutdown).serve(service_fn(path));
    let start = Instant::now();
    client.send("GET / HT").await;
    tokio::task::yield_now().await;
    shutdown.begin();
    assert_eq!(client.rest().await, LATE);
    assert_eq!(start.elapsed(), secs(5));
}

/// H1-06: no deadline survives its phase: a drip-fed head leaves none on the handler, on the wait for a body, on the
/// writing of the answer or on the idle connection.
#[tokio::test(start_paused = true)]
async fn a_deadline_ends_with_its_phase() {
    let service = service_fn(async |request: Request| {
        // Longer than the head's limit, before, between and after.
        sleep(secs(50)).await;
        let body = request.into_body().collect(100).await?;
        sleep(secs(50)).await;
        Ok(ok(body))
    });
    let mut client = Setup::new().config(limits).serve(service);
    for _ in 0..3 {
        client.drip(b"POST", secs(1)).await;
        client.send(" / HTTP/1.1\r\nhost: a\r\ncontent-length: 6\r\n\r\n").await;
        sleep(secs(50)).await;
        // Each wait for a byte is under the body's limit, all together are not.
        client.drip(b"abcdef", secs(19)).await;
        assert_eq!(client.response().await, "HTTP/1.1 200 OK\r\ncontent-length: 6\r\n\r\nabcdef");
        sleep(secs(599)).await;
    }
    client.send("POST / HTTP/1.1\r\nhost: a\r\ncontent-length: 0\r\n\r\n").await;
    assert_eq!(client.response().await, "HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n");
    let start = Instant::now();
    client.assert_closed().await;
    assert_eq!(start.elapsed(), secs(600));
    client.outcome().await.unwrap();
}

/// H1-06: the deadline of a wait for the body does not fall on the answer that is written afterwards.
#[tokio::test(start_paused = true)]
async fn the_deadline_of_a_body_does_not_fall_on_a_write() {
    let small = PipeDirection { capacity: 64, ..PipeDirection::default() };
    let mut client = Setup::new()
        .pipe(PipeOptions { b_to_a: small, ..PipeOptions::default() })
        .config(limits)
        .serve(service_fn(echo));
    client.send("POST / HTTP/1.1\r\nhost: a\r\ncontent-length: 1000\r\n\r\n").await;
    sleep(secs(19)).await;
    // The echo of this fills the pipe, and its reader takes 10 seconds: more than what was left of the body's limit.
    client.send(vec![b'x'; 900]).await;
    sleep(secs(10)).await;
    client.until(&"x".repeat(900)).await;
    client.send(vec![b'y'; 100]).await;
    client.until(&"y".repeat(100)).await;
    assert!(client.probe.stats().dropped_at.is_none());
}

/// H1-07: a connection may be idle for longer than a head may take.
#[tokio::test(start_paused = true)]
async fn an_idle_connection_is_used_again_after_two_minutes() {
    let mut client = Setup::new().config(limits).serve(service_fn(path));
    for _ in 0..3 {
        client.send(HELLO).await;
        assert_eq!(client.response().await, HELLO_ANSWER);
        sleep(secs(120)).await;
    }
}

/// H1-07: the idle time counts from the answer, however long the service took for it, and it does end.
#[tokio::test(start_paused = true)]
async fn idleness_counts_from_the_answer() {
    for took in [1, 4, 6, 599, 601, 5000] {
        let service = service_fn(move |request: Request| async move {
            sleep(secs(took)).await;
            path(request).await
        });
        let mut client = Setup::new().config(limits).serve(service);
        client.send(HELLO).await;
        assert_eq!(client.response().await, HELLO_ANSWER);
        let start = Instant::now();
        client.assert_closed().await;
        assert_eq!(start.elapsed(), secs(600), "the service took {took} s");
    }
}

/// H1-07: the same when it was the client that took its time, to read the answer.
#[tokio::test(start_paused = true)]
async fn idleness_counts_from_the_last_byte_of_the_answer() {
    let small = PipeDirection { capacity: 10, ..PipeDirection::default() };
    let mut client = Setup::new()
        .pipe(PipeOptions { b_to_a: small, ..PipeOptions::default() })
        .config(|config| limits(config).with_idle_timeout(Some(secs(10))))
        .serve(service_fn(path));
    client.send(HELLO).await;
    sleep(secs(29)).await;
    assert_eq!(client.response().await, HELLO_ANSWER);
    let start = Instant::now();
    client.assert_closed().await;
    assert_eq!(start.elapsed(), secs(10));
}

/// Limits that are off do not end anything.
#[tokio::test(start_paused = true)]
async fn without_limits_everything_waits() {
    let mut client = Setup::new()
        .config(|config| {
            config.with_head_timeout(None).with_idle_timeout(None).with_body_timeout(None).with_write_timeout(None)
        })
        .serve(service_fn(collected));
    let day = secs(24 * 3600);
    sleep(day).await;
    client.send("POST / HTTP/1.1\r\nhost: a\r\n").await;
    sleep(day).await;
    client.send("content-length: 2\r\n\r\n").await;
    sleep(day).await;
    client.send("hi").await;
    sleep(day).await;
    assert_eq!(client.response().await, "HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nhi");
    sleep(day).await;
    client.send("POST / HTTP/1.1\r\nhost: a\r\ncontent-length: 2\r\n\r\nho").await;
    assert_eq!(client.response().await, "HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nho");
}

/// A body that stalls fails for its reader, and a service that fails for it is answered with 408.
#[tokio::test(start_paused = true)]
async fn a_body_that_stalls_is_answered_with_408() {
    let service = service_fn(async |request: Request| {
        let error = request.into_body().collect(100).await.unwrap_err();
        assert!(matches!(error.downcast_ref(), Some(RequestBodyError::Timeout(_))), "{error:?}");
        Err::<chaski_core::http::Response, BoxError>(error)
    });
    let mut client = Setup::new().config(limits).serve(service);
    let start = Instant::now();
    client.send("POST / HTTP/1.1\r\nhost: a\r\ncontent-length: 10\r\n\r\nabc").await;
    assert_eq!(client.rest().await, LATE);
    assert_eq!(start.elapsed(), secs(20));
}

/// NET-09: a client that never reads is given up, with the body of the answer.
#[tokio::test(start_paused = true)]
async fn a_client_that_never_reads_is_given_up() {
    for streamed in [false, true] {
        let service = service_fn(move |_: Request| async move {
            let large = bytes::Bytes::from(vec![b'x'; 1 << 20]);
            if !streamed {
                return Ok(ok(large));
            }
            let (frames, body) = channel();
            frames.bytes(large);
            tokio::spawn(async move { frames.dropped().await });
            Ok(ok(body))
        });
        let mut client = Setup::new().config(limits).serve(service);
        let start = Instant::now();
        client.send(HELLO).await;
        assert_eq!(client.gone_after(start).await, secs(30));
        let outcome = client.outcome().await;
        assert!(matches!(outcome, Err(Http1ServerError::Timeout(_))), "{outcome:?}");
    }
}

/// NET-09: progress, however slow, moves the limit of a write.
#[tokio::test(start_paused = true)]
async fn a_client_that_reads_slowly_is_waited_for() {
    let small = PipeDirection { capacity: 16, ..PipeDirection::default() };
    let mut client = Setup::new()
        .pipe(PipeOptions { b_to_a: small, ..PipeOptions::default() })
        .config(limits)
        .serve(service_fn(async |_: Request| Ok(ok("x".repeat(160)))));
    client.send(HELLO).await;
    client.head().await;
    for _ in 0..9 {
        sleep(secs(29)).await;
        client.until(&"x".repeat(16)).await;
    }
}

/// NET-12: a write that takes nothing is the end, not something to try again.
#[tokio::test(start_paused = true)]
async fn a_write_of_nothing_ends_the_connection() {
    for after in [0, 20] {
        let fault = PipeDirection { fault: Some(Fault::WriteZeroAfter(after)), ..PipeDirection::default() };
        let mut client =
            Setup::new().pipe(PipeOptions { b_to_a: fault, ..PipeOptions::default() }).serve(service_fn(path));
        client.send(HELLO).await;
        let Err(Http1ServerError::Io(error)) = client.outcome().await else { panic!("an error of the IO") };
        assert_eq!(error.kind(), std::io::ErrorKind::WriteZero);
        assert!(client.probe.stats().write_polls <= 2);
    }
}
