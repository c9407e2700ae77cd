//! Requests that two readers could take for different ones: refused, or seen by the origin as the proxy saw them.

use std::sync::{Arc, Mutex};

use chaski_core::test_util::Pipe;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use crate::net::{Listener, Net, exchange, in_time, statuses};

/// Everything that connections to an origin have brought, each on its own.
type Recorded = Arc<Mutex<Vec<Vec<u8>>>>;

/// An origin that writes down what it gets, and answers every message that it can read by the plainest of rules.
fn record(mut listener: Listener) -> Recorded {
    let recorded = Recorded::default();
    let all = Arc::clone(&recorded);
    tokio::spawn(async move {
        loop {
            let io = listener.accept().await.conn.io;
            let number = {
                let mut all = all.lock().unwrap();
                all.push(Vec::new());
                all.len() - 1
            };
            tokio::spawn(serve(io, Arc::clone(&all), number));
        }
    });
    recorded
}

async fn serve(mut io: Pipe, all: Recorded, number: usize) {
    let (mut read, mut buffer) = (0, [0; 4096]);
    while let Ok(n @ 1..) = io.read(&mut buffer).await {
        let whole = {
            let mut all = all.lock().unwrap();
            all[number].extend_from_slice(&buffer[..n]);
            let text = String::from_utf8_lossy(&all[number]).into_owned();
            let mut whole = 0;
            while let Some(length) = message(&text[read..]) {
                read += length;
                whole += 1;
            }
            whole
        };
        for _ in 0..whole {
            if io.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok").await.is_err() {
                return;
            }
        }
    }
}

/// The length of the first message, once it is there.
fn message(text: &str) -> Option<usize> {
    let head = text.find("\r\n\r\n")? + 4;
    let fields = text[..head].to_lowercase();
    let body = match fields.split("\r\n").find_map(|line| line.strip_prefix("content-length: ")) {
        _ if fields.contains("transfer-encoding: chunked") => text[head..].find("0\r\n\r\n")? + 5,
        Some(length) => length.parse().ok()?,
        None => 0,
    };
    (text.len() >= head + body).then_some(head + body)
}

/// The request that must never be seen, unless it stands in a body.
const SMUGGLED: &str = "GET http://origin.test/smuggled HTTP/1.1\r\nhost: a\r\n\r\n";

