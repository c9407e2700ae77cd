//! CONNECT: tunnels through the whole stack.

use std::{io::Write as _, time::Duration};

use chaski_core::test_util::PipeOptions;
use chaski_http_core::Http1Server;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    time::Instant,
};

use crate::{
    bodies::{Checker, pattern},
    net::{Net, exchange, in_time, read_head, statuses, tiny},
};

const CONNECT: &str = "CONNECT origin.test:443 HTTP/1.1\r\nhost: origin.test:443\r\n\r\n";

/// NET-06 through CONNECT: each direction ends by itself, and a late answer arrives whole.
#[tokio::test(start_paused = true)]
async fn net_06_a_tunnel_ends_one_direction_at_a_time() {
    for options in [tiny(2), PipeOptions::default()] {
        let net = Net::default();
        let mut origin = net.listen_with("origin.test:443", options);
        net.listen_with("proxy.test:3128", options).serve(Http1Server::new(net.proxy("edge")));
        in_time(async {
            let mut client = net.dial("proxy.test:3128").await;
            let asking = async {
                client.write_all(CONNECT.as_bytes()).await.unwrap();
                let head = read_head(&mut client).await;
                assert!(head.starts_with("HTTP/1.1 200 "), "{head}");
                // Such an answer has no body and says nothing of one (RFC 9110 section 9.3.6).
                assert!(!head.contains("content-length") && !head.contains("transfer-encoding"), "{head}");
                client.write_all(b"question").await.unwrap();
                client.shutdown().await.unwrap();
                let mut answer = String::new();
                client.read_to_string(&mut answer).await.unwrap();
                assert_eq!(answer, "a late answer");
            };
            let answering = async {
                let mut server = origin.accept().await.conn.io;
                let mut question = String::new();
                server.read_to_string(&mut question).await.unwrap();
                assert_eq!(question, "question");
                tokio::time::sleep(Duration::from_secs(20)).await;
                server.write_all(b"a late answer").await.unwrap();
                server.shutdown().await.unwrap();
            };
            tokio::join!(asking, answering);
        })
        .await;
    }
}

/// H1-14 for CONNECT: what follows the request in its segment is the tunnel's, and so is what the target says at once.
#[tokio::test(start_paused = true)]
async fn h1_14_bytes_behind_a_connect_belong_to_the_tunnel() {
    let net = Net::default();
    let mut origin = net.listen("origin.test:443");
    net.serve_at("proxy.test:3128", net.proxy("edge"));
    in_time(async {
        let mut client = net.dial("proxy.test:3128").await;
        client.write_all(format!("{CONNECT}GET /not-for-the-proxy HTTP/1.1\r\n\r\n").as_bytes()).await.unwrap();
        let mut server = origin.accept().await.conn.io;
        server.write_all(b"HTTP/1.1 200 banner").await.unwrap();
        assert_eq!(read_head(&mut server).await, "GET /not-for-the-proxy HTTP/1.1\r\n\r\n");
        let head = read_head(&mut client).await;
        assert_eq!(head.matches("HTTP/1.1").count(), 1, "{head}");
        let mut banner = [0; 19];
        client.read_exact(&mut banner).await.unwrap();
        assert_eq!(&banner, b"HTTP/1.1 200 banner");
    })
    .await;
}

/// H1-25: the answer waits for the dial; one that hangs is given up with the client.
#[tokio::test(start_paused = true)]
async fn h1_25_a_client_that_leaves_ends_the_dial_and_the_tunnel() {
    let net = Net::default();
    let mut origin = net.listen("origin.test:443");
    net.serve_at("proxy.test:3128", net.proxy("edge"));
    in_time(async {
        let mut client = net.dial("proxy.test:3128").await;
        client.write_all(b"CONNECT silent.test:1 HTTP/1.1\r\nhost: silent.test:1\r\n\r\n").await.unwrap();
        let said_nothing = tokio::time::timeout(Duration::from_secs(5), client.read_u8()).await;
        assert!(said_nothing.is_err(), "nothing is said before the dial has ended");
        drop(client);

        // Each end in turn goes without a word, in the middle of a tunnel.
        let mut client = net.dial("proxy.test:3128").await;
        client.write_all(CONNECT.as_bytes()).await.unwrap();
        read_head(&mut client).await;
        let mut server = origin.accept().await.conn.io;
        drop(client);
        let begun = Instant::now();
        assert_eq!(server.read(&mut [0; 8]).await.unwrap(), 0);
        assert_eq!(begun.elapsed(), Duration::ZERO);

        let mut client = net.dial("proxy.test:3128").await;
        client.write_all(CONNECT.as_bytes()).await.unwrap();
        read_head(&mut client).await;
        drop(origin.accept().await);
        assert_eq!(client.read(&mut [0; 8]).await.unwrap(), 0);
    })
    .await;
}

/// 4 MiB in each direction at once, through pipes of 1,000 bytes.
#[tokio::test(start_paused = true)]
async fn a_tunnel_carries_both_directions_at_once() {
    let net = Net::default();
    let mut origin = net.listen_with("origin.test:443", tiny(1_000));
    net.listen_with("proxy.test:3128", tiny(1_000)).serve(Http1Server::new(net.proxy("edge")));
    in_time(async {
        let mut client = net.dial("proxy.test:3128").await;
        client.write_all(CONNECT.as_bytes()).await.unwrap();
        read_head(&mut client).await;
        let server = origin.accept().await.conn.io;
        let all: Vec<u8> = (0..32).flat_map(|i| pattern(i * (128 << 10), 128 << 10)).collect();
        let carry = async |io| {
            let (mut read, mut write) = tokio::io::split(io);
            let mut got = Vec::new();
            let (received, sent) = tokio::join!(read.read_to_end(&mut got), async {
                write.write_all(&all).await?;
                write.shutdown().await
            });
            received.unwrap();
            sent.unwrap();
            let mut checker = Checker::default();
            checker.check(&got);
            checker.0
        };
        assert_eq!(tokio::join!(carry(client), carry(server)), (4 << 20, 4 << 20));
    })
    .await;
}

/// A CONNECT with content has two readings of what follows it: none of them is taken.
#[tokio::test(start_paused = true)]
async fn a_connect_with_content_is_refused_and_nothing_is_dialed() {
    let net = Net::default();
    let origin = net.listen("origin.test:443");
    net.serve_at("proxy.test:3128", net.proxy("edge"));
    in_time(async {
        for framing in ["content-length: 60", "transfer-encoding: chunked", "content-length: 0\r\ncontent-length: 60"] {
            let mut request = Vec::new();
            write!(request, "CONNECT origin.test:443 HTTP/1.1\r\nhost: origin.test:443\r\n{framing}\r\n\r\n").unwrap();
            write!(request, "GET http://origin.test:443/smuggled HTTP/1.1\r\nhost: a\r\n\r\n").unwrap();
            let mut client = net.dial("proxy.test:3128").await;
            let answer = exchange(&mut client, request).await;
            assert_eq!(statuses(&answer), [400], "{framing}: {answer}");
            assert_eq!(origin.dialed(), 0, "{framing}");
        }
    })
    .await;
}
