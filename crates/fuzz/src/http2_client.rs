//! Target: the client's side of HTTP/2, against a peer that sends what frames it likes.
//!
//! Four choices (the size of pieces; how the pipe behaves; the kinds of three calls, two bits each; how the peer ends), then the
//! peer's frames, each as its type, its flags, its stream, the length of its payload and that payload, a byte for each of the
//! first four. A type of 0xfe is no frame: the peer waits until one more request has come; 0xff is a pause of a second.

use std::{
    collections::BTreeMap,
    sync::{Mutex, MutexGuard},
    time::Duration,
};

use bytes::Bytes;
use chaski_core::{
    BoxError, Conn, Service, Session,
    http::{Body, Request, Upgraded},
    test_util::{Pipe, PipeOptions},
};
use chaski_http2::{Http2ClientConfig, Http2Session};
use http::Method;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt, ReadHalf, WriteHalf},
    sync::Notify,
    time::sleep,
};

use crate::{
    input::Choices,
    run::{direction, to_the_end},
};

/// Longer than a client's limits of time and a script of pauses together.
const LONGEST: Duration = Duration::from_secs(100_000);

const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

const WAIT: u8 = 0xfe;
const PAUSE: u8 = 0xff;

/// Every call ends, with all its slots given back and its connection closed when the session goes; and what the client sends
/// is HTTP/2.
pub(crate) fn run(data: &[u8]) {
    let Some((choices, script)) = Choices::split(data) else { return };
    let peer = Peer::default();
    to_the_end(LONGEST, async {
        let (near, far) = PipeOptions::both(direction(choices, 0, 1)).pipe();
        tokio::join!(call(choices, near), peer.play(choices, far, script));
    });
    check(&peer.received());
}

/// Makes three calls at the same time.
async fn call(choices: Choices, near: Pipe) {
    let limit = Some(Duration::from_secs(60));
    let config = Http2ClientConfig::default()
        .with_head_timeout(limit)
        .with_body_timeout(limit)
        .with_write_timeout(limit)
        .with_keep_alive_interval(choices.is(3, 3).then_some(Duration::from_secs(30)));
    let Ok(session) = Http2Session::handshake(Conn::new(near), config).await else { return };
    let one = |place: u8| ask(&session, choices.pick(2, 64) >> (2 * place) & 3);
    tokio::join!(one(0), one(1), one(2));
    // Nothing is left of them.
    let shown = format!("{session:?}");
    assert!(shown.contains("in_use: 0"), "{shown}");
    assert!(session.slots().shared);
}

async fn ask(session: &Http2Session, kind: u8) {
    let (method, uri, body) = match kind {
        0 => (Method::GET, "http://a/", Body::empty()),
        1 => (Method::POST, "http://a/", Body::full("hello")),
        2 => (Method::POST, "http://a/", Body::from_stream(Pieces(vec![Bytes::from_static(&[b'x'; 9_000]); 9]))),
        _ => (Method::CONNECT, "a:1", Body::empty()),
    };
    let request = http::Request::builder().method(method).uri(uri).body(body).expect("a request");
    let Ok(mut response) = session.serve(request as Request).await else { return };
    if let Some(mut tunnel) = Upgraded::take(&mut response) {
        let use_it = async {
            tunnel.io.write_all(b"hello").await?;
            tunnel.io.shutdown().await?;
            tunnel.io.read_to_end(&mut Vec::new()).await
        };
        // A tunnel has no limit of its own.
        let _ = tokio::time::timeout(Duration::from_secs(60), use_it).await;
        return;
    }
    let _ = response.into_body().collect(1 << 20).await;
}

/// A body of these pieces.
struct Pieces(Vec<Bytes>);

impl futures_core::Stream for Pieces {
    type Item = Result<Bytes, BoxError>;

    fn poll_next(
        mut self: std::pin::Pin<&mut Self>,
        _: &mut std::task::Context<'_>,
    ) -> std::task::Poll<Option<Self::Item>> {
        std::task::Poll::Ready(self.0.pop().map(Ok))
    }
}

/// What the peer has received, and who waits for more.
#[derive(Default)]
struct Peer {
    received: Mutex<Vec<u8>>,
    over: Mutex<bool>,
    more: Notify,
}

impl Peer {
    fn received(&self) -> Vec<u8> {
        lock(&self.received).clone()
    }

