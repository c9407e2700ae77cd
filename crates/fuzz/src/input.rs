//! How an input is taken apart.

use bytes::BytesMut;

/// How an input is to be run: its first bytes, in files digits and a line feed, so that people can read and edit them.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Choices([u8; Self::LEN]);

impl Choices {
    const LEN: usize = 4;

    /// The choices at the front of an input, and what follows the line feed behind them, which is not looked at.
    pub(crate) fn split(input: &[u8]) -> Option<(Self, &[u8])> {
        let (choices, rest) = input.split_first_chunk()?;
        Some((Self(*choices), rest.split_first()?.1))
    }

    /// One of `count` ways, by the byte at `place`. The digits of a file are the numbers that they look like.
    pub(crate) fn pick(self, place: usize, count: u8) -> u8 {
        self.0[place].wrapping_sub(b'0') % count
    }

    pub(crate) fn is(self, place: usize, bit: u8) -> bool {
        self.pick(place, 64) >> bit & 1 == 1
    }

    /// A number for sequences that are to look random.
    pub(crate) fn seed(self) -> u64 {
        u64::from(u32::from_le_bytes(self.0))
    }
}

/// Hands `input` over in pieces of `size` bytes, to `decode` after each, until that says it is over. The buffer is as
/// [`decode`] has left it.
///
/// [`decode`]: FnMut
pub(crate) fn feed(input: &[u8], size: usize, mut decode: impl FnMut(&mut BytesMut) -> Step) -> BytesMut {
    let mut buf = BytesMut::new();
    let mut rest = input;
    loop {
        loop {
            match decode(&mut buf) {
                Step::Again => {}
                Step::More => break,
                Step::Over => {
                    buf.extend_from_slice(rest);
                    return buf;
                }
            }
        }
        if rest.is_empty() {
            return buf;
        }
        let (piece, behind) = rest.split_at(size.min(rest.len()));
        buf.extend_from_slice(piece);
        rest = behind;
    }
}

/// What a decoder wants next.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Step {
    /// To be called again with what is there.
    Again,
    /// More bytes.
    More,
    /// Nothing.
    Over,
}
