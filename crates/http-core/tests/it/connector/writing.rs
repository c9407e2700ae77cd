//! What goes out, and in how many writes.

use chaski_core::{
    Service,
    test_util::{PipeDirection, PipeOptions, pipe},
};
use chaski_http_core::{Http1ClientConfig, Http1Session, codec::TargetForm};
use http::Method;
use tokio::{
    io::{AsyncRead, AsyncReadExt, AsyncWrite, BufWriter},
    join,
};

use super::*;

/// What is written for a request, and in how many writes.
async fn written(config: Http1ClientConfig, vectored: bool, request: Request) -> (String, u64) {
    let direction = PipeDirection { capacity: 1 << 20, vectored, ..PipeDirection::default() };
    let (near, mut far) = PipeOptions::both(direction).pipe();
    let probe = near.probe();
    let session = Http1Session::new(Conn::new(near), config);
    let mut bytes = Vec::new();
    let answer = async {
        far.read_buf(&mut bytes).await.unwrap();
        // All of it is there: writes happen in one poll.
        while let Ok(n) = tokio::time::timeout(Duration::from_secs(1), far.read_buf(&mut bytes)).await {
            assert!(n.unwrap() > 0);
        }
        script(&mut far).send(OK_EMPTY).run().await.unwrap();
    };
    let ((), result) = join!(answer, session.serve(request));
    result.unwrap();
    (String::from_utf8(bytes).unwrap(), probe.stats().writes)
}

#[tokio::test(start_paused = true)]
async fn small_requests_leave_in_one_write() {
    let config = Http1ClientConfig::default();
    assert_eq!(written(config, true, get()).await, (GET.to_owned(), 1));
    let (bytes, writes) = written(config, false, request(Method::POST, "x".repeat(16 * 1024))).await;
    assert!(bytes.starts_with("POST / HTTP/1.1\r\nhost: a\r\ncontent-length: 16384\r\n\r\nxx"));
    assert_eq!(writes, 1);

    // So do streams, as far as they are ready.
    let (frames, upload) = channel();
    for piece in ["ab", "", "cde"] {
        frames.send(Ok(piece.into())).unwrap();
    }
    drop(frames);
    let expected = "POST / HTTP/1.1\r\nhost: a\r\ntransfer-encoding: chunked\r\n\r\n2\r\nab\r\n3\r\ncde\r\n0\r\n\r\n";
    assert_eq!(written(config, false, request(Method::POST, upload)).await, (expected.to_owned(), 1));
}

#[tokio::test(start_paused = true)]
async fn large_bodies_are_not_copied() {
    let config = Http1ClientConfig::default();
    for (vectored, expected) in [(true, 1), (false, 2)] {
        let body = "y".repeat(100_000);
        let (bytes, writes) = written(config, vectored, request(Method::PUT, body.clone())).await;
        assert_eq!(bytes, format!("PUT / HTTP/1.1\r\nhost: a\r\ncontent-length: 100000\r\n\r\n{body}"));
        assert_eq!(writes, expected);
    }
}

#[tokio::test(start_paused = true)]
async fn targets_take_the_form_that_goes_with_the_hop() {
    let to_proxy = Http1ClientConfig::default().with_target_form(TargetForm::Absolute);
    let request = |method, uri: &str| http::Request::builder().method(method).uri(uri).body(Body::empty()).unwrap();
    let (bytes, _) = written(to_proxy, true, request(Method::GET, "http://a:81/b?c")).await;
    assert_eq!(bytes, "GET http://a:81/b?c HTTP/1.1\r\nhost: a:81\r\n\r\n");
    let (bytes, _) = written(Http1ClientConfig::default(), true, request(Method::GET, "http://a:81/b?c")).await;
    assert_eq!(bytes, "GET /b?c HTTP/1.1\r\nhost: a:81\r\n\r\n");
    let asterisk = with(request(Method::OPTIONS, "*"), "host", "a");
    let (bytes, _) = written(Http1ClientConfig::default(), true, asterisk).await;
    assert_eq!(bytes, "OPTIONS * HTTP/1.1\r\nhost: a\r\n\r\n");
}

#[tokio::test(start_paused = true)]
async fn announced_trailers_are_sent_even_if_the_length_is_known() {
    let mut trailers = HeaderMap::new();
    trailers.insert("sum", "7".parse().unwrap());
    let body = || Body::full("abc").with_trailers(trailers.clone());
    let announced = with(request(Method::POST, body()), "trailer", "sum");
    let (bytes, _) = written(Http1ClientConfig::default(), true, announced).await;
    assert!(bytes.ends_with("transfer-encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\nsum: 7\r\n\r\n"), "{bytes}");
    let (bytes, _) = written(Http1ClientConfig::default(), true, request(Method::POST, body())).await;
    assert!(bytes.ends_with("content-length: 3\r\n\r\nabc"), "{bytes}");
}

/// An IO that keeps what is written until it is flushed, as TLS may.
struct Buffering(BufWriter<Pipe>);

impl chaski_core::Io for Buffering {}

impl AsyncRead for Buffering {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut tokio::io::ReadBuf<'_>,
    ) -> Poll<std::io::Result<()>> {
        Pin::new(self.0.get_mut()).poll_read(cx, buf)
    }
}

impl AsyncWrite for Buffering {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<std::io::Result<usize>> {
        Pin::new(&mut self.0).poll_write(cx, buf)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<std::io::Result<()>> {
        Pin::new(&mut self.0).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<std::io::Result<()>> {
        Pin::new(&mut self.0).poll_shutdown(cx)
    }
}

/// What is written is flushed before anything is waited for.
#[tokio::test(start_paused = true)]
async fn an_io_that_buffers_is_flushed() {
    let (near, mut far) = pipe();
    let session = Http1Session::new(Conn::new(Buffering(BufWriter::new(near))), Http1ClientConfig::default());
    let (frames, upload) = channel();
    let peer = async {
        script(&mut far).expect_until("\r\n\r\n").run().await.unwrap();
        frames.send(Ok("one".into())).unwrap();
        script(&mut far).expect("3\r\none\r\n").run().await.unwrap();
        drop(frames);
        script(&mut far).expect("0\r\n\r\n").send(OK_EMPTY).run().await.unwrap();
    };
    let ((), result) = join!(peer, session.serve(request(Method::POST, upload)));
    result.unwrap();
}

#[test]
fn without_a_limit_no_timer_is_needed() {
    // A runtime whose clock panics when it is asked for.
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    runtime.block_on(async {
        let (near, far) = pipe();
        let session = session(near);
        let peer =
            ScriptedPeer::new(far).expect(GET).send_pieces(9, "HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\nhello");
        let (peer, body) = join!(peer.run(), get_text(&session));
        peer.unwrap();
        assert_eq!(body, "hello");
    });
}