    async fn play(&self, choices: Choices, far: Pipe, script: &[u8]) {
        let (reading, writing) = tokio::io::split(far);
        tokio::join!(self.read(reading), self.write(choices, writing, script));
    }

    async fn read(&self, mut reading: ReadHalf<Pipe>) {
        let mut piece = [0; 4096];
        while let Ok(count @ 1..) = reading.read(&mut piece).await {
            lock(&self.received).extend_from_slice(&piece[..count]);
            self.more.notify_one();
        }
        *lock(&self.over) = true;
        self.more.notify_one();
    }

    async fn write(&self, choices: Choices, mut writing: WriteHalf<Pipe>, mut script: &[u8]) {
        let mut awaited = 0;
        while let [kind, rest @ ..] = script {
            script = rest;
            match (*kind, rest) {
                (PAUSE, _) => sleep(Duration::from_secs(1)).await,
                (WAIT, _) => {
                    awaited += 1;
                    while frames(&lock(&self.received)).iter().filter(|frame| frame.kind == 1).count() < awaited {
                        if *lock(&self.over) {
                            return;
                        }
                        self.more.notified().await;
                    }
                }
                (kind, [flags, stream, length, rest @ ..]) => {
                    let (payload, behind) = rest.split_at(rest.len().min(usize::from(*length)));
                    script = behind;
                    let length = u8::try_from(payload.len()).expect("one byte says it");
                    let head = [0, 0, length, kind, *flags, 0, 0, 0, *stream];
                    if writing.write_all(&[&head[..], payload].concat()).await.is_err() {
                        return;
                    }
                }
                _ => break,
            }
        }
        if !choices.is(3, 0) {
            let _ = writing.shutdown().await;
        }
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().expect("nobody panics with it")
}

struct Frame {
    kind: u8,
    flags: u8,
    stream: u32,
    length: usize,
}

/// The whole frames behind the preface.
fn frames(mut bytes: &[u8]) -> Vec<Frame> {
    let mut frames = Vec::new();
    bytes = bytes.strip_prefix(PREFACE).unwrap_or_default();
    while let Some(([a, b, c, kind, flags, stream @ ..], rest)) = bytes.split_first_chunk::<9>() {
        let length = u32::from_be_bytes([0, *a, *b, *c]) as usize;
        let Some((_, behind)) = rest.split_at_checked(length) else { break };
        frames.push(Frame { kind: *kind, flags: *flags, stream: u32::from_be_bytes(*stream), length });
        bytes = behind;
    }
    frames
}

/// What the client may send (RFC 9113 sections 3.4, 5.1 and 6): streams in order, nothing behind their end.
fn check(received: &[u8]) {
    let begins = received.len().min(PREFACE.len());
    assert_eq!(&received[..begins], &PREFACE[..begins]);
    // Whether each stream has ended for this side.
    let mut streams: BTreeMap<u32, bool> = BTreeMap::new();
    let mut block = None;
    for (place, frame) in frames(received).iter().enumerate() {
        let shown = || format!("frame {place}, type {}, stream {}", frame.kind, frame.stream);
        assert_eq!(place == 0, frame.kind == 4 && place == 0, "settings come first");
        assert!(frame.length <= 16_384, "{}", shown());
        assert_eq!(block.is_some(), frame.kind == 9, "{}", shown());
        let (ends, ended) = (frame.flags & 1 != 0, streams.get(&frame.stream).copied());
        match frame.kind {
            0 => {
                assert_eq!(ended, Some(false), "{}", shown());
                streams.insert(frame.stream, ends);
            }
            1 => {
                let next = frame.stream % 2 == 1 && streams.keys().all(|stream| *stream < frame.stream);
                assert!(ended == Some(false) || ended.is_none() && next, "{}", shown());
                streams.insert(frame.stream, ends);
                block = (frame.flags & 4 == 0).then_some(frame.stream);
            }
            3 => {
                assert!(ended.is_some() || frame.stream % 2 == 0, "{}", shown());
                streams.insert(frame.stream, true);
            }
            4 | 6 | 7 => assert_eq!(frame.stream, 0, "{}", shown()),
            8 => assert!(frame.stream == 0 || ended.is_some(), "{}", shown()),
            9 => {
                assert_eq!(block, Some(frame.stream), "{}", shown());
                if frame.flags & 4 != 0 {
                    block = None;
                }
            }
            _ => panic!("{}", shown()),
        }
    }
}
