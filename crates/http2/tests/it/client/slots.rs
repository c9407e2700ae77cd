//! How many requests may be under way.

use std::{
    future::{Future, poll_fn},
    pin::pin,
    sync::Arc,
    task::Poll,
};

use chaski_core::{Service, Session, SessionState, Slots};
use chaski_http2::Http2ClientConfig;

use super::{
    get, not_sent,
    peer::{HEADERS, MAX_CONCURRENT_STREAMS, connected, connected_with},
    serve, soon,
};

fn shared(free: usize) -> Slots {
    Slots { free, shared: true }
}

/// H2-07: what the peer allows is obeyed, also when it changes its mind, and who waits is told.
#[tokio::test(start_paused = true)]
async fn h2_07_slots_follow_the_peers_settings() {
    let (session, mut peer) = connected(100).await;
    assert_eq!(session.slots(), shared(100));
    let session = Arc::new(session);
    let (first, second) = (serve(&session, get()), serve(&session, get()));
    peer.next(HEADERS).await;
    peer.next(HEADERS).await;
    assert_eq!(session.slots(), shared(98));

    let changed = session.changed();
    peer.settings(&[(MAX_CONCURRENT_STREAMS, 1)]).await;
    soon(changed).await;
    assert_eq!((session.slots(), session.state()), (shared(0), SessionState::Open));
    let (request, why) = not_sent(session.serve(get()).await);
    assert_eq!(
        (request.uri().path(), why.as_str()),
        ("/", "the connection has as many requests under way as its peer allows")
    );

    // Still one too many.
    peer.answer(1).await;
    drop(first.await.unwrap().unwrap());
    assert_eq!(session.slots(), shared(0));
    let changed = session.changed();
    peer.answer(3).await;
    drop(second.await.unwrap().unwrap());
    soon(changed).await;
    assert_eq!(session.slots(), shared(1));

    let changed = session.changed();
    peer.settings(&[(MAX_CONCURRENT_STREAMS, 100)]).await;
    soon(changed).await;
    assert_eq!(session.slots(), shared(100));
    // None of the refused ones went out.
    assert!(peer.settle().await.is_empty());
}

/// H2-07: many requests at once, none of them beyond what is allowed.
#[tokio::test(start_paused = true)]
async fn h2_07_what_goes_beyond_the_slots_is_refused_here() {
    let (session, mut peer) = connected(3).await;
    let session = Arc::new(session);
    let calls: Vec<_> = (0..10).map(|_| serve(&session, get())).collect();
    let mut refused = 0;
    for (number, call) in calls.into_iter().enumerate() {
        if number < 3 {
            let stream = peer.next(HEADERS).await.stream;
            peer.answer(stream).await;
        }
        refused += usize::from(call.await.unwrap().is_err());
    }
    assert_eq!((refused, session.slots()), (7, shared(3)));
}

/// Before the peer has said anything.
#[tokio::test(start_paused = true)]
async fn the_first_requests_do_not_wait_for_the_peers_settings() {
    let (near, _far) = chaski_core::test_util::pipe();
    let config = Http2ClientConfig::default().with_initial_streams(2);
    let session = chaski_http2::Http2Session::handshake(chaski_core::Conn::new(near), config).await.unwrap();
    assert_eq!(session.slots(), shared(2));
}

/// A peer that sets no limit has none.
#[tokio::test(start_paused = true)]
async fn without_a_limit_there_is_none() {
    let (session, _peer) = connected_with(Http2ClientConfig::default(), &[]).await;
    assert_eq!(session.slots(), shared(usize::MAX));
}

/// Who watches is told of slots that are taken, too, and of the end of the session, which the watch does not keep.
#[tokio::test(start_paused = true)]
async fn changes_are_told_once_each() {
    let (session, mut peer) = connected(5).await;
    let mut changed = pin!(session.changed());
    assert!(poll_fn(|cx| Poll::Ready(changed.as_mut().poll(cx))).await.is_pending());
    let session = Arc::new(session);
    let call = serve(&session, get());
    soon(changed).await;
    let last = session.changed();
    peer.next(HEADERS).await;
    peer.answer(1).await;
    soon(last).await;
    call.await.unwrap().unwrap();
    let last = session.changed();
    drop(session);
    soon(last).await;
    peer.gone().await;
}
