//! CONNECT and extended CONNECT: streams that become connections.

use std::{
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use bytes::Bytes;
use chaski_core::{
    BoxError, BoxIo, Conn,
    http::{Message, Request, Response, Upgrade},
    service_fn, service_fn_with,
};
use chaski_http2::ConnectProtocol;
use http::header;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt, copy},
    sync::mpsc,
};

use super::{frames::*, harness::*};

fn tunnel<F, Fut>(continuation: F) -> Response
where
    F: FnOnce(Conn<BoxIo>) -> Fut + Send + 'static,
    Fut: Future<Output = ()> + Send + 'static,
{
    let mut response = ok("");
    Upgrade::new(continuation).attach(&mut response);
    response
}

/// Sends back what comes, until it ends.
async fn echoes(request: Request) -> Handled {
    assert_eq!((request.method().as_str(), request.uri().to_string()), ("CONNECT", "b.test:443".to_owned()));
    assert!(request.fact::<ConnectProtocol>().is_none());
    Ok(tunnel(async |conn| {
        let (mut reader, mut writer) = tokio::io::split(conn.io);
        copy(&mut reader, &mut writer).await.unwrap();
        writer.shutdown().await.unwrap();
    }))
}

fn connect(stream: u32) -> Frame {
    headers(stream, &[(":method", "CONNECT"), (":authority", "b.test:443")], 0)
}

async fn begin(client: &mut Client) -> (h2::client::ResponseFuture, h2::SendStream<Bytes>) {
    let request = http::Request::builder().method("CONNECT").uri("b.test:443").body(()).unwrap();
    client.begin(request, false).await
}

/// The answer has no length and leaves the stream open; bytes go both ways; each side ends by itself.
#[tokio::test(start_paused = true)]
async fn a_stream_becomes_a_connection() {
    let mut raw = Setup::new().raw(service_fn(echoes)).await;
    raw.send(&connect(1)).await;
    let head = raw.next_on(1).await;
    assert_eq!((head.status(), head.flags), ("200".to_owned(), END_HEADERS));
    for piece in [&b"one"[..], b"two"] {
        raw.send(&data(1, piece, 0)).await;
        assert_eq!(raw.next_on(1).await, data(1, piece, 0));
    }
    raw.send(&data(1, b"three", END_STREAM)).await;
    assert_eq!(raw.next_on(1).await, data(1, b"three", 0));
    assert_eq!(raw.next_on(1).await, data(1, b"", END_STREAM));
    raw.send(&connect(3)).await;
    assert_eq!(raw.next_on(3).await.status(), "200", "the stream behind it");
}

/// Fields that have no place there, and what the continuation sees.
#[tokio::test(start_paused = true)]
async fn a_tunnel_has_a_scope_under_its_requests() {
    #[derive(Debug)]
    struct Mark;
    let (sender, mut seen) = mpsc::unbounded_channel();
    for facts in [true, false] {
        let service =
            service_fn_with(sender.clone(), async |sender: mpsc::UnboundedSender<_>, mut request: Request| {
                request.scope().insert(Mark);
                let mut response = tunnel(async move |conn| {
                    sender.send((conn.ext.get::<Known>().is_some(), conn.ext.get::<Mark>().is_some())).unwrap();
                });
                response.headers_mut().insert(header::CONTENT_LENGTH, "0".parse()?);
                response.headers_mut().insert(header::TRANSFER_ENCODING, "chunked".parse()?);
                Ok::<_, BoxError>(response)
            });
        let setup = if facts { Setup::new().facts() } else { Setup::new() };
        let mut client = setup.serve(service).await;
        let (response, _upload) = begin(&mut client).await;
        let response = patient("the head", response).await.unwrap();
        assert_eq!(response.status(), 200);
        let names: Vec<&str> = response.headers().keys().map(http::HeaderName::as_str).collect();
        assert_eq!(names, ["date"]);
        assert_eq!(seen.recv().await.unwrap(), (facts, true));
    }
}

/// A refused tunnel is an answer like any other; one without a continuation cannot be.
#[tokio::test(start_paused = true)]
async fn a_tunnel_may_be_refused() {
    for (code, expected) in [(403, 403), (200, 500), (101, 500)] {
        let service = service_fn(move |_: Request| async move { Ok(status(code)) });
        let mut client = serve(service).await;
        let (response, _upload) = begin(&mut client).await;
        assert_eq!(answer(response).await.short(), (expected, ""));
    }
}

/// LIFE-06: a panic behind a tunnel resets its stream, and its siblings go on.
#[tokio::test(start_paused = true)]
async fn life_06_a_panic_of_a_tunnel_costs_one_stream() {
    let service = service_fn(async |request: Request| match request.uri().host() {
        Some("b.test") => Ok(tunnel(async |mut conn| {
            conn.io.write_all(b"begun").await.unwrap();
            let _ = conn.io.read_u8().await;
            panic!("on purpose");
        })),
        _ => path(request).await,
    });
    let mut raw = Setup::new().raw(service).await;
    raw.send(&connect(1)).await;
    assert_eq!(raw.next_of(DATA).await, data(1, b"begun", 0));
    raw.send(&data(1, b"x", 0)).await;
    assert_eq!(raw.next_on(1).await, reset(1, 8));
    raw.send(&get(3, "/")).await;
    assert_eq!(raw.next_of(DATA).await, data(3, b"/", END_STREAM));
}

