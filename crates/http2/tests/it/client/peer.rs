//! A server that does what a test says, frame by frame. It knows frames (RFC 9113 section 4.1) and no more.

use std::{
    future::{Future, poll_fn},
    pin::pin,
    task::Poll,
    time::Duration,
};

use chaski_core::{
    Conn,
    test_util::{Pipe, pipe},
};
use chaski_http2::{Http2ClientConfig, Http2Session};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

pub(super) const DATA: u8 = 0;
pub(super) const HEADERS: u8 = 1;
pub(super) const PRIORITY: u8 = 2;
pub(super) const RST_STREAM: u8 = 3;
pub(super) const SETTINGS: u8 = 4;
pub(super) const PING: u8 = 6;
pub(super) const GOAWAY: u8 = 7;
pub(super) const WINDOW_UPDATE: u8 = 8;
pub(super) const CONTINUATION: u8 = 9;

pub(super) const END_STREAM: u8 = 1;
pub(super) const END_HEADERS: u8 = 4;

pub(super) const MAX_CONCURRENT_STREAMS: u16 = 3;
pub(super) const INITIAL_WINDOW_SIZE: u16 = 4;

/// Longer than anything here takes by itself.
pub(super) const PATIENCE: Duration = Duration::from_secs(3600);

/// `:status: 200`, by the static table (RFC 7541 appendix A).
pub(super) const OK: &[u8] = &[0x88];

#[derive(Debug, PartialEq, Eq)]
pub(super) struct Frame {
    pub(super) kind: u8,
    pub(super) flags: u8,
    pub(super) stream: u32,
    pub(super) payload: Vec<u8>,
}

impl Frame {
    /// The number that a RST_STREAM or GOAWAY frame ends with, or begins with.
    pub(super) fn number(&self, at: usize) -> u32 {
        u32::from_be_bytes(self.payload[at..at + 4].try_into().unwrap())
    }

    pub(super) fn ends(&self) -> bool {
        self.flags & END_STREAM != 0
    }
}

pub(super) struct Peer {
    io: Pipe,
}

/// A session and its peer, which allows so many streams.
pub(super) async fn connected(streams: u32) -> (Http2Session, Peer) {
    connected_with(Http2ClientConfig::default(), &[(MAX_CONCURRENT_STREAMS, streams)]).await
}

pub(super) async fn connected_with(config: Http2ClientConfig, settings: &[(u16, u32)]) -> (Http2Session, Peer) {
    let (near, far) = pipe();
    let session = Http2Session::handshake(Conn::new(near), config).await.unwrap();
    let mut peer = Peer::behind_preface(far).await;
    peer.greet(settings).await;
    (session, peer)
}