/// What does not have one reading is refused, and not one byte of it goes on.
#[tokio::test(start_paused = true)]
async fn what_can_be_read_in_two_ways_reaches_no_origin() {
    let start = "POST http://origin.test/ HTTP/1.1\r\nhost: a\r\n";
    let chunked = "transfer-encoding: chunked\r\n\r\n";
    let cases: Vec<(&str, String)> = vec![
        ("H1-01 CL, TE", format!("{start}content-length: 5\r\n{chunked}0\r\n\r\n")),
        ("H1-01 TE, CL", format!("{start}transfer-encoding: chunked\r\ncontent-length: 5\r\n\r\n0\r\n\r\n")),
        ("two lengths", format!("{start}content-length: 0\r\ncontent-length: 60\r\n\r\n")),
        ("a list of lengths", format!("{start}content-length: 0, 60\r\n\r\n")),
        ("a sign", format!("{start}content-length: +0\r\n\r\n")),
        ("hex", format!("{start}content-length: 0x0\r\n\r\n")),
        ("no length", format!("{start}content-length:\r\n\r\n")),
        ("too long a length", format!("{start}content-length: 99999999999999999999\r\n\r\n")),
        ("xchunked", format!("{start}transfer-encoding: xchunked\r\n\r\n0\r\n\r\n")),
        ("chunked twice", format!("{start}transfer-encoding: chunked, chunked\r\n\r\n0\r\n\r\n")),
        ("chunked in two lines", format!("{start}transfer-encoding: chunked\r\n{chunked}0\r\n\r\n")),
        ("chunked not last", format!("{start}transfer-encoding: chunked, gzip\r\n\r\n0\r\n\r\n")),
        ("identity", format!("{start}transfer-encoding: identity\r\n\r\n")),
        ("a vertical tab", format!("{start}transfer-encoding: \u{b}chunked\r\n\r\n0\r\n\r\n")),
        ("a space before the colon", format!("{start}transfer-encoding : chunked\r\n\r\n0\r\n\r\n")),
        ("a space before the name", format!("{start} transfer-encoding: chunked\r\n\r\n0\r\n\r\n")),
        ("obs-fold", format!("{start}x: a\r\n content-length: 60\r\n\r\n")),
        ("obs-fold with a tab", format!("{start}transfer-encoding:\r\n\tchunked\r\n\r\n0\r\n\r\n")),
        ("bare LF after a line", format!("{start}x: a\ncontent-length: 60\r\n\r\n")),
        ("bare LF for all", "GET http://origin.test/ HTTP/1.1\nhost: a\n\n".to_owned()),
        ("bare CR", format!("{start}x: a\rcontent-length: 60\r\n\r\n")),
        ("NUL in a value", format!("{start}x: a\0b\r\n\r\n")),
        ("TE in HTTP/1.0", format!("POST http://origin.test/ HTTP/1.0\r\nhost: a\r\n{chunked}0\r\n\r\n")),
        ("no Host", "GET http://origin.test/ HTTP/1.1\r\n\r\n".to_owned()),
        ("two Hosts", format!("{start}host: b\r\n\r\n")),
        ("Connection names a length", format!("{start}connection: content-length\r\ncontent-length: 1\r\n\r\na")),
        ("a request line of four words", "GET http://origin.test/ x HTTP/1.1\r\nhost: a\r\n\r\n".to_owned()),
        ("HTTP/1.2", "GET http://origin.test/ HTTP/1.2\r\nhost: a\r\n\r\n".to_owned()),
    ];
    in_time(async {
        for (name, request) in cases {
            let net = Net::default();
            let recorded = record(net.listen("origin.test:80"));
            net.serve_at("proxy.test:3128", net.proxy("edge"));
            let mut client = net.dial("proxy.test:3128").await;
            let answer = exchange(&mut client, format!("{request}{SMUGGLED}")).await;
            let statuses = statuses(&answer);
            match name {
                // Its content was read past, so the request behind it is one.
                "Connection names a length" => assert_eq!(statuses, [400, 200], "{name}: {answer}"),
                "HTTP/1.2" => assert_eq!(statuses, [505], "{name}: {answer}"),
                _ => assert_eq!(statuses, [400], "{name}: {answer}"),
            }
            let recorded = recorded.lock().unwrap();
            let seen = recorded.iter().flatten().copied().collect::<Vec<u8>>();
            let seen = String::from_utf8_lossy(&seen);
            match name {
                "Connection names a length" => assert!(!seen.contains("POST"), "{name}: {seen}"),
                _ => assert_eq!(seen, "", "{name}"),
            }
        }
    })
    .await;
}

/// Chunks that are malformed end the request where they are; what follows is not read as another one, and the origin can see
/// that its request is not whole.
#[tokio::test(start_paused = true)]
async fn malformed_chunks_end_a_request_that_stays_incomplete() {
    let start = "POST http://origin.test/ HTTP/1.1\r\nhost: a\r\ntransfer-encoding: chunked\r\n\r\n";
    let cases = [
        ("a sign", "+0\r\n\r\n"),
        ("hex prefix", "0x0\r\n\r\n"),
        ("a space before", " 0\r\n\r\n"),
        ("nothing", "\r\n\r\n"),
        ("overflow", "10000000000000000\r\n\r\n"),
        ("bare LF after a size", "0\n\r\n"),
        ("bare LF in an extension", "0;a\nb\r\n\r\n"),
        ("no CRLF after data", "1\r\nab0\r\n\r\n"),
        ("bare LF after data", "1\r\na\n0\r\n\r\n"),
        ("a fold in the trailers", "0\r\nx: a\r\n b\r\n\r\n"),
        ("bare LF in the trailers", "0\r\nx: a\n\r\n"),
    ];
    in_time(async {
        for (name, body) in cases {
            let net = Net::default();
            let recorded = record(net.listen("origin.test:80"));
            net.serve_at("proxy.test:3128", net.proxy("edge"));
            let mut client = net.dial("proxy.test:3128").await;
            let answer = exchange(&mut client, format!("{start}5\r\nhello\r\n{body}{SMUGGLED}")).await;
            let statuses = statuses(&answer);
            assert!(statuses.len() <= 1 && statuses != [200], "{name}: {answer}");
            let recorded = recorded.lock().unwrap();
            for seen in recorded.iter() {
                let seen = String::from_utf8_lossy(seen);
                assert!(!seen.contains("smuggled"), "{name}: {seen}");
                assert_eq!(message(&seen), None, "{name}: a whole message: {seen}");
            }
        }
    })
    .await;
}

