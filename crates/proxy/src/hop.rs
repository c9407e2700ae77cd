//! What belongs to one hop of a message and what to all of its way: fields to strip, Via, Max-Forwards.
//!
//! Functions on header maps alone: nothing here waits, dials or knows of a connection.

use http::{
    HeaderMap, HeaderName, HeaderValue,
    header::{self, ToStrError},
};

mod via;

pub use via::Pseudonym;
pub(crate) use via::Via;

/// Fields for every recipient, which therefore must not be named in Connection (RFC 9110 section 7.6.1). Taking them
/// away would change where a message goes, where it ends, or how it is read.
static OF_ALL_HOPS: [HeaderName; 9] = [
    header::HOST,
    header::CONTENT_LENGTH,
    header::CONTENT_TYPE,
    header::CONTENT_ENCODING,
    header::CONTENT_RANGE,
    header::CACHE_CONTROL,
    header::DATE,
    header::MAX_FORWARDS,
    header::VIA,
];

/// Removes from a message what was said to its recipient alone (RFC 9110 section 7.6.1), for gateways that send it on: the
/// fields that Connection names, Connection itself, Keep-Alive, TE, Transfer-Encoding, Upgrade, Proxy-Connection and those
/// of authentication by proxies. [`ForwardProxy`](crate::ForwardProxy) does this itself.
///
/// A field for every recipient stays, though Connection names it: Host, Content-Length, Content-Type, Content-Encoding,
/// Content-Range, Cache-Control, Date, Max-Forwards and Via.
///
/// ```
/// use chaski_proxy::remove_hop_fields;
/// use http::HeaderMap;
///
/// let mut headers = HeaderMap::new();
/// headers.insert("connection", "close, x-own, host".parse()?);
/// headers.insert("x-own", "1".parse()?);
/// headers.insert("te", "trailers".parse()?);
/// headers.insert("host", "example.com".parse()?);
/// remove_hop_fields(&mut headers);
/// assert_eq!(headers.keys().collect::<Vec<_>>(), ["host"]);
/// # Ok::<(), http::header::InvalidHeaderValue>(())
/// ```
pub fn remove_hop_fields(headers: &mut HeaderMap) {
    let Ok(()) = strip(headers, |_| Ok::<(), std::convert::Infallible>(()));
}

/// Connection names a field that is for every recipient.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct NamesEndToEnd(pub(crate) HeaderName);

/// Removes what the client said to this proxy alone.
///
/// `TE: trailers` is said again, as this proxy hands trailers on; other transfer codings are not for it to promise.
///
/// # Errors
///
/// When Connection names a field of [`OF_ALL_HOPS`]. A client that does so is broken or plays one recipient off against
/// the other, and either way means something that the next hop would not see.
pub(crate) fn strip_request(headers: &mut HeaderMap) -> Result<(), NamesEndToEnd> {
    let trailers = takes_trailers(headers);
    strip(headers, |name| Err(NamesEndToEnd(name)))?;
    if trailers {
        headers.insert(header::TE, HeaderValue::from_static("trailers"));
        // RFC 9110 section 10.1.4: who sends TE says so in Connection.
        headers.insert(header::CONNECTION, HeaderValue::from_static("te"));
    }
    Ok(())
}

/// Removes what the server said to this proxy alone, from a final or an informational response.
///
/// A field of [`OF_ALL_HOPS`] stays, though Connection names it: the client should not lose an answer to it.
pub(crate) fn strip_response(headers: &mut HeaderMap) {
    remove_hop_fields(headers);
}

/// Which of the fields that a proxy has to look at a message has. Many messages have none of them, and few fields: to look
/// at these once costs less than to look for each that could be there.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Seen {
    /// Something to strip.
    pub(crate) of_one_hop: bool,
    pub(crate) via: bool,
    pub(crate) proxy_status: bool,
}

impl Seen {
    pub(crate) fn in_fields(headers: &HeaderMap) -> Self {
        let mut seen = Self::default();
        for name in headers.keys() {
            match name.as_str() {
                "via" => seen.via = true,
                "proxy-status" => seen.proxy_status = true,
                _ => seen.of_one_hop |= is_of_one_hop(name),
            }
        }
        seen
    }
}

