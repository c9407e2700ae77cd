//! Field lines: from bytes to names and values.

use bytes::Bytes;
use http::{HeaderName, HeaderValue};
use memchr::memchr;

use super::error::{HeadError, HeadFault};
use super::names::{self, Field};

/// Calls `each` with every field line of a section, in order: what it means,
/// its name, its value without the white space around it, and where it begins.
///
/// `section` is a whole head or trailer section of which the scanner has
/// checked the line ends, `from` the place of its first field line. Values
/// share the memory of `section`.
///
/// # Errors
///
/// The first line that RFC 9112 section 5 does not allow, or the first error
/// of `each`.
#[inline]
pub(super) fn each_field(
    section: &Bytes,
    from: usize,
    mut each: impl FnMut(Field, HeaderName, HeaderValue, usize) -> Result<(), HeadError>,
) -> Result<(), HeadError> {
    let bytes = &section[..];
    // The empty line that ends the section is not a field.
    let end = bytes.len().saturating_sub(2);
    let mut at = from;
    while at < end {
        let Some(length) = memchr(b'\n', &bytes[at..end]) else {
            return Err(HeadError::new(HeadFault::MissingColon, at));
        };
        // The CR was checked by the scanner.
        let line_end = at + length.saturating_sub(1);
        let line = &bytes[at..line_end];
        let Some(colon) = line.iter().position(|&byte| byte == b':') else {
            return Err(bad_line(line, at, at == from));
        };
        let (name, field) = match names::known(&line[..colon]) {
            Some((name, field)) => (name.clone(), field),
            None => match HeaderName::from_bytes(&line[..colon]) {
                Ok(name) => (name, Field::Plain),
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
        at += length + 1;
    }
    Ok(())
}

/// How many bytes of optional white space (RFC 9110 section 5.6.3) begin here.
#[inline]
fn leading_space(bytes: &[u8]) -> usize {
    let is_space = |byte: &u8| matches!(byte, b' ' | b'\t');
    bytes.iter().take_while(|byte| is_space(byte)).count()
}

#[inline]
fn trailing_space(bytes: &[u8]) -> usize {
    let is_space = |byte: &u8| matches!(byte, b' ' | b'\t');
    bytes.iter().rev().take_while(|byte| is_space(byte)).count()
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
