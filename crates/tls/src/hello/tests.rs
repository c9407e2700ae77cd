//! The decoder and the fingerprints on hellos that are put together here, with expected values from what was published.

use chaski_core::test_util::{Chunking, splits};

use super::*;

/// A hello in parts.
#[derive(Clone, Default)]
struct Parts {
    version: u16,
    session_id: Vec<u8>,
    ciphers: Vec<u16>,
    compression: Vec<u8>,
    /// `None` leaves the whole block out.
    extensions: Option<Vec<(u16, Vec<u8>)>>,
}

impl Parts {
    fn new(version: u16, ciphers: &[u16], extensions: Vec<(u16, Vec<u8>)>) -> Self {
        Self {
            version,
            session_id: Vec::new(),
            ciphers: ciphers.to_vec(),
            compression: vec![0],
            extensions: Some(extensions),
        }
    }

    fn message(&self) -> Vec<u8> {
        let mut body = [&self.version.to_be_bytes()[..], &[7; 32]].concat();
        body.extend(vector8(&self.session_id));
        body.extend(vector16(&bytes(&self.ciphers)));
        body.extend(vector8(&self.compression));
        if let Some(extensions) = &self.extensions {
            let block: Vec<u8> = extensions
                .iter()
                .flat_map(|(kind, content)| [&kind.to_be_bytes()[..], &vector16(content)].concat())
                .collect();
            body.extend(vector16(&block));
        }
        let length = u32::try_from(body.len()).unwrap().to_be_bytes();
        [&[1], &length[1..], &body].concat()
    }

    fn decode(&self) -> Result<ClientHello, ClientHelloError> {
        decode(&records(&self.message(), 1 << 14))
    }
}

/// A hello for this server, for tests of what is decided by it.
#[cfg(feature = "http")]
pub(crate) fn test_hello(server_name: Option<&str>) -> ClientHello {
    let content = |name: &str| (0, vector16(&[&[0], &vector16(name.as_bytes())[..]].concat()));
    Parts::new(0x0303, &[0x1301], server_name.map(content).into_iter().collect()).decode().unwrap()
}

fn bytes(codes: &[u16]) -> Vec<u8> {
    codes.iter().flat_map(|code| code.to_be_bytes()).collect()
}

fn vector8(content: &[u8]) -> Vec<u8> {
    [&[u8::try_from(content.len()).unwrap()], content].concat()
}

fn vector16(content: &[u8]) -> Vec<u8> {
    [&u16::try_from(content.len()).unwrap().to_be_bytes(), content].concat()
}

/// A message in records of at most `size` bytes each.
fn records(message: &[u8], size: usize) -> Vec<u8> {
    message.chunks(size).flat_map(|piece| [&[22, 3, 1][..], &vector16(piece)].concat()).collect()
}

fn decode(stream: &[u8]) -> Result<ClientHello, ClientHelloError> {
    ClientHelloDecoder::new().decode(stream).map(|hello| hello.expect("a whole hello"))
}

fn list16(codes: &[u16]) -> Vec<u8> {
    vector16(&bytes(codes))
}

/// The example of JA4.md: its ciphers, extensions and signature algorithms as they came.
fn example(signatures: &[u16]) -> Parts {
    let ciphers = [
        0x1301, 0x1302, 0x1303, 0xc02b, 0xc02f, 0xc02c, 0xc030, 0xcca9, 0xcca8, 0xc013, 0xc014, 0x009c, 0x009d, 0x002f,
        0x0035,
    ];
    let kinds = [
        0x001b, 0x0000, 0x0033, 0x0010, 0x4469, 0x0017, 0x002d, 0x000d, 0x0005, 0x0023, 0x0012, 0x002b, 0xff01, 0x000b,
        0x000a, 0x0015,
    ];
    let content = |kind| match kind {
        0x0000 => vector16(&[&[0], &vector16(b"example.com")[..]].concat()),
        0x0010 => vector16(&[vector8(b"h2"), vector8(b"http/1.1")].concat()),
        0x0033 => vector16(&[]),
        0x000d => list16(signatures),
        0x002b => vector8(&bytes(&[0x0304, 0x0303])),
        0x000b => vector8(&[0]),
        0x000a => list16(&[29]),
        _ => Vec::new(),
    };
    let extensions =
        kinds.iter().filter(|kind| **kind != 0x000d || !signatures.is_empty()).map(|&kind| (kind, content(kind)));
    Parts::new(0x0303, &ciphers, extensions.collect())
}

