//! What a request has to be, beyond what h2 holds it to (RFC 9113 section 8).
//!
//! h2 refuses fields of the connection, upper case, pseudo-header fields that are unknown, repeated or out of place, a
//! missing method, scheme or path, and data that is not as long as `content-length`.

use http::{HeaderMap, HeaderValue, Method, Uri, header, request::Parts, uri::Authority};

/// What of a request's head the engine acts on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Checked {
    pub(super) length: Option<u64>,
    pub(super) expect: Expectation,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Expectation {
    Nothing,
    /// `100-continue`.
    Continue,
    /// One that is not known here.
    Other,
}

/// Why a request is malformed: its stream is reset with PROTOCOL_ERROR (RFC 9113 section 8.1.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum Malformed {
    #[error("it has no authority, or two, or one that is none")]
    Authority,
    #[error("its authority has user information")]
    UserInfo,
    #[error("its path does not begin with a slash")]
    Path,
    #[error("its content-length is repeated or no number")]
    Length,
    #[error("a field's value begins or ends with white space")]
    WhiteSpace,
}

/// Checks a request's head, and joins its crumbs of cookies.
pub(super) fn check(parts: &mut Parts) -> Result<Checked, Malformed> {
    let fields = Fields::read(&parts.headers)?;
    check_target(&parts.method, &parts.uri, &fields)?;
    let checked = Checked { length: fields.length.map(read_length).transpose()?, expect: fields.expect };
    if fields.cookies > 1 {
        join_cookies(&mut parts.headers);
    }
    Ok(checked)
}

/// What has to be known of the fields, gathered in one pass.
struct Fields<'a> {
    host: Option<&'a HeaderValue>,
    length: Option<&'a HeaderValue>,
    cookies: u32,
    expect: Expectation,
}

impl<'a> Fields<'a> {
    #[inline]
    fn read(headers: &'a HeaderMap) -> Result<Self, Malformed> {
        let mut fields = Self { host: None, length: None, cookies: 0, expect: Expectation::Nothing };
        let (mut two_hosts, mut two_lengths) = (false, false);
        for (name, value) in headers {
            // RFC 9113 section 8.2.1.
            if let [b' ' | b'\t', ..] | [.., b' ' | b'\t'] = value.as_bytes() {
                return Err(Malformed::WhiteSpace);
            }
            // By length first: hardly any field goes beyond this line.
            match name.as_str().len() {
                4 if *name == header::HOST => two_hosts |= fields.host.replace(value).is_some(),
                6 if *name == header::COOKIE => fields.cookies += 1,
                6 if *name == header::EXPECT => fields.expect = fields.expect.and(value),
                14 if *name == header::CONTENT_LENGTH => two_lengths |= fields.length.replace(value).is_some(),
                _ => {}
            }
        }
        if two_hosts {
            return Err(Malformed::Authority);
        }
        if two_lengths {
            return Err(Malformed::Length);
        }
        Ok(fields)
    }
}

impl Expectation {
    /// RFC 9110 section 10.1.1: with a further field.
    fn and(self, value: &HeaderValue) -> Self {
        let known = value.as_bytes().eq_ignore_ascii_case(b"100-continue");
        if known && self != Self::Other { Self::Continue } else { Self::Other }
    }
}

fn check_target(method: &Method, uri: &Uri, fields: &Fields<'_>) -> Result<(), Malformed> {
    if let Some(authority) = uri.authority() {
        check_authority(authority)?;
    }
    // RFC 9113 section 8.3.1: Host must not name another host than `:authority`, and one of them has to be there.
    match (uri.authority(), fields.host) {
        (None, None) => return Err(Malformed::Authority),
        (None, Some(host)) => check_authority(&parse_host(host)?)?,
        (Some(authority), Some(host)) if !names(host, authority, uri) => return Err(Malformed::Authority),
        (Some(_), _) => {}
    }
    if *method == Method::CONNECT && uri.scheme().is_none() {
        // RFC 9113 section 8.5: `:authority` has the host and the port to connect to.
        return match uri.authority() {
            Some(authority) if authority.port_u16().is_some() => Ok(()),
            _ => Err(Malformed::Authority),
        };
    }
    match uri.path().as_bytes() {
        [b'/', ..] => Ok(()),
        b"*" if *method == Method::OPTIONS => Ok(()),
        _ => Err(Malformed::Path),
    }
}

/// RFC 9113 section 8.3.1: no user information. A host is not empty (RFC 9110 section 4.2.1).
fn check_authority(authority: &Authority) -> Result<(), Malformed> {
    if authority.as_str().contains('@') {
        return Err(Malformed::UserInfo);
    }
    if authority.host().is_empty() {
        return Err(Malformed::Authority);
    }
    Ok(())
}

fn parse_host(host: &HeaderValue) -> Result<Authority, Malformed> {
    Authority::try_from(host.as_bytes()).map_err(|_| Malformed::Authority)
}

/// Whether Host names the authority. Names know no case (RFC 3986 section 3.2.2), and a port that is the scheme's own may be
/// left out (RFC 9110 section 4.2.3).
fn names(host: &HeaderValue, authority: &Authority, uri: &Uri) -> bool {
    // As nearly all clients send it, if they send it at all.
    if authority.as_str().as_bytes() == host.as_bytes() {
        return true;
    }
    let Ok(host) = parse_host(host) else { return false };
    let own = match uri.scheme_str() {
        Some("http") => Some(80),
        Some("https") => Some(443),
        _ => None,
    };
    let port = |authority: &Authority| authority.port_u16().or(own);
    authority.host().eq_ignore_ascii_case(host.host()) && port(authority) == port(&host)
}

/// RFC 9110 section 8.6: digits, at least one. h2 would take none for 0.
fn read_length(value: &HeaderValue) -> Result<u64, Malformed> {
    let digits = value.as_bytes();
    if digits.is_empty() || !digits.iter().all(u8::is_ascii_digit) {
        return Err(Malformed::Length);
    }
    value.to_str().ok().and_then(|digits| digits.parse().ok()).ok_or(Malformed::Length)
}

/// RFC 9113 section 8.2.3: crumbs are joined before they are passed to what is not HTTP/2.
#[cold]
fn join_cookies(headers: &mut HeaderMap) {
    let crumbs: Vec<&[u8]> = headers.get_all(header::COOKIE).iter().map(HeaderValue::as_bytes).collect();
    // Crumbs are values already, and so is what is between them.
    if let Ok(joined) = HeaderValue::from_bytes(&crumbs.join(&b"; "[..])) {
        headers.insert(header::COOKIE, joined);
    }
}
