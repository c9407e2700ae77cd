//! No wake-up is lost under back-pressure, whoever moves when.
//!
//! A relay polls both its sides in one task. It stops reading one side while the other takes no bytes; once those have
//! left it has to look at the reader again by itself, since that one has no waker of it and what has arrived in the
//! meantime wakes nobody. All limits of time are off here, so that no timer makes good what was lost.

use std::{
    collections::VecDeque,
    future::Future,
    pin::{Pin, pin},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    task::{Context, Poll, Wake, Waker},
};

use chaski_core::test_util::{Chunking, PipeProbe};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use super::*;

/// The least buffer there is.
const BUFFER: usize = 8 * 1024;

fn untimed() -> RelayConfig {
    RelayConfig::default()
        .with_first_byte(None)
        .with_idle(None)
        .with_drain(None)
        .with_shutdown(None)
        .with_max_buffer(BUFFER)
}

/// A sequence of choices that a seed fixes.
struct Dice(u64);

impl Dice {
    fn below(&mut self, n: usize) -> usize {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) as usize % n
    }
}

#[derive(Default)]
struct Woken(AtomicBool);

impl Wake for Woken {
    fn wake(self: Arc<Self>) {
        self.0.store(true, Ordering::SeqCst);
    }
}

/// One end that the test plays itself, a step at a time, and what it has seen of the stream that comes to it.
struct End {
    io: Pipe,
    /// What was written and the other end has not read.
    sent: VecDeque<u8>,
    next: u8,
    ended: bool,
    saw_end: bool,
}

impl End {
    fn new(io: Pipe) -> Self {
        Self { io, sent: VecDeque::new(), next: 0, ended: false, saw_end: false }
    }

    fn write(&mut self, len: usize) {
        if self.ended {
            return;
        }
        let bytes: Vec<u8> = (0..len).map(|n| self.next.wrapping_add(n as u8)).collect();
        if let Poll::Ready(n) = Pin::new(&mut self.io).poll_write(&mut Context::from_waker(Waker::noop()), &bytes) {
            let n = n.unwrap();
            self.sent.extend(&bytes[..n]);
            self.next = self.next.wrapping_add(n as u8);
        }
    }

    fn end(&mut self) {
        self.ended = true;
        let _ = Pin::new(&mut self.io).poll_shutdown(&mut Context::from_waker(Waker::noop()));
    }

    /// Reads what there is, up to `len` bytes, and compares it with what the other end has sent.
    fn read(&mut self, len: usize, other: &mut Self) {
        let mut bytes = vec![0; len];
        let mut space = ReadBuf::new(&mut bytes);
        let mut cx = Context::from_waker(Waker::noop());
        while space.remaining() > 0 && !self.saw_end {
            let before = space.filled().len();
            match Pin::new(&mut self.io).poll_read(&mut cx, &mut space) {
                Poll::Ready(result) => result.unwrap(),
                Poll::Pending => break,
            }
            self.saw_end = space.filled().len() == before;
        }
        for byte in space.filled() {
            assert_eq!(Some(*byte), other.sent.pop_front());
        }
    }
}

/// One direction of the relay as seen from outside: the writing end, the relay's reader, its writer, the reading end.
struct Lane {
    probes: [PipeProbe; 4],
    capacity: usize,
}

impl Lane {
    /// Whether the relay could move a byte, or the end of the stream, if only it were polled.
    fn could_move(&self, ended: bool) -> bool {
        let [from, reader, writer, to] = self.probes.each_ref().map(PipeProbe::stats);
        let arriving = from.bytes_written - reader.bytes_read;
        let held = reader.bytes_read - writer.bytes_written;
        let leaving = writer.bytes_written - to.bytes_read;
        let can_read = held == 0 && arriving > 0;
        let can_write = held > 0 && leaving < self.capacity as u64;
        let can_end = held == 0 && arriving == 0 && ended && writer.shutdown_polls == 0;
        can_read || can_write || can_end
    }
}

/// Takes random steps with both ends, and polls the relay when it was woken, now or later. When it was not, then
/// because there was nothing to do.
fn walk(seed: u64) {
    let mut dice = Dice(seed);
    let capacity = [1, 3, 4_096, 20_000][dice.below(4)];
    let reads = [Chunking::Whole, Chunking::Bytes(50), Chunking::Bytes(5_000)][dice.below(3)];
    let direction = PipeDirection { capacity, reads, ..PipeDirection::default() };
    let (client, a) = PipeOptions::both(direction).pipe();
    let (b, server) = PipeOptions::both(direction).pipe();
    let [client_probe, a_probe, b_probe, server_probe] = [&client, &a, &b, &server].map(Pipe::probe);
    let [there, back] = [
        [client_probe.clone(), a_probe.clone(), b_probe.clone(), server_probe.clone()],
        [server_probe, b_probe, a_probe, client_probe],
    ]
    .map(|probes| Lane { probes, capacity });
    let (mut client, mut server) = (End::new(client), End::new(server));

    let relay = Relay::new(untimed());
    let mut relay = pin!(relay.serve(Bridge::new(Conn::new(a), Conn::new(b))));
    let woken = Arc::new(Woken(AtomicBool::new(true)));
    let waker = Waker::from(Arc::clone(&woken));
    let steps = 60 + dice.below(100);
    for step in 0.. {
        // In the end both streams end and all is read, so that the relay comes to its end too.
        let ending = step > steps;
        assert!(step < 100_000, "seed {seed}: it does not end");
        match dice.below(5) {
            0 if ending && !client.ended => client.end(),
            1 if ending && !server.ended => server.end(),
            0 => client.write(1 + dice.below(BUFFER)),
            1 => server.write(1 + dice.below(BUFFER)),
            2 => client.read(1 + dice.below(2 * BUFFER), &mut server),
            3 => server.read(1 + dice.below(2 * BUFFER), &mut client),
            _ if woken.0.swap(false, Ordering::SeqCst) => {
                if let Poll::Ready(report) = relay.as_mut().poll(&mut Context::from_waker(&waker)) {
                    assert_eq!(report.map(|report| report.outcome), Ok(RelayOutcome::Complete), "seed {seed}");
                    break;
                }
            }
            _ => {}
        }
        if !woken.0.load(Ordering::SeqCst) {
            assert!(!there.could_move(client.ended), "seed {seed}, step {step}: nobody wakes the relay, to the server");
            assert!(!back.could_move(server.ended), "seed {seed}, step {step}: nobody wakes the relay, to the client");
        }
    }
    while !(client.saw_end && server.saw_end) {
        client.read(BUFFER, &mut server);
        server.read(BUFFER, &mut client);
    }
    assert!(client.sent.is_empty() && server.sent.is_empty(), "seed {seed}: bytes were lost");
}

