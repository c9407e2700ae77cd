//! Clients that are slow, in each phase.

use std::time::Duration;

use chaski_core::{
    http::{Body, Request, Response},
    service_fn,
};
use chaski_http2::{Http2BodyError, Http2ServerError};
use tokio::{io::AsyncWriteExt, time::Instant};

use super::{frames::*, harness::*};

const fn secs(secs: u64) -> Duration {
    Duration::from_secs(secs)
}

/// Silence, and a preface that drips.
#[tokio::test(start_paused = true)]
async fn the_preface_is_due_from_the_accept_on() {
    for drips in [false, true] {
        let start = Instant::now();
        let mut far = Setup::new().config(|config| config.with_preface_timeout(Some(secs(5)))).start(service_fn(path));
        if drips {
            for byte in &PREFACE[..9] {
                far.io.write_all(&[*byte]).await.unwrap();
                tokio::time::sleep(Duration::from_millis(500)).await;
            }
        }
        let outcome = far.outcome().await;
        assert!(matches!(outcome, Err(Http2ServerError::Timeout(_))), "{outcome:?}");
        assert_eq!(start.elapsed(), secs(5));
    }
}

/// Who looks whether a server is there, and who speaks something else.
#[tokio::test(start_paused = true)]
async fn a_connection_without_a_preface_ends() {
    let mut far = Setup::new().start(service_fn(path));
    far.io.shutdown().await.unwrap();
    far.outcome().await.unwrap();

    let mut far = Setup::new().start(service_fn(path));
    far.io.write_all(b"GET / HTTP/1.1\r\nhost: a\r\n\r\n").await.unwrap();
    let outcome = far.outcome().await;
    assert!(matches!(outcome, Err(Http2ServerError::Refused(_))), "{outcome:?}");

    let mut far = Setup::new().start(service_fn(path));
    far.io.write_all(&PREFACE[..5]).await.unwrap();
    far.io.shutdown().await.unwrap();
    let outcome = far.outcome().await;
    assert!(matches!(outcome, Err(Http2ServerError::Io(_))), "{outcome:?}");
}

/// An idle connection is closed with a GOAWAY that names its last stream; one with a stream is not idle, however long it waits.
#[tokio::test(start_paused = true)]
async fn an_idle_connection_is_closed() {
    let service = service_fn(async |request: Request| {
        tokio::time::sleep(secs(100)).await;
        path(request).await
    });
    let mut raw = Setup::new().config(|config| config.with_idle_timeout(Some(secs(10)))).raw(service).await;
    let start = Instant::now();
    raw.send(&get(1, "/")).await;
    assert_eq!(raw.next_on(1).await.kind, HEADERS);
    assert_eq!(start.elapsed(), secs(100));
    // PING is no work.
    tokio::time::sleep(secs(5)).await;
    raw.send(&Frame::new(PING, 0, 0, [7; 8])).await;
    assert_eq!(raw.next_of(GOAWAY).await.goodbye(), (1, 0));
    assert_eq!(start.elapsed(), secs(110));
    raw.far.io.shutdown().await.unwrap();
    raw.far.outcome().await.unwrap();
}

/// A body that stalls fails the read, and nothing else.
#[tokio::test(start_paused = true)]
async fn a_body_that_stalls_fails() {
    let service = service_fn(async |request: Request| {
        let start = Instant::now();
        let mut body = request.into_body();
        while let Some(frame) = body.frame().await {
            if let Err(error) = frame {
                let stalled = matches!(error.downcast_ref(), Some(Http2BodyError::Timeout(_)));
                assert!(stalled, "{error}");
                return Ok(ok(format!("{:?}", start.elapsed())));
            }
        }
        panic!("it has no end");
    });
    let mut raw = Setup::new().config(|config| config.with_body_timeout(Some(secs(7)))).raw(service).await;
    raw.send(&headers(1, &pseudo("POST", "/"), 0)).await;
    tokio::time::sleep(secs(5)).await;
    raw.send(&data(1, b"x", 0)).await;
    assert_eq!(raw.next_on(1).await.kind, HEADERS);
    assert_eq!(raw.next_on(1).await.payload, b"12s");
}

/// A stream whose window stays shut is reset, and its siblings go on.
#[tokio::test(start_paused = true)]
async fn a_stream_that_is_not_read_is_reset() {
    let service = service_fn(async |request: Request| {
        Ok(match request.uri().path() {
            "/large" => ok(vec![0; 100_000]),
            _ => ok("small"),
        })
    });
    let mut raw = Setup::new().config(|config| config.with_write_timeout(Some(secs(7)))).raw(service).await;
    let start = Instant::now();
    raw.send(&get(1, "/large")).await;
    assert_eq!(raw.reset_of(1).await, 8);
    assert_eq!(start.elapsed(), secs(7));
    raw.send(&window_update(0, 1000)).await;
    raw.send(&get(3, "/small")).await;
    assert_eq!(raw.next_on(3).await.kind, HEADERS);
}

/// A client that does not read its socket.
#[tokio::test(start_paused = true)]
async fn a_client_that_reads_nothing_is_cut() {
    let service = service_fn(async |_: Request| {
        let frames =
            std::iter::repeat_with(|| Ok::<_, std::convert::Infallible>(bytes::Bytes::from_static(&[0; 10_000])));
        Ok(Response::new(Body::from_stream(Iter(frames))))
    });
    let mut raw = Setup::new().config(|config| config.with_write_timeout(Some(secs(7)))).raw(service).await;
    let start = Instant::now();
    raw.send(&window_update(0, 1 << 30)).await;
    raw.send(&get(1, "/")).await;
    raw.send(&window_update(1, 1 << 30)).await;
    let outcome = raw.far.outcome().await;
    assert!(matches!(outcome, Err(Http2ServerError::Timeout(_))), "{outcome:?}");
    assert_eq!(start.elapsed(), secs(7));
}
