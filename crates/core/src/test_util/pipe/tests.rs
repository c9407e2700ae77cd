use std::{future::Future, io::ErrorKind, pin::pin, task::Waker, time::Duration};

use tokio::io::{AsyncReadExt, AsyncWriteExt};

use super::*;
use crate::test_util::Chunking;

fn with(change: impl FnOnce(&mut PipeDirection)) -> (Pipe, Pipe) {
    let mut direction = PipeDirection::default();
    change(&mut direction);
    PipeOptions { a_to_b: direction, ..PipeOptions::default() }.pipe()
}

fn faulty(fault: Fault) -> (Pipe, Pipe) {
    with(|direction| direction.fault = Some(fault))
}

/// Polls once, without a runtime's help.
fn now_or_never<F: Future>(future: F) -> Option<F::Output> {
    match pin!(future).poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(output) => Some(output),
        Poll::Pending => None,
    }
}

async fn read_sizes(end: &mut Pipe) -> Vec<usize> {
    let (mut sizes, mut buf) = (Vec::new(), [0; 64]);
    loop {
        match end.read(&mut buf).await.unwrap() {
            0 => return sizes,
            n => sizes.push(n),
        }
    }
}

#[tokio::test]
async fn reads_come_in_the_chosen_sizes() {
    for (reads, sizes) in
        [(Chunking::Whole, vec![7]), (Chunking::Bytes(3), vec![3, 3, 1]), (Chunking::Bytes(1), vec![1; 7])]
    {
        let (mut a, mut b) = with(|direction| direction.reads = reads);
        a.write_all(b"hel").await.unwrap();
        a.write_all(b"lo, ").await.unwrap();
        drop(a);
        assert_eq!(read_sizes(&mut b).await, sizes);
    }
}

#[tokio::test]
async fn writes_are_short_when_asked() {
    let (mut a, mut b) = with(|direction| direction.writes = Chunking::Bytes(2));
    assert_eq!(a.write(b"hello").await.unwrap(), 2);
    a.write_all(b"llo").await.unwrap();
    assert_eq!(a.probe().stats().writes, 3);
    drop(a);
    assert_eq!(read_sizes(&mut b).await, [5], "reads are not chunked by it");
}

#[tokio::test]
async fn a_vectored_write_takes_all_slices_up_to_the_room() {
    let (mut a, mut b) = with(|direction| direction.capacity = 6);
    assert!(a.is_write_vectored());
    let slices = [&b"ab"[..], b"", b"cde", b"fgh"].map(io::IoSlice::new);
    assert_eq!(a.write_vectored(&slices).await.unwrap(), 6);
    let mut got = [0; 6];
    b.read_exact(&mut got).await.unwrap();
    assert_eq!(&got, b"abcdef");
    assert!(!with(|direction| direction.vectored = false).0.is_write_vectored());
}

#[tokio::test]
async fn a_full_pipe_blocks_its_writer_until_it_is_read() {
    let text: Vec<u8> = (0..200).collect();
    for capacity in [1, 2, 7] {
        let (mut a, mut b) = with(|direction| direction.capacity = capacity);
        let mut got = Vec::new();
        let (written, read) = tokio::join!(
            async {
                a.write_all(&text).await?;
                a.shutdown().await
            },
            b.read_to_end(&mut got),
        );
        written.unwrap();
        assert_eq!(read.unwrap(), 200);
        assert_eq!(got, text);
    }
    let (mut a, _b) = with(|direction| direction.capacity = 0);
    assert!(now_or_never(a.write(b"x")).is_none());
}

#[tokio::test(start_paused = true)]
async fn latency_holds_each_piece_and_the_end() {
    let (mut a, mut b) = with(|direction| direction.latency = Duration::from_millis(100));
    let start = Instant::now();
    let mut buf = [0; 16];
    let reader = async {
        let mut seen = Vec::new();
        loop {
            let n = b.read(&mut buf).await.unwrap();
            seen.push((start.elapsed().as_millis(), n));
            if n == 0 {
                return seen;
            }
        }
    };
    let writer = async {
        a.write_all(b"one").await.unwrap();
        tokio::time::advance(Duration::from_millis(30)).await;
        a.write_all(b"three").await.unwrap();
        tokio::time::advance(Duration::from_millis(40)).await;
        drop(a);
    };
    let (seen, ()) = tokio::join!(reader, writer);
    assert_eq!(seen, [(100, 3), (130, 5), (170, 0)]);
    // The other direction has none.
    let (a, mut b) = with(|direction| direction.latency = Duration::from_secs(1));
    drop(a);
    assert_eq!(b.write(b"x").await.unwrap_err().kind(), ErrorKind::BrokenPipe);
}

