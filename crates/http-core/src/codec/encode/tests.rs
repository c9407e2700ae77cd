use bytes::BytesMut;
use http::header::HeaderName;
use http::{Method, StatusCode, Uri};
use proptest::prelude::*;

use super::*;
use crate::codec::{
    BodyConfig, BodyDecoder, BodyEvent, Framing, HeadConfig, RequestDecoder, ResponseDecoder, TargetForm,
};

const DATE: &[u8; 29] = b"Sun, 06 Nov 1994 08:49:37 GMT";

fn map(fields: &[(&str, &str)]) -> HeaderMap {
    let mut map = HeaderMap::new();
    for (name, value) in fields {
        let name: HeaderName = name.parse().expect("a name");
        map.append(name, HeaderValue::from_bytes(value.as_bytes()).expect("a value"));
    }
    map
}

/// What a response is planned with, by what varies.
#[derive(Clone, Copy)]
struct Exchange {
    version: Version,
    method: &'static str,
    status: u16,
    body: BodySize,
    keep_alive: bool,
}

const GET: Exchange =
    Exchange { version: Version::HTTP_11, method: "GET", status: 200, body: BodySize::Exact(5), keep_alive: true };

fn respond(exchange: Exchange, fields: &[(&str, &str)]) -> Result<(String, BodyPlan), EncodeError> {
    let method: Method = exchange.method.parse().expect("a method");
    let plan = ResponsePlan {
        version: exchange.version,
        method: &method,
        body: exchange.body,
        keep_alive: exchange.keep_alive,
        date: None,
        layout: None,
    };
    let status = StatusCode::from_u16(exchange.status).expect("a status");
    let mut out = b"before".to_vec();
    let result = encode_response_head(&mut out, status, &map(fields), &plan);
    let text = String::from_utf8(out).expect("ASCII");
    let text = text.strip_prefix("before").expect("appended").to_owned();
    if result.is_err() {
        assert_eq!(text, "", "nothing is written in an error");
    }
    result.map(|plan| (text, plan))
}

/// Checks the lines behind the status line, and the encoding.
fn check(exchange: Exchange, fields: &[(&str, &str)], lines: &[&str], encoding: BodyEncoding) {
    let (text, plan) = respond(exchange, fields).expect("encodable");
    let (_, rest) = text.split_once("\r\n").expect("a status line");
    let mut expected: String = lines.iter().map(|line| format!("{line}\r\n")).collect();
    expected.push_str("\r\n");
    assert_eq!(rest, expected, "{fields:?}");
    assert_eq!(plan.encoding, encoding, "{fields:?}");
}

#[test]
fn a_response_head() {
    let plan = ResponsePlan {
        version: Version::HTTP_11,
        method: &Method::GET,
        body: BodySize::Exact(13),
        keep_alive: true,
        date: Some(DATE),
        layout: None,
    };
    let mut out = Vec::new();
    let fields = map(&[("Content-Type", "text/plain"), ("Set-Cookie", "a"), ("x", ""), ("Set-Cookie", "b")]);
    let body = encode_response_head(&mut out, StatusCode::OK, &fields, &plan);
    assert_eq!(
        String::from_utf8(out).expect("ASCII"),
        "HTTP/1.1 200 OK\r\ncontent-type: text/plain\r\nset-cookie: a\r\nset-cookie: b\r\nx: \r\n\
         content-length: 13\r\ndate: Sun, 06 Nov 1994 08:49:37 GMT\r\n\r\n"
    );
    let expected = BodyPlan { encoding: BodyEncoding::Length(13), keep_alive: true, upgrade: false };
    assert_eq!(body, Ok(expected));
    // The caller's date wins.
    let mut out = Vec::new();
    encode_response_head(&mut out, StatusCode::OK, &map(&[("date", "x")]), &plan).expect("encodable");
    assert_eq!(out, b"HTTP/1.1 200 OK\r\ndate: x\r\ncontent-length: 13\r\n\r\n");
}

