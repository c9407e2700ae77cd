//! The text of a line.

use std::{
    fmt::{self, Write},
    time::{SystemTime, UNIX_EPOCH},
};

use chaski_core::{
    Extensions, SocketAddrs, User,
    http::{Message, Request},
};
use http::{Method, Uri, Version};
use tokio::time::Instant;

use super::{AccessLogLayer, AccessLogSink};
use crate::exchange::{End, Observer, Outcome};

/// What is known of a request when it arrives, and where its line goes.
pub(super) struct Line {
    sink: AccessLogSink,
    time_of_day: fn() -> SystemTime,
    started: Instant,
    method: Method,
    target: Uri,
    version: Version,
    /// The request's own scope, not a child: who the user is becomes known further inside.
    scope: Extensions,
}

impl Line {
    pub(super) fn begin(sink: AccessLogSink, time_of_day: fn() -> SystemTime, request: &mut Request) -> Self {
        Self {
            sink,
            time_of_day,
            started: Instant::now(),
            method: request.method().clone(),
            target: request.uri().clone(),
            version: request.version(),
            scope: request.scope().clone(),
        }
    }

    fn write(&self, end: &End, outcome: &str) {
        let mut text = String::with_capacity(256);
        // Writing to a string does not fail.
        let _ = self.format(&mut text, end, outcome);
        self.sink.write(&text);
    }

    fn format(&self, out: &mut String, end: &End, outcome: &str) -> fmt::Result {
        write!(out, "time={} peer=", Rfc3339((self.time_of_day)()))?;
        match self.scope.get::<SocketAddrs>() {
            Some(addrs) => write!(out, "{}", addrs.peer)?,
            None => out.push('-'),
        }
        out.push_str(" user=");
        match self.scope.get::<User>() {
            Some(User(name)) => quote(out, name, AccessLogLayer::MAX_FIELD)?,
            None => out.push('-'),
        }
        out.push_str(" method=");
        word(out, self.method.as_str())?;
        out.push_str(" target=");
        quote(out, &target(&self.target), AccessLogLayer::MAX_TARGET)?;
        write!(out, " version={:?} status=", self.version)?;
        match end.status {
            Some(status) => out.push_str(status.as_str()),
            None => out.push('-'),
        }
        let micros = self.started.elapsed().as_micros();
        write!(out, " received={} sent={}", end.received, end.sent)?;
        write!(out, " duration_ms={}.{:03} outcome=", micros / 1000, micros % 1000)?;
        word(out, outcome)?;
        out.push('\n');
        Ok(())
    }
}

impl Observer for Line {
    fn tunnel_ended(&mut self, end: &End, outcome: &str) {
        self.write(end, outcome);
    }

    fn ended(&mut self, end: &End, outcome: Outcome) {
        let outcome = match outcome {
            Outcome::Ok => "ok",
            Outcome::Cancelled => "cancelled",
            Outcome::Error => "error",
        };
        self.write(end, outcome);
    }
}

/// The target as it was received, but for a password: RFC 9110 section 4.2.4.
fn target(uri: &Uri) -> String {
    let Some((_, host)) = uri.authority().and_then(|authority| authority.as_str().rsplit_once('@')) else {
        return uri.to_string();
    };
    let scheme = uri.scheme_str().map_or_else(String::new, |scheme| format!("{scheme}://"));
    let path = uri.path_and_query().map_or("", |path| path.as_str());
    format!("{scheme}***@{host}{path}")
}

/// A plain word as it is, anything else in quotes.
fn word(out: &mut String, text: &str) -> fmt::Result {
    // The characters of a token (RFC 9110 section 5.6.2), of which methods are made.
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte);
    if !text.is_empty() && text.len() <= AccessLogLayer::MAX_FIELD && text.bytes().all(plain) {
        out.push_str(text);
        return Ok(());
    }
    quote(out, text, AccessLogLayer::MAX_FIELD)
}

/// At most `limit` bytes of `text` in quotes, in which nothing can end the quotes or the line, or move a terminal's cursor.
fn quote(out: &mut String, text: &str, limit: usize) -> fmt::Result {
    let shown = &text[..text.floor_char_boundary(limit)];
    out.push('"');
    for character in shown.chars() {
        match character {
            '"' | '\\' => {
                out.push('\\');
                out.push(character);
            }
            ' '..='~' => out.push(character),
            // Letters of any script. What is left is control, separators, marks that change the order of the text.
            _ if character.is_alphanumeric() => out.push(character),
            _ => write!(out, "{}", character.escape_unicode())?,
        }
    }
    out.push('"');
    if shown.len() < text.len() {
        out.push_str("...");
    }
    Ok(())
}

/// UTC with milliseconds.
struct Rfc3339(SystemTime);

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

    fn quoted(text: &str, limit: usize) -> String {
        let mut out = String::new();
        quote(&mut out, text, limit).unwrap();
        out
    }

    /// APP-15: no value ends its quotes or its line, or reaches the terminal.
    #[test]
    fn app_15_hostile_values_stay_within_their_quotes() {
        for (text, expected) in [
            ("plain text", r#""plain text""#),
            ("a\" outcome=ok", r#""a\" outcome=ok""#),
            ("back\\slash\"", r#""back\\slash\"""#),
            ("a\r\ntime=forged", r#""a\u{d}\u{a}time=forged""#),
            ("\u{1b}[2J\u{7f}\0", r#""\u{1b}[2J\u{7f}\u{0}""#),
            ("\u{85}\u{9b}\u{2028}\u{202e}\u{200b}\u{feff}", r#""\u{85}\u{9b}\u{2028}\u{202e}\u{200b}\u{feff}""#),
            ("jürgen 東", r#""jürgen 東""#),
        ] {
            assert_eq!(quoted(text, 100), expected);
        }
        assert_eq!(quoted("aé", 2), r#""a"..."#);
    }

    #[test]
    fn words_are_quoted_when_they_are_none() {
        for (text, expected) in [("ok", "ok"), ("M-SEARCH", "M-SEARCH"), ("", r#""""#), ("a b", r#""a b""#)] {
            let mut out = String::new();
            word(&mut out, text).unwrap();
            assert_eq!(out, expected);
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
