use chaski_core::{
    Conn,
    test_util::{Chunking, PipeDirection, PipeOptions, splits},
};
use proptest::prelude::*;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use super::{
    FingerprintReader, FingerprintTap, Http2Fingerprint,
    PseudoHeader::{self, Authority, Method, Path, Protocol, Scheme},
    Reading, StreamPriority,
    hpack::{BlockReader, Malformed},
};

/// What real programs sent, with the command in the first line of each file; and how an independent reader of frames and
/// header blocks (the Python packages hyperframe 6.1 and hpack 4.2) reads them, in the published form.
const CAPTURES: [(&str, &str); 10] = [
    (include_str!("captures/curl-7.88.1.hex"), "3:100;4:33554432;2:0|33488897|0|m,p,s,a"),
    (
        include_str!("captures/nghttp-1.52.0.hex"),
        "3:100;4:65535|00|3:0:0:201,5:0:0:101,7:0:0:1,9:0:7:1,11:0:3:1|m,p,s,a",
    ),
    (include_str!("captures/h2load-1.52.0.hex"), "2:0;4:1073741823|1073676288|0|p,s,a,m"),
    (include_str!("captures/node-20.20.2.hex"), "|00|0|p,m,a,s"),
    (include_str!("captures/httpx-0.28.1.hex"), "1:4096;2:0;4:65535;5:16384;3:100;6:65536|16777216|0|m,a,s,p"),
    (include_str!("captures/chrome99.hex"), "1:65536;3:1000;4:6291456;6:262144|15663105|0|m,a,s,p"),
    (include_str!("captures/chrome131.hex"), "1:65536;2:0;4:6291456;6:262144|15663105|0|m,a,s,p"),
    (include_str!("captures/firefox144.hex"), "1:65536;2:0;4:131072;5:16384|12517377|0|m,p,a,s"),
    (include_str!("captures/safari155.hex"), "4:4194304;3:100|10485760|0|m,s,p,a"),
    (include_str!("captures/safari260.hex"), "2:0;3:100;4:2097152;9:1|10420225|0|m,s,a,p"),
];

/// Forms and their MD5 as services and lists have published them: that of Chrome 143 by browserleaks.com, the others as
/// reference values of programs that take the shape of a browser and are compared with it.
const PUBLISHED: [(&str, &str); 5] = [
    ("1:65536;2:0;4:6291456;6:262144|15663105|0|m,a,s,p", "52d84b11737d980aef856699f885ca86"),
    ("1:65536;3:1000;4:6291456;6:262144|15663105|0|m,a,s,p", "4f04edce68a7ecbe689edce7bf5f23f3"),
    ("1:65536;2:0;4:131072;5:16384|12517377|0|m,p,a,s", "6ea73faa8fc5aac76bded7bd238f6433"),
    ("2:0;3:100;4:2097152;9:1|10420225|0|m,s,a,p", "c52879e43202aeb92740be6e8c86ea96"),
    (
        "1:65536;4:131072;5:16384|12517377|3:0:0:201,5:0:0:101,7:0:0:1,9:0:7:1,11:0:3:1,13:0:0:241|m,p,a,s",
        "3d9132023bf26a71d40fe766e5c24c9d",
    ),
];

/// The examples of the paper (section 4.0), with the orders of pseudo-header fields that its table has for these clients.
const PAPER: [&str; 5] = [
    "1:65536;3:1000;4:6291456|15663105|0|m,a,s,p",
    "1:65536;4:131072;5:16384|12517377|3:0:0:201,5:0:0:101,7:0:0:1,9:0:7:1,11:0:3:1|m,p,a,s",
    "1:4096;4:32768;5:16384|12517377|3:0:0:201,5:0:0:101,7:0:0:1,9:0:7:1,11:0:3:1|m,p,a,s",
    "2:0;4:4194304;6:10485760|1073741824|0|a,m,p,s",
    "3:100;4:1073741824;2:0|1073676289|0|m,p,s,a",
];

