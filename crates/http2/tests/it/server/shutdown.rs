//! Graceful shutdown.

use std::{sync::Arc, time::Duration};

use chaski_core::{BoxError, Shutdown, http::Request, service_fn, service_fn_with};
use tokio::{io::AsyncWriteExt, sync::Notify, time::Instant};

use super::{frames::*, harness::*};

/// LIFE-05, h2 idle: it closes at once, with a GOAWAY that names its last stream.
#[tokio::test(start_paused = true)]
async fn life_05_an_idle_connection_closes_at_once() {
    let shutdown = Shutdown::new();
    let mut raw = Setup::new().shutdown(&shutdown).raw(service_fn(path)).await;
    raw.send(&get(1, "/")).await;
    assert_eq!(raw.next_on(1).await.kind, HEADERS);
    let start = Instant::now();
    shutdown.begin();
    assert_eq!(raw.next_of(GOAWAY).await.goodbye(), (1, 0));
    assert_eq!(raw.next().await, None);
    raw.far.io.shutdown().await.unwrap();
    raw.far.outcome().await.unwrap();
    assert_eq!(start.elapsed(), Duration::ZERO);
}

/// LIFE-05: before the preface there is nothing to say goodbye to.
#[tokio::test(start_paused = true)]
async fn life_05_a_connection_that_has_said_nothing_closes_at_once() {
    let shutdown = Shutdown::new();
    let mut far = Setup::new().shutdown(&shutdown).start(service_fn(path));
    tokio::task::yield_now().await;
    shutdown.begin();
    far.outcome().await.unwrap();
}

/// LIFE-05, within the preface: a client that has begun to speak is told goodbye when it is heard out.
#[tokio::test(start_paused = true)]
async fn life_05_a_preface_under_way_is_answered_with_a_goodbye() {
    let shutdown = Shutdown::new();
    let far = Setup::new().shutdown(&shutdown).start(service_fn(path));
    let mut raw = Raw { far, seen: Vec::new() };
    let (begun, rest) = PREFACE.split_at(12);
    raw.send_bytes(begun).await;
    // So that it is read.
    tokio::time::sleep(Duration::from_secs(1)).await;
    shutdown.begin();
    tokio::time::sleep(Duration::from_secs(1)).await;
    raw.send_bytes(rest).await;
    raw.send(&Frame::new(SETTINGS, 0, 0, [])).await;
    assert_eq!(raw.goodbye().await, Some(0));
    raw.far.outcome().await.unwrap();
}

/// LIFE-05, h2 in body, and H2-08 at the server's end: first a GOAWAY with the highest number, and PING; after its answer one
/// with the number of the last stream. What came between the two is served, the body that is under way arrives whole, and
/// then the connection closes.
#[tokio::test(start_paused = true)]
async fn life_05_h2_08_a_busy_connection_says_goodbye_in_two_steps() {
    let shutdown = Shutdown::new();
    let mut raw = Setup::new().shutdown(&shutdown).raw(service_fn(echo)).await;
    raw.send(&headers(1, &pseudo("POST", "/"), 0)).await;
    raw.send(&data(1, b"one", 0)).await;
    assert_eq!(raw.next_on(1).await.kind, HEADERS);
    assert_eq!(raw.next_on(1).await.payload, b"one");
    shutdown.begin();
    assert_eq!(raw.next_of(GOAWAY).await.goodbye(), (0x7fff_ffff, 0));
    let ping = raw.next_of(PING).await;
    raw.send(&get(3, "/")).await;
    assert_eq!(raw.next_on(3).await.kind, HEADERS);
    raw.send(&Frame { flags: ACK, ..ping }).await;
    assert_eq!(raw.next_of(GOAWAY).await.goodbye(), (3, 0));
    // Beyond what was said: ignored.
    raw.send(&get(5, "/")).await;
    raw.send(&data(1, b"two", END_STREAM)).await;
    let mut rest = Vec::new();
    while let Some(frame) = raw.next().await {
        assert_ne!(frame.stream, 5);
        if frame.kind == DATA {
            rest.extend(frame.payload);
        }
    }
    assert_eq!(rest, b"two");
    raw.far.io.shutdown().await.unwrap();
    raw.far.outcome().await.unwrap();
}

/// A client that never answers the PING does not hold the drain up, once its streams have ended.
#[tokio::test(start_paused = true)]
async fn a_client_that_ignores_the_goodbye_is_closed_when_its_streams_have_ended() {
    let (shutdown, go) = (Shutdown::new(), Arc::new(Notify::new()));
    let service = service_fn_with(Arc::clone(&go), async |go: Arc<Notify>, _: Request| {
        go.notified().await;
        Ok::<_, BoxError>(ok("done"))
    });
    let mut raw = Setup::new().shutdown(&shutdown).raw(service).await;
    raw.send(&get(1, "/")).await;
    raw.send(&Frame::new(PING, 0, 0, [7; 8])).await;
    while raw.next_of(PING).await.flags != ACK {}
    shutdown.begin();
    assert_eq!(raw.next_of(GOAWAY).await.goodbye(), (0x7fff_ffff, 0));
    tokio::time::sleep(Duration::from_secs(60)).await;
    go.notify_one();
    assert_eq!(raw.next_on(1).await.kind, HEADERS);
    let start = Instant::now();
    assert_eq!(raw.next_of(GOAWAY).await.goodbye(), (1, 0));
    assert_eq!(start.elapsed(), Duration::from_secs(1));
    drop(raw.far.io);
    raw.far.server.await.unwrap().unwrap().unwrap();
}

/// A client that does not close its end keeps the connection for as long as it lingers, and no longer.
#[tokio::test(start_paused = true)]
async fn a_closed_connection_lingers_for_a_while() {
    let shutdown = Shutdown::new();
    let mut raw = Setup::new().shutdown(&shutdown).raw(service_fn(path)).await;
    raw.send(&get(1, "/")).await;
    assert_eq!(raw.next_on(1).await.kind, HEADERS);
    let start = Instant::now();
    shutdown.begin();
    assert_eq!(raw.goodbye().await, Some(0));
    // It is still read.
    assert!(raw.try_send(&get(3, "/").bytes()).await);
    raw.far.outcome().await.unwrap();
    assert_eq!(start.elapsed(), Duration::from_secs(2));
}
