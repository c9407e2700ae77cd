//! `Expect: 100-continue` through a proxy is a matter of the client and the origin. Client and origin are raw.

use std::{sync::Arc, time::Duration};

use chaski_core::{Shutdown, test_util::Pipe};
use chaski_net::TcpListener;
use chaski_proxy::Rules;
use chaski_stacks::{ForwardProxyConfig, forward_proxy};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    time::{Instant, sleep},
};

use crate::net::{Net, in_time, read_answer, read_head};

const HEAD: &str =
    "POST http://origin.test/ HTTP/1.1\r\nhost: origin.test\r\nexpect: 100-continue\r\ncontent-length: 4\r\n\r\n";
const FORWARDED: &str = "POST / HTTP/1.1\r\nhost: origin.test\r\nexpect: 100-continue\r\nvia: 1.1 edge\r\n\
                         content-length: 4\r\n\r\n";
const CONTINUE: &str = "HTTP/1.1 100 Continue\r\n\r\n";
const OK: &str = "HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok";

/// Longer than a network takes, shorter than a client waits for 100.
const A_WHILE: Duration = Duration::from_millis(400);

/// A raw client at a forward proxy, and a raw origin.
async fn between<C, O>(client: impl FnOnce(Pipe) -> C, origin: impl FnOnce(Pipe) -> O) -> (C::Output, O::Output)
where
    C: Future,
    O: Future,
{
    let net = Net::default();
    let mut listener = net.listen("origin.test:80");
    net.serve_at("proxy.test:3128", net.proxy("edge"));
    in_time(async {
        let client = client(net.dial("proxy.test:3128").await);
        let origin = async { origin(listener.accept().await.conn.io).await };
        tokio::join!(client, origin)
    })
    .await
}

async fn read_body(io: &mut Pipe) -> String {
    let mut body = [0; 4];
    io.read_exact(&mut body).await.unwrap();
    String::from_utf8(body.to_vec()).unwrap()
}

/// H1-24: the expectation reaches the origin without the body, and the client is asked for that when the origin asks, not
/// before.
#[tokio::test(start_paused = true)]
async fn h1_24_the_origins_100_reaches_the_client() {
    let client = async |mut io: Pipe| {
        let start = Instant::now();
        io.write_all(HEAD.as_bytes()).await.unwrap();
        assert_eq!(read_head(&mut io).await, CONTINUE);
        assert_eq!(start.elapsed(), A_WHILE);
        io.write_all(b"body").await.unwrap();
        read_answer(&mut io).await
    };
    let origin = async |mut io: Pipe| {
        let head = read_head(&mut io).await;
        sleep(A_WHILE).await;
        io.write_all(CONTINUE.as_bytes()).await.unwrap();
        let body = read_body(&mut io).await;
        io.write_all(OK.as_bytes()).await.unwrap();
        (head, body)
    };
    let (answer, (head, body)) = between(client, origin).await;
    assert_eq!(head, FORWARDED);
    assert_eq!(body, "body");
    assert!(answer.starts_with("HTTP/1.1 200 OK\r\n") && answer.ends_with("\r\n\r\nok"), "{answer}");
}

/// H1-24: the wait for an origin that says nothing is bounded. Then the client is asked, and its body follows.
#[tokio::test(start_paused = true)]
async fn h1_24_a_silent_origin_gets_the_body_after_a_second() {
    let client = async |mut io: Pipe| {
        let start = Instant::now();
        io.write_all(HEAD.as_bytes()).await.unwrap();
        assert_eq!(read_head(&mut io).await, CONTINUE);
        assert_eq!(start.elapsed(), Duration::from_secs(1));
        io.write_all(b"body").await.unwrap();
        read_answer(&mut io).await
    };
    let origin = async |mut io: Pipe| {
        let head = read_head(&mut io).await;
        let body = read_body(&mut io).await;
        io.write_all(OK.as_bytes()).await.unwrap();
        (head, body)
    };
    let (answer, (head, body)) = between(client, origin).await;
    assert_eq!((head.as_str(), body.as_str()), (FORWARDED, "body"));
    assert!(answer.ends_with("\r\n\r\nok"), "{answer}");
}

