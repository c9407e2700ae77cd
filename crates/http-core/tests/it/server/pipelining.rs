//! Many requests, in few pieces and in many.

use std::{
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use chaski_core::{
    http::Request,
    service_fn,
    test_util::{Chunking, PipeDirection, PipeOptions},
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    time::sleep,
};

use super::harness::*;

const GET: &str = "GET /a HTTP/1.1\r\nhost: a\r\n\r\n";
const ANSWER: &str = "HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\n/a";

/// Sends all of `input`, then closes that direction; reads at the same time.
async fn exchange(client: Client, input: Vec<u8>) -> String {
    let (mut reading, mut writing) = tokio::io::split(client.io);
    let writer = tokio::spawn(async move {
        writing.write_all(&input).await.unwrap();
        writing.shutdown().await.unwrap();
    });
    let mut answers = String::new();
    patient("reading", reading.read_to_string(&mut answers)).await.unwrap();
    writer.await.unwrap();
    patient("the server", client.server).await.unwrap().unwrap().unwrap();
    undated(&answers)
}

/// 10,000 requests in one write are answered in order, in few writes: a batch each of what a read brings.
#[tokio::test(start_paused = true)]
async fn pipelined_requests_are_answered_in_few_writes() {
    let large = PipeDirection { capacity: 1 << 20, ..PipeDirection::default() };
    let mut client = Setup::new().pipe(PipeOptions::both(large)).serve(service_fn(path));
    let input: String = (0..10_000).map(|n| format!("GET /{n:05} HTTP/1.1\r\nhost: a\r\n\r\n")).collect();
    client.send(&input).await;
    client.end().await;
    let expected: String =
        (0..10_000).map(|n| format!("HTTP/1.1 200 OK\r\ncontent-length: 6\r\n\r\n/{n:05}")).collect();
    let answers = client.rest().await;
    assert!(answers == expected, "{} bytes, {} expected", answers.len(), expected.len());
    // 810,000 bytes with their dates, which is 13 batches of 64 KiB, and a read takes 8 KiB at first.
    let stats = client.probe.stats();
    assert!(stats.writes <= 24, "{stats:?}");
    client.outcome().await.unwrap();
}

/// H1-18: 100,000 small messages through pipes that hold less than one of them, without a stall.
#[tokio::test(start_paused = true)]
async fn small_messages_through_tiny_pipes_never_stall() {
    const MESSAGES: usize = 100_000;
    let chunking = Chunking::Random { seed: 18, max: 100 };
    let direction = PipeDirection { capacity: 40, reads: chunking, writes: chunking, ..PipeDirection::default() };
    let client = Setup::new().pipe(PipeOptions::both(direction)).serve(service_fn(collected));
    let message = "POST / HTTP/1.1\r\nhost: a\r\ncontent-length: 3\r\n\r\nabc";
    let answers = exchange(client, message.repeat(MESSAGES).into_bytes()).await;
    let answer = "HTTP/1.1 200 OK\r\ncontent-length: 3\r\n\r\nabc";
    assert!(answers == answer.repeat(MESSAGES), "{} bytes", answers.len());
}

/// H1-18: one after the other, every poll pending first.
#[tokio::test(start_paused = true)]
async fn messages_in_turn_never_stall() {
    let direction = PipeDirection { capacity: 7, pending_first: true, vectored: false, ..PipeDirection::default() };
    let mut client = Setup::new().pipe(PipeOptions::both(direction)).serve(service_fn(echo));
    for _ in 0..2000 {
        let message = "POST / HTTP/1.1\r\nhost: a\r\ntransfer-encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n";
        let (sent, answer) = {
            let (mut reading, mut writing) = tokio::io::split(&mut client.io);
            let expected = "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\ndate: ".len()
                + "Sun, 06 Nov 1994 08:49:37 GMT\r\n\r\n3\r\nabc\r\n0\r\n\r\n".len();
            let mut answer = vec![0; expected];
            let both = async { tokio::join!(writing.write_all(message.as_bytes()), reading.read_exact(&mut answer)) };
            let (sent, read) = patient("the exchange", both).await;
            read.unwrap();
            (sent, answer)
        };
        sent.unwrap();
        assert_eq!(
            undated(&String::from_utf8(answer).unwrap()),
            "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n"
        );
    }
}

/// While a service works, the server reads a little ahead and no more; what it read is served later.
#[tokio::test(start_paused = true)]
async fn reading_ahead_has_a_bound() {
    let served = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&served);
    let service = service_fn(move |request: Request| {
        let count = Arc::clone(&count);
        async move {
            if count.fetch_add(1, Ordering::Relaxed) == 100 {
                sleep(Duration::from_secs(100)).await;
            }
            path(request).await
        }
    });
    let large = PipeDirection { capacity: 1 << 20, ..PipeDirection::default() };
    for reads in [Chunking::Whole, Chunking::Bytes(1000)] {
        served.store(0, Ordering::Relaxed);
        let direction = PipeDirection { reads, ..large };
        let mut client = Setup::new().pipe(PipeOptions { a_to_b: direction, b_to_a: large }).serve(service.clone());
        client.send(GET.repeat(101)).await;
        assert_eq!(served.load(Ordering::Relaxed), 0);
        sleep(Duration::from_secs(1)).await;
        assert_eq!(served.load(Ordering::Relaxed), 101);
        let before = client.probe.stats().bytes_read;
        client.send(GET.repeat(10_000)).await;
        sleep(Duration::from_secs(1)).await;
        let ahead = client.probe.stats().bytes_read - before;
        assert!((8192..=16 * 1024).contains(&ahead), "{ahead} bytes with {reads:?}");
        client.end().await;
        assert!(client.rest().await == ANSWER.repeat(10_101));
    }
}

/// Answers that are ready leave before the service of a later request is waited for.
#[tokio::test(start_paused = true)]
async fn ready_answers_do_not_wait_for_a_slow_one() {
    let service = service_fn(async |request: Request| {
        if request.uri().path() == "/slow" {
            sleep(Duration::from_secs(100)).await;
        }
        path(request).await
    });
    let mut client = serve(service);
    let start = tokio::time::Instant::now();
    client.send(format!("{GET}{GET}{}{GET}", GET.replace("/a", "/slow"))).await;
    assert_eq!(client.response().await, ANSWER);
    assert_eq!(client.response().await, ANSWER);
    assert_eq!(start.elapsed(), Duration::ZERO);
    assert_eq!(client.probe.stats().writes, 1);
    assert_eq!(client.response().await, "HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\n/slow");
    assert_eq!(client.response().await, ANSWER);
    assert_eq!(client.probe.stats().writes, 2);
}

/// One read and one write for a request, head and body of the answer together.
#[tokio::test(start_paused = true)]
async fn an_exchange_is_one_read_and_one_write() {
    for size in [5, 16 * 1024, 48 * 1024] {
        let mut client = serve(service_fn(move |_: Request| std::future::ready(Ok(ok("x".repeat(size))))));
        for n in 1..=10 {
            client.send(GET).await;
            client.response().await;
            let stats = client.probe.stats();
            assert_eq!((stats.reads, stats.writes), (n, n), "{size} bytes");
        }
    }
}
