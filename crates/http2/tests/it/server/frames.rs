//! A client that writes frames by hand, for what no library would send.

use bytes::Bytes;
use chaski_core::{
    BoxError, Service,
    http::{Request, Response},
};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use super::harness::*;

pub(super) const DATA: u8 = 0;
pub(super) const HEADERS: u8 = 1;
pub(super) const PRIORITY: u8 = 2;
pub(super) const RST_STREAM: u8 = 3;
pub(super) const SETTINGS: u8 = 4;
pub(super) const PING: u8 = 6;
pub(super) const GOAWAY: u8 = 7;
pub(super) const WINDOW_UPDATE: u8 = 8;
pub(super) const CONTINUATION: u8 = 9;

pub(super) const END_STREAM: u8 = 0x1;
pub(super) const ACK: u8 = 0x1;
pub(super) const END_HEADERS: u8 = 0x4;

pub(super) const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

/// A frame as it stands on the wire (RFC 9113 section 4.1).
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Frame {
    pub(super) kind: u8,
    pub(super) flags: u8,
    pub(super) stream: u32,
    pub(super) payload: Vec<u8>,
}

impl Frame {
    pub(super) fn new(kind: u8, flags: u8, stream: u32, payload: impl Into<Vec<u8>>) -> Self {
        Self { kind, flags, stream, payload: payload.into() }
    }

    pub(super) fn bytes(&self) -> Vec<u8> {
        let mut bytes = u32::try_from(self.payload.len()).unwrap().to_be_bytes()[1..].to_vec();
        bytes.extend([self.kind, self.flags]);
        bytes.extend(self.stream.to_be_bytes());
        bytes.extend(&self.payload);
        bytes
    }

    /// The 32 bits at the front: a reset's code, a window's increment.
    pub(super) fn word(&self) -> u32 {
        u32::from_be_bytes(self.payload[..4].try_into().unwrap())
    }

    /// The status of a response's head, which comes first and was not sent before on this connection if it is a rare one.
    pub(super) fn status(&self) -> String {
        assert_eq!(self.kind, HEADERS, "{self:?}");
        // RFC 7541 appendix A: seven have an index of their own, for the others there is the name at 8.
        let known = ["200", "204", "206", "304", "400", "404", "500"];
        match self.payload[..] {
            [index @ 0x88..=0x8e, ..] => known[usize::from(index - 0x88)].to_owned(),
            [0x08 | 0x48, length, ref value @ ..] if length & 0x80 == 0 => {
                String::from_utf8(value[..usize::from(length)].to_vec()).unwrap()
            }
            [0x08 | 0x48, length, ref value @ ..] => digits(&value[..usize::from(length & 0x7f)]),
            _ => panic!("no status in {self:?}"),
        }
    }

    /// What a GOAWAY says: the last stream, and the code.
    pub(super) fn goodbye(&self) -> (u32, u32) {
        (self.word(), u32::from_be_bytes(self.payload[4..8].try_into().unwrap()))
    }
}

/// Digits in Huffman's code (RFC 7541 appendix B): five bits for 0 to 2, six for 3 to 9, then ones.
fn digits(bytes: &[u8]) -> String {
    let mut bits: Vec<u8> = bytes.iter().flat_map(|byte| (0..8).rev().map(move |bit| byte >> bit & 1)).collect();
    let mut text = String::new();
    while bits.len() >= 5 {
        let value = |count: usize| bits[..count].iter().fold(0, |value, bit| value * 2 + u32::from(*bit));
        let (digit, count) = match value(5) {
            short @ 0..=2 => (short, 5),
            _ if bits.len() >= 6 && (0b01_1001..=0b01_1111).contains(&value(6)) => (value(6) - 0b01_1001 + 3, 6),
            _ => break,
        };
        text += &digit.to_string();
        bits.drain(..count);
    }
    text
}

/// A block of fields, each literal and not indexed, without Huffman (RFC 7541 section 6.2.2).
pub(super) fn block(fields: &[(&str, &str)]) -> Vec<u8> {
    let mut block = Vec::new();
    for (name, value) in fields {
        block.push(0);
        for text in [name, value] {
            string(&mut block, text.as_bytes());
        }
    }
    block
}

/// RFC 7541 sections 5.1 and 5.2.
fn string(block: &mut Vec<u8>, text: &[u8]) {
    if text.len() < 127 {
        block.push(text.len() as u8);
    } else {
        block.push(127);
        let mut rest = text.len() - 127;
        while rest >= 128 {
            block.push((rest % 128) as u8 | 128);
            rest /= 128;
        }
        block.push(rest as u8);
    }
    block.extend(text);
}

