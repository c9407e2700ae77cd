//! What responses, errors and counters tell of connections.

use std::time::Duration;

use chaski_client::{ClientConfig, ConnectionReuse, PoolStats};
use chaski_core::{Service, http::Message};

use crate::server::{Act, Server, exchange, request};

#[tokio::test(start_paused = true)]
async fn a_response_tells_how_its_connection_was_come_by() {
    let server = Server::with_script(&[]);
    *server.dial.lock().unwrap() = Duration::from_millis(25);
    let client = server.client(ClientConfig::default());
    let made = tokio::time::Instant::now().into_std() + Duration::from_millis(25);
    for (n, reused, waited) in [(1, false, 25), (2, true, 0), (3, true, 0)] {
        let response = client.serve(request("GET", "a", ())).await.unwrap();
        let connection = response.fact::<ConnectionReuse>().unwrap();
        assert_eq!((connection.reused(), connection.waited().as_millis()), (reused, waited));
        assert_eq!((connection.requests(), connection.established()), (n, made));
        tokio::time::advance(Duration::from_secs(1)).await;
    }
}

#[tokio::test(start_paused = true)]
async fn an_error_tells_how_its_connection_was_come_by() {
    let server = Server::with_script(&[Act::BreakOff, Act::Answer, Act::BreakOff]);
    let client = server.client(ClientConfig::default());
    let fresh = client.serve(request("GET", "a", ())).await.unwrap_err();
    assert!(!fresh.scope().get::<ConnectionReuse>().unwrap().reused());
    exchange(&client, request("GET", "a", ())).await.unwrap();
    let reused = client.serve(request("GET", "a", ())).await.unwrap_err();
    assert!(reused.scope().get::<ConnectionReuse>().unwrap().reused());
}

/// Every connection that was made is open, or was closed for one reason.
#[tokio::test(start_paused = true)]
async fn every_connection_is_accounted_for() {
    let acts = [Act::Answer, Act::AnswerAndClose, Act::Answer, Act::Answer, Act::CloseUnsent];
    let server = Server::with_script(&acts);
    let client = server.client(ClientConfig::default().with_max_idle_per_key(1));
    exchange(&client, request("GET", "idle", ())).await.unwrap();
    tokio::time::sleep(Duration::from_secs(100)).await;
    exchange(&client, request("GET", "used", ())).await.unwrap();
    exchange(&client, request("GET", "asked", ())).await.unwrap();
    client.close_idle();
    exchange(&client, request("GET", "dead", ())).await.unwrap();
    exchange(&client, request("GET", "dead", ())).await.unwrap();
    let expected = |stats: PoolStats| {
        let closed = [stats.closed_idle, stats.closed_used, stats.closed_asked, stats.closed_dead];
        (stats.dials, stats.established, stats.reused, stats.open, stats.idle, closed)
    };
    assert_eq!(expected(client.stats()), (5, 5, 1, 1, 1, [1, 1, 1, 1]));
    assert_eq!((client.stats().closed_age, client.stats().closed_limit), (0, 0));
}
