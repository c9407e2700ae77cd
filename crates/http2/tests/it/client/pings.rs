//! PING: keep-alive, and windows that grow.

use std::{future::poll_fn, sync::Arc, time::Duration};

use bytes::Bytes;
use chaski_core::{
    Conn, Service, Session, SessionState,
    test_util::{PipeDirection, PipeOptions},
};
use chaski_http2::{Http2ClientConfig, Http2Error, Http2Session};
use tokio::time::Instant;

use super::{
    cause, get,
    peer::{GOAWAY, HEADERS, PING, connected_with},
    serve,
};

const fn secs(secs: u64) -> Duration {
    Duration::from_secs(secs)
}

fn keep_alive() -> Http2ClientConfig {
    Http2ClientConfig::default().with_keep_alive_interval(Some(secs(10))).with_keep_alive_timeout(secs(5))
}

/// H2-14: a peer that owes an answer and has vanished is noticed. (Seen from the client.)
#[tokio::test(start_paused = true)]
async fn h2_14_a_dead_path_is_noticed() {
    let (session, mut peer) = connected_with(keep_alive(), &[]).await;
    let session = Arc::new(session);
    let started = Instant::now();
    let call = serve(&session, get());
    peer.next(HEADERS).await;
    assert_eq!(peer.next(PING).await.flags, 0);
    assert_eq!(started.elapsed(), secs(10));
    let error = call.await.unwrap().unwrap_err();
    assert!(matches!(cause(&error), Http2Error::KeepAliveTimeout(_)), "{error:?}");
    assert!(!error.is_not_sent() && !error.response_seen());
    assert_eq!((started.elapsed(), session.state()), (secs(15), SessionState::Closed));
}

/// H2-14: one that answers is asked again.
#[tokio::test(start_paused = true)]
async fn h2_14_a_peer_that_answers_stays() {
    let (session, mut peer) = connected_with(keep_alive(), &[]).await;
    let session = Arc::new(session);
    let started = Instant::now();
    let call = serve(&session, get());
    peer.next(HEADERS).await;
    for number in 1..=5 {
        let ping = peer.next(PING).await;
        assert_eq!(started.elapsed(), secs(10 * number));
        peer.send(PING, 1, 0, &ping.payload).await;
    }
    peer.answer(1).await;
    call.await.unwrap().unwrap();
}

/// H2-14: an idle one is not asked, unless that is wanted.
#[tokio::test(start_paused = true)]
async fn h2_14_an_idle_peer_is_not_asked() {
    for while_idle in [false, true] {
        let config = keep_alive().with_keep_alive_while_idle(while_idle);
        let (session, mut peer) = connected_with(config, &[]).await;
        let started = Instant::now();
        tokio::spawn(async move {
            tokio::time::sleep(secs(1000)).await;
            drop(session);
        });
        let first = loop {
            let frame = peer.frame().await.unwrap();
            if [PING, GOAWAY].contains(&frame.kind) {
                break frame.kind;
            }
        };
        let expected = if while_idle { (PING, secs(10)) } else { (GOAWAY, secs(1000)) };
        assert_eq!((first, started.elapsed()), expected);
    }
}

/// How long a download of 32 MiB takes over a path of 100 ms there and back, which holds any amount.
async fn download(config: Http2ClientConfig) -> Duration {
    const LENGTH: usize = 32 * 1024 * 1024;
    let far = PipeDirection { capacity: 64 * 1024 * 1024, latency: Duration::from_millis(50), ..Default::default() };
    let (near, far) = PipeOptions::both(far).pipe();
    tokio::spawn(async move {
        let mut connection = h2::server::handshake(far).await.unwrap();
        let (_, mut respond) = connection.accept().await.unwrap().unwrap();
        let mut sender = respond.send_response(http::Response::new(()), false).unwrap();
        tokio::spawn(async move {
            let mut left = LENGTH;
            while left > 0 {
                sender.reserve_capacity(left);
                let window = poll_fn(|cx| sender.poll_capacity(cx)).await.unwrap().unwrap();
                left -= window;
                sender.send_data(Bytes::from(vec![0; window]), left == 0).unwrap();
            }
        });
        while connection.accept().await.is_some() {}
    });
    let session = Http2Session::handshake(Conn::new(near), config).await.unwrap();
    let started = Instant::now();
    let body = session.serve(get()).await.unwrap().into_body();
    assert_eq!(body.collect(LENGTH).await.unwrap().len(), LENGTH);
    started.elapsed()
}

/// 128 windows of 256 KiB take 12.8 seconds at least. Grown to 4 MiB, it is 8 of them, and those on the way there.
#[tokio::test(start_paused = true)]
async fn a_window_grows_to_what_the_path_holds() {
    let config = Http2ClientConfig::default().with_stream_window(256 * 1024);
    let grown = download(config.clone().with_max_window(4 * 1024 * 1024)).await;
    let pinned = download(config).await;
    assert!(grown < secs(3) && pinned > secs(12), "{grown:?}, {pinned:?}");
}
