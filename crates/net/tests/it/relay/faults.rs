//! Sides that fail.

use std::{
    io,
    pin::Pin,
    sync::atomic::Ordering::Relaxed,
    task::{Context, Poll, Waker},
};

use chaski_core::test_util::Fault;
use chaski_net::{RelaySide, RelayStep};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use super::{
    odd::{Odd, Shutdown},
    *,
};

const fn failed(side: RelaySide, during: RelayStep, kind: io::ErrorKind) -> RelayOutcome {
    RelayOutcome::Failed { side, during, kind }
}

/// A pipe with a fault in what its first end writes.
fn faulty(fault: Fault) -> (Pipe, Pipe) {
    PipeOptions { a_to_b: PipeDirection { fault: Some(fault), ..PipeDirection::default() }, ..PipeOptions::default() }
        .pipe()
}

/// NET-12: a write that takes no byte ends its direction with an error, and is not tried again.
#[tokio::test(start_paused = true)]
async fn a_write_of_nothing_is_an_error_and_not_a_loop() {
    let ((mut client, a), (b, mut server)) = (pipe(), faulty(Fault::WriteZeroAfter(10)));
    let probe = b.probe();
    client.write_all(b"more than ten bytes").await.unwrap();
    server.shutdown().await.unwrap();
    let turns = async {
        for _ in 0..1_000 {
            tokio::task::yield_now().await;
        }
    };
    let report = tokio::select! {
        report = relay(RelayConfig::default(), a, b) => report,
        () = turns => panic!("it was tried {} times", probe.stats().write_polls),
    };
    assert_eq!(report.outcome, failed(RelaySide::B, RelayStep::Write, io::ErrorKind::WriteZero));
    assert_eq!((report.a_to_b, report.elapsed), (10, Duration::ZERO));
    assert_eq!(probe.stats().write_polls, 2);
}

/// A reset of the accepted side: what it sent before arrives, and the dialed side is cut, not ended in order.
#[tokio::test(start_paused = true)]
async fn a_reset_closes_the_other_side_after_the_bytes_before_it() {
    let ((mut client, a), (b, mut server)) = (faulty(Fault::ResetAfter(5)), narrow(2));
    let probe = b.probe();
    let (report, got, ()) = tokio::join!(relay(RelayConfig::default(), a, b), read_all(&mut server), async {
        assert!(client.write_all(b"hello world").await.is_err());
    });
    assert_eq!(got, b"hello");
    assert_eq!(report.outcome, failed(RelaySide::A, RelayStep::Read, io::ErrorKind::ConnectionReset));
    assert_eq!((report.a_to_b, report.elapsed), (5, Duration::ZERO));
    assert_eq!(probe.stats().shutdown_polls, 0, "a cut stream is not told as a whole one");
}

/// The same for the dialed side.
#[tokio::test(start_paused = true)]
async fn a_reset_of_the_dialed_side_closes_the_accepted_one() {
    let options = PipeOptions {
        b_to_a: PipeDirection { fault: Some(Fault::ResetAfter(5)), ..PipeDirection::default() },
        ..PipeOptions::default()
    };
    let ((mut client, a), (b, mut server)) = (narrow(2), options.pipe());
    let probe = a.probe();
    let (report, got, ()) = tokio::join!(relay(RelayConfig::default(), a, b), read_all(&mut client), async {
        assert!(server.write_all(b"hello world").await.is_err());
    });
    assert_eq!(got, b"hello");
    assert_eq!(report.outcome, failed(RelaySide::B, RelayStep::Read, io::ErrorKind::ConnectionReset));
    assert_eq!((report.b_to_a, report.elapsed), (5, Duration::ZERO));
    assert_eq!(probe.stats().shutdown_polls, 0);
}

/// A server that answers and closes before it has read all: the answer arrives.
#[tokio::test(start_paused = true)]
async fn an_answer_outlives_a_failed_write() {
    let ((mut client, a), (b, mut server)) = (pipe(), faulty(Fault::CloseAfter(4)));
    let (report, got) = tokio::join!(relay(RelayConfig::default(), a, b), async {
        client.write_all(b"a long upload").await.unwrap();
        assert_eq!(read_all(&mut server).await, b"a lo");
        server.write_all(b"too long").await.unwrap();
        server.shutdown().await.unwrap();
        read_all(&mut client).await
    });
    assert_eq!(got, b"too long");
    assert_eq!(report.outcome, failed(RelaySide::B, RelayStep::Write, io::ErrorKind::BrokenPipe));
    assert_eq!((report.a_to_b, report.b_to_a), (4, 8));
}

