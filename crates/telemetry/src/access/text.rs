//! A line as text: `name=value`, one blank between.

use std::fmt::{self, Write};

use super::{
    AccessLogLayer,
    record::{Record, cut, push_addr, push_escaped, push_number},
};

pub(super) fn write(out: &mut String, record: &Record<'_>) -> fmt::Result {
    out.push_str("time=");
    record.time.push(out);
    out.push_str(" peer=");
    match &record.peer {
        Some(peer) => push_addr(out, peer)?,
        None => out.push('-'),
    }
    out.push_str(" user=");
    match record.user {
        Some(name) => quote(out, name, AccessLogLayer::MAX_FIELD)?,
        None => out.push('-'),
    }
    out.push_str(" method=");
    word(out, record.method)?;
    out.push_str(" target=");
    quote(out, record.target, AccessLogLayer::MAX_TARGET)?;
    write!(out, " version={:?} status=", record.version)?;
    match record.status {
        Some(status) => push_number(out, status.into(), 1),
        None => out.push('-'),
    }
    out.push_str(" received=");
    push_number(out, record.received, 1);
    out.push_str(" sent=");
    push_number(out, record.sent, 1);
    out.push_str(" duration_ms=");
    record.duration.push(out);
    out.push_str(" outcome=");
    word(out, record.outcome)?;
    out.push_str(" trace=");
    match &record.trace {
        Some(trace) => write!(out, "{trace}")?,
        None => out.push('-'),
    }
    out.push('\n');
    Ok(())
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

/// At most `limit` bytes of `text` in quotes.
fn quote(out: &mut String, text: &str, limit: usize) -> fmt::Result {
    let (shown, is_all) = cut(text, limit);
    out.push('"');
    push_escaped(out, shown, |out, character| write!(out, "{}", character.escape_unicode()))?;
    out.push('"');
    if !is_all {
        out.push_str("...");
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

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
}