#[test]
fn status_lines() {
    for status in 100..=999 {
        let (text, _) = respond(Exchange { status, ..GET }, &[]).expect("encodable");
        let code = StatusCode::from_u16(status).expect("a status");
        let reason = code.canonical_reason().unwrap_or("");
        assert!(text.starts_with(&format!("HTTP/1.1 {status} {reason}\r\n")), "{text}");
    }
}

/// H1-12: no framing fields where there can be no body, the caller's length
/// where it describes one.
#[test]
fn h1_12_responses_without_a_body() {
    let wild = [("content-length", "7"), ("transfer-encoding", "chunked"), ("a", "b")];
    for body in [BodySize::Exact(0), BodySize::Exact(5), BodySize::Unknown] {
        for (method, status) in
            [("GET", 204), ("GET", 100), ("GET", 103), ("GET", 101), ("CONNECT", 200), ("CONNECT", 299)]
        {
            let exchange = Exchange { method, status, body, ..GET };
            check(exchange, &wild, &["a: b"], BodyEncoding::Empty);
        }
        let exchange = Exchange { status: 304, body, ..GET };
        check(exchange, &wild, &["a: b", "content-length: 7"], BodyEncoding::Empty);
        check(exchange, &[], &[], BodyEncoding::Empty);
    }
    let head = Exchange { method: "HEAD", ..GET };
    let empty = Exchange { body: BodySize::Exact(0), ..head };
    let unknown = Exchange { body: BodySize::Unknown, ..head };
    check(empty, &wild, &["a: b", "content-length: 7"], BodyEncoding::Empty);
    check(unknown, &wild, &["a: b", "content-length: 7"], BodyEncoding::Empty);
    check(empty, &[], &[], BodyEncoding::Empty);
    check(unknown, &[], &[], BodyEncoding::Empty);
    check(head, &[], &["content-length: 5"], BodyEncoding::Empty);
    // A refusal of CONNECT is a response like any other.
    let refused = Exchange { method: "CONNECT", status: 502, ..GET };
    check(refused, &[], &["content-length: 5"], BodyEncoding::Length(5));
}

/// RFC 9110 section 15.3.6.
#[test]
fn reset_content_has_none() {
    for body in [BodySize::Exact(0), BodySize::Exact(5), BodySize::Unknown] {
        let exchange = Exchange { status: 205, body, ..GET };
        check(exchange, &[("content-length", "5")], &["content-length: 0"], BodyEncoding::Empty);
    }
}

/// The types that heads are made of hold nothing that could end a line.
#[test]
fn no_control_can_be_written() {
    for byte in (0..0x20).chain([0x7f]) {
        let text = [b'/', b'a', byte, b'b'];
        let in_host = [b"http://a", &[byte][..], b"/"].concat();
        assert!(Uri::try_from(&text[..]).is_err(), "{byte}");
        assert!(Uri::try_from(&in_host[..]).is_err(), "{byte}");
        assert!(Method::from_bytes(&text[1..]).is_err(), "{byte}");
        assert!(HeaderName::from_bytes(&text[1..]).is_err(), "{byte}");
        assert_eq!(HeaderValue::from_bytes(&text).is_ok(), byte == b'\t', "{byte}");
    }
    assert!("/a b".parse::<Uri>().is_err());
}

