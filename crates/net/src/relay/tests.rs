//! What only shows from inside: the memory and the pipes that a relay holds.

use std::{future::poll_fn, sync::Arc, task::Poll};

use chaski_core::{
    Bridge, Conn,
    test_util::{PipeDirection, PipeOptions, pipe},
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
};

use super::{RelayConfig, run::Run};

#[tokio::test]
async fn a_relay_that_waits_for_bytes_holds_no_buffer() {
    let ((mut client, a), (b, mut server)) = (pipe(), pipe());
    let config = RelayConfig::default();
    let mut run = Run::new(Bridge::new(Conn::new(a), Conn::new(b)), &config);
    for _ in 0..3 {
        client.write_all(&[7; 20_000]).await.unwrap();
        assert!(poll_fn(|cx| Poll::Ready(run.poll(cx))).await.is_pending());
        server.read_exact(&mut [0; 20_000]).await.unwrap();
        assert_eq!(run.held(), 0);
    }
}

/// A tunnel may stand still for days, and there may be many of them.
#[test]
fn a_relay_is_small_and_keeps_no_scope() {
    #[derive(Debug)]
    struct Canary(#[expect(dead_code, reason = "it is only counted")] Arc<()>);

    let canary = Arc::new(());
    let ((_client, a), (b, _server)) = (pipe(), pipe());
    let (a, b) = (Conn::new(a), Conn::new(b));
    a.ext.insert(Canary(Arc::clone(&canary)));
    b.ext.insert(Canary(Arc::clone(&canary)));
    let config = RelayConfig::default();
    let _run = Run::new(Bridge::new(a, b), &config);
    assert_eq!(Arc::strong_count(&canary), 1);

    let bytes = size_of::<Run<'_, TcpStream, TcpStream>>();
    assert!(bytes <= 456, "{bytes}");
}

#[tokio::test]
async fn a_relay_with_a_blocked_writer_holds_one_buffer() {
    let narrow = PipeOptions::both(PipeDirection { capacity: 10, ..PipeDirection::default() });
    let ((mut client, a), (b, mut server)) = (pipe(), narrow.pipe());
    let config = RelayConfig::default();
    let mut run = Run::new(Bridge::new(Conn::new(a), Conn::new(b)), &config);
    client.write_all(&[7; 500]).await.unwrap();
    for left in (0..50).rev() {
        assert!(poll_fn(|cx| Poll::Ready(run.poll(cx))).await.is_pending());
        assert_eq!(run.held(), if left == 0 { 0 } else { 8_192 });
        server.read_exact(&mut [0; 10]).await.unwrap();
    }
}

/// The two ends of a loopback connection.
async fn tcp() -> (TcpStream, TcpStream) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let (far, near) = tokio::join!(TcpStream::connect(listener.local_addr().unwrap()), listener.accept());
    (far.unwrap(), near.unwrap().0)
}

/// `n` bytes through the relay, from one end to the other.
async fn carry(run: &mut Run<'_, TcpStream, TcpStream>, n: usize, from: &mut TcpStream, to: &mut TcpStream) {
    let data = vec![7; n];
    let carried = async {
        let mut got = vec![0; n];
        let (sent, read) = tokio::join!(from.write_all(&data), to.read_exact(&mut got));
        sent.unwrap();
        read.unwrap();
    };
    tokio::select! {
        biased;
        () = carried => {}
        _ = poll_fn(|cx| run.poll(cx)) => unreachable!("nobody has ended"),
    }
}

#[cfg(target_os = "linux")]
#[tokio::test]
async fn a_tunnel_holds_pipes_only_while_they_have_bytes() {
    let ((mut client, a), (b, mut server)) = (tcp().await, tcp().await);
    let config = RelayConfig::default();
    let mut run = Run::new(Bridge::new(Conn::new(a), Conn::new(b)), &config);
    assert_eq!(run.held(), 0);

    // Idle after bulk in both directions.
    for _ in 0..3 {
        carry(&mut run, 4 << 20, &mut client, &mut server).await;
        carry(&mut run, 4 << 20, &mut server, &mut client).await;
        assert!(poll_fn(|cx| Poll::Ready(run.poll(cx))).await.is_pending());
        assert_eq!((run.pipes(), run.held()), (0, 0));
    }
    let spliced = run.spliced();
    assert!(spliced > 12 << 20);

    // One direction is blocked: the server does not read.
    tokio::select! {
        () = fill(&client) => {}
        _ = poll_fn(|cx| run.poll(cx)) => unreachable!("nobody has ended"),
    }
    assert_eq!((run.pipes(), run.held()), (1, 0));

    // The other direction ends; it needs none.
    server.shutdown().await.unwrap();
    assert!(poll_fn(|cx| Poll::Ready(run.poll(cx))).await.is_pending());
    assert_eq!(run.pipes(), 1);
}

#[cfg(target_os = "linux")]
#[tokio::test]
async fn one_poll_splices_no_more_than_it_copies() {
    let ((mut client, a), (b, mut server)) = (tcp().await, tcp().await);
    let config = RelayConfig::default();
    let mut run = Run::new(Bridge::new(Conn::new(a), Conn::new(b)), &config);
    // In the course of it the kernel's buffers grow to some MiB.
    carry(&mut run, 64 << 20, &mut client, &mut server).await;
    let mut most = 0;
    for _ in 0..100 {
        let before = run.spliced();
        fill(&client).await;
        assert!(poll_fn(|cx| Poll::Ready(run.poll(cx))).await.is_pending());
        most = most.max(run.spliced() - before);
        let mut space = vec![0; 1 << 20];
        while server.try_read(&mut space).is_ok_and(|n| n > 0) {}
    }
    // 1 MiB, and what one more pipe goes beyond it.
    assert!((1..=1_280 << 10).contains(&most), "{most} bytes in one poll");
}

/// Writes until the socket takes no more.
async fn fill(socket: &TcpStream) {
    let (data, mut idle) = (vec![7; 1 << 20], 0);
    while idle < 200 {
        idle = if socket.try_write(&data).is_ok() { 0 } else { idle + 1 };
        tokio::task::yield_now().await;
    }
}