/// H1-24: a final answer instead of 100 reaches the client at once, which is not asked for a body that nobody will read.
#[tokio::test(start_paused = true)]
async fn h1_24_a_refusal_reaches_a_client_that_was_not_asked() {
    let client = async |mut io: Pipe| {
        let start = Instant::now();
        io.write_all(HEAD.as_bytes()).await.unwrap();
        let answer = read_answer(&mut io).await;
        assert_eq!(start.elapsed(), A_WHILE);
        let mut rest = String::new();
        io.read_to_string(&mut rest).await.unwrap();
        assert_eq!(rest, "", "closed: what would come next cannot be told");
        answer
    };
    let origin = async |mut io: Pipe| {
        read_head(&mut io).await;
        sleep(A_WHILE).await;
        io.write_all(b"HTTP/1.1 401 Unauthorized\r\ncontent-length: 3\r\n\r\nwho").await.unwrap();
        let mut rest = String::new();
        io.read_to_string(&mut rest).await.unwrap();
        rest
    };
    let (answer, rest) = between(client, origin).await;
    assert!(answer.starts_with("HTTP/1.1 401 Unauthorized\r\n") && answer.ends_with("\r\n\r\nwho"), "{answer}");
    assert_eq!(rest, "");
}

/// H1-24: a client that sends its body without waiting is not asked for it, and the origin gets it when it asks.
#[tokio::test(start_paused = true)]
async fn h1_24_a_client_that_does_not_wait_is_not_asked() {
    let client = async |mut io: Pipe| {
        io.write_all(HEAD.as_bytes()).await.unwrap();
        io.write_all(b"body").await.unwrap();
        read_answer(&mut io).await
    };
    let origin = async |mut io: Pipe| {
        read_head(&mut io).await;
        let ahead = tokio::time::timeout(A_WHILE, io.read_u8()).await;
        assert!(ahead.is_err(), "the body before 100: {ahead:?}");
        io.write_all(CONTINUE.as_bytes()).await.unwrap();
        let body = read_body(&mut io).await;
        io.write_all(OK.as_bytes()).await.unwrap();
        body
    };
    let (answer, body) = between(client, origin).await;
    assert_eq!(body, "body");
    assert!(answer.starts_with("HTTP/1.1 200 OK\r\n"), "{answer}");
    assert!(!answer.contains("connection: close"), "the connection is in step: {answer}");
}

/// H1-24: RFC 9110 section 15.2: an HTTP/1.0 client is sent no 100, whatever the origin says.
#[tokio::test(start_paused = true)]
async fn h1_24_an_http_1_0_client_is_sent_no_100() {
    let client = async |mut io: Pipe| {
        io.write_all(HEAD.replace("HTTP/1.1", "HTTP/1.0").as_bytes()).await.unwrap();
        sleep(A_WHILE).await;
        io.write_all(b"body").await.unwrap();
        read_answer(&mut io).await
    };
    let origin = async |mut io: Pipe| {
        read_head(&mut io).await;
        io.write_all(CONTINUE.as_bytes()).await.unwrap();
        let body = read_body(&mut io).await;
        io.write_all(OK.as_bytes()).await.unwrap();
        body
    };
    let (answer, body) = between(client, origin).await;
    assert_eq!(body, "body");
    assert!(answer.starts_with("HTTP/1.1 200 OK\r\n"), "{answer}");
}

/// H1-24: 417 is the client's to act on: the ready-made proxy hands it on and asks the origin once. Over sockets, as that
/// proxy is made for them.
#[tokio::test]
async fn h1_24_417_reaches_the_client() {
    let origin = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let target = origin.local_addr().unwrap();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let proxy = listener.local_addr().unwrap();
    let rules = Rules::public_only().with_rule(format!("allow {target}").parse().unwrap());
    let stack = forward_proxy(ForwardProxyConfig::default().with_rules(rules));
    let shutdown = Arc::new(Shutdown::new());
    let signal = Arc::clone(&shutdown);
    let serving = tokio::spawn(async move { listener.serve(stack, &signal).await });

    let answering = async {
        let (mut io, _) = origin.accept().await.unwrap();
        let mut all = String::new();
        while !all.ends_with("\r\n\r\n") {
            all.push(char::from(io.read_u8().await.unwrap()));
        }
        io.write_all(b"HTTP/1.1 417 Expectation Failed\r\ncontent-length: 0\r\n\r\n").await.unwrap();
        io.read_to_string(&mut all).await.unwrap();
        all
    };
    let asking = async {
        let mut io = TcpStream::connect(proxy).await.unwrap();
        io.write_all(HEAD.replace("origin.test", &target.to_string()).as_bytes()).await.unwrap();
        let mut answer = String::new();
        io.read_to_string(&mut answer).await.unwrap();
        answer
    };
    let (all, answer) = tokio::join!(answering, asking);
    assert!(answer.starts_with("HTTP/1.1 417 Expectation Failed\r\n"), "{answer}");
    assert!(all.contains("\r\nexpect: 100-continue\r\n") && all.ends_with("\r\n\r\n"), "{all}");
    assert_eq!(all.matches("POST ").count(), 1, "{all}");
    shutdown.drain(Duration::ZERO).await;
    serving.await.unwrap();
}
