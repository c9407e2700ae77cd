//! The limit of open connections in all.

use std::time::Duration;

use chaski_client::{ClientConfig, ClientErrorKind};
use chaski_core::Service;
use tokio::task::yield_now;

use crate::server::{Act, Server, advance_ms, call, exchange, request};

fn two() -> ClientConfig {
    ClientConfig::default().with_max_connections(2)
}

#[tokio::test(start_paused = true)]
async fn at_the_limit_the_oldest_idle_connection_makes_room() {
    let server = Server::with_script(&[]);
    let client = server.client(two());
    for host in ["a", "b", "a", "c"] {
        exchange(&client, request("GET", host, ())).await.unwrap();
    }
    // That of b was used before that of a.
    assert_eq!((server.live(), client.idle(), client.stats().open, client.stats().closed_limit), (2, 2, 2, 1));
    exchange(&client, request("GET", "a", ())).await.unwrap();
    exchange(&client, request("GET", "c", ())).await.unwrap();
    assert_eq!((server.connects(), client.stats().waiting), (3, 0));
}

#[tokio::test(start_paused = true)]
async fn calls_of_all_keys_wait_in_one_order() {
    let server = Server::with_script(&[Act::Stream, Act::Stream]);
    *server.dial.lock().unwrap() = Duration::from_millis(1);
    let client = server.client(two());
    let a = client.serve(request("GET", "a", ())).await.unwrap();
    let b = client.serve(request("GET", "b", ())).await.unwrap();
    let mut calls = Vec::new();
    for (method, host) in [("POST", "c"), ("PUT", "d"), ("PATCH", "c"), ("DELETE", "e")] {
        calls.push(call(&client, request(method, host, ())));
        yield_now().await;
    }
    advance_ms(50).await;
    assert_eq!((server.connects(), client.stats().waiting), (2, 4));
    // One is given back, and closed for the first who waits; and so on, in the one place that there is.
    a.into_body().collect(10).await.unwrap();
    for call in calls {
        call.await.unwrap().unwrap();
    }
    let methods: Vec<_> = server.seen().into_iter().map(|(_, method)| method).collect();
    assert_eq!(methods, ["GET", "GET", "POST", "PATCH", "PUT", "DELETE"], "PATCH found the connection of POST");
    assert_eq!((server.connects(), server.live(), client.stats().open, client.stats().waiting), (5, 2, 2, 0));
    drop(b);
}

#[tokio::test(start_paused = true)]
async fn a_connection_in_use_is_not_closed_for_room() {
    let server = Server::with_script(&[Act::Stream, Act::Stream]);
    let client = server.client(two());
    let a = client.serve(request("GET", "a", ())).await.unwrap();
    let b = client.serve(request("GET", "b", ())).await.unwrap();
    let third = call(&client, request("GET", "c", ()));
    advance_ms(1000).await;
    assert!(!third.is_finished());
    assert_eq!(a.into_body().collect(10).await.unwrap(), "answer");
    assert_eq!(b.into_body().collect(10).await.unwrap(), "answer");
    third.await.unwrap().unwrap();
    assert_eq!(client.stats().open, 2);
}

#[tokio::test(start_paused = true)]
async fn a_dial_that_fails_leaves_its_place() {
    let server = Server::with_script(&[]);
    server.refuse.store(true, std::sync::atomic::Ordering::SeqCst);
    let client = server.client(ClientConfig::default().with_max_connections(1).with_max_connections_per_key(1));
    for n in 1..=100 {
        exchange(&client, request("GET", "a", ())).await.unwrap_err();
        assert_eq!((server.connects(), client.stats().open), (n, 0));
    }
}

/// Where no call may wait, room is made all the same, and only then is a call refused.
#[tokio::test(start_paused = true)]
async fn a_call_that_may_not_wait_makes_room_or_fails() {
    let server = Server::with_script(&[Act::Answer, Act::Stream]);
    let client = server.client(ClientConfig::default().with_max_connections(1).with_max_waiting(0));
    exchange(&client, request("GET", "a", ())).await.unwrap();
    let held = client.serve(request("GET", "b", ())).await.unwrap();
    assert_eq!((server.connects(), server.live()), (2, 1));
    let error = client.serve(request("GET", "c", ())).await.unwrap_err();
    assert_eq!(error.kind(), ClientErrorKind::Limit);
    drop(held);
    exchange(&client, request("GET", "c", ())).await.unwrap();
    assert_eq!(client.stats().open, 1);
}

/// Those who fill the queue may wait for a target that is at a limit of its own: they keep nobody else from the room that
/// there is.
#[tokio::test(start_paused = true)]
async fn a_full_queue_refuses_nobody_for_whom_there_is_room() {
    let server = Server::with_script(&[Act::Answer, Act::Stream]);
    let client = server.client(two().with_max_connections_per_key(1).with_max_waiting(1));
    exchange(&client, request("GET", "idle", ())).await.unwrap();
    let held = client.serve(request("GET", "a", ())).await.unwrap();
    let waits = call(&client, request("GET", "a", ()));
    yield_now().await;
    assert_eq!(client.stats().waiting, 1);
    exchange(&client, request("GET", "b", ())).await.unwrap();
    assert_eq!((server.connects(), client.stats().open, client.stats().closed_limit), (3, 2, 1));
    drop(held);
    waits.await.unwrap().unwrap();
}

/// A target that is asked all the time has its connections handed from call to call, and they are never idle. Others get one
/// of them all the same, after as many calls as there are connections.
#[tokio::test(start_paused = true)]
async fn a_busy_target_does_not_starve_another() {
    let server = Server::with_script(&[Act::Stream, Act::Stream]);
    let client = server.client(two());
    let first = client.serve(request("GET", "busy", ())).await.unwrap();
    let _second = client.serve(request("GET", "busy", ())).await.unwrap();
    let mut calls = vec![call(&client, request("PUT", "other", ()))];
    yield_now().await;
    for _ in 0..10 {
        calls.push(call(&client, request("POST", "busy", ())));
        yield_now().await;
    }
    first.into_body().collect(10).await.unwrap();
    for call in calls {
        call.await.unwrap().unwrap();
    }
    let methods: Vec<_> = server.seen().into_iter().map(|(_, method)| method).collect();
    assert_eq!(methods.iter().position(|method| method == "PUT"), Some(4), "{methods:?}");
}
