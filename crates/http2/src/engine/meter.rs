//! Which frames pass, by their heads, and by the one setting that h2 answers with another code than the RFC says.

/// Counts frames in a stream of bytes: those that carry messages, and all others. Any split of the bytes gives the same.
#[derive(Debug, Default)]
pub(crate) struct Meter {
    /// So many bytes come before the next frame's head.
    skip: usize,
    /// So many settings come before it.
    settings: usize,
    /// The head, or a setting.
    part: [u8; HEAD],
    /// How much of that is there.
    have: usize,
}

/// What passed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Passed {
    /// HEADERS, and DATA that has some.
    pub(crate) messages: u32,
    /// How many bytes of DATA there are, of which not all have to be here yet.
    pub(crate) data: usize,
    /// What is there for the connection's sake, does nothing, or is unknown.
    pub(crate) others: u32,
    /// PINGs that have to be answered, which are among the others too.
    pub(crate) pings: u32,
    /// A window larger than 2^31 - 1 was asked for, which cannot be (RFC 9113 section 6.5.2).
    pub(crate) impossible_window: bool,
}

impl Meter {
    /// A meter for what begins with so many bytes that are no frames.
    pub(crate) fn behind(preface: usize) -> Self {
        Self { skip: preface, ..Self::default() }
    }

    /// Takes the next bytes in.
    #[inline]
    pub(crate) fn feed(&mut self, mut bytes: &[u8], passed: &mut Passed) {
        loop {
            if self.skip >= bytes.len() {
                self.skip -= bytes.len();
                return;
            }
            bytes = &bytes[self.skip..];
            self.skip = 0;
            // Nearly always the head is there as a whole.
            if self.have == 0
                && self.settings == 0
                && let Some((head, rest)) = bytes.split_first_chunk()
            {
                self.take(*head, passed);
                bytes = rest;
                continue;
            }
            let size = if self.settings == 0 { HEAD } else { SETTING };
            let taken = (size - self.have).min(bytes.len());
            self.part[self.have..self.have + taken].copy_from_slice(&bytes[..taken]);
            self.have += taken;
            bytes = &bytes[taken..];
            if self.have < size {
                return;
            }
            self.have = 0;
            if self.settings == 0 {
                self.take(self.part, passed);
            } else {
                self.take_setting(passed);
            }
        }
    }

    /// Whether the next byte is the first one of a frame.
    pub(crate) fn is_between_frames(&self) -> bool {
        (self.skip, self.settings, self.have) == (0, 0, 0)
    }

    /// A frame's head (RFC 9113 section 4.1).
    #[inline]
    fn take(&mut self, [a, b, c, kind, flags, ..]: [u8; HEAD], passed: &mut Passed) {
        self.skip = u32::from_be_bytes([0, a, b, c]) as usize;
        match kind {
            DATA if self.skip > 0 => {
                passed.messages += 1;
                passed.data += self.skip;
            }
            HEADERS => passed.messages += 1,
            // They belong to HEADERS, and h2 counts them.
            CONTINUATION => {}
            PING => {
                passed.others += 1;
                passed.pings += u32::from(flags & ACK == 0);
            }
            SETTINGS => {
                passed.others += 1;
                // One of another length is not read by h2 either.
                if flags & ACK == 0 && self.skip.is_multiple_of(SETTING) {
                    self.settings = std::mem::take(&mut self.skip) / SETTING;
                }
            }
            _ => passed.others += 1,
        }
    }

    /// An identifier and its value (RFC 9113 section 6.5.1).
    #[cold]
    fn take_setting(&mut self, passed: &mut Passed) {
        self.settings -= 1;
        let [a, b, highest, ..] = self.part;
        passed.impossible_window |= u16::from_be_bytes([a, b]) == INITIAL_WINDOW_SIZE && highest > 0x7f;
    }
}

/// How long a frame's head is, and a setting.
const HEAD: usize = 9;
const SETTING: usize = 6;

const DATA: u8 = 0;
const HEADERS: u8 = 1;
const SETTINGS: u8 = 4;
const PING: u8 = 6;
const CONTINUATION: u8 = 9;

const ACK: u8 = 0x1;

const INITIAL_WINDOW_SIZE: u16 = 4;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn frames_are_counted_by_their_kind_however_they_are_split() {
        let mut bytes = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".to_vec();
        let lengths = [(4, 12), (1, 300), (9, 40), (0, 5), (0, 0), (6, 8), (8, 4), (0x42, 70_000), (1, 0), (3, 4)];
        for (kind, length) in lengths {
            bytes.extend(&(length as u32).to_be_bytes()[1..]);
            bytes.extend([kind, 0, 0, 0, 0, 1]);
            // What is inside does not look like a frame by chance: it would be one of 4 GiB.
            bytes.extend(vec![0xff; length]);
        }
        for size in [1, 2, 7, 9, 10, 1000, bytes.len()] {
            let (mut meter, mut passed) = (Meter::behind(24), Passed::default());
            for piece in bytes.chunks(size) {
                meter.feed(piece, &mut passed);
            }
            // The settings are 0xffff, which is unknown.
            let expected = Passed { messages: 3, data: 5, others: 6, pings: 1, impossible_window: false };
            assert_eq!(passed, expected, "{size}");
            assert!(meter.is_between_frames());
        }
    }

    /// H2-05: also as the second of two, and as an acknowledgement it says nothing.
    #[test]
    fn a_window_that_cannot_be_is_seen_however_it_is_split() {
        let frame = |flags, entries: &[u8]| [&[0, 0, entries.len() as u8, 4, flags, 0, 0, 0, 0], entries].concat();
        let cases = [
            (frame(0, &[0, 4, 0x7f, 0xff, 0xff, 0xff]), false),
            (frame(0, &[0, 4, 0x80, 0, 0, 0]), true),
            (frame(0, &[0, 3, 0x80, 0, 0, 0, 0, 4, 0xff, 0xff, 0xff, 0xff]), true),
            (frame(0, &[0, 3, 0x80, 0, 0, 0, 4, 4, 0xff, 0xff, 0xff, 0xff]), false),
            (frame(0, &[0, 4, 0x80, 0, 0, 0, 0]), false),
            (frame(1, &[0, 4, 0x80, 0, 0, 0]), false),
        ];
        for (bytes, expected) in cases {
            for size in 1..=bytes.len() {
                let (mut meter, mut passed) = (Meter::default(), Passed::default());
                for piece in bytes.chunks(size) {
                    meter.feed(piece, &mut passed);
                }
                assert_eq!(passed.impossible_window, expected, "{bytes:?} {size}");
                assert!(meter.is_between_frames());
            }
        }
    }
}
