//! What a client sends behind a request to upgrade, before it knows whether the other side has switched.

use std::sync::{
    Arc,
    atomic::{AtomicUsize, Ordering},
};

use chaski_core::{
    BoxError, BoxIo, Bridge, Conn, Service,
    http::{Request, Response, Upgrade, Upgraded},
    service_fn_with,
    test_util::{Pipe, PipeOptions},
};
use chaski_http_core::Http1Server;
use chaski_net::{Relay, RelayConfig};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    time::{Duration, timeout},
};

use crate::net::{Net, TestClient, exchange, in_time, read_head, statuses, tiny};

const UPGRADE: &str = "GET /chat HTTP/1.1\r\nhost: a\r\nconnection: upgrade\r\nupgrade: chat\r\n\r\n";

/// What a frame of the new protocol may look like.
const FRAME: &str = "\u{1}\u{5}hello";

struct Gateway {
    client: TestClient,
    asked: AtomicUsize,
}

/// Hands every request on to `origin.test`, and connects the two sides when that switches.
fn gateway(gateway: Arc<Gateway>) -> impl Service<Request, Output = Response, Error = BoxError> {
    service_fn_with(gateway, async |gateway: Arc<Gateway>, mut request: Request| {
        gateway.asked.fetch_add(1, Ordering::SeqCst);
        *request.uri_mut() = format!("http://origin.test{}", request.uri()).parse()?;
        let mut response = gateway.client.serve(request).await?;
        if let Some(upstream) = Upgraded::take(&mut response) {
            Upgrade::new(async move |client: Conn<BoxIo>| {
                let _ = Relay::new(RelayConfig::default()).serve(Bridge::new(client, upstream)).await;
            })
            .attach(&mut response);
        } else {
            response.headers_mut().remove("connection");
        }
        Ok::<_, BoxError>(response)
    })
}

/// A raw client at a gateway, and the origin behind it.
struct Scene {
    client: Pipe,
    origin: crate::net::Listener,
    gateway: Arc<Gateway>,
}

async fn scene(options: PipeOptions) -> Scene {
    let net = Net::default();
    let origin = net.listen_with("origin.test:80", options);
    let shared = Arc::new(Gateway { client: net.client(), asked: AtomicUsize::new(0) });
    net.listen_with("gateway.test:80", options).serve(Http1Server::new(gateway(Arc::clone(&shared))));
    Scene { client: net.dial("gateway.test:80").await, origin, gateway: shared }
}

/// The head that arrives at an origin that answers `answer` and closes, and all that follows.
async fn answer_and_close(mut io: Pipe, answer: &str) -> (String, String) {
    let head = read_head(&mut io).await;
    io.write_all(answer.as_bytes()).await.unwrap();
    let mut rest = String::new();
    io.read_to_string(&mut rest).await.unwrap();
    (head, rest)
}

const NO: &str = "HTTP/1.1 200 OK\r\nconnection: close, upgrade\r\nupgrade: chat\r\ncontent-length: 2\r\n\r\nno";

/// H1-15: the upstream answers 200. What follows is not the new protocol's: it is read as HTTP by the gateway, and no byte of
/// it gets past it raw.
#[tokio::test(start_paused = true)]
async fn h1_15_early_data_is_not_forwarded_when_the_upstream_does_not_switch() {
    for options in [tiny(3), PipeOptions::default()] {
        let Scene { mut client, mut origin, gateway } = scene(options).await;
        in_time(async {
            let asking = exchange(&mut client, format!("{UPGRADE}{FRAME}"));
            let answering = async { answer_and_close(origin.accept().await.conn.io, NO).await };
            let (answer, (head, rest)) = tokio::join!(asking, answering);
            assert!(head.starts_with("GET /chat HTTP/1.1\r\n") && head.contains("upgrade: chat\r\n"), "{head}");
            assert_eq!(rest, "");
            assert_eq!(statuses(&answer), [200, 400], "{answer}");
            assert_eq!(gateway.asked.load(Ordering::SeqCst), 1);
        })
        .await;
    }
}

