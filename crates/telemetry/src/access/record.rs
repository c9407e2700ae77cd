//! What a line says, whatever its form.

use std::{
    fmt::{self, Write},
    net::SocketAddr,
    time::{SystemTime, UNIX_EPOCH},
};

use http::{Uri, Version};

use crate::TraceId;

/// The facts of a line, in the order of its fields.
pub(super) struct Record<'a> {
    pub(super) time: Rfc3339,
    pub(super) peer: Option<SocketAddr>,
    pub(super) user: Option<&'a str>,
    pub(super) method: &'a str,
    pub(super) target: &'a str,
    pub(super) version: Version,
    pub(super) status: Option<u16>,
    pub(super) received: u64,
    pub(super) sent: u64,
    pub(super) duration: Millis,
    pub(super) outcome: &'a str,
    pub(super) trace: Option<TraceId>,
}

/// Microseconds, told as milliseconds with three decimals: the same in both forms, and a number in JSON.
#[derive(Clone, Copy)]
pub(super) struct Millis(pub(super) u128);

impl Millis {
    pub(super) fn push(self, out: &mut String) {
        // More than half a million years are none of these.
        let micros = u64::try_from(self.0).unwrap_or(u64::MAX);
        push_number(out, micros / 1000, 1);
        out.push('.');
        push_number(out, micros % 1000, 3);
    }
}

/// Writes `number` with `width` digits at least. A line has some twenty numbers: through the formatter of the standard library
/// they cost more than all else in it.
pub(super) fn push_number(out: &mut String, mut number: u64, width: usize) {
    let mut digits = [b'0'; 20];
    let mut at = digits.len();
    while number > 0 {
        at -= 1;
        digits[at] = b'0' + (number % 10) as u8;
        number /= 10;
    }
    let at = at.min(digits.len() - width);
    out.extend(digits[at..].iter().map(|digit| char::from(*digit)));
}

/// Writes an address and its port.
pub(super) fn push_addr(out: &mut String, addr: &SocketAddr) -> fmt::Result {
    let SocketAddr::V4(addr) = addr else { return write!(out, "{addr}") };
    for (octet, end) in addr.ip().octets().into_iter().zip(['.', '.', '.', ':']) {
        push_number(out, octet.into(), 1);
        out.push(end);
    }
    push_number(out, addr.port().into(), 1);
    Ok(())
}

/// The target as it was received, but for a password: RFC 9110 section 4.2.4.
pub(super) fn target(uri: &Uri) -> String {
    let authority = uri.authority().map_or("", |authority| authority.as_str());
    // Byte by byte: a search in words is for longer texts, and hardly any has userinfo.
    let Some(at) = authority.bytes().rposition(|byte| byte == b'@') else {
        let scheme = uri.scheme_str();
        let (path, query) = (uri.path(), uri.query());
        let parts = [
            scheme.unwrap_or_default(),
            if scheme.is_some() { "://" } else { "" },
            authority,
            path,
            if query.is_some() { "?" } else { "" },
            query.unwrap_or_default(),
        ];
        return parts.concat();
    };
    let host = &authority[at + 1..];
    let scheme = uri.scheme_str().map_or_else(String::new, |scheme| format!("{scheme}://"));
    let path = uri.path_and_query().map_or("", |path| path.as_str());
    format!("{scheme}***@{host}{path}")
}

/// At most `limit` bytes of `text`, and whether that is all.
pub(super) fn cut(text: &str, limit: usize) -> (&str, bool) {
    let shown = &text[..text.floor_char_boundary(limit)];
    (shown, shown.len() == text.len())
}

/// Writes what stands between quotes, where nothing can end the quotes or the line, or move a terminal's cursor: quotes and backslashes
/// behind a backslash, and what is not plain as the form escapes it.
pub(super) fn push_escaped(
    out: &mut String,
    text: &str,
    escape: impl Fn(&mut String, char) -> fmt::Result,
) -> fmt::Result {
    // Nearly every value is plain, and goes in one piece.
    if text.bytes().all(|byte| matches!(byte, b' '..=b'~') && !matches!(byte, b'"' | b'\\')) {
        out.push_str(text);
        return Ok(());
    }
    for character in text.chars() {
        match character {
            '"' | '\\' => {
                out.push('\\');
                out.push(character);
            }
            _ if is_plain(character) => out.push(character),
            _ => escape(out, character)?,
        }
    }
    Ok(())
}

