//! Calls that wait for a connection.

use std::{sync::atomic::Ordering::SeqCst, time::Duration};

use chaski_client::{ClientConfig, ClientErrorKind, ConnectionReuse};
use chaski_core::{Elapsed, Service, find_cause, http::Message};
use tokio::{task::yield_now, time::Instant};

use crate::server::{Act, Server, advance_ms, call, exchange, request};

#[tokio::test(start_paused = true)]
async fn a_call_beyond_the_limit_of_its_key_takes_the_connection_given_back() {
    let server = Server::with_script(&[Act::Stream]);
    let client = server.client(ClientConfig::default().with_max_connections_per_key(1));
    let first = client.serve(request("GET", "a", ())).await.unwrap();
    let second = call(&client, request("GET", "a", ()));
    advance_ms(30).await;
    assert_eq!((client.stats().waiting, client.stats().waits, second.is_finished()), (1, 1, false));
    first.into_body().collect(10).await.unwrap();
    let second = second.await.unwrap().unwrap();
    let connection = second.fact::<ConnectionReuse>().unwrap();
    assert_eq!((connection.reused(), connection.waited()), (true, Duration::from_millis(30)));
    assert_eq!((server.connects(), client.stats().waiting, client.stats().reused), (1, 0, 1));
}

#[tokio::test(start_paused = true)]
async fn another_key_is_not_held_up_by_the_limit_of_one() {
    let server = Server::with_script(&[Act::Stream]);
    let client = server.client(ClientConfig::default().with_max_connections_per_key(1));
    let _first = client.serve(request("GET", "a", ())).await.unwrap();
    let _second = call(&client, request("GET", "a", ()));
    yield_now().await;
    exchange(&client, request("GET", "b", ())).await.unwrap();
    assert_eq!((server.connects(), client.stats().waiting), (2, 1));
}