const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

#[test]
fn captures_of_real_programs_are_read_as_others_read_them() {
    for (capture, expected) in CAPTURES {
        assert_eq!(found(&bytes(capture)).to_string(), expected);
    }
}

#[test]
fn published_forms_come_back_and_have_the_published_hash() {
    for (form, hash) in PUBLISHED {
        let fingerprint = found(&opening(form));
        assert_eq!((fingerprint.to_string().as_str(), fingerprint.akamai_hash().as_str()), (form, hash));
    }
    for form in PAPER {
        assert_eq!(found(&opening(form)).to_string(), form);
    }
}

/// What nghttp and the shape of Chrome say of their first request, which the published form leaves out.
#[test]
fn the_first_requests_own_priority_is_told() {
    let priority = |capture: &str| found(&bytes(capture)).request_priority();
    assert_eq!(priority(CAPTURES[1].0), Some(StreamPriority { stream: 13, exclusive: false, parent: 11, weight: 16 }));
    assert_eq!(priority(CAPTURES[6].0), Some(StreamPriority { stream: 1, exclusive: true, parent: 0, weight: 256 }));
    assert_eq!(priority(CAPTURES[0].0), None);
}

#[test]
fn any_split_gives_the_same() {
    for (capture, expected) in CAPTURES {
        let bytes = bytes(capture);
        for (first, second) in splits(&bytes) {
            assert_eq!(read([first, second]).unwrap().to_string(), expected);
        }
        for pieces in [Chunking::Bytes(1), Chunking::Bytes(2), Chunking::Random { seed: 7, max: 20 }] {
            assert_eq!(read(pieces.cut(&bytes)).unwrap().to_string(), expected);
        }
    }
}

/// It has its result with the last pseudo-header field, if a regular one follows, and else with the end of the block.
#[test]
fn it_steps_aside_as_soon_as_it_can() {
    // "GET http /" and then the first byte of an `accept` (RFC 7541 appendix A, entry 19).
    let begun = [PREFACE, &frame(4, 0, 0, &[]), &[0, 1, 0, 1, 4, 0, 0, 0, 1, 0x82, 0x86, 0x84, 0x0f]].concat();
    assert!(read([&begun]).is_none());
    assert_eq!(read([&begun, &[4][..]]).unwrap().pseudo_headers(), [Method, Scheme, Path]);
    let mut reader = FingerprintReader::default();
    assert!(matches!(reader.read(&[&begun[..], &[4]].concat()), Reading::Found(_)));
    assert_eq!(reader.read(b"more"), Reading::GaveUp);
}

#[test]
fn header_blocks_go_on_over_frames_and_padding() {
    let parts = [
        // Padded with three bytes, with a priority.
        frame(1, 0x28, 5, &[3, 0x80, 0, 0, 0, 9, 0x82, 0, 0, 0]),
        frame(9, 0, 5, &[0x86, 0x44]),
        frame(9, 0, 5, &[]),
        frame(9, 4, 5, &[3, b'/', b'a', b'b']),
    ];
    let fingerprint = found(&[PREFACE, &frame(4, 0, 0, &[]), &parts.concat()].concat());
    assert_eq!(fingerprint.pseudo_headers(), [Method, Scheme, Path]);
    let priority = StreamPriority { stream: 5, exclusive: true, parent: 0, weight: 10 };
    assert_eq!(fingerprint.request_priority(), Some(priority));
}

