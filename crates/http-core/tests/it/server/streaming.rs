//! Answers whose bodies come in frames.

use std::{
    io,
    pin::Pin,
    task::{Context, Poll, ready},
    time::Duration,
};

use bytes::Bytes;
use chaski_core::{
    BoxError, Io,
    http::{Body, Request},
    service_fn,
    test_util::{Chunking, Pipe, PipeDirection, PipeOptions, pipe},
};
use http_body::{Frame, SizeHint};
use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    time::sleep,
};

use super::harness::*;

const GET: &str = "GET /a HTTP/1.1\r\nhost: a\r\n\r\n";

/// A body whose frames the test sends, to be taken by the one request.
fn one(body: Body) -> impl Fn(Request) -> std::future::Ready<Handled> + Send + Sync + 'static {
    let body = std::sync::Mutex::new(Some(body));
    move |_| std::future::ready(Ok(ok(body.lock().unwrap().take().unwrap())))
}

/// Frames leave when they are ready, those that are ready together in one write; empty ones are no chunks.
#[tokio::test(start_paused = true)]
async fn frames_leave_as_they_come() {
    let (frames, body) = channel();
    let mut client = serve(service_fn(one(body)));
    client.send(GET).await;
    assert_eq!(client.head().await, "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n");
    frames.data("one");
    frames.data("");
    frames.data("twenty-six characters long");
    assert_eq!(client.until("long\r\n").await, "3\r\none\r\n1a\r\ntwenty-six characters long\r\n");
    assert_eq!(client.probe.stats().writes, 2);
    sleep(Duration::from_secs(1000)).await;
    drop(frames);
    assert_eq!(client.until("0\r\n\r\n").await, "0\r\n\r\n");
}

/// Frames of every size arrive whole and in order, copied or not, vectored or not, through pipes of every kind.
#[tokio::test(start_paused = true)]
async fn frames_of_every_size_arrive_in_order() {
    let sizes = [1, 15, 16, 4095, 16 * 1024, 16 * 1024 + 1, 70_000, 3, 65_536, 200_000, 1];
    for vectored in [false, true] {
        for writes in [Chunking::Whole, Chunking::Bytes(1000), Chunking::Random { seed: 5, max: 20_000 }] {
            let direction = PipeDirection { vectored, writes, capacity: 30_000, ..PipeDirection::default() };
            let (frames, body) = channel();
            let mut client = Setup::new()
                .pipe(PipeOptions { b_to_a: direction, ..PipeOptions::default() })
                .serve(service_fn(one(body)));
            client.send(GET).await;
            let mut expected = String::from("HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n");
            for (n, size) in sizes.iter().enumerate() {
                let letter = char::from(b'a' + u8::try_from(n).unwrap());
                let data = letter.to_string().repeat(*size);
                expected += &format!("{size:x}\r\n{data}\r\n");
                frames.bytes(Bytes::from(data));
            }
            expected += "0\r\n\r\n";
            drop(frames);
            assert!(client.response().await == expected);
        }
    }
}

/// H1-17: the last chunk and the close that follows: everything arrives, in every one of thousands of runs.
#[tokio::test(start_paused = true)]
async fn the_last_chunk_arrives_before_the_close() {
    for run in 0..4000_u64 {
        let chunking = Chunking::Random { seed: run, max: 9 };
        let direction = PipeDirection {
            capacity: 1 + usize::try_from(run % 23).unwrap(),
            reads: chunking,
            writes: chunking,
            pending_first: run % 2 == 0,
            vectored: run % 3 == 0,
            ..PipeDirection::default()
        };
        let service = service_fn(async |request: Request| {
            let mut body = pieces(&["first", "second", "last"]);
            if request.uri().path() == "/waits" {
                let (frames, waiting) = channel();
                tokio::spawn(async move {
                    for piece in ["first", "second", "last"] {
                        tokio::task::yield_now().await;
                        frames.data(piece);
                    }
                });
                body = waiting;
            }
            Ok(ok(body))
        });
        let mut client = Setup::new().pipe(PipeOptions::both(direction)).serve(service);
        let target = if run % 4 < 2 { "/waits" } else { "/" };
        client.send(format!("GET {target} HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n")).await;
        assert_eq!(
            client.rest().await,
            "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\nconnection: close\r\n\r\n\
             5\r\nfirst\r\n6\r\nsecond\r\n4\r\nlast\r\n0\r\n\r\n",
            "run {run}"
        );
    }
}

/// A body that has given all the bytes of its length is complete, even if it does not say so.
#[tokio::test(start_paused = true)]
async fn a_body_is_complete_at_its_length() {
    struct Lingers(bool);
    impl http_body::Body for Lingers {
        type Data = Bytes;
        type Error = BoxError;
        fn poll_frame(mut self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
            if self.0 {
                return Poll::Pending;
            }
            self.0 = true;
            Poll::Ready(Some(Ok(Frame::data(Bytes::from_static(b"hello")))))
        }
        fn size_hint(&self) -> SizeHint {
            SizeHint::with_exact(if self.0 { 0 } else { 5 })
        }
    }
    let mut client = serve(service_fn(async |_: Request| Ok(ok(Body::new(Lingers(false))))));
    for _ in 0..2 {
        client.send(GET).await;
        assert_eq!(client.response().await, "HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\nhello");
    }
}

/// Bytes wait in this IO until it is flushed, and a flush takes two polls, as one does under TLS when the socket is full.
struct Buffered {
    io: Pipe,
    waiting: Vec<u8>,
    asked: bool,
}

impl Io for Buffered {}

impl AsyncRead for Buffered {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_read(cx, buf)
    }
}

impl AsyncWrite for Buffered {
    fn poll_write(mut self: Pin<&mut Self>, _: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        self.waiting.extend_from_slice(buf);
        Poll::Ready(Ok(buf.len()))
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        if self.waiting.is_empty() {
            return Poll::Ready(Ok(()));
        }
        self.asked = !self.asked;
        if self.asked {
            cx.waker().wake_by_ref();
            return Poll::Pending;
        }
        let this = &mut *self;
        while !this.waiting.is_empty() {
            let n = ready!(Pin::new(&mut this.io).poll_write(cx, &this.waiting))?;
            this.waiting.drain(..n);
        }
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_shutdown(cx)
    }
}

/// A flush that is not done at once is asked for again, also while a service or a body is pending: what was written does
/// not stay behind in the IO.
#[tokio::test(start_paused = true)]
async fn a_pending_flush_is_finished() {
    let (far, near) = pipe();
    let probe = near.probe();
    let service = service_fn(async |request: Request| {
        let (frames, body) = channel();
        let collected = request.into_body().collect(100).await?;
        tokio::spawn(async move {
            frames.bytes(collected);
            frames.dropped().await;
        });
        Ok(ok(body))
    });
    let io = Buffered { io: near, waiting: Vec::new(), asked: false };
    let mut client = Setup::new().serve_io(service, far, io, probe);
    client.send("POST / HTTP/1.1\r\nhost: a\r\nexpect: 100-continue\r\ncontent-length: 2\r\n\r\n").await;
    assert_eq!(client.head().await, "HTTP/1.1 100 Continue\r\n\r\n");
    client.send("hi").await;
    client.until("2\r\nhi\r\n").await;
}
