//! Chunked bodies, read by the grammar.

use chaski_core::http::is_forbidden_trailer;

use super::{
    Read,
    head::{Fields, fields, lines},
};

/// A chunked body.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Chunked {
    pub(crate) data: Vec<u8>,
    /// Without those that must not be trailers.
    pub(crate) trailers: Fields,
}

/// `*chunk last-chunk trailer-section CRLF` (RFC 9112 section 7.1).
pub(crate) fn chunked(input: &[u8]) -> Read<Chunked> {
    let mut rest = Rest { input, at: 0 };
    let mut data = Vec::new();
    match rest.chunks(&mut data) {
        Err(End::OfInput) => Read::Incomplete,
        Err(End::Fault) => Read::Refused,
        Ok(()) => match lines(&input[rest.at..]) {
            Read::Incomplete => Read::Incomplete,
            Read::Refused => Read::Refused,
            Read::Complete(lines, used) => match fields(&lines) {
                None => Read::Refused,
                Some(mut trailers) => {
                    trailers.retain(|(name, _)| name.parse().is_ok_and(|name| !is_forbidden_trailer(&name)));
                    Read::Complete(Chunked { data, trailers }, rest.at + used)
                }
            },
        },
    }
}

/// Why there is no further byte.
enum End {
    OfInput,
    Fault,
}

struct Rest<'a> {
    input: &'a [u8],
    at: usize,
}

impl Rest<'_> {
    /// Up to the line end of the last chunk.
    fn chunks(&mut self, data: &mut Vec<u8>) -> Result<(), End> {
        loop {
            let size = self.size()?;
            if size == 0 {
                return Ok(());
            }
            for _ in 0..size {
                data.push(self.next()?);
            }
            self.expect(b'\r')?;
            self.expect(b'\n')?;
        }
    }

    /// `1*16HEXDIG [ BWS ";" *( HTAB / SP / VCHAR / obs-text ) ] CRLF`.
    fn size(&mut self) -> Result<u64, End> {
        let mut digits = String::new();
        let mut byte = loop {
            let byte = self.next()?;
            if !byte.is_ascii_hexdigit() {
                break byte;
            }
            digits.push(char::from(byte));
            if digits.len() > 16 {
                return Err(End::Fault);
            }
        };
        let size = u64::from_str_radix(&digits, 16).map_err(|_| End::Fault)?;
        if byte != b'\r' {
            while byte == b' ' || byte == b'\t' {
                byte = self.next()?;
            }
            if byte != b';' {
                return Err(End::Fault);
            }
            while byte != b'\r' {
                if (byte < b' ' && byte != b'\t') || byte == 0x7f {
                    return Err(End::Fault);
                }
                byte = self.next()?;
            }
        }
        self.expect(b'\n')?;
        Ok(size)
    }

    fn expect(&mut self, expected: u8) -> Result<(), End> {
        if self.next()? == expected { Ok(()) } else { Err(End::Fault) }
    }

    fn next(&mut self) -> Result<u8, End> {
        let byte = self.input.get(self.at).copied().ok_or(End::OfInput)?;
        self.at += 1;
        Ok(byte)
    }
}
