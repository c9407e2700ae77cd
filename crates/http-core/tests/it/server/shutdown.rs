//! Graceful shutdown.

use std::time::Duration;

use chaski_core::{
    Shutdown, ShutdownReport,
    http::{Request, Upgrade},
    service_fn,
};
use tokio::{
    io::AsyncReadExt,
    time::{Instant, sleep},
};

use super::harness::*;

const GET: &str = "GET /a HTTP/1.1\r\nhost: a\r\n\r\n";
const LIMIT: Duration = Duration::from_secs(10);

/// H1-13: an answer that begins while the server drains says `connection: close`, and so it is.
#[tokio::test(start_paused = true)]
async fn answers_say_close_while_draining() {
    let shutdown = Shutdown::new();
    let service = service_fn(async |request: Request| {
        sleep(Duration::from_secs(1)).await;
        path(request).await
    });
    let mut client = Setup::new().shutdown(&shutdown).serve(service);
    client.send(GET).await;
    assert_eq!(client.response().await, "HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\n/a");
    client.send(format!("{GET}{GET}")).await;
    sleep(Duration::from_millis(500)).await;
    let start = Instant::now();
    shutdown.begin();
    assert_eq!(client.rest().await, "HTTP/1.1 200 OK\r\ncontent-length: 2\r\nconnection: close\r\n\r\n/a");
    assert_eq!(start.elapsed(), Duration::from_millis(500));
}

/// H1-13: the signal may also be a fact of the connection.
#[tokio::test(start_paused = true)]
async fn the_signal_is_found_as_a_fact() {
    use chaski_core::{Conn, Service, test_util::pipe};
    let shutdown = Shutdown::new();
    let (mut far, near) = pipe();
    let conn = Conn::new(near);
    conn.ext.insert(shutdown.signal());
    let server = tokio::spawn(async move { chaski_http_core::Http1Server::new(service_fn(path)).serve(conn).await });
    tokio::task::yield_now().await;
    shutdown.begin();
    assert_eq!(patient("closing", far.read(&mut [0; 8])).await.unwrap(), 0);
    server.await.unwrap().unwrap();
}

/// LIFE-05: an idle connection goes at once, before its first request and between two.
#[tokio::test(start_paused = true)]
async fn idle_connections_go_at_once() {
    for requests in [0, 1, 2] {
        let shutdown = Shutdown::new();
        let mut client = Setup::new().shutdown(&shutdown).serve(service_fn(path));
        for _ in 0..requests {
            client.send(GET).await;
            client.response().await;
        }
        sleep(Duration::from_secs(1)).await;
        let start = Instant::now();
        assert_eq!(shutdown.drain(LIMIT).await, ShutdownReport { drained: 1, cut: 0 });
        assert_eq!(start.elapsed(), Duration::ZERO);
        client.assert_closed().await;
        client.outcome().await.unwrap();
    }
}

/// LIFE-05: half a head, a request's body that stalls, an answer that stalls, a client that does not read, a service that
/// never answers, a body held elsewhere and a CONNECT tunnel all end by the deadline. Waits: WebSocket, SSE.
#[tokio::test(start_paused = true)]
async fn everything_ends_by_the_deadline() {
    let service = service_fn(async |request: Request| {
        if request.method() == http::Method::CONNECT {
            let mut response = ok("");
            Upgrade::new(async |mut conn| {
                let _ = conn.io.read(&mut [0; 8]).await;
            })
            .attach(&mut response);
            return Ok(response);
        }
        match request.uri().path() {
            "/streams" => {
                let (frames, body) = channel();
                frames.data("begun");
                tokio::spawn(async move { frames.dropped().await });
                Ok(ok(body))
            }
            "/large" => Ok(ok(vec![b'x'; 1 << 20])),
            "/held" => {
                let body = request.into_body();
                tokio::spawn(async move { body.collect(100).await.unwrap_err() });
                Ok(ok(""))
            }
            "/never" => std::future::pending().await,
            _ => collected(request).await,
        }
    });
    for input in [
        "GET / HTTP/1.1\r\nho",
        "POST / HTTP/1.1\r\nhost: a\r\ncontent-length: 9\r\n\r\nabc",
        "POST /held HTTP/1.1\r\nhost: a\r\ncontent-length: 9\r\n\r\nabc",
        "GET /streams HTTP/1.1\r\nhost: a\r\n\r\n",
        "GET /large HTTP/1.1\r\nhost: a\r\n\r\n",
        "GET /never HTTP/1.1\r\nhost: a\r\n\r\n",
        "CONNECT a:1 HTTP/1.1\r\nhost: a:1\r\n\r\n",
    ] {
        let shutdown = Shutdown::new();
        let mut client = Setup::new().shutdown(&shutdown).serve(service);
        client.send(input).await;
        sleep(Duration::from_secs(1)).await;
        let start = Instant::now();
        assert_eq!(shutdown.drain(LIMIT).await, ShutdownReport { drained: 0, cut: 1 }, "{input}");
        assert_eq!(start.elapsed(), LIMIT, "{input}");
        assert_eq!(client.gone_after(start).await, LIMIT, "{input}");
        assert!(client.server.await.unwrap().is_none());
    }
}

/// LIFE-05: what can finish before the deadline does.
#[tokio::test(start_paused = true)]
async fn what_finishes_in_time_is_not_cut() {
    let shutdown = Shutdown::new();
    let (frames, body) = channel();
    let body = std::sync::Mutex::new(Some(body));
    let service = service_fn(move |_: Request| std::future::ready(Ok(ok(body.lock().unwrap().take().unwrap()))));
    let mut client = Setup::new().shutdown(&shutdown).serve(service);
    frames.data("begun");
    client.send(GET).await;
    client.until("begun\r\n").await;
    tokio::spawn(async move {
        sleep(Duration::from_secs(9)).await;
        frames.data("done");
    });
    let start = Instant::now();
    assert_eq!(shutdown.drain(LIMIT).await, ShutdownReport { drained: 1, cut: 0 });
    assert_eq!(start.elapsed(), Duration::from_secs(9));
    assert_eq!(client.rest().await, "4\r\ndone\r\n0\r\n\r\n");
}
