//! TRACE, answered by its final recipient.

use bytes::{BufMut, BytesMut};
use chaski_core::http::{Body, Request, Response};
use http::{HeaderName, HeaderValue, Version, header};

/// Fields that are not echoed (RFC 9110 section 9.3.8): a script that could read the echo would have what its browser
/// keeps from it.
const SENSITIVE: [HeaderName; 3] = [header::AUTHORIZATION, header::COOKIE, header::PROXY_AUTHORIZATION];

/// The request as it was received, but for [`SENSITIVE`] fields.
pub(crate) fn echo(request: &Request) -> Response {
    let mut text = BytesMut::with_capacity(512);
    text.put_slice(request.method().as_str().as_bytes());
    text.put_slice(format!(" {} ", request.uri()).as_bytes());
    text.put_slice(match request.version() {
        Version::HTTP_10 => b"HTTP/1.0\r\n",
        _ => b"HTTP/1.1\r\n",
    });
    for (name, value) in request.headers() {
        if !SENSITIVE.contains(name) && !value.is_sensitive() {
            text.put_slice(name.as_str().as_bytes());
            text.put_slice(b": ");
            text.put_slice(value.as_bytes());
            text.put_slice(b"\r\n");
        }
    }
    text.put_slice(b"\r\n");
    let mut response = Response::new(Body::full(text.freeze()));
    // RFC 9112 section 10.1.
    response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static("message/http"));
    response
}
