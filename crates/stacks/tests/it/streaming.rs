//! Bodies under way in both directions.

use std::{sync::atomic::Ordering, time::Duration};

use chaski_core::{
    BoxError, Service,
    http::{Body, Request, Response},
    service_fn, service_fn_with,
    test_util::{Chunking, PipeDirection, PipeOptions, ScriptedPeer},
};
use chaski_http_core::{Http1Server, Http1ServerConfig};
use http::HeaderMap;

use crate::{
    bodies::{Checker, Patterned, fed, next_data, pattern},
    net::{Net, echo, exchange, get, in_time, post, read, statuses, tiny},
};

/// H1-18: an echo through both engines at once, whatever the size of the pipes: nothing is lost, nothing stalls.
#[tokio::test(start_paused = true)]
async fn h1_18_an_echo_goes_both_ways_at_once_through_pipes_of_any_size() {
    let random = PipeDirection {
        capacity: 97,
        reads: Chunking::Random { seed: 1, max: 50 },
        writes: Chunking::Random { seed: 2, max: 50 },
        pending_first: true,
        ..PipeDirection::default()
    };
    let not_vectored = PipeDirection { capacity: 4096, vectored: false, ..PipeDirection::default() };
    let cases = [
        ("1 byte", tiny(1), 4_000),
        ("7 bytes", tiny(7), 20_000),
        ("random", PipeOptions::both(random), 50_000),
        ("not vectored", PipeOptions::both(not_vectored), 2 << 20),
        ("64 KiB", PipeOptions::default(), 16 << 20),
    ];
    for (name, options, length) in cases {
        for frame in [1_000, 100_000] {
            let net = Net::default();
            let connections = net.listen_with("origin.test:80", options).serve(Http1Server::new(echo()));
            let client = net.client();
            in_time(async {
                for _ in 0..2 {
                    let request = post("http://origin.test/", Patterned::body(length, frame));
                    let response = client.serve(request).await.unwrap();
                    assert_eq!(Checker::read(response.into_body()).await, length, "{name}");
                }
                assert_eq!(connections.load(Ordering::SeqCst), 1, "{name}: reused after an echo");
            })
            .await;
        }
    }
}

/// H1-18: an upload that is answered at its end alone, so that nothing else wakes its sender, in writes that are short and
/// never wait.
#[tokio::test(start_paused = true)]
async fn h1_18_an_upload_in_short_writes_is_never_forgotten() {
    let net = Net::default();
    let count = service_fn(async |request: Request| {
        let length = Checker::read(request.into_body()).await;
        Ok::<_, BoxError>(Response::new(Body::full(length.to_string())))
    });
    let short = PipeDirection { writes: Chunking::Bytes(100), ..PipeDirection::default() };
    net.listen_with("origin.test:80", PipeOptions::both(short)).serve(Http1Server::new(count));
    let client = net.client();
    in_time(async {
        for frame in [10, 1_000, 100_000] {
            let response = client.serve(post("http://origin.test/", Patterned::body(100_000, frame))).await.unwrap();
            assert_eq!(read(response).await, (200, "100000".into()), "{frame}");
        }
    })
    .await;
}

/// Each frame is there before the next one is sent: nothing waits for more.
#[tokio::test(start_paused = true)]
async fn frames_are_answered_one_by_one() {
    let net = Net::default();
    net.serve_at("origin.test:80", echo());
    let client = net.client();
    in_time(async {
        let (feeder, body) = fed();
        let mut response = client.serve(post("http://origin.test/", body)).await.unwrap();
        for i in 0..100 {
            let text = format!("frame {i}");
            let (sent, data) = tokio::join!(feeder.send(text.clone()), next_data(&mut response));
            assert!(sent);
            assert_eq!(data.unwrap(), text);
        }
        drop(feeder);
        assert!(next_data(&mut response).await.is_none());
        assert_eq!(client.idle(), 1);
    })
    .await;
}

/// Trailers of a request reach the service, those of a response the caller.
#[tokio::test(start_paused = true)]
async fn trailers_go_through_both_ways() {
    let net = Net::default();
    let connections = net.serve_at("origin.test:80", echo());
    let client = net.client();
    in_time(async {
        for _ in 0..2 {
            let mut trailers = HeaderMap::new();
            trailers.append("checksum", "a".parse().unwrap());
            trailers.append("checksum", "b".parse().unwrap());
            let body = Patterned::body(10, 3).with_trailers(trailers.clone());
            let request =
                Request::post("http://origin.test/").header("te", "trailers").header("connection", "te").body(body);
            let mut body = client.serve(request.unwrap()).await.unwrap().into_body();
            let (mut checker, mut last) = (Checker::default(), None);
            while let Some(frame) = body.frame().await {
                match frame.unwrap().into_data() {
                    Ok(data) => checker.check(&data),
                    Err(frame) => last = frame.into_trailers().ok(),
                }
            }
            assert_eq!((checker.0, last), (10, Some(trailers)));
        }
        assert_eq!(connections.load(Ordering::SeqCst), 1, "a connection outlives its trailers");
    })
    .await;
}