/// A client that waits for the server before it asks, sends acknowledgements, pings and changes meanwhile; GREASE too.
#[test]
fn other_frames_are_passed_over() {
    let frames = [
        frame(4, 0, 0, &[0, 4, 0, 1, 0, 0]),
        frame(4, 1, 0, &[]),
        frame(4, 0, 0, &[0, 4, 0, 2, 0, 0]),
        frame(6, 0, 0, &[1; 8]),
        frame(8, 0, 0, &[0x80, 0, 0, 7]),
        frame(8, 0, 0, &[0, 0, 0, 8]),
        frame(8, 0, 3, &[0, 0, 0, 9]),
        frame(0xfa, 0xff, 0x7fff_ffff, &[0; 300]),
        frame(1, 5, 1, &[0x82, 0x87, 0x84]),
    ];
    assert_eq!(found(&[PREFACE, &frames.concat()].concat()).to_string(), "4:65536|7|0|m,s,p");
}

#[test]
fn what_is_no_opening_is_given_up() {
    let settings = frame(4, 0, 0, &[]);
    let request = frame(1, 5, 1, &[0x82, 0x86, 0x84]);
    let cases: [(&str, Vec<u8>); 14] = [
        ("another protocol", b"GET / HTTP/1.1\r\nhost: a\r\n\r\n".to_vec()),
        ("a request without settings", [PREFACE, &request].concat()),
        ("settings that are an acknowledgement", [PREFACE, &frame(4, 1, 0, &[]), &request].concat()),
        ("settings of a stream", [PREFACE, &frame(4, 0, 1, &[]), &request].concat()),
        ("settings of an odd length", [PREFACE, &frame(4, 0, 0, &[0; 7]), &request].concat()),
        ("too many settings", [PREFACE, &frame(4, 0, 0, &[0; 33 * 6]), &request].concat()),
        ("a window update of an odd length", [PREFACE, &settings, &frame(8, 0, 0, &[0; 5]), &request].concat()),
        ("a request of no stream", [PREFACE, &settings, &frame(1, 0, 0, &[]), &request].concat()),
        ("too many priorities", [PREFACE, &settings, &frame(2, 0, 3, &[0; 5]).repeat(33), &request].concat()),
        ("padding beyond the frame", [PREFACE, &settings, &frame(1, 0xc, 1, &[9, 0x82])].concat()),
        ("a priority beyond the frame", [PREFACE, &settings, &frame(1, 0x24, 1, &[0; 4]), &[0; 9]].concat()),
        (
            "a block that is interrupted",
            [PREFACE, &settings, &frame(1, 0, 1, &[0x82]), &frame(6, 0, 0, &[0; 8])].concat(),
        ),
        ("a block of another stream", [PREFACE, &settings, &frame(1, 0, 1, &[0x82]), &frame(9, 4, 3, &[])].concat()),
        ("a block that ends in a field", [PREFACE, &settings, &frame(1, 4, 1, &[0x82, 0x44])].concat()),
    ];
    for (name, bytes) in cases {
        let mut reader = FingerprintReader::default();
        assert_eq!(reader.read(&bytes), Reading::GaveUp, "{name}");
        assert_eq!(read(Chunking::Bytes(1).cut(&bytes)), None, "{name}");
    }
}

#[test]
fn the_limit_of_bytes_holds_exactly() {
    let settings = [PREFACE, &frame(4, 0, 0, &[])].concat();
    let request = frame(1, 5, 1, &[0x82, 0x86, 0x84]);
    let room = FingerprintReader::MAX_BYTES - settings.len() - request.len();
    for (filler, fits) in [(room, true), (room + 1, false)] {
        let bytes = [&settings[..], &frame(0xfa, 0, 0, &vec![0; filler - 9]), &request].concat();
        assert_eq!(read([&bytes]).is_some(), fits);
        assert_eq!(read(Chunking::Bytes(7).cut(&bytes)).is_some(), fits);
    }
    let mut reader = FingerprintReader::default();
    assert_eq!(reader.read(&[&settings[..], &[0xff; 40_000]].concat()), Reading::GaveUp);
}

type Fields = Result<&'static [PseudoHeader], Malformed>;

