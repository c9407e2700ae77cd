//! Inputs cut and mangled at random, by seed.

use std::time::Duration;

use chaski_core::{
    http::Request,
    service_fn,
    test_util::{Chunking, PipeDirection, PipeOptions},
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    time::{Instant, sleep},
};

use super::harness::*;

/// Conversations with what answers them, all framings and endings among them.
const CONVERSATIONS: &[(&str, &str)] = &[
    (
        "GET /a HTTP/1.1\r\nhost: a\r\n\r\nGET /b HTTP/1.1\r\nhost: a\r\n\r\n",
        "HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\n/aHTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\n/b",
    ),
    (
        "POST /collect HTTP/1.1\r\nhost: a\r\ncontent-length: 5\r\n\r\nhello\r\nGET /b HTTP/1.0\r\n\r\n",
        "HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\nhello\
         HTTP/1.1 200 OK\r\ncontent-length: 2\r\nconnection: close\r\n\r\n/b",
    ),
    (
        "POST /collect HTTP/1.1\r\nhost: a\r\ntransfer-encoding: chunked\r\n\r\n\
         5;x=y\r\nhello\r\n06\r\n world\r\n0\r\na: b\r\n\r\nPOST /ignored HTTP/1.1\r\nhost: a\r\n\
         transfer-encoding: chunked\r\n\r\n1\r\nx\r\n0\r\n\r\nGET /c HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n",
        "HTTP/1.1 200 OK\r\ncontent-length: 11\r\n\r\nhello world\
         HTTP/1.1 200 OK\r\ncontent-length: 8\r\n\r\n/ignored\
         HTTP/1.1 200 OK\r\ncontent-length: 2\r\nconnection: close\r\n\r\n/c",
    ),
    (
        "POST /echo HTTP/1.1\r\nhost: a\r\ncontent-length: 5\r\n\r\nhelloHEAD /a HTTP/1.1\r\nhost: a\r\n\r\nBROKEN\r\n\r\n",
        "HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\nhello\
         HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\n\
         HTTP/1.1 400 Bad Request\r\ncontent-length: 0\r\nconnection: close\r\n\r\n",
    ),
    (
        "POST /collect HTTP/1.1\r\nhost: a\r\ntransfer-encoding: chunked\r\n\r\n5\r\nhelloX\n",
        "HTTP/1.1 400 Bad Request\r\ncontent-length: 0\r\nconnection: close\r\n\r\n",
    ),
    (
        "OPTIONS * HTTP/1.1\r\nhost: a\r\n\r\nGET http://b/c HTTP/1.1\r\nhost: b\r\n\r\n",
        "HTTP/1.1 200 OK\r\ncontent-length: 1\r\n\r\n*HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\n/c",
    ),
];

async fn service(request: Request) -> Handled {
    match request.uri().path() {
        "/collect" => collected(request).await,
        "/echo" => echo(request).await,
        "/elsewhere" => {
            let body = request.into_body();
            let _detached = tokio::spawn(body.collect(1000));
            Ok(ok("elsewhere"))
        }
        "/stream" => Ok(ok(pieces(&["a", "b"]))),
        _ => path(request).await,
    }
}

/// Sends all, closes that direction, and returns everything that came.
async fn converse(client: Client, input: Vec<u8>) -> String {
    let (mut reading, mut writing) = tokio::io::split(client.io);
    let writer = tokio::spawn(async move {
        // A server that closes early stops the writing.
        let _ = writing.write_all(&input).await;
        let _ = writing.shutdown().await;
    });
    let mut output = Vec::new();
    patient("reading", reading.read_to_end(&mut output)).await.unwrap();
    patient("writing", writer).await.unwrap();
    patient("the server", client.server).await.expect("a panic");
    undated(&String::from_utf8(output).unwrap())
}

