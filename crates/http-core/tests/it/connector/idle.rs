//! The session as a pool sees it.

use chaski_core::{Service, Session, SessionState, Slots, test_util::pipe};
use chaski_http_core::Http1Error;
use tokio::{io::AsyncWriteExt, join};

use super::*;

#[tokio::test(start_paused = true)]
async fn a_busy_session_hands_the_request_back() {
    let (near, mut far) = pipe();
    let session = session(near);
    assert_eq!(session.slots(), Slots { free: 1, shared: false });
    let peer = async {
        script(&mut far).expect(GET).run().await.unwrap();
        assert_eq!(session.slots(), Slots { free: 0, shared: false });
        assert_eq!(session.state(), SessionState::Open);
        let (request, why) = not_sent(session.serve(with(get(), "x", "mine")).await);
        assert_eq!(
            (&request.headers()["x"], &*why),
            (&"mine".parse().unwrap(), "the connection has another exchange under way")
        );
        script(&mut far).send(OK_EMPTY).run().await.unwrap();
    };
    let ((), body) = join!(peer, get_text(&session));
    assert_eq!(body, "");
    assert_eq!(session.slots(), Slots { free: 1, shared: false });
}

#[tokio::test(start_paused = true)]
async fn a_peer_that_leaves_or_speaks_while_the_session_is_idle_is_noticed() {
    for unsolicited in ["", "HTTP/1.1 408 Request Timeout\r\n\r\n"] {
        let (near, mut far) = pipe();
        let session = session(near);
        assert_eq!(session.state(), SessionState::Open);
        far.write_all(unsolicited.as_bytes()).await.unwrap();
        let far = Some(far).filter(|_| !unsolicited.is_empty());
        assert_eq!(session.state(), SessionState::Closed);
        assert_eq!(session.slots().free, 0);
        drop(far);

        // The same without anybody having asked for the state before.
        let (near, mut far) = pipe();
        let session = super::session(near);
        far.write_all(unsolicited.as_bytes()).await.unwrap();
        let far = Some(far).filter(|_| !unsolicited.is_empty());
        let result = session.serve(request(http::Method::POST, "body")).await;
        assert!(cause(result.as_ref().unwrap_err()).no_response_seen());
        let (request, _) = not_sent(result);
        assert_eq!(request.into_body().collect(10).await.unwrap(), "body");
        drop(far);
    }
}

#[tokio::test(start_paused = true)]
async fn a_peer_that_closes_at_the_moment_of_reuse_is_told_from_one_that_answered() {
    let (near, far) = pipe();
    let session = session(near);
    let peer = script(far).expect(GET).send(OK_EMPTY).expect(GET).close();
    let (peer, ()) = join!(peer.run(), async {
        assert_eq!(get_text(&session).await, "");
        let error = unknown(session.serve(get()).await);
        assert!(cause(&error).no_response_seen());
        assert!(matches!(cause(&error), Http1Error::ClosedBeforeResponse { written: 27, source: None }), "{error:?}");
    });
    peer.unwrap();
}

#[tokio::test(start_paused = true)]
async fn changes_are_told() {
    let (near, mut far) = pipe();
    let session = Arc::new(session(near));
    let watcher = tokio::spawn({
        let session = Arc::clone(&session);
        async move {
            let polls = AtomicUsize::new(0);
            counted(&polls, session.changed()).await;
            assert_eq!(session.slots().free, 0);
            counted(&polls, session.changed()).await;
            assert_eq!(session.slots().free, 1);
            polls.into_inner()
        }
    });
    tokio::task::yield_now().await;
    let peer = script(&mut far).expect(GET).wait(Duration::from_secs(5)).send_pieces(1, OK_EMPTY).run();
    let (peer, body) = join!(peer, get_text(&session));
    assert_eq!(body, "");
    // Two for each change: one to wait, one to learn of it.
    assert_eq!(watcher.await.unwrap(), 4);

    // Idle: the peer's leaving is a change. Looking at the state meanwhile does not lose the wake-up.
    peer.unwrap();
    let watcher = tokio::spawn({
        let session = Arc::clone(&session);
        async move { session.changed().await }
    });
    tokio::task::yield_now().await;
    assert_eq!(session.state(), SessionState::Open);
    drop(far);
    watcher.await.unwrap();
    assert_eq!(session.state(), SessionState::Closed);
    // A closed session changes no more, and nobody waits for it.
    session.changed().await;
}

/// LIFE-02: who watches an idle connection does not keep it open, and learns that it is gone.
#[tokio::test(start_paused = true)]
async fn life_02_a_watch_ends_with_the_session() {
    let (near, mut far) = pipe();
    let session = session(near);
    let watcher = tokio::spawn(session.changed());
    tokio::task::yield_now().await;
    assert!(!watcher.is_finished());
    drop(session);
    script(&mut far).expect_eof().run().await.unwrap();
    tokio::time::timeout(Duration::from_secs(1), watcher).await.expect("the watch goes on").unwrap();
}

#[tokio::test(start_paused = true)]
async fn draining_closes_an_idle_session_at_once() {
    let (near, mut far) = pipe();
    let session = session(near);
    let changed = session.changed();
    session.drain();
    changed.await;
    assert_eq!(session.state(), SessionState::Closed);
    script(&mut far).expect_eof().run().await.unwrap();
    let (_, why) = not_sent(session.serve(get()).await);
    assert_eq!(why, "the connection is closed");
}

#[tokio::test(start_paused = true)]
async fn draining_lets_an_exchange_finish() {
    let (near, mut far) = pipe();
    let session = session(near);
    let peer = async {
        script(&mut far).expect(GET).run().await.unwrap();
        session.drain();
        session.drain();
        assert_eq!(session.state(), SessionState::Draining);
        let (_, why) = not_sent(session.serve(get()).await);
        assert_eq!(why, "the connection is draining");
        let answer = "HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\nhello";
        script(&mut far).send_pieces(4, answer).expect_eof().run().await.unwrap();
    };
    let ((), body) = join!(peer, get_text(&session));
    assert_eq!(body, "hello");
    assert_eq!(session.state(), SessionState::Closed);
}

#[tokio::test(start_paused = true)]
async fn a_response_outlives_its_session() {
    let (near, mut far) = pipe();
    let session = session(near);
    let answer = "HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\n";
    let peer = script(&mut far).expect(GET).send(answer).wait(Duration::from_secs(1)).send("hello").expect_eof();
    let (peer, body) = join!(peer.run(), async {
        let response = session.serve(get()).await.unwrap();
        drop(session);
        text(response).await
    });
    peer.unwrap();
    assert_eq!(body, "hello");
}

/// LIFE-02: also by a task that has used its share of the runtime up, to which every read is pending.
#[tokio::test]
async fn life_02_a_busy_task_notices_that_the_peer_has_gone() {
    let (near, far) = tokio::io::duplex(64);
    let session = Http1Session::new(Conn::new(near), Http1ClientConfig::default());
    drop(far);
    let state = std::future::poll_fn(|cx| {
        for _ in 0..1000 {
            let _ = std::pin::pin!(tokio::task::consume_budget()).poll(cx);
        }
        std::task::Poll::Ready(session.state())
    });
    assert_eq!(state.await, SessionState::Closed);
}
