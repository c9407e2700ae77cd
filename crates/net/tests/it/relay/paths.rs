//! One suite for both ways in which bulk moves between sockets, copied and spliced: nobody can tell them apart but by the report.

use std::pin::pin;

use bytes::Bytes;
use chaski_core::Prefixed;
use chaski_net::{RelaySide, RelayStep};
use tokio::time::{pause, timeout};

use super::{
    odd::{Odd, Shutdown},
    *,
};

/// Enough to be spliced, were there any splicing.
const BULK: usize = 4 << 20;

const HOUR: Duration = Duration::from_secs(60 * 60);

/// Without limits that could pass while sockets are busy; a test sets those that it is about.
fn config(splice: bool) -> RelayConfig {
    RelayConfig::default().with_idle(None).with_drain(None).with_shutdown(None).with_splice(splice)
}

/// The two tunnels of each test: whether they may splice, and their four ends.
async fn tunnels() -> [(bool, (TcpStream, TcpStream), (TcpStream, TcpStream)); 2] {
    [(false, tcp().await, tcp().await), (true, tcp().await, tcp().await)]
}

/// What was said about the path: none of the bytes was spliced, or most of those beyond the first 64 KiB of a direction.
fn assert_path(report: &RelayReport, splice: bool) {
    let total = report.a_to_b + report.b_to_a;
    if splice && cfg!(target_os = "linux") {
        assert!(report.spliced > total / 2, "{} of {total} bytes spliced", report.spliced);
        assert!(report.spliced <= total - (64 << 10), "not from the first byte on");
    } else {
        assert_eq!(report.spliced, 0);
    }
}

/// `BULK` bytes through the tunnel, and nothing left on the way.
async fn bulk(from: &mut TcpStream, to: &mut TcpStream, data: &[u8]) {
    let mut got = vec![0; BULK];
    let (sent, read) = tokio::join!(from.write_all(&data[..BULK]), to.read_exact(&mut got));
    sent.unwrap();
    read.unwrap();
    assert!(got == data[..BULK]);
}

/// Sends all and reads all at the same time.
async fn talk(io: TcpStream, data: &[u8]) -> Vec<u8> {
    let (mut reader, mut writer) = io.into_split();
    let mut got = Vec::new();
    let (read, sent) = tokio::join!(reader.read_to_end(&mut got), async {
        writer.write_all(data).await?;
        writer.shutdown().await
    });
    read.unwrap();
    sent.unwrap();
    got
}

/// NET-19: tens of MiB both ways at once, of which every byte arrives and is counted.
#[tokio::test]
async fn net_19_all_bytes_arrive_both_ways() {
    let data = pattern(24 << 20);
    for (splice, (client, a), (b, server)) in tunnels().await {
        let counters = RelayCounters::default();
        let a = Conn::new(a);
        a.ext.insert(counters.clone());
        let relay = Relay::new(config(splice));
        let (Ok(report), answer, question) =
            tokio::join!(relay.serve(Bridge::new(a, Conn::new(b))), talk(client, &data), talk(server, &data[12_345..]));
        assert!(question == data && answer == data[12_345..]);
        assert_eq!(report.outcome, RelayOutcome::Complete);
        assert_eq!((report.a_to_b, report.b_to_a), (24 << 20, (24 << 20) - 12_345));
        assert_eq!((counters.a_to_b(), counters.b_to_a()), (report.a_to_b, report.b_to_a));
        assert_path(&report, splice);
    }
}

/// NET-19: the end of a direction is told when all before it has arrived, and the other direction goes on.
#[tokio::test]
async fn net_19_each_direction_ends_by_itself() {
    let data = pattern(BULK);
    for client_first in [true, false] {
        for (splice, client, server) in tunnels().await {
            let ((mut first, x), (y, mut second)) = if client_first { (client, server) } else { (server, client) };
            let (a, b) = if client_first { (x, y) } else { (y, x) };
            let (report, ()) = tokio::join!(relay(config(splice), a, b), async {
                let (sent, got) = tokio::join!(
                    async {
                        first.write_all(&data).await?;
                        first.shutdown().await
                    },
                    read_all(&mut second)
                );
                sent.unwrap();
                assert!(got == data);
                // Only now does the other side begin.
                bulk(&mut second, &mut first, &data).await;
                second.shutdown().await.unwrap();
                assert_eq!(read_all(&mut first).await, b"");
            });
            assert_eq!((report.outcome, report.a_to_b), (RelayOutcome::Complete, BULK as u64));
            assert_eq!(report.b_to_a, BULK as u64);
            assert_path(&report, splice);
        }
    }
}

