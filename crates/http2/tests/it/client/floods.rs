//! Servers that make work: they are told to calm down, after a bounded number of frames.

use std::sync::Arc;

use chaski_core::{find_cause, http::Request};
use chaski_http2::{ErrorCode, Http2BodyError, Http2ClientConfig, Http2Error, Http2Session};
use http::Method;

use super::{
    cause, get,
    peer::{
        CONTINUATION, DATA, END_HEADERS, HEADERS, OK, PING, PRIORITY, Peer, RST_STREAM, SETTINGS, WINDOW_UPDATE,
        connected,
    },
    request, serve, soon, text,
};

const ENHANCE_YOUR_CALM: u32 = 0xb;

/// Kind, flags, stream and payload.
type Frame<'a> = (u8, u8, u32, &'a [u8]);

/// A session whose first stream is done, whose second waits for an answer, and whose third has the head of one.
async fn busy() -> (Arc<Http2Session>, Peer, super::Call, chaski_core::http::Response) {
    let (session, mut peer) = connected(100).await;
    let session = Arc::new(session);
    let done = serve(&session, get());
    peer.next(HEADERS).await;
    peer.answer(1).await;
    done.await.unwrap().unwrap();
    let waiting = serve(&session, get());
    peer.next(HEADERS).await;
    let begun = serve(&session, get());
    peer.next(HEADERS).await;
    peer.send(HEADERS, END_HEADERS, 5, OK).await;
    let begun = begun.await.unwrap().unwrap();
    (session, peer, waiting, begun)
}

/// Sends the same frame until the client closes; how often, and what the GOAWAY says.
async fn attack(peer: &mut Peer, most: u32, frame: Frame<'_>) -> (u32, Option<u32>) {
    let (kind, flags, stream, payload) = frame;
    let (mut rounds, mut goodbye) = (0, None);
    'attack: while peer.try_send(kind, flags, stream, payload).await {
        rounds += 1;
        assert!(rounds <= most, "nobody stops it");
        // So that the client reads it, in pieces as small as that, and its answers do not pile up.
        tokio::task::yield_now().await;
        while let Some(frame) = peer.waiting().await {
            let Some(frame) = frame else { break 'attack };
            if frame.kind == super::peer::GOAWAY {
                goodbye = Some(frame.number(4));
            }
        }
    }
    (rounds, goodbye)
}

