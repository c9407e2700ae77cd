//! Request and response at the same time, and what happens when either is abandoned.

use chaski_core::{
    Service, Session, SessionState,
    test_util::{Chunking, PipeDirection, PipeOptions, pipe},
};
use chaski_http_core::{Http1ClientConfig, Http1Error, Http1Session};
use http::Method;
use http_body::Body as _;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    join,
    time::Instant,
};

use super::*;

const POST: &str = "POST / HTTP/1.1\r\nhost: a\r\ntransfer-encoding: chunked\r\n\r\n";

/// H1-27
#[tokio::test(start_paused = true)]
async fn an_early_final_response_is_given_at_once_and_the_connection_closed_after_it() {
    for (answer, body) in [
        ("HTTP/1.1 413 Content Too Large\r\ncontent-length: 3\r\n\r\nbig", "big"),
        ("HTTP/1.1 413 Content Too Large\r\ncontent-length: 0\r\n\r\n", ""),
        ("HTTP/1.1 413 Content Too Large\r\ntransfer-encoding: chunked\r\n\r\n3\r\nbig\r\n0\r\n\r\n", "big"),
    ] {
        let (near, mut far) = pipe();
        let session = session(near);
        let (frames, upload) = channel();
        frames.send(Ok("first".into())).unwrap();
        let peer = script(&mut far).expect(POST).expect("5\r\nfirst\r\n").send(answer).expect_eof().run();
        let (peer, ()) = join!(peer, async {
            let response = session.serve(request(Method::POST, upload)).await.unwrap();
            assert_eq!(response.status(), 413);
            assert!(!frames.is_closed() || body.is_empty(), "the upload is dropped with the response, not before");
            assert_eq!(text(response).await, body);
            assert!(frames.is_closed());
            assert_eq!(session.state(), SessionState::Closed);
        });
        peer.unwrap();
    }
}