/// What is unusual and has one reading goes on, rebuilt: the origin sees the same messages, in the plainest form.
#[tokio::test(start_paused = true)]
async fn what_has_one_reading_reaches_the_origin_as_that() {
    let get = |path: &str| format!("GET /{path} HTTP/1.1\r\nhost: origin.test\r\nvia: 1.1 edge\r\n\r\n");
    let post = |framing: &str, body: &str| {
        format!("POST / HTTP/1.1\r\nhost: origin.test\r\nvia: 1.1 edge\r\n{framing}\r\n\r\n{body}")
    };
    let ask = "POST http://origin.test/ HTTP/1.1\r\nhost: a\r\n";
    let chunked = |chunks: &str| post("transfer-encoding: chunked", chunks);
    let cases: Vec<(&str, String, String)> = vec![
        (
            "a request in a body",
            format!("{ask}content-length: 53\r\n\r\n{SMUGGLED}"),
            post("content-length: 53", SMUGGLED),
        ),
        (
            "chunk extensions",
            format!("{ask}transfer-encoding: chunked\r\n\r\n2;a=b\r\nhi\r\n0;c\r\n\r\n"),
            chunked("2\r\nhi\r\n0\r\n\r\n"),
        ),
        (
            "zeros before a size, in any case",
            format!("{ask}Transfer-Encoding: Chunked\r\n\r\n000A\r\n0123456789\r\n00\r\n\r\n"),
            chunked("a\r\n0123456789\r\n0\r\n\r\n"),
        ),
        (
            "a trailer that would frame",
            format!("{ask}transfer-encoding: chunked\r\n\r\n1\r\na\r\n0\r\ncontent-length: 60\r\n\r\n"),
            chunked("1\r\na\r\n0\r\n\r\n"),
        ),
        (
            "a GET with content",
            "GET http://origin.test/a HTTP/1.1\r\nhost: a\r\ncontent-length: 2\r\n\r\nhi".to_owned(),
            "GET /a HTTP/1.1\r\nhost: origin.test\r\nvia: 1.1 edge\r\ncontent-length: 2\r\n\r\nhi".to_owned(),
        ),
        ("another Host", "GET http://origin.test/a HTTP/1.1\r\nhost: b.test:1\r\n\r\n".to_owned(), get("a")),
        ("an empty line before", "\r\nGET http://origin.test/a HTTP/1.1\r\nhost: a\r\n\r\n".to_owned(), get("a")),
        (
            "hidden by Connection",
            "GET http://origin.test/a HTTP/1.1\r\nhost: a\r\nconnection: x, close-not\r\nx: 1\r\n\r\n".to_owned(),
            get("a"),
        ),
    ];
    in_time(async {
        for (name, request, expected) in cases {
            let net = Net::default();
            let recorded = record(net.listen("origin.test:80"));
            net.serve_at("proxy.test:3128", net.proxy("edge"));
            let mut client = net.dial("proxy.test:3128").await;
            let last = "GET http://origin.test/last HTTP/1.1\r\nhost: a\r\n\r\n";
            let answer = exchange(&mut client, format!("{request}{last}")).await;
            assert_eq!(statuses(&answer), [200, 200], "{name}: {answer}");
            let recorded = recorded.lock().unwrap();
            assert_eq!(recorded.len(), 1, "{name}");
            assert_eq!(String::from_utf8_lossy(&recorded[0]), expected + &get("last"), "{name}");
        }
    })
    .await;
}
