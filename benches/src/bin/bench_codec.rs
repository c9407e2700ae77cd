//! `bench-codec WORK COUNT`: the HTTP/1 codec alone, over memory. Under callgrind, the difference of two counts is what one
//! head costs.
//!
//! `hello`, `browser` and `response` decode a head and drop it; `answer` and `ask` encode one.

use std::hint::black_box;

use bytes::BytesMut;
use chaski::{
    BoxError,
    http1::codec::{
        BodySize, HeadConfig, RequestDecoder, RequestPlan, ResponseDecoder, ResponsePlan, TargetForm,
        encode_request_head, encode_response_head,
    },
};
use http::{HeaderMap, Method, StatusCode, Uri, Version};

const HELLO: &[u8] = b"GET / HTTP/1.1\r\nHost: 127.0.0.1:3911\r\n\r\n";

/// What Firefox sends.
const BROWSER: &[u8] = b"GET / HTTP/1.1\r\n\
    Host: 127.0.0.1:3911\r\n\
    User-Agent: Mozilla/5.0 (X11; Linux x86_64; rv:128.0) Gecko/20100101 Firefox/128.0\r\n\
    Accept: text/html,application/xhtml+xml,application/xml;q=0.9,image/avif,image/webp,*/*;q=0.8\r\n\
    Accept-Language: en-US,en;q=0.5\r\n\
    Accept-Encoding: gzip, deflate, br, zstd\r\n\
    Cookie: uid=12345678901234567890; __utma=1.1234567890.1234567890.1234567890.1234567890.12; wd=2560x1600\r\n\
    Upgrade-Insecure-Requests: 1\r\n\
    Sec-Fetch-Dest: document\r\n\
    Sec-Fetch-Mode: navigate\r\n\
    Sec-Fetch-Site: none\r\n\
    Priority: u=0, i\r\n\
    Connection: keep-alive\r\n\r\n";

const RESPONSE: &[u8] = b"HTTP/1.1 200 OK\r\n\
    Server: nginx/1.22.1\r\n\
    Date: Sat, 21 Nov 2026 10:00:00 GMT\r\n\
    Content-Type: application/json\r\n\
    Content-Length: 13\r\n\
    Connection: keep-alive\r\n\
    Cache-Control: no-cache\r\n\
    ETag: \"5f3e-18bfa7\"\r\n\
    X-Request-Id: 0af7651916cd43dd8448eb211c80319c\r\n\r\n";

fn main() -> Result<(), BoxError> {
    let mut args = std::env::args().skip(1);
    let (Some(work), Some(count)) = (args.next(), args.next()) else {
        return Err("usage: bench-codec hello|browser|response|answer|ask COUNT".into());
    };
    let count: usize = count.parse()?;
    match &*work {
        "hello" => requests(HELLO, count),
        "browser" => requests(BROWSER, count),
        "response" => responses(count),
        "answer" => answers(count),
        "ask" => asks(count),
        _ => Err("no such work".into()),
    }
}

fn requests(head: &[u8], count: usize) -> Result<(), BoxError> {
    let mut decoder = RequestDecoder::new(HeadConfig::default());
    let mut buf = BytesMut::with_capacity(8 * 1024);
    for _ in 0..count {
        fill(&mut buf, head);
        black_box(decoder.decode(&mut buf)?);
    }
    Ok(())
}

fn responses(count: usize) -> Result<(), BoxError> {
    let mut decoder = ResponseDecoder::new(HeadConfig::default());
    let mut buf = BytesMut::with_capacity(8 * 1024);
    for _ in 0..count {
        fill(&mut buf, RESPONSE);
        black_box(decoder.decode(&mut buf, &Method::GET)?);
    }
    Ok(())
}

/// What a read does: the bytes come into a buffer that holds its memory.
fn fill(buf: &mut BytesMut, head: &[u8]) {
    buf.reserve(8 * 1024);
    buf.extend_from_slice(head);
}

fn answers(count: usize) -> Result<(), BoxError> {
    let mut headers = HeaderMap::new();
    headers.insert("content-type", "text/plain".parse()?);
    let mut out = Vec::with_capacity(1024);
    for _ in 0..count {
        out.clear();
        let plan = ResponsePlan {
            version: Version::HTTP_11,
            method: &Method::GET,
            body: BodySize::Exact(13),
            keep_alive: true,
            date: Some(b"Sat, 21 Nov 2026 10:00:00 GMT"),
            layout: None,
        };
        black_box(encode_response_head(black_box(&mut out), black_box(StatusCode::OK), &headers, &plan)?);
    }
    Ok(())
}

fn asks(count: usize) -> Result<(), BoxError> {
    let uri: Uri = "http://www.example.com/api/v1/items?page=2&sort=name".parse()?;
    let mut headers = HeaderMap::new();
    headers.insert("user-agent", "example/1.0".parse()?);
    headers.insert("accept", "application/json".parse()?);
    headers.insert("accept-encoding", "gzip".parse()?);
    headers.insert("x-request-id", "0af7651916cd43dd8448eb211c80319c".parse()?);
    let mut out = Vec::with_capacity(1024);
    for _ in 0..count {
        out.clear();
        let plan = RequestPlan {
            version: Version::HTTP_11,
            target: TargetForm::Origin,
            body: BodySize::Exact(0),
            keep_alive: true,
            layout: None,
        };
        black_box(encode_request_head(black_box(&mut out), &Method::GET, black_box(&uri), &headers, &plan)?);
    }
    Ok(())
}