/// The examples of RFC 7541 appendix C, where the blocks are those of requests; and fields in the other representations, whose
/// Huffman codes are those of the Python package hpack 4.2.
#[test]
fn header_blocks_are_read_in_every_representation() {
    let long = [&[0x44, 0x7f, 0x81, 0x01][..], &[b'/'; 256]].concat();
    let cases: [(&[u8], Fields); 15] = [
        // C.3.1 and C.4.1: the same request, plain and in the Huffman code.
        (b"\x82\x86\x84\x41\x0fwww.example.com", Ok(&[Method, Scheme, Path, Authority])),
        (
            b"\x82\x86\x84\x41\x8c\xf1\xe3\xc2\xe5\xf2\x3a\x6b\xa0\xab\x90\xf4\xff",
            Ok(&[Method, Scheme, Path, Authority]),
        ),
        // C.2.1 and C.2.3: names of regular fields that are written out. C.2.2: a literal that has the name of an entry.
        (b"\x40\x0acustom-key\x0dcustom-header", Ok(&[])),
        (b"\x10\x08password\x06secret", Ok(&[])),
        (b"\x04\x0c/sample/path", Ok(&[Path])),
        // A new table size first, then names that are written out, plain and in the Huffman code.
        (b"\x3f\xe1\x1f\x00\x07:scheme\x04http\x40\x85\xb9\x49\x53\x39\xe4\x03GET", Ok(&[Scheme, Method])),
        (b"\x00\x88\xb8\x3b\x53\x39\xec\x32\x7d\x7f\x01a\x00\x84\xb9\x58\xd3\x3f\x01/", Ok(&[Authority, Path])),
        (b"\x00\x87\xb9\x5d\x87\x49\xc8\x7a\x3f\x09websocket\x00\x85\xb8\x82\x4e\x5a\x4b\x00", Ok(&[Protocol, Scheme])),
        (&long, Ok(&[Path])),
        // What the block itself has put into the table: entry 62 is the newest.
        (b"\x43\x03PUT\x47\x05https\xbf", Ok(&[Method, Scheme, Method])),
        (b"\xbe", Err(Malformed)),
        // No entry, a status, an unknown name, an empty one; a number without end.
        (b"\x80", Err(Malformed)),
        (b"\x88", Err(Malformed)),
        (b"\x00\x05:what\x00", Err(Malformed)),
        (b"\x7f\xff\xff\xff\xff\xff", Err(Malformed)),
    ];
    for (block, expected) in cases {
        for pieces in [Chunking::Whole, Chunking::Bytes(1)] {
            let mut reader = BlockReader::default();
            let read = pieces.cut(block).try_for_each(|piece| reader.read(piece).map(|_| ()));
            let fields = read.and_then(|()| reader.finish());
            assert_eq!(fields.as_deref(), expected.as_ref().copied(), "{block:x?}");
        }
    }
}

#[tokio::test]
async fn a_tap_leaves_the_fact_ahead_of_the_request_and_then_steps_aside() {
    for reads in [Chunking::Whole, Chunking::Bytes(1), Chunking::Bytes(100)] {
        let (mut client, server) = PipeOptions::both(PipeDirection { reads, ..PipeDirection::default() }).pipe();
        let mut conn = FingerprintTap::tap(Conn::new(server));
        let (capture, form) = CAPTURES[6];
        let sent = bytes(capture);
        client.write_all(&sent).await.unwrap();
        client.write_all(b"more").await.unwrap();
        let mut received = vec![0; sent.len()];
        conn.io.read_exact(&mut received).await.unwrap();
        assert_eq!(received, sent);
        assert_eq!(conn.ext.get::<Http2Fingerprint>().map(ToString::to_string).as_deref(), Some(form));
        assert!(!conn.io.looks());
        let mut rest = [0; 4];
        conn.io.read_exact(&mut rest).await.unwrap();
        assert_eq!(&rest, b"more");
        conn.io.write_all(b"answer").await.unwrap();
        let mut answer = [0; 6];
        client.read_exact(&mut answer).await.unwrap();
        assert_eq!(&answer, b"answer");
    }
}