#[tokio::test]
async fn a_shutdown_ends_one_direction_only() {
    let (mut a, mut b) = pipe();
    a.write_all(b"request").await.unwrap();
    a.shutdown().await.unwrap();
    assert_eq!(a.write(b"x").await.unwrap_err().kind(), ErrorKind::BrokenPipe);
    assert_eq!(read_sizes(&mut b).await, [7]);
    b.write_all(b"response").await.unwrap();
    assert_eq!(a.read(&mut [0; 16]).await.unwrap(), 8);
    assert!(now_or_never(a.read(&mut [0; 16])).is_none(), "the other direction is still open");
}

#[tokio::test]
async fn a_dropped_end_is_seen_by_both_sides_of_the_other() {
    let (mut a, mut b) = pipe();
    a.write_all(b"last").await.unwrap();
    drop(a);
    assert_eq!(b.write(b"x").await.unwrap_err().kind(), ErrorKind::BrokenPipe);
    assert_eq!(read_sizes(&mut b).await, [4]);
}

#[tokio::test]
async fn a_dropped_end_wakes_a_blocked_writer_and_a_waiting_reader() {
    let (mut a, b) = with(|direction| direction.capacity = 1);
    let (written, ()) = tokio::join!(a.write_all(b"xy"), async { drop(b) });
    assert_eq!(written.unwrap_err().kind(), ErrorKind::BrokenPipe);
    let (mut a, b) = pipe();
    let (read, ()) = tokio::join!(a.read_u8(), async { drop(b) });
    assert_eq!(read.unwrap_err().kind(), ErrorKind::UnexpectedEof);
}

#[tokio::test]
async fn close_after_ends_the_stream_for_both() {
    let (mut a, mut b) = faulty(Fault::CloseAfter(3));
    assert_eq!(a.write(b"hello").await.unwrap(), 3);
    assert_eq!(a.write(b"lo").await.unwrap_err().kind(), ErrorKind::BrokenPipe);
    assert_eq!(read_sizes(&mut b).await, [3]);
    let (_a, mut b) = faulty(Fault::CloseAfter(0));
    assert_eq!(b.read(&mut [0; 4]).await.unwrap(), 0);
}

#[tokio::test]
async fn reset_after_resets_the_whole_connection() {
    let (mut a, mut b) = faulty(Fault::ResetAfter(3));
    b.write_all(b"lost").await.unwrap();
    let waiting = a.write(b"hello").await.unwrap();
    assert_eq!(waiting, 3);
    let reset = ErrorKind::ConnectionReset;
    assert_eq!(a.write(b"lo").await.unwrap_err().kind(), reset);
    assert_eq!(a.read(&mut [0; 16]).await.unwrap_err().kind(), reset);
    assert_eq!(a.shutdown().await.unwrap_err().kind(), reset);
    assert_eq!(b.write(b"x").await.unwrap_err().kind(), reset);
    assert_eq!(b.read(&mut [0; 16]).await.unwrap(), 3, "the bytes before the reset arrive");
    assert_eq!(b.read(&mut [0; 16]).await.unwrap_err().kind(), reset);
}

#[tokio::test]
async fn a_reset_wakes_who_waits_on_the_other_direction() {
    let (a, mut b) = faulty(Fault::ResetAfter(1));
    let (mut reading, mut writing) = tokio::io::split(a);
    let waiting = tokio::spawn(async move { reading.read_u8().await.unwrap_err().kind() });
    tokio::task::yield_now().await;
    writing.write_all(b"x").await.unwrap();
    assert_eq!(waiting.await.unwrap(), ErrorKind::ConnectionReset);
    assert_eq!(b.read_u8().await.unwrap(), b'x');
}