/// H2-12: what a CONNECT request must not have (RFC 9113 section 8.5), and extended CONNECT where it is not offered.
#[tokio::test(start_paused = true)]
async fn h2_12_a_malformed_connect_is_reset() {
    let service = service_fn(async |_: Request| panic!("it reached the service"));
    let mut raw = Setup::new().raw(service).await;
    let cases: [&[(&str, &str)]; 6] = [
        &[(":method", "CONNECT")],
        &[(":method", "CONNECT"), ("host", "b.test:443")],
        &[(":method", "CONNECT"), (":authority", "b.test")],
        &[(":method", "CONNECT"), (":authority", "b.test:443"), (":path", "/")],
        &[(":method", "CONNECT"), (":authority", "b.test:443"), (":scheme", "http")],
        &[(":method", "CONNECT"), (":scheme", "http"), (":path", "/"), (":authority", "a"), (":protocol", "x")],
    ];
    for (n, fields) in cases.iter().enumerate() {
        let stream = 1 + 2 * n as u32;
        raw.send(&headers(stream, fields, 0)).await;
        assert_eq!(raw.next_on(stream).await, reset(stream, 1), "{fields:?}");
    }
}

/// RFC 8441: the setting is sent, and the protocol is a fact.
#[tokio::test(start_paused = true)]
async fn extended_connect_tells_the_protocol() {
    let service = service_fn(async |request: Request| {
        assert_eq!(request.fact(), Some(&ConnectProtocol::new("websocket")));
        assert_eq!(request.uri(), "https://a.test/chat");
        echoes_any().await
    });
    let mut raw = Setup::new().config(|config| config.with_extended_connect(true)).raw(service).await;
    let settings = raw.next_of(SETTINGS).await.payload;
    assert!(settings.chunks(6).any(|setting| setting == [0, 8, 0, 0, 0, 1]), "{settings:?}");
    raw.send(&Frame::new(SETTINGS, ACK, 0, [])).await;
    let mut fields = vec![(":method", "CONNECT"), (":protocol", "websocket"), (":scheme", "https"), (":path", "/chat")];
    fields.push((":authority", "a.test"));
    raw.send(&headers(1, &fields, 0)).await;
    assert_eq!(raw.next_on(1).await.status(), "200");
    raw.send(&data(1, b"ping", 0)).await;
    assert_eq!(raw.next_on(1).await.payload, b"ping");
}

async fn echoes_any() -> Handled {
    Ok(tunnel(async |conn| {
        let (mut reader, mut writer) = tokio::io::split(conn.io);
        let _ = copy(&mut reader, &mut writer).await;
    }))
}

/// NET-06, over HTTP/2: the client ends its side, and gets a late reply in full.
#[tokio::test(start_paused = true)]
async fn net_06_a_half_closed_tunnel_brings_a_late_reply() {
    let service = service_fn(async |_: Request| {
        Ok(tunnel(async |mut conn| {
            let mut asked = String::new();
            conn.io.read_to_string(&mut asked).await.unwrap();
            tokio::time::sleep(Duration::from_secs(3600)).await;
            conn.io.write_all(asked.repeat(50_000).as_bytes()).await.unwrap();
            conn.io.shutdown().await.unwrap();
        }))
    });
    let mut client = serve(service).await;
    let (response, mut upload) = begin(&mut client).await;
    upload.send_data(Bytes::from("question"), true).unwrap();
    let answer = answer(response).await;
    assert_eq!(answer.body.len(), 8 * 50_000);
    client.outcome().await.unwrap();
}

const BULK: usize = 16 * 1024 * 1024;

fn pattern() -> Vec<u8> {
    (0..=255_u8).cycle().take(64 * 1024).collect()
}

/// H2-10: the server's side ends first, with END_STREAM: the client's 16 MiB still arrive, as no reset follows. 16 MiB went the
/// other way before.
#[tokio::test(start_paused = true)]
async fn h2_10_the_end_of_one_direction_does_not_end_the_other() {
    let (sender, mut received) = mpsc::unbounded_channel();
    let service = service_fn_with(sender, async |sender: mpsc::UnboundedSender<usize>, _: Request| {
        Ok::<_, BoxError>(tunnel(async move |mut conn| {
            for _ in 0..BULK / pattern().len() {
                conn.io.write_all(&pattern()).await.unwrap();
            }
            conn.io.shutdown().await.unwrap();
            let mut count = 0;
            let mut buf = pattern();
            loop {
                let length = conn.io.read(&mut buf).await.unwrap();
                if length == 0 {
                    break;
                }
                let start = count % 256;
                assert!(buf[..length].iter().enumerate().all(|(n, byte)| (start + n) % 256 == usize::from(*byte)));
                count += length;
            }
            sender.send(count).unwrap();
        }))
    });
    let mut client = serve(service).await;
    let (response, mut upload) = begin(&mut client).await;
    let answer = answer(response).await;
    assert_eq!(answer.body.len(), BULK);
    assert!(answer.body.chunks(pattern().len()).all(|chunk| chunk == pattern()));
    let piece = Bytes::from(pattern());
    for n in 1..=BULK / piece.len() {
        send(&mut upload, piece.clone(), n == BULK / piece.len()).await;
    }
    assert_eq!(patient("the upload", received.recv()).await.unwrap(), BULK);
    drop(upload);
    client.outcome().await.unwrap();
}

