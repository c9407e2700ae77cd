//! Clients that make work: they are told to calm down, after a bounded number of it.

use std::sync::{
    Arc,
    atomic::{AtomicUsize, Ordering},
};

use chaski_core::{BoxError, http::Request, service_fn_with};
use chaski_http2::{ErrorCode, Http2ServerError};

use super::{frames::*, harness::*};

const ENHANCE_YOUR_CALM: u32 = 0xb;

/// A client that sends the same over and over, on a new stream each time, until it is stopped.
struct Attack {
    raw: Raw,
    calls: Arc<AtomicUsize>,
    rounds: u32,
}

impl Attack {
    async fn begin() -> Self {
        let calls = Arc::<AtomicUsize>::default();
        let service = service_fn_with(Arc::clone(&calls), async |calls: Arc<AtomicUsize>, request: Request| {
            calls.fetch_add(1, Ordering::Relaxed);
            std::future::pending::<()>().await;
            drop(request);
            Err(BoxError::from("it never ends"))
        });
        Self { raw: Setup::new().raw(service).await, calls, rounds: 0 }
    }

    /// Attacks; fails the test if nobody stops it in time, or otherwise than with a GOAWAY that says why.
    async fn run(mut self, what: &str, most: u32, round: impl Fn(u32) -> Vec<u8>) -> usize {
        loop {
            let sent = self.raw.try_send(&round(1 + 2 * self.rounds)).await;
            // So that the server reads it, in pieces as small as that.
            tokio::task::yield_now().await;
            // Afterwards it reads on for a while, and throws away what it reads.
            if !sent || self.raw.far.probe.stats().shutdown_at.is_some() {
                break;
            }
            self.rounds += 1;
            assert!(self.rounds <= most, "{what}: nobody stops it");
        }
        assert_eq!(self.raw.goodbye().await, Some(ENHANCE_YOUR_CALM), "{what}");
        let outcome = self.raw.far.outcome().await;
        let expected = matches!(outcome, Err(Http2ServerError::Refused(ErrorCode::ENHANCE_YOUR_CALM)));
        assert!(expected, "{what}: {outcome:?}");
        let read = self.raw.far.probe.stats().bytes_read;
        assert!(read < 2 * 1024 * 1024, "{what}: {read} bytes were read");
        self.calls.load(Ordering::Relaxed)
    }
}

/// H2-01: rapid reset (CVE-2023-44487): the client makes streams and resets them.
#[tokio::test(start_paused = true)]
async fn h2_01_rapid_resets_are_stopped() {
    let round = |stream| [get(stream, "/").bytes(), reset(stream, 8).bytes()].concat();
    let calls = Attack::begin().await.run("rapid reset", 1000, round).await;
    assert!((1..=201).contains(&calls), "{calls} calls");
}

/// H2-01: MadeYouReset (CVE-2025-8671): the client makes streams and has the server reset them, by overflowing their windows,
/// by ending them twice, or by a request that is malformed.
#[tokio::test(start_paused = true)]
async fn h2_01_streams_that_the_server_has_to_reset_are_stopped() {
    let overflow = |stream| [get(stream, "/").bytes(), window_update(stream, 0x7fff_ffff).bytes()].concat();
    let calls = Attack::begin().await.run("overflow", 1000, overflow).await;
    assert!((1..=201).contains(&calls), "{calls} calls");

    let post = [&pseudo("POST", "/")[..], &[("content-length", "1")]].concat();
    let too_long = move |stream| [headers(stream, &post, 0).bytes(), data(stream, b"12", 0).bytes()].concat();
    let calls = Attack::begin().await.run("too long", 1000, too_long).await;
    assert!((1..=201).contains(&calls), "{calls} calls");

    let fields = [&pseudo("GET", "/")[..], &[("host", "b.test")]].concat();
    let malformed = move |stream| headers(stream, &fields, END_STREAM).bytes();
    let calls = Attack::begin().await.run("malformed", 1000, malformed).await;
    assert_eq!(calls, 0);
}

/// H2-01: more streams at a time than there may be, again and again.
#[tokio::test(start_paused = true)]
async fn h2_01_refused_streams_are_stopped() {
    let calls = Attack::begin().await.run("too many streams", 2000, |stream| get(stream, "/").bytes()).await;
    assert_eq!(calls, 100);
}