/// H1-15: what looks like a request behind a refused upgrade is one, and passes the gateway like every other.
#[tokio::test(start_paused = true)]
async fn h1_15_a_request_behind_a_refused_upgrade_is_a_request() {
    let Scene { mut client, mut origin, gateway } = scene(PipeOptions::default()).await;
    in_time(async {
        let next = "GET /next HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n";
        let asking = exchange(&mut client, format!("{UPGRADE}{next}"));
        let answering = async {
            let first = answer_and_close(origin.accept().await.conn.io, NO).await;
            assert_eq!(first.1, "");
            answer_and_close(origin.accept().await.conn.io, NO).await
        };
        let (answer, (head, rest)) = tokio::join!(asking, answering);
        assert!(head.starts_with("GET /next HTTP/1.1\r\n"), "{head}");
        assert_eq!(rest, "");
        assert_eq!(statuses(&answer), [200, 200], "{answer}");
        assert_eq!(gateway.asked.load(Ordering::SeqCst), 2);
    })
    .await;
}

/// H1-15: early data waits for the 101, then goes through in order, however much it is.
#[tokio::test(start_paused = true)]
async fn h1_15_early_data_waits_for_the_switch() {
    // More than is read ahead while a service works.
    let early: String = (0..5_000).map(|i| format!("{i:07}\n")).collect();
    for options in [tiny(7), PipeOptions::default()] {
        let Scene { client, mut origin, .. } = scene(options).await;
        in_time(async {
            let asking = async {
                let (mut read, mut write) = tokio::io::split(client);
                let mut answer = String::new();
                let (received, ()) = tokio::join!(read.read_to_string(&mut answer), async {
                    write.write_all(UPGRADE.as_bytes()).await.unwrap();
                    write.write_all(early.as_bytes()).await.unwrap();
                    write.shutdown().await.unwrap();
                });
                received.unwrap();
                answer
            };
            let answering = async {
                let mut io = origin.accept().await.conn.io;
                read_head(&mut io).await;
                let ahead = timeout(Duration::from_secs(30), io.read_u8()).await;
                assert!(ahead.is_err(), "a raw byte before 101: {ahead:?}");
                let switch = "HTTP/1.1 101 Switching Protocols\r\nconnection: upgrade\r\nupgrade: chat\r\n\r\nwelcome";
                io.write_all(switch.as_bytes()).await.unwrap();
                let mut all = String::new();
                io.read_to_string(&mut all).await.unwrap();
                all
            };
            let (answer, all) = tokio::join!(asking, answering);
            assert!(answer.starts_with("HTTP/1.1 101 ") && answer.ends_with("\r\n\r\nwelcome"), "{answer}");
            assert!(all == early, "{} bytes of {} arrived", all.len(), early.len());
        })
        .await;
    }
}

/// H1-15: the forward proxy passes no upgrade on, so there is nothing that early data could be early for.
#[tokio::test(start_paused = true)]
async fn h1_15_a_forward_proxy_asks_for_no_upgrade() {
    let switch = "HTTP/1.1 101 Switching Protocols\r\nconnection: upgrade\r\nupgrade: chat\r\n\r\n";
    for (answer, expected) in [(NO, [200, 400]), (switch, [502, 400])] {
        let net = Net::default();
        let mut origin = net.listen("origin.test:80");
        net.serve_at("proxy.test:3128", net.proxy("edge"));
        in_time(async {
            let mut client = net.dial("proxy.test:3128").await;
            let request = UPGRADE.replace("/chat", "http://origin.test/chat");
            let asking = exchange(&mut client, format!("{request}{FRAME}"));
            let answering = async { answer_and_close(origin.accept().await.conn.io, answer).await };
            let (text, (head, rest)) = tokio::join!(asking, answering);
            assert_eq!(head, "GET /chat HTTP/1.1\r\nhost: origin.test\r\nvia: 1.1 edge\r\n\r\n");
            assert_eq!(rest, "");
            assert_eq!(statuses(&text), expected, "{text}");
            assert!(!text.to_ascii_lowercase().contains("upgrade"), "{text}");
        })
        .await;
    }
}
