//! What the log and the counters say after traffic through the ready-made proxy, over sockets: those are wired into it.

use std::{
    io::{self, Write},
    net::SocketAddr,
    sync::{Arc, Mutex},
    time::Duration,
};

use chaski_core::{
    BoxError, Shutdown,
    http::{Body, Request, Response},
    service_fn,
};
use chaski_http_core::Http1Server;
use chaski_net::TcpListener;
use chaski_proxy::Rules;
use chaski_stacks::{ForwardProxyConfig, forward_proxy};
use chaski_telemetry::{AccessLogSink, Metrics};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};

use crate::bodies::fed;

/// A log in memory.
#[derive(Clone, Default)]
pub(crate) struct Memory(Arc<Mutex<Vec<u8>>>);

impl Memory {
    pub(crate) fn text(&self) -> String {
        String::from_utf8(self.0.lock().unwrap().clone()).unwrap()
    }
}

impl Write for Memory {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// A proxy on loopback that may reach two ports of it.
struct Bench {
    proxy: SocketAddr,
    shutdown: Arc<Shutdown>,
    metrics: Metrics,
    log: Memory,
    guard: chaski_telemetry::AccessLogGuard,
    serving: tokio::task::JoinHandle<()>,
}

impl Bench {
    async fn new(targets: &[SocketAddr]) -> Self {
        let (log, metrics, shutdown) = (Memory::default(), Metrics::new(), Arc::new(Shutdown::new()));
        let (sink, guard) = AccessLogSink::to(log.clone()).unwrap();
        let rules = Rules::public_only();
        let rules =
            targets.iter().fold(rules, |rules, target| rules.with_rule(format!("allow {target}").parse().unwrap()));
        let config =
            ForwardProxyConfig::default().with_rules(rules).with_metrics(metrics.clone()).with_access_log(sink);
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let proxy = listener.local_addr().unwrap();
        let signal = Arc::clone(&shutdown);
        let serving = tokio::spawn(async move { listener.serve(forward_proxy(config), &signal).await });
        Self { proxy, shutdown, metrics, log, guard, serving }
    }

    async fn dial(&self) -> TcpStream {
        TcpStream::connect(self.proxy).await.unwrap()
    }

    /// Cuts what is left, and gives the lines without what differs from run to run, sorted.
    async fn lines(self) -> Vec<String> {
        self.shutdown.drain(Duration::ZERO).await;
        self.serving.await.unwrap();
        assert!(self.guard.finish());
        let log = self.log.text();
        let fixed = ["method=", "target=", "status=", "received=", "sent=", "outcome="];
        let mut lines: Vec<String> = log
            .lines()
            .map(|line| {
                let words: Vec<&str> =
                    line.split(' ').filter(|word| fixed.iter().any(|field| word.starts_with(field))).collect();
                words.join(" ")
            })
            .collect();
        lines.sort();
        lines
    }
}

async fn head(io: &mut TcpStream) -> String {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        head.push(io.read_u8().await.unwrap());
    }
    String::from_utf8(head).unwrap()
}

async fn ask(io: &mut TcpStream, request: impl AsRef<[u8]>) -> String {
    io.write_all(request.as_ref()).await.unwrap();
    let mut text = String::new();
    io.read_to_string(&mut text).await.unwrap();
    text
}

/// Requests: what was forwarded, refused and given up, with the bytes of their bodies.
#[tokio::test]
async fn requests_are_logged_and_counted_with_their_outcome() {
    let serve = service_fn(async |request: Request| {
        Ok::<_, BoxError>(match request.uri().path() {
            "/endless" => {
                let (feeder, body) = fed();
                tokio::spawn(async move {
                    feeder.send("1234567").await;
                    feeder.dropped().await;
                });
                Response::new(body)
            }
            "/cut" => {
                let (feeder, body) = fed();
                tokio::spawn(async move { feeder.send("123").await });
                // It ends before the length that it was said to have.
                let mut response = Response::new(body);
                response.headers_mut().insert("content-length", "10".parse()?);
                response
            }
            _ => Response::new(Body::full(request.into_body().collect(100).await?)),
        })
    });
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let origin = listener.local_addr().unwrap();
    tokio::spawn(async move { listener.serve(Http1Server::new(serve), &Shutdown::new()).await });
    // Bound and not listening: it refuses, and nobody else gets the port.
    let refusing = tokio::net::TcpSocket::new_v4().unwrap();
    refusing.bind("127.0.0.1:0".parse().unwrap()).unwrap();
    let refused = refusing.local_addr().unwrap();
    let bench = Bench::new(&[origin, refused]).await;

    let chunked = "transfer-encoding: chunked\r\nconnection: close\r\n\r\n4\r\nbody\r\n0\r\n\r\n";
    let answer =
        ask(&mut bench.dial().await, format!("POST http://{origin}/echo HTTP/1.1\r\nhost: a\r\n{chunked}")).await;
    assert!(answer.ends_with("\r\n\r\nbody"), "{answer}");
    let get = |target: &str| format!("GET http://{target} HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n");
    let answer = ask(&mut bench.dial().await, get(&format!("{refused}/refused"))).await;
    assert!(answer.starts_with("HTTP/1.1 502 "), "{answer}");
    let text_502 = answer.split("\r\n\r\n").nth(1).unwrap().len();
    let answer = ask(&mut bench.dial().await, get("127.0.0.2:1/forbidden")).await;
    assert!(answer.starts_with("HTTP/1.1 403 "), "{answer}");
    let text_403 = answer.split("\r\n\r\n").nth(1).unwrap().len();
    let answer = ask(&mut bench.dial().await, get(&format!("{origin}/cut"))).await;
    assert!(answer.ends_with("123"), "{answer}");

    let mut client = bench.dial().await;
    client.write_all(get(&format!("{origin}/endless")).as_bytes()).await.unwrap();
    head(&mut client).await;
    let mut chunk = [0; 12];
    client.read_exact(&mut chunk).await.unwrap();
    assert_eq!(&chunk, b"7\r\n1234567\r\n");
    drop(client);

    let metrics = bench.metrics.clone();
    let lines = bench.lines().await;
    let line = |method, target: String, status, received, sent, outcome| {
        format!("method={method} target=\"{target}\" status={status} received={received} sent={sent} outcome={outcome}")
    };
    let mut expected = vec![
        line("POST", format!("http://{origin}/echo"), 200, 4, 4, "ok"),
        line("GET", format!("http://{refused}/refused"), 502, 0, text_502, "ok"),
        line("GET", "http://127.0.0.2:1/forbidden".to_owned(), 403, 0, text_403, "ok"),
        line("GET", format!("http://{origin}/cut"), 200, 0, 3, "error"),
        line("GET", format!("http://{origin}/endless"), 200, 0, 7, "cancelled"),
    ];
    expected.sort();
    assert_eq!(lines, expected);

    let snapshot = metrics.snapshot();
    let requests = snapshot.requests;
    assert_eq!((requests.started, requests.active), (5, 0));
    assert_eq!((requests.ok, requests.error, requests.cancelled), (3, 1, 1));
    assert_eq!((requests.success, requests.client_error, requests.server_error), (3, 1, 1));
    assert_eq!((requests.bytes_received, requests.bytes_sent), (4, (4 + text_502 + text_403 + 3 + 7) as u64));
    assert_eq!((snapshot.connections.opened, snapshot.connections.active), (5, 0));
}

