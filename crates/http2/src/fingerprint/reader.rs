//! The first frames of a client, read without IO.

use super::{
    Http2Fingerprint, StreamPriority,
    hpack::{BlockReader, Malformed},
};

/// What a client sends first (RFC 9113 section 3.4).
const PREFACE: [u8; 24] = *b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

const HEADERS: u8 = 1;
const PRIORITY: u8 = 2;
const SETTINGS: u8 = 4;
const WINDOW_UPDATE: u8 = 8;
const CONTINUATION: u8 = 9;

const ACK: u8 = 0x1;
const END_HEADERS: u8 = 0x4;
const PADDED: u8 = 0x8;
const WITH_PRIORITY: u8 = 0x20;

/// Reads the bytes that a client sends on its connection, from the first one on, until its first request is seen to begin.
///
/// Any split of the bytes gives the same. It copies none of them, and checks only what it has to know: who serves the connection
/// checks the rest, and refuses it.
///
/// ```
/// use chaski_http2::{FingerprintReader, Reading};
///
/// let mut reader = FingerprintReader::default();
/// assert_eq!(reader.read(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"), Reading::Unfinished);
/// // SETTINGS with ENABLE_PUSH = 0, then HEADERS: the method, the scheme and the path come from the static table.
/// assert_eq!(reader.read(&[0, 0, 6, 4, 0, 0, 0, 0, 0, 0, 2, 0, 0, 0, 0]), Reading::Unfinished);
/// match reader.read(&[0, 0, 3, 1, 5, 0, 0, 0, 1, 0x82, 0x86, 0x84]) {
///     Reading::Found(fingerprint) => assert_eq!(fingerprint.to_string(), "2:0|00|0|m,s,p"),
///     other => panic!("{other:?}"),
/// }
/// ```
///
/// # Limits
///
/// It gives up after [`MAX_BYTES`](Self::MAX_BYTES), after [`MAX_SETTINGS`](Self::MAX_SETTINGS) settings or
/// [`MAX_PRIORITIES`](Self::MAX_PRIORITIES) priority frames.
#[derive(Debug, Default)]
pub struct FingerprintReader {
    state: State,
    /// How many bytes were read.
    seen: usize,
    /// What has come of something that is read as a whole.
    part: Part,
    frame: Frame,
    /// The first frame has begun.
    begun: bool,
    /// The stream of the first request, once its header block has begun.
    request: Option<u32>,
    block: BlockReader,
    settings: Vec<(u16, u32)>,
    window_update: Option<u32>,
    priorities: Vec<StreamPriority>,
    request_priority: Option<StreamPriority>,
}

/// What a [`FingerprintReader`] has come to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Reading {
    /// More bytes are needed.
    Unfinished,
    /// The first request has begun. Nothing more is read.
    Found(Http2Fingerprint),
    /// This is no HTTP/2, or goes beyond the limits. Nothing more is read.
    GaveUp,
}

/// ```text
/// Preface -> Head -> Settings, WindowUpdate, Priority, Skip -> Head
///              +---> PadLength -> RequestPriority -> Block -> Skip -> Head
///                                                      +--> Over
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum State {
    #[default]
    Preface,
    Head,
    Settings,
    WindowUpdate,
    Priority,
    PadLength,
    RequestPriority,
    Block,
    Skip,
    Over,
}

/// The frame that is read (RFC 9113 section 4.1).
#[derive(Clone, Copy, Debug, Default)]
struct Frame {
    flags: u8,
    stream: u32,
    /// How much of its payload is left, padding included.
    left: usize,
    padding: usize,
}

/// What a step has come to.
enum Step {
    /// More bytes are needed.
    Starved,
    Done,
    Found(Http2Fingerprint),
}

/// Why reading ends without a result.
struct GaveUp;

impl FingerprintReader {
    /// The most bytes that are read, 32 KiB: the frames ahead of a request take a few hundred, and its pseudo-header fields
    /// little more than its URI.
    pub const MAX_BYTES: usize = 32 * 1024;

    /// The most settings in the first frame. Clients send seven or fewer.
    pub const MAX_SETTINGS: usize = 32;

