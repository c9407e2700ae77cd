use http::{HeaderValue, StatusCode, header};
use proptest::prelude::*;

use super::*;

type Decoded = Result<Option<RequestHead>, HeadError>;

/// Decodes one head that arrives in pieces of these sizes, and the rest at
/// once. Returns what is left of the input too.
fn decode_split(input: &[u8], sizes: &[usize], config: HeadConfig) -> (Decoded, Vec<u8>) {
    let mut decoder = RequestDecoder::new(config);
    let mut buf = BytesMut::new();
    let mut rest = input;
    for size in sizes.iter().copied().chain([usize::MAX]) {
        let (piece, after) = rest.split_at(size.min(rest.len()));
        buf.extend_from_slice(piece);
        rest = after;
        let decoded = decoder.decode(&mut buf);
        if !matches!(decoded, Ok(None)) {
            buf.extend_from_slice(rest);
            return (decoded, buf.to_vec());
        }
    }
    (Ok(None), buf.to_vec())
}

fn decode(input: &[u8]) -> Decoded {
    decode_with(input, HeadConfig::default())
}

/// Decodes at once and byte by byte; both give the same.
fn decode_with(input: &[u8], config: HeadConfig) -> Decoded {
    let (whole, rest) = decode_split(input, &[], config);
    let (dripped, dripped_rest) = decode_split(input, &vec![1; input.len()], config);
    let name = input[..input.len().min(300)].escape_ascii().to_string();
    assert_eq!(describe(&whole), describe(&dripped), "{name}");
    if whole.is_ok() {
        assert_eq!(rest, dripped_rest, "{name}");
    }
    whole
}

fn describe(decoded: &Decoded) -> String {
    format!("{decoded:?}")
}

fn accept(input: &[u8]) -> RequestHead {
    match decode(input) {
        Ok(Some(head)) => head,
        other => panic!("{}: {other:?}", input.escape_ascii()),
    }
}

fn refuse(input: &[u8]) -> HeadError {
    refuse_with(input, HeadConfig::default())
}

fn refuse_with(input: &[u8], config: HeadConfig) -> HeadError {
    match decode_with(input, config) {
        Err(error) => error,
        other => panic!("{}: {other:?}", input.escape_ascii()),
    }
}

/// A POST with these field lines besides Host.
fn post(fields: &str) -> Vec<u8> {
    format!("POST / HTTP/1.1\r\nHost: a\r\n{fields}\r\n\r\n").into_bytes()
}

const LENIENT: HeadConfig = HeadConfig {
    max_head_bytes: 65_536,
    max_headers: 100,
    max_uri_bytes: 16_384,
    lenient_framing: true,
    header_layout: false,
};

#[test]
fn a_head_is_taken_and_the_rest_stays() {
    let input =
        b"POST /a?b=c HTTP/1.1\r\nHost: example.com\r\nContent-Length: 3\r\nX-One:  1 \t\r\nx-one:\r\n\r\nabcGET";
    let (decoded, rest) = decode_split(input, &[], HeadConfig::default());
    let head = decoded.expect("valid").expect("complete");
    assert_eq!(rest, b"abcGET");
    assert_eq!(head.method, Method::POST);
    assert_eq!(head.uri, "/a?b=c");
    assert_eq!(head.target, TargetForm::Origin);
    assert_eq!(head.version, Version::HTTP_11);
    assert_eq!(head.framing, Framing::Length(3));
    assert!(head.keep_alive && !head.upgrade && !head.userinfo);
    let fields: Vec<_> = head.headers.iter().map(|(name, value)| (name.as_str(), value.as_bytes())).collect();
    let expected: [(&str, &[u8]); 4] =
        [("host", b"example.com"), ("content-length", b"3"), ("x-one", b"1"), ("x-one", b"")];
    assert_eq!(fields, expected);
}

#[test]
fn pipelined_heads_come_one_by_one() {
    let mut decoder = RequestDecoder::default();
    let mut buf = BytesMut::from(
        "GET /1 HTTP/1.1\r\nHost: a\r\n\r\nGET /2 HTTP/1.1\r\nHost: a\r\n\r\n\r\nGET /3 HTTP/1.1\r\nHost: a\r\n\r\nGE",
    );
    for path in ["/1", "/2", "/3"] {
        let head = decoder.decode(&mut buf).expect("valid").expect("complete");
        assert_eq!(head.uri.path(), path);
        decoder.recycle(head.headers);
        assert!(!decoder.is_partial());
    }
    assert!(decoder.decode(&mut buf).expect("valid").is_none());
    assert!(decoder.is_partial());
    assert_eq!(&buf[..], b"GE");
}