/// H2-01: a head without an end.
#[tokio::test(start_paused = true)]
async fn h2_01_endless_heads_are_stopped() {
    let round = |stream| match stream {
        1 => Frame::new(HEADERS, END_STREAM, 1, block(&pseudo("GET", "/"))).bytes(),
        _ => Frame::new(CONTINUATION, 0, 1, []).bytes(),
    };
    Attack::begin().await.run("empty CONTINUATION", 100, round).await;
    let field = block(&[("x", &"y".repeat(4000))]);
    let round = move |stream| match stream {
        1 => Frame::new(HEADERS, END_STREAM, 1, block(&pseudo("GET", "/"))).bytes(),
        _ => Frame::new(CONTINUATION, 0, 1, field.clone()).bytes(),
    };
    Attack::begin().await.run("full CONTINUATION", 100, round).await;
}

/// H2-01: frames that do nothing, or have to be answered.
#[tokio::test(start_paused = true)]
async fn h2_01_frames_of_no_use_are_stopped() {
    let frames = [
        ("PING", Frame::new(PING, 0, 0, [7; 8])),
        ("an answer to no PING", Frame::new(PING, ACK, 0, [7; 8])),
        ("SETTINGS", Frame::new(SETTINGS, 0, 0, [])),
        ("PRIORITY", Frame::new(2, 0, 1, [0, 0, 0, 3, 1])),
        ("an unknown frame", Frame::new(0x42, 0, 0, [1, 2, 3])),
        ("WINDOW_UPDATE", window_update(0, 1)),
        ("a reset of what is gone", reset(1, 8)),
    ];
    for (what, frame) in frames {
        let mut attack = Attack::begin().await;
        attack.raw.send(&get(1, "/")).await;
        attack.raw.send(&reset(1, 8)).await;
        attack.run(what, 1100, |_| frame.bytes()).await;
    }
}

/// H2-01: data that costs more to keep than it is.
#[tokio::test(start_paused = true)]
async fn h2_01_empty_and_tiny_data_are_stopped() {
    for (what, payload) in [("empty DATA", &b""[..]), ("tiny DATA", b"x")] {
        let mut attack = Attack::begin().await;
        attack.raw.send(&headers(1, &pseudo("POST", "/"), 0)).await;
        attack.run(what, 3000, |_| data(1, payload, 0).bytes()).await;
    }
}

/// What looks alike and is none: a client that has its answers, cancels some of its requests, and updates its windows.
#[tokio::test(start_paused = true)]
async fn h2_01_a_busy_client_is_not_stopped() {
    let service = chaski_core::service_fn(async |request: Request| {
        if request.uri().path() == "/slow" {
            std::future::pending::<()>().await;
        }
        path(request).await
    });
    let mut raw = Setup::new().raw(service).await;
    for n in 0..3000 {
        let stream = 1 + 4 * n;
        raw.send(&get(stream, "/quick")).await;
        while raw.next_on(stream).await.kind != DATA {}
        raw.send(&window_update(0, 6)).await;
        raw.send(&window_update(stream, 6)).await;
        raw.send(&get(stream + 2, "/slow")).await;
        raw.send(&reset(stream + 2, 8)).await;
    }
}

/// The same: one that opens both windows for every 4 KiB of an answer, and measures the path with a PING as often.
#[tokio::test(start_paused = true)]
async fn h2_01_a_client_that_opens_its_windows_in_small_steps_is_not_stopped() {
    const STEP: usize = 4096;
    const LENGTH: usize = 8 * 1024 * 1024;
    let service = chaski_core::service_fn(async |_: Request| Ok(ok(vec![0; LENGTH])));
    let mut raw = Setup::new().raw(service).await;
    raw.send(&get(1, "/")).await;
    let (mut length, mut opened) = (0, 0);
    while length < LENGTH {
        length += raw.next_of(DATA).await.payload.len();
        while opened + STEP <= length {
            opened += STEP;
            raw.send(&window_update(0, STEP as u32)).await;
            raw.send(&window_update(1, STEP as u32)).await;
            raw.send(&Frame::new(PING, 0, 0, [7; 8])).await;
        }
    }
}

/// What is there a second time is a second chance: the budget is one for ten seconds.
#[tokio::test(start_paused = true)]
async fn h2_01_a_slow_trickle_is_not_stopped() {
    let mut attack = Attack::begin().await;
    // So that it is not idle.
    attack.raw.send(&get(1, "/")).await;
    for _ in 0..30 {
        for _ in 0..300 {
            attack.raw.send(&Frame::new(PRIORITY, 0, 1, [0, 0, 0, 3, 1])).await;
        }
        tokio::time::sleep(std::time::Duration::from_secs(10)).await;
    }
    attack.raw.send(&Frame::new(PING, 0, 0, [7; 8])).await;
    assert_eq!(attack.raw.next_of(PING).await.flags, ACK);
}
