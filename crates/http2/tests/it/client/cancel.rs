//! Who loses interest gives up one stream, and nothing else.

use std::{
    future::{Future, poll_fn},
    pin::pin,
    sync::Arc,
    task::Poll,
};

use chaski_core::{Service, Session, SessionState};
use chaski_http2::Http2ClientConfig;
use http::Method;

use super::{
    channel, get,
    peer::{
        DATA, END_HEADERS, END_STREAM, HEADERS, INITIAL_WINDOW_SIZE, OK, Peer, RST_STREAM, connected, connected_with,
    },
    request, serve, text,
};

const CANCEL: u32 = 8;

/// The connection serves the next request as if nothing had been.
async fn goes_on(session: &Arc<chaski_http2::Http2Session>, peer: &mut Peer) {
    assert_eq!((session.state(), session.slots().free), (SessionState::Open, 100));
    let call = serve(session, get());
    let stream = peer.next(HEADERS).await.stream;
    peer.send(HEADERS, END_HEADERS, stream, OK).await;
    peer.send(DATA, END_STREAM, stream, b"next").await;
    assert_eq!(text(call.await.unwrap().unwrap()).await, "next");
}

/// H1-28: the case of HTTP/2, before the response.
#[tokio::test(start_paused = true)]
async fn h1_28_dropping_the_future_resets_the_stream() {
    let (session, mut peer) = connected(100).await;
    let session = Arc::new(session);
    let call = serve(&session, get());
    peer.next(HEADERS).await;
    assert_eq!(session.slots().free, 99);
    call.abort();
    let reset = peer.next(RST_STREAM).await;
    assert_eq!((reset.stream, reset.number(0)), (1, CANCEL));
    goes_on(&session, &mut peer).await;
}

/// H1-28: in the middle of a body, whatever is still on its way.
#[tokio::test(start_paused = true)]
async fn h1_28_dropping_the_body_resets_the_stream() {
    let (session, mut peer) = connected(100).await;
    let session = Arc::new(session);
    for stream in [1, 5] {
        let call = serve(&session, get());
        peer.next(HEADERS).await;
        peer.send(HEADERS, END_HEADERS, stream, OK).await;
        peer.send(DATA, 0, stream, &[0; 1000]).await;
        let mut response = call.await.unwrap().unwrap();
        if stream == 5 {
            response.body_mut().frame().await.unwrap().unwrap();
        }
        drop(response);
        let reset = peer.next(RST_STREAM).await;
        assert_eq!((reset.stream, reset.number(0)), (stream, CANCEL));
        // It was on its way.
        peer.send(DATA, END_STREAM, stream, &[0; 1000]).await;
        goes_on(&session, &mut peer).await;
    }
}

/// H1-28: an upload that waits for the peer's window, or for its own next frame.
#[tokio::test(start_paused = true)]
async fn h1_28_dropping_an_upload_resets_the_stream_at_once() {
    let (session, mut peer) = connected(100).await;
    let session = Arc::new(session);
    let (frames, streamed) = channel();
    frames.send(Ok(vec![0; 10].into())).unwrap();
    // 65,535 bytes are all that the windows let through.
    for body in [chaski_core::http::Body::full(vec![0; 100_000]), streamed] {
        let call = serve(&session, request(Method::POST, body));
        let stream = peer.next(HEADERS).await.stream;
        let sent: usize = peer.settle().await.iter().map(|frame| frame.payload.len()).sum();
        assert!([10, 65_535].contains(&sent), "{sent}");
        call.abort();
        let reset = peer.next(RST_STREAM).await;
        assert_eq!((reset.stream, reset.number(0)), (stream, CANCEL));
        peer.open_window(0, u32::try_from(sent).unwrap()).await;
        goes_on(&session, &mut peer).await;
    }
}

/// H1-28: an upload that was given away as a whole, and of which the peer's window lets nothing through.
#[tokio::test(start_paused = true)]
async fn h1_28_dropping_a_small_upload_resets_the_stream_at_once() {
    let (session, mut peer) = connected_with(Http2ClientConfig::default(), &[(INITIAL_WINDOW_SIZE, 0)]).await;
    let session = Arc::new(session);
    let call = serve(&session, request(Method::POST, "body"));
    peer.next(HEADERS).await;
    assert!(peer.settle().await.is_empty());
    call.abort();
    assert_eq!(peer.next(RST_STREAM).await.number(0), CANCEL);
}

/// A request that is given up before it was written leaves nothing behind that would hold a slot.
#[tokio::test(start_paused = true)]
async fn a_request_that_is_dropped_at_once_leaves_the_connection_whole() {
    let (session, mut peer) = connected(100).await;
    {
        let mut call = pin!(session.serve(get()));
        assert!(poll_fn(|cx| Poll::Ready(call.as_mut().poll(cx))).await.is_pending());
    }
    assert_eq!(session.slots().free, 100);
    // Pongs overtake what was not written yet.
    let mut frames = peer.settle().await;
    frames.extend(peer.settle().await);
    let kinds: Vec<u8> = frames.iter().map(|frame| frame.kind).collect();
    // A stream begins with its head (RFC 9113 section 5.1).
    assert!(kinds.is_empty() || kinds == [HEADERS, RST_STREAM], "{frames:?}");
    goes_on(&Arc::new(session), &mut peer).await;
}

/// H2-03: the connection's window is whole again after any number of streams that were given up with unread data. (Seen from the client.)
#[tokio::test(start_paused = true)]
async fn h2_03_dropped_bodies_give_their_windows_back() {
    let (session, mut peer) = connected(100).await;
    let session = Arc::new(session);
    let mut window = 0_i64;
    for number in 0..2_000_u32 {
        let stream = 2 * number + 1;
        let call = serve(&session, get());
        while peer.frame().await.unwrap().kind != HEADERS {}
        peer.send(HEADERS, END_HEADERS, stream, OK).await;
        peer.send(DATA, 0, stream, &[0; 16_384]).await;
        window -= 16_384;
        drop(call.await.unwrap().unwrap());
        for frame in peer.settle().await {
            if frame.kind == super::peer::WINDOW_UPDATE && frame.stream == 0 {
                window += i64::from(frame.number(0));
            }
        }
        // 16 MiB are allowed; what is given back is told in portions of a half at most.
        assert!(window > -8 * 1024 * 1024 - 65_536, "{number}: {window}");
    }
    assert_eq!(session.slots().free, 100);
}
