//! In which sizes bytes come.

/// The sizes in which bytes are handed over.
///
/// Every size is at least 1: a 0 counts as 1.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Chunking {
    /// As much at once as is there.
    #[default]
    Whole,
    /// At most so many bytes at once.
    Bytes(usize),
    /// From 1 to `max` bytes at once, in a sequence that `seed` fixes.
    Random {
        /// Where the sequence starts. The same seed gives the same sizes, everywhere.
        seed: u64,
        /// The largest size.
        max: usize,
    },
}

impl Chunking {
    /// Cuts `bytes` into pieces of these sizes; the last one is what is left.
    ///
    /// ```
    /// use chaski_core::test_util::Chunking;
    ///
    /// let pieces: Vec<&[u8]> = Chunking::Bytes(2).cut(b"hello").collect();
    /// assert_eq!(pieces, [&b"he"[..], b"ll", b"o"]);
    /// ```
    pub fn cut(self, bytes: &[u8]) -> impl Iterator<Item = &[u8]> {
        let (mut sizes, mut rest) = (Sizes::new(self), bytes);
        std::iter::from_fn(move || {
            let (piece, after) = rest.split_at(sizes.current().min(rest.len()));
            sizes.advance();
            rest = after;
            (!piece.is_empty()).then_some(piece)
        })
    }
}

/// Every way to split `bytes` in two, the empty parts at both ends included.
///
/// A decoder has to give the same events for each of them.
///
/// ```
/// use chaski_core::test_util::splits;
///
/// let all: Vec<(&[u8], &[u8])> = splits(b"ab").collect();
/// assert_eq!(all, [(&b""[..], &b"ab"[..]), (b"a", b"b"), (b"ab", b"")]);
/// ```
pub fn splits(bytes: &[u8]) -> impl Iterator<Item = (&[u8], &[u8])> {
    (0..=bytes.len()).map(|at| bytes.split_at(at))
}

/// The sizes of a [`Chunking`], one after the other. The current one stands until it was used, so that a poll that
/// comes to nothing does not change the sequence.
#[derive(Debug)]
pub(super) struct Sizes {
    chunking: Chunking,
    state: u64,
}

impl Sizes {
    pub(super) fn new(chunking: Chunking) -> Self {
        let seed = if let Chunking::Random { seed, .. } = chunking { seed } else { 0 };
        // Spread out, so that small seeds differ from the first size on; xorshift never leaves 0, so that is kept out.
        let state = seed.wrapping_add(1).wrapping_mul(0x9E37_79B9_7F4A_7C15).max(1);
        Self { chunking, state }
    }

    pub(super) fn current(&self) -> usize {
        match self.chunking {
            Chunking::Whole => usize::MAX,
            Chunking::Bytes(n) => n.max(1),
            Chunking::Random { max, .. } => {
                // The upper half is the better mixed one.
                let draw = usize::try_from(self.state >> 32).unwrap_or(usize::MAX);
                1 + draw % max.max(1)
            }
        }
    }

    pub(super) fn advance(&mut self) {
        self.state ^= self.state << 13;
        self.state ^= self.state >> 7;
        self.state ^= self.state << 17;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lengths(chunking: Chunking, total: usize) -> Vec<usize> {
        chunking.cut(&vec![0; total]).map(<[u8]>::len).collect()
    }

    #[test]
    fn pieces_have_the_chosen_sizes() {
        assert_eq!(lengths(Chunking::Whole, 5), [5]);
        assert_eq!(lengths(Chunking::Bytes(2), 5), [2, 2, 1]);
        assert_eq!(lengths(Chunking::Bytes(0), 2), [1, 1]);
        assert_eq!(lengths(Chunking::Random { seed: 1, max: 0 }, 2), [1, 1]);
        assert_eq!(lengths(Chunking::Whole, 0), [0; 0]);
    }

    #[test]
    fn random_sizes_are_fixed_by_the_seed_and_reach_every_size() {
        // `u64::MAX` is the seed whose state would be 0.
        for seed in [0, 1, 2, u64::MAX] {
            let sizes = lengths(Chunking::Random { seed, max: 4 }, 4_000);
            assert_eq!(sizes, lengths(Chunking::Random { seed, max: 4 }, 4_000));
            for size in 1..=4 {
                assert!(sizes.contains(&size), "seed {seed} never gives {size}");
            }
            assert!(sizes.iter().all(|size| (1..=4).contains(size)));
        }
        let of = |seed| lengths(Chunking::Random { seed, max: 100 }, 1_000);
        assert_ne!(of(1), of(2));
    }
}
