//! What is sent, and the check that it has arrived: every byte, in its place.

use std::io::{self, Write};
use std::sync::OnceLock;

use super::random::Random;
use crate::Result;

/// A prime, so that a byte lost or doubled at the border of any buffer shifts all that follows.
const BLOCK: usize = 65_521;

fn block() -> &'static [u8] {
    static BYTES: OnceLock<Vec<u8>> = OnceLock::new();
    BYTES.get_or_init(|| {
        let mut random = Random::new(0, 0);
        std::iter::repeat_with(|| random.next().to_le_bytes()).flatten().take(BLOCK).collect()
    })
}

/// An endless stream of bytes that begins at a place of its own; both ends of a transfer make it.
#[derive(Clone, Debug)]
pub(super) struct Content {
    at: usize,
    /// How many bytes were taken, or compared.
    pub(super) passed: u64,
}

impl Content {
    pub(super) fn from(start: u64) -> Self {
        Self { at: usize::try_from(start % BLOCK as u64).unwrap_or_default(), passed: 0 }
    }

    /// The next bytes, as many as there are in one piece, at most `limit`.
    fn piece(&mut self, limit: u64) -> &'static [u8] {
        let rest = block().get(self.at..).unwrap_or_default();
        let len = rest.len().min(usize::try_from(limit).unwrap_or(usize::MAX));
        let piece = rest.get(..len).unwrap_or_default();
        self.at = (self.at + len) % BLOCK;
        self.passed += len as u64;
        piece
    }

    pub(super) fn write(&mut self, to: &mut impl Write, mut len: u64) -> io::Result<()> {
        while len > 0 {
            let piece = self.piece(len);
            to.write_all(piece)?;
            len -= piece.len() as u64;
        }
        Ok(())
    }

    /// Writes chunks, of sizes that differ; without the last one.
    pub(super) fn write_chunks(&mut self, to: &mut impl Write, mut len: u64, random: &mut Random) -> io::Result<()> {
        while len > 0 {
            let size = (1 + random.length(20_000)).min(len);
            write!(to, "{size:x}\r\n")?;
            self.write(to, size)?;
            to.write_all(b"\r\n")?;
            len -= size;
        }
        Ok(())
    }

    /// Compares what has arrived.
    pub(super) fn check(&mut self, mut bytes: &[u8]) -> Result {
        while !bytes.is_empty() {
            let passed = self.passed;
            let piece = self.piece(bytes.len() as u64);
            let (ours, rest) = bytes.split_at(piece.len());
            if ours != piece {
                let wrong = ours.iter().zip(piece).position(|(is, should)| is != should).unwrap_or_default();
                return Err(format!("byte {} is not the one that was sent", passed + wrong as u64).into());
            }
            bytes = rest;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_written_passes_and_a_byte_less_does_not() {
        let mut sent = Vec::new();
        Content::from(65_000).write(&mut sent, 200_000).unwrap();
        assert_eq!(sent.len(), 200_000);
        let mut content = Content::from(65_000);
        for piece in sent.chunks(7_000) {
            content.check(piece).unwrap();
        }
        assert_eq!(content.passed, 200_000);

        sent.remove(123_456);
        let error = Content::from(65_000).check(&sent).unwrap_err().to_string();
        assert!(error.starts_with("byte 12345"), "{error}");
        assert!(Content::from(65_001).check(&sent).is_err());
    }
}
