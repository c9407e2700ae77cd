use std::time::Duration;

use chaski_client::{ClientConfig, ClientErrorKind};
use chaski_core::{ConnectError, Elapsed, Service, find_cause};
use tokio::time::Instant;

use crate::server::{Act, Server, exchange, request};

#[tokio::test(start_paused = true)]
async fn a_dial_ends_at_its_limit() {
    let server = Server::with_script(&[]);
    *server.dial.lock().unwrap() = Duration::from_secs(60);
    let started = Instant::now();
    let error = server.client(ClientConfig::default()).serve(request("GET", "a", ())).await.unwrap_err();
    assert_eq!(started.elapsed(), Duration::from_secs(10));
    assert!(error.is_connect() && error.is_timeout() && error.is_not_sent());
    assert!(find_cause::<ConnectError>(&error).is_some());
    let elapsed = find_cause::<Elapsed>(&error).unwrap();
    assert_eq!(elapsed.to_string(), "connecting took longer than 10s");
}

#[tokio::test(start_paused = true)]
async fn a_call_ends_at_its_limit_and_closes_its_connection() {
    let server = Server::with_script(&[Act::Hang]);
    let client = server.client(ClientConfig::default().with_timeout(Duration::from_secs(3)));
    let started = Instant::now();
    let error = client.serve(request("GET", "a", ())).await.unwrap_err();
    assert_eq!(started.elapsed(), Duration::from_secs(3));
    assert_eq!(error.kind(), ClientErrorKind::Timeout);
    assert!(error.is_timeout() && !error.is_connect() && !error.is_not_sent());
    assert_eq!(error.to_string(), "no response from a:80 in time");
    assert!(find_cause::<Elapsed>(&error).is_some());
    assert_eq!((server.live(), client.idle()), (0, 0));
}

#[tokio::test(start_paused = true)]
async fn the_limit_of_a_call_leaves_the_body_alone() {
    let server = Server::with_script(&[Act::Stream]);
    let client = server.client(ClientConfig::default().with_timeout(Duration::from_secs(3)));
    let response = client.serve(request("GET", "a", ())).await.unwrap();
    tokio::time::advance(Duration::from_secs(60)).await;
    assert_eq!(response.into_body().collect(10).await.unwrap(), "answer");
    exchange(&client, request("GET", "a", ())).await.unwrap();
    assert_eq!(server.connects(), 1);
}