impl Peer {
    /// The peer of a client that has begun: it has its preface, and its frames are to come.
    pub(super) async fn behind_preface(mut io: Pipe) -> Self {
        let mut preface = [0; 24];
        io.read_exact(&mut preface).await.unwrap();
        assert_eq!(&preface, b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n");
        Self { io }
    }

    /// Exchanges the first frames, and waits until the client has taken the settings.
    async fn greet(&mut self, settings: &[(u16, u32)]) {
        assert_eq!(self.frame().await.unwrap().kind, SETTINGS);
        self.send(SETTINGS, 1, 0, &[]).await;
        self.settings(settings).await;
    }

    /// Sends settings, and waits until they are acknowledged.
    pub(super) async fn settings(&mut self, settings: &[(u16, u32)]) {
        let payload: Vec<u8> =
            settings.iter().flat_map(|(id, value)| [&id.to_be_bytes()[..], &value.to_be_bytes()].concat()).collect();
        self.send(SETTINGS, 0, 0, &payload).await;
        loop {
            let frame = self.frame().await.expect("an acknowledgement");
            match frame.kind {
                SETTINGS => return assert_eq!(frame.flags, 1),
                WINDOW_UPDATE => {}
                _ => panic!("{frame:?}"),
            }
        }
    }

    /// The next frame; `None` at the end. On the paused clock one that never comes is missed at once.
    pub(super) async fn frame(&mut self) -> Option<Frame> {
        tokio::time::timeout(PATIENCE, self.read()).await.expect("a frame in time")
    }

    async fn read(&mut self) -> Option<Frame> {
        let mut head = [0; 9];
        self.io.read_exact(&mut head).await.ok()?;
        let [a, b, c, kind, flags, stream @ ..] = head;
        let mut payload = vec![0; u32::from_be_bytes([0, a, b, c]) as usize];
        self.io.read_exact(&mut payload).await.unwrap();
        Some(Frame { kind, flags, stream: u32::from_be_bytes(stream), payload })
    }

    /// The next frame that is no window update, which has to be of this kind.
    pub(super) async fn next(&mut self, kind: u8) -> Frame {
        loop {
            let frame = self.frame().await.expect("a frame");
            if frame.kind != WINDOW_UPDATE {
                assert_eq!(frame.kind, kind, "{frame:?}");
                return frame;
            }
        }
    }

    pub(super) async fn send(&mut self, kind: u8, flags: u8, stream: u32, payload: &[u8]) {
        assert!(self.try_send(kind, flags, stream, payload).await, "the client has closed");
    }

    /// Sends a frame if the client has not closed.
    pub(super) async fn try_send(&mut self, kind: u8, flags: u8, stream: u32, payload: &[u8]) -> bool {
        let length = u32::try_from(payload.len()).unwrap().to_be_bytes();
        let frame = [&length[1..], &[kind, flags], &stream.to_be_bytes(), payload].concat();
        self.io.write_all(&frame).await.is_ok()
    }

    /// A frame that is there already, or the end; `None` if there is neither. The client writes frames as a whole.
    pub(super) async fn waiting(&mut self) -> Option<Option<Frame>> {
        match poll_once(self.read()).await {
            Poll::Ready(frame) => Some(frame),
            Poll::Pending => None,
        }
    }

    /// Reads on to the end; the last GOAWAY's code.
    pub(super) async fn goodbye(&mut self) -> Option<u32> {
        let mut code = None;
        while let Some(frame) = self.frame().await {
            if frame.kind == GOAWAY {
                code = Some(frame.number(4));
            }
        }
        code
    }

    /// A response without a body.
    pub(super) async fn answer(&mut self, stream: u32) {
        self.send(HEADERS, END_HEADERS | END_STREAM, stream, OK).await;
    }

    pub(super) async fn reset(&mut self, stream: u32, code: u32) {
        self.send(RST_STREAM, 0, stream, &code.to_be_bytes()).await;
    }

    pub(super) async fn go_away(&mut self, last: u32, code: u32) {
        self.send(GOAWAY, 0, 0, &[last.to_be_bytes(), code.to_be_bytes()].concat()).await;
    }

    /// Opens the window of a stream, or of the connection.
    pub(super) async fn open_window(&mut self, stream: u32, bytes: u32) {
        self.send(WINDOW_UPDATE, 0, stream, &bytes.to_be_bytes()).await;
    }

    /// Makes sure that the client has taken in all that was sent, and returns what it had sent until then.
    pub(super) async fn settle(&mut self) -> Vec<Frame> {
        self.send(PING, 0, 0, &[7; 8]).await;
        let mut frames = Vec::new();
        loop {
            let frame = self.frame().await.expect("a pong");
            if frame.kind == PING {
                return frames;
            }
            frames.push(frame);
        }
    }

    /// The client has closed the connection, in peace.
    pub(super) async fn gone(&mut self) {
        let goodbye = self.next(GOAWAY).await;
        assert_eq!(goodbye.number(4), 0, "NO_ERROR");
        assert_eq!(self.frame().await, None);
    }
}

async fn poll_once<F: Future>(future: F) -> Poll<F::Output> {
    let mut future = pin!(future);
    poll_fn(|cx| Poll::Ready(future.as_mut().poll(cx))).await
}