/// NET-19: the reader is reset while its bytes wait for the writer. What had arrived is delivered; the rest is cut.
#[tokio::test]
async fn net_19_a_reset_of_the_reader_cuts_what_follows() {
    let data = pattern(4 * BULK);
    for (splice, (mut client, a), (b, mut server)) in tunnels().await {
        let (report, got) = tokio::join!(relay(config(splice), a, b), async {
            bulk(&mut client, &mut server, &data).await;
            let more = stuff(&mut client, &data[BULK..]).await;
            client.set_zero_linger().unwrap();
            drop(client);
            let got = read_all(&mut server).await;
            assert!(got.len() <= more && got[..] == data[BULK..BULK + got.len()]);
            got.len()
        });
        let (side, during, kind) = (RelaySide::A, RelayStep::Read, std::io::ErrorKind::ConnectionReset);
        assert_eq!(report.outcome, RelayOutcome::Failed { side, during, kind });
        assert_eq!(report.a_to_b, (BULK + got) as u64);
        assert_path(&report, splice);
    }
}

/// Writes until nobody takes a byte any more, or not for now; how many that were.
async fn stuff(io: &mut TcpStream, data: &[u8]) -> usize {
    let (mut n, mut idle) = (0, 0);
    while n < data.len() && idle < 200 {
        match io.try_write(&data[n..]) {
            Ok(more) => (n, idle) = (n + more, 0),
            Err(error) if error.kind() == std::io::ErrorKind::WouldBlock => idle += 1,
            Err(error) => panic!("{error}"),
        }
        tokio::task::yield_now().await;
    }
    n
}

/// NET-19: the writer is reset while bytes are on the way to it.
#[tokio::test]
async fn net_19_a_reset_of_the_writer_loses_what_was_on_its_way() {
    let data = pattern(4 * BULK);
    for (splice, (mut client, a), (b, mut server)) in tunnels().await {
        let (report, ()) = tokio::join!(relay(config(splice), a, b), async {
            bulk(&mut client, &mut server, &data).await;
            stuff(&mut client, &data).await;
            server.set_zero_linger().unwrap();
            drop(server);
            // The client learns of it: its connection ends, in order or not.
            let _ = client.read_to_end(&mut Vec::new()).await;
        });
        let RelayOutcome::Failed { side: RelaySide::B, kind, .. } = report.outcome else { panic!("{report:?}") };
        assert!(matches!(kind, std::io::ErrorKind::ConnectionReset | std::io::ErrorKind::BrokenPipe));
        assert!((BULK..=5 * BULK).contains(&(report.a_to_b as usize)));
        assert_path(&report, splice);
    }
}

/// NET-19: the limits count from the last byte that moved, spliced or not.
#[tokio::test]
async fn net_19_silence_after_bulk_ends_at_the_limits() {
    let data = pattern(BULK);
    let cases = [
        (config as fn(bool) -> _, RelayOutcome::IdleTimeout),
        (|splice| config(splice).with_drain(HOUR), RelayOutcome::DrainTimeout),
        (|splice| config(splice).with_first_byte(HOUR), RelayOutcome::FirstByteTimeout),
    ];
    for (limits, outcome) in cases {
        for (splice, (mut client, a), (b, mut server)) in tunnels().await {
            let limits = limits(splice).with_idle(2 * HOUR);
            let (report, ()) = tokio::join!(relay(limits, a, b), async {
                bulk(&mut client, &mut server, &data).await;
                if outcome == RelayOutcome::DrainTimeout {
                    client.shutdown().await.unwrap();
                    assert_eq!(read_all(&mut server).await, b"");
                }
                // Nothing is on its way, so the clock may jump to whatever the relay waits for.
                pause();
            });
            tokio::time::resume();
            assert_eq!((report.outcome, report.a_to_b, report.b_to_a), (outcome, BULK as u64, 0));
            let limit = if outcome == RelayOutcome::IdleTimeout { 2 * HOUR } else { HOUR };
            assert!((limit..limit + HOUR).contains(&report.elapsed), "{:?}", report.elapsed);
            assert_path(&report, splice);
        }
    }
}

