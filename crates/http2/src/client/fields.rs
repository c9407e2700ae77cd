//! The head of a request, as HTTP/2 has it.

use chaski_core::http::Message;
use http::{
    HeaderMap, HeaderName, HeaderValue, Method, Request, Uri, Version, header,
    uri::{self, Authority},
};

use super::Http2Error;
use crate::ConnectProtocol;

/// The head that is sent for `request`, whose body has `length` bytes if that is known.
///
/// # Errors
///
/// [`Http2Error::Request`].
pub(super) fn head<B>(
    request: &Request<B>,
    length: Option<u64>,
    split_cookies: bool,
) -> Result<Request<()>, Http2Error> {
    let mut head = Request::new(());
    *head.method_mut() = request.method().clone();
    *head.version_mut() = Version::HTTP_2;
    *head.headers_mut() = fields(request.headers(), split_cookies);
    let uri = request.uri();
    let Some(authority) = uri.authority() else { return Err(Http2Error::Request("its URI has no authority")) };
    // RFC 9113 section 8.3.1.
    if authority.as_str().contains('@') {
        return Err(Http2Error::Request("its URI has userinfo"));
    }
    let protocol = extended(request);
    if *request.method() == Method::CONNECT && protocol.is_none() {
        *head.uri_mut() = connect_target(authority)?;
        return Ok(head);
    }
    if uri.scheme().is_none() {
        return Err(Http2Error::Request("its URI has no scheme"));
    }
    *head.uri_mut() = uri.clone();
    match protocol {
        Some(protocol) => {
            head.extensions_mut().insert(h2::ext::Protocol::from(protocol.as_str()));
        }
        None => {
            // RFC 9110 section 8.6: a length for what has a body, and for methods that would be expected to have one.
            let expected = [Method::POST, Method::PUT, Method::PATCH].contains(request.method());
            if let Some(length) = length.filter(|length| *length > 0 || expected) {
                head.headers_mut().insert(header::CONTENT_LENGTH, length.into());
            }
        }
    }
    Ok(head)
}

/// What an extended CONNECT request asks for (RFC 8441 section 4).
pub(super) fn extended<B>(request: &Request<B>) -> Option<&ConnectProtocol> {
    if *request.method() == Method::CONNECT { request.fact::<ConnectProtocol>() } else { None }
}

/// RFC 9113 section 8.5: host and port, and nothing else.
fn connect_target(authority: &Authority) -> Result<Uri, Http2Error> {
    if authority.port_u16().is_none() {
        return Err(Http2Error::Request("a CONNECT request names a port"));
    }
    let mut parts = uri::Parts::default();
    parts.authority = Some(authority.clone());
    Uri::from_parts(parts).map_err(|_| Http2Error::Request("its URI is none"))
}

/// The fields that are sent: without those of one connection (RFC 9113 section 8.2.2), and without Host, as `:authority` has
/// what it says (section 8.3.1). The length is the body's own.
fn fields(given: &HeaderMap, split_cookies: bool) -> HeaderMap {
    let nominated = given.get_all(header::CONNECTION);
    let is_nominated = |name: &HeaderName| nominated.iter().any(|value| has_token(value, name.as_str()));
    let mut fields = HeaderMap::with_capacity(given.keys_len() + 1);
    for (name, value) in given {
        if is_of_connection(name) || is_nominated(name) {
            continue;
        }
        if *name == header::TE {
            // RFC 9113 section 8.2.2: the one value that has a meaning here.
            if has_token(value, "trailers") {
                fields.insert(header::TE, HeaderValue::from_static("trailers"));
            }
            continue;
        }
        if split_cookies && *name == header::COOKIE {
            for crumb in crumbs(value) {
                fields.append(header::COOKIE, crumb);
            }
            continue;
        }
        fields.append(name.clone(), value.clone());
    }
    fields
}

fn is_of_connection(name: &HeaderName) -> bool {
    matches!(
        name.as_str(),
        "connection"
            | "content-length"
            | "host"
            | "http2-settings"
            | "keep-alive"
            | "proxy-connection"
            | "transfer-encoding"
            | "upgrade"
    )
}

/// Whether a list has this token; tokens know no case.
fn has_token(list: &HeaderValue, token: &str) -> bool {
    list.as_bytes().split(|byte| *byte == b',').any(|item| {
        // Parameters, as `te` has them, say nothing more here.
        let item = item.split(|byte| *byte == b';').next().unwrap_or_default();
        item.trim_ascii().eq_ignore_ascii_case(token.as_bytes())
    })
}

/// The cookies of a field, one by one.
fn crumbs(value: &HeaderValue) -> impl Iterator<Item = HeaderValue> {
    let mut pieces = Vec::new();
    let mut rest = value.as_bytes();
    while let Some(at) = rest.windows(2).position(|pair| pair == b"; ") {
        pieces.push(&rest[..at]);
        rest = &rest[at + 2..];
    }
    pieces.push(rest);
    let sensitive = value.is_sensitive();
    // A piece of a value is one.
    pieces.into_iter().filter_map(move |piece| {
        let mut crumb = HeaderValue::from_bytes(piece).ok()?;
        crumb.set_sensitive(sensitive);
        Some(crumb)
    })
}