#[test]
fn response_framing() {
    let unknown = Exchange { body: BodySize::Unknown, ..GET };
    let http10 = Exchange { version: Version::HTTP_10, ..GET };
    let unknown10 = Exchange { version: Version::HTTP_10, ..unknown };
    let none = Exchange { body: BodySize::Exact(0), ..GET };
    let (chunked, close) = (BodyEncoding::Chunked, BodyEncoding::UntilClose);
    check(GET, &[], &["content-length: 5"], BodyEncoding::Length(5));
    check(GET, &[("content-length", "5")], &["content-length: 5"], BodyEncoding::Length(5));
    check(GET, &[("transfer-encoding", "gzip")], &["content-length: 5"], BodyEncoding::Length(5));
    check(none, &[], &["content-length: 0"], BodyEncoding::Empty);
    check(unknown, &[], &["transfer-encoding: chunked"], chunked);
    check(unknown, &[("Transfer-Encoding", "chunked")], &["transfer-encoding: chunked"], chunked);
    check(unknown, &[("content-length", "9")], &["content-length: 9"], BodyEncoding::Length(9));
    check(http10, &[], &["content-length: 5", "connection: keep-alive"], BodyEncoding::Length(5));
    check(unknown10, &[], &["connection: close"], close);
    check(unknown10, &[("transfer-encoding", "chunked")], &["connection: close"], close);
    assert!(!respond(unknown10, &[]).expect("encodable").1.keep_alive);

    let mismatch = EncodeError::LengthMismatch { declared: 6, actual: 5 };
    assert_eq!(respond(GET, &[("content-length", "6")]), Err(mismatch));
    let head = Exchange { method: "HEAD", ..GET };
    assert_eq!(respond(head, &[("content-length", "6")]), Err(mismatch));
    for value in ["", "+5", "5, 5", "x"] {
        let fields = [("a", "b"), ("content-length", value)];
        assert_eq!(respond(GET, &fields), Err(EncodeError::ContentLength));
    }
    let twice = [("content-length", "5"), ("content-length", "6")];
    assert_eq!(respond(unknown, &twice), Err(EncodeError::ContentLength));
    let interim10 = Exchange { status: 100, ..http10 };
    assert_eq!(respond(interim10, &[]), Err(EncodeError::Status));
    let http2 = Exchange { version: Version::HTTP_2, ..GET };
    assert_eq!(respond(http2, &[]), Err(EncodeError::Version));
}

#[test]
fn persistence() {
    let length = "content-length: 5";
    let encoding = BodyEncoding::Length(5);
    let last = Exchange { keep_alive: false, ..GET };
    let http10 = Exchange { version: Version::HTTP_10, ..GET };
    check(last, &[], &[length, "connection: close"], encoding);
    check(last, &[("connection", "keep-alive")], &[length, "connection: close"], encoding);
    check(GET, &[("connection", "keep-alive")], &[length], encoding);
    check(GET, &[("connection", "Close")], &[length, "connection: close"], encoding);
    check(GET, &[("connection", "x, close,, y")], &["connection: x, y", length, "connection: close"], encoding);
    check(http10, &[("connection", "close")], &[length, "connection: close"], encoding);
    assert!(!respond(GET, &[("connection", "close")]).expect("encodable").1.keep_alive);
    let switch = Exchange { status: 101, ..GET };
    let fields = [("connection", "upgrade"), ("upgrade", "websocket")];
    check(switch, &fields, &["connection: upgrade", "upgrade: websocket"], BodyEncoding::Empty);
}

fn request(
    method: &str,
    uri: &str,
    fields: &[(&str, &str)],
    plan: RequestPlan<'_>,
) -> Result<(String, BodyPlan), EncodeError> {
    let method: Method = method.parse().expect("a method");
    let uri: Uri = uri.parse().expect("a URI");
    let mut out = b"before".to_vec();
    let result = encode_request_head(&mut out, &method, &uri, &map(fields), &plan);
    let text = String::from_utf8(out).expect("ASCII");
    let text = text.strip_prefix("before").expect("appended").to_owned();
    if result.is_err() {
        assert_eq!(text, "", "nothing is written in an error");
    }
    result.map(|plan| (text, plan))
}

const ORIGIN: RequestPlan<'static> = RequestPlan {
    version: Version::HTTP_11,
    target: TargetForm::Origin,
    body: BodySize::Exact(0),
    keep_alive: true,
    layout: None,
};
const ABSOLUTE: RequestPlan<'static> = RequestPlan { target: TargetForm::Absolute, ..ORIGIN };
const AUTHORITY: RequestPlan<'static> = RequestPlan { target: TargetForm::Authority, ..ORIGIN };
const ASTERISK: RequestPlan<'static> = RequestPlan { target: TargetForm::Asterisk, ..ORIGIN };

