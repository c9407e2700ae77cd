//! One connection that has always more does not keep the thread from the others.

use std::{
    io,
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    task::{Context, Poll},
};

use chaski_core::{
    BoxError, Conn, Io, Service,
    http::{Body, Request, Response},
    service_fn, service_fn_with,
};
use chaski_http_core::Http1Server;
use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    task::yield_now,
};

use super::harness::*;

const GET: &[u8] = b"GET / HTTP/1.1\r\nhost: a\r\n\r\n";

/// A pipeline that brings requests with every read, and takes every write: nothing here ever waits. It knows no budget of the
/// runtime's, as the IO of others may not.
struct Endless {
    /// Ends after all, so that a server that starves the others fails the test and does not hang it.
    requests: usize,
    /// Of the next request, what was read already.
    offset: usize,
}

impl AsyncRead for Endless {
    fn poll_read(mut self: Pin<&mut Self>, _: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        while buf.remaining() > 0 && self.requests > 0 {
            let n = buf.remaining().min(GET.len() - self.offset);
            buf.put_slice(&GET[self.offset..self.offset + n]);
            self.offset += n;
            if self.offset == GET.len() {
                self.offset = 0;
                self.requests -= 1;
            }
        }
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Endless {
    fn poll_write(self: Pin<&mut Self>, _: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        Poll::Ready(Ok(bytes.len()))
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}

impl Io for Endless {}

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
    let io = Endless { requests: 1_000_000, offset: 0 };
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
