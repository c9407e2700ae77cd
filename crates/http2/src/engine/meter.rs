//! Which frames pass, by their heads alone.

/// Counts frames in a stream of bytes: those that carry messages, and all others. Any split of the bytes gives the same.
#[derive(Debug, Default)]
pub(crate) struct Meter {
    /// So many bytes come before the next frame's head.
    skip: usize,
    head: [u8; 9],
    /// How much of the head is there.
    have: usize,
}

/// What passed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Passed {
    /// HEADERS, and DATA that has some.
    pub(crate) messages: u32,
    /// What is there for the connection's sake, does nothing, or is unknown.
    pub(crate) others: u32,
    /// PINGs that have to be answered, which are among the others too.
    pub(crate) pings: u32,
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
                && let Some((head, rest)) = bytes.split_first_chunk()
            {
                self.take(*head, passed);
                bytes = rest;
                continue;
            }
            let taken = (self.head.len() - self.have).min(bytes.len());
            self.head[self.have..self.have + taken].copy_from_slice(&bytes[..taken]);
            self.have += taken;
            bytes = &bytes[taken..];
            if self.have < self.head.len() {
                return;
            }
            self.have = 0;
            self.take(self.head, passed);
        }
    }

    /// A frame's head (RFC 9113 section 4.1).
    #[inline]
    fn take(&mut self, [a, b, c, kind, flags, ..]: [u8; 9], passed: &mut Passed) {
        self.skip = u32::from_be_bytes([0, a, b, c]) as usize;
        match kind {
            DATA if self.skip > 0 => passed.messages += 1,
            HEADERS => passed.messages += 1,
            // They belong to HEADERS, and h2 counts them.
            CONTINUATION => {}
            PING => {
                passed.others += 1;
                passed.pings += u32::from(flags & ACK == 0);
            }
            _ => passed.others += 1,
        }
    }
}

const DATA: u8 = 0;
const HEADERS: u8 = 1;
const PING: u8 = 6;
const CONTINUATION: u8 = 9;

const ACK: u8 = 0x1;

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
            assert_eq!(passed, Passed { messages: 3, others: 6, pings: 1 }, "{size}");
        }
    }
}
