//! Sessions that requests share.

use std::{sync::Arc, sync::atomic::Ordering::SeqCst, time::Duration};

use chaski_client::{Client, ClientConfig};
use chaski_core::{Service, http::Response};
use tokio::task::{JoinHandle, yield_now};

use crate::server::{Act, Dialer, Server, advance_ms, call, request};

fn shared(most: usize, acts: &[Act]) -> Arc<Server> {
    let server = Server::with_script(acts);
    server.shared.store(true, SeqCst);
    server.most.store(most, SeqCst);
    *server.dial.lock().unwrap() = Duration::from_millis(10);
    server
}

fn calls(client: &Client<Dialer>, count: usize) -> Vec<JoinHandle<Result<Response, chaski_client::ClientError>>> {
    (0..count).map(|_| call(client, request("GET", "a", ()))).collect()
}

#[tokio::test(start_paused = true)]
async fn all_who_wait_join_one_dial() {
    let server = shared(100, &[]);
    let client = server.client(ClientConfig::default().with_shared_sessions(true));
    for call in calls(&client, 50) {
        call.await.unwrap().unwrap();
    }
    assert_eq!((server.connects(), server.live(), client.idle(), client.stats().open), (1, 1, 1, 1));
    assert_eq!((client.stats().dials, client.stats().waits, client.stats().reused), (1, 49, 49));
}

#[tokio::test(start_paused = true)]
async fn when_the_slots_run_out_there_is_a_second_connection() {
    let server = shared(4, &[Act::Stream; 10]);
    let client = server.client(ClientConfig::default().with_shared_sessions(true));
    let mut responses = Vec::new();
    let pending = calls(&client, 10);
    for (after, connects) in [(9, 1), (2, 2), (10, 3), (10, 3)] {
        advance_ms(after).await;
        assert_eq!(server.connects(), connects, "one dial after the other");
    }
    for call in pending {
        responses.push(call.await.unwrap().unwrap());
    }
    let on = |number| server.seen().iter().filter(|(connection, _)| *connection == number).count();
    // A session takes what it has slots for, and nothing was refused.
    assert_eq!((on(0), on(1), on(2), client.idle()), (4, 4, 2, 3));
    drop(responses);
    assert_eq!((server.live(), client.stats().open), (3, 3));
}

/// What nobody could know beforehand is learned from the first dial that succeeds.
#[tokio::test(start_paused = true)]
async fn dials_that_turn_out_to_be_superfluous_are_dropped() {
    let server = shared(100, &[Act::Stream; 100]);
    let client = server.client(ClientConfig::default());
    let first = calls(&client, 5);
    yield_now().await;
    assert_eq!(server.connects(), 5);
    for call in first {
        drop(call.await.unwrap().unwrap());
    }
    assert_eq!((server.live(), client.stats().open, client.stats().established), (1, 1, 1));
    // From here on it is known.
    server.most.store(1, SeqCst);
    let held = call(&client, request("GET", "a", ())).await.unwrap().unwrap();
    let more = calls(&client, 3);
    yield_now().await;
    assert_eq!(server.connects(), 6, "one dial, though three wait");
    drop(held);
    drop(more);
}

#[tokio::test(start_paused = true)]
async fn a_slot_that_becomes_free_goes_to_who_waits() {
    let server = shared(2, &[Act::Stream; 3]);
    let config = ClientConfig::default().with_shared_sessions(true).with_max_connections_per_key(1);
    let client = server.client(config);
    let first = client.serve(request("GET", "a", ())).await.unwrap();
    let _second = client.serve(request("GET", "a", ())).await.unwrap();
    let third = call(&client, request("GET", "a", ()));
    advance_ms(100).await;
    assert!(!third.is_finished());
    first.into_body().collect(10).await.unwrap();
    third.await.unwrap().unwrap();
    assert_eq!((server.connects(), client.stats().waiting), (1, 0));
}

/// The peer may allow more requests than before: that is noticed within a second.
#[tokio::test(start_paused = true)]
async fn a_slot_that_the_peer_adds_goes_to_who_waits() {
    let server = shared(1, &[Act::Stream; 2]);
    let config = ClientConfig::default().with_shared_sessions(true).with_max_connections_per_key(1);
    let client = server.client(config);
    let _first = client.serve(request("GET", "a", ())).await.unwrap();
    let second = call(&client, request("GET", "a", ()));
    advance_ms(2000).await;
    assert!(!second.is_finished());
    server.most.store(2, SeqCst);
    server.last().changed();
    advance_ms(1000).await;
    assert!(second.is_finished());
}

/// The limit of those that are kept is for idle ones: one in use is let go of when it is idle.
#[tokio::test(start_paused = true)]
async fn a_shared_connection_is_not_kept_beyond_the_limit() {
    for config in [ClientConfig::default().with_max_idle_per_key(0), ClientConfig::default().with_max_idle(0)] {
        let server = shared(100, &[Act::Stream, Act::Stream]);
        let client = server.client(config);
        let first = client.serve(request("GET", "a", ())).await.unwrap();
        let second = client.serve(request("GET", "a", ())).await.unwrap();
        drop(first);
        assert_eq!((server.connects(), server.live(), client.idle()), (1, 1, 1));
        drop(second);
        assert_eq!((server.live(), client.idle(), client.stats().closed_limit), (0, 0, 1));
    }
}

/// A second connection for one target may need room that an idle one of another target has.
#[tokio::test(start_paused = true)]
async fn room_is_made_for_a_second_connection() {
    let server = shared(1, &[Act::Answer, Act::Stream, Act::Stream]);
    let client = server.client(ClientConfig::default().with_shared_sessions(true).with_max_connections(2));
    client.serve(request("GET", "b", ())).await.unwrap();
    let pending = calls(&client, 2);
    advance_ms(21).await;
    assert!(pending.iter().all(JoinHandle::is_finished));
    assert_eq!((server.connects(), server.live(), client.stats().closed_limit), (3, 2, 1));
}

/// A slot that nobody was told of yet goes to the call that waits, not to the one that comes.
#[tokio::test(start_paused = true)]
async fn a_call_that_comes_does_not_overtake_one_that_waits() {
    let server = shared(1, &[Act::Stream; 3]);
    let config = ClientConfig::default().with_shared_sessions(true).with_max_connections_per_key(1);
    let client = server.client(config);
    let _first = client.serve(request("GET", "a", ())).await.unwrap();
    let waits = call(&client, request("PUT", "a", ()));
    advance_ms(100).await;
    server.most.store(2, SeqCst);
    let comes = call(&client, request("POST", "a", ()));
    advance_ms(100).await;
    assert!(waits.is_finished() && !comes.is_finished());
    let methods: Vec<_> = server.seen().into_iter().map(|(_, method)| method).collect();
    assert_eq!(methods, ["GET", "PUT"]);
}
