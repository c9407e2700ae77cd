//! Whoever has always more to do lets the others have their turn.

use std::{
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    task::Poll,
};

use bytes::Bytes;
use chaski_core::{
    BoxError,
    http::{Body, Request, Response},
    service_fn, service_fn_with,
};

use super::{frames::*, harness::*};

/// A call that is always ready to go on neither starves its siblings, nor the connection's reading and writing, nor the
/// thread's other tasks.
#[tokio::test(start_paused = true)]
async fn a_call_that_is_always_ready_starves_nobody() {
    let turns = Arc::new(AtomicUsize::new(0));
    let service = service_fn_with(Arc::clone(&turns), async |turns: Arc<AtomicUsize>, request: Request| {
        if request.uri().path() == "/greedy" {
            std::future::poll_fn::<(), _>(|cx| {
                assert!(turns.fetch_add(1, Ordering::Relaxed) < 1_000_000, "the others are starved");
                cx.waker().wake_by_ref();
                Poll::Pending
            })
            .await;
        }
        let body = request.into_body().collect(100).await?;
        Ok::<_, BoxError>(ok(body))
    });
    let mut raw = Setup::new().raw(service).await;
    raw.send(&get(1, "/greedy")).await;
    raw.send(&headers(3, &pseudo("POST", "/"), 0)).await;
    let seen = Arc::clone(&turns);
    let other = tokio::spawn(async move {
        let before = seen.load(Ordering::Relaxed);
        for _ in 0..100 {
            tokio::task::yield_now().await;
        }
        (seen.load(Ordering::Relaxed) - before) / 100
    });
    let mean = other.await.unwrap();
    assert!((1..=128).contains(&mean), "{mean} turns of the greedy one for each of another task");
    raw.send(&data(3, b"here", END_STREAM)).await;
    assert_eq!(raw.next_on(3).await.kind, HEADERS);
    assert_eq!(raw.next_on(3).await, data(3, b"here", END_STREAM));
    // A reset reaches it, too.
    raw.send(&reset(1, 8)).await;
    raw.send(&get(5, "/")).await;
    assert_eq!(raw.next_on(5).await.kind, HEADERS);
    let after = turns.load(Ordering::Relaxed);
    tokio::task::yield_now().await;
    assert_eq!(turns.load(Ordering::Relaxed), after, "it goes on after its reset");
}

/// A call that is not woken is not polled, whatever happens to its siblings.
#[tokio::test(start_paused = true)]
async fn a_call_that_waits_is_not_polled_for_others() {
    let polls = Arc::new(AtomicUsize::new(0));
    let service = service_fn_with(Arc::clone(&polls), async |polls: Arc<AtomicUsize>, request: Request| {
        if request.uri().path() == "/waits" {
            std::future::poll_fn::<(), _>(|_| {
                polls.fetch_add(1, Ordering::Relaxed);
                Poll::Pending
            })
            .await;
        }
        Ok::<_, BoxError>(ok("x"))
    });
    let mut raw = Setup::new().raw(service).await;
    raw.send(&get(1, "/waits")).await;
    for stream in (3..203).step_by(2) {
        raw.send(&get(stream, "/")).await;
        assert_eq!(raw.next_on(stream).await.kind, HEADERS);
    }
    assert_eq!(polls.load(Ordering::Relaxed), 1);
}

/// An answer without end in tiny frames, to a client that takes all of them: a sibling's answer comes soon.
#[tokio::test(start_paused = true)]
async fn a_body_without_end_starves_nobody() {
    let service = service_fn(async |request: Request| {
        Ok(match request.uri().path() {
            "/endless" => {
                let frames = std::iter::repeat_with(|| Ok::<_, std::convert::Infallible>(Bytes::from_static(b"x")));
                Response::new(Body::from_stream(Iter(frames)))
            }
            _ => ok("small"),
        })
    });
    let mut raw = Setup::new().raw(service).await;
    raw.send(&window_update(0, 1 << 30)).await;
    raw.send(&get(1, "/endless")).await;
    raw.send(&window_update(1, 1 << 30)).await;
    while raw.next_on(1).await.kind != DATA {}
    raw.send(&get(3, "/small")).await;
    let mut meanwhile = 0;
    loop {
        let frame = raw.next().await.unwrap();
        if frame.stream == 3 {
            break;
        }
        meanwhile += frame.payload.len();
    }
    assert!(meanwhile < 256 * 1024, "{meanwhile} bytes of the other one came first");
}
