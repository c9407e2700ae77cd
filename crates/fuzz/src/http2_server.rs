//! Target: the HTTP/2 server, with a service that does with bodies what services do.
//!
//! Four choices (the size of pieces; how the pipe behaves; what the client does; what the server is set up with), then the
//! frames that the client sends behind its preface, as they stand on the wire.

use std::{
    collections::HashMap,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use bytes::Bytes;
use chaski_core::{
    BoxError, BoxIo, Conn, Service,
    http::{Body, Informational, Request, Response, Upgrade},
    service_fn_with,
    test_util::{Chunking, Fault, Pipe, PipeOptions},
};
use chaski_http2::{Http2Server, Http2ServerConfig};
use http::{HeaderMap, Method, StatusCode};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use crate::{
    input::Choices,
    run::{direction, to_the_end},
};

/// Longer than all limits of time of one connection together.
const LONGEST: Duration = Duration::from_secs(3600);

/// How long a tunnel stands.
const TUNNEL: Duration = Duration::from_secs(100);

const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

const DATA: u8 = 0;
const HEADERS: u8 = 1;
const RST_STREAM: u8 = 3;
const SETTINGS: u8 = 4;
const GOAWAY: u8 = 7;
const WINDOW_UPDATE: u8 = 8;
const CONTINUATION: u8 = 9;

const END_STREAM: u8 = 0x1;

/// The connection ends in time; what comes of it are frames that a client can make sense of, answers to requests and within
/// the client's windows; and the service sees no more requests than there are heads.
pub(crate) fn run(data: &[u8]) {
    let Some((choices, input)) = Choices::split(data) else { return };
    let mut pipe = PipeOptions::both(direction(choices, 0, 1));
    // In what pieces its answers are read is nothing to a server.
    pipe.b_to_a.reads = Chunking::Whole;
    let at = u64::from(choices.pick(3, 64)) * 8;
    match choices.pick(2, 8) {
        6 => pipe.a_to_b.fault = Some(Fault::ResetAfter(at)),
        7 => pipe.b_to_a.fault = Some(Fault::WriteZeroAfter(at)),
        _ => {}
    }
    let gone = choices.pick(2, 8) == 5;
    let config = Http2ServerConfig::default()
        .with_extended_connect(choices.is(3, 0))
        .with_keep_alive_interval(choices.is(3, 1).then_some(Duration::from_secs(20)));
    let calls = Arc::<AtomicUsize>::default();
    let server = Http2Server::new(service_fn_with(Arc::clone(&calls), serve)).with_config(config);
    let output = to_the_end(LONGEST, async {
        let (near, far) = pipe.pipe();
        let conn = Conn::new(far);
        if choices.is(3, 2) {
            conn.ext.insert("a fact, so that requests have scopes");
        }
        let served = server.serve(conn);
        tokio::join!(served, converse(near, input, gone)).1
    });
    let sent = frames(input);
    check(&frames(&output), &sent);
    let heads = sent.iter().filter(|frame| frame.kind == HEADERS).count();
    assert!(calls.load(Ordering::Relaxed) <= heads, "more requests than heads");
}

/// What services do with bodies, by the method, as the shortest heads have no other choice.
async fn serve(calls: Arc<AtomicUsize>, request: Request) -> Result<Response, BoxError> {
    calls.fetch_add(1, Ordering::Relaxed);
    if *request.method() == Method::CONNECT {
        let mut response = Response::new(Body::empty());
        let echo = async |conn: Conn<BoxIo>| {
            let (mut reader, mut writer) = tokio::io::split(conn.io);
            // A tunnel has no limit of time of its own.
            let _ = tokio::time::timeout(TUNNEL, tokio::io::copy(&mut reader, &mut writer)).await;
            let _ = writer.shutdown().await;
        };
        Upgrade::new(echo).attach(&mut response);
        return Ok(response);
    }
    if let Some(informational) = Informational::of(&request) {
        let _ = informational.send(StatusCode::EARLY_HINTS, &HeaderMap::new());
    }
    match request.uri().path() {
        "/" if *request.method() == Method::POST => Ok(Response::new(request.into_body())),
        "/index.html" => Ok(Response::new(Body::full(request.into_body().collect(1 << 20).await?))),
        "/fail" => Err("on purpose".into()),
        _ => Ok(Response::new(Body::full(Bytes::from_static(&[b'x'; 70_000])))),
    }
}

/// Sends all, ends, and reads to the end, or goes at once. Returns what came.
async fn converse(near: Pipe, input: &[u8], gone: bool) -> Vec<u8> {
    let (mut reading, mut writing) = tokio::io::split(near);
    let write = async {
        // A server that closes early stops the writing, and so does a fault.
        let _ = writing.write_all(PREFACE).await;
        let _ = writing.write_all(input).await;
        writing
    };
    let mut output = Vec::new();
    if gone {
        drop(write.await);
        return output;
    }
    let read = async {
        // What came before a fault is kept. The server closes, as no request comes any more.
        let _ = reading.read_to_end(&mut output).await;
    };
    tokio::join!(write, read);
    output
}

/// A frame by its head, and the first 32 bits of what it holds.
#[derive(Debug)]
struct Seen {
    kind: u8,
    flags: u8,
    stream: u32,
    length: usize,
    word: u32,
}

/// The frames of a stream of bytes; the last may be cut off.
fn frames(mut bytes: &[u8]) -> Vec<Seen> {
    let mut frames = Vec::new();
    while let Some((&[a, b, c, kind, flags, d, e, f, g], rest)) = bytes.split_first_chunk::<9>() {
        let length = u32::from_be_bytes([0, a, b, c]) as usize;
        let word = rest.first_chunk().map_or(0, |word| u32::from_be_bytes(*word));
        frames.push(Seen { kind, flags, stream: u32::from_be_bytes([d, e, f, g]) & 0x7fff_ffff, length, word });
        bytes = rest.get(length..).unwrap_or_default();
    }
    frames
}

/// What the server says to a stream.
#[derive(Debug, Default)]
struct Answer {
    head: bool,
    ended: bool,
    reset: bool,
    data: u64,
}

fn check(output: &[Seen], sent: &[Seen]) {
    let settles = sent.iter().any(|frame| frame.kind == SETTINGS && frame.length > 0);
    // All that the client ever allowed; its settings may change it, and are not read here.
    let window = |stream| {
        let updates = sent.iter().filter(|frame| frame.kind == WINDOW_UPDATE && frame.stream == stream);
        65_535 + updates.map(|frame| u64::from(frame.word & 0x7fff_ffff)).sum::<u64>()
    };
    let mut answers = HashMap::<u32, Answer>::new();
    let mut data = 0;
    let mut goodbye = None;
    for (place, frame) in output.iter().enumerate() {
        assert!(settles || frame.length <= 16_384, "a frame of {} bytes", frame.length);
        assert!(place > 0 || (frame.kind == SETTINGS && frame.flags == 0), "it begins with {frame:?}");
        match frame.kind {
            GOAWAY => {
                assert!(goodbye.is_none_or(|last| frame.word <= last), "a later GOAWAY says more");
                goodbye = Some(frame.word);
            }
            DATA | HEADERS | RST_STREAM | CONTINUATION => {
                let asked = sent.iter().any(|sent| sent.stream == frame.stream);
                assert!(asked, "an answer to nobody: {frame:?}");
                let answer = answers.entry(frame.stream).or_default();
                // One that is no longer known is reset again, for each frame that still comes for it.
                assert!(!answer.reset || frame.kind == RST_STREAM, "behind a reset: {frame:?}");
                assert!(!answer.ended || frame.kind == RST_STREAM, "behind the end: {frame:?}");
                match frame.kind {
                    HEADERS => answer.head = true,
                    DATA => {
                        assert!(answer.head, "no head before {frame:?}");
                        answer.data += frame.length as u64;
                        data += frame.length as u64;
                    }
                    RST_STREAM => answer.reset = true,
                    _ => {}
                }
                answer.ended |= matches!(frame.kind, DATA | HEADERS) && frame.flags & END_STREAM != 0;
                assert!(settles || answer.data <= window(frame.stream), "more than the window of {frame:?}");
            }
            _ => {}
        }
    }
    assert!(data <= window(0), "more than the connection's window");
}
