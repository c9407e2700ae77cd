//! One connection that has always more does not keep the thread from the others.

use std::sync::{
    Arc,
    atomic::{AtomicUsize, Ordering},
};

use chaski_core::{
    BoxError, Conn, Service,
    http::{Body, Request, Response},
    service_fn, service_fn_with,
    test_util::Endless,
};
use chaski_http_core::Http1Server;
use tokio::task::yield_now;

use super::harness::*;

const GET: &[u8] = b"GET / HTTP/1.1\r\nhost: a\r\n\r\n";

async fn run<S: Service<Conn<Endless>>>(server: S, io: Endless) {
    let _ = server.serve(Conn::new(io)).await;
}

/// Between two turns of another task of the same thread, a pipeline without end is served a bounded number of requests.
#[tokio::test]
async fn a_pipeline_without_end_does_not_starve_the_others() {
    let served = Arc::new(AtomicUsize::new(0));
    let count = service_fn_with(Arc::clone(&served), async |served: Arc<AtomicUsize>, _: Request| {
        served.fetch_add(1, Ordering::Relaxed);
        Ok::<_, BoxError>(Response::new(Body::empty()))
    });
    let greedy = Http1Server::new(count);
    let io = Endless::new(GET, 1_000_000 * GET.len());
    let greedy = tokio::spawn(run(greedy, io));
    let mut before = 0;
    for turn in 0..100 {
        yield_now().await;
        let now = served.load(Ordering::Relaxed);
        assert!(now - before <= 128, "{} requests in turn {turn}", now - before);
        before = now;
    }
    assert!(before > 100, "it is served too");

    // So a client of another connection is answered.
    let mut client = serve(service_fn(path));
    client.send("GET /a HTTP/1.1\r\nhost: a\r\n\r\n").await;
    assert!(client.head().await.starts_with("HTTP/1.1 200 "));
    let meanwhile = served.load(Ordering::Relaxed) - before;
    assert!(meanwhile <= 4096, "{meanwhile} requests of the other one meanwhile");
    greedy.abort();
}
