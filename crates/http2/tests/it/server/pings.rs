//! PING: keep-alive, and windows that grow.

use std::time::Duration;

use bytes::Bytes;
use chaski_core::{
    http::Request,
    service_fn,
    test_util::{PipeDirection, PipeOptions},
};
use chaski_http2::{Http2ServerConfig, Http2ServerError};
use tokio::time::Instant;

use super::{frames::*, harness::*};

const fn secs(secs: u64) -> Duration {
    Duration::from_secs(secs)
}

async fn never(request: Request) -> Handled {
    if request.uri().path() == "/never" {
        std::future::pending::<()>().await;
    }
    path(request).await
}

fn keep_alive(config: Http2ServerConfig) -> Http2ServerConfig {
    let config = config.with_keep_alive_interval(Some(secs(10))).with_keep_alive_timeout(secs(5));
    config.with_idle_timeout(Some(secs(1000)))
}

/// H2-14: a client that waits for its answer and has vanished is noticed, and its call is dropped.
#[tokio::test(start_paused = true)]
async fn h2_14_a_dead_path_is_noticed() {
    let mut raw = Setup::new().config(keep_alive).raw(service_fn(never)).await;
    let start = Instant::now();
    raw.send(&get(1, "/never")).await;
    assert_eq!(raw.next_of(PING).await.flags, 0);
    assert_eq!(start.elapsed(), secs(10));
    let outcome = raw.far.outcome().await;
    assert!(matches!(outcome, Err(Http2ServerError::Timeout(_))), "{outcome:?}");
    assert_eq!(start.elapsed(), secs(15));
}

/// H2-14: one that answers, or sends anything else, is there.
#[tokio::test(start_paused = true)]
async fn h2_14_a_client_that_answers_is_asked_again() {
    let mut raw = Setup::new().config(keep_alive).raw(service_fn(never)).await;
    let start = Instant::now();
    raw.send(&get(1, "/never")).await;
    for n in 1..=5 {
        let ping = raw.next_of(PING).await;
        assert_eq!(start.elapsed(), secs(10 * n));
        raw.send(&Frame { flags: ACK, ..ping }).await;
    }
    tokio::time::sleep(secs(6)).await;
    raw.send(&window_update(0, 1)).await;
    assert_eq!(raw.next_of(PING).await.flags, 0);
    assert_eq!(start.elapsed(), secs(66));
}

/// H2-14: an idle one is not asked, unless that is wanted; by default nobody is.
#[tokio::test(start_paused = true)]
async fn h2_14_an_idle_client_is_not_asked() {
    for while_idle in [false, true] {
        let setup = Setup::new().config(|config| keep_alive(config).with_keep_alive_while_idle(while_idle));
        let mut raw = setup.raw(service_fn(never)).await;
        let start = Instant::now();
        raw.send(&get(1, "/")).await;
        while raw.next_on(1).await.flags & END_STREAM == 0 {}
        let next = loop {
            match raw.next().await.unwrap() {
                frame if frame.kind == PING || frame.kind == GOAWAY => break frame.kind,
                _ => {}
            }
        };
        let expected = if while_idle { (PING, secs(10)) } else { (GOAWAY, secs(1000)) };
        assert_eq!((next, start.elapsed()), expected);
    }
    let mut raw = Setup::new().raw(service_fn(never)).await;
    raw.send(&get(1, "/never")).await;
    tokio::time::sleep(secs(10_000)).await;
    raw.send(&Frame::new(PING, 0, 0, [7; 8])).await;
    assert_eq!(raw.next_of(PING).await.payload, [7; 8], "the answer is the first");
}

/// How long it takes to upload so much over a path of 100 ms there and back, which holds any amount.
async fn upload(config: impl FnOnce(Http2ServerConfig) -> Http2ServerConfig) -> Duration {
    const LENGTH: usize = 32 * 1024 * 1024;
    let service = service_fn(async |request: Request| {
        let mut length = 0;
        let mut body = request.into_body();
        while let Some(frame) = body.frame().await {
            length += frame?.into_data().unwrap_or_default().len();
        }
        Ok(ok(length.to_string()))
    });
    let far =
        PipeDirection { capacity: 64 * 1024 * 1024, latency: Duration::from_millis(50), ..PipeDirection::default() };
    let mut client = Setup::new().config(config).pipe(PipeOptions::both(far)).serve(service).await;
    let start = Instant::now();
    let (response, mut upload) = client.begin(request("POST", "/"), false).await;
    let sending = async { send(&mut upload, Bytes::from(vec![0; LENGTH]), true).await };
    let (answer, ()) = tokio::join!(answer(response), sending);
    assert_eq!(answer.short(), (200, "33554432"));
    let taken = start.elapsed();
    client.outcome().await.unwrap();
    taken
}

/// h2 reads nothing while it owes the answer to a PING, so a client that sends some is sent none for its windows: with both
/// directions full the two would wait for each other.
#[tokio::test(start_paused = true)]
async fn a_client_that_measures_is_not_measured() {
    for measures in [true, false] {
        let service =
            service_fn(async |request: Request| Ok(ok(request.into_body().collect(1 << 20).await?.len().to_string())));
        let mut raw = Setup::new().raw(service).await;
        raw.send(&Frame::new(SETTINGS, ACK, 0, [])).await;
        if measures {
            raw.send(&Frame::new(PING, 0, 0, [7; 8])).await;
            while raw.next_of(PING).await.flags != ACK {}
        }
        raw.send(&headers(1, &pseudo("POST", "/"), 0)).await;
        for _ in 0..20 {
            raw.send(&data(1, &[0; 10_000], 0)).await;
        }
        raw.send(&data(1, b"", END_STREAM)).await;
        let (mut pings, mut answer) = (0, Vec::new());
        while answer.is_empty() {
            let frame = raw.next().await.unwrap();
            match frame.kind {
                PING => pings += 1,
                DATA => answer = frame.payload,
                _ => {}
            }
        }
        assert_eq!((answer, pings), (b"200000".to_vec(), u32::from(!measures)));
    }
}

/// A window lets so much through in a round trip and no more, so it grows for a client that is far away, unless it is pinned.
#[tokio::test(start_paused = true)]
async fn windows_grow_for_those_who_are_far_away() {
    let pinned = upload(|config| config.with_max_window(256 * 1024)).await;
    // 128 windows, and as many round trips at least.
    assert!(pinned > secs(10), "{pinned:?}");
    let grown = upload(|config| config).await;
    assert!(grown < pinned / 4, "{grown:?} of {pinned:?}");
    let larger = upload(|config| config.with_max_window(16 * 1024 * 1024)).await;
    assert!(larger < grown, "{larger:?} of {grown:?}");
}