/// H2-10: a client that ends its side and then says RST_STREAM(NO_ERROR), which is to say that it wants no more: what it sent
/// is read to its end.
#[tokio::test(start_paused = true)]
async fn h2_10_what_was_sent_before_a_reset_is_read_to_its_end() {
    let (sender, mut received) = mpsc::unbounded_channel();
    let service = service_fn_with(sender, async |sender: mpsc::UnboundedSender<_>, _: Request| {
        Ok::<_, BoxError>(tunnel(async move |mut conn| {
            tokio::time::sleep(Duration::from_secs(1)).await;
            let mut all = Vec::new();
            let read = conn.io.read_to_end(&mut all).await.map_err(|error| error.kind());
            let write = loop {
                if let Err(error) = conn.io.write_all(&[0; 1000]).await {
                    break error.kind();
                }
            };
            sender.send((read, all.len(), write)).unwrap();
        }))
    });
    let mut raw = Setup::new().raw(service).await;
    raw.send(&connect(1)).await;
    assert_eq!(raw.next_on(1).await.status(), "200");
    for _ in 0..6 {
        raw.send(&data(1, &[7; 10_000], 0)).await;
    }
    raw.send(&data(1, b"", END_STREAM)).await;
    raw.send(&reset(1, 0)).await;
    let seen = patient("the end", received.recv()).await.unwrap();
    assert_eq!(seen, (Ok(60_000), 60_000, std::io::ErrorKind::BrokenPipe));
}

/// A reset without an end is an error to who reads, and one to who writes.
#[tokio::test(start_paused = true)]
async fn a_reset_breaks_the_tunnel() {
    let (sender, mut received) = mpsc::unbounded_channel();
    let service = service_fn_with(sender, async |sender: mpsc::UnboundedSender<_>, _: Request| {
        Ok::<_, BoxError>(tunnel(async move |mut conn| {
            let read = conn.io.read(&mut [0]).await.map_err(|error| error.kind());
            let write = conn.io.write(&[0]).await.map_err(|error| error.kind());
            sender.send((read, write)).unwrap();
        }))
    });
    let mut raw = Setup::new().raw(service).await;
    raw.send(&connect(1)).await;
    assert_eq!(raw.next_on(1).await.status(), "200");
    raw.send(&reset(1, 8)).await;
    let seen = patient("the end", received.recv()).await.unwrap();
    assert_eq!(seen, (Err(std::io::ErrorKind::ConnectionReset), Err(std::io::ErrorKind::BrokenPipe)));
}

/// H2-11: the client reads nothing, with its window open: a tunnel's writes wait, and what waits is bounded.
#[tokio::test(start_paused = true)]
async fn h2_11_writes_wait_for_a_client_that_does_not_read() {
    for window in [65_535, 1 << 30] {
        let written = Arc::new(AtomicUsize::new(0));
        let service = service_fn_with(Arc::clone(&written), async |written: Arc<AtomicUsize>, _: Request| {
            Ok::<_, BoxError>(tunnel(async move |mut conn| {
                loop {
                    written.fetch_add(conn.io.write(&[0; 10_000]).await.unwrap(), Ordering::Relaxed);
                }
            }))
        });
        let setup = Setup::new().config(|config| config.with_max_unsent(100_000));
        let mut raw = setup.raw(service).await;
        raw.send(&connect(1)).await;
        if window > 65_535 {
            raw.send(&window_update(0, window - 65_535)).await;
            raw.send(&window_update(1, window - 65_535)).await;
        }
        tokio::time::sleep(Duration::from_secs(30)).await;
        let before = written.load(Ordering::Relaxed);
        // The window; or what may wait, what the pipe takes, and what h2 is writing.
        let bound = if window == 65_535 { 65_535 } else { 100_000 + 64 * 1024 + 32 * 1024 };
        assert!((10_000..=bound).contains(&before), "{before} of {bound} were written");
        assert_eq!(raw.next_on(1).await.status(), "200");
        assert_eq!(raw.next_on(1).await.kind, DATA);
        tokio::time::sleep(Duration::from_secs(1)).await;
        let after = written.load(Ordering::Relaxed);
        assert_eq!(after > before, window > 65_535, "{before} and {after}");
    }
}