#[test]
fn request_targets_and_host() {
    let host: &[(&str, &str)] = &[("a", "b"), ("host", "h")];
    for (method, uri, fields, plan, expected) in [
        ("GET", "http://a/b?c", &[][..], ORIGIN, "GET /b?c HTTP/1.1\r\nhost: a\r\n"),
        ("GET", "http://a", &[], ORIGIN, "GET / HTTP/1.1\r\nhost: a\r\n"),
        ("GET", "http://a?b", &[], ORIGIN, "GET /?b HTTP/1.1\r\nhost: a\r\n"),
        ("GET", "http://u:p@a:8080/", &[], ORIGIN, "GET / HTTP/1.1\r\nhost: a:8080\r\n"),
        ("GET", "http://a:80/", &[], ORIGIN, "GET / HTTP/1.1\r\nhost: a\r\n"),
        ("GET", "https://a:80/", &[], ORIGIN, "GET / HTTP/1.1\r\nhost: a:80\r\n"),
        ("GET", "https://[::1]:443/", &[], ORIGIN, "GET / HTTP/1.1\r\nhost: [::1]\r\n"),
        ("GET", "http://[fe80::1%25eth0]:8080/", &[], ORIGIN, "GET / HTTP/1.1\r\nhost: [fe80::1]:8080\r\n"),
        ("GET", "http://a/", host, ORIGIN, "GET / HTTP/1.1\r\nhost: h\r\na: b\r\n"),
        ("GET", "/b", host, ORIGIN, "GET /b HTTP/1.1\r\nhost: h\r\na: b\r\n"),
        ("OPTIONS", "*", host, ORIGIN, "OPTIONS * HTTP/1.1\r\nhost: h\r\na: b\r\n"),
        ("OPTIONS", "http://a/x", &[], ASTERISK, "OPTIONS * HTTP/1.1\r\nhost: a\r\n"),
        ("GET", "http://a:80/b", host, ABSOLUTE, "GET http://a:80/b HTTP/1.1\r\nhost: a\r\na: b\r\n"),
        ("GET", "http://u@a", &[], ABSOLUTE, "GET http://a/ HTTP/1.1\r\nhost: a\r\n"),
        ("CONNECT", "a:443", host, AUTHORITY, "CONNECT a:443 HTTP/1.1\r\nhost: a:443\r\na: b\r\n"),
        ("CONNECT", "https://a/x", &[], AUTHORITY, "CONNECT a:443 HTTP/1.1\r\nhost: a\r\n"),
    ] {
        let (text, _) = request(method, uri, fields, plan).expect(uri);
        assert_eq!(text, format!("{expected}\r\n"), "{method} {uri}");
    }
    for (method, uri, fields, plan, expected) in [
        ("GET", "/b", &[][..], ORIGIN, EncodeError::Host),
        ("GET", "/b", &[("host", "a"), ("host", "b")], ORIGIN, EncodeError::Host),
        ("GET", "/b", &[("host", "a b")], ORIGIN, EncodeError::Host),
        ("GET", "*", host, ORIGIN, EncodeError::Target),
        ("GET", "http://a/", &[], ASTERISK, EncodeError::Target),
        ("GET", "/b", host, ABSOLUTE, EncodeError::Target),
        ("GET", "a:80", &[], AUTHORITY, EncodeError::Target),
        ("CONNECT", "a", &[], AUTHORITY, EncodeError::Target),
        ("CONNECT", "/a", host, AUTHORITY, EncodeError::Target),
        ("CONNECT", "http://a:80/", &[], ORIGIN, EncodeError::Target),
    ] {
        assert_eq!(request(method, uri, fields, plan).err(), Some(expected), "{method} {uri}");
    }
    let http10 = RequestPlan { version: Version::HTTP_10, ..ORIGIN };
    let (text, _) = request("GET", "/b", &[], http10).expect("no Host needed");
    assert_eq!(text, "GET /b HTTP/1.0\r\nconnection: keep-alive\r\n\r\n");
}