/// H2-01: frames that do nothing, or have to be answered. Who waits learns why it fails, and so does the peer.
#[tokio::test(start_paused = true)]
async fn h2_01_a_server_that_sends_frames_of_no_use_is_stopped() {
    let one = &1_u32.to_be_bytes()[..];
    let frames: [(&str, Frame<'_>); 9] = [
        ("PING", (PING, 0, 0, &[7; 8])),
        ("an answer to no PING", (PING, 1, 0, &[7; 8])),
        ("SETTINGS", (SETTINGS, 0, 0, &[])),
        ("PRIORITY", (PRIORITY, 0, 3, &[0, 0, 0, 0, 1])),
        ("an unknown frame", (0x42, 0, 0, &[1, 2, 3])),
        ("WINDOW_UPDATE of the connection", (WINDOW_UPDATE, 0, 0, one)),
        ("WINDOW_UPDATE of a stream", (WINDOW_UPDATE, 0, 3, one)),
        ("WINDOW_UPDATE of a stream that is gone", (WINDOW_UPDATE, 0, 1, one)),
        ("a reset of what is gone", (RST_STREAM, 0, 1, &[0, 0, 0, 8])),
    ];
    for (what, frame) in frames {
        let (session, mut peer, waiting, begun) = busy().await;
        let (rounds, goodbye) = attack(&mut peer, 1100, frame).await;
        assert!((990..=1010).contains(&rounds), "{what}: {rounds} rounds");
        assert_eq!(goodbye, Some(ENHANCE_YOUR_CALM), "{what}");

        let error = soon(waiting).await.unwrap().unwrap_err();
        assert!(matches!(cause(&error), Http2Error::Protocol(ErrorCode::ENHANCE_YOUR_CALM)), "{what}: {error:?}");
        assert!(!error.is_not_sent(), "{what}");
        let error = soon(begun.into_body().collect(100)).await.unwrap_err();
        let error = find_cause::<Http2BodyError>(&*error);
        assert!(matches!(error, Some(Http2BodyError::Malformed(ErrorCode::ENHANCE_YOUR_CALM))), "{what}: {error:?}");
        soon(chaski_core::Session::<Request>::changed(&*session)).await;
    }
}

/// H2-01: what h2 counts by itself: a head without an end, and data that costs more to keep than it is.
#[tokio::test(start_paused = true)]
async fn h2_01_a_server_that_sends_endless_heads_or_tiny_data_is_stopped() {
    let (_session, mut peer, waiting, _begun) = busy().await;
    peer.send(HEADERS, 0, 3, OK).await;
    let (rounds, goodbye) = attack(&mut peer, 100, (CONTINUATION, 0, 3, &[])).await;
    assert_eq!(goodbye, Some(ENHANCE_YOUR_CALM), "after {rounds}");
    let error = soon(waiting).await.unwrap().unwrap_err();
    assert!(matches!(cause(&error), Http2Error::Protocol(ErrorCode::ENHANCE_YOUR_CALM)), "{error:?}");

    for payload in [&b""[..], b"x"] {
        let (_session, mut peer, _waiting, begun) = busy().await;
        let (rounds, goodbye) = attack(&mut peer, 100_000, (DATA, 0, 5, payload)).await;
        assert_eq!(goodbye, Some(ENHANCE_YOUR_CALM), "{payload:?}: after {rounds}");
        drop(begun);
    }
}

/// What looks alike and is none: a server that opens both windows for every 4 KiB of an upload, and measures the path with a
/// PING as often.
#[tokio::test(start_paused = true)]
async fn h2_01_a_server_that_opens_its_windows_in_small_steps_is_not_stopped() {
    const STEP: usize = 4096;
    const LENGTH: usize = 8 * 1024 * 1024;
    let (session, mut peer) = connected(100).await;
    let session = Arc::new(session);
    let call = serve(&session, request(Method::POST, vec![0; LENGTH]));
    let (mut length, mut opened) = (0, 0);
    while length < LENGTH {
        let frame = peer.frame().await.expect("the client has closed");
        if frame.kind != DATA {
            continue;
        }
        length += frame.payload.len();
        while opened + STEP <= length {
            opened += STEP;
            peer.open_window(0, STEP as u32).await;
            peer.open_window(1, STEP as u32).await;
            peer.send(PING, 0, 0, &[7; 8]).await;
        }
    }
    peer.answer(1).await;
    assert_eq!(text(soon(call).await.unwrap().unwrap()).await, "");
}

/// The budget is one for ten seconds, and can be set.
#[tokio::test(start_paused = true)]
async fn h2_01_a_trickle_is_not_stopped_and_the_limit_can_be_set() {
    // Two come before: the settings and an acknowledgement.
    let config = Http2ClientConfig::default().with_max_control_frames(12);
    let (session, mut peer) = super::peer::connected_with(config, &[]).await;
    for _ in 0..30 {
        // With its PING, which makes sure that all was read.
        for _ in 0..9 {
            peer.send(PRIORITY, 0, 1, &[0, 0, 0, 3, 1]).await;
        }
        peer.settle().await;
        tokio::time::sleep(std::time::Duration::from_secs(10)).await;
    }
    // What was left, a whole period's, and what is on its way when that is spent.
    let (rounds, goodbye) = attack(&mut peer, 2 + 12 + 2, (PRIORITY, 0, 1, &[0, 0, 0, 3, 1])).await;
    assert_eq!(goodbye, Some(ENHANCE_YOUR_CALM));
    assert!(rounds >= 12, "{rounds}");
    drop(session);
}

/// H2-05: windows that cannot be. The setting, and what makes the connection's window or that of a stream too large by a change
/// of the settings, end the connection (RFC 9113 sections 6.5.2, 6.9.1 and 6.9.2).
#[tokio::test(start_paused = true)]
async fn h2_05_an_impossible_window_ends_the_connection() {
    let too_large = [0, 4, 0x80, 0, 0, 0];
    let largest = [0, 4, 0x7f, 0xff, 0xff, 0xff];
    let cases: [(&str, &[Frame<'_>]); 4] = [
        ("a setting", &[(SETTINGS, 0, 0, &too_large)]),
        ("the second setting", &[(SETTINGS, 0, 0, &[0, 3, 0, 0, 0, 9, 0, 4, 0xff, 0xff, 0xff, 0xff])]),
        ("the connection's window", &[(WINDOW_UPDATE, 0, 0, &[0x7f, 0xff, 0xff, 0xff])]),
        // The stream's window is 1 more than the initial one.
        ("a stream's window by the settings", &[(WINDOW_UPDATE, 0, 1, &[0, 0, 0, 1]), (SETTINGS, 0, 0, &largest)]),
    ];
    for (what, frames) in cases {
        let (session, mut peer) = connected(100).await;
        let session = Arc::new(session);
        let (_frames, body) = super::channel();
        let waiting = serve(&session, request(Method::POST, body));
        peer.next(HEADERS).await;
        for (kind, flags, stream, payload) in frames {
            peer.send(*kind, *flags, *stream, payload).await;
        }
        assert_eq!(peer.goodbye().await, Some(3), "{what}");
        let error = soon(waiting).await.unwrap().unwrap_err();
        assert!(matches!(cause(&error), Http2Error::Protocol(ErrorCode::FLOW_CONTROL_ERROR)), "{what}: {error:?}");
    }
}

/// H2-05: an update that makes a stream's window impossible ends that stream alone (RFC 9113 section 6.9.1).
#[tokio::test(start_paused = true)]
async fn h2_05_an_impossible_window_of_a_stream_ends_the_stream() {
    let (session, mut peer) = connected(100).await;
    let session = Arc::new(session);
    let (_frames, body) = super::channel();
    let call = serve(&session, request(Method::POST, body));
    peer.next(HEADERS).await;
    peer.open_window(1, 0x7fff_ffff).await;
    assert_eq!(peer.next(RST_STREAM).await.number(0), 3);
    let error = soon(call).await.unwrap().unwrap_err();
    assert!(matches!(cause(&error), Http2Error::Protocol(ErrorCode::FLOW_CONTROL_ERROR)), "{error:?}");
    let call = serve(&session, get());
    peer.next(HEADERS).await;
    peer.answer(3).await;
    soon(call).await.unwrap().unwrap();
}
