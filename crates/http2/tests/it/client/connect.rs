//! CONNECT and extended CONNECT: streams that become connections.

use std::{sync::Arc, time::Duration};

use bytes::Bytes;
use chaski_core::{
    BoxIo, Conn, Service, Session,
    http::{Body, Message, Request, Upgraded},
    test_util::pipe,
};
use chaski_http2::{ConnectProtocol, Http2ClientConfig, Http2Session};
use http::Method;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use super::{
    get, not_sent,
    peer::{DATA, END_HEADERS, END_STREAM, HEADERS, OK, Peer, RST_STREAM, connected},
    serve, soon, text,
};

/// SETTINGS_ENABLE_CONNECT_PROTOCOL (RFC 8441 section 3).
const ENABLE_CONNECT_PROTOCOL: u16 = 8;

fn connect() -> Request {
    http::Request::builder().method(Method::CONNECT).uri("b.test:443").body(Body::empty()).unwrap()
}

fn websocket() -> Request {
    let mut request =
        http::Request::builder().method(Method::CONNECT).uri("https://a.test/chat").body(Body::empty()).unwrap();
    request.scope().insert(ConnectProtocol::new("websocket"));
    request
}

/// A tunnel whose peer is played by the test.
async fn tunnel(session: &Arc<Http2Session>, peer: &mut Peer) -> (Conn<BoxIo>, u32) {
    let call = serve(session, connect());
    let head = peer.next(HEADERS).await;
    assert!(!head.ends());
    peer.send(HEADERS, END_HEADERS, head.stream, OK).await;
    let mut response = call.await.unwrap().unwrap();
    assert_eq!(response.body().as_full().map(Bytes::len), Some(0));
    (Upgraded::take(&mut response).expect("an upgraded connection"), head.stream)
}

/// What the server of another implementation sees, and its bytes both ways.
#[tokio::test(start_paused = true)]
async fn a_stream_becomes_a_connection() {
    #[derive(Debug, PartialEq)]
    struct Upstream(u8);
    let (near, far) = pipe();
    let server = tokio::spawn(async move {
        let mut connection = h2::server::handshake(far).await.unwrap();
        let (request, mut respond) = connection.accept().await.unwrap().unwrap();
        let driver = tokio::spawn(async move { assert!(connection.accept().await.is_none()) });
        assert_eq!((request.method(), request.uri().to_string().as_str()), (&Method::CONNECT, "b.test:443"));
        assert!(request.headers().is_empty());
        let mut sender = respond.send_response(http::Response::new(()), false).unwrap();
        let mut receiver = request.into_body();
        while let Some(data) = receiver.data().await {
            sender.send_data(data.unwrap(), false).unwrap();
        }
        sender.send_data(Bytes::new(), true).unwrap();
        drop((sender, receiver));
        driver.await.unwrap();
    });
    let conn = Conn::new(near);
    conn.ext.insert(Upstream(1));
    let session = Http2Session::handshake(conn, Http2ClientConfig::default()).await.unwrap();
    let mut response = session.serve(connect()).await.unwrap();
    response.scope().insert(2_u8);
    let mut conn = Upgraded::take(&mut response).unwrap();
    assert_eq!((conn.ext.get(), conn.ext.get()), (Some(&Upstream(1)), Some(&2_u8)));
    conn.io.write_all(b"hello").await.unwrap();
    let mut echo = [0; 5];
    conn.io.read_exact(&mut echo).await.unwrap();
    assert_eq!(&echo, b"hello");
    conn.io.shutdown().await.unwrap();
    assert_eq!(conn.io.read(&mut echo).await.unwrap(), 0);
    drop((session, conn));
    soon(server).await.unwrap();
}

/// The slot is the tunnel's for as long as it lives; one that is dropped resets its stream, and the connection goes on.
#[tokio::test(start_paused = true)]
async fn a_tunnel_has_a_slot() {
    let (session, mut peer) = connected(100).await;
    let session = Arc::new(session);
    let (conn, stream) = tunnel(&session, &mut peer).await;
    assert_eq!(session.slots().free, 99);
    drop(conn);
    assert_eq!(session.slots().free, 100);
    assert_eq!(peer.next(RST_STREAM).await.stream, stream);
    let call = serve(&session, get());
    peer.next(HEADERS).await;
    peer.answer(3).await;
    call.await.unwrap().unwrap();
}

