//! Field lines: from bytes to names and values.

use bytes::Bytes;
use http::header::{HeaderMap, HeaderName, HeaderValue, MaxSizeReached};
use memchr::memchr;

use super::error::{HeadError, HeadFault};
use super::names::{self, Field};
use super::scan::Section;

/// A field's name. The map takes either, and clones the known one only where
/// it puts it.
pub(super) enum Name {
    Known(&'static HeaderName),
    Other(HeaderName),
}

impl Name {
    /// Appends a field to a map.
    #[inline]
    pub(super) fn append(self, map: &mut HeaderMap, value: HeaderValue) -> Result<bool, MaxSizeReached> {
        match self {
            Self::Known(name) => map.try_append(name, value),
            Self::Other(name) => map.try_append(name, value),
        }
    }

    pub(super) fn as_name(&self) -> &HeaderName {
        match self {
            Self::Known(name) => name,
            Self::Other(name) => name,
        }
    }
}

/// Calls `each` with every field line of a section, in order: what it means,
/// its name, its value without the white space around it, and where it begins.
///
/// `bytes` is a whole head or trailer section, `section` what the scanner says
/// of it, `skip` how many lines are no fields. Values share the memory of
/// `bytes`.
///
/// # Errors
///
/// The first line that RFC 9112 section 5 does not allow, or the first error
/// of `each`.
#[inline]
pub(super) fn each_field(
    section: &Bytes,
    lines: &Section,
    skip: usize,
    mut each: impl FnMut(Field, Name, HeaderValue, usize) -> Result<(), HeadError>,
) -> Result<(), HeadError> {
    let bytes = &section[..];
    // The empty line that ends the section is not a field.
    let end = bytes.len().saturating_sub(2);
    let from = if skip == 0 { 0 } else { lines.first };
    let mut at = from;
    let mut index = skip;
    while at < end {
        let lf = match lines.end_of(index) {
            Some(lf) => lf,
            None => at + memchr(b'\n', &bytes[at..]).unwrap_or(0),
        };
        index += 1;
        // The CR was checked by the scanner.
        let line_end = lf.saturating_sub(1);
        let Some(line) = bytes.get(at..line_end) else {
            return Err(HeadError::new(HeadFault::MissingColon, at));
        };
        let Some(colon) = find_colon(line) else {
            return Err(bad_line(line, at, at == from));
        };
        let (name, field) = match names::known(&line[..colon]) {
            Some((name, field)) => (Name::Known(name), field),
            None => match HeaderName::from_bytes(&line[..colon]) {
                Ok(name) => (Name::Other(name), Field::Plain),
                Err(_) => return Err(bad_name(&line[..colon], at, at == from)),
            },
        };
        let start = at + colon + 1;
        let start = start + leading_space(&bytes[start..line_end]);
        let stop = line_end - trailing_space(&bytes[start..line_end]);
        // `from_maybe_shared` checks the bytes, which is the only check there
        // is: CR, NUL and the other control characters end here. The check is
        // vectorised. The unchecked constructor asks for UTF-8 in its contract,
        // which obs-text is not.
        let Ok(value) = HeaderValue::from_maybe_shared(section.slice(start..stop)) else {
            return Err(bad_value(&bytes[start..stop], start));
        };
        each(field, name, value, at)?;
        at = lf + 1;
    }
    Ok(())
}

/// Finds the first colon, eight bytes at a time: names are too short for
/// `memchr` to pay, which costs more to begin.
#[inline]
fn find_colon(line: &[u8]) -> Option<usize> {
    const ONES: u64 = u64::from_ne_bytes([1; 8]);
    const COLONS: u64 = ONES * b':' as u64;
    let (words, rest) = line.as_chunks::<8>();
    for (index, word) in words.iter().enumerate() {
        let differs = u64::from_le_bytes(*word) ^ COLONS;
        // The lowest bit that this sets is in the first byte that is zero.
        let zeros = differs.wrapping_sub(ONES) & !differs & (ONES << 7);
        if zeros != 0 {
            return Some(index * 8 + zeros.trailing_zeros() as usize / 8);
        }
    }
    let at = rest.iter().position(|&byte| byte == b':')?;
    Some(words.len() * 8 + at)
}

/// How many bytes of optional white space (RFC 9110 section 5.6.3) begin here.
#[inline]
pub(super) fn leading_space(bytes: &[u8]) -> usize {
    // One space is what nearly everyone sends.
    if let [b' ', next, ..] = bytes
        && *next > b' '
    {
        return 1;
    }
    let mut count = 0;
    while let Some(b' ' | b'\t') = bytes.get(count) {
        count += 1;
    }
    count
}

#[inline]
pub(super) fn trailing_space(bytes: &[u8]) -> usize {
    if bytes.last().is_some_and(|last| *last > b' ') {
        return 0;
    }
    let mut rest = bytes;
    while let [before @ .., b' ' | b'\t'] = rest {
        rest = before;
    }
    bytes.len() - rest.len()
}

/// Removes the optional white space around a value or a list's element.
#[inline]
pub(super) fn trim(value: &[u8]) -> &[u8] {
    let value = &value[leading_space(value)..];
    &value[..value.len() - trailing_space(value)]
}

/// The elements of a comma-separated list, empty ones included.
#[inline]
pub(super) fn elements(value: &[u8]) -> impl Iterator<Item = &[u8]> {
    value.split(|&byte| byte == b',').map(trim)
}

/// Names what is wrong with a line that has no colon.
#[cold]
fn bad_line(line: &[u8], at: usize, first: bool) -> HeadError {
    if let Some(cr) = memchr(b'\r', line) {
        return HeadError::new(HeadFault::BareCr, at + cr);
    }
    match line.first() {
        Some(b' ' | b'\t') if first => HeadError::new(HeadFault::SpaceBeforeHeaders, at),
        Some(b' ' | b'\t') => HeadError::new(HeadFault::ObsFold, at),
        _ => HeadError::new(HeadFault::MissingColon, at),
    }
}

/// Names what is wrong with a name.
#[cold]
fn bad_name(name: &[u8], at: usize, first: bool) -> HeadError {
    match (name.first(), name.last()) {
        (None, _) | (_, None) => HeadError::new(HeadFault::HeaderName { byte: b':' }, at),
        (Some(b' ' | b'\t'), _) => bad_line(name, at, first),
        (_, Some(b' ' | b'\t')) => HeadError::new(HeadFault::SpaceBeforeColon, at + name.len() - 1),
        _ => match name.iter().position(|&byte| !is_token(byte)) {
            Some(index) if name[index] == b'\r' => HeadError::new(HeadFault::BareCr, at + index),
            Some(index) => HeadError::new(HeadFault::HeaderName { byte: name[index] }, at + index),
            None => HeadError::new(HeadFault::HeaderNameTooLong, at),
        },
    }
}

/// Names what is wrong with a value.
#[cold]
fn bad_value(value: &[u8], at: usize) -> HeadError {
    let bad = |byte: u8| (byte < 0x20 && byte != b'\t') || byte == 0x7f;
    let index = value.iter().position(|&byte| bad(byte)).unwrap_or(0);
    match value.get(index) {
        Some(b'\r') => HeadError::new(HeadFault::BareCr, at + index),
        byte => {
            let byte = byte.copied().unwrap_or_default();
            HeadError::new(HeadFault::HeaderValue { byte }, at + index)
        }
    }
}

/// `tchar` of RFC 9110 section 5.6.2.
#[inline]
pub(super) fn is_token(byte: u8) -> bool {
    const TABLE: [bool; 256] = {
        let mut table = [false; 256];
        let mut byte = 0;
        while byte < 128 {
            table[byte] = matches!(byte as u8,
                b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'!' | b'#' | b'$' | b'%' | b'&'
                | b'\'' | b'*' | b'+' | b'-' | b'.' | b'^' | b'_' | b'`' | b'|' | b'~');
            byte += 1;
        }
        table
    };
    TABLE[usize::from(byte)]
}
