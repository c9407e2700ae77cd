//! Connections that are old.

use std::{sync::atomic::Ordering::SeqCst, time::Duration};

use chaski_client::{Client, ClientConfig};
use chaski_core::Service;
use tokio::time::Instant;

use crate::server::{Act, Dialer, Server, exchange, request};

const AGE: Duration = Duration::from_secs(60);

fn config() -> ClientConfig {
    ClientConfig::default().with_max_age(AGE).with_jitter_seed(7)
}

/// Sends a request each 100 ms until there is one more connection. Says when that was.
async fn until_renewed(server: &Server, client: &Client<Dialer>) -> Duration {
    let (started, connects) = (Instant::now(), server.connects());
    while server.connects() <= connects {
        tokio::time::advance(Duration::from_millis(100)).await;
        exchange(client, request("GET", "a", ())).await.unwrap();
    }
    started.elapsed()
}

/// LIFE-03: a connection takes no more requests when it is as old as the limit, a tenth more or less.
#[tokio::test(start_paused = true)]
async fn life_03_a_connection_that_is_always_in_use_is_renewed_with_jitter() {
    let server = Server::with_script(&[]);
    let client = server.client(config());
    exchange(&client, request("GET", "a", ())).await.unwrap();
    // SplitMix64 from 7 gives 0.38983, 0.01679 and 0.90076 of the span from 54 s to 66 s.
    for (connects, expected) in [(2, 58_700), (3, 54_300), (4, 64_900)] {
        assert_eq!(until_renewed(&server, &client).await, Duration::from_millis(expected));
        assert_eq!((server.connects(), server.live(), client.stats().closed_age), (connects, 1, connects as u64 - 1));
    }
}

/// LIFE-03: two clients that start together do not renew their connections together.
#[tokio::test(start_paused = true)]
async fn life_03_each_client_has_a_jitter_of_its_own() {
    let server = Server::with_script(&[]);
    let ages = async |client: Client<Dialer>| {
        exchange(&client, request("GET", "a", ())).await.unwrap();
        let mut ages = Vec::new();
        for _ in 0..8 {
            ages.push(until_renewed(&server, &client).await);
        }
        ages
    };
    let one = ages(server.client(ClientConfig::default().with_max_age(AGE))).await;
    let other = ages(server.client(ClientConfig::default().with_max_age(AGE))).await;
    assert_ne!(one, other);
    for age in one.into_iter().chain(other) {
        assert!(age >= AGE * 9 / 10 && age <= AGE * 11 / 10 + Duration::from_millis(100), "{age:?}");
    }
}

/// LIFE-03: drained, not cut: what is under way finishes, on a connection that nobody else has, and on a shared one.
#[tokio::test(start_paused = true)]
async fn life_03_requests_under_way_finish() {
    for shared in [false, true] {
        let server = Server::with_script(&[Act::Stream]);
        server.shared.store(shared, SeqCst);
        let client = server.client(config());
        let response = client.serve(request("GET", "a", ())).await.unwrap();
        tokio::time::sleep(2 * AGE).await;
        assert_eq!((server.live(), client.idle()), (1, 0), "shared: {shared}");
        exchange(&client, request("GET", "a", ())).await.unwrap();
        assert_eq!((server.connects(), server.live()), (2, 2), "shared: {shared}");
        assert_eq!(response.into_body().collect(10).await.unwrap(), "answer", "shared: {shared}");
        assert_eq!((server.live(), client.idle(), client.stats().open), (1, 1, 1), "shared: {shared}");
        assert_eq!(client.stats().closed_age, 1, "shared: {shared}");
    }
}

/// LIFE-03: an idle connection goes at its age though nobody asks for it.
#[tokio::test(start_paused = true)]
async fn life_03_an_idle_connection_goes_at_its_age() {
    let server = Server::with_script(&[]);
    let client = server.client(config());
    exchange(&client, request("GET", "a", ())).await.unwrap();
    tokio::time::sleep(Duration::from_millis(58_677)).await;
    assert_eq!(server.live(), 1);
    tokio::time::sleep(Duration::from_millis(3)).await;
    assert_eq!((server.live(), client.stats().closed_age), (0, 1));
}