/// H1-27: a peer that takes everything at once must not keep its own response from being seen.
#[tokio::test(start_paused = true)]
async fn an_early_response_is_seen_while_an_endless_upload_flows() {
    struct Endless;
    impl http_body::Body for Endless {
        type Data = Bytes;
        type Error = BoxError;
        fn poll_frame(
            self: Pin<&mut Self>,
            _: &mut Context<'_>,
        ) -> Poll<Option<Result<http_body::Frame<Bytes>, BoxError>>> {
            Poll::Ready(Some(Ok(http_body::Frame::data(Bytes::from_static(&[b'x'; 32 * 1024])))))
        }
    }
    /// Takes every write, and has its response ready from the first one on.
    struct Sink(Option<&'static [u8]>, usize);
    impl tokio::io::AsyncRead for Sink {
        fn poll_read(
            mut self: Pin<&mut Self>,
            _: &mut Context<'_>,
            buf: &mut tokio::io::ReadBuf<'_>,
        ) -> Poll<std::io::Result<()>> {
            if self.1 == 0 {
                return Poll::Pending;
            }
            match self.0.take() {
                Some(bytes) => buf.put_slice(bytes),
                None => return Poll::Pending,
            }
            Poll::Ready(Ok(()))
        }
    }
    impl AsyncWrite for Sink {
        fn poll_write(mut self: Pin<&mut Self>, _: &mut Context<'_>, buf: &[u8]) -> Poll<std::io::Result<usize>> {
            self.1 += 1;
            assert!(self.1 < 100, "the response is there, and nobody looks");
            Poll::Ready(Ok(buf.len()))
        }
        fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<std::io::Result<()>> {
            Poll::Ready(Ok(()))
        }
        fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<std::io::Result<()>> {
            Poll::Ready(Ok(()))
        }
    }
    impl chaski_core::Io for Sink {}
    use tokio::io::AsyncWrite;

    let sink = Sink(Some(b"HTTP/1.1 413 Content Too Large\r\ncontent-length: 0\r\n\r\n"), 0);
    let session = Http1Session::new(Conn::new(sink), Http1ClientConfig::default());
    let response = session.serve(request(Method::POST, Body::new(Endless))).await.unwrap();
    assert_eq!(response.status(), 413);
    assert_eq!(session.state(), SessionState::Closed);
}

#[tokio::test(start_paused = true)]
async fn the_upload_goes_on_while_the_response_is_read_and_the_connection_is_used_again() {
    let (near, mut far) = pipe();
    let session = session(near);
    let (frames, upload) = channel();
    let peer = script(&mut far)
        .expect(POST)
        .send("HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n")
        .expect("3\r\none\r\n")
        .send("3\r\nONE\r\n")
        .expect("3\r\ntwo\r\n0\r\n\r\n")
        .send("3\r\nTWO\r\n0\r\n\r\n")
        .expect(GET)
        .send(OK_EMPTY)
        .run();
    let (peer, ()) = join!(peer, async {
        let mut body = session.serve(request(Method::POST, upload)).await.unwrap().into_body();
        frames.send(Ok("one".into())).unwrap();
        assert_eq!(body.frame().await.unwrap().unwrap().into_data().unwrap(), "ONE");
        frames.send(Ok("two".into())).unwrap();
        drop(frames);
        assert_eq!(body.frame().await.unwrap().unwrap().into_data().unwrap(), "TWO");
        assert!(body.frame().await.is_none());
        assert_eq!(get_text(&session).await, "");
    });
    peer.unwrap();
}

/// An echo through pipes that hold a few bytes only: nothing stalls, nothing is lost.
#[tokio::test(start_paused = true)]
async fn tiny_buffers_stall_neither_direction() {
    let data = Bytes::from((0..=255).cycle().take(40_000).collect::<Vec<u8>>());
    for (capacity, pending_first) in [(1, false), (3, true), (61, false), (1000, true)] {
        let direction = PipeDirection {
            capacity,
            pending_first,
            reads: Chunking::Random { seed: 3, max: 50 },
            writes: Chunking::Random { seed: 5, max: 50 },
            ..PipeDirection::default()
        };
        let (near, far) = PipeOptions::both(direction).pipe();
        let session = session(near);
        let echo = async {
            let (mut read, mut write) = tokio::io::split(far);
            let mut head = Vec::new();
            while !head.ends_with(b"\r\n\r\n") {
                head.push(read.read_u8().await.unwrap());
            }
            write.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 40000\r\n\r\n").await.unwrap();
            tokio::io::copy(&mut read.take(40_000), &mut write).await.unwrap();
        };
        let ((), got) = join!(echo, async {
            let response = session.serve(request(Method::POST, data.clone())).await.unwrap();
            response.into_body().collect(1 << 20).await.unwrap()
        });
        assert!(got == data);
        assert_eq!(session.slots().free, 1);
    }
}

/// H1-28
#[tokio::test(start_paused = true)]
async fn dropping_the_exchange_after_a_write_closes_the_connection() {
    let (near, mut far) = pipe();
    let session = session(near);
    let peer = async {
        script(&mut far).expect(GET).run().await.unwrap();
        let mut end = [0];
        assert_eq!(far.read(&mut end).await.unwrap(), 0);
    };
    let cancelled = async {
        let timeout = tokio::time::timeout(Duration::from_secs(1), session.serve(get()));
        assert!(timeout.await.is_err());
        assert_eq!(session.state(), SessionState::Closed);
    };
    join!(peer, cancelled);
}

/// H1-28
#[tokio::test(start_paused = true)]
async fn dropping_the_exchange_before_a_write_leaves_the_session_as_it_was() {
    // An IO that takes nothing until the far end reads: full from the start.
    let direction = PipeDirection { capacity: 8, ..PipeDirection::default() };
    let (mut near, mut far) = PipeOptions { a_to_b: direction, ..PipeOptions::default() }.pipe();
    near.write_all(b"12345678").await.unwrap();
    let session = session(near);
    let timeout = tokio::time::timeout(Duration::from_secs(1), session.serve(get()));
    assert!(timeout.await.is_err());
    assert_eq!((session.state(), session.slots().free), (SessionState::Open, 1));

    far.read_exact(&mut [0; 8]).await.unwrap();
    let (peer, body) = join!(script(&mut far).expect(GET).send(OK_EMPTY).run(), get_text(&session));
    peer.unwrap();
    assert_eq!(body, "");
}

/// What a peer sends before the request has begun to leave answers something else.
#[tokio::test(start_paused = true)]
async fn a_response_that_comes_before_the_request_is_not_its_response() {
    for answer in [OK_EMPTY, ""] {
        let direction = PipeDirection { capacity: 8, ..PipeDirection::default() };
        let (mut near, mut far) = PipeOptions { a_to_b: direction, ..PipeOptions::default() }.pipe();
        near.write_all(b"12345678").await.unwrap();
        let session = session(near);
        let (result, ()) = join!(session.serve(request(Method::POST, "body")), async {
            // In one go: room for the request, and something to read.
            far.write_all(answer.as_bytes()).await.unwrap();
            let mut room = [0; 8];
            assert_eq!(far.read(&mut room).await.unwrap(), 8);
            far.shutdown().await.unwrap();
        });
        let (request, why) = not_sent(result);
        assert_eq!((request.method(), &*why), (&Method::POST, "the connection is closed"));
        assert_eq!(request.into_body().collect(10).await.unwrap(), "body");
        assert_eq!(session.state(), SessionState::Closed);
    }
}

/// The slot is free with the last byte of the body, not when somebody asks whether there are more.
#[tokio::test(start_paused = true)]
async fn the_last_byte_frees_the_slot() {
    let (near, mut far) = pipe();
    let session = session(near);
    let head = "HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\n";
    let peer = script(&mut far).expect(GET).send(head).wait(Duration::from_secs(1)).send("hello").run();
    let (peer, ()) = join!(peer, async {
        let mut body = session.serve(get()).await.unwrap().into_body();
        assert_eq!(body.size_hint().exact(), Some(5));
        assert_eq!(session.slots().free, 0);
        assert_eq!(body.frame().await.unwrap().unwrap().into_data().unwrap(), "hello");
        assert!(body.is_end_stream());
        assert_eq!(session.slots().free, 1);
    });
    peer.unwrap();
}

/// H1-28
#[tokio::test(start_paused = true)]
async fn a_response_dropped_half_read_closes_the_connection() {
    for answer in [
        "HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\nhello",
        "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n5\r\nhello\r\n",
        "HTTP/1.1 200 OK\r\n\r\nhello",
    ] {
        for read_some in [false, true] {
            let (near, mut far) = pipe();
            let session = session(near);
            let peer = script(&mut far).expect(GET).send(answer).expect_eof().run();
            let (peer, ()) = join!(peer, async {
                let mut response = session.serve(get()).await.unwrap();
                assert_eq!(session.slots().free, 0);
                if read_some {
                    response.body_mut().frame().await.unwrap().unwrap();
                }
                drop(response);
                assert_eq!(session.state(), SessionState::Closed);
            });
            peer.unwrap();
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_response_that_was_read_whole_may_be_dropped_unlooked_at() {
    for answer in [
        "HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\nhello",
        "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\nx: y\r\n\r\n",
    ] {
        let (near, mut far) = pipe();
        let session = session(near);
        let peer = script(&mut far).expect(GET).send(answer).expect(GET).send(OK_EMPTY).run();
        let (peer, ()) = join!(peer, async {
            drop(session.serve(get()).await.unwrap());
            assert_eq!(get_text(&session).await, "");
        });
        peer.unwrap();
    }
}

/// H1-16: polls are counted while the peer has half-closed and our body is open.
#[tokio::test(start_paused = true)]
async fn a_peer_that_half_closes_during_an_upload_costs_no_polls() {
    let (near, far) = pipe();
    let probe = near.probe();
    let session = session(near);
    let (frames, upload) = channel();
    let polls = AtomicUsize::new(0);
    let peer = tokio::spawn(script(far).expect(POST).shutdown().wait(Duration::from_secs(100)).run());
    let error = unknown(counted(&polls, session.serve(request(Method::POST, upload))).await);
    let written = POST.len() as u64;
    assert!(
        matches!(cause(&error), Http1Error::ClosedBeforeResponse { written: w, source: None } if *w == written),
        "{error:?}"
    );
    assert!(frames.is_closed());
    // One to write, one to learn of the end.
    assert_eq!(polls.into_inner(), 2);
    assert!(probe.stats().read_polls <= 3, "{:?}", probe.stats());
    peer.await.unwrap().unwrap();

    // The response ends with the peer's side, the upload would go on for ever.
    let (near, far) = pipe();
    let session = super::session(near);
    let (frames, upload) = channel();
    let polls = AtomicUsize::new(0);
    let peer = script(far).expect(POST).send("HTTP/1.1 200 OK\r\n\r\ndone").wait(Duration::from_secs(9));
    let peer = tokio::spawn(peer.shutdown().expect_eof().run());
    let exchange = async { text(session.serve(request(Method::POST, upload)).await.unwrap()).await };
    assert_eq!(counted(&polls, exchange).await, "done");
    assert!(frames.is_closed());
    // One to write, one for the response, one for its end.
    assert_eq!(polls.into_inner(), 3);
    peer.await.unwrap().unwrap();
}

#[tokio::test(start_paused = true)]
async fn waiting_costs_no_polls() {
    let (near, far) = pipe();
    let probe = near.probe();
    let session = session(near);
    let polls = AtomicUsize::new(0);
    let peer = script(far)
        .expect(GET)
        .wait(Duration::from_secs(60))
        .send("HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\n")
        .wait(Duration::from_secs(60))
        .send("hello");
    let peer = tokio::spawn(peer.run());
    assert_eq!(counted(&polls, get_text(&session)).await, "hello");
    peer.await.unwrap().unwrap();
    // One to write, one for the head, one for the body.
    assert_eq!(polls.into_inner(), 3);
    assert_eq!(probe.stats().writes, 1);
    assert_eq!(probe.stats().reads, 2);
}

/// H1-28: with a peer that never reads, an upload ends by itself, and is not held up for ever.
#[tokio::test(start_paused = true)]
async fn a_peer_that_stops_reading_is_left() {
    let (near, _far) = pipe();
    let config = Http1ClientConfig::default().with_write_timeout(Some(Duration::from_secs(7)));
    let session = Http1Session::new(Conn::new(near), config);
    let started = Instant::now();
    let upload = Body::full(vec![b'x'; 1_000_000]);
    let error = unknown(session.serve(request(Method::POST, upload)).await);
    assert!(matches!(cause(&error), Http1Error::WriteTimeout(_)));
    assert_eq!(started.elapsed(), Duration::from_secs(7));
    assert_eq!(session.state(), SessionState::Closed);
}

/// A peer that reads slowly is no peer that stopped: the limit is for no progress at all.
#[tokio::test(start_paused = true)]
async fn a_peer_that_reads_slowly_is_waited_for() {
    let (near, mut far) = pipe();
    let config = Http1ClientConfig::default().with_write_timeout(Some(Duration::from_secs(7)));
    let session = Http1Session::new(Conn::new(near), config);
    let upload = Body::full(vec![b'x'; 400_000]);
    let slow = async {
        let mut piece = vec![0; 50_000];
        let mut left = 400_000;
        while left > 0 {
            tokio::time::sleep(Duration::from_secs(5)).await;
            let n = tokio::io::AsyncReadExt::read(&mut far, &mut piece).await.unwrap();
            left = usize::saturating_sub(left, n);
        }
        tokio::io::AsyncWriteExt::write_all(&mut far, b"HTTP/1.1 204 No Content\r\n\r\n").await.unwrap();
    };
    let (result, ()) = join!(session.serve(request(Method::POST, upload)), slow);
    assert_eq!(result.unwrap().status(), 204);
}

#[tokio::test(start_paused = true)]
async fn a_peer_that_sends_no_head_in_time_is_left() {
    let (near, mut far) = pipe();
    let config = Http1ClientConfig::default().with_head_timeout(Some(Duration::from_secs(5)));
    let session = Http1Session::new(Conn::new(near), config);
    let (frames, upload) = channel();
    let started = Instant::now();
    let peer = script(&mut far)
        .expect(POST)
        // As long as the request is not complete, its head may take any time.
        .wait(Duration::from_secs(60))
        .expect("0\r\n\r\n")
        .wait(Duration::from_secs(4))
        // Not final, so it buys no time.
        .send("HTTP/1.1 103 Early Hints\r\n\r\nHTTP/1.1 ")
        .expect_eof();
    let finish = async {
        tokio::time::sleep(Duration::from_secs(60)).await;
        drop(frames);
    };
    let (peer, result, ()) = join!(peer.run(), session.serve(request(Method::POST, upload)), finish);
    peer.unwrap();
    let error = unknown(result);
    assert!(matches!(cause(&error), Http1Error::HeadTimeout(_)));
    assert_eq!(find_cause::<chaski_core::Elapsed>(&error).unwrap().limit, Duration::from_secs(5));
    assert_eq!(started.elapsed(), Duration::from_secs(65));
    assert_eq!(session.state(), SessionState::Closed);
}

#[tokio::test(start_paused = true)]
async fn a_peer_that_stops_within_a_body_is_left_and_one_that_trickles_is_not() {
    let (near, mut far) = pipe();
    let config = Http1ClientConfig::default()
        .with_head_timeout(Some(Duration::from_secs(5)))
        .with_body_timeout(Some(Duration::from_secs(10)));
    let session = Http1Session::new(Conn::new(near), config);
    let started = Instant::now();
    let peer = script(&mut far)
        .expect(GET)
        .wait(Duration::from_secs(4))
        .send("HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n")
        .wait(Duration::from_secs(9))
        .send("1\r\na")
        // Bytes that are not data are a sign of life too.
        .wait(Duration::from_secs(9))
        .send("\r")
        .wait(Duration::from_secs(9))
        .send("\n5")
        .expect_eof();
    let (peer, error) = join!(peer.run(), async {
        let body = session.serve(get()).await.unwrap().into_body();
        drain(body).await.unwrap_err()
    });
    peer.unwrap();
    assert!(matches!(cause(&*error), Http1Error::BodyTimeout(_)));
    assert_eq!(started.elapsed(), Duration::from_secs(4 + 9 + 9 + 9 + 10));
}
