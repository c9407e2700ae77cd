//! The pseudo-header fields at the head of a client's first header block (RFC 7541), and nothing behind them.

use super::PseudoHeader;

/// The most pseudo-header fields that are read: a request has five at most, each once.
const MAX_FIELDS: usize = 8;

/// The length of the longest name of a pseudo-header field, `:authority`: longer ones are unknown.
const MAX_NAME: usize = 10;

/// The names, as they are and in the Huffman code of RFC 7541 appendix B. A string has one encoding, since its code and its
/// padding are given: so encodings are compared, and nothing has to be decoded.
const NAMES: [(PseudoHeader, &[u8], &[u8]); 5] = [
    (PseudoHeader::Method, b":method", &[0xb9, 0x49, 0x53, 0x39, 0xe4]),
    (PseudoHeader::Scheme, b":scheme", &[0xb8, 0x82, 0x4e, 0x5a, 0x4b]),
    (PseudoHeader::Authority, b":authority", &[0xb8, 0x3b, 0x53, 0x39, 0xec, 0x32, 0x7d, 0x7f]),
    (PseudoHeader::Path, b":path", &[0xb9, 0x58, 0xd3, 0x3f]),
    (PseudoHeader::Protocol, b":protocol", &[0xb9, 0x5d, 0x87, 0x49, 0xc8, 0x7a, 0x3f]),
];

/// Reads a header block in pieces, up to the first regular field.
#[derive(Debug, Default)]
pub(super) struct BlockReader {
    state: State,
    fields: Vec<PseudoHeader>,
    /// What this block has put into the dynamic table, which was empty before it; the oldest first.
    table: Vec<PseudoHeader>,
}

/// The block cannot be that of a request.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Malformed;

/// ```text
///   +----------------------------------------------------------+
///   v                                                          |
/// Field -> Number(Index) -> NameLength -> Number(Name) -> Name |
///                |                                         v   |
///                +-----------------> ValueLength -> Number(Value) -> Value
/// ```
#[derive(Clone, Copy, Debug, Default)]
enum State {
    /// At the first byte of a representation.
    #[default]
    Field,
    NameLength {
        insert: bool,
    },
    ValueLength,
    /// In a number that has more than one byte.
    Number(Counted, Integer),
    Name {
        insert: bool,
        left: usize,
        name: Name,
    },
    /// How much of it is left.
    Value(usize),
    /// A regular field was seen: no pseudo-header field may follow it (RFC 9113 section 8.3).
    Done,
}

/// What a number counts.
#[derive(Clone, Copy, Debug)]
enum Counted {
    /// The entry that has name and value.
    Entry,
    /// The entry that has the name of a literal, 0 for none; whether the literal becomes an entry.
    NameOf {
        insert: bool,
    },
    /// A new size of the dynamic table.
    TableSize,
    Name {
        insert: bool,
        huffman: bool,
    },
    Value,
}

impl BlockReader {
    /// Reads more of the block, and says whether the pseudo-header fields are complete.
    pub(super) fn read(&mut self, mut bytes: &[u8]) -> Result<bool, Malformed> {
        while let [byte, rest @ ..] = bytes {
            match self.state {
                State::Done => break,
                State::Value(left) => {
                    let skipped = left.min(bytes.len());
                    bytes = &bytes[skipped..];
                    self.state = State::value(left - skipped);
                }
                _ => {
                    self.state = self.step(*byte)?;
                    bytes = rest;
                }
            }
        }
        Ok(matches!(self.state, State::Done))
    }

    /// The fields of a block that has ended, or of which enough was seen.
    pub(super) fn finish(self) -> Result<Box<[PseudoHeader]>, Malformed> {
        match self.state {
            State::Field | State::Done => Ok(self.fields.into()),
            _ => Err(Malformed),
        }
    }

    fn step(&mut self, byte: u8) -> Result<State, Malformed> {
        match self.state {
            // RFC 7541 section 6: the first bits say what it is, the others begin a number.
            State::Field => match byte {
                0x80.. => self.number(Counted::Entry, byte, 7),
                0x40.. => self.number(Counted::NameOf { insert: true }, byte, 6),
                0x20.. => self.number(Counted::TableSize, byte, 5),
                _ => self.number(Counted::NameOf { insert: false }, byte, 4),
            },
            State::NameLength { insert } => self.number(Counted::Name { insert, huffman: byte & 0x80 != 0 }, byte, 7),
            State::ValueLength => self.number(Counted::Value, byte, 7),
            State::Number(what, integer) => match integer.push(byte)? {
                Integer { more: false, value, .. } => self.counted(what, value),
                integer => Ok(State::Number(what, integer)),
            },
            State::Name { insert, left, mut name } => {
                if !name.push(byte) {
                    return Ok(State::Done);
                }
                match left - 1 {
                    0 => self.field(name.pseudo()?, insert),
                    left => Ok(State::Name { insert, left, name }),
                }
            }
            State::Value(_) | State::Done => Ok(self.state),
        }
    }

