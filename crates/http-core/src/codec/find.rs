//! Finding bytes that are near. `memchr` is faster once it runs, but costs more
//! to begin than most names and lines are long.

use memchr::memchr;

/// The first LF, which ends a line.
#[inline(always)]
pub(super) fn find_lf(bytes: &[u8]) -> Option<usize> {
    const NEAR: usize = 64;
    let (near, far) = bytes.split_at(bytes.len().min(NEAR));
    let (blocks, rest) = near.as_chunks::<16>();
    for (index, block) in blocks.iter().enumerate() {
        // One comparison of vectors.
        if block.iter().fold(false, |found, byte| found | (*byte == b'\n')) {
            let words = block.as_chunks::<8>().0.iter().enumerate();
            for (half, word) in words {
                if let Some(at) = find_in_word(*word, b'\n') {
                    return Some(index * 16 + half * 8 + at);
                }
            }
        }
    }
    match rest.iter().position(|byte| *byte == b'\n') {
        Some(at) => Some(blocks.len() * 16 + at),
        None => Some(near.len() + memchr(b'\n', far)?),
    }
}

/// The first colon, which ends a name.
#[inline(always)]
pub(super) fn find_colon(line: &[u8]) -> Option<usize> {
    let mut at = 0;
    while let Some(word) = line.get(at..).and_then(|rest| rest.first_chunk()) {
        if let Some(colon) = find_in_word(*word, b':') {
            return Some(at + colon);
        }
        at += word.len();
    }
    Some(at + memchr(b':', &line[at..])?)
}

/// Finds a byte in all of a word at once.
#[inline(always)]
fn find_in_word(word: [u8; 8], byte: u8) -> Option<usize> {
    const ONES: u64 = u64::from_ne_bytes([1; 8]);
    let differs = u64::from_le_bytes(word) ^ (ONES * u64::from(byte));
    // The lowest bit that this sets is in the first byte that is zero.
    let zeros = differs.wrapping_sub(ONES) & !differs & (ONES << 7);
    (zeros != 0).then(|| zeros.trailing_zeros() as usize / 8)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_is_found_wherever_it_is() {
        // Its neighbours in value, the bit that may carry, and what may stand behind it.
        for filler in [b'x', b'\n' - 1, b'\n' + 1, b':' + 1, 0x80 | b'\n', 0x80 | b':', 0, 0xff] {
            for length in 0..150 {
                for at in 0..length {
                    for behind in [b'\n', b'\n' + 1] {
                        let mut bytes = vec![filler; length];
                        bytes[at] = b'\n';
                        bytes[at + 1..].fill(behind);
                        assert_eq!(find_lf(&bytes), Some(at));
                    }
                    for behind in [b':', b':' + 1] {
                        let mut bytes = vec![filler; length];
                        bytes[at] = b':';
                        bytes[at + 1..].fill(behind);
                        assert_eq!(find_colon(&bytes), Some(at));
                    }
                }
                assert_eq!(find_lf(&vec![filler; length]), None);
                assert_eq!(find_colon(&vec![filler; length]), None);
            }
        }
    }
}
