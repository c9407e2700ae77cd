//! Request bodies.

use std::{sync::Arc, time::Duration};

use bytes::Bytes;
use chaski_core::{Session, find_cause, http::Body};
use chaski_http2::{Http2ClientConfig, Http2Error};
use http::{HeaderMap, HeaderValue, Method};
use tokio::time::Instant;

use super::{
    cause, channel, drain, get,
    peer::{
        DATA, END_HEADERS, END_STREAM, Frame, HEADERS, INITIAL_WINDOW_SIZE, OK, Peer, RST_STREAM, connected,
        connected_with,
    },
    request, serve, text,
};

/// What of a body has arrived: the data until the end of the stream or `limit` bytes.
async fn data(peer: &mut Peer, limit: usize) -> (Vec<u8>, bool) {
    let mut all = Vec::new();
    while all.len() < limit {
        let frame = peer.next(DATA).await;
        all.extend_from_slice(&frame.payload);
        if frame.ends() {
            return (all, true);
        }
    }
    (all, false)
}

#[tokio::test(start_paused = true)]
async fn a_body_in_hand_leaves_with_its_head() {
    let (session, mut peer) = connected(100).await;
    let session = Arc::new(session);
    let call = serve(&session, request(Method::POST, "body"));
    let head = peer.next(HEADERS).await;
    assert!(!head.ends());
    let body = peer.next(DATA).await;
    assert_eq!((body.payload.as_slice(), body.ends()), (&b"body"[..], true));
    peer.answer(1).await;
    call.await.unwrap().unwrap();
}

/// As much as the windows let through, and the rest when they open.
#[tokio::test(start_paused = true)]
async fn a_large_body_waits_for_the_windows() {
    let sent: Bytes = (0..200_000_u32).map(|at| at as u8).collect();
    let (frames, streamed) = channel();
    for piece in sent.chunks(30_000) {
        frames.send(Ok(Bytes::copy_from_slice(piece))).unwrap();
    }
    drop(frames);
    for body in [Body::full(sent.clone()), streamed] {
        let (session, mut peer) = connected_with(Http2ClientConfig::default(), &[(INITIAL_WINDOW_SIZE, 100_000)]).await;
        let session = Arc::new(session);
        let call = serve(&session, request(Method::POST, body));
        peer.next(HEADERS).await;
        // The connection's window is the smaller one.
        let (mut received, _) = data(&mut peer, 65_535).await;
        assert_eq!(received.len(), 65_535);
        assert!(peer.settle().await.is_empty());
        peer.open_window(0, 1_000_000).await;
        received.extend(data(&mut peer, 100_000 - 65_535).await.0);
        assert!(peer.settle().await.is_empty());
        peer.open_window(1, 1_000_000).await;
        let (rest, ended) = data(&mut peer, usize::MAX).await;
        received.extend(rest);
        assert!(ended);
        assert!(received == sent);
        peer.answer(1).await;
        call.await.unwrap().unwrap();
    }
}

#[tokio::test(start_paused = true)]
async fn trailers_end_a_body() {
    let (session, mut peer) = connected(100).await;
    let session = Arc::new(session);
    let mut trailers = HeaderMap::new();
    trailers.insert("sum", HeaderValue::from_static("42"));
    let call = serve(&session, request(Method::POST, Body::full("body").with_trailers(trailers)));
    peer.next(HEADERS).await;
    assert!(!peer.next(DATA).await.ends());
    assert!(peer.next(HEADERS).await.ends());
    peer.answer(1).await;
    call.await.unwrap().unwrap();
}

/// Upload and download at the same time; the upload goes on while the response's body is polled.
#[tokio::test(start_paused = true)]
async fn a_response_may_begin_and_go_on_during_the_upload() {
    let (session, mut peer) = connected(100).await;
    let session = Arc::new(session);
    let (frames, body) = channel();
    let call = serve(&session, request(Method::POST, body));
    peer.next(HEADERS).await;
    peer.send(HEADERS, END_HEADERS, 1, OK).await;
    let mut response = call.await.unwrap().unwrap();
    let reads = tokio::spawn(async move {
        let mut all = Vec::new();
        while let Some(frame) = response.body_mut().frame().await {
            all.extend_from_slice(&frame.unwrap().into_data().unwrap());
        }
        all
    });
    for number in 0..3_u8 {
        frames.send(Ok(vec![number; 10].into())).unwrap();
        let piece = peer.next(DATA).await;
        peer.send(DATA, 0, 1, &piece.payload).await;
    }
    drop(frames);
    assert!(peer.next(DATA).await.ends());
    peer.send(DATA, END_STREAM, 1, b"end").await;
    assert_eq!(reads.await.unwrap().len(), 33);
    assert_eq!(session.slots().free, 100);
}