/// NET-13, step by step: at every moment the relay either has nothing to do or has been woken.
#[test]
fn a_relay_that_could_go_on_has_been_woken() {
    (0..200).for_each(walk);
}

/// Sends `bytes` in pieces of up to `largest` and reads as many, each in a task of its own, with pauses of random length: the
/// pump stands still again and again for want of bytes and for want of room.
async fn pump(io: impl Io, bytes: usize, largest: usize, seed: u64) -> usize {
    let (mut reader, mut writer) = tokio::io::split(io);
    let writing = tokio::spawn(async move {
        let (mut dice, data, mut sent) = (Dice(seed), pattern(bytes), 0);
        while sent < bytes {
            let n = (bytes - sent).min(1 + dice.below(largest));
            writer.write_all(&data[sent..sent + n]).await.unwrap();
            sent += n;
            pause(&mut dice).await;
        }
        writer.shutdown().await.unwrap();
    });
    let reading = tokio::spawn(async move {
        let (mut dice, data, mut got) = (Dice(!seed), pattern(bytes), 0);
        let mut piece = vec![0; largest];
        loop {
            let space = 1 + dice.below(largest);
            match reader.read(&mut piece[..space]).await.unwrap() {
                0 => return got,
                n => {
                    assert!(piece[..n] == data[got..got + n]);
                    got += n;
                }
            }
            pause(&mut dice).await;
        }
    });
    writing.await.unwrap();
    reading.await.unwrap()
}

/// Mostly none, at times long enough for all buffers to fill up or to run dry.
async fn pause(dice: &mut Dice) {
    let turns = [0, 0, 0, 1, 5, 60][dice.below(6)];
    for _ in 0..turns {
        tokio::task::yield_now().await;
    }
}

async fn tunnel(
    near: (impl Io, impl Io),
    far: (impl Io, impl Io),
    bytes: usize,
    largest: usize,
    seed: u64,
) -> RelayReport {
    let ((client, a), (b, server)) = (near, far);
    let relay = tokio::spawn(relay(untimed(), a, b));
    let ends =
        (tokio::spawn(pump(client, bytes, largest, seed)), tokio::spawn(pump(server, bytes, largest, seed ^ 0xff)));
    assert_eq!((ends.0.await.unwrap(), ends.1.await.unwrap()), (bytes, bytes));
    let report = relay.await.unwrap();
    assert_eq!(report.outcome, RelayOutcome::Complete);
    report
}

/// NET-13, on many threads: both directions are pumped through buffers of a few bytes, by tasks that stall at random.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_pump_under_back_pressure_both_ways_never_wedges() {
    let mut tunnels = tokio::task::JoinSet::new();
    for seed in 0..64 {
        // A tunnel with narrow ends has fewer bytes to move, so that all take their time together.
        let [near, far, bytes] =
            [[1, 1_000, 500], [60, 900, 20_000], [1_000, 50, 20_000], [2, 3, 500]][seed as usize % 4];
        tunnels.spawn(tunnel(narrow(near), narrow(far), bytes, 3_000, seed));
    }
    for seed in 64..68 {
        let (near, far) = (tcp().await, tcp().await);
        tunnels.spawn(tunnel(near, far, 1 << 20, 3_000, seed));
    }
    // Far more than it takes: what is wedged stays wedged.
    tokio::time::timeout(Duration::from_secs(60), tunnels.join_all()).await.expect("a tunnel stands still");
}

/// NET-13, on many threads, through pipes: large pieces between sockets with little room.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_spliced_pump_under_back_pressure_both_ways_never_wedges() {
    let mut tunnels = tokio::task::JoinSet::new();
    for seed in 0..6 {
        let (near, far) = (tcp().await, tcp().await);
        // No less than a segment of loopback, or all waits for the kernel's timers.
        for (socket, room) in
            [(&near.0, 64), (&near.1, 300), (&far.0, [64, 128, 300][seed as usize % 3]), (&far.1, 100)]
        {
            let socket = socket2::SockRef::from(socket);
            socket.set_send_buffer_size(room << 10).unwrap();
            socket.set_recv_buffer_size(room << 10).unwrap();
        }
        tunnels.spawn(tunnel(near, far, 4 << 20, 200_000, seed));
    }
    let reports =
        tokio::time::timeout(Duration::from_secs(60), tunnels.join_all()).await.expect("a tunnel stands still");
    let spliced: u64 = reports.iter().map(|report| report.spliced).sum();
    let all = 6 * 2 * (4 << 20);
    assert!(!cfg!(target_os = "linux") || spliced > all / 2, "{spliced} of {all}");
}
