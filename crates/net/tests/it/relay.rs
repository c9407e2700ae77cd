//! The relay: what arrives, in which order sides are closed, what is reported.

mod ends;
mod faults;
mod limits;
mod odd;
mod paths;
mod property;
#[cfg(target_os = "linux")]
mod splice;
mod wakes;

use std::time::Duration;

use chaski_core::{
    Bridge, Conn, Io, Service, describe,
    test_util::{Pipe, PipeDirection, PipeOptions, pipe},
};
use chaski_net::{Relay, RelayConfig, RelayCounters, RelayOutcome, RelayReport};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
};

/// Runs a relay to its end.
async fn relay(config: RelayConfig, a: impl Io, b: impl Io) -> RelayReport {
    let Ok(report) = Relay::new(config).serve(Bridge::new(Conn::new(a), Conn::new(b))).await;
    report
}

/// The two ends of a loopback connection.
async fn tcp() -> (TcpStream, TcpStream) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let (far, near) = tokio::join!(TcpStream::connect(listener.local_addr().unwrap()), listener.accept());
    (far.unwrap(), near.unwrap().0)
}

/// Bytes that differ from place to place, so that a lost, doubled or swapped piece shows.
fn pattern(len: usize) -> Vec<u8> {
    (0..len).map(|i| (i ^ (i >> 8) ^ (i >> 16)) as u8).collect()
}

async fn read_all(io: &mut (impl Io + ?Sized)) -> Vec<u8> {
    let mut all = Vec::new();
    io.read_to_end(&mut all).await.unwrap();
    all
}

/// A pipe of which both directions hold at most `capacity` bytes.
fn narrow(capacity: usize) -> (Pipe, Pipe) {
    PipeOptions::both(PipeDirection { capacity, ..PipeDirection::default() }).pipe()
}

#[tokio::test(start_paused = true)]
async fn the_report_tells_bytes_times_and_outcome() {
    let ((mut client, a), (b, mut server)) = (pipe(), pipe());
    let (report, ()) = tokio::join!(relay(RelayConfig::default(), a, b), async {
        client.write_all(b"hello").await.unwrap();
        tokio::time::advance(Duration::from_secs(2)).await;
        server.write_all(b"hi").await.unwrap();
        let mut answer = [0; 2];
        client.read_exact(&mut answer).await.unwrap();
        tokio::time::advance(Duration::from_secs(3)).await;
        client.shutdown().await.unwrap();
        server.shutdown().await.unwrap();
    });
    assert_eq!((report.a_to_b, report.b_to_a), (5, 2));
    assert_eq!(report.outcome, RelayOutcome::Complete);
    assert_eq!(report.first_byte, Some(Duration::from_secs(2)));
    assert_eq!(report.elapsed, Duration::from_secs(5));
}

#[tokio::test]
async fn both_sides_are_dropped_when_the_report_is_there() {
    let ((client, a), (b, server)) = (pipe(), pipe());
    let (a_probe, b_probe) = (a.probe(), b.probe());
    drop((client, server));
    let report = relay(RelayConfig::default(), a, b).await;
    assert_eq!(report.outcome, RelayOutcome::Complete);
    assert!(a_probe.stats().dropped_at.is_some() && b_probe.stats().dropped_at.is_some());
}

#[tokio::test]
async fn a_relay_that_is_dropped_drops_both_sides_and_has_counted() {
    let ((mut client, a), (b, mut server)) = (pipe(), pipe());
    let (a_probe, b_probe) = (a.probe(), b.probe());
    let counters = RelayCounters::default();
    let a = Conn::new(a);
    a.ext.insert(counters.clone());

    let relay = Relay::default();
    let cut = async {
        client.write_all(b"question").await.unwrap();
        server.read_exact(&mut [0; 8]).await.unwrap();
        server.write_all(b"answer").await.unwrap();
        client.read_exact(&mut [0; 6]).await.unwrap();
    };
    tokio::select! {
        _ = relay.serve(Bridge::new(a, Conn::new(b))) => unreachable!("nobody has ended"),
        () = cut => {}
    }
    assert_eq!((counters.a_to_b(), counters.b_to_a()), (8, 6));
    assert!(a_probe.stats().dropped_at.is_some() && b_probe.stats().dropped_at.is_some());
}

#[tokio::test]
async fn a_blocked_writer_stops_the_reading_at_one_buffer() {
    let ((mut client, a), (b, mut server)) = (narrow(1 << 20), narrow(1_000));
    let a_probe = a.probe();
    let data = pattern(3 << 20);
    let (report, (), got) = tokio::join!(
        relay(RelayConfig::default(), a, b),
        async {
            client.write_all(&data).await.unwrap();
            client.shutdown().await.unwrap();
        },
        async {
            // The relay has gone as far as it can when the pipe to the server is full and the client is stuck.
            for _ in 0..10_000 {
                tokio::task::yield_now().await;
            }
            let read = a_probe.stats().bytes_read;
            assert!(read <= 256 * 1024 + 1_000, "{read} bytes read ahead of a writer that took 1,000");
            server.shutdown().await.unwrap();
            read_all(&mut server).await
        }
    );
    assert!(got == data);
    assert_eq!(report.a_to_b, 3 << 20);
}

#[tokio::test]
async fn the_largest_buffer_is_a_setting() {
    let ((mut client, a), (b, mut server)) = (narrow(1 << 20), narrow(1 << 20));
    let probe = b.probe();
    let data = pattern(1 << 20);
    client.write_all(&data).await.unwrap();
    client.shutdown().await.unwrap();
    server.shutdown().await.unwrap();
    let report = relay(RelayConfig::default().with_max_buffer(8 * 1024), a, b).await;
    assert_eq!(report.outcome, RelayOutcome::Complete);
    assert_eq!(probe.stats().writes, (1 << 20) / (8 * 1024));
    assert!(read_all(&mut server).await == data);
}

#[test]
fn a_relay_describes_its_limits() {
    let relay = Relay::new(RelayConfig::default().with_first_byte(Duration::from_millis(1500)).with_idle(None));
    assert_eq!(
        describe::<Bridge<Pipe, Pipe>, _>(&relay).to_string(),
        "relay first-byte=1.5s idle=none drain=60s shutdown=5s max-buffer=262144 splice=true\n"
    );
}