/// After a failed write the rest has the drain limit, and the report tells what went wrong first.
#[tokio::test(start_paused = true)]
async fn a_failed_write_is_reported_after_the_drain_limit() {
    let ((mut client, a), (b, server)) = (pipe(), faulty(Fault::CloseAfter(4)));
    client.write_all(b"a long upload").await.unwrap();
    let report = relay(RelayConfig::default(), a, b).await;
    assert_eq!(report.outcome, failed(RelaySide::B, RelayStep::Write, io::ErrorKind::BrokenPipe));
    assert_eq!(report.elapsed, RelayConfig::DEFAULT_DRAIN);
    drop((client, server));
}

/// A real reset, as a client that closes with `SO_LINGER` 0 sends it: both sides are closed at once.
#[tokio::test]
async fn a_reset_of_a_socket_closes_the_other_side() {
    let ((client, a), (b, mut server)) = (tcp().await, tcp().await);
    client.set_zero_linger().unwrap();
    drop(client);
    let (report, got) = tokio::join!(relay(RelayConfig::default(), a, b), read_all(&mut server));
    assert_eq!(got, b"");
    assert_eq!(report.outcome, failed(RelaySide::A, RelayStep::Read, io::ErrorKind::ConnectionReset));
}

#[tokio::test(start_paused = true)]
async fn a_shutdown_error_counts_unless_the_peer_had_ended_already() {
    for (server_ends, outcome) in [
        (true, RelayOutcome::Complete),
        (false, failed(RelaySide::B, RelayStep::Shutdown, io::ErrorKind::NotConnected)),
    ] {
        let ((mut client, a), (b, mut server)) = (pipe(), pipe());
        let mut b = Odd::new(b);
        b.shutdown = Shutdown::Fails(io::ErrorKind::NotConnected);
        client.shutdown().await.unwrap();
        if server_ends {
            server.shutdown().await.unwrap();
        }
        assert_eq!(relay(RelayConfig::default(), a, b).await.outcome, outcome);
        drop((client, server));
    }
}

/// What a writer holds back leaves before the relay waits for more.
#[tokio::test(start_paused = true)]
async fn a_lazy_writer_is_flushed_before_a_wait() {
    let ((mut client, a), (b, mut server)) = (pipe(), pipe());
    let mut b = Odd::new(b);
    b.lazy = true;
    let calls = b.calls.clone();
    let (report, ()) = tokio::join!(relay(RelayConfig::default(), a, b), async {
        let mut got = [0; 8];
        for _ in 0..3 {
            client.write_all(b"question").await.unwrap();
            server.read_exact(&mut got).await.unwrap();
            assert_eq!(&got, b"question");
        }
        client.write_all(b"last").await.unwrap();
        client.shutdown().await.unwrap();
        server.shutdown().await.unwrap();
        assert_eq!(read_all(&mut server).await, b"last");
    });
    assert_eq!(report.outcome, RelayOutcome::Complete);
    assert_eq!(calls.late.load(Relaxed), 0);
}

/// A source without an end and a sink without a limit, neither of which ever waits.
struct Endless;

impl Io for Endless {}

impl AsyncRead for Endless {
    fn poll_read(self: Pin<&mut Self>, _cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        buf.initialize_unfilled().fill(1);
        buf.advance(buf.remaining());
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Endless {
    fn poll_write(self: Pin<&mut Self>, _cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        Poll::Ready(Ok(buf.len()))
    }

    fn poll_flush(self: Pin<&mut Self>, _cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}

/// One greedy tunnel does not keep its thread: a poll ends, with the task woken to go on, after a bounded amount.
#[tokio::test]
async fn a_greedy_tunnel_lets_others_run() {
    let counters = RelayCounters::default();
    let a = Conn::new(Endless);
    a.ext.insert(counters.clone());
    let relay = Relay::default();
    let mut future = std::pin::pin!(relay.serve(Bridge::new(a, Conn::new(Endless))));

    let woken = std::sync::Arc::new(Woken::default());
    let waker = Waker::from(woken.clone());
    for polls in 1..=3 {
        assert!(future.as_mut().poll(&mut Context::from_waker(&waker)).is_pending());
        // The runtime keeps the wake-up until the others have had their turn, and the one of both directions is one.
        assert_eq!(woken.0.load(Relaxed), polls - 1);
        tokio::task::yield_now().await;
        assert_eq!(woken.0.load(Relaxed), polls, "it asks to go on");
        for moved in [counters.a_to_b(), counters.b_to_a()] {
            // 1 MiB, and what one more buffer goes beyond it.
            assert!((1..=polls * (1_280 << 10)).contains(&moved), "{moved} bytes in {polls} polls");
        }
    }
}

#[derive(Default)]
struct Woken(std::sync::atomic::AtomicU64);

impl std::task::Wake for Woken {
    fn wake(self: std::sync::Arc<Self>) {
        self.0.fetch_add(1, Relaxed);
    }
}