/// Tunnels: one that ends by itself, one that the server's end cuts, one that got no further than its dial.
#[tokio::test]
async fn tunnels_are_logged_and_counted_with_their_bytes_also_when_they_are_cut() {
    let target = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let origin = target.local_addr().unwrap();
    let bench = Bench::new(&[origin]).await;
    let connect = format!("CONNECT {origin} HTTP/1.1\r\nhost: {origin}\r\n\r\n");

    // To the end.
    let mut client = bench.dial().await;
    // The first bytes of the tunnel come in the segment of its request, and count as the others do.
    client.write_all(format!("{connect}que").as_bytes()).await.unwrap();
    assert!(head(&mut client).await.starts_with("HTTP/1.1 200 "));
    let (mut server, _) = target.accept().await.unwrap();
    client.write_all(b"stion").await.unwrap();
    client.shutdown().await.unwrap();
    let mut text = String::new();
    server.read_to_string(&mut text).await.unwrap();
    assert_eq!(text, "question");
    server.write_all(b"a late answer").await.unwrap();
    drop(server);
    let mut text = String::new();
    client.read_to_string(&mut text).await.unwrap();
    assert_eq!(text, "a late answer");

    // Refused: it is no tunnel.
    let answer =
        ask(&mut bench.dial().await, "CONNECT 127.0.0.2:1 HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n").await;
    assert!(answer.starts_with("HTTP/1.1 403 "), "{answer}");
    let text_403 = answer.split("\r\n\r\n").nth(1).unwrap().len();

    // Cut, after some bytes each way.
    let mut client = bench.dial().await;
    client.write_all(connect.as_bytes()).await.unwrap();
    head(&mut client).await;
    let (mut server, _) = target.accept().await.unwrap();
    client.write_all(b"abc").await.unwrap();
    server.read_exact(&mut [0; 3]).await.unwrap();
    server.write_all(b"hello").await.unwrap();
    client.read_exact(&mut [0; 5]).await.unwrap();

    let metrics = bench.metrics.clone();
    let tunnels = metrics.snapshot().tunnels;
    assert_eq!((tunnels.opened, tunnels.active, tunnels.cut), (2, 1, 0));
    let lines = bench.lines().await;
    let mut expected = vec![
        format!("method=CONNECT target=\"{origin}\" status=200 received=8 sent=13 outcome=ok"),
        format!("method=CONNECT target=\"{origin}\" status=200 received=3 sent=5 outcome=cut"),
        format!("method=CONNECT target=\"127.0.0.2:1\" status=403 received=0 sent={text_403} outcome=ok"),
    ];
    expected.sort();
    assert_eq!(lines, expected);

    let snapshot = metrics.snapshot();
    let tunnels = snapshot.tunnels;
    assert_eq!((tunnels.opened, tunnels.active, tunnels.cut), (2, 0, 1));
    assert_eq!((tunnels.bytes_up, tunnels.bytes_down), (8 + 3, 13 + 5));
    assert_eq!((snapshot.connections.opened, snapshot.connections.active, snapshot.connections.cut), (3, 0, 1));
    // Both ends of the tunnel that was cut are closed.
    assert_eq!(client.read(&mut [0; 1]).await.unwrap_or(0), 0);
    assert_eq!(server.read(&mut [0; 1]).await.unwrap_or(0), 0);
}
