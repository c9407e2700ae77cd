//! Time limits, on a paused clock: each passes at its very instant, and not before.

use std::sync::atomic::Ordering::Relaxed;

use chaski_net::RelaySide;
use tokio::time::{Instant, sleep};

use super::{
    odd::{Odd, Shutdown},
    *,
};

const fn secs(n: u64) -> Duration {
    Duration::from_secs(n)
}

/// NET-07: a peer that stays silent after the other one's FIN is closed by the deadline, and so is the other.
#[tokio::test(start_paused = true)]
async fn a_silent_peer_after_a_fin_is_closed_by_the_deadline() {
    for client_ends in [true, false] {
        let ((mut client, a), (b, mut server)) = (pipe(), pipe());
        let (a_probe, b_probe) = (a.probe(), b.probe());
        let start = Instant::now();
        let ending = if client_ends { &mut client } else { &mut server };
        ending.write_all(b"last words").await.unwrap();
        ending.shutdown().await.unwrap();

        let report = relay(RelayConfig::default(), a, b).await;
        assert_eq!(report.outcome, RelayOutcome::DrainTimeout);
        assert_eq!(report.elapsed, secs(60));
        assert_eq!(a_probe.stats().dropped_at, Some(start + secs(60)));
        assert_eq!(b_probe.stats().dropped_at, Some(start + secs(60)));
        drop((client, server));
    }
}

/// NET-07: a peer that takes no bytes after the FIN behind them is closed by the deadline as well.
#[tokio::test(start_paused = true)]
async fn a_peer_that_never_reads_is_closed_by_the_deadline() {
    let ((mut client, a), (b, server)) = (pipe(), narrow(10));
    client.write_all(b"more than ten bytes").await.unwrap();
    client.shutdown().await.unwrap();
    let report = relay(RelayConfig::default(), a, b).await;
    assert_eq!(report.outcome, RelayOutcome::DrainTimeout);
    assert_eq!((report.elapsed, report.a_to_b), (secs(60), 10));
    drop(server);
}

#[tokio::test(start_paused = true)]
async fn an_idle_limit_shorter_than_the_drain_limit_holds_after_a_fin_too() {
    let ((mut client, a), (b, server)) = (pipe(), pipe());
    client.shutdown().await.unwrap();
    let report = relay(RelayConfig::default().with_idle(secs(7)), a, b).await;
    assert_eq!((report.outcome, report.elapsed), (RelayOutcome::IdleTimeout, secs(7)));
    drop(server);
}

#[tokio::test(start_paused = true)]
async fn a_long_answer_after_a_fin_is_not_cut_while_it_moves() {
    let ((mut client, a), (b, mut server)) = (pipe(), pipe());
    client.shutdown().await.unwrap();
    let (report, ()) = tokio::join!(relay(RelayConfig::default(), a, b), async {
        for _ in 0..10 {
            sleep(secs(59)).await;
            server.write_all(b"word ").await.unwrap();
        }
        server.shutdown().await.unwrap();
    });
    assert_eq!((report.outcome, report.b_to_a, report.elapsed), (RelayOutcome::Complete, 50, secs(590)));
}

#[tokio::test(start_paused = true)]
async fn the_idle_limit_counts_from_the_last_byte_of_either_direction() {
    let ((mut client, a), (b, mut server)) = (pipe(), pipe());
    let (report, ()) = tokio::join!(relay(RelayConfig::default().with_idle(secs(100)), a, b), async {
        for _ in 0..5 {
            sleep(secs(60)).await;
            client.write_all(b"x").await.unwrap();
            sleep(secs(60)).await;
            server.write_all(b"y").await.unwrap();
        }
    });
    assert_eq!((report.outcome, report.elapsed), (RelayOutcome::IdleTimeout, secs(700)));
    assert_eq!((report.a_to_b, report.b_to_a), (5, 5));
}

#[tokio::test(start_paused = true)]
async fn without_limits_a_relay_waits() {
    let ((client, a), (b, mut server)) = (pipe(), pipe());
    let none = RelayConfig::default().with_idle(None).with_drain(None).with_shutdown(None);
    let (report, ()) = tokio::join!(relay(none, a, b), async {
        sleep(secs(1_000_000)).await;
        server.shutdown().await.unwrap();
        drop(client);
    });
    assert_eq!((report.outcome, report.elapsed), (RelayOutcome::Complete, secs(1_000_000)));
}

#[tokio::test(start_paused = true)]
async fn a_limit_beyond_the_clock_is_none() {
    let ((client, a), (b, server)) = (pipe(), pipe());
    drop((client, server));
    let config = RelayConfig::default().with_first_byte(Duration::MAX).with_idle(Duration::MAX);
    assert_eq!(relay(config, a, b).await.outcome, RelayOutcome::Complete);
}