#[tokio::test]
async fn write_zero_after_takes_nothing_more() {
    let (mut a, mut b) = faulty(Fault::WriteZeroAfter(3));
    assert_eq!(a.write_all(b"hello").await.unwrap_err().kind(), ErrorKind::WriteZero);
    assert_eq!(a.write(b"lo").await.unwrap(), 0);
    assert_eq!(b.read(&mut [0; 16]).await.unwrap(), 3);
    assert!(now_or_never(b.read(&mut [0; 16])).is_none());
}

#[tokio::test]
async fn stall_after_hangs_the_reader_and_fills_the_pipe() {
    let (mut a, mut b) = with(|direction| {
        direction.fault = Some(Fault::StallAfter(3));
        direction.capacity = 5;
    });
    assert_eq!(a.write(b"hello").await.unwrap(), 5);
    assert!(now_or_never(a.write(b"x")).is_none());
    assert_eq!(b.read(&mut [0; 16]).await.unwrap(), 3);
    assert_eq!(a.write(b"world").await.unwrap(), 3);
    assert!(now_or_never(a.write(b"x")).is_none());
    drop(a);
    assert!(now_or_never(b.read(&mut [0; 16])).is_none(), "not even the end is seen");
}

#[tokio::test]
async fn pending_first_makes_every_poll_two() {
    let (mut a, mut b) = with(|direction| {
        direction.pending_first = true;
        direction.reads = Chunking::Bytes(2);
    });
    a.write_all(b"abc").await.unwrap();
    a.shutdown().await.unwrap();
    assert_eq!(read_sizes(&mut b).await, [2, 1]);
    let (wrote, read) = (a.probe().stats(), b.probe().stats());
    assert_eq!((wrote.write_polls, wrote.writes), (2, 1));
    assert_eq!((read.read_polls, read.reads), (6, 3));
}

#[tokio::test]
async fn both_sides_of_an_end_have_their_own_waker() {
    let (a, mut b) = PipeOptions::both(PipeDirection { capacity: 1, ..PipeDirection::default() }).pipe();
    let (mut reading, mut writing) = tokio::io::split(a);
    let reader = tokio::spawn(async move { reading.read_u8().await.unwrap() });
    let writer = tokio::spawn(async move { writing.write_all(b"xy").await.unwrap() });
    tokio::task::yield_now().await;
    assert_eq!(b.read_u8().await.unwrap(), b'x');
    assert_eq!(b.read_u8().await.unwrap(), b'y');
    writer.await.unwrap();
    b.write_all(b"z").await.unwrap();
    assert_eq!(reader.await.unwrap(), b'z');
}

#[tokio::test(start_paused = true)]
async fn a_probe_counts_and_tells_when() {
    let (mut a, mut b) = pipe();
    let (of_a, of_b) = (a.probe(), b.probe());
    let start = Instant::now();
    assert!(now_or_never(b.read(&mut [0; 4])).is_none());
    a.write_all(b"hello").await.unwrap();
    a.flush().await.unwrap();
    assert_eq!(b.read(&mut [0; 4]).await.unwrap(), 4);
    tokio::time::advance(Duration::from_secs(1)).await;
    a.shutdown().await.unwrap();
    tokio::time::advance(Duration::from_secs(1)).await;
    a.shutdown().await.unwrap();
    drop(a);
    let expected = PipeStats {
        bytes_written: 5,
        writes: 1,
        write_polls: 1,
        flush_polls: 1,
        shutdown_polls: 2,
        shutdown_at: Some(start + Duration::from_secs(1)),
        dropped_at: Some(start + Duration::from_secs(2)),
        ..PipeStats::default()
    };
    assert_eq!(of_a.stats(), expected);
    assert_eq!(of_b.stats(), PipeStats { bytes_read: 4, reads: 1, read_polls: 2, ..PipeStats::default() });
    assert_eq!(of_a.until(|stats| stats.dropped_at.is_some()).await, expected);
}

#[test]
fn a_pipe_without_latency_needs_no_runtime() {
    let (mut a, mut b) = pipe();
    assert_eq!(now_or_never(a.write(b"hello")).unwrap().unwrap(), 5);
    assert_eq!(now_or_never(b.read(&mut [0; 16])).unwrap().unwrap(), 5);
}
