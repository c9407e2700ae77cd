//! Calls that are cancelled.

use std::{
    future::{Future, poll_fn},
    sync::atomic::Ordering::SeqCst,
    task::Poll,
    time::Duration,
};

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

/// LIFE-01: the same on several threads at once, where calls meet at any moment.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn life_01_cancelled_calls_leak_no_place_on_many_threads() {
    for shared in [false, true] {
        let server = Server::with_script(&[]);
        server.shared.store(shared, SeqCst);
        server.most.store(3, SeqCst);
        let config = ClientConfig::default().with_max_connections(4).with_max_connections_per_key(3);
        let client = server.client(config.with_max_idle(3));
        let tasks: Vec<_> = (0..16_usize)
            .map(|task| {
                let client = client.clone();
                tokio::spawn(async move {
                    for n in 0..200 {
                        let host = ["a", "b", "c"][(task + n / 3) % 3];
                        let mut call = Box::pin(exchange(&client, request("GET", host, ())));
                        if n % 3 > 0 {
                            call.await.unwrap();
                            continue;
                        }
                        // Cancelled after so many turns, wherever it is by then.
                        for _ in 0..(task + n) % 7 {
                            if let Poll::Ready(outcome) = poll_fn(|cx| Poll::Ready(call.as_mut().poll(cx))).await {
                                outcome.unwrap();
                                break;
                            }
                            tokio::task::yield_now().await;
                        }
                    }
                })
            })
            .collect();
        for task in tasks {
            task.await.unwrap();
        }
        let stats = client.stats();
        assert_eq!((stats.waiting, stats.open, stats.idle), (0, server.live(), server.live()), "{stats:?}");
        client.close_idle();
        // The task may be looking at one at this moment.
        while server.live() > 0 {
            tokio::task::yield_now().await;
        }
        assert_eq!(client.stats().open, 0);
    }
}
