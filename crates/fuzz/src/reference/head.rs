//! Heads, read by the grammar.

use http::{Method, Version};

use super::Read;

/// How a body is delimited.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Body {
    /// By so many bytes; none is 0.
    Length(u64),
    /// By chunks.
    Chunked,
    /// By the end of the connection.
    UntilClose,
}

/// Names in lower case with their values, in the order of the wire.
pub(crate) type Fields = Vec<(String, Vec<u8>)>;

#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Request {
    pub(crate) method: Method,
    pub(crate) target: Vec<u8>,
    pub(crate) version: Version,
    pub(crate) fields: Fields,
    pub(crate) body: Body,
    /// Another request may follow.
    pub(crate) persists: bool,
    /// It waits for `100 Continue`.
    pub(crate) expects: bool,
    /// It expects something else.
    pub(crate) expects_other: bool,
    pub(crate) upgrade: bool,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Response {
    pub(crate) status: u16,
    pub(crate) version: Version,
    pub(crate) reason: Vec<u8>,
    pub(crate) fields: Fields,
    pub(crate) body: Body,
    /// Another request may be sent.
    pub(crate) persists: bool,
    /// The connection is no longer HTTP behind it.
    pub(crate) switches: bool,
}

impl Request {
    /// Whether there is nothing in it that this reading leaves to the codec to judge: its target, its host, its size.
    pub(crate) fn is_plain(&self) -> bool {
        let in_path = |byte: &u8| byte.is_ascii_alphanumeric() || b"/-._~?=&%".contains(byte);
        let in_host = |byte: &u8| byte.is_ascii_lowercase() || b"-.".contains(byte);
        self.target.starts_with(b"/")
            && self.target.iter().all(in_path)
            && self.target.len() < 16_000
            && self.method.as_str().len() <= 24
            && self.fields.len() <= 100
            && values(&self.fields, "host").iter().all(|host| host.iter().all(in_host))
    }
}

/// The head of a request (RFC 9112 sections 3 and 5).
pub(crate) fn request(input: &[u8]) -> Read<Request> {
    // Section 2.2: one empty line is passed over.
    let skipped = if input.starts_with(b"\r\n") { 2 } else { 0 };
    read(&input[skipped..], skipped, |start, fields| {
        let mut parts = start.split(|&byte| byte == b' ');
        let (method, target, version) = (parts.next()?, parts.next()?, parts.next()?);
        let version = self::version(version)?;
        if parts.next().is_some() || !is_token(method) || !fits(method, target) {
            return None;
        }
        let is_http10 = version == Version::HTTP_10;
        match (values(&fields, "host").as_slice(), is_http10) {
            ([], true) => {}
            ([host], _) if host.iter().all(|byte| is_host_byte(*byte)) => {}
            _ => return None,
        }
        let body = framing(&fields, is_http10)?.unwrap_or(Body::Length(0));
        let expectations = values(&fields, "expect");
        let proceeds = |value: &&[u8]| value.eq_ignore_ascii_case(b"100-continue");
        let expects_other = !is_http10 && !expectations.iter().all(proceeds);
        Some(Request {
            method: Method::from_bytes(method).ok()?,
            target: target.to_vec(),
            version,
            body,
            persists: persists(&fields, is_http10),
            expects: !is_http10 && !expectations.is_empty() && !expects_other,
            expects_other,
            upgrade: !is_http10
                && has_token(&fields, "connection", "upgrade")
                && !values(&fields, "upgrade").is_empty(),
            fields,
        })
    })
}

/// The head of a response to a request with this method (RFC 9112 sections 4 and 5).
pub(crate) fn response(input: &[u8], method: &Method) -> Read<Response> {
    read(input, 0, |start, fields| {
        let version = self::version(start.get(..8)?)?;
        let rest = start[8..].strip_prefix(b" ")?;
        let (code, reason) = rest.split_at_checked(3)?;
        let reason = if reason.is_empty() { reason } else { reason.strip_prefix(b" ")? };
        let status: u16 = str::from_utf8(code).ok().filter(|code| is_digits(code.as_bytes()))?.parse().ok()?;
        if status < 100 {
            return None;
        }
        let is_http10 = version == Version::HTTP_10;
        let tunnel = *method == Method::CONNECT && (200..300).contains(&status);
        let mut persists = persists(&fields, is_http10);
        // RFC 9112 section 6.3, in its order.
        let body = if *method == Method::HEAD || status < 200 || status == 204 || status == 304 {
            persists &= !is_http10 || values(&fields, "transfer-encoding").is_empty() || tunnel;
            Body::Length(0)
        } else if tunnel {
            Body::Length(0)
        } else {
            framing(&fields, is_http10)?.unwrap_or(Body::UntilClose)
        };
        Some(Response {
            status,
            version,
            reason: reason.to_vec(),
            persists: persists && body != Body::UntilClose,
            body,
            switches: tunnel || status == 101,
            fields,
        })
    })
}

