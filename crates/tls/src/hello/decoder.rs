use super::{ClientHello, ClientHelloError, ClientHelloErrorKind as Kind, message};

/// RFC 8446 section 5.1: `handshake(22)`.
const HANDSHAKE: u8 = 22;

/// RFC 8446 section 5.1: no fragment is longer than this.
const MAX_FRAGMENT: u16 = 1 << 14;

/// RFC 8446 section 4: `client_hello(1)`.
const CLIENT_HELLO: u8 = 1;

/// The type of a message and its length.
const MESSAGE_HEAD: usize = 4;

/// Reads a [`ClientHello`] from the first bytes of a stream, piece by piece.
///
/// A hello may be spread over several records, and over as many reads; how does not show in what comes of it. Each byte
/// is looked at once, so a client that sends byte by byte costs no more than its reads.
///
/// ```
/// use chaski_tls::hello::ClientHelloDecoder;
///
/// # fn read(stream: &[&[u8]]) -> Result<(), chaski_tls::hello::ClientHelloError> {
/// let mut decoder = ClientHelloDecoder::new();
/// for piece in stream {
///     if let Some(hello) = decoder.decode(piece)? {
///         println!("{:?} {}", hello.server_name(), hello.ja4());
///         break;
///     }
/// }
/// # Ok(()) }
/// # read(&[b"\x16\x03\x01\x00"]).unwrap();
/// assert!(ClientHelloDecoder::new().decode(b"GET / HTTP/1.1\r\n").is_err());
/// ```
///
/// # Limits
///
/// The hello with the headers of its records has to end within [`DEFAULT_LIMIT`](Self::DEFAULT_LIMIT) bytes of the stream,
/// or as many as [`with_limit`](Self::with_limit) says. It is refused as soon as it is known that it will not, and memory
/// grows with what has arrived, not with what was announced.
#[derive(Debug)]
pub struct ClientHelloDecoder {
    limit: usize,
    /// Bytes of the stream so far.
    seen: usize,
    state: State,
    /// The version of the first record.
    record_version: u16,
    /// The message without the headers of records.
    message: Vec<u8>,
}

#[derive(Clone, Copy, Debug)]
enum State {
    /// In a record's header, of which so many bytes have come.
    Header { bytes: [u8; 5], len: usize },
    /// In a record, of which so many bytes are still to come.
    Fragment { left: u16 },
    /// The hello was given, or will never be.
    Over,
}

impl State {
    const RECORD: Self = Self::Header { bytes: [0; 5], len: 0 };
}

impl ClientHelloDecoder {
    /// 32 KiB. Hellos with post-quantum keys have about 2 KiB, those with all that clients can think of 16 KiB; twice that
    /// leaves room for the headers of small records.
    pub const DEFAULT_LIMIT: usize = 32 * 1024;

    /// A decoder at the first byte of a stream.
    #[must_use]
    pub const fn new() -> Self {
        Self { limit: Self::DEFAULT_LIMIT, seen: 0, state: State::RECORD, record_version: 0, message: Vec::new() }
    }

    /// Sets within how many bytes of the stream the hello has to end.
    #[must_use]
    pub const fn with_limit(mut self, bytes: usize) -> Self {
        self.limit = bytes;
        self
    }

    /// Takes the next bytes of the stream; gives the hello when its last byte is among them. What follows that byte in
    /// `piece` is not looked at. Once it has given the hello or an error, it gives nothing more.
    ///
    /// # Errors
    ///
    /// [`ClientHelloError`] at the first byte that no hello has at that place. What a list in the hello holds is not
    /// judged, only that it is a list; so a hello that is read here may be one that a server refuses.
    pub fn decode(&mut self, mut piece: &[u8]) -> Result<Option<ClientHello>, ClientHelloError> {
        while !piece.is_empty() {
            let outcome = match self.state {
                State::Header { bytes, len } => self.header(bytes, len, piece[0]).map(|()| 1),
                State::Fragment { left } => self.fragment(left, piece),
                State::Over => return Ok(None),
            };
            match outcome {
                Ok(used) => piece = &piece[used..],
                Err(error) => {
                    self.give_up();
                    return Err(error);
                }
            }
            if self.length() == Some(self.message.len()) {
                let hello = message::parse(&self.message, self.record_version);
                self.give_up();
                return hello.map(Some);
            }
            // Another record is at least six bytes. So no byte beyond the limit is ever waited for.
            if matches!(self.state, State::Header { len: 0, .. }) && self.seen + 6 > self.limit {
                self.give_up();
                return Err(ClientHelloError::new(Kind::TooLong { limit: self.limit }, self.seen));
            }
        }
        Ok(None)
    }