/// Connection, and the fields of one hop whether or not Connection names them (RFC 9110 section 7.6.1), and those between a
/// client and the proxy it chose (sections 11.7.1 to 11.7.3): credentials for a proxy must not reach an origin.
///
/// Trailer is none of them: it announces fields that the proxy hands on.
fn is_of_one_hop(name: &HeaderName) -> bool {
    matches!(
        name.as_str(),
        "connection"
            | "keep-alive"
            | "proxy-connection"
            | "proxy-authenticate"
            | "proxy-authorization"
            | "proxy-authentication-info"
            | "te"
            | "transfer-encoding"
            | "upgrade"
    )
}

fn strip<E>(headers: &mut HeaderMap, mut of_all_hops: impl FnMut(HeaderName) -> Result<(), E>) -> Result<(), E> {
    if headers.contains_key(header::CONNECTION) {
        let options: Vec<HeaderValue> = headers.get_all(header::CONNECTION).iter().cloned().collect();
        for option in options.iter().flat_map(|value| elements(value.as_bytes())) {
            match OF_ALL_HOPS.iter().find(|name| option.eq_ignore_ascii_case(name.as_str().as_bytes())) {
                Some(name) => of_all_hops(name.clone())?,
                // What is not a token is not the name of a field either.
                None => drop(str::from_utf8(option).map(|name| headers.remove(name))),
            }
        }
    }
    while let Some(name) = headers.keys().find(|name| is_of_one_hop(name)).cloned() {
        headers.remove(name);
    }
    Ok(())
}

/// Whether TE has `trailers`, in any case (RFC 9110 section 10.1.4).
fn takes_trailers(headers: &HeaderMap) -> bool {
    let codings = headers.get_all(header::TE).into_iter().flat_map(|value| elements(value.as_bytes()));
    codings.into_iter().any(|coding| coding.eq_ignore_ascii_case(b"trailers"))
}

/// The elements of a list without quoted strings, without the white space around them, empty ones left out (RFC 9110
/// section 5.6.1.2).
fn elements(list: &[u8]) -> impl Iterator<Item = &[u8]> {
    list.split(|&byte| byte == b',').map(<[u8]>::trim_ascii).filter(|element| !element.is_empty())
}

/// What Max-Forwards asks of a proxy.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Forwards {
    /// It is not there.
    Unlimited,
    /// Forward; the field says one less now.
    Decremented,
    /// Do not forward: this proxy is the final recipient.
    Exhausted,
}

/// Max-Forwards is not one decimal number.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct InvalidMaxForwards;

impl From<ToStrError> for InvalidMaxForwards {
    fn from(_: ToStrError) -> Self {
        Self
    }
}

/// Checks and updates Max-Forwards; for TRACE and OPTIONS only (RFC 9110 section 7.6.2).
///
/// # Errors
///
/// The field is not `1*DIGIT`, or is there twice: the limit that the client set cannot be kept then.
pub(crate) fn count_forward(headers: &mut HeaderMap) -> Result<Forwards, InvalidMaxForwards> {
    let mut values = headers.get_all(header::MAX_FORWARDS).iter();
    let text = match (values.next(), values.next()) {
        (None, _) => return Ok(Forwards::Unlimited),
        (Some(value), None) => value.to_str()?,
        (Some(_), Some(_)) => return Err(InvalidMaxForwards),
    };
    if text.is_empty() || !text.bytes().all(|byte| byte.is_ascii_digit()) {
        return Err(InvalidMaxForwards);
    }
    // RFC 9110 section 7.6.2 lets a recipient have a largest value that it supports.
    let left: u32 = text.parse().unwrap_or(u32::MAX);
    match left.checked_sub(1) {
        None => Ok(Forwards::Exhausted),
        Some(left) => {
            headers.insert(header::MAX_FORWARDS, left.into());
            Ok(Forwards::Decremented)
        }
    }
}

#[cfg(test)]
mod tests;
