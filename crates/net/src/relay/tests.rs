//! What only shows from inside: the memory that a relay holds.

use chaski_core::{
    Bridge, Conn,
    test_util::{PipeDirection, PipeOptions, pipe},
};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use super::{RelayConfig, run::Run};

#[tokio::test]
async fn a_relay_that_waits_for_bytes_holds_no_buffer() {
    let ((mut client, a), (b, mut server)) = (pipe(), pipe());
    let config = RelayConfig::default();
    let mut run = Run::new(Bridge::new(Conn::new(a), Conn::new(b)), &config);
    for _ in 0..3 {
        client.write_all(&[7; 20_000]).await.unwrap();
        assert!(std::future::poll_fn(|cx| std::task::Poll::Ready(run.poll(cx))).await.is_pending());
        server.read_exact(&mut [0; 20_000]).await.unwrap();
        assert_eq!(run.held(), 0);
    }
}

#[tokio::test]
async fn a_relay_with_a_blocked_writer_holds_one_buffer() {
    let narrow = PipeOptions::both(PipeDirection { capacity: 10, ..PipeDirection::default() });
    let ((mut client, a), (b, mut server)) = (pipe(), narrow.pipe());
    let config = RelayConfig::default();
    let mut run = Run::new(Bridge::new(Conn::new(a), Conn::new(b)), &config);
    client.write_all(&[7; 500]).await.unwrap();
    for left in (0..50).rev() {
        assert!(std::future::poll_fn(|cx| std::task::Poll::Ready(run.poll(cx))).await.is_pending());
        assert_eq!(run.held(), if left == 0 { 0 } else { 8_192 });
        server.read_exact(&mut [0; 10]).await.unwrap();
    }
}
