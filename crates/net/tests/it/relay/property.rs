//! Any sizes of reads and writes, any capacity, any order of ends: both streams arrive whole, and nothing stalls.

use chaski_core::test_util::Chunking;

use super::*;

/// Choices that one seed fixes.
struct Dice(u64);

impl Dice {
    fn roll<T: Copy>(&mut self, choices: &[T]) -> T {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        choices[(self.0 >> 33) as usize % choices.len()]
    }

    fn direction(&mut self, paused: bool) -> PipeDirection {
        let sizes = |dice: &mut Self| match dice.roll(&[0, 1, 2, 3]) {
            0 => Chunking::Whole,
            1 => Chunking::Bytes(dice.roll(&[1, 2, 7, 4_096])),
            _ => Chunking::Random { seed: dice.0, max: dice.roll(&[1, 3, 17, 5_000]) },
        };
        PipeDirection {
            capacity: self.roll(&[1, 2, 3, 64, 1_000]),
            reads: sizes(self),
            writes: sizes(self),
            latency: if paused { Duration::from_millis(self.roll(&[0, 0, 0, 1, 50])) } else { Duration::ZERO },
            pending_first: self.roll(&[false, true]),
            ..PipeDirection::default()
        }
    }

    /// Latency only on a paused clock: there it costs no time.
    fn pipe(&mut self, paused: bool) -> (Pipe, Pipe) {
        PipeOptions { a_to_b: self.direction(paused), b_to_a: self.direction(paused) }.pipe()
    }
}

/// When a side ends its stream: as soon as all is written, or not before the other side has.
#[derive(Clone, Copy, PartialEq)]
enum Order {
    AtOnce,
    ClientFirst,
    ServerFirst,
}

/// Writes `data` and reads to the end, at the same time.
async fn talk(io: Pipe, data: Vec<u8>, ends_last: bool) -> Vec<u8> {
    let (mut reader, mut writer) = tokio::io::split(io);
    let (heard, hear) = tokio::sync::oneshot::channel();
    let mut got = Vec::new();
    tokio::join!(
        async {
            writer.write_all(&data).await.unwrap();
            if ends_last {
                hear.await.unwrap();
            }
            writer.shutdown().await.unwrap();
        },
        async {
            reader.read_to_end(&mut got).await.unwrap();
            let _ = heard.send(());
        }
    );
    got
}

/// The relay and the two ends in tasks of their own, so that none is polled because of another's wake-up.
async fn one(seed: u64, paused: bool) {
    let mut dice = Dice(seed);
    let ((client, a), (b, server)) = (dice.pipe(paused), dice.pipe(paused));
    let lengths = [0, 1, 2, 100, 500];
    let (question, answer) = (pattern(dice.roll(&lengths)), pattern(dice.roll(&lengths)));
    let order = dice.roll(&[Order::AtOnce, Order::ClientFirst, Order::ServerFirst]);

    let day = Duration::from_secs(24 * 60 * 60);
    let relay = tokio::spawn(relay(RelayConfig::default().with_idle(day).with_drain(day).with_shutdown(day), a, b));
    let client = tokio::spawn(talk(client, question.clone(), order == Order::ServerFirst));
    let server = tokio::spawn(talk(server, answer.clone(), order == Order::ClientFirst));
    let (got_question, got_answer) = (server.await.unwrap(), client.await.unwrap());
    let report = relay.await.unwrap();
    assert_eq!(report.outcome, RelayOutcome::Complete, "seed {seed}");
    assert!(got_question == question && got_answer == answer, "seed {seed}");
    // A wake-up that was missed is made good by the timer, a day later.
    assert!(report.elapsed < day / 2, "seed {seed}: stalled");
    assert_eq!((report.a_to_b, report.b_to_a), (question.len() as u64, answer.len() as u64), "seed {seed}");
}

#[tokio::test(start_paused = true)]
async fn both_streams_arrive_whole_whatever_the_sizes_and_the_order() {
    for seed in 0..200 {
        one(seed, true).await;
    }
}

/// The same with the two ends and the relay on threads of their own, where wake-ups race.
#[tokio::test(flavor = "multi_thread", worker_threads = 3)]
async fn both_streams_arrive_whole_on_many_threads() {
    for seed in 1_000..1_100 {
        one(seed, false).await;
    }
}
