use http::HeaderName;
use proptest::prelude::*;

use super::*;

/// A whole body: its data, its trailers, and what is left behind it.
type Outcome = Result<(Vec<u8>, Vec<(String, Vec<u8>)>, Vec<u8>), BodyError>;

/// Decodes a body that arrives in pieces of these sizes, then ends.
fn decode_split(framing: Framing, input: &[u8], sizes: &[usize], config: BodyConfig) -> Outcome {
    let mut decoder = BodyDecoder::new(framing, config);
    let mut buf = BytesMut::new();
    let mut rest = input;
    let (mut data, mut trailers) = (Vec::new(), Vec::new());
    for size in sizes.iter().copied().chain([usize::MAX]) {
        let (piece, after) = rest.split_at(size.min(rest.len()));
        buf.extend_from_slice(piece);
        rest = after;
        loop {
            match decoder.decode(&mut buf) {
                Ok(None) => break,
                Ok(Some(BodyEvent::Data(bytes))) => {
                    assert!(!bytes.is_empty() && trailers.is_empty());
                    data.extend_from_slice(&bytes);
                }
                Ok(Some(BodyEvent::Trailers(fields))) => {
                    assert!(!fields.is_empty() && trailers.is_empty());
                    let text = |(name, value): (&HeaderName, &http::HeaderValue)| {
                        (name.to_string(), value.as_bytes().to_vec())
                    };
                    trailers = fields.iter().map(text).collect();
                }
                Ok(Some(BodyEvent::End)) => {
                    assert!(decoder.is_end());
                    buf.extend_from_slice(rest);
                    return Ok((data, trailers, buf.to_vec()));
                }
                Err(error) => {
                    // An error is final.
                    assert_eq!(decoder.decode(&mut buf).err(), Some(error));
                    assert_eq!(decoder.eof(), Err(error));
                    return Err(error);
                }
            }
        }
    }
    decoder.eof()?;
    assert!(decoder.is_end());
    Ok((data, trailers, buf.to_vec()))
}

/// Decodes at once and byte by byte; both give the same.
fn decode_with(framing: Framing, input: &[u8], config: BodyConfig) -> Outcome {
    let whole = decode_split(framing, input, &[], config);
    let dripped = decode_split(framing, input, &vec![1; input.len()], config);
    assert_eq!(whole, dripped, "{}", input.escape_ascii());
    whole
}

fn chunked(input: &[u8]) -> Outcome {
    decode_with(Framing::Chunked, input, BodyConfig::default())
}

fn refuse(input: &[u8]) -> BodyError {
    chunked(input).expect_err(&input.escape_ascii().to_string())
}

#[test]
fn known_lengths() {
    let config = BodyConfig::default();
    let check = |framing, input: &str, expected: Result<(&str, &str), BodyError>| {
        let outcome = decode_with(framing, input.as_bytes(), config);
        let expected = expected.map(|(data, rest)| (data.into(), Vec::new(), rest.into()));
        assert_eq!(outcome, expected, "{framing:?} {input}");
    };
    let missing = |bytes| Err(BodyError::Truncated { missing: Some(bytes) });
    check(Framing::Empty, "abc", Ok(("", "abc")));
    check(Framing::Length(3), "abcdef", Ok(("abc", "def")));
    check(Framing::Length(3), "abc", Ok(("abc", "")));
    check(Framing::Length(0), "abc", Ok(("", "abc")));
    check(Framing::Length(3), "ab", missing(1));
    check(Framing::Length(3), "", missing(3));
    check(Framing::Length(u64::MAX), "ab", missing(u64::MAX - 2));
    check(Framing::UntilClose, "abc", Ok(("abc", "")));
    check(Framing::UntilClose, "", Ok(("", "")));
}

