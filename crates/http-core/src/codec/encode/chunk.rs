//! Chunks and trailers (RFC 9112 section 7.1).

use chaski_core::http::is_forbidden_trailer;
use http::HeaderMap;

use super::write_field;

/// What follows the data of every chunk.
pub const CHUNK_END: &[u8] = b"\r\n";

/// Appends the line before a chunk's data. [`CHUNK_END`] follows the data.
///
/// Nothing is written for a length of 0, which would end the body: such a
/// chunk is left out altogether, its [`CHUNK_END`] too.
pub fn encode_chunk_header(out: &mut Vec<u8>, length: u64) {
    if length == 0 {
        return;
    }
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    let mut line = *b"0000000000000000\r\n";
    let mut start = 16;
    let mut rest = length;
    while rest > 0 {
        start -= 1;
        line[start] = DIGITS[(rest & 0xf) as usize];
        rest >>= 4;
    }
    out.extend_from_slice(&line[start..]);
}

/// Appends the end of a chunked body: the last chunk, the trailers but those
/// that [`is_forbidden_trailer`] tells, and the empty line.
pub fn encode_last_chunk(out: &mut Vec<u8>, trailers: Option<&HeaderMap>) {
    out.extend_from_slice(b"0\r\n");
    for (name, value) in trailers.into_iter().flatten() {
        if !is_forbidden_trailer(name) {
            write_field(out, name.as_str(), value.as_bytes());
        }
    }
    out.extend_from_slice(b"\r\n");
}