/// NET-09: a shutdown that never completes (a TLS peer that does not read its alert) is waited for up to the limit.
#[tokio::test(start_paused = true)]
async fn a_shutdown_is_not_waited_for_for_ever() {
    for stuck in [RelaySide::A, RelaySide::B] {
        let ((client, a), (b, server)) = (pipe(), pipe());
        let probes = [a.probe(), b.probe()];
        let start = Instant::now();
        drop((client, server));
        let (mut a, mut b) = (Odd::new(a), Odd::new(b));
        let odd = if stuck == RelaySide::A { &mut a } else { &mut b };
        odd.shutdown = Shutdown::Never;

        let report = relay(RelayConfig::default(), a, b).await;
        assert_eq!(report.outcome, RelayOutcome::ShutdownTimeout { side: stuck });
        assert_eq!(report.elapsed, secs(5));
        assert!(probes.iter().all(|probe| probe.stats().dropped_at == Some(start + secs(5))));
    }
}

/// NET-09: while the other direction moves, a slow shutdown is waited for beside it; the limit counts from its own begin.
#[tokio::test(start_paused = true)]
async fn a_stuck_shutdown_does_not_cut_the_other_direction() {
    let ((mut client, a), (b, mut server)) = (pipe(), pipe());
    let mut b = Odd::new(b);
    b.shutdown = Shutdown::Never;
    client.shutdown().await.unwrap();
    let (report, (), got) = tokio::join!(
        relay(RelayConfig::default(), a, b),
        async {
            sleep(secs(30)).await;
            server.write_all(b"answer").await.unwrap();
            server.shutdown().await.unwrap();
        },
        read_all(&mut client)
    );
    assert_eq!(got, b"answer");
    assert_eq!(report.outcome, RelayOutcome::ShutdownTimeout { side: RelaySide::B });
    assert_eq!(report.elapsed, secs(30));
}

/// NET-11: a shutdown that is pending is asked again only when something else wakes the task, and after it has begun that
/// half is neither written nor flushed.
#[tokio::test(start_paused = true)]
async fn a_pending_shutdown_does_not_spin() {
    let ((mut client, a), (b, mut server)) = (pipe(), pipe());
    let mut b = Odd::new(b);
    b.shutdown = Shutdown::Never;
    let calls = b.calls.clone();
    client.write_all(b"question").await.unwrap();
    client.shutdown().await.unwrap();
    // In a task of its own: in one with the test it would be polled at each of the test's wake-ups.
    let relay = tokio::spawn(relay(RelayConfig::default(), a, b));
    for word in 1..=10 {
        server.write_all(b"word ").await.unwrap();
        client.read_exact(&mut [0; 5]).await.unwrap();
        let asked = calls.shutdowns.load(Relaxed);
        assert!((1..=1 + word).contains(&asked), "asked {asked} times in the course of {word} words");
    }
    let before = calls.shutdowns.load(Relaxed);
    sleep(secs(59)).await;
    assert_eq!(calls.shutdowns.load(Relaxed), before, "nothing has moved for 59 s");
    server.shutdown().await.unwrap();
    let report = relay.await.unwrap();
    assert_eq!(report.outcome, RelayOutcome::ShutdownTimeout { side: RelaySide::B });
    assert!(calls.flushes.load(Relaxed) >= 1, "what was written before has been flushed");
    assert_eq!(calls.late.load(Relaxed), 0);
}

/// NET-15: a dialed side that accepts and then says nothing is told apart from a tunnel that went idle.
#[tokio::test(start_paused = true)]
async fn silence_before_the_first_byte_is_not_idleness() {
    let config = RelayConfig::default().with_first_byte(secs(10)).with_idle(secs(15));

    // The client's bytes keep the relay from being idle, and do not count as the dialed side's.
    let ((mut client, a), (b, server)) = (pipe(), pipe());
    let (report, ()) = tokio::join!(relay(config, a, b), async {
        sleep(secs(9)).await;
        client.write_all(b"hello?").await.unwrap();
    });
    assert_eq!((report.outcome, report.elapsed), (RelayOutcome::FirstByteTimeout, secs(10)));
    assert_eq!((report.first_byte, report.a_to_b), (None, 6));
    drop(server);

    // One byte in time, and from then on it is idleness.
    let ((client, a), (b, mut server)) = (pipe(), pipe());
    let (report, ()) = tokio::join!(relay(config, a, b), async {
        sleep(secs(9)).await;
        server.write_all(b"!").await.unwrap();
    });
    assert_eq!((report.outcome, report.elapsed), (RelayOutcome::IdleTimeout, secs(9 + 15)));
    assert_eq!(report.first_byte, Some(secs(9)));
    drop((client, server));

    // A side that ends without a word has not kept anybody waiting.
    let ((client, a), (b, mut server)) = (pipe(), pipe());
    server.shutdown().await.unwrap();
    let report = relay(config, a, b).await;
    assert_eq!((report.outcome, report.elapsed), (RelayOutcome::IdleTimeout, secs(15)));
    drop((client, server));
}

/// NET-15: with the limit off, as by default, a server may wait for the client's first words.
#[tokio::test(start_paused = true)]
async fn a_tunnel_opened_ahead_of_time_lives() {
    let ((mut client, a), (b, mut server)) = (pipe(), pipe());
    let (report, ()) = tokio::join!(relay(RelayConfig::default(), a, b), async {
        sleep(secs(3_000)).await;
        client.write_all(b"now").await.unwrap();
        client.shutdown().await.unwrap();
        server.shutdown().await.unwrap();
    });
    assert_eq!(report.outcome, RelayOutcome::Complete);
}