#[test]
fn remaining_is_told() {
    let mut decoder = BodyDecoder::new(Framing::Length(5), BodyConfig::default());
    assert_eq!(decoder.remaining(), Some(5));
    let mut buf = BytesMut::from("abc");
    assert!(matches!(decoder.decode(&mut buf), Ok(Some(BodyEvent::Data(_)))));
    assert_eq!(decoder.remaining(), Some(2));
    let decoder = BodyDecoder::new(Framing::Chunked, BodyConfig::default());
    assert_eq!(decoder.remaining(), None);
    let decoder = BodyDecoder::new(Framing::Empty, BodyConfig::default());
    assert_eq!((decoder.remaining(), decoder.is_end()), (Some(0), true));
}

#[test]
fn data_is_not_copied() {
    let mut decoder = BodyDecoder::new(Framing::Chunked, BodyConfig::default());
    let mut buf = BytesMut::from("5\r\nhello\r\n");
    let place = buf[3..].as_ptr();
    let Ok(Some(BodyEvent::Data(data))) = decoder.decode(&mut buf) else {
        panic!("no data");
    };
    assert_eq!(data.as_ptr(), place);
}

/// H1-03: chunks that are right.
#[test]
fn h1_03_chunks() {
    for (input, data, rest) in [
        ("0\r\n\r\n", "", ""),
        ("5\r\nhello\r\n0\r\n\r\nGET", "hello", "GET"),
        ("5\r\nhello\r\n6\r\n world\r\n0\r\n\r\n", "hello world", ""),
        ("00000000000000a\r\n0123456789\r\n000\r\n\r\n", "0123456789", ""),
        ("B\r\n0123456789a\r\n0\r\n\r\n", "0123456789a", ""),
        ("b\r\n0123456789a\r\n0\r\n\r\n", "0123456789a", ""),
        ("2;a\r\nhi\r\n0;b=c;d=\"e\"\r\n\r\n", "hi", ""),
        ("2 \t; a=b\r\nhi\r\n0\r\n\r\n", "hi", ""),
        ("2;\r\nhi\r\n0\r\n\r\n", "hi", ""),
        ("2;\u{e4}\r\nhi\r\n0\r\n\r\n", "hi", ""),
        ("4\r\n\r\n\r\n\r\n0\r\n\r\n", "\r\n\r\n", ""),
    ] {
        let expected = (data.into(), Vec::new(), rest.into());
        assert_eq!(chunked(input.as_bytes()), Ok(expected), "{input:?}");
    }
}

/// H1-03: chunks that are not, and chunks without an end.
#[test]
fn h1_03_refused_chunks() {
    use BodyError::{ChunkEnd, ChunkExtension, ChunkSize, ChunkSizeTooLong};
    let cases: &[(&[u8], BodyError)] = &[
        (b"\r\n", ChunkSize { byte: b'\r' }),
        (b";a\r\n", ChunkSize { byte: b';' }),
        (b" 5\r\nhello\r\n", ChunkSize { byte: b' ' }),
        (b"+5\r\nhello\r\n", ChunkSize { byte: b'+' }),
        (b"-5\r\nhello\r\n", ChunkSize { byte: b'-' }),
        (b"0x5\r\nhello\r\n", ChunkSize { byte: b'x' }),
        (b"5_0\r\nhello\r\n", ChunkSize { byte: b'_' }),
        (b"g\r\n", ChunkSize { byte: b'g' }),
        (b"5 \r\nhello\r\n", ChunkSize { byte: b'\r' }),
        (b"5 5\r\nhello\r\n", ChunkSize { byte: b'5' }),
        (b"5\nhello\n", ChunkSize { byte: b'\n' }),
        (b"5\rhello\r\n", ChunkSize { byte: b'h' }),
        (b"5\r\r\nhello\r\n", ChunkSize { byte: b'\r' }),
        (b"5\0\r\nhello\r\n", ChunkSize { byte: 0 }),
        (b"00000000000000005\r\nhello\r\n", ChunkSizeTooLong),
        (b"10000000000000000\r\n", ChunkSizeTooLong),
        (b"ffffffffffffffffff\r\n", ChunkSizeTooLong),
        (b"5;a\nhello\r\n", ChunkExtension { byte: b'\n' }),
        (b"5;a\rb\r\nhello\r\n", ChunkSize { byte: b'b' }),
        (b"5;a\0\r\nhello\r\n", ChunkExtension { byte: 0 }),
        (b"5;a\x7f\r\nhello\r\n", ChunkExtension { byte: 0x7f }),
        (b"5\r\nhello\n0\r\n\r\n", ChunkEnd { byte: b'\n' }),
        (b"5\r\nhello0\r\n\r\n", ChunkEnd { byte: b'0' }),
        (b"5\r\nhello\r0\r\n\r\n", ChunkEnd { byte: b'0' }),
        (b"5\r\nhello!\r\n0\r\n\r\n", ChunkEnd { byte: b'!' }),
        (b"4\r\nhello\r\n0\r\n\r\n", ChunkEnd { byte: b'o' }),
        (b"6\r\nhello\r\n0\r\n\r\n", ChunkEnd { byte: b'\n' }),
        // The largest size is a size, not an overflow.
        (b"ffffffffffffffff\r\nabc", BodyError::Truncated { missing: None }),
    ];
    for &(input, expected) in cases {
        assert_eq!(refuse(input), expected, "{}", input.escape_ascii());
    }
    let whole = b"5;x\r\nhello\r\n0\r\na: b\r\n\r\n";
    for end in 0..whole.len() {
        let error = refuse(&whole[..end]);
        assert_eq!(error, BodyError::Truncated { missing: None }, "{end}");
    }
    assert!(chunked(whole).is_ok());
}