/// NET-19: a writer that takes no more is idle, however many bytes wait for it. Those are lost; those that it took are
/// counted, and arrive.
#[tokio::test]
async fn net_19_a_writer_that_stalls_for_ever_is_cut_by_the_limit() {
    let data = pattern(5 * BULK);
    for (splice, (mut client, a), (b, mut server)) in tunnels().await {
        let (report, ()) = tokio::join!(relay(config(splice).with_idle(HOUR), a, b), async {
            bulk(&mut client, &mut server, &data).await;
            stuff(&mut client, &data[BULK..]).await;
            pause();
        });
        tokio::time::resume();
        assert_eq!(report.outcome, RelayOutcome::IdleTimeout);
        assert_path(&report, splice);
        let rest = read_all(&mut server).await;
        assert_eq!(report.a_to_b, (BULK + rest.len()) as u64);
        assert!(rest[..] == data[BULK..BULK + rest.len()]);
    }
}

/// NET-19: a shutdown that never completes is cut by its limit after bulk too.
#[tokio::test]
async fn net_19_a_stuck_shutdown_after_bulk_is_cut_by_the_limit() {
    let data = pattern(BULK);
    for (splice, (mut client, a), (b, mut server)) in tunnels().await {
        let mut b = Odd::new(b);
        b.shutdown = Shutdown::Never;
        let (report, ()) = tokio::join!(relay(config(splice).with_shutdown(HOUR), a, b), async {
            server.shutdown().await.unwrap();
            bulk(&mut client, &mut server, &data).await;
            client.shutdown().await.unwrap();
            // The other direction is over, so that nothing else is left.
            assert_eq!(read_all(&mut client).await, b"");
            pause();
        });
        tokio::time::resume();
        assert_eq!(report.outcome, RelayOutcome::ShutdownTimeout { side: RelaySide::B });
        assert_path(&report, splice);
    }
}

/// NET-19: a relay that is dropped in the middle has counted what was delivered, and no more.
#[tokio::test]
async fn net_19_a_dropped_relay_has_counted_what_arrives() {
    let data = pattern(5 * BULK);
    for (splice, (mut client, a), (b, mut server)) in tunnels().await {
        let counters = RelayCounters::default();
        let a = Conn::new(a);
        a.ext.insert(counters.clone());
        let relay = Relay::new(config(splice));
        {
            let mut relay = pin!(relay.serve(Bridge::new(a, Conn::new(b))));
            tokio::select! {
                _ = &mut relay => unreachable!("nobody has ended"),
                () = async {
                    bulk(&mut client, &mut server, &data).await;
                    assert_eq!(counters.a_to_b(), BULK as u64);
                    stuff(&mut client, &data[BULK..]).await;
                } => {}
            }
        }
        let rest = read_all(&mut server).await;
        assert_eq!(counters.a_to_b(), (BULK + rest.len()) as u64);
        assert!(rest[..] == data[BULK..BULK + rest.len()]);
        // Bytes of the client were left unread, so its connection is reset.
        assert!(client.read(&mut [0]).await.is_err());
    }
}

/// NET-19: what was read too early comes first, on either side, whatever the socket has by then.
#[tokio::test]
async fn net_19_leftover_bytes_come_first() {
    let data = pattern(2 * BULK);
    for (splice, (client, a), (b, server)) in tunnels().await {
        let ahead = BULK + client.try_write(&data[BULK..]).unwrap();
        server.try_write(b"early ").unwrap();
        let a = Prefixed::new(Bytes::copy_from_slice(&data[..BULK]), a);
        let b: Box<dyn Io> = Box::new(Prefixed::new(Bytes::from_static(b"very "), b));
        let (report, answer, question) =
            tokio::join!(relay(config(splice), a, b), talk(client, &data[ahead..]), talk(server, &data));
        assert!(question == data);
        assert!(answer[..11] == *b"very early " && answer[11..] == data);
        assert_eq!((report.a_to_b, report.b_to_a), (2 * BULK as u64, 2 * BULK as u64 + 11));
        assert_path(&report, splice);
    }
}

/// NET-19: a wrapper around a plain socket may hold back what is written until it is flushed.
#[tokio::test]
async fn net_19_a_lazy_writer_keeps_the_order() {
    let data = pattern(BULK);
    for (splice, (client, a), (b, server)) in tunnels().await {
        let mut b = Odd::new(b);
        b.lazy = true;
        let (report, answer, question) =
            tokio::join!(relay(config(splice), a, b), talk(client, &data), talk(server, b"thanks"));
        assert!(question == data && answer == b"thanks");
        assert_path(&report, splice);
    }
}

