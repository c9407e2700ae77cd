//! What the peer did not process can be sent again.

use std::sync::Arc;

use chaski_core::{Service, Session, SessionState, http::Body, test_util::pipe};
use chaski_http2::{ErrorCode, Http2ClientConfig, Http2Error, Http2Session};
use http::Method;

use super::{
    cause, channel, get, not_sent,
    peer::{DATA, END_HEADERS, END_STREAM, HEADERS, OK, connected},
    request, serve, soon, text,
};

const REFUSED_STREAM: u32 = 7;
const INTERNAL_ERROR: u32 = 2;

/// H2-08: first the notice, then the last stream: those below finish, those above come back whole.
#[tokio::test(start_paused = true)]
async fn h2_08_streams_above_the_last_one_are_handed_back() {
    let (session, mut peer) = connected(100).await;
    let session = Arc::new(session);
    let below = serve(&session, get());
    peer.next(HEADERS).await;
    let above = serve(&session, request(Method::POST, "body"));
    peer.next(HEADERS).await;
    peer.next(DATA).await;

    let changed = session.changed();
    peer.go_away(0x7fff_ffff, 0).await;
    soon(changed).await;
    assert_eq!((session.state(), session.slots().free), (SessionState::Draining, 0));
    assert_eq!(not_sent(session.serve(get()).await).1, "the connection is draining");

    peer.go_away(1, 0).await;
    let error = above.await.unwrap().unwrap_err();
    assert!(matches!(cause(&error), Http2Error::NotProcessed(ErrorCode::NO_ERROR)));
    assert!(!error.response_seen());
    let again = error.into_request().expect("it was not sent");
    assert_eq!((again.method(), again.body().as_full().unwrap().as_ref()), (&Method::POST, &b"body"[..]));

    peer.send(HEADERS, END_HEADERS, 1, OK).await;
    peer.send(DATA, END_STREAM, 1, b"done").await;
    assert_eq!(text(below.await.unwrap().unwrap()).await, "done");
    // The session is still held, but there is nothing more that it could be for.
    peer.gone().await;
    assert_eq!(session.state(), SessionState::Closed);
}

/// H2-08: a body that has begun to flow cannot be handed back.
#[tokio::test(start_paused = true)]
async fn h2_08_a_request_whose_body_has_begun_does_not_come_back() {
    let (session, mut peer) = connected(100).await;
    let session = Arc::new(session);
    let (frames, body) = channel();
    frames.send(Ok("first".into())).unwrap();
    let call = serve(&session, request(Method::POST, body));
    peer.next(HEADERS).await;
    peer.next(DATA).await;
    peer.reset(1, REFUSED_STREAM).await;
    let error = call.await.unwrap().unwrap_err();
    assert!(matches!(cause(&error), Http2Error::Refused));
    assert!(!error.is_not_sent() && !error.response_seen());
}

#[tokio::test(start_paused = true)]
async fn a_refused_stream_is_handed_back_and_the_connection_goes_on() {
    let (session, mut peer) = connected(100).await;
    let session = Arc::new(session);
    let call = serve(&session, request(Method::POST, "body"));
    peer.next(HEADERS).await;
    peer.next(DATA).await;
    peer.reset(1, REFUSED_STREAM).await;
    let (again, why) = not_sent(call.await.unwrap());
    assert_eq!((again.body().as_full().unwrap().as_ref(), why.as_str()), (&b"body"[..], "the peer refused the stream"));
    let call = serve(&session, again);
    peer.next(HEADERS).await;
    peer.answer(3).await;
    call.await.unwrap().unwrap();
}

/// Any other reset says nothing about what was done.
#[tokio::test(start_paused = true)]
async fn a_stream_that_is_reset_may_have_been_processed() {
    let (session, mut peer) = connected(100).await;
    let session = Arc::new(session);
    let call = serve(&session, get());
    peer.next(HEADERS).await;
    peer.reset(1, INTERNAL_ERROR).await;
    let error = call.await.unwrap().unwrap_err();
    assert!(matches!(cause(&error), Http2Error::Reset(ErrorCode::INTERNAL_ERROR)));
    assert!(!error.is_not_sent() && !error.response_seen());
    assert!(matches!(error.into_parts().sent, chaski_core::Sent::Unknown(Some(_))));
}

/// The peer closed the connection while it was idle, and nobody has looked yet: not a byte goes out.
#[tokio::test(start_paused = true)]
async fn a_request_on_a_connection_that_has_gone_was_not_sent() {
    for known in [false, true] {
        let (session, peer) = connected(100).await;
        let changed = session.changed();
        drop(peer);
        if known {
            soon(changed).await;
            assert_eq!(session.state(), SessionState::Closed);
        }
        let (request, _) = not_sent(session.serve(request(Method::POST, "body")).await);
        assert_eq!(request.body().as_full().unwrap().as_ref(), b"body");
    }
}

/// It went out, and nobody knows what has become of it. It comes back, to be repeated if that does no harm.
#[tokio::test(start_paused = true)]
async fn a_request_that_was_written_before_the_end_may_have_been_processed() {
    let (session, mut peer) = connected(100).await;
    let session = Arc::new(session);
    let call = serve(&session, get());
    peer.next(HEADERS).await;
    drop(peer);
    let error = call.await.unwrap().unwrap_err();
    assert!(matches!(cause(&error), Http2Error::Io(_)), "{error:?}");
    assert!(!error.is_not_sent() && !error.response_seen());
    assert!(matches!(error.into_parts().sent, chaski_core::Sent::Unknown(Some(_))));
}

/// Facts of the connection are found on the error.
#[tokio::test(start_paused = true)]
async fn an_error_tells_the_connection_of_the_attempt() {
    #[derive(Debug, PartialEq)]
    struct Upstream(u8);
    let (near, far) = pipe();
    let conn = chaski_core::Conn::new(near);
    conn.ext.insert(Upstream(7));
    let session = Http2Session::handshake(conn, Http2ClientConfig::default()).await.unwrap();
    drop(far);
    let error = session.serve(request(Method::GET, Body::empty())).await.unwrap_err();
    assert_eq!(error.scope().get(), Some(&Upstream(7)));
    error.scope().insert(Upstream(8));
    assert_eq!(session.scope().get(), Some(&Upstream(7)));
}