/// H2-09: a response that is complete before the upload, and the peer's word that it wants no more of that.
#[tokio::test(start_paused = true)]
async fn h2_09_a_reset_without_error_keeps_the_response() {
    for size in [0, 5, 50_000] {
        let (session, mut peer) = connected(100).await;
        let session = Arc::new(session);
        let (frames, body) = channel();
        frames.send(Ok("first".into())).unwrap();
        let call = serve(&session, request(Method::POST, body));
        peer.next(HEADERS).await;
        peer.next(DATA).await;
        peer.send(HEADERS, END_HEADERS, 1, OK).await;
        for piece in vec![b'x'; size].chunks(16_384) {
            peer.send(DATA, 0, 1, piece).await;
        }
        peer.send(DATA, END_STREAM, 1, b"").await;
        peer.reset(1, 0).await;
        assert!(peer.settle().await.is_empty());
        assert!(frames.is_closed(), "the body is dropped");
        assert_eq!(text(call.await.unwrap().unwrap()).await.len(), size);
        assert_eq!(session.slots().free, 100);
        assert!(peer.settle().await.iter().all(|frame| frame.kind != DATA && frame.kind != RST_STREAM));
    }
}

/// The rest of an upload is not sent behind a response that is complete.
#[tokio::test(start_paused = true)]
async fn an_upload_ends_with_its_response() {
    for data in [false, true] {
        let (session, mut peer) = connected(100).await;
        let session = Arc::new(session);
        let (frames, body) = channel();
        let call = serve(&session, request(Method::POST, body));
        peer.next(HEADERS).await;
        if data {
            peer.send(HEADERS, END_HEADERS, 1, OK).await;
            peer.settle().await;
            peer.send(DATA, END_STREAM, 1, b"whole").await;
        } else {
            peer.answer(1).await;
        }
        let response = call.await.unwrap().unwrap();
        assert_eq!(text(response).await, if data { "whole" } else { "" });
        assert_eq!(peer.next(RST_STREAM).await.stream, 1);
        assert!(frames.is_closed(), "the body is dropped");
        assert_eq!(session.slots().free, 100);
    }
}

#[tokio::test(start_paused = true)]
async fn a_body_that_fails_resets_its_stream() {
    let (session, mut peer) = connected(100).await;
    let session = Arc::new(session);
    let (frames, body) = channel();
    let call = serve(&session, request(Method::POST, body));
    peer.next(HEADERS).await;
    frames.send(Err("broken".into())).unwrap();
    let error = call.await.unwrap().unwrap_err();
    assert!(matches!(cause(&error), Http2Error::RequestBody(_)));
    assert!(!error.is_not_sent());
    assert_eq!(peer.next(RST_STREAM).await.number(0), 8, "CANCEL");
    // Also when its response has begun.
    let (frames, body) = channel();
    let call = serve(&session, request(Method::POST, body));
    peer.next(HEADERS).await;
    peer.send(HEADERS, END_HEADERS, 3, OK).await;
    let mut response = call.await.unwrap().unwrap();
    frames.send(Err("broken".into())).unwrap();
    let error = response.body_mut().frame().await.unwrap().unwrap_err();
    assert!(matches!(find_cause::<Http2Error>(&*error), Some(Http2Error::RequestBody(_))));
    assert_eq!(peer.next(RST_STREAM).await.number(0), 8, "CANCEL");
    assert_eq!(session.slots().free, 100);
}

/// A peer that does not open its window. Its other streams go on.
#[tokio::test(start_paused = true)]
async fn an_upload_that_the_peer_does_not_take_has_a_limit() {
    let config = Http2ClientConfig::default().with_write_timeout(Some(Duration::from_secs(5)));
    let (session, mut peer) = connected_with(config, &[]).await;
    let session = Arc::new(session);
    let started = Instant::now();
    let call = serve(&session, request(Method::POST, vec![0; 100_000]));
    let other = serve(&session, get());
    for stream in [1, 3] {
        assert_eq!(peer.next(HEADERS).await.stream, stream);
    }
    data(&mut peer, 65_535).await;
    let error = call.await.unwrap().unwrap_err();
    assert!(matches!(cause(&error), Http2Error::WriteTimeout(_)), "{error:?}");
    assert_eq!(started.elapsed(), Duration::from_secs(5));
    assert!(!error.is_not_sent());
    let reset = peer.next(RST_STREAM).await;
    assert_eq!((reset.stream, reset.number(0)), (1, 8));
    peer.answer(3).await;
    other.await.unwrap().unwrap();
}

