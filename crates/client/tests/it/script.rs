//! Random scripts of calls, cancellations, answers, failures and time, on a paused clock: the pool's books always balance,
//! and nobody waits in vain.

use std::{collections::VecDeque, sync::atomic::Ordering::SeqCst, time::Duration};

use chaski_client::{Client, ClientConfig, ClientError, PoolStats};
use chaski_core::http::Response;
use proptest::{collection::vec, prelude::*};
use tokio::task::JoinHandle;

use crate::server::{Act, Dialer, Server, advance_ms, call, secure};

#[derive(Clone, Copy, Debug)]
enum Step {
    /// Begins a call to one of three hosts.
    Call(u8),
    /// Cancels the call, or drops the response, that is the oldest but so many.
    Cancel(usize),
    /// Reads the oldest response but so many to its end.
    Finish(usize),
    Pass(u64),
    /// The peer closes the connection that was made last.
    PeerCloses,
    /// Requests on connections that were used before are answered with 421 from here on, or as others again.
    Misdirect(bool),
    /// Dials fail from here on, or succeed again.
    Refuse(bool),
    CloseIdle,
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        6 => (0..3_u8).prop_map(Step::Call),
        2 => (0..4_usize).prop_map(Step::Cancel),
        4 => (0..4_usize).prop_map(Step::Finish),
        4 => (0..6_u64).prop_map(Step::Pass),
        1 => (200..1_500_u64).prop_map(Step::Pass),
        1 => Just(Step::PeerCloses),
        1 => any::<bool>().prop_map(Step::Misdirect),
        1 => any::<bool>().prop_map(Step::Refuse),
        1 => Just(Step::CloseIdle),
    ]
}

/// A configuration; whether its sessions are shared, and its limits: of connections, and of those who wait.
fn config() -> impl Strategy<Value = (ClientConfig, bool, (usize, usize))> {
    (1..4_usize, 1..4_usize, 0..5_usize, 0..4_usize, any::<[bool; 3]>()).prop_map(
        |(all, key, waiting, idle, [shared, aged, coalescing])| {
            let config = ClientConfig::default()
                .with_https(true)
                .with_max_connections(all)
                .with_max_connections_per_key(key)
                .with_max_waiting(waiting)
                .with_max_idle(idle)
                .with_idle_timeout(Duration::from_secs(5))
                .with_connect_timeout(None)
                .with_wait_timeout(None)
                .with_shared_sessions(shared)
                .with_jitter_seed(1);
            let config = if coalescing { config.with_coalescing(|_, _| true) } else { config };
            let config = if aged { config.with_max_age(Duration::from_millis(300)) } else { config };
            (config, shared, (all, waiting))
        },
    )
}

type Call = JoinHandle<Result<Response, ClientError>>;

fn balanced(stats: PoolStats, waiting: usize) -> bool {
    let closed = stats.closed_used
        + stats.closed_idle
        + stats.closed_age
        + stats.closed_limit
        + stats.closed_dead
        + stats.closed_asked;
    // Dials are open, but not established.
    stats.established <= stats.open as u64 + closed && stats.idle <= stats.open && stats.waiting <= waiting
}

async fn run(config: ClientConfig, shared: bool, limits: (usize, usize), steps: Vec<Step>) {
    let server = Server::with_script(&[]);
    server.shared.store(shared, SeqCst);
    server.most.store(2, SeqCst);
    *server.certified.lock().unwrap() = vec!["*"];
    *server.on_reuse.lock().unwrap() = Some(Act::Stream);
    *server.dial.lock().unwrap() = Duration::from_millis(3);
    let client: Client<Dialer> = server.client(config);
    let mut calls: VecDeque<Call> = VecDeque::new();
    let mut responses: VecDeque<Response> = VecDeque::new();
    for step in steps {
        match step {
            Step::Call(host) => {
                server.script.lock().unwrap().push_back(Act::Stream);
                calls.push_back(call(&client, secure("GET", ["a", "b", "c"][usize::from(host)], ())));
            }
            Step::Cancel(n) if n < calls.len() => calls.remove(n).unwrap().abort(),
            Step::Cancel(n) => drop(responses.remove(n)),
            Step::Finish(n) => {
                if let Some(response) = responses.remove(n) {
                    let _ = response.into_body().collect(10).await;
                }
            }
            Step::Pass(millis) => advance_ms(millis).await,
            Step::PeerCloses => {
                if server.connects() > 0 && server.live() > 0 {
                    server.last().close();
                }
            }
            Step::Misdirect(yes) => {
                *server.on_reuse.lock().unwrap() = Some(if yes { Act::Misdirected } else { Act::Stream });
            }
            Step::Refuse(yes) => server.refuse.store(yes, SeqCst),
            Step::CloseIdle => drop(client.close_idle()),
        }
        for _ in 0..4 {
            tokio::task::yield_now().await;
        }
        for _ in 0..calls.len() {
            let call = calls.pop_front().unwrap();
            match call.is_finished() {
                true => responses.extend(call.await.unwrap().ok()),
                false => calls.push_back(call),
            }
        }
        let stats = client.stats();
        assert!(stats.open <= limits.0 && balanced(stats, limits.1), "{step:?}: {stats:?}");
    }
    // Whoever still waits is served when all others are done: nothing was lost on the way.
    server.refuse.store(false, SeqCst);
    for _ in 0..100 {
        for response in responses.drain(..) {
            let _ = response.into_body().collect(10).await;
        }
        advance_ms(20).await;
        for _ in 0..calls.len() {
            let call = calls.pop_front().unwrap();
            match call.is_finished() {
                true => responses.extend(call.await.unwrap().ok()),
                false => calls.push_back(call),
            }
        }
    }
    assert!(calls.is_empty() && responses.is_empty(), "{} wait in vain: {:?}", calls.len(), client.stats());
    let stats = client.stats();
    assert_eq!((stats.waiting, stats.open, stats.idle), (0, server.live(), server.live()), "{stats:?}");
    advance_ms(7_000).await;
    let stats = client.stats();
    assert_eq!((stats.open, stats.idle, server.live()), (0, 0, 0), "{stats:?}");
    let closed = stats.closed_used + stats.closed_idle + stats.closed_age + stats.closed_limit;
    assert_eq!(stats.established, closed + stats.closed_dead + stats.closed_asked, "{stats:?}");
}

proptest! {
    /// LIFE-01: whatever happens in whatever order, places are neither lost nor made up, and nobody waits in vain.
    #[test]
    fn life_01_the_books_balance((config, shared, limits) in config(), steps in vec(step(), 1..60)) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().start_paused(true).build().unwrap();
        runtime.block_on(run(config, shared, limits, steps));
    }
}
