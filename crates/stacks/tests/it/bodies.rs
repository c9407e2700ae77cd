//! Bodies for tests.

use std::{
    pin::Pin,
    sync::LazyLock,
    task::{Context, Poll},
};

use bytes::Bytes;
use chaski_core::{
    BoxError,
    http::{Body, Response},
};
use http_body::{Body as HttpBody, Frame};
use tokio::sync::mpsc;

/// A prime, so that no buffer size hides a piece that was lost or doubled.
const PERIOD: usize = 251;

/// The most of the pattern that is handed out at once.
const PIECE: usize = 128 * 1024;

/// `length` bytes, at most [`PIECE`], of the bodies that are long, from byte `at` on: each is its place modulo 251.
pub(crate) fn pattern(at: u64, length: usize) -> Bytes {
    static BYTES: LazyLock<Bytes> = LazyLock::new(|| (0..PIECE + PERIOD).map(|at| (at % PERIOD) as u8).collect());
    let start = (at % PERIOD as u64) as usize;
    BYTES.slice(start..start + length)
}

/// Counts bytes and compares them with [`pattern`].
#[derive(Default, Debug)]
pub(crate) struct Checker(pub(crate) u64);

impl Checker {
    pub(crate) fn check(&mut self, data: &[u8]) {
        for piece in data.chunks(PIECE) {
            assert!(*piece == pattern(self.0, piece.len()), "wrong within {} bytes from {} on", piece.len(), self.0);
            self.0 += piece.len() as u64;
        }
    }

    /// Reads a body to its end; tells its length.
    pub(crate) async fn read(mut body: Body) -> u64 {
        let mut checker = Self::default();
        while let Some(frame) = body.frame().await {
            if let Ok(data) = frame.unwrap().into_data() {
                checker.check(&data);
            }
        }
        checker.0
    }
}

/// A body of `left` bytes of [`pattern`], in frames of at most `frame` bytes, of a length that it does not tell.
pub(crate) struct Patterned {
    at: u64,
    end: u64,
    frame: u64,
}

impl Patterned {
    pub(crate) fn body(length: u64, frame: u64) -> Body {
        Body::new(Self { at: 0, end: length, frame })
    }
}

impl HttpBody for Patterned {
    type Data = Bytes;
    type Error = BoxError;

    fn poll_frame(mut self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        if self.at == self.end {
            return Poll::Ready(None);
        }
        let length = self.frame.min(self.end - self.at);
        let data = pattern(self.at, length as usize);
        self.at += length;
        Poll::Ready(Some(Ok(Frame::data(data))))
    }
}

/// A body whose frames are sent by the test.
pub(crate) struct Fed(mpsc::Receiver<Frame<Bytes>>);

/// The test's side: a send fails when the body is gone.
pub(crate) struct Feeder(mpsc::Sender<Frame<Bytes>>);

pub(crate) fn fed() -> (Feeder, Body) {
    let (sender, receiver) = mpsc::channel(1);
    (Feeder(sender), Body::new(Fed(receiver)))
}

impl Feeder {
    pub(crate) async fn send(&self, data: impl Into<Bytes>) -> bool {
        self.0.send(Frame::data(data.into())).await.is_ok()
    }

    /// Waits until the body is dropped.
    pub(crate) async fn dropped(&self) {
        self.0.closed().await;
    }
}

impl HttpBody for Fed {
    type Data = Bytes;
    type Error = BoxError;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        self.0.poll_recv(cx).map(|frame| frame.map(Ok))
    }
}

/// The next frame of data of a response.
pub(crate) async fn next_data(response: &mut Response) -> Option<Bytes> {
    let frame = response.body_mut().frame().await?;
    Some(frame.unwrap().into_data().unwrap())
}
