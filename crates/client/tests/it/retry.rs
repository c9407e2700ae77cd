use std::sync::atomic::Ordering::SeqCst;

use chaski_client::{ClientConfig, ClientErrorKind};
use chaski_core::{Service, http::Body};

use crate::server::{Act, Server, exchange, request};

/// H1-29: the server closes exactly at reuse. A GET never fails, and goes out on two connections at most.
#[tokio::test(start_paused = true)]
async fn h1_29_a_get_survives_every_close_at_reuse() {
    for act in [Act::CloseUnsent, Act::CloseSilent] {
        let server = Server::with_script(&[]);
        *server.on_reuse.lock().unwrap() = Some(act);
        let client = server.client(ClientConfig::default());
        for n in 1..=1000 {
            assert_eq!(exchange(&client, request("GET", "a", ())).await.unwrap(), "answer", "{act:?}");
            assert_eq!((server.connects(), server.live()), (n, 1), "each reuse fails and costs one connection");
        }
    }
}

/// H1-29: what may have reached the server is not sent twice when it is not idempotent.
#[tokio::test(start_paused = true)]
async fn h1_29_a_post_is_never_sent_twice() {
    let server = Server::with_script(&[]);
    *server.on_reuse.lock().unwrap() = Some(Act::CloseSilent);
    let client = server.client(ClientConfig::default());
    let mut failures = 0;
    for n in 0..1000 {
        let outcome = exchange(&client, request("POST", "a", n.to_string())).await;
        if let Err(error) = outcome {
            assert_eq!((error.kind(), error.is_not_sent()), (ClientErrorKind::Send, false));
            failures += 1;
        }
    }
    assert_eq!(failures, 500, "every second one met a connection that closed");
    let mut bodies: Vec<_> = server.seen.lock().unwrap().iter().map(|(_, _, body)| body.clone()).collect();
    assert_eq!(bodies.len(), 1000);
    bodies.sort();
    bodies.dedup();
    assert_eq!(bodies.len(), 1000, "each was seen once");
}

/// H1-29: a POST of which nothing was sent goes out on a fresh connection, with its body.
#[tokio::test(start_paused = true)]
async fn h1_29_an_unsent_post_is_sent_on_a_fresh_connection() {
    let server = Server::with_script(&[Act::Answer, Act::CloseUnsent]);
    let client = server.client(ClientConfig::default());
    exchange(&client, request("GET", "a", ())).await.unwrap();
    exchange(&client, request("POST", "a", Body::new(Body::full("streamed")))).await.unwrap();
    assert_eq!(server.seen(), [(0, "GET".to_owned()), (1, "POST".to_owned())]);
    assert_eq!(server.seen.lock().unwrap()[1].2, "streamed");
}

/// H1-29: neither a body that is gone nor an answer that had begun allows a second attempt.
#[tokio::test(start_paused = true)]
async fn h1_29_what_cannot_be_repeated_is_not() {
    for (method, body, act) in [
        ("PUT", Body::new(Body::full("streamed")), Act::CloseSilent),
        ("GET", Body::empty(), Act::BreakOff),
        ("POST", Body::empty(), Act::CloseSilent),
    ] {
        let server = Server::with_script(&[Act::Answer, act]);
        let client = server.client(ClientConfig::default());
        exchange(&client, request("GET", "a", ())).await.unwrap();
        let error = client.serve(request(method, "a", body)).await.unwrap_err();
        assert_eq!(error.to_string(), "the request to a:80 failed after it may have been sent");
        assert_eq!((server.seen().len(), server.connects()), (2, 1), "{method} {act:?}");
    }
}

/// H1-29: the second attempt takes no other kept connection, and is the last.
#[tokio::test(start_paused = true)]
async fn h1_29_there_is_one_retry_and_it_is_on_a_fresh_connection() {
    let server = Server::with_script(&[Act::Stream, Act::Stream, Act::CloseSilent, Act::CloseSilent]);
    let client = server.client(ClientConfig::default());
    let one = client.serve(request("GET", "a", ())).await.unwrap();
    exchange(&client, request("GET", "a", ())).await.unwrap();
    one.into_body().collect(10).await.unwrap();
    assert_eq!(client.idle(), 2);
    let error = client.serve(request("GET", "a", ())).await.unwrap_err();
    assert_eq!(error.kind(), ClientErrorKind::Send);
    let connections: Vec<_> = server.seen().into_iter().map(|(number, _)| number).collect();
    assert_eq!(connections, [0, 1, 0, 2]);
    assert_eq!(client.idle(), 1);
}

/// H1-30: a fresh connection that fails is not taken for a stale one.
#[tokio::test(start_paused = true)]
async fn h1_30_a_failure_on_a_fresh_connection_is_final() {
    for (act, not_sent) in [(Act::CloseUnsent, true), (Act::CloseSilent, false), (Act::BreakOff, false)] {
        let server = Server::with_script(&[act]);
        let client = server.client(ClientConfig::default());
        let error = client.serve(request("GET", "a", ())).await.unwrap_err();
        assert_eq!((error.kind(), error.is_not_sent()), (ClientErrorKind::Send, not_sent));
        assert_eq!((server.connects(), server.live()), (1, 0));
    }
}

/// H2-08: what the peer of a shared connection did not process goes out again, whatever its method, so often and no more.
/// Waits: the same through GOAWAY, which the engine shows.
#[tokio::test(start_paused = true)]
async fn h2_08_what_was_not_processed_is_sent_again() {
    const MAX: usize = ClientConfig::MAX_UNPROCESSED;
    for (act, refused, shared, succeeds) in [
        (Act::Unprocessed, 1, true, true),
        (Act::Unprocessed, MAX, true, true),
        (Act::Unprocessed, MAX + 1, true, false),
        (Act::Unprocessed, 1, false, false),
        (Act::CloseSilent, 1, true, false),
    ] {
        let server = Server::with_script(&vec![act; refused]);
        server.shared.store(shared, SeqCst);
        let client = server.client(ClientConfig::default());
        let outcome = exchange(&client, request("POST", "a", Body::new(Body::full("streamed")))).await;
        assert_eq!(outcome.is_ok(), succeeds, "{act:?} {refused} {shared}: {outcome:?}");
        if succeeds {
            assert_eq!(server.seen(), [(0, "POST".to_owned())]);
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_dial_that_fails_is_not_repeated() {
    let server = Server::with_script(&[]);
    server.refuse.store(true, SeqCst);
    let error = server.client(ClientConfig::default()).serve(request("GET", "a", ())).await.unwrap_err();
    assert!(error.is_connect() && error.is_not_sent() && !error.is_timeout());
    assert_eq!(
        chaski_core::display_chain(&error).to_string(),
        "there is no connection to a:80: cannot connect: refused"
    );
    assert_eq!(server.connects(), 1);
}
