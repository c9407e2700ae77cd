//! How a connection ends.

use std::{sync::Arc, time::Duration};

use chaski_core::{
    Conn, Service, Session, SessionState, Shutdown, ShutdownReport,
    test_util::{PipeDirection, PipeOptions},
};
use chaski_http2::{Http2ClientConfig, Http2Error, Http2Session};
use http::Method;
use tokio::time::Instant;

use super::{
    cause, get, not_sent,
    peer::{DATA, END_HEADERS, END_STREAM, HEADERS, OK, connected, connected_with},
    request, serve, soon, text,
};

#[tokio::test(start_paused = true)]
async fn dropping_an_idle_session_says_goodbye() {
    let (session, mut peer) = connected(100).await;
    drop(session);
    peer.gone().await;
}

/// A response is read to its end after its session was dropped.
#[tokio::test(start_paused = true)]
async fn what_is_under_way_outlives_the_session() {
    for drained in [false, true] {
        let (session, mut peer) = connected(100).await;
        let session = Arc::new(session);
        let call = serve(&session, get());
        peer.next(HEADERS).await;
        peer.send(HEADERS, END_HEADERS, 1, OK).await;
        let response = call.await.unwrap().unwrap();
        if drained {
            session.drain();
            assert_eq!((session.state(), session.slots().free), (SessionState::Draining, 0));
            assert_eq!(not_sent(session.serve(get()).await).1, "the connection is draining");
        } else {
            drop(session);
        }
        peer.settle().await;
        peer.send(DATA, END_STREAM, 1, b"late").await;
        let mut body = response.into_body();
        assert_eq!(body.frame().await.unwrap().unwrap().into_data().unwrap(), "late");
        // With the last frame, not when the body is dropped.
        peer.gone().await;
        drop(body);
    }
}

#[tokio::test(start_paused = true)]
async fn draining_an_idle_session_closes_it() {
    let (session, mut peer) = connected(100).await;
    let changed = session.changed();
    session.drain();
    soon(changed).await;
    let closed = session.changed();
    peer.gone().await;
    soon(closed).await;
    assert_eq!(session.state(), SessionState::Closed);
}

fn config(shutdown: &Shutdown) -> Http2ClientConfig {
    Http2ClientConfig::default().with_shutdown(shutdown.clone())
}

/// The driver's task is what a drain waits for: those that are idle close at once, the others when they are done.
#[tokio::test(start_paused = true)]
async fn a_shutdown_drains_the_connections() {
    let shutdown = Shutdown::new();
    let (idle, mut idle_peer) = connected_with(config(&shutdown), &[]).await;
    let (busy, mut busy_peer) = connected_with(config(&shutdown), &[]).await;
    for (session, peer) in [(&idle, &mut idle_peer), (&busy, &mut busy_peer)] {
        let (response, ()) = tokio::join!(session.serve(get()), async {
            peer.next(HEADERS).await;
            peer.answer(1).await;
        });
        response.unwrap();
    }
    let busy = Arc::new(busy);
    let call = serve(&busy, get());
    busy_peer.next(HEADERS).await;
    assert_eq!(shutdown.open(), 2);

    shutdown.begin();
    idle_peer.gone().await;
    assert_eq!((idle.state(), busy.state(), shutdown.open()), (SessionState::Closed, SessionState::Draining, 1));
    let drain = tokio::spawn({
        let shutdown = shutdown.clone();
        async move { shutdown.drain(Duration::from_secs(60)).await }
    });
    busy_peer.send(HEADERS, END_HEADERS, 3, OK).await;
    busy_peer.send(DATA, END_STREAM, 3, b"done").await;
    assert_eq!(text(call.await.unwrap().unwrap()).await, "done");
    assert_eq!(drain.await.unwrap(), ShutdownReport { drained: 2, cut: 0 });
}

/// What is drained may need an answer from somewhere else, and one connection for that.
#[tokio::test(start_paused = true)]
async fn a_session_of_a_shutdown_that_has_begun_serves_one_request() {
    let shutdown = Shutdown::new();
    shutdown.begin();
    let (session, mut peer) = connected_with(config(&shutdown), &[]).await;
    assert_eq!(session.state(), SessionState::Open);
    let (response, ()) = tokio::join!(session.serve(get()), async {
        peer.next(HEADERS).await;
        peer.answer(1).await;
    });
    response.unwrap();
    peer.gone().await;
    assert_eq!((session.state(), shutdown.open()), (SessionState::Closed, 0));
}

#[tokio::test(start_paused = true)]
async fn the_cut_ends_what_is_left() {
    let shutdown = Shutdown::new();
    let (session, mut peer) = connected_with(config(&shutdown), &[]).await;
    let session = Arc::new(session);
    let call = serve(&session, get());
    peer.next(HEADERS).await;
    assert_eq!(shutdown.drain(Duration::from_secs(1)).await, ShutdownReport { drained: 0, cut: 1 });
    let error = call.await.unwrap().unwrap_err();
    assert!(matches!(cause(&error), Http2Error::Io(_)));
    assert_eq!(session.state(), SessionState::Closed);
    assert_eq!(peer.frame().await, None);
}

/// A peer that does not read holds everything that is to be written: the connection ends, and tells why.
#[tokio::test(start_paused = true)]
async fn a_peer_that_reads_nothing_ends_the_connection() {
    let full = PipeDirection { capacity: 100, ..PipeDirection::default() };
    let (near, _far) = PipeOptions { a_to_b: full, ..PipeOptions::default() }.pipe();
    let config = Http2ClientConfig::default().with_write_timeout(Some(Duration::from_secs(5)));
    let session = Http2Session::handshake(Conn::new(near), config).await.unwrap();
    let started = Instant::now();
    let error = session.serve(request(Method::POST, "a body that does not fit either")).await.unwrap_err();
    assert!(matches!(cause(&error), Http2Error::WriteTimeout(_)), "{error:?}");
    assert_eq!((started.elapsed(), session.state()), (Duration::from_secs(5), SessionState::Closed));
}

/// Not even the first bytes.
#[tokio::test(start_paused = true)]
async fn a_handshake_that_is_not_read_has_a_limit() {
    let full = PipeDirection { capacity: 10, ..PipeDirection::default() };
    let (near, _far) = PipeOptions { a_to_b: full, ..PipeOptions::default() }.pipe();
    let error = Http2Session::handshake(Conn::new(near), Http2ClientConfig::default()).await.unwrap_err();
    assert!(matches!(error, Http2Error::WriteTimeout(_)));
}