/// NET-19: what was copied into the buffer, and not taken at once, leaves before anything is spliced.
#[tokio::test]
async fn net_19_a_writer_that_hesitates_keeps_the_order() {
    let data = pattern(BULK);
    for (splice, (client, a), (b, server)) in tunnels().await {
        let mut b = Odd::new(b);
        b.stutters = true;
        let (report, answer, question) =
            tokio::join!(relay(config(splice), a, b), talk(client, &data), talk(server, b"thanks"));
        assert!(question == data && answer == b"thanks");
        assert_path(&report, splice);
    }
}

/// NET-19: a reader that stands still again and again gets all of it.
#[tokio::test]
async fn net_19_a_reader_that_stalls_gets_all() {
    let data = pattern(4 * BULK);
    for (splice, (mut client, a), (b, mut server)) in tunnels().await {
        server.shutdown().await.unwrap();
        let (report, got) = tokio::join!(relay(config(splice), a, b), async {
            let mut got = Vec::new();
            let mut sent = 0;
            while sent < data.len() {
                // Everything between the two is full.
                sent += stuff(&mut client, &data[sent..]).await;
                let mut piece = vec![0; 1_500_000];
                let n = server.read(&mut piece).await.unwrap();
                got.extend_from_slice(&piece[..n]);
            }
            drop(client);
            got.extend(read_all(&mut server).await);
            got
        });
        assert!(got == data);
        assert_eq!((report.outcome, report.a_to_b), (RelayOutcome::Complete, 4 * BULK as u64));
        assert_path(&report, splice);
    }
}

/// NET-19: no bytes are kept back to wait for others, be it the last ones of a large piece or a word after it.
#[tokio::test]
async fn net_19_the_last_bytes_of_a_piece_are_not_kept_back() {
    let data = pattern(BULK);
    for (splice, (mut client, a), (b, mut server)) in tunnels().await {
        let rounds = async {
            let mut got = vec![0; 200_000];
            for round in 0..1_000 {
                for n in [100_001 + round, 1 + round % 100] {
                    let (sent, read) =
                        tokio::join!(client.write_all(&data[round..round + n]), server.read_exact(&mut got[..n]));
                    sent.unwrap();
                    read.unwrap();
                    assert!(got[..n] == data[round..round + n]);
                    // The next piece waits for this one's answer.
                    server.write_all(b".").await.unwrap();
                    client.read_exact(&mut [0]).await.unwrap();
                }
            }
            client.shutdown().await.unwrap();
            server.shutdown().await.unwrap();
        };
        // A piece that waits for the kernel to lose its patience takes 200 ms: all of them would take far longer than this.
        let (report, rounds) = tokio::join!(relay(config(splice), a, b), timeout(Duration::from_secs(60), rounds));
        rounds.expect("bytes were kept back");
        assert_eq!(report.outcome, RelayOutcome::Complete);
        assert_eq!(report.b_to_a, 2_000);
    }
}

/// NET-19: urgent data (RFC 9293 section 3.8.5) is not part of the stream, and does not end it.
#[tokio::test]
async fn net_19_urgent_data_does_not_stop_the_stream() {
    let data = pattern(BULK);
    for (splice, (mut client, a), (b, mut server)) in tunnels().await {
        server.shutdown().await.unwrap();
        let (report, ()) = tokio::join!(relay(config(splice), a, b), async {
            bulk(&mut client, &mut server, &data).await;
            let interrupted = async {
                client.write_all(b"before, ").await.unwrap();
                socket2::SockRef::from(&client).send_out_of_band(b"!").unwrap();
                client.write_all(&data).await.unwrap();
            };
            let mut words = vec![0; 8 + BULK];
            let ((), read) = tokio::join!(interrupted, server.read_exact(&mut words));
            read.unwrap();
            assert!(words[..8] == *b"before, " && words[8..] == data);
            // And with the end behind it.
            socket2::SockRef::from(&client).send_out_of_band(b"!").unwrap();
            client.write_all(b"the last words").await.unwrap();
            client.shutdown().await.unwrap();
            assert_eq!(read_all(&mut server).await, b"the last words");
        });
        assert_eq!((report.outcome, report.a_to_b), (RelayOutcome::Complete, 2 * BULK as u64 + 8 + 14));
        assert_path(&report, splice);
    }
}
