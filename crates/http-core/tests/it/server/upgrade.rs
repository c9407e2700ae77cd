//! Upgrades and tunnels.

use std::sync::{
    Arc,
    atomic::{AtomicUsize, Ordering},
};

use chaski_core::{
    Conn, Service,
    http::{Body, Message, Request, Response, Upgrade},
    service_fn,
    test_util::{Chunking, PipeDirection, PipeOptions, pipe},
};
use chaski_http_core::Http1Server;
use http::StatusCode;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use super::harness::*;

const UPGRADE: &str = "GET /chat HTTP/1.1\r\nhost: a\r\nconnection: upgrade\r\nupgrade: chat\r\n\r\n";
const CONNECT: &str = "CONNECT a:443 HTTP/1.1\r\nhost: a:443\r\n\r\n";
const FAILED: &str = "HTTP/1.1 500 Internal Server Error\r\ncontent-length: 0\r\n\r\n";
const FAILED_AND_CLOSED: &str = "HTTP/1.1 500 Internal Server Error\r\ncontent-length: 0\r\nconnection: close\r\n\r\n";

/// Echoes to the end of the stream, then says good-bye.
fn echoing(mut response: Response) -> Response {
    Upgrade::new(async |mut conn| {
        let mut buf = [0; 1000];
        loop {
            match conn.io.read(&mut buf).await.unwrap() {
                0 => break,
                n => conn.io.write_all(&buf[..n]).await.unwrap(),
            }
        }
        conn.io.write_all(b"bye").await.unwrap();
        conn.io.shutdown().await.unwrap();
    })
    .attach(&mut response);
    response
}

fn switching() -> Response {
    let mut response = status(101);
    *response.headers_mut() = headers(&[("connection", "upgrade"), ("upgrade", "chat")]);
    echoing(response)
}

/// H1-14: after 101 the connection is the continuation's, with the bytes that came in the segment of the head, and those
/// that came later. Server role.
#[tokio::test(start_paused = true)]
async fn bytes_behind_the_head_reach_the_continuation() {
    for reads in [Chunking::Whole, Chunking::Bytes(1), Chunking::Bytes(13)] {
        let direction = PipeDirection { reads, ..PipeDirection::default() };
        let mut client =
            Setup::new().pipe(PipeOptions::both(direction)).serve(service_fn(async |_: Request| Ok(switching())));
        client.send(format!("{UPGRADE}first frame, GET / HTTP/1.1\r\n\r\n")).await;
        assert_eq!(
            client.head().await,
            "HTTP/1.1 101 Switching Protocols\r\nconnection: upgrade\r\nupgrade: chat\r\n\r\n"
        );
        assert_eq!(client.until("\r\n\r\n").await, "first frame, GET / HTTP/1.1\r\n\r\n");
        client.send("second").await;
        assert_eq!(client.until("second").await, "second");
        client.end().await;
        assert_eq!(client.rest().await, "bye");
        client.outcome().await.unwrap();
    }
}

/// H1-15: what a client sends before the service has decided waits, however much it is, and reaches the continuation in
/// order once the answer is 101.
#[tokio::test(start_paused = true)]
async fn h1_15_early_bytes_wait_for_the_101() {
    // More than is read ahead while a service works.
    let early: String = (0..4_000).map(|i| format!("{i:07}\n")).collect();
    let (decide, decided) = tokio::sync::watch::channel(false);
    let asked = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&asked);
    let service = service_fn(move |_: Request| {
        let mut decided = decided.clone();
        count.fetch_add(1, Ordering::Relaxed);
        async move {
            decided.wait_for(|decided| *decided).await?;
            Ok(switching())
        }
    });
    let mut client = serve(service);
    client.send(format!("{UPGRADE}{early}")).await;
    let early_answer = tokio::time::timeout(std::time::Duration::from_secs(30), client.head()).await;
    assert!(early_answer.is_err(), "before the service has decided: {early_answer:?}");
    decide.send(true).unwrap();
    assert!(client.head().await.starts_with("HTTP/1.1 101 "));
    client.end().await;
    assert!(client.rest().await == format!("{early}bye"));
    assert_eq!(asked.load(Ordering::Relaxed), 1, "none of it was taken for a request");
}

/// H1-15: where the answer is not 101, what follows is HTTP: the next request, or a fault.
#[tokio::test(start_paused = true)]
async fn h1_15_early_bytes_are_http_without_a_101() {
    let service = service_fn(async |request: Request| {
        let mut response = path(request).await?;
        *response.headers_mut() = headers(&[("connection", "upgrade"), ("upgrade", "chat")]);
        Ok(echoing(response))
    });
    let answer = |path: &str| {
        let length = path.len();
        format!("HTTP/1.1 200 OK\r\nconnection: upgrade\r\nupgrade: chat\r\ncontent-length: {length}\r\n\r\n{path}")
    };
    let mut client = serve(service);
    client.send(format!("{UPGRADE}GET /next HTTP/1.1\r\nhost: a\r\n\r\n")).await;
    assert_eq!(client.response().await, answer("/chat"));
    assert_eq!(client.response().await, answer("/next"));
    client.send(format!("{UPGRADE}\u{1}\u{5}hello")).await;
    assert_eq!(client.response().await, answer("/chat"));
    assert_eq!(client.rest().await, "HTTP/1.1 400 Bad Request\r\ncontent-length: 0\r\nconnection: close\r\n\r\n");
}

