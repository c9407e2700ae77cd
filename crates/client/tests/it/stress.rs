//! Many tasks in many threads, over sessions that end at any moment. The order in which things happen is the scheduler's; what
//! each task does comes from a seed.

use std::{
    future::{Future, poll_fn},
    pin::pin,
    sync::{Arc, atomic::Ordering::SeqCst},
    task::Poll,
    time::Duration,
};

use chaski_client::{Client, ClientConfig};
use chaski_core::Service;

use crate::server::{Act, Dialer, Server, request};

/// How long all of it may take: far longer than it does, unless somebody waits in vain.
const LIMIT: Duration = Duration::from_secs(60);

const TASKS: u64 = 32;
const CALLS: usize = 50;
const ACTS: [Act; 8] = [
    Act::Answer,
    Act::Answer,
    Act::Stream,
    Act::Stream,
    Act::AnswerAndClose,
    Act::CloseUnsent,
    Act::CloseSilent,
    Act::BreakOff,
];

/// The generator of Marsaglia, 2003.
struct Random(u64);

impl Random {
    fn below(&mut self, end: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 >> 33) as usize % end
    }
}

/// Polls a future at most so many times.
async fn turns<F: Future>(mut left: usize, future: F) -> Option<F::Output> {
    let mut future = pin!(future);
    poll_fn(|cx| match future.as_mut().poll(cx) {
        Poll::Ready(output) => Poll::Ready(Some(output)),
        Poll::Pending if left == 0 => Poll::Ready(None),
        Poll::Pending => {
            left -= 1;
            cx.waker().wake_by_ref();
            Poll::Pending
        }
    })
    .await
}

async fn work(client: Client<Dialer>, server: Arc<Server>, seed: u64) {
    let mut random = Random(seed);
    for _ in 0..CALLS {
        let act = ACTS[random.below(ACTS.len())];
        server.script.lock().unwrap().push_back(act);
        match random.below(40) {
            0 => drop(client.close_idle()),
            1 => server.refuse.store(true, SeqCst),
            2..6 => server.refuse.store(false, SeqCst),
            6..9 if server.live() > 0 => server.last().close(),
            9..12 => server.most.store(1 + random.below(4), SeqCst),
            12 if server.live() > 0 => server.last().changed(),
            _ => {}
        }
        let host = ["a", "b", "c", "d", "e"][random.below(5)];
        let call = client.serve(request("GET", host, ()));
        let result = match random.below(3) {
            0 => turns(random.below(4), call).await,
            // Without a limit of time: it is over, or the test never is.
            _ => Some(call.await),
        };
        if let Some(Ok(response)) = result
            && random.below(4) > 0
        {
            let _ = response.into_body().collect(10).await;
        }
    }
}

async fn run(config: ClientConfig, shared: bool, seed: u64) {
    let server = Server::with_script(&[]);
    server.shared.store(shared, SeqCst);
    let client = server.client(config.with_connect_timeout(None).with_wait_timeout(None).with_shared_sessions(shared));
    let tasks: Vec<_> =
        (1..=TASKS).map(|task| tokio::spawn(work(client.clone(), Arc::clone(&server), seed * TASKS + task))).collect();
    for task in tasks {
        task.await.unwrap();
    }
    // The background task may be looking at one of them, or closing one, just now. Books that never agree end at the limit.
    while client.stats().open != client.idle() || client.idle() != server.live() {
        tokio::task::yield_now().await;
    }
    assert_eq!(client.stats().waiting, 0);
    client.close_idle();
    while client.stats().open > 0 {
        tokio::task::yield_now().await;
    }
    let stats = client.stats();
    let used = stats.closed_used + stats.closed_idle + stats.closed_age + stats.closed_asked;
    assert_eq!(stats.established, used + stats.closed_limit + stats.closed_dead, "{stats:?}");
    assert_eq!((stats.idle, stats.waiting, server.live()), (0, 0, 0), "{stats:?}");
}

/// LIFE-01: in many threads too, places are neither lost nor made up, and nobody waits in vain.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn life_01_the_books_balance_in_many_threads() {
    let tight = ClientConfig::default().with_max_connections(3).with_max_connections_per_key(2);
    let configs = [
        tight.clone(),
        tight.clone().with_max_idle(1).with_max_age(Duration::from_millis(1)),
        tight.with_max_waiting(4).with_idle_timeout(Duration::from_millis(1)),
        ClientConfig::default().with_max_connections(1),
    ];
    let all = async {
        for (config, seed) in configs.into_iter().zip(1..) {
            run(config.clone(), false, seed).await;
            run(config, true, seed).await;
        }
    };
    tokio::time::timeout(LIMIT, all).await.unwrap();
}