/// H2-10: each direction ends by itself, whichever is first; all of 16 MiB arrives each way.
#[tokio::test(start_paused = true)]
async fn h2_10_one_direction_outlives_the_other() {
    const SIZE: usize = 16 * 1024 * 1024;
    for download_first in [true, false] {
        let (near, far) = pipe();
        let server = tokio::spawn(async move {
            let mut connection =
                h2::server::Builder::new().initial_window_size(100_000).handshake::<_, Bytes>(far).await.unwrap();
            let (request, mut respond) = connection.accept().await.unwrap().unwrap();
            tokio::spawn(async move { while connection.accept().await.is_some() {} });
            let mut sender = respond.send_response(http::Response::new(()), false).unwrap();
            let mut receiver = request.into_body();
            let download = async move {
                let mut left = SIZE;
                while left > 0 {
                    sender.reserve_capacity(left);
                    let window = std::future::poll_fn(|cx| sender.poll_capacity(cx)).await.unwrap().unwrap();
                    left -= window;
                    sender.send_data(vec![1; window].into(), left == 0).unwrap();
                }
            };
            let upload = async move {
                let mut count = 0;
                while let Some(data) = receiver.data().await {
                    let data = data.unwrap();
                    assert!(data.iter().all(|byte| *byte == 2));
                    receiver.flow_control().release_capacity(data.len()).unwrap();
                    count += data.len();
                }
                count
            };
            if download_first {
                download.await;
                upload.await
            } else {
                let count = upload.await;
                download.await;
                count
            }
        });
        let session = Http2Session::handshake(Conn::new(near), Http2ClientConfig::default()).await.unwrap();
        let mut response = session.serve(connect()).await.unwrap();
        let io = Upgraded::take(&mut response).unwrap().io;
        let (mut reader, mut writer) = tokio::io::split(io);
        let download = async {
            let mut all = Vec::new();
            reader.read_to_end(&mut all).await.unwrap();
            assert!(all.len() == SIZE && all.iter().all(|byte| *byte == 1));
        };
        let upload = async {
            writer.write_all(&vec![2; SIZE]).await.unwrap();
            writer.shutdown().await.unwrap();
        };
        if download_first {
            download.await;
            upload.await;
        } else {
            upload.await;
            download.await;
        }
        assert_eq!(soon(server).await.unwrap(), SIZE);
    }
}

/// H2-11: a write waits for the peer's window, so that nothing piles up for a peer that does not read.
#[tokio::test(start_paused = true)]
async fn h2_11_a_write_waits_for_the_window() {
    let (session, mut peer) = connected(100).await;
    let session = Arc::new(session);
    let (mut conn, stream) = tunnel(&session, &mut peer).await;
    let writes = tokio::spawn(async move {
        let mut taken = 0;
        loop {
            let write = conn.io.write(&[0; 10_000]);
            match tokio::time::timeout(std::time::Duration::from_secs(1), write).await {
                Ok(count) => taken += count.unwrap(),
                Err(_) => return (taken, conn),
            }
        }
    });
    let mut received = 0;
    while received < 65_535 {
        received += peer.next(DATA).await.payload.len();
    }
    let (taken, mut conn) = writes.await.unwrap();
    assert_eq!((taken, received), (65_535, 65_535));
    peer.open_window(stream, 5).await;
    peer.open_window(0, 5).await;
    assert_eq!(soon(conn.io.write(&[0; 100])).await.unwrap(), 5);
    assert_eq!(peer.next(DATA).await.payload.len(), 5);
}

/// A refusal is a response like any other.
#[tokio::test(start_paused = true)]
async fn a_refused_tunnel_is_a_response() {
    let (session, mut peer) = connected(100).await;
    let session = Arc::new(session);
    let call = serve(&session, connect());
    peer.next(HEADERS).await;
    // `:status: 404`.
    peer.send(HEADERS, END_HEADERS, 1, &[0x8d]).await;
    peer.send(DATA, END_STREAM, 1, b"no").await;
    let mut response = call.await.unwrap().unwrap();
    assert!(Upgraded::take(&mut response).is_none());
    assert_eq!((response.status().as_u16(), text(response).await.as_str()), (404, "no"));
    // Nothing follows from this side either.
    assert!(peer.next(DATA).await.ends());
    assert_eq!(session.slots().free, 100);
}