    /// The most priority frames ahead of the first request. Clients send six or fewer.
    pub const MAX_PRIORITIES: usize = 32;

    /// Reads more bytes. After anything but [`Reading::Unfinished`] there is nothing more to be read.
    pub fn read(&mut self, bytes: &[u8]) -> Reading {
        let room = Self::MAX_BYTES - self.seen;
        let mut input = bytes.get(..room).unwrap_or(bytes);
        self.seen += input.len();
        let reading = loop {
            match self.step(&mut input) {
                Ok(Step::Done) => {}
                Ok(Step::Starved) if self.seen < Self::MAX_BYTES => return Reading::Unfinished,
                Ok(Step::Found(found)) => break Reading::Found(found),
                Ok(Step::Starved) | Err(GaveUp) => break Reading::GaveUp,
            }
        };
        self.state = State::Over;
        reading
    }

    fn step(&mut self, input: &mut &[u8]) -> Result<Step, GaveUp> {
        match self.state {
            State::Preface => self.whole(input, |reader, preface| {
                reader.state = State::Head;
                if preface == PREFACE { Ok(()) } else { Err(GaveUp) }
            }),
            State::Head => self.whole(input, Self::frame),
            State::Settings | State::Skip if self.frame.left == 0 => {
                self.state = State::Head;
                Ok(Step::Done)
            }
            State::Settings => self.whole(input, Self::setting),
            State::WindowUpdate => self.whole(input, |reader, payload| {
                reader.window_update = Some(u31(payload));
                reader.state = State::Head;
                Ok(())
            }),
            State::Priority => self.whole(input, |reader, payload| {
                if reader.priorities.len() == Self::MAX_PRIORITIES {
                    return Err(GaveUp);
                }
                reader.priorities.push(priority(reader.frame.stream, payload));
                reader.state = State::Head;
                Ok(())
            }),
            State::PadLength => self.whole(input, |reader, [padding]| {
                reader.frame.take(1)?;
                reader.frame.padding = usize::from(padding);
                reader.state = reader.frame.behind_pad_length();
                Ok(())
            }),
            State::RequestPriority => self.whole(input, |reader, payload| {
                reader.frame.take(5)?;
                reader.request_priority = Some(priority(reader.frame.stream, payload));
                reader.state = State::Block;
                Ok(())
            }),
            State::Block => self.block(input),
            State::Skip => {
                if input.is_empty() {
                    return Ok(Step::Starved);
                }
                let (_, rest) = input.split_at(self.frame.left.min(input.len()));
                self.frame.left -= input.len() - rest.len();
                *input = rest;
                Ok(Step::Done)
            }
            State::Over => Err(GaveUp),
        }
    }

    /// Takes `N` bytes that are read as a whole.
    fn whole<const N: usize>(
        &mut self,
        input: &mut &[u8],
        read: impl FnOnce(&mut Self, [u8; N]) -> Result<(), GaveUp>,
    ) -> Result<Step, GaveUp> {
        match self.part.take(input) {
            Some(bytes) => read(self, bytes).map(|()| Step::Done),
            None => Ok(Step::Starved),
        }
    }

    /// The head of a frame decides how its payload is read.
    fn frame(&mut self, head: [u8; 9]) -> Result<(), GaveUp> {
        let [a, b, c, kind, flags, stream @ ..] = head;
        let left = u32::from_be_bytes([0, a, b, c]) as usize;
        let stream = u31(stream);
        self.frame = Frame { flags, stream, left, padding: 0 };
        let first = !std::mem::replace(&mut self.begun, true);
        // RFC 9113 section 4.3: a header block is contiguous.
        if self.request.is_some_and(|request| kind != CONTINUATION || stream != request) {
            return Err(GaveUp);
        }
        self.state = match kind {
            // RFC 9113 section 3.4: the first frame. An acknowledgement may follow, or a change.
            SETTINGS if first && stream == 0 && flags & ACK == 0 && left.is_multiple_of(6) => State::Settings,
            _ if first => return Err(GaveUp),
            WINDOW_UPDATE if stream == 0 && self.window_update.is_none() => State::WindowUpdate.of_length(left, 4)?,
            PRIORITY if stream != 0 => State::Priority.of_length(left, 5)?,
            HEADERS if stream != 0 => {
                self.request = Some(stream);
                if flags & PADDED != 0 { State::PadLength } else { self.frame.behind_pad_length() }
            }
            CONTINUATION if self.request.is_some() => State::Block,
            HEADERS | CONTINUATION => return Err(GaveUp),
            _ => State::Skip,
        };
        Ok(())
    }

