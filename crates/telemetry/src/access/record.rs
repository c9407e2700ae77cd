//! What a line says, whatever its form.

use std::{
    fmt,
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

impl fmt::Display for Millis {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{:03}", self.0 / 1000, self.0 % 1000)
    }
}

/// The target as it was received, but for a password: RFC 9110 section 4.2.4.
pub(super) fn target(uri: &Uri) -> String {
    let Some((_, host)) = uri.authority().and_then(|authority| authority.as_str().rsplit_once('@')) else {
        return uri.to_string();
    };
    let scheme = uri.scheme_str().map_or_else(String::new, |scheme| format!("{scheme}://"));
    let path = uri.path_and_query().map_or("", |path| path.as_str());
    format!("{scheme}***@{host}{path}")
}

/// At most `limit` bytes of `text`, and whether that is all.
pub(super) fn cut(text: &str, limit: usize) -> (&str, bool) {
    let shown = &text[..text.floor_char_boundary(limit)];
    (shown, shown.len() == text.len())
}

/// Whether a character can stand in a line as it is. Letters of any script can; what cannot is control, separators, marks that
/// change the order of the text.
pub(super) fn is_plain(character: char) -> bool {
    matches!(character, ' '..='~') || character.is_alphanumeric()
}

/// UTC with milliseconds.
pub(super) struct Rfc3339(pub(super) SystemTime);

impl fmt::Display for Rfc3339 {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let since = self.0.duration_since(UNIX_EPOCH).unwrap_or_default();
        let (seconds, millis) = (since.as_secs(), since.subsec_millis());
        let (year, month, day) = civil(seconds / 86_400);
        let (hour, minute, second) = (seconds / 3600 % 24, seconds / 60 % 60, seconds % 60);
        write!(f, "{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}.{millis:03}Z")
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
            assert_eq!(Rfc3339(UNIX_EPOCH + Duration::new(seconds, 7_999_999)).to_string(), text);
        }
    }

    #[test]
    fn app_15_userinfo_is_not_shown() {
        for (uri, expected) in [
            ("http://ana:secret@example.com/a@b", "http://***@example.com/a@b"),
            ("http://h@example.com?h", "http://***@example.com?h"),
            ("ana@example.com:443", "***@example.com:443"),
            ("http://example.com/a@b", "http://example.com/a@b"),
            ("example.com:443", "example.com:443"),
            ("*", "*"),
        ] {
            let uri: Uri = uri.parse().unwrap();
            assert_eq!(target(&uri), expected);
        }
    }
}
