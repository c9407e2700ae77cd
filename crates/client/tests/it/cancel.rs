//! Calls that are cancelled.

use std::time::Duration;

use chaski_client::ClientConfig;

use crate::server::{Act, Server, advance_ms, exchange, request};

/// LIFE-01: calls that are cancelled at any step, waiters included, leave nothing behind: 10,000 of them, eight at once, on a
/// pool that is too small for them.
#[tokio::test(start_paused = true)]
async fn life_01_ten_thousand_cancelled_calls_leak_no_place() {
    let server = Server::with_script(&[]);
    *server.dial.lock().unwrap() = Duration::from_millis(3);
    let config = ClientConfig::default().with_max_connections(3).with_max_connections_per_key(2).with_max_waiting(6);
    let client = server.client(config);
    let mut cancelled = 0;
    for round in 0..1_250_u64 {
        {
            let mut script = server.script.lock().unwrap();
            script.clear();
            script.extend((0..8).map(|n| if (round + n) % 3 == 0 { Act::Hang } else { Act::Stream }));
        }
        let calls = (0..8).map(|n| {
            let (client, host) = (client.clone(), ["a", "b", "c"][((round / 2 + n) % 3) as usize]);
            tokio::spawn(async move {
                let limit = Duration::from_millis((round * 5 + n * 3) % 11);
                tokio::time::timeout(limit, exchange(&client, request("GET", host, ()))).await.is_err()
            })
        });
        for call in calls.collect::<Vec<_>>() {
            cancelled += usize::from(call.await.unwrap());
        }
        let stats = client.stats();
        assert_eq!((stats.waiting, stats.open, stats.idle), (0, server.live(), server.live()), "round {round}");
        assert!(stats.open <= 3, "round {round}");
    }
    assert!(cancelled > 5_000, "{cancelled}");
    // All of it works as at first.
    for host in ["a", "b", "c"] {
        exchange(&client, request("GET", host, ())).await.unwrap();
    }
    client.close_idle();
    assert_eq!((client.stats().open, server.live()), (0, 0));
    drop(client);
    advance_ms(1).await;
}

/// LIFE-01: the same for a call whose dial goes from one to the next, and is wanted by nobody in the end.
#[tokio::test(start_paused = true)]
async fn life_01_a_dial_that_is_handed_on_ends_with_the_last_who_wants_it() {
    let server = Server::with_script(&[]);
    *server.dial.lock().unwrap() = Duration::from_secs(5);
    let client = server.client(ClientConfig::default().with_max_connections(1));
    for _ in 0..100 {
        let calls: Vec<_> = (0..100).map(|_| crate::server::call(&client, request("GET", "a", ()))).collect();
        for call in calls {
            tokio::task::yield_now().await;
            call.abort();
        }
        advance_ms(1).await;
        let stats = client.stats();
        assert_eq!((stats.open, stats.waiting, server.live()), (0, 0, 0));
    }
    assert_eq!((client.stats().dials, client.stats().dials_handed_over), (100, 9_900));
}