#[tokio::test]
async fn a_tap_steps_aside_from_what_is_no_http2() {
    let (mut client, server) = PipeOptions::default().pipe();
    let mut conn = FingerprintTap::tap(Conn::new(server));
    client.write_all(b"GET / HTTP/1.1\r\nhost: a\r\n\r\n").await.unwrap();
    let mut received = [0; 27];
    conn.io.read_exact(&mut received).await.unwrap();
    assert!(!conn.io.looks());
    assert!(conn.ext.is_empty());
}

proptest! {
    #[test]
    fn nothing_panics_and_splits_do_not_matter(
        opening in 0..CAPTURES.len(),
        cut in 0..600_usize,
        noise in prop::collection::vec(any::<u8>(), 0..200),
        seed: u64,
    ) {
        let mut bytes = bytes(CAPTURES[opening].0);
        bytes.truncate(cut);
        bytes.extend(noise);
        let whole = read([&bytes]);
        prop_assert_eq!(&read(Chunking::Random { seed, max: 9 }.cut(&bytes)), &whole);
        prop_assert_eq!(read(Chunking::Bytes(1).cut(&bytes)), whole);
    }
}

/// What a reader makes of these pieces; `None` when it gives up, or has not enough.
fn read<'a, B: AsRef<[u8]> + 'a>(pieces: impl IntoIterator<Item = B>) -> Option<Http2Fingerprint> {
    let mut reader = FingerprintReader::default();
    pieces.into_iter().find_map(|piece| match reader.read(piece.as_ref()) {
        Reading::Found(found) => Some(Some(found)),
        Reading::GaveUp => Some(None),
        Reading::Unfinished => None,
    })?
}

fn found(bytes: &[u8]) -> Http2Fingerprint {
    read([bytes]).expect("a fingerprint")
}

/// The bytes of a capture.
fn bytes(capture: &str) -> Vec<u8> {
    let digits: String = capture.lines().filter(|line| !line.starts_with('#')).collect();
    let byte = |at| u8::from_str_radix(&digits[at..at + 2], 16).unwrap();
    (0..digits.len()).step_by(2).map(byte).collect()
}

/// The frames of a client that has this published form.
fn opening(form: &str) -> Vec<u8> {
    let numbers = |text: &str| -> Vec<u32> { text.split(':').map(|number| number.parse().unwrap()).collect() };
    let parts: Vec<&str> = form.split('|').collect();
    let settings = parts[0].split(';').map(numbers);
    let settings: Vec<u8> =
        settings.flat_map(|setting| [&setting[0].to_be_bytes()[2..], &setting[1].to_be_bytes()].concat()).collect();
    let mut bytes = [PREFACE, &frame(4, 0, 0, &settings)].concat();
    if parts[1] != "00" {
        bytes.extend(frame(8, 0, 0, &parts[1].parse::<u32>().unwrap().to_be_bytes()));
    }
    for priority in parts[2].split(',').filter(|part| *part != "0").map(numbers) {
        let mut payload = (priority[1] << 31 | priority[2]).to_be_bytes().to_vec();
        payload.push(u8::try_from(priority[3] - 1).unwrap());
        bytes.extend(frame(2, 0, priority[0], &payload));
    }
    let field = |letter| match letter {
        "m" => &b"\x82"[..],
        "p" => b"\x84",
        "s" => b"\x87",
        _ => b"\x41\x01a",
    };
    bytes.extend(frame(1, 5, 15, &parts[3].split(',').flat_map(field).copied().collect::<Vec<u8>>()));
    bytes
}

fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    let length = u32::try_from(payload.len()).unwrap().to_be_bytes();
    [&length[1..], &[kind, flags], &stream.to_be_bytes(), payload].concat()
}
