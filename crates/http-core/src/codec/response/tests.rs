use proptest::prelude::*;

use super::*;

type Decoded = Result<Option<ResponseHead>, HeadError>;

fn decode_split(input: &[u8], method: &Method, sizes: &[usize], config: HeadConfig) -> (Decoded, Vec<u8>) {
    let mut decoder = ResponseDecoder::new(config);
    let mut buf = BytesMut::new();
    let mut rest = input;
    for size in sizes.iter().copied().chain([usize::MAX]) {
        let (piece, after) = rest.split_at(size.min(rest.len()));
        buf.extend_from_slice(piece);
        rest = after;
        let decoded = decoder.decode(&mut buf, method);
        if !matches!(decoded, Ok(None)) {
            buf.extend_from_slice(rest);
            return (decoded, buf.to_vec());
        }
    }
    (Ok(None), buf.to_vec())
}

/// Decodes at once and byte by byte; both give the same.
fn decode_with(input: &[u8], method: &Method, config: HeadConfig) -> Decoded {
    let (whole, _) = decode_split(input, method, &[], config);
    let (dripped, _) = decode_split(input, method, &vec![1; input.len()], config);
    let name = input.escape_ascii();
    assert_eq!(format!("{whole:?}"), format!("{dripped:?}"), "{name}");
    whole
}

fn accept(input: &[u8], method: &Method) -> ResponseHead {
    match decode_with(input, method, HeadConfig::default()) {
        Ok(Some(head)) => head,
        other => panic!("{}: {other:?}", input.escape_ascii()),
    }
}

fn refuse(input: &[u8]) -> HeadFault {
    match decode_with(input, &Method::GET, HeadConfig::default()) {
        Err(error) => error.fault,
        other => panic!("{}: {other:?}", input.escape_ascii()),
    }
}

#[test]
fn a_head_is_taken_and_the_rest_stays() {
    let input = b"HTTP/1.1 200 Fine\r\nServer: x\r\nContent-Length: 3\r\n\r\nabc";
    let (decoded, rest) = decode_split(input, &Method::GET, &[], HeadConfig::default());
    let head = decoded.expect("valid").expect("complete");
    assert_eq!(head.status, StatusCode::OK);
    assert_eq!(head.version, Version::HTTP_11);
    assert_eq!(head.reason.as_deref(), Some(&b"Fine"[..]));
    assert_eq!(head.headers["server"], "x");
    assert_eq!(head.framing, Framing::Length(3));
    assert!(head.keep_alive && !head.switches);
    assert_eq!(rest, b"abc");
}

#[test]
fn status_lines() {
    for (line, status, reason) in [
        ("HTTP/1.1 200 OK", 200, None),
        ("HTTP/1.1 200 ", 200, Some("")),
        ("HTTP/1.1 200", 200, Some("")),
        ("HTTP/1.0 404 Not Found", 404, None),
        ("HTTP/1.1 999 ", 999, None),
        ("HTTP/1.1 599  a\tb ", 599, Some(" a\tb ")),
    ] {
        let head = accept(format!("{line}\r\n\r\n").as_bytes(), &Method::GET);
        assert_eq!(head.status.as_u16(), status, "{line}");
        assert_eq!(head.reason.as_deref(), reason.map(str::as_bytes), "{line}");
    }
    let head = accept(b"HTTP/1.1 200 \xff\r\n\r\n", &Method::GET);
    assert_eq!(head.reason.as_deref(), Some(&b"\xff"[..]));

    use HeadFault::{BareCr, BareLf, LeadingEmptyLine, StatusLine};
    for (input, fault) in [
        (&b"HTTP/1.1 200 OK\n\r\n"[..], BareLf),
        (b"HTTP/1.1 200 O\rK\r\n\r\n", BareCr),
        (b"HTTP/1.1 200 O\0K\r\n\r\n", StatusLine),
        (b"HTTP/1.1 2000 OK\r\n\r\n", StatusLine),
        (b"HTTP/1.1 20 OK\r\n\r\n", StatusLine),
        (b"HTTP/1.1 099 OK\r\n\r\n", StatusLine),
        (b"HTTP/1.1 +20 OK\r\n\r\n", StatusLine),
        (b"HTTP/1.1  200 OK\r\n\r\n", StatusLine),
        (b"HTTP/1.1\t200 OK\r\n\r\n", StatusLine),
        (b"HTTP/1.1 200\tOK\r\n\r\n", StatusLine),
        (b"HTTP/1.1\r\n\r\n", StatusLine),
        (b"HTTP/1.1 \r\n\r\n", StatusLine),
        (b"http/1.1 200 OK\r\n\r\n", StatusLine),
        (b"ICY 200 OK\r\n\r\n", StatusLine),
        (b"SSH-2.0-x\r\n", StatusLine),
        (b"HTTP/2.0 200 OK\r\n\r\n", HeadFault::Version),
        (b"HTTP/1.2 200 OK\r\n\r\n", HeadFault::Version),
        (b"\r\nHTTP/1.1 200 OK\r\n\r\n", LeadingEmptyLine),
    ] {
        assert_eq!(refuse(input), fault, "{}", input.escape_ascii());
    }
}

