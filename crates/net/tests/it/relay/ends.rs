//! Ends of streams: half-close, late data, order.

use super::*;

/// What one side says, and then waits for the other to have ended before it answers.
async fn asks_then_answers<A: Io, B: Io>((mut client, a): (A, A), (b, mut server): (B, B), len: usize) {
    let answer = pattern(len);
    let (report, got) = tokio::join!(relay(RelayConfig::default(), a, b), async {
        client.write_all(b"the whole question").await.unwrap();
        client.shutdown().await.unwrap();
        let serve = async {
            // Only the end of the question, as its own event, lets the answer begin.
            assert_eq!(read_all(&mut server).await, b"the whole question");
            server.write_all(&answer).await.unwrap();
            server.shutdown().await.unwrap();
        };
        tokio::join!(read_all(&mut client), serve).0
    });
    assert!(got == answer);
    assert_eq!((report.outcome, report.a_to_b, report.b_to_a), (RelayOutcome::Complete, 18, len as u64));
}

/// NET-06: the end of one direction is passed on, and the other goes on: a late answer arrives in full.
#[tokio::test(start_paused = true)]
async fn a_half_close_is_passed_on_per_direction() {
    asks_then_answers(pipe(), pipe(), 1 << 20).await;
    asks_then_answers(narrow(1), narrow(1), 1_000).await;
}

/// NET-06, the other way round: the dialed side ends first, and still gets what the accepted side has to say.
#[tokio::test(start_paused = true)]
async fn a_half_close_of_the_dialed_side_is_passed_on() {
    let ((mut client, a), (b, mut server)) = (pipe(), pipe());
    let (report, got) = tokio::join!(relay(RelayConfig::default(), a, b), async {
        server.write_all(b"banner").await.unwrap();
        server.shutdown().await.unwrap();
        assert_eq!(read_all(&mut client).await, b"banner");
        client.write_all(b"late words").await.unwrap();
        client.shutdown().await.unwrap();
        read_all(&mut server).await
    });
    assert_eq!(got, b"late words");
    assert_eq!((report.outcome, report.a_to_b, report.b_to_a), (RelayOutcome::Complete, 10, 6));
}

/// NET-06 with real sockets: `SHUT_WR`, then the full late answer.
#[tokio::test]
async fn a_half_close_is_passed_on_between_sockets() {
    asks_then_answers(tcp().await, tcp().await, 1 << 20).await;
}

/// NET-08: what was sent before a FIN is delivered, however slow the reader is.
#[tokio::test(start_paused = true)]
async fn bytes_before_the_end_reach_a_slow_reader() {
    // The client's end is gone at once with all its bytes under way; the server gets a few at a time, each a second late.
    let slow = PipeDirection { capacity: 3_000, latency: Duration::from_secs(1), ..PipeDirection::default() };
    let ((mut client, a), (b, mut server)) =
        (narrow(1 << 20), PipeOptions { a_to_b: slow, ..PipeOptions::default() }.pipe());
    let data = pattern(1 << 20);
    client.write_all(&data).await.unwrap();
    drop(client);
    server.shutdown().await.unwrap();
    let (report, got) = tokio::join!(relay(RelayConfig::default(), a, b), read_all(&mut server));
    assert!(got == data);
    assert_eq!((report.outcome, report.a_to_b), (RelayOutcome::Complete, 1 << 20));
    assert!(report.elapsed > RelayConfig::DEFAULT_DRAIN, "slow enough that the drain limit would have cut a total");
}

/// NET-08 with real sockets: the client closes before the server has read a byte.
#[tokio::test]
async fn bytes_before_a_fin_reach_a_slow_reader_between_sockets() {
    let ((mut client, a), (b, mut server)) = (tcp().await, tcp().await);
    let data = pattern(1 << 20);
    let (report, got, ()) = tokio::join!(
        relay(RelayConfig::default(), a, b),
        async {
            let (mut got, mut piece) = (Vec::new(), [0; 1_500]);
            loop {
                match server.read(&mut piece).await.unwrap() {
                    0 => break,
                    n => got.extend_from_slice(&piece[..n]),
                }
                tokio::task::yield_now().await;
            }
            server.shutdown().await.unwrap();
            got
        },
        async {
            client.write_all(&data).await.unwrap();
            drop(client);
        }
    );
    assert!(got == data);
    assert_eq!((report.outcome, report.a_to_b), (RelayOutcome::Complete, 1 << 20));
}
