//! Origins that answer with what no server should: the client side is never out of step, and neither is the proxy's client.

use std::time::Duration;

use chaski_core::Service;
use http::Method;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use crate::net::{Listener, Net, exchange, get, in_time, read, read_head, statuses};

/// Answers the first request of each connection with `first`, and those that follow on it with `forged`; a connection that is
/// opened after the first one answers `honest`.
async fn origin(mut listener: Listener, first: Vec<u8>) {
    let mut io = listener.accept().await.conn.io;
    read_head(&mut io).await;
    let _ = io.write_all(&first).await;
    tokio::spawn(async move {
        // Whoever asks again on this connection is lied to.
        let mut io = io;
        let mut head = Vec::new();
        while let Ok(byte) = io.read_u8().await {
            head.push(byte);
            if head.ends_with(b"\r\n\r\n") {
                let _ = io.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 6\r\n\r\nforged").await;
            }
        }
    });
    loop {
        let mut io = listener.accept().await.conn.io;
        read_head(&mut io).await;
        let _ = io.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 6\r\n\r\nhonest").await;
        tokio::spawn(async move {
            let _io = io;
            std::future::pending::<()>().await;
        });
    }
}

/// What the caller gets for the first request.
#[derive(Clone, Copy, Debug)]
enum Gets {
    /// No response.
    Error,
    /// A response, which is read as this.
    Response(u16, &'static str),
    /// A response whose body fails.
    CutBody(u16),
}

fn cases() -> Vec<(&'static str, Method, Vec<u8>, Gets)> {
    let text = |text: &str| text.as_bytes().to_vec();
    let ok = "HTTP/1.1 200 OK\r\n";
    let (get, head) = (Method::GET, Method::HEAD);
    let flood = "HTTP/1.1 103 Early Hints\r\nlink: </a>\r\n\r\n".repeat(100);
    let fields = format!("{ok}{}content-length: 0\r\n\r\n", "x: y\r\n".repeat(100_000));
    let field = format!("{ok}x: {}\r\ncontent-length: 0\r\n\r\n", "y".repeat(4 << 20));
    vec![
        (
            "two lengths",
            get.clone(),
            text(&format!("{ok}content-length: 2\r\ncontent-length: 5\r\n\r\nhello")),
            Gets::Error,
        ),
        ("a list of lengths", get.clone(), text(&format!("{ok}content-length: 5, 2\r\n\r\nhello")), Gets::Error),
        (
            "TE and CL",
            get.clone(),
            text(&format!("{ok}transfer-encoding: chunked\r\ncontent-length: 3\r\n\r\n0\r\n\r\n")),
            Gets::Error,
        ),
        ("xchunked", get.clone(), text(&format!("{ok}transfer-encoding: xchunked\r\n\r\n0\r\n\r\n")), Gets::Error),
        ("obs-fold", get.clone(), text(&format!("{ok}x: a\r\n b\r\ncontent-length: 0\r\n\r\n")), Gets::Error),
        ("bare LF", get.clone(), text("HTTP/1.1 200 OK\ncontent-length: 0\n\n"), Gets::Error),
        ("NUL in a value", get.clone(), text(&format!("{ok}x: a\0b\r\ncontent-length: 0\r\n\r\n")), Gets::Error),
        ("NUL in a name", get.clone(), text(&format!("{ok}x\0: a\r\ncontent-length: 0\r\n\r\n")), Gets::Error),
        ("a status of two digits", get.clone(), text("HTTP/1.1 20 OK\r\ncontent-length: 0\r\n\r\n"), Gets::Error),
        ("HTTP/0.9", get.clone(), text("hello\r\n\r\n"), Gets::Error),
        ("SSH", get.clone(), text("SSH-2.0-OpenSSH_9.6\r\n\r\n"), Gets::Error),
        ("a flood of 1xx", get.clone(), text(&format!("{flood}{ok}content-length: 0\r\n\r\n")), Gets::Error),
        ("a switch", get.clone(), text("HTTP/1.1 101 Switching Protocols\r\nupgrade: x\r\n\r\n"), Gets::Error),
        ("many fields", get.clone(), text(&fields), Gets::Error),
        ("a long field", get.clone(), text(&field), Gets::Error),
        (
            "HEAD with a body",
            head.clone(),
            text(&format!("{ok}content-length: 5\r\n\r\nhello")),
            Gets::Response(200, ""),
        ),
        (
            "HEAD with chunks",
            head,
            text(&format!("{ok}transfer-encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n")),
            Gets::Response(200, ""),
        ),
        (
            "204 with a body",
            get.clone(),
            text("HTTP/1.1 204 No Content\r\n\r\nHTTP/1.1 200 OK\r\ncontent-length: 6\r\n\r\nforged"),
            Gets::Response(204, ""),
        ),
        (
            "304 with a body",
            get.clone(),
            text("HTTP/1.1 304 Not Modified\r\ncontent-length: 5\r\n\r\nhello"),
            Gets::Response(304, ""),
        ),
        (
            "a second response",
            get.clone(),
            text(&format!("{ok}content-length: 5\r\n\r\nhello{ok}content-length: 6\r\n\r\nforged")),
            Gets::Response(200, "hello"),
        ),
        (
            "a second response after chunks",
            get.clone(),
            text(&format!(
                "{ok}transfer-encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n{ok}content-length: 6\r\n\r\nforged"
            )),
            Gets::Response(200, "hello"),
        ),
        (
            "a malformed chunk",
            get.clone(),
            text(&format!("{ok}transfer-encoding: chunked\r\n\r\n5\r\nhello\r\n-1\r\n\r\n")),
            Gets::CutBody(200),
        ),
        (
            "bare LF in chunks",
            get,
            text(&format!("{ok}transfer-encoding: chunked\r\n\r\n5\nhello\n0\n\n")),
            Gets::CutBody(200),
        ),
    ]
}

/// The client, by itself: whatever came first, the second request has an answer of its own.
#[tokio::test(start_paused = true)]
async fn a_hostile_origin_never_puts_a_client_out_of_step() {
    in_time(async {
        for (name, method, bytes, gets) in cases() {
            let net = Net::default();
            tokio::spawn(origin(net.listen("origin.test:80"), bytes));
            let client = net.client();
            let mut request = get("http://origin.test/");
            *request.method_mut() = method;
            let response = client.serve(request).await;
            match (gets, response) {
                (Gets::Error, Err(error)) => assert!(!error.is_not_sent(), "{name}"),
                (Gets::Response(status, body), Ok(response)) => {
                    assert_eq!(read(response).await, (status, body.into()), "{name}");
                }
                (Gets::CutBody(status), Ok(response)) => {
                    assert_eq!(response.status(), status, "{name}");
                    assert!(response.into_body().collect(100).await.is_err(), "{name}");
                }
                (expected, response) => panic!("{name}: {response:?} instead of {expected:?}"),
            }
            let second = client.serve(get("http://origin.test/")).await.unwrap();
            assert_eq!(read(second).await, (200, "honest".into()), "{name}");
        }
    })
    .await;
}

/// The same through the proxy, whose own client learns of none of it: 502 for what has no reading, a cut for what is broken in
/// its middle, and the next request is answered on the same connection where the first one's framing was whole.
#[tokio::test(start_paused = true)]
async fn a_hostile_origin_never_puts_the_proxys_client_out_of_step() {
    in_time(async {
        for (name, method, bytes, gets) in cases() {
            let net = Net::default();
            tokio::spawn(origin(net.listen("origin.test:80"), bytes));
            net.serve_at("proxy.test:3128", net.proxy("edge"));
            let mut client = net.dial("proxy.test:3128").await;
            let request = format!("{method} http://origin.test/ HTTP/1.1\r\nhost: a\r\n\r\n");
            let second = "GET http://origin.test/ HTTP/1.1\r\nhost: a\r\n\r\n";
            let answer = exchange(&mut client, format!("{request}{second}")).await;
            let finals: Vec<u16> = statuses(&answer).into_iter().filter(|status| *status != 103).collect();
            assert!(!answer.contains("forged") && !answer.contains("x\0"), "{name}: {answer}");
            match gets {
                Gets::Error => assert_eq!(finals, [502, 200], "{name}: {answer}"),
                Gets::Response(status, body) => {
                    assert_eq!(finals, [status, 200], "{name}: {answer}");
                    assert!(answer.contains(body), "{name}");
                    assert_eq!(answer.matches("hello").count(), usize::from(!body.is_empty()), "{name}: {answer}");
                }
                Gets::CutBody(status) => {
                    assert_eq!(finals, [status], "{name}: {answer}");
                    assert!(!answer.ends_with("0\r\n\r\n"), "{name}: {answer}");
                }
            }
            if !matches!(gets, Gets::CutBody(_)) {
                assert!(answer.ends_with("honest"), "{name}: {answer}");
            }
        }
    })
    .await;
}

/// A proxy's second client is not given what the first one's response left behind, either.
#[tokio::test(start_paused = true)]
async fn what_an_origin_sends_unasked_reaches_no_other_client() {
    let net = Net::default();
    let mut listener = net.listen("origin.test:80");
    net.serve_at("proxy.test:3128", net.proxy("edge"));
    in_time(async {
        let request = "GET http://origin.test/ HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n";
        let mut first = net.dial("proxy.test:3128").await;
        let (answer, mut io) = tokio::join!(exchange(&mut first, request), async {
            let mut io = listener.accept().await.conn.io;
            read_head(&mut io).await;
            io.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\nhello").await.unwrap();
            io
        });
        assert!(answer.ends_with("hello"), "{answer}");
        tokio::time::sleep(Duration::from_secs(1)).await;
        io.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 6\r\n\r\nforged").await.unwrap();
        let mut second = net.dial("proxy.test:3128").await;
        let (answer, ()) = tokio::join!(exchange(&mut second, request), async {
            let mut io = listener.accept().await.conn.io;
            read_head(&mut io).await;
            io.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 6\r\n\r\nhonest").await.unwrap();
        });
        assert!(answer.ends_with("honest"), "{answer}");
    })
    .await;
}
