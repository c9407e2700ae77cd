//! Bodies in other threads: what the connection and the holder of a body do at the same time.

use std::time::Duration;

use chaski_core::{
    http::{Informational, Request},
    service_fn,
    test_util::{Chunking, PipeDirection, PipeOptions},
};
use http::{HeaderMap, StatusCode};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use super::harness::*;

/// Reads the body in another task, in one of several ways that its target names; the answer comes from that task, from this
/// one at once, or from the body itself.
async fn elsewhere(request: Request) -> Handled {
    let target = request.uri().path().to_owned();
    if let Some(informational) = Informational::of(&request) {
        tokio::spawn(async move { informational.send(StatusCode::PROCESSING, &HeaderMap::new()) });
    }
    let mut body = request.into_body();
    match &*target {
        "/collected" => Ok(ok(tokio::spawn(body.collect(1000)).await??)),
        "/at-once" => {
            let _detached = tokio::spawn(body.collect(1000));
            Ok(ok(""))
        }
        "/dropped" => {
            tokio::spawn(async move {
                let _ = body.frame().await;
            });
            Ok(ok(""))
        }
        "/forwarded" => {
            let (frames, answer) = channel();
            tokio::spawn(async move {
                while let Some(Ok(frame)) = body.frame().await {
                    if let Ok(data) = frame.into_data() {
                        frames.bytes(data);
                    }
                }
            });
            Ok(ok(answer))
        }
        _ => Ok(ok(body)),
    }
}

/// H1-18: no wake-up is missed between a connection and a body that is read, and dropped, in other threads. A wake-up that
/// is missed shows as a limit of a minute that passes; the guard is against that alone.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn no_wake_up_is_missed_between_threads() {
    let targets = ["/collected", "/at-once", "/dropped", "/forwarded", "/echo"];
    let connections = (0..8_u64).map(|seed| {
        tokio::spawn(async move {
            let chunking = Chunking::Random { seed, max: 40 };
            let direction = PipeDirection {
                capacity: 50,
                reads: chunking,
                writes: chunking,
                pending_first: seed % 2 == 0,
                ..PipeDirection::default()
            };
            let mut setup = Setup::new().pipe(PipeOptions::both(direction));
            if seed % 4 < 2 {
                setup = setup.facts();
            }
            let client = setup.serve(service_fn(elsewhere));
            let (mut reading, mut writing) = tokio::io::split(client.io);
            let count = 400;
            let writer = tokio::spawn(async move {
                for n in 0..count {
                    let target = targets[n % targets.len()];
                    let (head, body) = match n % 3 {
                        0 => ("content-length: 11", "hello world"),
                        1 => ("transfer-encoding: chunked", "5\r\nhello\r\n6\r\n world\r\n0\r\nx: y\r\n\r\n"),
                        _ => ("expect: 100-continue\r\ncontent-length: 11", "hello world"),
                    };
                    let close = if n + 1 == count { "\r\nconnection: close" } else { "" };
                    writing
                        .write_all(
                            format!("POST {target} HTTP/1.1\r\nhost: a\r\n{head}{close}\r\n\r\n{body}").as_bytes(),
                        )
                        .await
                        .unwrap();
                }
                writing
            });
            let mut answers = String::new();
            reading.read_to_string(&mut answers).await.unwrap();
            assert_eq!(answers.matches("HTTP/1.1 200 OK\r\n").count(), count);
            drop((reading, writer.await.unwrap()));
            client.server.await.unwrap().unwrap().unwrap();
        })
    });
    let connections: Vec<_> = connections.collect();
    for connection in connections {
        tokio::time::timeout(Duration::from_secs(50), connection).await.expect("a missed wake-up").unwrap();
    }
}