/// H1-14: the answers to requests that were pipelined before leave first.
#[tokio::test(start_paused = true)]
async fn earlier_answers_leave_before_the_switch() {
    let service = service_fn(
        async |request: Request| {
            if request.uri().path() == "/chat" { Ok(switching()) } else { path(request).await }
        },
    );
    let mut client = serve(service);
    client.send(format!("GET /a HTTP/1.1\r\nhost: a\r\n\r\n{UPGRADE}x")).await;
    assert_eq!(client.response().await, "HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\n/a");
    assert!(client.head().await.starts_with("HTTP/1.1 101 "));
    client.end().await;
    assert_eq!(client.rest().await, "xbye");
}

/// H1-14: with any other status the continuation is not run, and the connection stays HTTP.
#[tokio::test(start_paused = true)]
async fn another_status_does_not_switch() {
    let dropped = Arc::new(());
    let held = Arc::clone(&dropped);
    let service = service_fn(move |request: Request| {
        let held = Arc::clone(&held);
        async move {
            let mut response = path(request).await?;
            Upgrade::new(move |_| async move {
                drop(held);
                panic!("the continuation ran");
            })
            .attach(&mut response);
            Ok(response)
        }
    });
    let mut client = serve(service);
    for _ in 0..2 {
        client.send(UPGRADE).await;
        assert_eq!(client.response().await, "HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\n/chat");
    }
    client.end().await;
    client.assert_closed().await;
    client.outcome().await.unwrap();
    assert_eq!(Arc::strong_count(&dropped), 1, "continuations are dropped");
}

/// H1-14: 101 to a request that did not ask, or without a continuation, is the service's mistake: 500.
#[tokio::test(start_paused = true)]
async fn a_switch_that_cannot_be_is_a_500() {
    let mut client = serve(service_fn(async |_: Request| Ok(switching())));
    for request in ["GET / HTTP/1.1\r\nhost: a\r\n\r\n", "GET / HTTP/1.1\r\nhost: a\r\nupgrade: chat\r\n\r\n"] {
        client.send(request).await;
        assert_eq!(client.response().await, FAILED);
    }
    let mut client = serve(service_fn(async |_: Request| Ok(status(101))));
    client.send(UPGRADE).await;
    assert_eq!(client.response().await, FAILED);
    client.send(CONNECT).await;
    assert_eq!(client.rest().await, FAILED_AND_CLOSED);
    // A 1.0 client has no way to upgrade.
    let mut client = serve(service_fn(async |_: Request| Ok(switching())));
    client.send(UPGRADE.replace("HTTP/1.1", "HTTP/1.0")).await;
    assert_eq!(client.rest().await, FAILED_AND_CLOSED);
}

/// An upgrade with a body that nobody read would hand body bytes to another protocol: it is refused, and the body drained.
#[tokio::test(start_paused = true)]
async fn an_upgrade_with_an_unread_body_is_refused() {
    let service = service_fn(async |request: Request| {
        if request.uri().path() == "/read" {
            request.into_body().collect(100).await?;
        }
        Ok(switching())
    });
    let mut client = serve(service);
    let post = UPGRADE.replace("GET", "POST").replace("\r\n\r\n", "\r\ncontent-length: 4\r\n\r\n");
    client.send(format!("{post}body")).await;
    assert_eq!(client.response().await, FAILED);
    client.send(format!("{}bodymore", post.replace("/chat", "/read"))).await;
    assert!(client.head().await.starts_with("HTTP/1.1 101 "));
    client.end().await;
    assert_eq!(client.rest().await, "morebye");
}