const SIGNATURES: [u16; 8] = [0x0403, 0x0804, 0x0401, 0x0503, 0x0805, 0x0501, 0x0806, 0x0601];

/// <https://github.com/FoxIO-LLC/ja4/blob/main/technical_details/JA4.md>, sections "Example" and "Raw Output".
#[test]
fn ja4_is_that_of_the_published_example_in_all_four_forms() {
    let hello = example(&SIGNATURES).decode().unwrap();
    assert_eq!(hello.ja4(), "t13d1516h2_8daaf6152771_e5627efa2ab1");
    assert_eq!(
        hello.ja4_r(),
        "t13d1516h2_002f,0035,009c,009d,1301,1302,1303,c013,c014,c02b,c02c,c02f,c030,cca8,cca9_\
         0005,000a,000b,000d,0012,0015,0017,001b,0023,002b,002d,0033,4469,ff01_0403,0804,0401,0503,0805,0501,0806,0601"
    );
    assert_eq!(hello.ja4_o(), "t13d1516h2_acb858a92679_18f69afefd3d");
    assert_eq!(
        hello.ja4_ro(),
        "t13d1516h2_1301,1302,1303,c02b,c02f,c02c,c030,cca9,cca8,c013,c014,009c,009d,002f,0035_\
         001b,0000,0033,0010,4469,0017,002d,000d,0005,0023,0012,002b,ff01,000b,000a,0015_0403,0804,0401,0503,0805,0501,0806,0601"
    );
}

/// The same page, "Extension hash": without signature algorithms there is no underscore. Its example has still the
/// extension itself, which cannot be empty on the wire, in the list; so here it is a list of one GREASE code.
#[test]
fn ja4_without_signature_algorithms_and_without_extensions() {
    let hello = example(&[0x0a0a]).decode().unwrap();
    assert_eq!(hello.ja4(), "t13d1516h2_8daaf6152771_6d807ffa2a79");
    assert!(hello.ja4_r().ends_with(",4469,ff01"));
    let named = Parts::new(0x0301, &[0x0a0a, 0x0005], vec![(0, vector16(&[&[0], &vector16(b"a.test")[..]].concat()))]);
    assert!(named.decode().unwrap().ja4_o().ends_with("_000000000000"), "{}", named.decode().unwrap().ja4_o());
    let bare = Parts { extensions: None, ..Parts::new(0x0300, &[0x0a0a], Vec::new()) };
    assert_eq!(bare.decode().unwrap().ja4(), "ts3i000000_000000000000_000000000000");
}

/// The same page, "ALPN Extension Value".
#[test]
fn ja4_takes_the_ends_of_the_first_protocol() {
    for (name, expected) in [
        (&b"h2"[..], "h2"),
        (b"http/1.1", "h1"),
        (b"x", "xx"),
        (b"\xab", "ab"),
        (b"\xab\xcd", "ad"),
        (b"\x30\xab", "3b"),
        (b"\x30\x31\xab\xcd", "3d"),
        (b"\x30\xab\xcd\x31", "01"),
    ] {
        let hello = Parts::new(0x0303, &[1], vec![(16, vector16(&[vector8(name), vector8(b"h2")].concat()))]);
        assert_eq!(hello.decode().unwrap().ja4().split('_').next(), Some(&*format!("t12i0101{expected}")), "{name:?}");
    }
}

