//! The head of a response: which fields it has, and how its body is sent.

use chaski_core::http::{Body, Response};
use http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, header};
use http_body::Body as _;

use super::date::date;

/// How a response is sent behind its head.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Plan {
    /// The head is all. If there is a body, it is dropped.
    Head,
    /// Its body follows, of this length if it is known.
    Body(Option<u64>),
}

/// A response whose length is not what its headers say, or is no number.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("its content-length is no number, or not that of its body")]
pub(super) struct WrongLength;

/// Makes the head one of HTTP/2, and says how the body is sent.
///
/// | response | length | body |
/// |---|---|---|
/// | 204 | none | none |
/// | 205 | 0 | none |
/// | 304, to HEAD | the service's; for HEAD else that of a body given | none |
/// | others | that of the body, if it is known, or the service's | as it is |
///
/// Fields of a connection (RFC 9113 section 8.2.2) are removed. Date is added where it is missing (RFC 9110 section 6.6.1).
///
/// # Errors
///
/// What the service says of the length is wrong.
#[inline]
pub(super) fn prepare(method: &Method, response: &mut Response) -> Result<Plan, WrongLength> {
    let status = response.status();
    let body = response.body();
    let actual = body.as_full().map(|bytes| bytes.len() as u64).or_else(|| body.size_hint().exact());
    let headers = response.headers_mut();
    let seen = Seen::read(headers)?;
    if seen.connection {
        remove_connection_fields(headers);
    }
    if !seen.date {
        headers.insert(header::DATE, date());
    }
    if status == StatusCode::NO_CONTENT {
        // RFC 9110 section 8.6.
        if seen.length.is_some() {
            headers.remove(header::CONTENT_LENGTH);
        }
        return Ok(Plan::Head);
    }
    if *method == Method::HEAD || status == StatusCode::NOT_MODIFIED {
        match actual {
            // An empty body is what a handler gives that knows of HEAD: it says nothing about what GET would bring.
            None | Some(0) => {}
            Some(_) if status == StatusCode::NOT_MODIFIED => {}
            Some(actual) => seen.set_length(headers, actual)?,
        }
        return Ok(Plan::Head);
    }
    if status == StatusCode::RESET_CONTENT {
        headers.insert(header::CONTENT_LENGTH, HeaderValue::from(0));
        return Ok(Plan::Head);
    }
    match actual {
        Some(actual) => {
            seen.set_length(headers, actual)?;
            Ok(if actual == 0 && response.body().is_end_stream() { Plan::Head } else { Plan::Body(Some(actual)) })
        }
        // A stream whose length the service promises is held to it.
        None => Ok(Plan::Body(seen.length)),
    }
}

/// What has to be known of the service's fields, gathered in one pass.
#[derive(Default)]
struct Seen {
    connection: bool,
    date: bool,
    length: Option<u64>,
}

impl Seen {
    #[inline]
    fn read(headers: &HeaderMap) -> Result<Self, WrongLength> {
        let mut seen = Self::default();
        for (name, value) in headers {
            // By length first: hardly any field goes beyond this line.
            match name.as_str().len() {
                4 if *name == header::DATE => seen.date = true,
                2 | 7 | 10 | 16 | 17 if is_of_connection(name) => seen.connection = true,
                14 if *name == header::CONTENT_LENGTH => {
                    let length = value.to_str().ok().filter(|text| text.bytes().all(|byte| byte.is_ascii_digit()));
                    let length = length.and_then(|digits| digits.parse().ok()).ok_or(WrongLength)?;
                    if seen.length.replace(length).is_some_and(|other| other != length) {
                        return Err(WrongLength);
                    }
                }
                _ => {}
            }
        }
        Ok(seen)
    }

    fn set_length(&self, headers: &mut HeaderMap, actual: u64) -> Result<(), WrongLength> {
        match self.length {
            Some(declared) if declared != actual => Err(WrongLength),
            Some(_) => Ok(()),
            None => {
                headers.insert(header::CONTENT_LENGTH, HeaderValue::from(actual));
                Ok(())
            }
        }
    }
}

const KEEP_ALIVE: &str = "keep-alive";
const PROXY_CONNECTION: &str = "proxy-connection";

fn is_of_connection(name: &HeaderName) -> bool {
    *name == header::CONNECTION
        || *name == header::TRANSFER_ENCODING
        || *name == header::UPGRADE
        || *name == header::TE
        || name == KEEP_ALIVE
        || name == PROXY_CONNECTION
}

/// RFC 9113 section 8.2.2: removes the fields of a connection and those that Connection names. A service written for
/// HTTP/1.1 may set them.
#[cold]
pub(super) fn remove_connection_fields(headers: &mut HeaderMap) {
    let named: Vec<HeaderName> = headers
        .get_all(header::CONNECTION)
        .iter()
        .flat_map(|value| value.as_bytes().split(|byte| *byte == b','))
        .filter_map(|name| HeaderName::from_bytes(name.trim_ascii()).ok())
        .collect();
    for name in named {
        headers.remove(name);
    }
    for name in [header::CONNECTION, header::TRANSFER_ENCODING, header::UPGRADE, header::TE] {
        headers.remove(name);
    }
    headers.remove(KEEP_ALIVE);
    headers.remove(PROXY_CONNECTION);
}

/// A response of a status alone.
pub(super) fn bare(status: StatusCode) -> Response {
    let mut response = Response::new(Body::empty());
    *response.status_mut() = status;
    response
}