/// Whether a character can stand in a line as it is. Letters of any script can; what cannot is control, separators, marks that
/// change the order of the text.
fn is_plain(character: char) -> bool {
    matches!(character, ' '..='~') || character.is_alphanumeric()
}

/// UTC with milliseconds.
pub(super) struct Rfc3339(pub(super) SystemTime);

impl Rfc3339 {
    pub(super) fn push(&self, out: &mut String) {
        let since = self.0.duration_since(UNIX_EPOCH).unwrap_or_default();
        let (seconds, millis) = (since.as_secs(), since.subsec_millis());
        let (year, month, day) = civil(seconds / 86_400);
        let (hour, minute, second) = (seconds / 3600 % 24, seconds / 60 % 60, seconds % 60);
        let parts =
            [(year, '-', 4), (month, '-', 2), (day, 'T', 2), (hour, ':', 2), (minute, ':', 2), (second, '.', 2)];
        for (number, end, width) in parts {
            push_number(out, number, width);
            out.push(end);
        }
        push_number(out, millis.into(), 3);
        out.push('Z');
    }
}

/// Year, month and day, from the days since 1970-01-01.
fn civil(days: u64) -> (u64, u64, u64) {
    // Counted from 0000-03-01, so that the leap day is the last of its year; 400 years have 146,097 days.
    let days = days + 719_468;
    let (era, day_of_era) = (days / 146_097, days % 146_097);
    let year_of_era = (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    // Months from March have 31, 30, 31, 30, 31 days, over and over: 153 days for each five.
    let month = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * month + 2) / 5 + 1;
    let (year, month) = if month < 10 { (0, month + 3) } else { (1, month - 9) };
    (era * 400 + year_of_era + year, month, day)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn dates_are_those_of_the_calendar() {
        // From `date -u -d @SECONDS +%FT%T`.
        for (seconds, text) in [
            (0, "1970-01-01T00:00:00.007Z"),
            (951_782_399, "2000-02-28T23:59:59.007Z"),
            (951_782_400, "2000-02-29T00:00:00.007Z"),
            (951_868_800, "2000-03-01T00:00:00.007Z"),
            (1_735_689_599, "2024-12-31T23:59:59.007Z"),
            (1_795_311_125, "2026-11-22T01:32:05.007Z"),
            (4_107_542_400, "2100-03-01T00:00:00.007Z"),
        ] {
            let mut out = String::new();
            Rfc3339(UNIX_EPOCH + Duration::new(seconds, 7_999_999)).push(&mut out);
            assert_eq!(out, text);
        }
    }

    #[test]
    fn numbers_have_the_digits_they_need() {
        for (number, width, text) in [
            (0, 1, "0"),
            (0, 3, "000"),
            (7, 2, "07"),
            (10, 1, "10"),
            (1234, 2, "1234"),
            (u64::MAX, 1, "18446744073709551615"),
        ] {
            let mut out = String::new();
            push_number(&mut out, number, width);
            assert_eq!(out, text);
        }
        for (micros, text) in [(0, "0.000"), (999, "0.999"), (61_005_040, "61005.040")] {
            let mut out = String::new();
            Millis(micros).push(&mut out);
            assert_eq!(out, text);
        }
    }

    #[test]
    fn addresses_are_written_as_they_parse() {
        for text in ["0.0.0.0:0", "192.0.2.10:65535", "127.0.0.1:80", "[2001:db8::1]:443"] {
            let mut out = String::new();
            push_addr(&mut out, &text.parse().unwrap()).unwrap();
            assert_eq!(out, text);
        }
    }

    #[test]
    fn app_15_userinfo_is_not_shown() {
        for (uri, expected) in [
            ("http://ana:secret@example.com/a@b", "http://***@example.com/a@b"),
            ("http://h@example.com?h", "http://***@example.com?h"),
            ("ana@example.com:443", "***@example.com:443"),
            ("http://example.com/a@b", "http://example.com/a@b"),
            ("http://example.com/a?b=c", "http://example.com/a?b=c"),
            ("http://example.com?b", "http://example.com/?b"),
            ("http://example.com", "http://example.com/"),
            ("/a?", "/a?"),
            ("example.com:443", "example.com:443"),
            ("*", "*"),
        ] {
            let uri: Uri = uri.parse().unwrap();
            assert_eq!(target(&uri), expected);
        }
    }
}