#[test]
fn host_in_a_response_is_a_field_like_any_other() {
    let head = accept(b"HTTP/1.1 200 OK\r\nHost: a b\r\nHost: c\r\n\r\n", &Method::GET);
    let hosts: Vec<_> = head.headers.get_all(header::HOST).iter().collect();
    assert_eq!(hosts, ["a b", "c"]);
}

/// H1-12: these have no body whatever their fields say, and keep the fields
/// that tell of one.
#[test]
fn h1_12_heads_without_a_body() {
    for (method, status) in [
        (Method::HEAD, "200 OK"),
        (Method::HEAD, "404 Not Found"),
        (Method::GET, "100 Continue"),
        (Method::GET, "103 Early Hints"),
        (Method::GET, "101 Switching Protocols"),
        (Method::POST, "199 "),
        (Method::GET, "204 No Content"),
        (Method::GET, "304 Not Modified"),
    ] {
        for fields in [
            "",
            "Content-Length: 5\r\n",
            "Transfer-Encoding: chunked\r\n",
            "Transfer-Encoding: gzip\r\n",
            "Transfer-Encoding: chunked\r\nContent-Length: 5\r\n",
        ] {
            let input = format!("HTTP/1.1 {status}\r\n{fields}\r\n");
            let head = accept(input.as_bytes(), &method);
            assert_eq!(head.framing, Framing::Empty, "{method} {input}");
            assert!(head.keep_alive, "{method} {input}");
            assert_eq!(head.switches, status.starts_with("101"));
        }
    }
    let head = accept(b"HTTP/1.1 304 \r\nContent-Length: 5\r\n\r\n", &Method::GET);
    assert_eq!(head.headers[header::CONTENT_LENGTH], "5");
    // The same to GET has one.
    let head = accept(b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n", &Method::GET);
    assert_eq!(head.framing, Framing::Length(5));
}

/// RFC 9110 section 9.3.6; the decoder's part of the rule on tunnels.
#[test]
fn a_tunnel_has_no_body_and_no_framing_fields() {
    for fields in ["Content-Length: 5", "Transfer-Encoding: chunked", "Content-Length: x", "A: b"] {
        let input = format!("HTTP/1.1 200 OK\r\n{fields}\r\n\r\n");
        let head = accept(input.as_bytes(), &Method::CONNECT);
        assert_eq!(head.framing, Framing::Empty, "{fields}");
        assert!(head.switches);
        assert!(!head.headers.contains_key(header::CONTENT_LENGTH));
        assert!(!head.headers.contains_key(header::TRANSFER_ENCODING));
    }
    let head = accept(b"HTTP/1.1 407 \r\nContent-Length: 5\r\n\r\n", &Method::CONNECT);
    assert_eq!(head.framing, Framing::Length(5));
    assert!(!head.switches);
}

#[test]
fn framing_and_persistence() {
    for (input, framing, keep_alive) in [
        ("HTTP/1.1 200 OK\r\n", Framing::UntilClose, false),
        ("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n", Framing::Empty, true),
        ("HTTP/1.1 200 OK\r\nContent-Length: 7\r\n", Framing::Length(7), true),
        ("HTTP/1.1 200 OK\r\nTransfer-Encoding: Chunked\r\n", Framing::Chunked, true),
        ("HTTP/1.1 200 OK\r\nContent-Length: 7\r\nConnection: close\r\n", Framing::Length(7), false),
        ("HTTP/1.0 200 OK\r\nContent-Length: 7\r\n", Framing::Length(7), false),
        ("HTTP/1.0 200 OK\r\nContent-Length: 7\r\nConnection: keep-alive\r\n", Framing::Length(7), true),
        ("HTTP/1.0 200 OK\r\nConnection: keep-alive\r\n", Framing::UntilClose, false),
    ] {
        let head = accept(format!("{input}\r\n").as_bytes(), &Method::GET);
        assert_eq!((head.framing, head.keep_alive), (framing, keep_alive), "{input}");
    }
}

/// H1-01, in the role of the client; leniently chunked wins, the length is gone
/// and the connection is not used again.
#[test]
fn h1_01_content_length_with_transfer_encoding() {
    for fields in ["Content-Length: 5\r\nTransfer-Encoding: chunked", "Transfer-Encoding: chunked\r\nContent-Length: 5"]
    {
        let input = format!("HTTP/1.1 200 OK\r\n{fields}\r\n\r\n");
        assert_eq!(refuse(input.as_bytes()), HeadFault::LengthAndTransferEncoding);
        let lenient = HeadConfig::default().with_lenient_framing(true);
        let head = decode_with(input.as_bytes(), &Method::GET, lenient).expect("lenient").expect("complete");
        assert_eq!(head.framing, Framing::Chunked);
        assert!(!head.keep_alive);
        assert!(!head.headers.contains_key(header::CONTENT_LENGTH));
    }
}

/// H1-02, in the role of the client.
#[test]
fn h1_02_framing_fields() {
    for (fields, fault) in [
        ("1 200 OK\r\nContent-Length: 5\r\nContent-Length: 6", HeadFault::RepeatedContentLength),
        ("1 200 OK\r\nContent-Length: 5\r\nContent-Length: 5", HeadFault::RepeatedContentLength),
        ("1 200 OK\r\nContent-Length: 5, 5", HeadFault::ContentLength),
        ("1 200 OK\r\nContent-Length: -1", HeadFault::ContentLength),
        ("1 200 OK\r\nTransfer-Encoding: gzip, chunked", HeadFault::UnsupportedTransferCoding),
        ("1 200 OK\r\nTransfer-Encoding: gzip", HeadFault::TransferEncoding),
        ("1 200 OK\r\nTransfer-Encoding: chunked, chunked", HeadFault::TransferEncoding),
        ("0 200 OK\r\nTransfer-Encoding: chunked", HeadFault::TransferEncodingInHttp10),
    ] {
        let input = format!("HTTP/1.{fields}\r\n\r\n");
        assert_eq!(refuse(input.as_bytes()), fault, "{input}");
    }
}

/// H1-04, in the role of the client.
#[test]
fn h1_04_limits_are_exact_however_the_head_is_split() {
    let input = b"HTTP/1.1 200 OK\r\na: b\r\nc: d\r\n\r\n";
    let exact = HeadConfig::default().with_max_head_bytes(input.len()).with_max_headers(2);
    let fault = |config| decode_with(input, &Method::GET, config).map_err(|error| error.fault);
    assert!(fault(exact).is_ok());
    let limit = input.len() - 1;
    assert_eq!(fault(exact.with_max_head_bytes(limit)).err(), Some(HeadFault::TooLarge { limit }));
    assert_eq!(fault(exact.with_max_headers(1)).err(), Some(HeadFault::TooManyHeaders { limit: 1 }));
}

proptest! {
    #[test]
    fn any_split_gives_the_same(
        start in prop::sample::select(vec!["HTTP/1.1 200 OK\r\n", "HTTP/1.0 304 \r\n", "HTTP/1.1 1", ""]),
        pieces in prop::collection::vec(prop::sample::select(vec![
            &b"\r\n"[..], b"\r\n\r\n", b"\r", b"\n", b"a: b\r\n", b"content-length: 5\r\n", b":", b" ", b"\t",
            b"transfer-encoding: chunked\r\n", b"connection: close\r\n", b"\xff", b"\0", b"HTTP/1.1 ", b"200",
        ]), 0..10),
        sizes in prop::collection::vec(0_usize..9, 0..20),
        limit in 10_usize..120,
        method in prop::sample::select(vec![Method::GET, Method::HEAD, Method::CONNECT]),
    ) {
        let input = [start.as_bytes(), &pieces.concat()[..]].concat();
        let config = HeadConfig::default().with_max_head_bytes(limit);
        let (whole, rest) = decode_split(&input, &method, &[], config);
        let (split, split_rest) = decode_split(&input, &method, &sizes, config);
        prop_assert_eq!(format!("{whole:?}"), format!("{split:?}"));
        if whole.is_ok() {
            prop_assert_eq!(rest, split_rest);
        }
    }
}
