//! Idle connections over real sockets.

use std::time::Duration;

use chaski_core::Service;
use chaski_stacks::http_client;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
};

use crate::net::{get, read};

/// Answers the one request of a connection.
async fn answer(io: &mut TcpStream) {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        head.push(io.read_u8().await.unwrap());
    }
    io.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\nhello").await.unwrap();
}

/// LIFE-02: without any traffic, a connection that got a FIN, or bytes that nobody asked for, is closed: its peer sees that.
#[tokio::test]
async fn life_02_idle_connections_that_got_bytes_or_fin_are_closed() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let uri = format!("http://{}/", listener.local_addr().unwrap());
    let client = http_client();
    let peers = async {
        // Both are open at once, so that neither request takes the other's connection.
        let (mut first, _) = listener.accept().await.unwrap();
        let (mut second, _) = listener.accept().await.unwrap();
        tokio::join!(answer(&mut first), answer(&mut second));
        (first, second)
    };
    let call = async || read(client.serve(get(&uri)).await.unwrap()).await;
    let ((mut first, mut second), ..) = tokio::join!(peers, call(), call());
    assert_eq!((client.idle(), client.stats().open), (2, 2));

    first.shutdown().await.unwrap();
    second.write_all(b"HTTP/1.1 408 Request Timeout\r\n\r\n").await.unwrap();
    let gone = async {
        let mut rest = Vec::new();
        // Unread bytes make of the end a reset.
        let ends = (first.read_to_end(&mut rest).await.is_ok(), second.read_u8().await.is_err());
        (ends, rest)
    };
    let gone = tokio::time::timeout(Duration::from_secs(60), gone).await.expect("the client let go of its sockets");
    assert_eq!(gone, ((true, true), Vec::new()));
    let stats = client.stats();
    assert_eq!((stats.open, stats.idle, stats.closed_dead), (0, 0, 2));
}