#[tokio::test(start_paused = true)]
async fn a_malformed_connect_is_not_sent() {
    let (session, mut peer) = connected(100).await;
    let build = |uri: &str, body: Body| http::Request::builder().method(Method::CONNECT).uri(uri).body(body).unwrap();
    for (request, why) in [
        (build("b.test", Body::empty()), "the request cannot be sent: a CONNECT request names a port"),
        (build("b.test:443", Body::full("body")), "the request cannot be sent: a CONNECT request has no body"),
        (build("/", Body::empty()), "the request cannot be sent: its URI has no authority"),
    ] {
        assert_eq!(not_sent(session.serve(request).await).1, why);
    }
    assert!(peer.settle().await.is_empty());
    assert_eq!(session.slots().free, 100);
}

/// RFC 8441: the peer has to offer it, which a request on a fresh connection waits for.
#[tokio::test(start_paused = true)]
async fn extended_connect_waits_for_the_peers_offer() {
    let (near, far) = pipe();
    let session = Arc::new(Http2Session::handshake(Conn::new(near), Http2ClientConfig::default()).await.unwrap());
    let call = serve(&session, websocket());
    tokio::task::yield_now().await;
    let server = tokio::spawn(async move {
        let mut builder = h2::server::Builder::new();
        let mut connection = builder.enable_connect_protocol().handshake::<_, Bytes>(far).await.unwrap();
        let (request, mut respond) = connection.accept().await.unwrap().unwrap();
        assert_eq!((request.method(), request.uri().to_string().as_str()), (&Method::CONNECT, "https://a.test/chat"));
        assert_eq!(request.extensions().get::<h2::ext::Protocol>().unwrap().as_str(), "websocket");
        let mut sender = respond.send_response(http::Response::new(()), false).unwrap();
        sender.send_data("frames".into(), true).unwrap();
        while connection.accept().await.is_some() {}
    });
    let mut response = soon(call).await.unwrap().unwrap();
    let mut frames = Vec::new();
    Upgraded::take(&mut response).unwrap().io.read_to_end(&mut frames).await.unwrap();
    assert_eq!(frames, b"frames");
    drop((session, response));
    soon(server).await.unwrap();
}

/// A part of the offer is none yet.
#[tokio::test(start_paused = true)]
async fn extended_connect_waits_for_all_of_the_peers_offer() {
    let (near, mut far) = pipe();
    let session = Arc::new(Http2Session::handshake(Conn::new(near), Http2ClientConfig::default()).await.unwrap());
    let mut call = serve(&session, websocket());
    // SETTINGS with one setting of six bytes.
    let offer =
        [&[0, 0, 6, 4, 0, 0, 0, 0, 0][..], &ENABLE_CONNECT_PROTOCOL.to_be_bytes(), &1_u32.to_be_bytes()].concat();
    for piece in [&offer[..2], &offer[2..9], &offer[9..14]] {
        far.write_all(piece).await.unwrap();
        let waiting = tokio::time::timeout(Duration::from_secs(1), &mut call).await;
        assert!(waiting.is_err(), "{piece:?} is not all of it");
    }
    far.write_all(&offer[14..]).await.unwrap();
    let mut peer = Peer::behind_preface(far).await;
    let head = loop {
        let frame = peer.frame().await.unwrap();
        if frame.kind == HEADERS {
            break frame;
        }
    };
    peer.answer(head.stream).await;
    soon(call).await.unwrap().unwrap();
}

#[tokio::test(start_paused = true)]
async fn extended_connect_is_not_sent_to_a_peer_that_does_not_offer_it() {
    let (session, mut peer) = connected(100).await;
    let (request, why) = not_sent(session.serve(websocket()).await);
    assert_eq!(why, "the request cannot be sent: the peer does not take extended CONNECT");
    assert_eq!(request.fact(), Some(&ConnectProtocol::new("websocket")));
    // It may change its mind.
    peer.settings(&[(ENABLE_CONNECT_PROTOCOL, 1)]).await;
    let session = Arc::new(session);
    let call = serve(&session, request);
    peer.next(HEADERS).await;
    peer.answer(1).await;
    let mut response = call.await.unwrap().unwrap();
    let mut nothing = Vec::new();
    Upgraded::take(&mut response).unwrap().io.read_to_end(&mut nothing).await.unwrap();
    assert!(nothing.is_empty());
}
