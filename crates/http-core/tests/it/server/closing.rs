//! How connections are closed.

use std::{
    io,
    pin::Pin,
    task::{Context, Poll},
    time::Duration,
};

use chaski_core::{
    Io,
    http::Request,
    service_fn,
    test_util::{Pipe, pipe},
};
use chaski_http_core::Http1ServerError;
use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    time::{Instant, sleep},
};

use super::harness::*;

const CLOSE: &str = "GET /a HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n";
const ANSWER: &str = "HTTP/1.1 200 OK\r\ncontent-length: 2\r\nconnection: close\r\n\r\n/a";

/// `connection: close`, asked by the client or by the service, ends the connection after the answer.
#[tokio::test(start_paused = true)]
async fn close_is_obeyed() {
    let service = service_fn(async |request: Request| {
        let closes = request.uri().path() == "/closes";
        let mut answer = path(request).await?;
        if closes {
            answer.headers_mut().insert("connection", "x-hop, Close".parse().unwrap());
        }
        Ok(answer)
    });
    let mut client = serve(service);
    client.send(format!("{CLOSE}GET /b HTTP/1.1\r\nhost: a\r\n\r\n")).await;
    assert_eq!(client.rest().await, ANSWER);
    client.outcome().await.unwrap();
    let mut client = serve(service);
    client.send("GET /closes HTTP/1.1\r\nhost: a\r\n\r\nGET /b HTTP/1.1\r\nhost: a\r\n\r\n").await;
    assert_eq!(
        client.rest().await,
        "HTTP/1.1 200 OK\r\nconnection: x-hop\r\ncontent-length: 7\r\nconnection: close\r\n\r\n/closes"
    );
}

/// A client that goes on sending after a close is read for a while and no longer, and is not answered.
#[tokio::test(start_paused = true)]
async fn lingering_ends() {
    let mut client = serve(service_fn(path));
    let start = Instant::now();
    client.send(format!("{CLOSE}{CLOSE}")).await;
    assert_eq!(client.rest().await, ANSWER);
    while client.probe.stats().dropped_at.is_none() {
        use tokio::io::AsyncWriteExt;
        let _ = client.io.write_all(&[b'x'; 1000]).await;
        sleep(Duration::from_millis(100)).await;
        assert!(start.elapsed() < Duration::from_secs(10));
    }
    assert_eq!(client.gone_after(start).await, Duration::from_secs(2));
    assert!(client.probe.stats().bytes_read > 10_000, "what the client sends is read meanwhile");
}

/// A next request that was on its way when the answer said close does not make the kernel reset the connection.
#[tokio::test(start_paused = true)]
async fn what_comes_after_the_last_answer_is_read() {
    let mut client = serve(service_fn(path));
    client.send(CLOSE).await;
    assert_eq!(client.rest().await, ANSWER);
    client.send("GET /late HTTP/1.1\r\nhost: a\r\n\r\n").await;
    let sent = CLOSE.len() + "GET /late HTTP/1.1\r\nhost: a\r\n\r\n".len();
    client.end().await;
    client.outcome().await.unwrap();
    assert_eq!(client.probe.stats().bytes_read, sent as u64);
}

/// An IO whose shutdown never completes.
struct NeverShuts(Pipe);

impl Io for NeverShuts {}

impl AsyncRead for NeverShuts {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_read(cx, buf)
    }
}

impl AsyncWrite for NeverShuts {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        assert!(self.0.probe().stats().shutdown_at.is_none(), "a write after the shutdown");
        Pin::new(&mut self.0).poll_write(cx, buf)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        assert!(self.0.probe().stats().shutdown_at.is_none(), "a flush after the shutdown");
        Pin::new(&mut self.0).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let _ = Pin::new(&mut self.0).poll_shutdown(cx);
        Poll::Pending
    }
}

/// NET-09 and NET-11: a shutdown that never completes is given up, costs no polls meanwhile, and nothing is flushed after
/// it was begun.
#[tokio::test(start_paused = true)]
async fn a_shutdown_that_never_completes_is_given_up() {
    let (far, near) = pipe();
    let probe = near.probe();
    let mut client = Setup::new().serve_io(service_fn(path), far, NeverShuts(near), probe);
    let start = Instant::now();
    client.send(CLOSE).await;
    assert_eq!(client.rest().await, ANSWER);
    assert_eq!(client.gone_after(start).await, Duration::from_secs(5));
    assert!(client.probe.stats().shutdown_polls <= 3, "{:?}", client.probe);
    let outcome = client.outcome().await;
    assert!(matches!(outcome, Err(Http1ServerError::Timeout(_))), "{outcome:?}");
}