/// Reads lines up to an empty one, then hands the first one and the fields of the others on.
fn read<T>(input: &[u8], skipped: usize, head: impl FnOnce(&[u8], Fields) -> Option<T>) -> Read<T> {
    let (lines, used) = match lines(input) {
        Read::Complete(lines, used) => (lines, used),
        Read::Incomplete => return Read::Incomplete,
        Read::Refused => return Read::Refused,
    };
    let parsed = lines.split_first().and_then(|(start, rest)| {
        if start.iter().any(|byte| is_control(*byte)) {
            return None;
        }
        head(start, fields(rest)?)
    });
    match parsed {
        Some(head) => Read::Complete(head, skipped + used),
        None => Read::Refused,
    }
}

/// Lines that end with CRLF, up to an empty one, which is left out.
pub(super) fn lines(input: &[u8]) -> Read<Vec<&[u8]>> {
    let mut lines = Vec::new();
    let mut at = 0;
    while let Some(length) = input[at..].iter().position(|&byte| byte == b'\n') {
        let Some(line) = input[at..at + length].strip_suffix(b"\r") else { return Read::Refused };
        at += length + 1;
        if line.is_empty() {
            return Read::Complete(lines, at);
        }
        lines.push(line);
    }
    Read::Incomplete
}

/// `field-name ":" OWS field-value OWS` (RFC 9112 section 5), none of them folded.
pub(super) fn fields(lines: &[&[u8]]) -> Option<Fields> {
    let field = |line: &&[u8]| {
        let colon = line.iter().position(|&byte| byte == b':')?;
        let (name, value) = (&line[..colon], trim(&line[colon + 1..]));
        let sound = is_token(name) && !value.iter().any(|byte| is_control(*byte));
        sound.then(|| (String::from_utf8_lossy(name).to_ascii_lowercase(), value.to_vec()))
    };
    lines.iter().map(field).collect()
}

/// What the framing fields say; the outer `None` is for those that say two things, or nothing that is understood.
fn framing(fields: &Fields, is_http10: bool) -> Option<Option<Body>> {
    let (lengths, codings) = (values(fields, "content-length"), values(fields, "transfer-encoding"));
    match (lengths.as_slice(), codings.as_slice()) {
        ([], []) => Some(None),
        ([length], []) if is_digits(length) => {
            let text = str::from_utf8(length).ok()?.trim_start_matches('0');
            let length = if text.is_empty() { 0 } else { text.parse().ok()? };
            Some(Some(Body::Length(length)))
        }
        ([], [coding]) if coding.eq_ignore_ascii_case(b"chunked") && !is_http10 => Some(Some(Body::Chunked)),
        _ => None,
    }
}

/// RFC 9112 section 9.3.
fn persists(fields: &Fields, is_http10: bool) -> bool {
    !has_token(fields, "connection", "close") && (!is_http10 || has_token(fields, "connection", "keep-alive"))
}

/// RFC 9112 section 3.2: which form of target goes with which method. What else a target is made of is left to the codec.
fn fits(method: &[u8], target: &[u8]) -> bool {
    let is_visible = target.iter().all(|&byte| byte > b' ' && byte != 0x7f && byte != b'#');
    let form = match target {
        b"*" => method == b"OPTIONS",
        [b'/', ..] => method != b"CONNECT",
        _ if method == b"CONNECT" => {
            let port = target.iter().rposition(|&byte| byte == b':').map(|colon| &target[colon + 1..]);
            port.is_some_and(|port| is_digits(port) && port.iter().any(|digit| *digit != b'0'))
                && target.iter().all(|byte| is_host_byte(*byte))
        }
        _ => target.windows(3).any(|three| three == b"://"),
    };
    !target.is_empty() && is_visible && form
}

fn version(text: &[u8]) -> Option<Version> {
    match text {
        b"HTTP/1.1" => Some(Version::HTTP_11),
        b"HTTP/1.0" => Some(Version::HTTP_10),
        _ => None,
    }
}

fn values<'a>(fields: &'a Fields, name: &str) -> Vec<&'a [u8]> {
    fields.iter().filter(|(other, _)| other == name).map(|(_, value)| value.as_slice()).collect()
}

fn has_token(fields: &Fields, name: &str, token: &str) -> bool {
    values(fields, name)
        .iter()
        .flat_map(|value| value.split(|&byte| byte == b','))
        .any(|element| trim(element).eq_ignore_ascii_case(token.as_bytes()))
}

/// Without the optional white space around it (RFC 9110 section 5.6.3).
fn trim(mut value: &[u8]) -> &[u8] {
    while let [b' ' | b'\t', rest @ ..] | [rest @ .., b' ' | b'\t'] = value {
        value = rest;
    }
    value
}

/// `1*DIGIT`.
fn is_digits(text: &[u8]) -> bool {
    !text.is_empty() && text.iter().all(u8::is_ascii_digit)
}

/// `token` of RFC 9110 section 5.6.2.
fn is_token(text: &[u8]) -> bool {
    !text.is_empty() && text.iter().all(|byte| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(byte))
}

/// A byte that no field value has.
fn is_control(byte: u8) -> bool {
    (byte < 0x20 && byte != b'\t') || byte == 0x7f
}

/// A byte of `uri-host [ ":" port ]`: none that ends an authority, and no userinfo (RFC 3986 section 3.2).
fn is_host_byte(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"-._~%!$&'()*+,;=:[]".contains(&byte)
}
