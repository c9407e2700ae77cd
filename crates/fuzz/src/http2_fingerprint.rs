//! Target: the first frames of an HTTP/2 client.
//!
//! Four choices (the size of pieces), then what the client sends behind its preface.

use chaski_http2::{FingerprintReader, Reading};

use crate::input::Choices;

const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

/// Any split gives the same, nothing more is read behind the end, and what is found is what the frames say.
pub(crate) fn run(data: &[u8]) {
    let Some((choices, frames)) = Choices::split(data) else { return };
    let bytes = [PREFACE, frames].concat();
    let mut reader = FingerprintReader::default();
    let whole = reader.read(&bytes);
    if whole != Reading::Unfinished {
        assert_eq!(reader.read(b"more"), Reading::GaveUp);
    }
    for size in [1, usize::from(choices.pick(0, 64)) + 1] {
        let mut reader = FingerprintReader::default();
        let last = bytes.chunks(size).map(|piece| reader.read(piece)).find(|reading| *reading != Reading::Unfinished);
        assert_eq!(last.unwrap_or(Reading::Unfinished), whole, "in pieces of {size}");
    }
    let Reading::Found(found) = whole else { return };
    // The first frame, read by its offsets alone.
    let length = u32::from_be_bytes([0, frames[0], frames[1], frames[2]]) as usize;
    let number = |bytes: &[u8]| bytes.iter().fold(0_u32, |number, byte| number << 8 | u32::from(*byte));
    let settings: Vec<(u16, u32)> = frames[9..9 + length]
        .chunks(6)
        .map(|setting| (u16::try_from(number(&setting[..2])).expect("two bytes"), number(&setting[2..])))
        .collect();
    assert_eq!(found.settings(), settings);
    let form = found.to_string();
    assert_eq!(form.split('|').count(), 4, "{form}");
    assert_eq!(found.akamai_hash().len(), 32);
}