fn expecting(body: impl Into<Body>) -> chaski_core::http::Request {
    let mut request = request(Method::POST, body);
    request.headers_mut().insert("expect", HeaderValue::from_static("100-continue"));
    request
}

#[tokio::test(start_paused = true)]
async fn a_body_that_is_expected_waits_to_be_asked_for() {
    let (session, mut peer) = connected(100).await;
    let session = Arc::new(session);
    let call = serve(&session, expecting("body"));
    peer.next(HEADERS).await;
    assert!(peer.settle().await.is_empty());
    peer.send(HEADERS, END_HEADERS, 1, b"\x08\x03100").await;
    let Frame { payload, .. } = peer.next(DATA).await;
    assert_eq!(payload, b"body");
    peer.answer(1).await;
    call.await.unwrap().unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_body_that_nobody_asks_for_is_sent_after_a_while() {
    let config = Http2ClientConfig::default().with_expect_timeout(Duration::from_secs(3));
    let (session, mut peer) = connected_with(config, &[]).await;
    let session = Arc::new(session);
    let started = Instant::now();
    let call = serve(&session, expecting("body"));
    peer.next(HEADERS).await;
    assert_eq!(peer.next(DATA).await.payload, b"body");
    assert_eq!(started.elapsed(), Duration::from_secs(3));
    peer.answer(1).await;
    call.await.unwrap().unwrap();
}

/// RFC 9110 section 10.1.1: it is not sent behind a final response.
#[tokio::test(start_paused = true)]
async fn a_body_that_is_refused_is_not_sent() {
    let (session, mut peer) = connected(100).await;
    let session = Arc::new(session);
    let call = serve(&session, expecting("body"));
    peer.next(HEADERS).await;
    // `:status: 404`.
    peer.send(HEADERS, END_HEADERS | END_STREAM, 1, &[0x8d]).await;
    assert_eq!(call.await.unwrap().unwrap().status(), 404);
    assert_eq!(peer.next(RST_STREAM).await.number(0), 8, "CANCEL");
    assert!(peer.settle().await.is_empty());
}

/// H2-04: a response that nobody reads keeps no other one from coming. (Seen from the client.)
#[tokio::test(start_paused = true)]
async fn h2_04_an_unread_response_does_not_hold_others_up() {
    let config = Http2ClientConfig::default().with_stream_window(100_000).with_connection_window(300_000);
    let (session, mut peer) = connected_with(config, &[]).await;
    let session = Arc::new(session);
    let unread = serve(&session, get());
    peer.next(HEADERS).await;
    peer.send(HEADERS, END_HEADERS, 1, OK).await;
    for _ in 0..100 {
        peer.send(DATA, 0, 1, &[0; 1000]).await;
    }
    let unread = unread.await.unwrap().unwrap();
    let call = serve(&session, get());
    while peer.frame().await.unwrap().kind != HEADERS {}
    peer.send(HEADERS, END_HEADERS, 3, OK).await;
    let reads = tokio::spawn(drain(call.await.unwrap().unwrap().into_body()));
    // A hundred windows of the stream, each as soon as it is given back.
    let (mut window, mut whole, mut left) = (100_000_i64, 200_000_i64, 10_000_000_i64);
    while left > 0 {
        let piece = window.min(whole).min(left).min(16_384);
        if piece < 1000 {
            let frame = peer.frame().await.unwrap();
            match frame.stream {
                0 => whole += i64::from(frame.number(0)),
                3 => window += i64::from(frame.number(0)),
                _ => panic!("{frame:?}"),
            }
            continue;
        }
        left -= piece;
        (window, whole) = (window - piece, whole - piece);
        let flags = if left == 0 { END_STREAM } else { 0 };
        peer.send(DATA, flags, 3, &vec![0; usize::try_from(piece).unwrap()]).await;
    }
    assert_eq!(reads.await.unwrap().unwrap().0.len(), 10_000_000);
    drop(unread);
}
