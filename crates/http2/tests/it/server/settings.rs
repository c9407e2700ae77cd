//! What the two sides tell each other of themselves.

use chaski_core::service_fn;
use chaski_http2::{ErrorCode, Http2ServerError};

use super::{frames::*, harness::*};

const INITIAL_WINDOW_SIZE: u16 = 4;

/// H2-05: windows that cannot be. The setting, and what makes the connection's window or that of a stream too large by a change
/// of the settings, end the connection (RFC 9113 sections 6.5.2, 6.9.1 and 6.9.2).
#[tokio::test(start_paused = true)]
async fn h2_05_an_impossible_window_ends_the_connection() {
    let settings = |entries: &[u8]| Frame::new(SETTINGS, 0, 0, entries);
    let cases = [
        ("a setting", vec![settings(&[0, 4, 0x80, 0, 0, 0])]),
        ("the second setting", vec![settings(&[0, 3, 0, 0, 0, 9, 0, 4, 0xff, 0xff, 0xff, 0xff])]),
        ("the connection's window", vec![window_update(0, 0x7fff_ffff)]),
        // The stream's window is 1 more than the initial one.
        ("a stream's window by the settings", vec![window_update(1, 1), settings(&[0, 4, 0x7f, 0xff, 0xff, 0xff])]),
    ];
    for (what, frames) in cases {
        let mut raw = Setup::new().raw(service_fn(echo)).await;
        raw.send(&headers(1, &pseudo("POST", "/"), 0)).await;
        for frame in frames {
            raw.send(&frame).await;
        }
        assert_eq!(raw.goodbye().await, Some(3), "{what}");
        let outcome = raw.far.outcome().await;
        let expected = matches!(outcome, Err(Http2ServerError::Refused(ErrorCode::FLOW_CONTROL_ERROR)));
        assert!(expected, "{what}: {outcome:?}");
    }
    // Among the first, too.
    let mut raw = Setup::new().raw_with(service_fn(path), &[(INITIAL_WINDOW_SIZE, 0x8000_0000)]).await;
    assert_eq!(raw.goodbye().await, Some(3));
}

/// H2-05: an update that makes a stream's window impossible ends that stream alone (RFC 9113 section 6.9.1).
#[tokio::test(start_paused = true)]
async fn h2_05_an_impossible_window_of_a_stream_ends_the_stream() {
    let mut raw = Setup::new().raw(service_fn(echo)).await;
    raw.send(&headers(1, &pseudo("POST", "/"), 0)).await;
    raw.send(&window_update(1, 0x7fff_ffff)).await;
    assert_eq!(raw.reset_of(1).await, 3);
    raw.send(&get(3, "/")).await;
    assert_eq!(raw.next_on(3).await.status(), "200");
}

/// H2-05: a window that shrinks below what was sent is negative until it is opened again (RFC 9113 section 6.9.2).
#[tokio::test(start_paused = true)]
async fn h2_05_a_window_may_become_negative() {
    let service = service_fn(async |_: chaski_core::http::Request| Ok(ok(vec![0; 70_000])));
    let mut raw = Setup::new().raw_with(service, &[(INITIAL_WINDOW_SIZE, 10_000)]).await;
    raw.send(&get(1, "/")).await;
    let mut length = 0;
    while length < 10_000 {
        let frame = raw.next_on(1).await;
        if frame.kind == DATA {
            length += frame.payload.len();
        }
    }
    assert_eq!(length, 10_000);
    raw.send(&Frame::new(SETTINGS, 0, 0, [0, 4, 0, 0, 0, 0])).await;
    // 10,000 below 0: the first of these does not make it positive.
    raw.send(&window_update(1, 10_000)).await;
    raw.send(&Frame::new(PING, 0, 0, [7; 8])).await;
    loop {
        let frame = raw.next().await.unwrap();
        assert_ne!(frame.kind, DATA, "more than the window");
        if frame.kind == PING {
            break;
        }
    }
    raw.send(&window_update(1, 5)).await;
    assert_eq!(raw.next_of(DATA).await, data(1, &[0; 5], 0));
}

/// H2-06: larger windows are the client's to use when it has acknowledged them, and smaller ones hold from then on: before
/// that it is held to the ones that every connection begins with.
#[tokio::test(start_paused = true)]
async fn h2_06_new_windows_hold_from_their_acknowledgement_on() {
    for (window, acknowledged, length, refused) in [
        (100_000, false, 65_535, false),
        (100_000, false, 65_536, true),
        (100_000, true, 100_000, false),
        (100_000, true, 100_001, true),
        (10_000, false, 60_000, false),
        (10_000, true, 10_001, true),
    ] {
        let service = service_fn(async |request: chaski_core::http::Request| {
            tokio::time::sleep(std::time::Duration::from_secs(1)).await;
            Ok(ok(request.into_body().collect(200_000).await?.len().to_string()))
        });
        let config = |config: chaski_http2::Http2ServerConfig| config.with_stream_window(window).with_max_window(0);
        let mut raw = Setup::new().config(config).raw(service).await;
        // The connection's own window is a larger one at once.
        while raw.next_of(WINDOW_UPDATE).await.stream != 0 {}
        if acknowledged {
            raw.send(&Frame::new(SETTINGS, ACK, 0, [])).await;
        }
        raw.send(&headers(1, &pseudo("POST", "/"), 0)).await;
        for piece in vec![0; length].chunks(10_000) {
            raw.send(&data(1, piece, 0)).await;
        }
        raw.send(&data(1, b"", END_STREAM)).await;
        let frame = loop {
            let frame = raw.next_on(1).await;
            if frame.kind != WINDOW_UPDATE {
                break frame;
            }
        };
        let case = format!("{window} {acknowledged} {length}");
        if refused {
            assert_eq!(frame, reset(1, 3), "{case}");
        } else {
            assert_eq!(frame.status(), "200", "{case}");
            assert_eq!(raw.next_of(DATA).await.payload, length.to_string().as_bytes(), "{case}");
        }
    }
}
