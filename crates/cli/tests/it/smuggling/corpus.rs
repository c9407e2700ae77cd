//! Reads `corpus.txt`.

/// A request, and what has to come of it.
pub(super) struct Case {
    pub(super) name: &'static str,
    pub(super) outcome: Outcome,
    pub(super) bytes: Vec<u8>,
}

pub(super) enum Outcome {
    /// The proxy answers with this status and closes.
    Refused(u16),
    /// The proxy answers with this status, and reads on behind the request.
    RefusedAndOn(u16),
    /// The proxy closes within the body.
    Cut,
    /// The origin sees the message; `next`, one more behind it; `last`, nothing behind it.
    Passed { body: Vec<u8>, next: bool, last: bool },
}

impl Case {
    pub(super) fn method(&self) -> &[u8] {
        self.bytes.trim_ascii_start().split(|&byte| byte == b' ').next().unwrap()
    }
}

/// All cases, for an origin at `host`. Each has the request that closes the connection behind it.
pub(super) fn cases(host: &str) -> Vec<Case> {
    let lines = include_str!("corpus.txt").lines().filter(|line| !line.is_empty() && !line.starts_with('#'));
    lines.enumerate().map(|(number, line)| case(number, line, host)).collect()
}

fn case(number: usize, line: &'static str, host: &str) -> Case {
    let mut parts = line.splitn(3, " | ");
    let (Some(name), Some(outcome), Some(bytes)) = (parts.next(), parts.next(), parts.next()) else {
        panic!("not a case: {line}");
    };
    let end = "GET http://{h}/end/{id} HTTP/1.1~Host: {h}~Connection: close~~";
    let bytes = format!("{bytes}{end}")
        .replace("{post}", "POST {u} HTTP/1.1~Host: {h}~")
        .replace("{get}", "GET {u} HTTP/1.1~Host: {h}~")
        .replace("{next}", "GET http://{h}/next/{id} HTTP/1.1~Host: {h}~~")
        .replace("{u}", "http://{h}/case/{id}")
        .replace("{h}", host)
        .replace("{id}", &number.to_string());
    Case { name, outcome: read_outcome(outcome), bytes: unescape(&bytes) }
}

fn read_outcome(text: &str) -> Outcome {
    let (word, rest) = text.split_once(' ').unwrap_or((text, ""));
    let passed = |next, last| Outcome::Passed { body: unescape(rest), next, last };
    match (word, rest) {
        ("cut", "") => Outcome::Cut,
        ("pass", _) => passed(false, false),
        ("then", _) => passed(true, false),
        ("last", _) => passed(false, true),
        (status, "") => Outcome::Refused(status.parse().unwrap()),
        (status, "on") => Outcome::RefusedAndOn(status.parse().unwrap()),
        _ => panic!("not an outcome: {text}"),
    }
}

/// `~` for CR LF, and backslash with r, n, t, 0, xNN or another backslash.
pub(super) fn unescape(text: &str) -> Vec<u8> {
    let mut bytes = Vec::new();
    let mut rest = text.bytes();
    while let Some(byte) = rest.next() {
        match byte {
            b'~' => bytes.extend(b"\r\n"),
            b'\\' => bytes.push(match rest.next().unwrap() {
                b'r' => b'\r',
                b'n' => b'\n',
                b't' => b'\t',
                b'0' => 0,
                b'x' => hex([rest.next().unwrap(), rest.next().unwrap()]),
                b'\\' => b'\\',
                other => panic!("not an escape: {}", char::from(other)),
            }),
            byte => bytes.push(byte),
        }
    }
    bytes
}

pub(super) fn hex(digits: [u8; 2]) -> u8 {
    u8::from_str_radix(str::from_utf8(&digits).unwrap(), 16).unwrap()
}