/// RFC 9112 section 3.2.4 and RFC 9113 section 8.3.1: a URI without path, as HTTP/2 has it, asks about the server.
#[test]
fn options_of_a_server_as_a_whole_is_an_asterisk_or_a_uri_without_path() {
    let parts = || Uri::builder().scheme("http").authority("a:81").path_and_query("*").build().unwrap();
    for (method, plan, expected) in [
        (Method::OPTIONS, ORIGIN, Ok("OPTIONS * HTTP/1.1\r\nhost: a:81\r\n\r\n")),
        (Method::OPTIONS, ABSOLUTE, Ok("OPTIONS http://a:81 HTTP/1.1\r\nhost: a:81\r\n\r\n")),
        (Method::GET, ORIGIN, Err(EncodeError::Target)),
        (Method::GET, ABSOLUTE, Err(EncodeError::Target)),
    ] {
        let mut out = Vec::new();
        let encoded = encode_request_head(&mut out, &method, &parts(), &HeaderMap::new(), &plan);
        assert_eq!(encoded.map(|_| std::str::from_utf8(&out).unwrap()), expected, "{method}");
    }
}

/// NET-05: the zone of an address is for this machine alone, wherever the address goes.
#[test]
fn net_05_the_zone_of_an_address_is_never_sent() {
    let host: &[(&str, &str)] = &[("host", "[fe80::2%eth0]:81")];
    for (method, uri, fields, plan, expected) in [
        ("GET", "http://[fe80::1%25eth0]/", &[][..], ORIGIN, "GET / HTTP/1.1\r\nhost: [fe80::1]\r\n"),
        ("GET", "http://[fe80::1%eth0]:81/", &[], ORIGIN, "GET / HTTP/1.1\r\nhost: [fe80::1]:81\r\n"),
        ("GET", "http://a/", host, ORIGIN, "GET / HTTP/1.1\r\nhost: [fe80::2]:81\r\n"),
        ("OPTIONS", "*", host, ASTERISK, "OPTIONS * HTTP/1.1\r\nhost: [fe80::2]:81\r\n"),
        // To a proxy, in the target too.
        ("GET", "http://[fe80::1%eth0]/", host, ABSOLUTE, "GET http://[fe80::1]/ HTTP/1.1\r\nhost: [fe80::1]\r\n"),
        ("CONNECT", "[fe80::1%eth0]:443", &[], AUTHORITY, "CONNECT [fe80::1]:443 HTTP/1.1\r\nhost: [fe80::1]:443\r\n"),
        ("CONNECT", "https://[fe80::1%1]/", &[], AUTHORITY, "CONNECT [fe80::1]:443 HTTP/1.1\r\nhost: [fe80::1]\r\n"),
        // What is no zone stays.
        ("GET", "http://a/", &[("host", "a%41")], ORIGIN, "GET / HTTP/1.1\r\nhost: a%41\r\n"),
    ] {
        let (text, _) = request(method, uri, fields, plan).expect(uri);
        assert_eq!(text, format!("{expected}\r\n"), "{method} {uri}");
    }
    // A zone and nothing else is no address.
    assert_eq!(request("GET", "http://a/", &[("host", "[%eth0]")], ORIGIN).err(), Some(EncodeError::Host));
}