/// H1-03: extensions are bounded for one chunk and for all together.
#[test]
fn h1_03_extensions_are_bounded() {
    let config = BodyConfig::default().with_max_chunk_extension_bytes(4).with_max_extension_bytes(10);
    let check = |input: &str, limit: Option<u32>| {
        let outcome = decode_with(Framing::Chunked, input.as_bytes(), config);
        let error = limit.map(|limit| BodyError::ChunkExtensionTooLong { limit });
        assert_eq!(outcome.err(), error, "{input:?}");
    };
    check("1;abc\r\na\r\n0\r\n\r\n", None);
    check("1;abcd\r\na\r\n0\r\n\r\n", Some(4));
    check("1    ;\r\na\r\n0\r\n\r\n", Some(4));
    check("1;abc\r\na\r\n1;abc\r\na\r\n0;a\r\n\r\n", None);
    check("1;abc\r\na\r\n1;abc\r\na\r\n0;ab\r\n\r\n", Some(10));
}

/// H1-19: trailers keep repeated names, and lose what must not be there.
#[test]
fn h1_19_trailers() {
    let input = b"1\r\na\r\n0\r\nX-Sum: 1\r\nx-sum:  2 \r\nContent-Length: 9\r\nTransfer-Encoding: chunked\r\n\
        Host: evil\r\nConnection: close\r\nAuthorization: x\r\nSet-Cookie: a=b\r\nContent-Type: x\r\n\
        Trailer: y\r\nGrpc-Status: 0\r\nX-Bytes: \xff\r\n\r\nGET";
    let (data, trailers, rest) = chunked(input).expect("valid");
    assert_eq!((&data[..], &rest[..]), (&b"a"[..], &b"GET"[..]));
    let expected: [(&str, &[u8]); 4] = [("x-sum", b"1"), ("x-sum", b"2"), ("grpc-status", b"0"), ("x-bytes", b"\xff")];
    let trailers: Vec<_> = trailers.iter().map(|(name, value)| (name.as_str(), &value[..])).collect();
    assert_eq!(trailers, expected);
    // Nothing but what is dropped: no trailers.
    let (_, trailers, _) = chunked(b"0\r\nContent-Length: 5\r\n\r\n").expect("valid");
    assert_eq!(trailers, []);
}