    fn give_up(&mut self) {
        self.state = State::Over;
        self.message = Vec::new();
    }

    /// The length of the whole message, once it is known.
    fn length(&self) -> Option<usize> {
        match *self.message {
            [_, high, middle, low, ..] => Some(MESSAGE_HEAD + u32::from_be_bytes([0, high, middle, low]) as usize),
            _ => None,
        }
    }

    /// The next byte of a record's header.
    fn header(&mut self, mut bytes: [u8; 5], len: usize, byte: u8) -> Result<(), ClientHelloError> {
        let is_first = self.seen == len;
        let refuse = |kind| {
            let kind = if is_first { Kind::NotTls } else { kind };
            Err(ClientHelloError::new(kind, self.seen))
        };
        match len {
            0 if byte != HANDSHAKE => return refuse(Kind::RecordType(byte)),
            // Servers have to ignore the minor number, and all of the version but for compatibility's sake (RFC 8446
            // section 5.1); every version of it that ever was has this major one.
            1 if byte != 3 => return refuse(Kind::RecordVersion(byte)),
            _ => {}
        }
        bytes[len] = byte;
        let length = u16::from_be_bytes([bytes[3], bytes[4]]);
        if len < 4 {
            self.state = State::Header { bytes, len: len + 1 };
        } else if !(1..=MAX_FRAGMENT).contains(&length) {
            return refuse(Kind::RecordLength(length));
        } else {
            if is_first {
                self.record_version = u16::from_be_bytes([bytes[1], bytes[2]]);
            }
            self.state = State::Fragment { left: length };
        }
        self.seen += 1;
        if let State::Fragment { left } = self.state { self.bounds(left) } else { Ok(()) }
    }

    /// The next bytes of a record; gives how many were used.
    fn fragment(&mut self, left: u16, piece: &[u8]) -> Result<usize, ClientHelloError> {
        // The head of the message is taken byte by byte, so that what is wrong with it shows at the same byte however the
        // stream was cut.
        let wanted = if self.message.len() < MESSAGE_HEAD { 1 } else { left };
        let (used, taken) = match u16::try_from(piece.len()) {
            Ok(length) if length < wanted => (length, piece),
            _ => (wanted, &piece[..usize::from(wanted)]),
        };
        if self.message.is_empty() && taken[0] != CLIENT_HELLO {
            return Err(ClientHelloError::new(Kind::MessageType(taken[0]), self.seen));
        }
        self.message.extend_from_slice(taken);
        self.seen += taken.len();
        let left = left - used;
        self.state = if left == 0 { State::RECORD } else { State::Fragment { left } };
        if self.message.len() == MESSAGE_HEAD {
            self.bounds(left)?;
        }
        Ok(taken.len())
    }

    /// Checks what is known of the message's end, where a record of which `left` bytes are to come or the message's length
    /// has become known.
    fn bounds(&self, left: u16) -> Result<(), ClientHelloError> {
        let left = usize::from(left);
        let to_come = self.length().map_or(left, |length| length - self.message.len());
        // One comparison for each of the two things that were announced: the record, and the message.
        if self.seen + left.max(to_come) > self.limit {
            return Err(ClientHelloError::new(Kind::TooLong { limit: self.limit }, self.seen));
        }
        // RFC 8446 section 5.1: messages of one type may share a record, but behind this one it is the server's turn.
        if self.length().is_some() && left > to_come {
            return Err(ClientHelloError::new(Kind::RecordGoesOn, self.seen + to_come));
        }
        Ok(())
    }
}

impl Default for ClientHelloDecoder {
    fn default() -> Self {
        Self::new()
    }
}