    fn setting(&mut self, bytes: [u8; 6]) -> Result<(), GaveUp> {
        if self.settings.len() == Self::MAX_SETTINGS {
            return Err(GaveUp);
        }
        self.frame.take(6)?;
        let [a, b, value @ ..] = bytes;
        self.settings.push((u16::from_be_bytes([a, b]), u32::from_be_bytes(value)));
        Ok(())
    }

    /// A piece of the request's header block.
    fn block(&mut self, input: &mut &[u8]) -> Result<Step, GaveUp> {
        let left = self.frame.left.checked_sub(self.frame.padding).ok_or(GaveUp)?;
        if left == 0 {
            if self.frame.flags & END_HEADERS != 0 {
                return self.found();
            }
            self.state = State::Skip;
            return Ok(Step::Done);
        }
        if input.is_empty() {
            return Ok(Step::Starved);
        }
        let (fragment, rest) = input.split_at(left.min(input.len()));
        *input = rest;
        self.frame.take(fragment.len())?;
        if self.block.read(fragment).map_err(|Malformed| GaveUp)? { self.found() } else { Ok(Step::Done) }
    }

    fn found(&mut self) -> Result<Step, GaveUp> {
        Ok(Step::Found(Http2Fingerprint {
            settings: std::mem::take(&mut self.settings).into(),
            window_update: self.window_update,
            priorities: std::mem::take(&mut self.priorities).into(),
            request_priority: self.request_priority,
            pseudo_headers: std::mem::take(&mut self.block).finish().map_err(|Malformed| GaveUp)?,
        }))
    }
}

impl State {
    /// This state, for a payload that can only have one length.
    fn of_length(self, length: usize, right: usize) -> Result<Self, GaveUp> {
        if length == right { Ok(self) } else { Err(GaveUp) }
    }
}

impl Frame {
    fn take(&mut self, count: usize) -> Result<(), GaveUp> {
        self.left = self.left.checked_sub(count).ok_or(GaveUp)?;
        Ok(())
    }

    /// What follows in a HEADERS frame.
    fn behind_pad_length(&self) -> State {
        if self.flags & WITH_PRIORITY != 0 { State::RequestPriority } else { State::Block }
    }
}

/// The bytes so far of something that is read as a whole.
#[derive(Debug, Default)]
struct Part {
    bytes: [u8; PREFACE.len()],
    length: usize,
}

impl Part {
    /// All `N` bytes, once they are there. They are no more than a preface.
    fn take<const N: usize>(&mut self, input: &mut &[u8]) -> Option<[u8; N]> {
        let wanted = N.saturating_sub(self.length).min(input.len());
        let (taken, rest) = input.split_at(wanted);
        *input = rest;
        self.bytes.get_mut(self.length..self.length + wanted)?.copy_from_slice(taken);
        self.length += wanted;
        let whole = *self.bytes.first_chunk::<N>()?;
        if self.length < N {
            return None;
        }
        self.length = 0;
        Some(whole)
    }
}

/// RFC 7540 section 6.3.
fn priority(stream: u32, payload: [u8; 5]) -> StreamPriority {
    let [a, b, c, d, weight] = payload;
    // On the wire a weight is one less than what it means.
    StreamPriority { stream, exclusive: a & 0x80 != 0, parent: u31([a, b, c, d]), weight: u16::from(weight) + 1 }
}

/// A number whose first bit is not its own.
fn u31(bytes: [u8; 4]) -> u32 {
    u32::from_be_bytes(bytes) & 0x7fff_ffff
}