/// What every request begins with.
pub(super) fn pseudo<'a>(method: &'a str, path: &'a str) -> Vec<(&'a str, &'a str)> {
    vec![(":method", method), (":scheme", "http"), (":authority", "a.test"), (":path", path)]
}

pub(super) fn headers(stream: u32, fields: &[(&str, &str)], flags: u8) -> Frame {
    Frame::new(HEADERS, flags | END_HEADERS, stream, block(fields))
}

pub(super) fn get(stream: u32, path: &str) -> Frame {
    headers(stream, &pseudo("GET", path), END_STREAM)
}

pub(super) fn reset(stream: u32, code: u32) -> Frame {
    Frame::new(RST_STREAM, 0, stream, code.to_be_bytes())
}

pub(super) fn window_update(stream: u32, by: u32) -> Frame {
    Frame::new(WINDOW_UPDATE, 0, stream, by.to_be_bytes())
}

/// A connection to the server in raw frames.
pub(super) struct Raw {
    pub(super) far: Far,
    pub(super) seen: Vec<u8>,
}

impl Setup {
    /// Sends the preface and settings of `settings` (id and value), and no more.
    pub(super) async fn raw_with<S>(self, service: S, settings: &[(u16, u32)]) -> Raw
    where
        S: Service<Request, Output = Response, Error = BoxError>,
    {
        let mut raw = Raw { far: self.start(service), seen: Vec::new() };
        raw.send_bytes(PREFACE).await;
        let payload: Vec<u8> =
            settings.iter().flat_map(|(id, value)| [&id.to_be_bytes()[..], &value.to_be_bytes()].concat()).collect();
        raw.send(&Frame::new(SETTINGS, 0, 0, payload)).await;
        raw
    }

    pub(super) async fn raw<S>(self, service: S) -> Raw
    where
        S: Service<Request, Output = Response, Error = BoxError>,
    {
        self.raw_with(service, &[]).await
    }
}

impl Raw {
    pub(super) async fn send_bytes(&mut self, bytes: &[u8]) {
        patient("sending", self.far.io.write_all(bytes)).await.unwrap();
    }

    pub(super) async fn send(&mut self, frame: &Frame) {
        self.send_bytes(&frame.bytes()).await;
    }

    /// Sends as far as the server takes it.
    pub(super) async fn try_send(&mut self, bytes: &[u8]) -> bool {
        patient("sending", self.far.io.write_all(bytes)).await.is_ok()
    }

    /// The next frame; `None` at the end of the stream.
    pub(super) async fn next(&mut self) -> Option<Frame> {
        loop {
            if let Some(frame) = self.take() {
                return Some(frame);
            }
            if patient("reading", self.far.io.read_buf(&mut self.seen)).await.unwrap_or(0) == 0 {
                return None;
            }
        }
    }

    fn take(&mut self) -> Option<Frame> {
        let head = self.seen.get(..9)?;
        let length = u32::from_be_bytes([0, head[0], head[1], head[2]]) as usize;
        let (kind, flags) = (head[3], head[4]);
        let stream = u32::from_be_bytes(head[5..9].try_into().unwrap());
        let payload = self.seen.get(9..9 + length)?.to_vec();
        self.seen.drain(..9 + length);
        Some(Frame { kind, flags, stream, payload })
    }

    /// The next frame of this kind; those before it are passed over.
    pub(super) async fn next_of(&mut self, kind: u8) -> Frame {
        loop {
            let frame = self.next().await.unwrap_or_else(|| panic!("closed before a frame of kind {kind}"));
            if frame.kind == kind {
                return frame;
            }
        }
    }

    /// The next frame of a stream.
    pub(super) async fn next_on(&mut self, stream: u32) -> Frame {
        loop {
            let frame = self.next().await.unwrap_or_else(|| panic!("closed before a frame of stream {stream}"));
            if frame.stream == stream {
                return frame;
            }
        }
    }

    /// The code of the reset that comes for a stream, whatever comes before it.
    pub(super) async fn reset_of(&mut self, stream: u32) -> u32 {
        loop {
            let frame = self.next_on(stream).await;
            if frame.kind == RST_STREAM {
                return frame.word();
            }
        }
    }

    /// Reads on to the end; the last GOAWAY's code.
    pub(super) async fn goodbye(&mut self) -> Option<u32> {
        let mut code = None;
        while let Some(frame) = self.next().await {
            if frame.kind == GOAWAY {
                code = Some(frame.goodbye().1);
            }
        }
        code
    }
}

/// As a payload of DATA.
pub(super) fn data(stream: u32, payload: &[u8], flags: u8) -> Frame {
    Frame::new(DATA, flags, stream, Bytes::copy_from_slice(payload).to_vec())
}
