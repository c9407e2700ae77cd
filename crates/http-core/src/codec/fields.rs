//! Field lines: from bytes to names and values.

use bytes::Bytes;
use http::header::{HeaderMap, HeaderName, HeaderValue};
use memchr::memchr;

use super::error::{HeadError, HeadFault};
use super::find::find_colon;
use super::names::{self, Field};
use super::scan::Ends;

/// Puts the field lines of a section into `headers`, in order, values without
/// the white space around them.
///
/// `section` is a whole head or trailer section, `start` where its field lines
/// begin and how many lines stand before them, `ends` what the scanner says of
/// its lines. Values share the memory of `section`.
///
/// `read` is told of each field that means something: what, its value, and where its
/// line begins. It returns how many bytes of the value go into the map, or
/// `None` where the field does not.
///
/// # Errors
///
/// The first line that RFC 9112 section 5 does not allow, the first error of
/// `read`, or more than a map can take, told as over `limit`.
#[inline]
pub(super) fn read_fields(
    section: &Bytes,
    (mut at, mut index): (usize, usize),
    ends: &Ends,
    headers: &mut HeaderMap,
    limit: usize,
    mut read: impl FnMut(Field, &[u8], usize) -> Result<Option<usize>, HeadError>,
) -> Result<(), HeadError> {
    let bytes = &section[..];
    // The empty line that ends the section is not a field.
    let end = bytes.len().saturating_sub(2);
    let from = at;
    while at < end {
        let lf = match ends.of(index) {
            Some(lf) => lf,
            None => at + memchr(b'\n', &bytes[at..]).unwrap_or(1),
        };
        // The CR was checked by the scanner.
        let line_end = lf - 1;
        let Some(line) = bytes.get(at..line_end) else {
            return Err(HeadError::new(HeadFault::MissingColon, at));
        };
        let Some(colon) = find_colon(line) else {
            return Err(bad_line(line, at, at == from));
        };
        let (name, value) = line.split_at(colon);
        let (name, field) = match names::known(name) {
            Some((name, field)) => (Name::Known(name), field),
            None => match HeaderName::from_bytes(name) {
                Ok(name) => (Name::Other(name), Field::Plain),
                Err(_) => return Err(bad_name(name, at, at == from)),
            },
        };
        let value = &value[1..];
        let before = leading_space(value);
        let value = &value[before..];
        let value = &value[..value.len() - trailing_space(value)];
        let start = at + colon + 1 + before;
        let mut kept = value.len();
        // Nearly all fields are plain; the rest is kept out of their way.
        if field != Field::Plain {
            match read(field, value, at) {
                Ok(Some(length)) => kept = length,
                // A bad byte comes before what else is wrong.
                _ if HeaderValue::from_bytes(value).is_err() => return Err(bad_value(value, start)),
                Ok(None) => {
                    (at, index) = (lf + 1, index + 1);
                    continue;
                }
                Err(error) => return Err(error),
            }
        }
        // This checks the bytes, which is the only check there is: CR, NUL and
        // the other control characters end here. The check is vectorised. The
        // unchecked constructor asks for UTF-8 in its contract, which obs-text
        // is not.
        let Ok(value) = HeaderValue::from_maybe_shared(section.slice(start..start + kept)) else {
            return Err(bad_value(value, start));
        };
        // A name that is known is not copied before it is in its place.
        let appended = match name {
            Name::Known(name) => headers.try_append(name, value),
            Name::Other(name) => headers.try_append(name, value),
        };
        if appended.is_err() {
            return Err(HeadError::new(HeadFault::TooManyHeaders { limit }, at));
        }
        (at, index) = (lf + 1, index + 1);
    }
    Ok(())
}

/// A name on its way into a map.
enum Name {
    Known(&'static HeaderName),
    Other(HeaderName),
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