/// H1-27: an answer to an upload that is far from done arrives whole, and the upload ends.
#[tokio::test(start_paused = true)]
async fn h1_27_an_early_answer_arrives_and_ends_the_upload() {
    for (name, options) in [("tiny", tiny(5)), ("usual", PipeOptions::default())] {
        let net = Net::default();
        let refuse = service_fn(async |request: Request| {
            // What it needs to know stands at the beginning.
            let _first = request.into_body().frame().await;
            let response = Response::builder().status(413).body(Body::full("too large")).unwrap();
            Ok::<_, BoxError>(response)
        });
        let connections = net.listen_with("origin.test:80", options).serve(Http1Server::new(refuse));
        let client = net.client();
        in_time(async {
            // An upload that goes on by itself.
            let response = client.serve(post("http://origin.test/", Patterned::body(1 << 40, 1_000))).await.unwrap();
            assert_eq!(read(response).await, (413, "too large".into()), "{name}");
            // One that waits for somebody.
            let (feeder, body) = fed();
            let (sent, response) = tokio::join!(feeder.send("begun"), client.serve(post("http://origin.test/", body)));
            assert!(sent);
            assert_eq!(read(response.unwrap()).await, (413, "too large".into()), "{name}");
            feeder.dropped().await;
            assert_eq!((client.idle(), connections.load(Ordering::SeqCst)), (0, 2), "{name}: not to be used again");
        })
        .await;
    }
}

/// A body that was handed to another task is read on after the answer, and the connection goes on behind it.
#[tokio::test(start_paused = true)]
async fn a_body_outlives_its_request() {
    let net = Net::default();
    let (sender, mut lengths) = tokio::sync::mpsc::unbounded_channel();
    let keep = service_fn_with(sender, async |sender: tokio::sync::mpsc::UnboundedSender<u64>, request: Request| {
        let body = request.into_body();
        tokio::spawn(async move {
            tokio::time::sleep(Duration::from_secs(5)).await;
            let _ = sender.send(Checker::read(body).await);
        });
        Ok::<_, BoxError>(Response::new(Body::full("later")))
    });
    net.listen_with("origin.test:80", tiny(1_000)).serve(Http1Server::new(keep));
    in_time(async {
        // Written by hand: a client's upload moves with its answer only.
        let mut io = net.dial("origin.test:80").await;
        let mut request = b"POST / HTTP/1.1\r\nhost: a\r\ncontent-length: 100000\r\n\r\n".to_vec();
        request.extend(pattern(0, 100_000));
        request.extend(b"GET / HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n");
        let answer = exchange(&mut io, request).await;
        assert_eq!(statuses(&answer), [200, 200], "{answer}");
        assert_eq!((lengths.recv().await, lengths.recv().await), (Some(100_000), Some(0)));
    })
    .await;
}

/// A reader that stops holds the sender up, and both go on where they were.
#[tokio::test(start_paused = true)]
async fn a_reader_that_stops_bounds_what_is_under_way() {
    let net = Net::default();
    let mut listener = net.listen("origin.test:80");
    let stream = service_fn(async |_: Request| Ok::<_, BoxError>(Response::new(Patterned::body(8 << 20, 10_000))));
    let config = Http1ServerConfig::default().with_write_timeout(None);
    let server = Http1Server::new(stream).with_config(config);
    let client = net.client();
    in_time(async {
        let serving = async {
            let accepted = listener.accept().await;
            let probe = accepted.conn.io.probe();
            let (_, ()) = tokio::join!(server.serve(accepted.conn), async {
                tokio::time::sleep(Duration::from_secs(60)).await;
                // The pipe's 64 KiB, and what one read of the client's takes.
                let written = probe.stats().bytes_written;
                assert!((64 << 10..=256 << 10).contains(&written), "{written} bytes");
            });
        };
        let reading = async {
            let mut response = client.serve(get("http://origin.test/")).await.unwrap();
            let mut checker = Checker::default();
            checker.check(&next_data(&mut response).await.unwrap());
            tokio::time::sleep(Duration::from_secs(120)).await;
            while let Some(data) = next_data(&mut response).await {
                checker.check(&data);
            }
            assert_eq!(checker.0, 8 << 20);
            drop(client);
        };
        tokio::join!(serving, reading);
    })
    .await;
}

/// A body that is cut before its end is an error, with a length and with chunks; never a short one.
#[tokio::test(start_paused = true)]
async fn a_cut_is_never_an_end() {
    for head in ["content-length: 10\r\n\r\nhello", "transfer-encoding: chunked\r\n\r\n5\r\nhello\r\n"] {
        let net = Net::default();
        let mut listener = net.listen("origin.test:80");
        let client = net.client();
        let peer = async {
            let io = listener.accept().await.conn.io;
            ScriptedPeer::new(io)
                .expect_until("\r\n\r\n")
                .send(format!("HTTP/1.1 200 OK\r\n{head}"))
                .run()
                .await
                .unwrap();
        };
        let call = async {
            let response = client.serve(get("http://origin.test/")).await.unwrap();
            assert!(response.into_body().collect(100).await.is_err(), "{head}");
            assert_eq!(client.idle(), 0);
        };
        in_time(async { tokio::join!(peer, call) }).await;
    }
}