/// H1-25: a 2xx answer to CONNECT has no length, no coding and no body, whatever the service gives, and is a tunnel from
/// then on.
#[tokio::test(start_paused = true)]
async fn a_tunnel_begins_behind_the_head() {
    for (code, body) in [(200, Body::full("dropped")), (204, Body::empty()), (200, pieces(&["never", "seen"]))] {
        let body = std::sync::Mutex::new(Some(body));
        let service = service_fn(move |_: Request| {
            let mut response = ok(body.lock().unwrap().take().unwrap());
            *response.status_mut() = StatusCode::from_u16(code).unwrap();
            *response.headers_mut() = headers(&[("content-length", "7"), ("x-kept", "yes")]);
            std::future::ready(Ok(echoing(response)))
        });
        let mut client = serve(service);
        client.send(format!("{CONNECT}early")).await;
        let line = if code == 200 { "HTTP/1.1 200 OK" } else { "HTTP/1.1 204 No Content" };
        assert_eq!(client.head().await, format!("{line}\r\nx-kept: yes\r\n\r\n"));
        assert_eq!(client.until("early").await, "early");
        client.end().await;
        assert_eq!(client.rest().await, "bye");
    }
    // A coding that the service names is left out as well.
    let service = service_fn(async |_: Request| {
        let mut response = ok("");
        *response.headers_mut() = headers(&[("transfer-encoding", "chunked")]);
        Ok(echoing(response))
    });
    let mut client = serve(service);
    client.send(CONNECT).await;
    assert_eq!(client.head().await, "HTTP/1.1 200 OK\r\n\r\n");
}

/// H1-25: another answer to CONNECT has its body, then the connection closes; its continuation is not run. What a client
/// sent ahead for the tunnel is not a request of its own (RFC 9931).
#[tokio::test(start_paused = true)]
async fn a_refused_tunnel_is_an_answer_and_the_last() {
    let service = service_fn(async |_: Request| {
        let mut response = ok("no way");
        *response.status_mut() = StatusCode::BAD_GATEWAY;
        Ok(echoing(response))
    });
    for early in ["", "GET /smuggled HTTP/1.1\r\nhost: a\r\n\r\n"] {
        let mut client = serve(service);
        client.send(format!("{CONNECT}{early}")).await;
        let answer = "HTTP/1.1 502 Bad Gateway\r\ncontent-length: 6\r\nconnection: close\r\n\r\nno way";
        assert_eq!(client.rest().await, answer, "{early}");
    }
}

/// H1-25: 2xx without a continuation would leave a tunnel with nobody in it: 500.
#[tokio::test(start_paused = true)]
async fn a_tunnel_without_a_continuation_is_a_500() {
    let mut client = serve(service_fn(async |_: Request| Ok(ok("text"))));
    client.send(CONNECT).await;
    assert_eq!(client.rest().await, FAILED_AND_CLOSED);
}

/// The tunnel's scope is a child of the request's, and the continuation runs in the connection's task: it ends with it.
#[tokio::test(start_paused = true)]
async fn a_continuation_belongs_to_its_connection() {
    #[derive(Debug)]
    struct OfTheRequest;
    let seen = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&seen);
    let service = service_fn(move |mut request: Request| {
        let count = Arc::clone(&count);
        request.scope().insert(OfTheRequest);
        let mut response = ok("");
        Upgrade::new(move |mut conn| async move {
            assert!(conn.ext.get::<OfTheRequest>().is_some() && conn.ext.get::<Known>().is_some());
            count.fetch_add(1, Ordering::Relaxed);
            let _ = conn.io.read(&mut [0; 8]).await;
            count.fetch_add(1, Ordering::Relaxed);
        })
        .attach(&mut response);
        std::future::ready(Ok(response))
    });
    let mut client = Setup::new().facts().serve(service);
    client.send(CONNECT).await;
    client.head().await;
    tokio::task::yield_now().await;
    client.server.abort();
    client.assert_closed().await;
    assert_eq!(seen.load(Ordering::Relaxed), 1);
}

/// A tunnel may last for days: beside its continuation nothing stays in memory of the connection that it was.
#[tokio::test(start_paused = true)]
async fn a_tunnel_keeps_nothing_of_its_connection() {
    #[derive(Debug)]
    struct Canary(#[expect(dead_code, reason = "it is only counted")] Arc<()>);

    let canary = Arc::new(());
    let (mut client, io) = pipe();
    let conn = Conn::new(io);
    conn.ext.insert(Canary(Arc::clone(&canary)));
    let server = Http1Server::new(service_fn(async |_: Request| {
        let mut response = Response::new(Body::empty());
        let tunnel = Upgrade::new(async |conn| {
            let Conn { mut io, ext } = conn;
            drop(ext);
            io.write_all(b"tunnel").await.unwrap();
            std::future::pending::<()>().await;
        });
        tunnel.attach(&mut response);
        Ok::<_, std::convert::Infallible>(response)
    }));
    let mut serving = std::pin::pin!(server.serve(conn));
    let opened = async {
        client.write_all(CONNECT.as_bytes()).await.unwrap();
        let mut got = Vec::new();
        while !got.ends_with(b"tunnel") {
            assert_ne!(client.read_buf(&mut got).await.unwrap(), 0);
        }
    };
    tokio::select! {
        _ = &mut serving => panic!("the tunnel has ended"),
        () = opened => {}
    }
    assert_eq!(Arc::strong_count(&canary), 1);
    // What is left is where the continuation is.
    let bytes = size_of_val(&*serving);
    assert!(bytes <= 64, "{bytes}");
}