#[test]
fn a_recycled_map_keeps_nothing_but_its_memory() {
    let mut decoder = RequestDecoder::default();
    let mut first = accept(b"GET / HTTP/1.1\r\nHost: a\r\nCookie: secret\r\n\r\n").headers;
    first.reserve(20);
    let capacity = first.capacity();
    decoder.recycle(first);
    let mut buf = BytesMut::from("GET / HTTP/1.1\r\nHost: b\r\n\r\n");
    let head = decoder.decode(&mut buf).expect("valid").expect("complete");
    assert_eq!(head.headers.capacity(), capacity);
    assert_eq!(head.headers.len(), 1);
    assert_eq!(head.headers[header::HOST], "b");
}

#[test]
fn facts() {
    struct Case(&'static str, bool, bool, Expectation);
    let none = Expectation::None;
    for Case(input, keep_alive, upgrade, expect) in [
        Case("GET / HTTP/1.1\r\nHost: a\r\n\r\n", true, false, none),
        Case("GET / HTTP/1.0\r\n\r\n", false, false, none),
        Case("GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n", false, false, none),
        Case("GET / HTTP/1.1\r\nHost: a\r\nConnection: x, , CLOSE\r\n\r\n", false, false, none),
        Case("GET / HTTP/1.1\r\nHost: a\r\nConnection: closed\r\n\r\n", true, false, none),
        Case("GET / HTTP/1.1\r\nHost: a\r\nConnection: keep-alive\r\nConnection: close\r\n\r\n", false, false, none),
        Case("GET / HTTP/1.0\r\nConnection: Keep-Alive\r\n\r\n", true, false, none),
        Case("GET / HTTP/1.0\r\nConnection: keep-alive, close\r\n\r\n", false, false, none),
        Case(
            "GET / HTTP/1.1\r\nHost: a\r\nConnection: keep-alive, Upgrade\r\nUpgrade: websocket\r\n\r\n",
            true,
            true,
            none,
        ),
        Case("GET / HTTP/1.1\r\nHost: a\r\nUpgrade: websocket\r\n\r\n", true, false, none),
        Case("GET / HTTP/1.1\r\nHost: a\r\nConnection: upgrade\r\n\r\n", true, false, none),
        Case("GET / HTTP/1.0\r\nConnection: upgrade\r\nUpgrade: x\r\n\r\n", false, false, none),
        Case("GET / HTTP/1.1\r\nHost: a\r\nExpect: 100-Continue\r\n\r\n", true, false, Expectation::Continue),
        Case("GET / HTTP/1.1\r\nHost: a\r\nExpect: 100-continue, x\r\n\r\n", true, false, Expectation::Other),
        Case("GET / HTTP/1.1\r\nHost: a\r\nExpect: x\r\nExpect: 100-continue\r\n\r\n", true, false, Expectation::Other),
        // RFC 9110 section 10.1.1: ignored in HTTP/1.0.
        Case("GET / HTTP/1.0\r\nExpect: 100-continue\r\n\r\n", false, false, none),
    ] {
        let head = accept(input.as_bytes());
        assert_eq!((head.keep_alive, head.upgrade, head.expect), (keep_alive, upgrade, expect), "{input}");
    }
}

/// H1-01: both lengths are refused, in either order and whatever they say;
/// leniently chunked wins, the length is gone and the connection closes.
#[test]
fn h1_01_content_length_with_transfer_encoding() {
    for fields in [
        "Content-Length: 5\r\nTransfer-Encoding: chunked",
        "Transfer-Encoding: chunked\r\nContent-Length: 5",
        "Transfer-Encoding: chunked\r\nContent-Length: 0",
        "Transfer-Encoding: Chunked\r\nX: y\r\nContent-Length: 18446744073709551615",
    ] {
        let error = refuse(&post(fields));
        assert_eq!(error.fault, HeadFault::LengthAndTransferEncoding, "{fields}");
        assert_eq!(error.status(), StatusCode::BAD_REQUEST);

        let head = decode_with(&post(fields), LENIENT).expect("lenient").expect("complete");
        assert_eq!(head.framing, Framing::Chunked);
        assert!(!head.keep_alive);
        assert!(!head.headers.contains_key(header::CONTENT_LENGTH));
        assert_eq!(
            head.headers[header::TRANSFER_ENCODING].to_str().map(str::to_ascii_lowercase).ok(),
            Some("chunked".into())
        );
    }
    // Leniency does not reach further than its name.
    for fields in [
        "Transfer-Encoding: gzip\r\nContent-Length: 5",
        "Transfer-Encoding: chunked\r\nContent-Length: 5, 6",
        "Transfer-Encoding: chunked\r\nContent-Length: x",
    ] {
        refuse_with(&post(fields), LENIENT);
    }
}

/// H1-02: framing fields that are not exactly right.
#[test]
fn h1_02_framing_corpus() {
    use HeadFault::{
        ContentLength as Length, RepeatedContentLength as Repeated, TransferEncoding as Coding,
        TransferEncodingInHttp10, UnsupportedTransferCoding as Unsupported,
    };
    let cases: &[(&str, HeadFault)] = &[
        ("Content-Length:", Length),
        ("Content-Length: \t", Length),
        ("Content-Length: +5", Length),
        ("Content-Length: -5", Length),
        ("Content-Length: -0", Length),
        ("Content-Length: 5 5", Length),
        ("Content-Length: 5\t5", Length),
        ("Content-Length: 0x5", Length),
        ("Content-Length: 5h", Length),
        ("Content-Length: a", Length),
        ("Content-Length: 5.0", Length),
        ("Content-Length: 5e1", Length),
        ("Content-Length: 5;", Length),
        ("Content-Length: 5,", Length),
        ("Content-Length: ,5", Length),
        ("Content-Length: 5,5", Length),
        ("Content-Length: 5, 5", Length),
        ("Content-Length: 5, 6", Length),
        ("Content-Length: \"5\"", Length),
        ("Content-Length: 18446744073709551616", Length),
        ("Content-Length: 99999999999999999999999999", Length),
        ("Content-Length: 5\u{a0}", Length),
        ("Content-Length: \u{665}", Length),
        ("Content-Length: 5_000", Length),
        ("Content-Length: 5\r\nContent-Length: 5", Repeated),
        ("Content-Length: 5\r\nContent-Length: 6", Repeated),
        ("Content-Length: 5\r\nX: y\r\ncontent-length: 05", Repeated),
        ("Content-Length: 5\r\nContent-Length:", Length),
        ("Transfer-Encoding:", Coding),
        ("Transfer-Encoding: xchunked", Coding),
        ("Transfer-Encoding: chunkedx", Coding),
        ("Transfer-Encoding: chunk ed", Coding),
        ("Transfer-Encoding: \"chunked\"", Coding),
        ("Transfer-Encoding: chunked;q=1", Coding),
        ("Transfer-Encoding: chunked,", Coding),
        ("Transfer-Encoding: ,chunked", Coding),
        ("Transfer-Encoding: chunked, chunked", Coding),
        ("Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked", Coding),
        ("Transfer-Encoding: chunked\r\nTransfer-Encoding: identity", Coding),
        ("Transfer-Encoding: identity", Coding),
        ("Transfer-Encoding: identity\r\nTransfer-Encoding: chunked", Coding),
        ("Transfer-Encoding: gzip", Coding),
        ("Transfer-Encoding: chunked, gzip", Coding),
        ("Transfer-Encoding: chunked, identity, chunked", Coding),
        ("Transfer-Encoding: gzip;x=y, chunked", Coding),
        ("Transfer-Encoding: chunked\u{a0}", Coding),
        ("Transfer-Encoding: gzip, chunked", Unsupported),
        ("Transfer-Encoding: gzip , deflate,\tChunked", Unsupported),
        ("Transfer-Encoding: identity, chunked", Unsupported),
    ];
    assert!(cases.len() >= 40);
    for &(fields, fault) in cases {
        let error = refuse(&post(fields));
        assert_eq!(error.fault, fault, "{fields}");
        let status = match fault {
            Unsupported => StatusCode::NOT_IMPLEMENTED,
            _ => StatusCode::BAD_REQUEST,
        };
        assert_eq!(error.status(), status, "{fields}");
    }
    for fields in [
        "Content-Length : 5",
        "Content-Length\t: 5",
        " Content-Length: 5",
        "Content-Length: 5\r\n 6",
        "Content-Length: \r\n\t5",
        "Content-Length: 5\x0b",
        "Content-Length: 5\0",
        "Content-Length: 5\r",
        "Transfer-Encoding\u{b}: chunked",
        "Transfer-Encoding: \x0bchunked",
        "Transfer-Encoding: chunked\x0c",
        "Transfer-Encoding:\r\n chunked",
        "Transfer-Encoding: chunked\n",
    ] {
        assert_eq!(refuse(&post(fields)).status(), StatusCode::BAD_REQUEST, "{fields:?}");
    }
    for version in ["1.0\r\nConnection: keep-alive", "1.0\r\nContent-Length: 5"] {
        let input = format!("POST / HTTP/{version}\r\nTransfer-Encoding: chunked\r\n\r\n");
        assert_eq!(refuse(input.as_bytes()).fault, TransferEncodingInHttp10);
        assert_eq!(refuse_with(input.as_bytes(), LENIENT).fault, TransferEncodingInHttp10);
    }
}

#[test]
fn framing_that_is_right() {
    for (fields, framing) in [
        ("X: y", Framing::Empty),
        ("Content-Length: 0", Framing::Empty),
        ("Content-Length: 000", Framing::Empty),
        ("Content-Length: 5", Framing::Length(5)),
        ("content-length:\t 005 ", Framing::Length(5)),
        ("CONTENT-LENGTH: 18446744073709551615", Framing::Length(u64::MAX)),
        ("Transfer-Encoding: chunked", Framing::Chunked),
        ("transfer-encoding:\tCHUNKED \t", Framing::Chunked),
    ] {
        assert_eq!(accept(&post(fields)).framing, framing, "{fields}");
    }
}

#[test]
fn equal_lengths_are_one_if_lenient() {
    for fields in [
        "Content-Length: 5, 5",
        "Content-Length: 5\r\nContent-Length: 5",
        "Content-Length: 5 ,5\r\nContent-Length: 5,5,5",
    ] {
        let head = decode_with(&post(fields), LENIENT).expect("lenient").expect("complete");
        assert_eq!(head.framing, Framing::Length(5));
        let lengths: Vec<_> = head.headers.get_all(header::CONTENT_LENGTH).iter().collect();
        assert_eq!(lengths, ["5"]);
    }
    for fields in ["Content-Length: 5, 6", "Content-Length: 5\r\nContent-Length: 6", "Content-Length: 5,"] {
        refuse_with(&post(fields), LENIENT);
    }
}

#[test]
fn malformed_lines() {
    use HeadFault::*;
    let cases: &[(&[u8], HeadFault, usize)] = &[
        (b"GET / HTTP/1.1\nHost: a\r\n\r\n", BareLf, 14),
        (b"GET / HTTP/1.1\r\nHost: a\n\r\n", BareLf, 23),
        (b"GET / HTTP/1.1\r\nHost: a\r\n\n", BareLf, 25),
        (b"GET / HTTP/1.1\r\nHost: a\rb: c\r\n\r\n", BareCr, 23),
        (b"GET / HTTP/1.1\r\nHo\rst: a\r\n\r\n", BareCr, 18),
        (b"GET / HTTP/1.1\r\nHost: a\r\r\n\r\n", BareCr, 23),
        (b"GET / HTTP/1.1\r\nHost: a\r\n\r\r\n\r\n", BareCr, 25),
        (b"GET / HTTP/1.1\r\nHost: a\r\n b: c\r\n\r\n", ObsFold, 25),
        (b"GET / HTTP/1.1\r\nHost: a\r\n\tb\r\n\r\n", ObsFold, 25),
        (b"GET / HTTP/1.1\r\n Host: a\r\n\r\n", SpaceBeforeHeaders, 16),
        (b"GET / HTTP/1.1\r\n \r\nHost: a\r\n\r\n", SpaceBeforeHeaders, 16),
        (b"GET / HTTP/1.1\r\nHost : a\r\n\r\n", SpaceBeforeColon, 20),
        (b"GET / HTTP/1.1\r\nHost\t: a\r\n\r\n", SpaceBeforeColon, 20),
        (b"GET / HTTP/1.1\r\nHost\r\n\r\n", MissingColon, 16),
        (b"GET / HTTP/1.1\r\n: a\r\n\r\n", HeaderName { byte: b':' }, 16),
        (b"GET / HTTP/1.1\r\nHo st: a\r\n\r\n", HeaderName { byte: b' ' }, 18),
        (b"GET / HTTP/1.1\r\nHo(st: a\r\n\r\n", HeaderName { byte: b'(' }, 18),
        (b"GET / HTTP/1.1\r\nHo\xffst: a\r\n\r\n", HeaderName { byte: 0xff }, 18),
        (b"GET / HTTP/1.1\r\nHo\0st: a\r\n\r\n", HeaderName { byte: 0 }, 18),
        (b"GET / HTTP/1.1\r\nHost: a\0b\r\n\r\n", HeaderValue { byte: 0 }, 23),
        (b"GET / HTTP/1.1\r\nX: a\x7fb\r\n\r\n", HeaderValue { byte: 0x7f }, 20),
        (b"GET / HTTP/1.1\r\nX: a\x1bb\r\n\r\n", HeaderValue { byte: 0x1b }, 20),
        (b"\r\n\r\nGET / HTTP/1.1\r\nHost: a\r\n\r\n", LeadingEmptyLine, 0),
        (b"\nGET / HTTP/1.1\r\nHost: a\r\n\r\n", BareLf, 0),
        (b"\r\n\nGET / HTTP/1.1\r\nHost: a\r\n\r\n", BareLf, 0),
        (b"\rGET / HTTP/1.1\r\nHost: a\r\n\r\n", BareCr, 0),
        (b" GET / HTTP/1.1\r\nHost: a\r\n\r\n", Method { byte: b' ' }, 0),
        (b"\x16\x03\x01\x02\x00", Method { byte: 0x16 }, 0),
        (b"G\xffT / HTTP/1.1\r\nHost: a\r\n\r\n", Method { byte: 0xff }, 1),
        (b"G(T / HTTP/1.1\r\nHost: a\r\n\r\n", Method { byte: b'(' }, 1),
        (b"AAAAAAAAAAAAAAAAAAAAAAAAA / HTTP/1.1\r\nHost: a\r\n\r\n", MethodTooLong { limit: 24 }, 24),
        (b"GET\r\nHost: a\r\n\r\n", RequestLine, 0),
        (b"GET /\r\nHost: a\r\n\r\n", RequestLine, 0),
        (b"GET  HTTP/1.1\r\nHost: a\r\n\r\n", Target, 4),
        (b"GET  / HTTP/1.1\r\nHost: a\r\n\r\n", Target, 4),
        (b"GET /  HTTP/1.1\r\nHost: a\r\n\r\n", Target, 4),
        (b"GET / HTTP/1.1 \r\nHost: a\r\n\r\n", RequestLine, 0),
        (b"GET / http/1.1\r\nHost: a\r\n\r\n", RequestLine, 0),
        (b"GET / HTTP/1.10\r\nHost: a\r\n\r\n", RequestLine, 0),
        (b"GET /\tHTTP/1.1\r\nHost: a\r\n\r\n", RequestLine, 0),
        (b"GET / HTTP/1.2\r\nHost: a\r\n\r\n", Version, 6),
        (b"GET / HTTP/0.9\r\nHost: a\r\n\r\n", Version, 6),
        (b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", Version, 6),
    ];
    for &(input, fault, offset) in cases {
        let error = refuse(input);
        assert_eq!((error.fault, error.offset), (fault, offset), "{}", input.escape_ascii());
        assert!(!error.to_string().chars().any(char::is_control));
    }
}

#[test]
fn statuses_of_faults() {
    for (input, status) in
        [("GET / HTTP/2.0\r\n\r\n", 505), ("GET / HTTP/1.1\r\n\r\n", 400), ("AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA", 501)]
    {
        assert_eq!(refuse(input.as_bytes()).status().as_u16(), status, "{input}");
    }
}

#[test]
fn targets() {
    use TargetForm::{Absolute, Asterisk, Authority, Origin};
    for (method, target, form) in [
        ("GET", "/", Origin),
        ("GET", "//a/b", Origin),
        ("GET", "/a?b?c=/d", Origin),
        ("GET", "/%zz", Origin),
        ("OPTIONS", "/", Origin),
        ("BREW", "/pot", Origin),
        ("OPTIONS", "*", Asterisk),
        ("GET", "http://a", Absolute),
        ("GET", "http://a:8080/b?c", Absolute),
        ("GET", "HTTP://[::1]:80/", Absolute),
        ("GET", "ftp://u:p@a/b", Absolute),
        ("CONNECT", "a:443", Authority),
        ("CONNECT", "[::1]:443", Authority),
    ] {
        let input = format!("{method} {target} HTTP/1.1\r\nHost: h\r\n\r\n");
        let head = accept(input.as_bytes());
        assert_eq!(head.target, form, "{input}");
        assert_eq!(head.userinfo, target.contains('@'), "{input}");
    }
    let form = HeadFault::TargetForm;
    let bad = HeadFault::Target;
    for (method, target, fault) in [
        ("GET", "*", form),
        ("GET", "a:80", form),
        ("GET", "a", form),
        ("OPTIONS", "a:80", form),
        ("CONNECT", "/", form),
        ("CONNECT", "*", form),
        ("CONNECT", "http://a:80", form),
        ("CONNECT", "http://a:80/", form),
        ("CONNECT", "a", bad),
        ("CONNECT", "a:", bad),
        ("CONNECT", "a:0", bad),
        ("CONNECT", "a:65536", bad),
        ("CONNECT", ":443", bad),
        ("CONNECT", "u@a:443", bad),
        ("GET", "/a#b", bad),
        ("GET", "#", bad),
        ("GET", "http://a/#b", bad),
        ("GET", "http://", bad),
        ("GET", "http:///a", bad),
        ("GET", "http:a", bad),
        ("GET", "?a", bad),
        ("GET", "a/b", bad),
        ("GET", "/a b", bad),
        ("GET", "/\x7f", bad),
        ("GET", "/\x01", bad),
        ("OPTIONS", "**", bad),
        ("OPTIONS", "*a", bad),
    ] {
        let input = format!("{method} {target} HTTP/1.1\r\nHost: h\r\n\r\n");
        let error = refuse(input.as_bytes());
        let offset = method.len() + 1;
        // Whether a text is an authority that must not stand here or nothing
        // at all is not worth telling apart.
        let fits = error.fault == fault || (fault == bad && error.fault == form);
        assert!(fits && error.offset == offset, "{input}: {error:?}");
    }
    refuse(b"GET /\xff HTTP/1.1\r\nHost: h\r\n\r\n");
}

/// H1-26: which Host is needed, which is valid, and that the target's wins.
#[test]
fn h1_26_host() {
    for (input, host) in [
        ("GET / HTTP/1.1\r\nHost: a\r\n\r\n", Some("a")),
        ("GET / HTTP/1.1\r\nHost: a.b:8080\r\n\r\n", Some("a.b:8080")),
        ("GET / HTTP/1.1\r\nHost: [::1]:8080\r\n\r\n", Some("[::1]:8080")),
        ("GET / HTTP/1.1\r\nHost: a:\r\n\r\n", Some("a:")),
        ("GET / HTTP/1.1\r\nHost:\r\n\r\n", Some("")),
        ("GET / HTTP/1.0\r\n\r\n", None),
        ("GET / HTTP/1.0\r\nHost: a\r\n\r\n", Some("a")),
        ("OPTIONS * HTTP/1.1\r\nHost: a\r\n\r\n", Some("a")),
        ("GET http://b:80/ HTTP/1.1\r\nHost: a\r\n\r\n", Some("b:80")),
        ("GET http://u:p@b/ HTTP/1.1\r\nHost: a\r\n\r\n", Some("b")),
        ("GET http://b/ HTTP/1.1\r\nHost: b\r\n\r\n", Some("b")),
        ("GET http://b/ HTTP/1.0\r\n\r\n", Some("b")),
        ("CONNECT b:443 HTTP/1.1\r\nHost: a\r\n\r\n", Some("b:443")),
    ] {
        let hosts: Vec<_> = accept(input.as_bytes()).headers.get_all(header::HOST).iter().cloned().collect();
        let expected: Vec<_> = host.into_iter().map(HeaderValue::from_static).collect();
        assert_eq!(hosts, expected, "{input}");
    }
    use HeadFault::{InvalidHost, MissingHost, RepeatedHost};
    for (input, fault) in [
        ("GET / HTTP/1.1\r\n\r\n", MissingHost),
        ("GET / HTTP/1.1\r\nX: y\r\n\r\n", MissingHost),
        ("GET http://b/ HTTP/1.1\r\n\r\n", MissingHost),
        ("CONNECT b:443 HTTP/1.1\r\n\r\n", MissingHost),
        ("GET / HTTP/1.1\r\nHost: a\r\nHost: a\r\n\r\n", RepeatedHost),
        ("GET / HTTP/1.0\r\nHost: a\r\nhost: b\r\n\r\n", RepeatedHost),
        ("GET http://b/ HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n", RepeatedHost),
        ("GET / HTTP/1.1\r\nHost: a b\r\n\r\n", InvalidHost),
        ("GET / HTTP/1.1\r\nHost: a, b\r\n\r\n", InvalidHost),
        ("GET / HTTP/1.1\r\nHost: u@a\r\n\r\n", InvalidHost),
        ("GET / HTTP/1.1\r\nHost: a/b\r\n\r\n", InvalidHost),
        ("GET / HTTP/1.1\r\nHost: a?b\r\n\r\n", InvalidHost),
        ("GET / HTTP/1.1\r\nHost: a#b\r\n\r\n", InvalidHost),
        ("GET / HTTP/1.1\r\nHost: a\\b\r\n\r\n", InvalidHost),
        ("GET / HTTP/1.1\r\nHost: http://a\r\n\r\n", InvalidHost),
        ("GET / HTTP/1.1\r\nHost: a:b\r\n\r\n", InvalidHost),
        ("GET / HTTP/1.1\r\nHost: a:80:80\r\n\r\n", InvalidHost),
        ("GET / HTTP/1.1\r\nHost: a:65536\r\n\r\n", InvalidHost),
        ("GET / HTTP/1.1\r\nHost: a:-1\r\n\r\n", InvalidHost),
        ("GET / HTTP/1.1\r\nHost: ::1\r\n\r\n", InvalidHost),
        ("GET / HTTP/1.1\r\nHost: [::1\r\n\r\n", InvalidHost),
        ("GET / HTTP/1.1\r\nHost: []\r\n\r\n", InvalidHost),
        ("GET / HTTP/1.1\r\nHost: [::1]a\r\n\r\n", InvalidHost),
        ("GET / HTTP/1.1\r\nHost: [a@b]\r\n\r\n", InvalidHost),
        ("GET / HTTP/1.1\r\nHost: \u{e4}\r\n\r\n", InvalidHost),
        ("GET http://b/ HTTP/1.1\r\nHost: a b\r\n\r\n", InvalidHost),
    ] {
        let error = refuse(input.as_bytes());
        assert_eq!(error.fault, fault, "{input}");
        assert_eq!(error.status(), StatusCode::BAD_REQUEST);
    }
}

/// H1-26: a byte that no host has is found wherever it stands in one.
#[test]
fn h1_26_every_byte_of_a_host_counts() {
    for length in 1..=13 {
        for at in 0..length {
            for (byte, valid) in [(b'~', true), (b'/', false), (b'@', false), (0xe4, false)] {
                let mut host = vec![b'a'; length];
                host[at] = byte;
                for port in [&b""[..], b":", b":1", b":65535"] {
                    let input = [&b"GET / HTTP/1.1\r\nHost: "[..], &host, port, b"\r\n\r\n"].concat();
                    if valid {
                        assert_eq!(accept(&input).headers[header::HOST], [&host[..], port].concat()[..]);
                    } else {
                        assert_eq!(refuse(&input).fault, HeadFault::InvalidHost);
                    }
                }
            }
        }
    }
}

/// H1-04: limits hold to the byte, whether the head arrives at once or byte by
/// byte (`refuse` and `accept` try both).
#[test]
fn h1_04_limits_are_exact_however_the_head_is_split() {
    let head = b"GET /12345 HTTP/1.1\r\nHost: a\r\nX: y\r\n\r\n";
    let exact = HeadConfig::default().with_max_head_bytes(head.len()).with_max_headers(2).with_max_uri_bytes(6);
    assert!(matches!(decode_with(head, exact), Ok(Some(_))));

    let limit = head.len() - 1;
    let error = refuse_with(head, exact.with_max_head_bytes(limit));
    assert_eq!(error.fault, HeadFault::TooLarge { limit });
    assert_eq!(error.status(), StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE);
    let error = refuse_with(head, exact.with_max_headers(1));
    assert_eq!(error.fault, HeadFault::TooManyHeaders { limit: 1 });
    assert_eq!(error.status(), StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE);
    let error = refuse_with(head, exact.with_max_uri_bytes(5));
    assert_eq!(error.fault, HeadFault::UriTooLong { limit: 5 });
    assert_eq!(error.status(), StatusCode::URI_TOO_LONG);

    // No end in sight: refused as soon as the limit is passed.
    let mut endless = b"GET / HTTP/1.1\r\nX: ".to_vec();
    endless.resize(200, b'x');
    let error = refuse_with(&endless, exact.with_max_head_bytes(100));
    assert_eq!(error.fault, HeadFault::TooLarge { limit: 100 });
    let mut endless = b"GET /".to_vec();
    endless.resize(200, b'x');
    let error = refuse_with(&endless, exact.with_max_head_bytes(100));
    assert_eq!(error.fault, HeadFault::UriTooLong { limit: 6 });
    // A target that `http::Uri` cannot hold, with limits that let it pass.
    let mut long = b"GET /".to_vec();
    long.resize(70_000, b'x');
    long.extend_from_slice(b" HTTP/1.1\r\nHost: a\r\n\r\n");
    let large = HeadConfig::default().with_max_head_bytes(1 << 20).with_max_uri_bytes(1 << 20);
    let (decoded, _) = decode_split(&long, &[], large);
    assert_eq!(decoded.map_err(|error| error.fault).err(), Some(HeadFault::Target));

    // An LF before the CRLF neither hides the head's end nor passes for one.
    let error = refuse(b"GET / HTTP/1.1\r\nHost: a\n\r\n");
    assert_eq!(error.fault, HeadFault::BareLf);
}

#[test]
fn a_bad_byte_comes_before_what_else_is_wrong_with_a_value() {
    let error = refuse(b"GET / HTTP/1.1\r\nHost: a\r\nHost: b\0\r\n\r\n");
    assert_eq!((error.fault, error.offset), (HeadFault::HeaderValue { byte: 0 }, 32));
    let error = refuse(&post("content-length: 1\x01"));
    assert_eq!((error.fault, error.offset), (HeadFault::HeaderValue { byte: 1 }, 43));
}

/// H1-05: a head that drips costs each of its bytes once.
#[test]
fn h1_05_a_dripped_head_is_searched_once() {
    let mut head = b"GET / HTTP/1.1\r\nHost: a\r\n".to_vec();
    while head.len() < 60_000 {
        head.extend_from_slice(b"x-padding: ");
        head.resize(head.len() + 1000, b'x');
        head.extend_from_slice(b"\r\n");
    }
    let mut decoder = RequestDecoder::default();
    let mut buf = BytesMut::new();
    for &byte in &head {
        buf.extend_from_slice(&[byte]);
        assert!(matches!(decoder.decode(&mut buf), Ok(None)));
    }
    assert_eq!(decoder.scanner.looked_at, head.len());
    buf.extend_from_slice(b"\r\n");
    assert!(matches!(decoder.decode(&mut buf), Ok(Some(_))));
}

/// H1-21: bytes over 0x7f in values are kept and never panic.
#[test]
fn h1_21_obs_text_in_values() {
    let text: Vec<u8> = (0x80..=0xff).collect();
    let mut input = b"GET / HTTP/1.1\r\nHost: a\r\n".to_vec();
    let names = ["X", "Connection", "Upgrade", "Expect", "Accept", "Cookie"];
    for name in names {
        input.extend_from_slice(format!("{name}: ").as_bytes());
        input.extend_from_slice(&text);
        input.extend_from_slice(b"\r\n");
    }
    input.extend_from_slice(b"\r\n");
    let head = accept(&input);
    for name in names {
        assert_eq!(head.headers[name].as_bytes(), text);
    }
    assert!(head.keep_alive);
    assert_eq!(head.expect, Expectation::Other);
    for field in ["Host", "Content-Length", "Transfer-Encoding"] {
        let mut input = format!("GET / HTTP/1.1\r\n{field}: ").into_bytes();
        input.extend_from_slice(&text);
        input.extend_from_slice(b"\r\n\r\n");
        assert_eq!(refuse(&input).status(), StatusCode::BAD_REQUEST);
    }
}

/// Pieces that heads are made of, good and bad.
fn pieces() -> impl Strategy<Value = Vec<u8>> {
    const PIECES: &[&[u8]] = &[
        b"GET ",
        b"POST ",
        b"CONNECT ",
        b"OPTIONS ",
        b"/",
        b"/a?b ",
        b"*",
        b"http://a/",
        b"a:80",
        b" ",
        b"HTTP/1.1",
        b" HTTP/1.1\r\n",
        b" HTTP/1.0\r\n",
        b"\r\n",
        b"\r\n",
        b"\r\n\r\n",
        b"\r",
        b"\n",
        b"\t",
        b":",
        b": ",
        b",",
        b"Host: a\r\n",
        b"Host",
        b"Content-Length: 5\r\n",
        b"Transfer-Encoding: chunked\r\n",
        b"Connection: close\r\n",
        b"chunked",
        b"5",
        b"x: y\r\n",
        b"\0",
        b"\xff",
        b"\x7f",
        b"#",
        b"[",
        b"@",
    ];
    let piece = prop::sample::select(PIECES).prop_map(<[u8]>::to_vec);
    let start = prop::sample::select(vec![
        &b"GET / HTTP/1.1\r\nHost: a\r\n"[..],
        b"POST / HTTP/1.1\r\nHost: a\r\n",
        b"GET / HTTP/1.0\r\n",
        b"",
    ]);
    (start, prop::collection::vec(piece, 0..12)).prop_map(|(start, pieces)| {
        let mut head = start.to_vec();
        head.extend(pieces.into_iter().flatten());
        head
    })
}

proptest! {
    /// H1-21: whatever arrives, and however it is split, it gives the same.
    #[test]
    fn any_split_gives_the_same(
        input in prop_oneof![pieces(), prop::collection::vec(any::<u8>(), 0..64)],
        sizes in prop::collection::vec(0_usize..9, 0..30),
        limit in 20_usize..200,
    ) {
        let config = HeadConfig::default().with_max_head_bytes(limit).with_max_uri_bytes(8);
        let (whole, rest) = decode_split(&input, &[], config);
        let (split, split_rest) = decode_split(&input, &sizes, config);
        prop_assert_eq!(describe(&whole), describe(&split));
        if whole.is_ok() {
            prop_assert_eq!(rest, split_rest);
        }
    }

    /// What is accepted here another parser accepts too, and reads alike.
    #[test]
    fn an_independent_parser_agrees(input in pieces()) {
        let (decoded, rest) = decode_split(&input, &[], HeadConfig::default());
        if let Ok(Some(head)) = decoded {
            let mut fields = [httparse::EMPTY_HEADER; 100];
            let mut other = httparse::Request::new(&mut fields);
            let parsed = other.parse(&input);
            prop_assert_eq!(parsed, Ok(httparse::Status::Complete(input.len() - rest.len())));
            prop_assert_eq!(other.method, Some(head.method.as_str()));
            prop_assert_eq!(other.version, Some(u8::from(head.version == Version::HTTP_11)));
            for field in other.headers.iter() {
                let same = |value: &HeaderValue| value.as_bytes() == field.value;
                let overridden = head.target != TargetForm::Origin
                    && field.name.eq_ignore_ascii_case("host");
                prop_assert!(overridden || head.headers.get_all(field.name).iter().any(same));
            }
            let hidden = usize::from(
                head.target != TargetForm::Origin
                    && !other.headers.iter().any(|field| field.name.eq_ignore_ascii_case("host")),
            );
            prop_assert_eq!(other.headers.len() + hidden, head.headers.len());
        }
    }
}