#[test]
fn request_framing() {
    let plan = |body| RequestPlan { body, ..ORIGIN };
    let none = plan(BodySize::Exact(0));
    let five = plan(BodySize::Exact(5));
    let unknown = plan(BodySize::Unknown);
    let (chunked, empty) = (BodyEncoding::Chunked, BodyEncoding::Empty);
    for (method, fields, plan, expected, encoding) in [
        ("GET", &[][..], none, "", empty),
        ("DELETE", &[], none, "", empty),
        ("POST", &[], none, "content-length: 0\r\n", empty),
        ("PUT", &[], none, "content-length: 0\r\n", empty),
        ("PATCH", &[], none, "content-length: 0\r\n", empty),
        ("POST", &[("transfer-encoding", "chunked")], none, "content-length: 0\r\n", empty),
        ("GET", &[("content-length", "0")], none, "content-length: 0\r\n", empty),
        ("GET", &[], five, "content-length: 5\r\n", BodyEncoding::Length(5)),
        ("POST", &[("content-length", "5")], five, "content-length: 5\r\n", BodyEncoding::Length(5)),
        ("POST", &[], unknown, "transfer-encoding: chunked\r\n", chunked),
        ("GET", &[("transfer-encoding", "x")], unknown, "transfer-encoding: chunked\r\n", chunked),
        ("POST", &[("content-length", "7")], unknown, "content-length: 7\r\n", BodyEncoding::Length(7)),
    ] {
        let (text, plan) = request(method, "http://a/", fields, plan).expect(method);
        assert_eq!(text, format!("{method} / HTTP/1.1\r\nhost: a\r\n{expected}\r\n"));
        assert_eq!(plan.encoding, encoding);
    }
    let connect = RequestPlan { body: BodySize::Unknown, ..AUTHORITY };
    let http10 = RequestPlan { version: Version::HTTP_10, ..unknown };
    for (method, uri, fields, plan, expected) in [
        (
            "POST",
            "http://a/",
            &[("content-length", "6")][..],
            five,
            EncodeError::LengthMismatch { declared: 6, actual: 5 },
        ),
        ("POST", "http://a/", &[], http10, EncodeError::LengthRequired),
        ("TRACE", "http://a/", &[], five, EncodeError::BodyNotAllowed),
        ("CONNECT", "a:1", &[], connect, EncodeError::BodyNotAllowed),
    ] {
        assert_eq!(request(method, uri, fields, plan).err(), Some(expected), "{method}");
    }
    let fields = [("content-length", "5"), ("transfer-encoding", "chunked")];
    let (text, _) = request("CONNECT", "a:1", &fields, AUTHORITY).expect("encodable");
    assert_eq!(text, "CONNECT a:1 HTTP/1.1\r\nhost: a:1\r\n\r\n");
}

#[test]
fn chunk_headers() {
    for (length, expected) in [
        (0, ""),
        (1, "1\r\n"),
        (15, "f\r\n"),
        (16, "10\r\n"),
        (0x1234_abcd, "1234abcd\r\n"),
        (u64::MAX, "ffffffffffffffff\r\n"),
    ] {
        let mut out = Vec::new();
        encode_chunk_header(&mut out, length);
        assert_eq!(String::from_utf8(out).expect("ASCII"), expected);
    }
}

/// H1-19: fields that must not stand in trailers are not sent there.
#[test]
fn h1_19_trailers() {
    let mut out = Vec::new();
    encode_last_chunk(&mut out, None);
    assert_eq!(out, b"0\r\n\r\n");
    out.clear();
    let trailers = map(&[
        ("Transfer-Encoding", "chunked"),
        ("x-sum", "1"),
        ("Content-Length", "5"),
        ("x-sum", "2"),
        ("Host", "a"),
        ("Trailer", "x"),
    ]);
    encode_last_chunk(&mut out, Some(&trailers));
    assert_eq!(out, b"0\r\nx-sum: 1\r\nx-sum: 2\r\n\r\n");
}

/// Fields that neither side acts on.
fn fields() -> impl Strategy<Value = Vec<(String, Vec<u8>)>> {
    let name = prop::sample::select(vec![
        "accept",
        "cookie",
        "x-a",
        "x-b",
        "sec-fetch-site",
        "sec-ch-ua-platform",
        "priority",
        "user-agent",
        "very-long-name-that-no-table-has-and-that-needs-an-allocation",
        "~!#$%&'*+-.^_`|",
    ]);
    let value = prop::collection::vec(prop_oneof![0x21_u8..0x7f, 0x80_u8..=0xff], 0..30);
    prop::collection::vec((name.prop_map(String::from), value), 0..12)
}

fn to_map(fields: &[(String, Vec<u8>)]) -> HeaderMap {
    let mut map = HeaderMap::new();
    for (name, value) in fields {
        let name: HeaderName = name.parse().expect("a name");
        map.append(name, HeaderValue::from_bytes(value).expect("a value"));
    }
    map
}

