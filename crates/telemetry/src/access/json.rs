//! A line as JSON: one object (RFC 8259).

use std::fmt::{self, Write};

use super::{
    AccessLogLayer,
    record::{Record, cut, push_addr, push_escaped, push_number},
};

pub(super) fn write(out: &mut String, record: &Record<'_>) -> fmt::Result {
    out.push_str("{\"time\":\"");
    record.time.push(out);
    out.push_str("\",\"peer\":");
    match &record.peer {
        Some(peer) => {
            out.push('"');
            push_addr(out, peer)?;
            out.push('"');
        }
        None => out.push_str("null"),
    }
    out.push_str(",\"user\":");
    match record.user {
        Some(name) => string(out, name, AccessLogLayer::MAX_FIELD)?,
        None => out.push_str("null"),
    }
    out.push_str(",\"method\":");
    string(out, record.method, AccessLogLayer::MAX_FIELD)?;
    out.push_str(",\"target\":");
    string(out, record.target, AccessLogLayer::MAX_TARGET)?;
    write!(out, ",\"version\":\"{:?}\",\"status\":", record.version)?;
    match record.status {
        Some(status) => push_number(out, status.into(), 1),
        None => out.push_str("null"),
    }
    out.push_str(",\"received\":");
    push_number(out, record.received, 1);
    out.push_str(",\"sent\":");
    push_number(out, record.sent, 1);
    out.push_str(",\"duration_ms\":");
    record.duration.push(out);
    out.push_str(",\"outcome\":");
    string(out, record.outcome, AccessLogLayer::MAX_FIELD)?;
    out.push_str(",\"trace\":");
    match &record.trace {
        Some(trace) => write!(out, "\"{trace}\"")?,
        None => out.push_str("null"),
    }
    out.push_str("}\n");
    Ok(())
}

/// At most `limit` bytes of `text` as a string. RFC 8259 section 7 wants quotes, backslashes and control characters escaped; here
/// everything is that would be in the text form, since lines of JSON are looked at in terminals too.
fn string(out: &mut String, text: &str, limit: usize) -> fmt::Result {
    let (shown, is_all) = cut(text, limit);
    out.push('"');
    push_escaped(out, shown, |out, character| {
        // Beyond the first plane it takes two, a surrogate pair.
        character.encode_utf16(&mut [0; 2]).iter().try_for_each(|unit| write!(out, "\\u{unit:04x}"))
    })?;
    out.push_str(if is_all { "\"" } else { "...\"" });
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// APP-15: no value ends its string or its line, or reaches the terminal, and a parser reads it as it was.
    #[test]
    fn app_15_hostile_values_stay_within_their_strings() {
        for (text, expected) in [
            ("plain text", r#""plain text""#),
            (r#"a","outcome":"ok"#, r#""a\",\"outcome\":\"ok""#),
            ("back\\slash\"", r#""back\\slash\"""#),
            ("a\r\n{\"time\":0}", r#""a\u000d\u000a{\"time\":0}""#),
            ("\u{1b}[2J\u{7f}\0\t", r#""\u001b[2J\u007f\u0000\u0009""#),
            ("\u{85}\u{9b}\u{2028}\u{202e}\u{feff}", r#""\u0085\u009b\u2028\u202e\ufeff""#),
            ("\u{1f600}\u{e0001}", r#""\ud83d\ude00\udb40\udc01""#),
            ("jürgen 東", r#""jürgen 東""#),
        ] {
            let mut out = String::new();
            string(&mut out, text, 100).unwrap();
            assert_eq!(out, expected);
            assert_eq!(serde_json::from_str::<String>(&out).unwrap(), text);
        }
        let mut out = String::new();
        string(&mut out, "aé", 2).unwrap();
        assert_eq!(out, r#""a...""#);
    }
}