/// Any split of the input, and of the output, gives the same answers.
#[tokio::test(start_paused = true)]
async fn any_split_gives_the_same_answers() {
    for (input, expected) in CONVERSATIONS {
        for seed in 0..200 {
            let max = [1, 2, 5, 17, 1000][usize::try_from(seed % 5).unwrap()];
            let direction = PipeDirection {
                capacity: [1, 3, 64, 4096][usize::try_from(seed % 4).unwrap()],
                reads: Chunking::Random { seed, max },
                writes: Chunking::Random { seed: seed ^ 0x55, max },
                pending_first: seed % 3 == 0,
                vectored: seed % 2 == 0,
                ..PipeDirection::default()
            };
            let client = Setup::new()
                .pipe(PipeOptions::both(direction))
                .config(|config| config.with_half_close(true))
                .serve(service_fn(service));
            let output = converse(client, input.as_bytes().to_vec()).await;
            assert_eq!(output, *expected, "seed {seed}");
        }
    }
}

/// A sequence of numbers that a seed fixes.
struct Numbers(u64);

impl Numbers {
    fn below(&mut self, limit: usize) -> usize {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        usize::try_from(self.0 >> 33).unwrap() % limit
    }
}

/// Conversations with bytes changed, removed, repeated and cut off, and plain noise: no panic, and an end in bounded time.
#[tokio::test(start_paused = true)]
async fn mangled_input_never_panics_or_hangs() {
    let words: &[&str] = &[
        "GET /a HTTP/1.1\r\nhost: a\r\n\r\n",
        "POST /echo HTTP/1.1\r\nhost: a\r\ntransfer-encoding: chunked\r\n\r\n",
        "POST /elsewhere HTTP/1.1\r\nhost: a\r\ncontent-length: 7\r\n\r\n",
        "POST /collect HTTP/1.1\r\nhost: a\r\nexpect: 100-continue\r\ncontent-length: 7\r\n\r\n",
        "POST /ignored HTTP/1.0\r\nconnection: keep-alive\r\ncontent-length: 300000\r\n\r\n",
        "GET /stream HTTP/1.1\r\nhost: a\r\nte: trailers\r\n\r\n",
        "CONNECT a:1 HTTP/1.1\r\nhost: a:1\r\n\r\n",
        "1\r\nx\r\n",
        "0\r\n\r\n",
        "0\r\na: b\r\n\r\n",
        "\r\n",
        "seven b",
        "\n",
        "\u{0}\u{7f}\u{ff}",
    ];
    for seed in 0..3000 {
        let mut numbers = Numbers(seed);
        let mut input = Vec::new();
        for _ in 0..1 + numbers.below(6) {
            input.extend_from_slice(words[numbers.below(words.len())].as_bytes());
        }
        for _ in 0..numbers.below(4) {
            let at = numbers.below(input.len());
            match numbers.below(3) {
                0 => input[at] = u8::try_from(numbers.below(256)).unwrap(),
                1 => drop(input.remove(at)),
                _ => input.insert(at, b"\r\n :0a,"[numbers.below(7)]),
            }
            if input.is_empty() {
                break;
            }
        }
        let half_close = seed % 2 == 0;
        let chunking = Chunking::Random { seed, max: 1 + numbers.below(50) };
        let direction = PipeDirection { reads: chunking, ..PipeDirection::default() };
        let mut client = Setup::new()
            .pipe(PipeOptions::both(direction))
            .config(|config| config.with_half_close(half_close))
            .serve(service_fn(service));
        let start = Instant::now();
        client.send(&input).await;
        if seed % 3 == 0 {
            sleep(Duration::from_secs(1)).await;
            client.end().await;
        }
        let (mut reading, _writing) = tokio::io::split(client.io);
        let mut output = Vec::new();
        patient("reading", reading.read_to_end(&mut output)).await.unwrap();
        patient("the server", client.server).await.expect("a panic");
        // Idle for 120 seconds, or a body for 60 and a head for 30 and then the linger: never longer than all of them.
        assert!(start.elapsed() <= Duration::from_secs(300), "seed {seed} took {:?}", start.elapsed());
        for line in String::from_utf8_lossy(&output).split("HTTP/1.1 ").skip(1) {
            assert!(line.starts_with(|c: char| c.is_ascii_digit()), "seed {seed}: {line:?}");
        }
    }
}