#[test]
fn refused_trailers() {
    let fault = |input: &[u8], config| match decode_with(Framing::Chunked, input, config) {
        Err(BodyError::Trailers(error)) => error.fault,
        other => panic!("{}: {other:?}", input.escape_ascii()),
    };
    let config = BodyConfig::default();
    for (input, expected) in [
        (&b"0\r\na: b\n\r\n"[..], HeadFault::BareLf),
        (b"0\r\n\n", HeadFault::BareLf),
        (b"0\r\na: b\r\n c\r\n\r\n", HeadFault::ObsFold),
        (b"0\r\n a: b\r\n\r\n", HeadFault::SpaceBeforeHeaders),
        (b"0\r\na : b\r\n\r\n", HeadFault::SpaceBeforeColon),
        (b"0\r\na\r\n\r\n", HeadFault::MissingColon),
        (b"0\r\na: \0\r\n\r\n", HeadFault::HeaderValue { byte: 0 }),
        (b"0\r\na: b\rc\r\n\r\n", HeadFault::BareCr),
        (b"0\r\n\r\r\n\r\n", HeadFault::BareCr),
        // Dropped fields have to be fields too.
        (b"0\r\nContent-Length: \0\r\n\r\n", HeadFault::HeaderValue { byte: 0 }),
    ] {
        assert_eq!(fault(input, config), expected, "{}", input.escape_ascii());
    }
    let section = b"0\r\na: b\r\nc: d\r\n\r\n";
    let exact = config.with_max_trailer_bytes(14).with_max_trailers(2);
    assert!(decode_with(Framing::Chunked, section, exact).is_ok());
    assert_eq!(fault(section, exact.with_max_trailer_bytes(13)), HeadFault::TooLarge { limit: 13 });
    assert_eq!(fault(section, exact.with_max_trailers(1)), HeadFault::TooManyHeaders { limit: 1 });
}

/// H1-05: trailers that drip cost each of their bytes once.
#[test]
fn h1_05_dripped_trailers_are_searched_once() {
    let mut decoder = BodyDecoder::new(Framing::Chunked, BodyConfig::default());
    let mut buf = BytesMut::from("0\r\n");
    for index in 0..10_000_usize {
        buf.extend_from_slice(if index == 1 { b":" } else { b"x" });
        assert!(matches!(decoder.decode(&mut buf), Ok(None)));
    }
    let State::Trailers(scanner) = &decoder.state else {
        panic!("not in the trailers");
    };
    assert_eq!(scanner.looked_at, 10_000);
}

fn pieces() -> impl Strategy<Value = Vec<u8>> {
    const PIECES: &[&[u8]] = &[
        b"5\r\nhello\r\n",
        b"1\r\na\r\n",
        b"0\r\n",
        b"\r\n",
        b"\r\n",
        b"0",
        b"5",
        b"f",
        b";",
        b";a=b",
        b" ",
        b"\r",
        b"\n",
        b"hello",
        b"a: b\r\n",
        b"content-length: 5\r\n",
        b":",
        b"\0",
        b"\xff",
        b"ffffffffffffffff\r\n",
    ];
    let piece = prop::sample::select(PIECES).prop_map(<[u8]>::to_vec);
    prop::collection::vec(piece, 0..14).prop_map(|pieces| pieces.concat())
}

proptest! {
    #[test]
    fn any_split_gives_the_same(
        input in prop_oneof![pieces(), prop::collection::vec(any::<u8>(), 0..40)],
        sizes in prop::collection::vec(0_usize..6, 0..30),
        length in 0_u64..50,
    ) {
        let config = BodyConfig::default()
            .with_max_chunk_extension_bytes(6)
            .with_max_extension_bytes(9)
            .with_max_trailer_bytes(30);
        for framing in [Framing::Chunked, Framing::Length(length), Framing::UntilClose] {
            let whole = decode_split(framing, &input, &[], config);
            let split = decode_split(framing, &input, &sizes, config);
            prop_assert_eq!(whole, split);
        }
    }
}