proptest! {
    #[test]
    fn a_request_comes_back(
        fields in fields(),
        path in "/[a-zA-Z0-9/._~%!$&'()*+,;=:@-]{0,20}(\\?[a-z=&/?]{0,10})?",
        length in prop::option::of(0_u64..1000),
    ) {
        let mut headers = to_map(&fields);
        let uri: Uri = path.parse().expect("a URI");
        headers.insert("host", HeaderValue::from_static("example.com"));
        let body = length.map_or(BodySize::Unknown, BodySize::Exact);
        let mut out = Vec::new();
        let plan = RequestPlan { body, ..ORIGIN };
        encode_request_head(&mut out, &Method::POST, &uri, &headers, &plan).expect("encodable");
        let mut buf = BytesMut::from(&out[..]);
        let head = RequestDecoder::new(HeadConfig::default())
            .decode(&mut buf)
            .expect("valid")
            .expect("complete");
        prop_assert!(buf.is_empty());
        prop_assert_eq!(head.uri, uri);
        let framing = match length {
            None => Framing::Chunked,
            Some(0) => Framing::Empty,
            Some(length) => Framing::Length(length),
        };
        prop_assert_eq!(head.framing, framing);
        let mut decoded = head.headers;
        decoded.remove("content-length");
        decoded.remove("transfer-encoding");
        prop_assert_eq!(decoded, headers);
    }

    #[test]
    fn a_response_comes_back(
        fields in fields(),
        status in 200_u16..=999,
        length in prop::option::of(0_u64..1000),
    ) {
        let headers = to_map(&fields);
        let status = StatusCode::from_u16(status).expect("a status");
        let body = length.map_or(BodySize::Unknown, BodySize::Exact);
        let plan = ResponsePlan { version: Version::HTTP_11, method: &Method::GET, body, keep_alive: true, date: None, layout: None };
        let mut out = Vec::new();
        encode_response_head(&mut out, status, &headers, &plan).expect("encodable");
        let mut buf = BytesMut::from(&out[..]);
        let head = ResponseDecoder::new(HeadConfig::default())
            .decode(&mut buf, &Method::GET)
            .expect("valid")
            .expect("complete");
        prop_assert_eq!(head.status, status);
        prop_assert_eq!(head.reason, None);
        let framing = match length {
            _ if [204, 205, 304].contains(&status.as_u16()) => Framing::Empty,
            None => Framing::Chunked,
            Some(0) => Framing::Empty,
            Some(length) => Framing::Length(length),
        };
        prop_assert_eq!(head.framing, framing);
        let mut decoded = head.headers;
        decoded.remove("content-length");
        decoded.remove("transfer-encoding");
        prop_assert_eq!(decoded, headers);
    }

    #[test]
    fn chunks_come_back(
        chunks in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..40), 0..8),
        trailers in fields(),
    ) {
        let trailers: Vec<_> = trailers.into_iter().filter(|(name, _)| name != "cookie").collect();
        let trailers = to_map(&trailers);
        let mut out = Vec::new();
        for chunk in chunks.iter().filter(|chunk| !chunk.is_empty()) {
            encode_chunk_header(&mut out, chunk.len() as u64);
            out.extend_from_slice(chunk);
            out.extend_from_slice(CHUNK_END);
        }
        encode_last_chunk(&mut out, Some(&trailers));
        let mut buf = BytesMut::from(&out[..]);
        let mut decoder = BodyDecoder::new(Framing::Chunked, BodyConfig::default());
        let (mut data, mut decoded) = (Vec::new(), HeaderMap::new());
        loop {
            match decoder.decode(&mut buf).expect("valid").expect("complete") {
                BodyEvent::Data(bytes) => data.extend_from_slice(&bytes),
                BodyEvent::Trailers(fields) => decoded = fields,
                BodyEvent::End => break,
            }
        }
        prop_assert!(buf.is_empty());
        prop_assert_eq!(data, chunks.concat());
        prop_assert_eq!(decoded, trailers);
    }
}