/// The same page, "TLS and DTLS Version": the highest that is offered, whatever its place, and never GREASE.
#[test]
fn ja4_takes_the_highest_version() {
    for (legacy, offered, expected) in [
        (0x0303, &[][..], "12"),
        (0x0302, &[], "11"),
        (0x0301, &[], "10"),
        (0x0300, &[], "s3"),
        (0x0002, &[], "s2"),
        (0x0999, &[], "00"),
        (0x0303, &[0x0303, 0xfafa, 0x0304], "13"),
        (0x0303, &[0x0302], "11"),
        (0x0303, &[0x1a1a], "12"),
    ] {
        let extension = (!offered.is_empty()).then(|| (43, vector8(&bytes(offered))));
        let hello = Parts::new(legacy, &[1], extension.into_iter().collect()).decode().unwrap();
        assert_eq!(&hello.ja4()[1..3], expected, "{legacy:#x} {offered:x?}");
    }
}

/// The two examples of <https://github.com/salesforce/ja3>, "How it works".
#[test]
fn ja3_is_that_of_the_published_examples() {
    let groups = |kinds: &[u16]| {
        let content = |kind| match kind {
            10 => list16(&[23, 24, 25]),
            11 => vector8(&[0]),
            _ => vector16(&[&[0], &vector16(b"a.test")[..]].concat()),
        };
        kinds.iter().map(|&kind| (kind, content(kind))).collect()
    };
    let first = [47, 53, 5, 10, 49161, 49162, 49171, 49172, 50, 56, 19, 4];
    let hello = Parts::new(769, &first, groups(&[0, 10, 11])).decode().unwrap();
    assert_eq!(hello.ja3_string(), "769,47-53-5-10-49161-49162-49171-49172-50-56-19-4,0-10-11,23-24-25,0");
    assert_eq!(hello.ja3(), "ada70206e40642a3e4461f35503241d5");
    let second = [4, 5, 10, 9, 100, 98, 3, 6, 19, 18, 99];
    let hello = Parts { extensions: None, ..Parts::new(769, &second, Vec::new()) }.decode().unwrap();
    assert_eq!(hello.ja3_string(), "769,4-5-10-9-100-98-3-6-19-18-99,,,");
    assert_eq!(hello.ja3(), "de350869b8c85de67a350c8d186f11e6");
}

/// What a server name may be, RFC 6066 section 3: names that are none are kept as they came.
#[test]
fn a_server_name_is_a_name_or_bytes() {
    let long = vec![b'a'; 300];
    for (bytes, name) in [
        (&b"Example.COM"[..], Some("example.com")),
        (b"example.com.", Some("example.com")),
        (b"127.0.0.1", None),
        (b"[::1]", None),
        (b"a b", None),
        (b"xn--nxasmq6b", Some("xn--nxasmq6b")),
        ("b\u{fc}cher.test".as_bytes(), None),
        (b"\xff\xfe", None),
        (&long, None),
    ] {
        let hello =
            Parts::new(0x0303, &[1], vec![(0, vector16(&[&[0], &vector16(bytes)[..]].concat()))]).decode().unwrap();
        assert_eq!(hello.server_name().map(Domain::as_str), name);
        assert_eq!(hello.server_name_bytes(), Some(bytes));
    }
    // A name of a type that nobody has defined comes first; it is passed over.
    let two = [&[9][..], &vector16(b"?"), &[0], &vector16(b"a.test")].concat();
    let hello = Parts::new(0x0303, &[1], vec![(0, vector16(&two))]).decode().unwrap();
    assert_eq!(hello.server_name().map(Domain::as_str), Some("a.test"));
}