#[tokio::test(start_paused = true)]
async fn who_waits_is_served_in_the_order_of_the_calls() {
    let server = Server::with_script(&[Act::Stream]);
    let client = server.client(ClientConfig::default().with_max_connections_per_key(1));
    let first = client.serve(request("GET", "a", ())).await.unwrap();
    let mut calls = Vec::new();
    for method in ["POST", "PUT", "PATCH", "DELETE"] {
        calls.push(call(&client, request(method, "a", ())));
        yield_now().await;
    }
    // One that leaves costs nobody else the turn.
    calls.remove(1).abort();
    yield_now().await;
    first.into_body().collect(10).await.unwrap();
    for call in calls {
        call.await.unwrap().unwrap();
    }
    let methods: Vec<_> = server.seen().into_iter().map(|(_, method)| method).collect();
    assert_eq!(methods, ["GET", "POST", "PATCH", "DELETE"]);
    assert_eq!(server.connects(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_connection_that_does_not_come_back_leaves_its_place() {
    let server = Server::with_script(&[Act::Stream]);
    let client = server.client(ClientConfig::default().with_max_connections_per_key(1));
    let first = client.serve(request("GET", "a", ())).await.unwrap();
    let second = call(&client, request("GET", "a", ()));
    yield_now().await;
    drop(first);
    let second = second.await.unwrap().unwrap();
    assert!(!second.fact::<ConnectionReuse>().unwrap().reused());
    assert_eq!((server.connects(), client.stats().open), (2, 1));
}

#[tokio::test(start_paused = true)]
async fn one_call_more_than_may_wait_fails_at_once() {
    let server = Server::with_script(&[Act::Stream]);
    let client = server.client(ClientConfig::default().with_max_connections_per_key(1).with_max_waiting(2));
    let _first = client.serve(request("GET", "a", ())).await.unwrap();
    let waiting = [call(&client, request("GET", "a", ())), call(&client, request("GET", "a", ()))];
    yield_now().await;
    let started = Instant::now();
    let error = client.serve(request("GET", "a", ())).await.unwrap_err();
    assert_eq!(started.elapsed(), Duration::ZERO);
    assert_eq!((error.kind(), error.is_not_sent(), error.is_timeout()), (ClientErrorKind::Limit, true, false));
    assert_eq!(
        chaski_core::display_chain(&error).to_string(),
        "no connection to a:80 is free: at the limit of connections: 2 calls wait for a connection already"
    );
    // The bound is on those who wait now.
    waiting[0].abort();
    yield_now().await;
    let _third = call(&client, request("GET", "a", ()));
    yield_now().await;
    assert_eq!(client.stats().waiting, 2);
}

#[tokio::test(start_paused = true)]
async fn the_wait_ends_at_its_limit() {
    let server = Server::with_script(&[Act::Stream]);
    let client = server
        .client(ClientConfig::default().with_max_connections_per_key(1).with_wait_timeout(Duration::from_secs(3)));
    let _first = client.serve(request("GET", "a", ())).await.unwrap();
    let started = Instant::now();
    let error = client.serve(request("GET", "a", ())).await.unwrap_err();
    assert_eq!(started.elapsed(), Duration::from_secs(3));
    assert!(error.is_connect() && error.is_timeout() && error.is_not_sent());
    let elapsed = find_cause::<Elapsed>(&error).unwrap();
    assert_eq!(elapsed.to_string(), "waiting for a connection took longer than 3s");
    assert_eq!((client.stats().waiting, server.connects()), (0, 1));
}

/// LIFE-01: the dial of a call that is cancelled is handed to the next one that waits.
#[tokio::test(start_paused = true)]
async fn life_01_the_dial_of_one_who_left_goes_to_the_next() {
    let server = Server::with_script(&[]);
    *server.dial.lock().unwrap() = Duration::from_millis(10);
    let client = server.client(ClientConfig::default().with_max_connections_per_key(1));
    let first = call(&client, request("GET", "a", ()));
    let second = call(&client, request("GET", "a", ()));
    advance_ms(6).await;
    first.abort();
    let started = Instant::now();
    let second = second.await.unwrap().unwrap();
    assert_eq!(started.elapsed(), Duration::from_millis(4), "what was left of the dial");
    let connection = second.fact::<ConnectionReuse>().unwrap();
    assert_eq!((connection.reused(), connection.waited()), (false, Duration::from_millis(10)));
    assert_eq!((server.connects(), client.stats().dials, client.stats().dials_handed_over), (1, 1, 1));
}

#[tokio::test(start_paused = true)]
async fn who_dials_takes_a_connection_that_comes_first_and_hands_on_the_dial() {
    let server = Server::with_script(&[Act::Stream, Act::Stream]);
    let client = server.client(ClientConfig::default().with_max_connections_per_key(2));
    let first = client.serve(request("GET", "a", ())).await.unwrap();
    *server.dial.lock().unwrap() = Duration::from_millis(10);
    let started = Instant::now();
    let second = call(&client, request("PUT", "a", ()));
    let third = call(&client, request("POST", "a", ()));
    advance_ms(5).await;
    first.into_body().collect(10).await.unwrap();
    let _second = second.await.unwrap().unwrap();
    assert_eq!(started.elapsed(), Duration::from_millis(5));
    third.await.unwrap().unwrap();
    assert_eq!(started.elapsed(), Duration::from_millis(10));
    assert_eq!(server.seen(), [(0, "GET".to_owned()), (0, "PUT".to_owned()), (1, "POST".to_owned())]);
    assert_eq!((server.connects(), client.stats().open, server.live()), (2, 2, 2));
}

#[tokio::test(start_paused = true)]
async fn a_dial_that_nobody_wants_any_more_is_dropped() {
    let server = Server::with_script(&[Act::Stream]);
    let client = server.client(ClientConfig::default());
    let first = client.serve(request("GET", "a", ())).await.unwrap();
    *server.dial.lock().unwrap() = Duration::from_millis(10);
    let second = call(&client, request("GET", "a", ()));
    advance_ms(5).await;
    assert_eq!((client.stats().open, client.stats().dials), (2, 2));
    first.into_body().collect(10).await.unwrap();
    second.await.unwrap().unwrap();
    advance_ms(20).await;
    assert_eq!((client.stats().open, client.stats().established, server.live()), (1, 1, 1));
}

/// The dial may have had its time already, and the one who goes on with it has not.
#[tokio::test(start_paused = true)]
async fn a_failed_dial_of_another_call_is_followed_by_one_of_its_own() {
    let server = Server::with_script(&[]);
    *server.dial.lock().unwrap() = Duration::from_millis(10);
    server.refuse.store(true, SeqCst);
    let client = server.client(ClientConfig::default().with_max_connections_per_key(1));
    let first = call(&client, request("GET", "a", ()));
    let second = call(&client, request("GET", "a", ()));
    advance_ms(5).await;
    first.abort();
    advance_ms(7).await;
    assert_eq!(server.connects(), 2);
    server.refuse.store(false, SeqCst);
    second.await.unwrap().unwrap();
    assert_eq!((client.stats().dials, client.stats().established, client.stats().open), (2, 1, 1));
}

/// LIFE-04: nothing is locked during a dial: neither another target waits for it, nor a connection of the same one that comes
/// back.
#[tokio::test(start_paused = true)]
async fn life_04_a_slow_host_blocks_no_other() {
    let server = Server::with_script(&[Act::Stream]);
    let client = server.client(ClientConfig::default());
    let kept = client.serve(request("GET", "slow", ())).await.unwrap();
    *server.slow.lock().unwrap() = Some(("slow", Duration::from_secs(9)));
    let started = Instant::now();
    let slow = call(&client, request("GET", "slow", ()));
    yield_now().await;
    // As many names as leave no part of the pool out.
    for n in 0..200 {
        exchange(&client, request("GET", &format!("fast{n}"), ())).await.unwrap();
    }
    assert_eq!((started.elapsed(), slow.is_finished(), server.connects()), (Duration::ZERO, false, 202));
    kept.into_body().collect(10).await.unwrap();
    slow.await.unwrap().unwrap();
    assert_eq!(started.elapsed(), Duration::ZERO);
}