    fn number(&mut self, what: Counted, byte: u8, prefix: u8) -> Result<State, Malformed> {
        match Integer::begin(byte, prefix) {
            Integer { more: false, value, .. } => self.counted(what, value),
            integer => Ok(State::Number(what, integer)),
        }
    }

    fn counted(&mut self, what: Counted, number: usize) -> Result<State, Malformed> {
        match what {
            Counted::TableSize => Ok(State::Field),
            Counted::Value => Ok(State::value(number)),
            Counted::NameOf { insert } if number == 0 => Ok(State::NameLength { insert }),
            Counted::NameOf { insert } => match self.entry(number)? {
                Some(pseudo) => self.field(pseudo, insert),
                None => Ok(State::Done),
            },
            Counted::Entry => match self.entry(number)? {
                Some(pseudo) => {
                    self.push(pseudo)?;
                    Ok(State::Field)
                }
                None => Ok(State::Done),
            },
            // RFC 9113 section 8.2.1: a name has at least one character.
            Counted::Name { .. } if number == 0 => Err(Malformed),
            Counted::Name { insert, huffman } => Ok(State::Name { insert, left: number, name: Name::new(huffman) }),
        }
    }

    /// A pseudo-header field whose value follows.
    fn field(&mut self, pseudo: PseudoHeader, insert: bool) -> Result<State, Malformed> {
        self.push(pseudo)?;
        if insert {
            self.table.push(pseudo);
        }
        Ok(State::ValueLength)
    }

    fn push(&mut self, pseudo: PseudoHeader) -> Result<(), Malformed> {
        if self.fields.len() == MAX_FIELDS {
            return Err(Malformed);
        }
        self.fields.push(pseudo);
        Ok(())
    }

    /// Whose name an entry has: `None` for a regular field's.
    fn entry(&self, number: usize) -> Result<Option<PseudoHeader>, Malformed> {
        match number {
            // RFC 7541 section 6.1.
            0 => Err(Malformed),
            1 => Ok(Some(PseudoHeader::Authority)),
            2 | 3 => Ok(Some(PseudoHeader::Method)),
            4 | 5 => Ok(Some(PseudoHeader::Path)),
            6 | 7 => Ok(Some(PseudoHeader::Scheme)),
            // `:status` is of responses.
            8..=14 => Err(Malformed),
            15..=61 => Ok(None),
            // RFC 7541 section 2.3.3: the newest entry comes first.
            _ => match self.table.iter().rev().nth(number - 62) {
                Some(pseudo) => Ok(Some(*pseudo)),
                None => Err(Malformed),
            },
        }
    }
}

impl State {
    fn value(left: usize) -> Self {
        if left == 0 { Self::Field } else { Self::Value(left) }
    }
}

/// A number as RFC 7541 section 5.1 writes it.
#[derive(Clone, Copy, Debug)]
struct Integer {
    value: usize,
    shift: u8,
    more: bool,
}

impl Integer {
    /// The first byte, of which `prefix` bits belong to the number.
    fn begin(byte: u8, prefix: u8) -> Self {
        let max = (1 << prefix) - 1;
        let value = byte & max;
        Self { value: usize::from(value), shift: 0, more: value == max }
    }

    fn push(self, byte: u8) -> Result<Self, Malformed> {
        // Four more bytes make 268 million, far more than is ever read.
        if self.shift > 21 {
            return Err(Malformed);
        }
        let value = self.value + (usize::from(byte & 0x7f) << self.shift);
        Ok(Self { value, shift: self.shift + 7, more: byte & 0x80 != 0 })
    }
}

/// A name that is written out, as it stands there.
#[derive(Clone, Copy, Debug)]
struct Name {
    bytes: [u8; MAX_NAME],
    length: usize,
    huffman: bool,
}

impl Name {
    fn new(huffman: bool) -> Self {
        Self { bytes: [0; MAX_NAME], length: 0, huffman }
    }

    /// Adds a byte. `false` when the name, by its first character, is not that of a pseudo-header field.
    fn push(&mut self, byte: u8) -> bool {
        // The code of the colon has seven bits.
        let colon = if self.huffman { byte >> 1 == 0x5c } else { byte == b':' };
        if self.length == 0 && !colon {
            return false;
        }
        if let Some(place) = self.bytes.get_mut(self.length) {
            *place = byte;
        }
        self.length = self.length.saturating_add(1);
        true
    }

    fn pseudo(&self) -> Result<PseudoHeader, Malformed> {
        let name = self.bytes.get(..self.length).ok_or(Malformed)?;
        let known = NAMES.iter().find(|(_, plain, huffman)| name == if self.huffman { *huffman } else { *plain });
        known.map(|(pseudo, ..)| *pseudo).ok_or(Malformed)
    }
}