/// Each of these is a well-formed hello but for one thing.
#[test]
fn what_is_wrong_in_a_message_is_named_with_its_place() {
    use ClientHelloErrorKind as Kind;
    use HelloPart as Part;
    let with = |kind, content: &[u8]| Parts::new(0x0303, &[0x1301], vec![(kind, content.to_vec())]);
    let good = Parts::new(0x0303, &[0x1301], Vec::new());
    let odd = |part| Kind::Length(part);
    let ext = Part::Extension;
    for (parts, kind, position) in [
        (Parts { session_id: vec![0; 33], ..good.clone() }, odd(Part::SessionId), 39),
        (Parts { ciphers: Vec::new(), ..good.clone() }, odd(Part::CipherSuites), 41),
        (Parts { compression: Vec::new(), ..good.clone() }, odd(Part::CompressionMethods), 44),
        (with(10, &[0, 3, 0, 29, 0]), odd(ext(10)), 53),
        (with(10, &[0, 0]), odd(ext(10)), 53),
        (with(10, &[0, 2, 0, 29, 0]), Kind::Long(ext(10)), 55),
        (with(10, &[0, 9, 0, 29]), Kind::Short(ext(10)), 53),
        (with(10, &[0]), Kind::Short(ext(10)), 51),
        (with(11, &[0]), odd(ext(11)), 52),
        (with(13, &[]), Kind::Short(ext(13)), 51),
        (with(16, &[0, 1, 0]), odd(ext(16)), 54),
        (with(16, &[0, 3, 3, b'h', b'2']), Kind::Short(ext(16)), 54),
        (with(16, &[0, 0]), odd(ext(16)), 53),
        (with(43, &[3, 3, 4, 3]), odd(ext(43)), 52),
        (with(51, &[0, 4, 0, 29, 0, 0]), odd(ext(51)), 57),
        (with(51, &[0, 3, 0, 29, 0]), Kind::Short(ext(51)), 55),
        (with(0, &[0, 0]), odd(ext(0)), 53),
        (with(0, &[0, 3, 0, 0, 0]), odd(ext(0)), 56),
        (with(0, &[0, 8, 0, 0, 1, b'a', 0, 0, 1, b'b']), Kind::Repeated(ext(0)), 57),
        (with(0xfe0d, &[]), Kind::Short(ext(0xfe0d)), 51),
    ] {
        let error = parts.decode().unwrap_err();
        assert_eq!((error.kind(), error.position()), (kind, position), "{error}");
        assert!(error.to_string().ends_with("of the message"), "{error}");
    }
    let twice = Parts::new(0x0303, &[0x1301], vec![(0x1234, Vec::new()), (0xff01, vec![0]), (0x1234, Vec::new())]);
    assert_eq!(
        twice.decode().unwrap_err().to_string(),
        "an extension 0x1234 that repeats itself, at byte 56 of the message"
    );
    // The block of extensions ends before the message does, and the other way round.
    let mut message = Parts { extensions: Some(vec![(35, Vec::new())]), ..good }.message();
    message[46] = 3;
    let error = decode(&records(&message, 1 << 14)).unwrap_err();
    assert_eq!((error.kind(), error.position()), (Kind::Long(Part::Message), 50));
    message[46] = 5;
    let error = decode(&records(&message, 1 << 14)).unwrap_err();
    assert_eq!((error.kind(), error.position()), (Kind::Short(Part::Extensions), 47));
}

/// RFC 8446 section 5.1. Whatever comes next, the byte that says so is the last that is looked at.
#[test]
fn what_is_wrong_with_records_is_named_with_its_place() {
    use ClientHelloErrorKind as Kind;
    let limit = ClientHelloDecoder::DEFAULT_LIMIT;
    for (stream, kind, position) in [
        (&b"GET / HTTP/1.1\r\n"[..], Kind::NotTls, 0),
        (b"\x16a", Kind::NotTls, 1),
        (&[22, 3, 1, 0, 0], Kind::NotTls, 4),
        (&[22, 3, 1, 0x40, 1], Kind::NotTls, 4),
        (&[22, 3, 3, 0, 9, 2], Kind::MessageType(2), 5),
        (&[22, 3, 1, 0, 1, 1, 21], Kind::RecordType(21), 6),
        (&[22, 3, 1, 0, 1, 1, 22, 2], Kind::RecordVersion(2), 7),
        (&[22, 3, 1, 0, 1, 1, 22, 3, 3, 0, 0], Kind::RecordLength(0), 10),
        (&[22, 3, 1, 0, 1, 1, 22, 3, 3, 0xff, 0xff], Kind::RecordLength(0xffff), 10),
        (&[22, 3, 1, 0x40, 0, 1, 0xff, 0xff, 0xff], Kind::TooLong { limit }, 9),
        (&[22, 3, 1, 0, 9, 1, 0, 0, 4], Kind::RecordGoesOn, 13),
        (&[22, 3, 1, 0, 5, 1, 0, 0, 4, 3, 22, 3, 1, 0, 4], Kind::RecordGoesOn, 18),
    ] {
        for (first, second) in splits(stream) {
            let mut decoder = ClientHelloDecoder::new();
            let error = decoder.decode(first).and_then(|_| decoder.decode(second)).unwrap_err();
            assert_eq!((error.kind(), error.position()), (kind, position), "{error}");
            assert!(error.to_string().ends_with("of the stream"), "{error}");
            assert_eq!(decoder.decode(stream), Ok(None), "it is over");
        }
        // Without its last byte it could still become a hello.
        assert_eq!(ClientHelloDecoder::new().decode(&stream[..position.min(stream.len() - 1)]), Ok(None));
    }
}

