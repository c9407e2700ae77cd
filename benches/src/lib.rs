//! What the servers that are measured answer.

use chaski::{
    BoxError,
    http::{Body, Request, Response},
};
use http::{HeaderValue, header::CONTENT_TYPE};

/// Bodies of `/1k`, `/64k` and `/1m` are slices of it.
static FILLING: [u8; 1 << 20] = [b'x'; 1 << 20];

/// `Hello, World!`, no body for `/0`, bodies of `/1k`, `/64k` and `/1m`, and the number of bytes that were sent to `/upload`.
///
/// # Errors
///
/// Those of the request's body.
pub async fn answer(request: Request) -> Result<Response, BoxError> {
    let body = match request.uri().path() {
        "/0" => Body::empty(),
        "/1k" => Body::from(&FILLING[..1 << 10]),
        "/64k" => Body::from(&FILLING[..1 << 16]),
        "/1m" => Body::from(&FILLING[..]),
        "/upload" => Body::from(count(request.into_body()).await?.to_string()),
        _ => Body::from("Hello, World!"),
    };
    let mut response = Response::new(body);
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("text/plain"));
    Ok(response)
}

async fn count(mut body: Body) -> Result<usize, BoxError> {
    let mut bytes = 0;
    while let Some(frame) = body.frame().await {
        if let Some(data) = frame?.data_ref() {
            bytes += data.len();
        }
    }
    Ok(bytes)
}