/// As with keys of post-quantum schemes: 16 KiB of them fit, in records of any size, and more than the limit is refused as
/// soon as the length is known.
#[test]
fn tls_10_a_hello_of_more_than_a_record() {
    let share = [&[0x63, 0x99][..], &vector16(&[0xab; 16_000]), &[0, 29], &vector16(&[0xcd; 32])].concat();
    let parts =
        Parts::new(0x0303, &[0x1301], vec![(10, list16(&[0x6399, 29])), (51, vector16(&share)), (21, vec![0; 350])]);
    let message = parts.message();
    assert!(message.len() > 1 << 14, "{}", message.len());
    for size in [1 << 14, 5000, 300, 7] {
        let stream = records(&message, size);
        for chunking in
            [Chunking::Whole, Chunking::Bytes(1), Chunking::Bytes(1460), Chunking::Random { seed: 3, max: 900 }]
        {
            let mut decoder = ClientHelloDecoder::new();
            let mut pieces = chunking.cut(&stream);
            let hello = pieces.find_map(|piece| decoder.decode(piece).unwrap()).unwrap();
            assert_eq!(hello.key_share_groups(), [0x6399, 29]);
            assert_eq!(hello.extensions(), [10, 51, 21]);
            assert_eq!(pieces.next(), None, "the last byte was needed");
        }
    }
    // In records of a byte each it is six times as long.
    let error = decode(&records(&message, 1)).unwrap_err();
    assert_eq!(error.kind(), ClientHelloErrorKind::TooLong { limit: 32 * 1024 });
    let stream = records(&message, 1 << 14);
    assert!(ClientHelloDecoder::new().with_limit(stream.len()).decode(&stream).unwrap().is_some());
    let error = ClientHelloDecoder::new().with_limit(stream.len() - 1).decode(&stream).unwrap_err();
    assert_eq!(error.position(), stream.len() - (message.len() - (1 << 14)), "at the second record");
}

/// Whoever reads as many bytes as the limit says has the hello or an error.
#[test]
fn no_byte_beyond_the_limit_is_waited_for() {
    for size in [1, 2, 50, 1 << 14] {
        let stream = records(&example(&SIGNATURES).message(), size);
        for limit in 6..stream.len() {
            let outcome = ClientHelloDecoder::new().with_limit(limit).decode(&stream[..limit]);
            assert_eq!(outcome.unwrap_err().kind(), ClientHelloErrorKind::TooLong { limit }, "{size} {limit}");
        }
        assert!(ClientHelloDecoder::new().with_limit(stream.len()).decode(&stream).unwrap().is_some());
    }
}

/// Any byte of a hello may be anything: the outcome is the same however it comes, and it is never a panic.
#[test]
fn a_damaged_hello_is_read_alike_in_any_pieces() {
    let stream = records(&example(&SIGNATURES).message(), 100);
    for at in 0..stream.len() {
        for value in [0, 1, 3, 0x7f, 0xff, stream[at].wrapping_add(1)] {
            let mut damaged = stream.clone();
            damaged[at] = value;
            let whole = ClientHelloDecoder::new().decode(&damaged);
            let mut decoder = ClientHelloDecoder::new();
            let dripped = damaged.iter().find_map(|byte| decoder.decode(&[*byte]).transpose()).transpose();
            assert_eq!(whole, dripped, "byte {at} as {value:#x}");
        }
    }
}
