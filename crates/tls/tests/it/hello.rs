//! ClientHellos of real programs, captured, and what others read in them.

use chaski_core::test_util::{Chunking, splits};
use chaski_tls::hello::ClientHelloDecoder;

use crate::captures::Capture;

#[test]
fn hellos_of_real_programs_are_read_as_others_read_them() {
    for capture in Capture::all() {
        capture.check(&capture.hello());
    }
}

/// TLS-10: a byte at a time, in two pieces cut anywhere, in pieces of any size, and in records of any size.
#[test]
fn tls_10_a_hello_in_pieces_is_the_hello_in_one() {
    for capture in Capture::all() {
        let stream = &capture.stream;
        let hello = capture.hello();
        for (first, second) in splits(stream) {
            let mut decoder = ClientHelloDecoder::new();
            match decoder.decode(first).unwrap() {
                None => assert_eq!(decoder.decode(second).unwrap().as_ref(), Some(&hello)),
                Some(early) => assert!(early == hello && second.is_empty()),
            }
        }
        let sizes = [Chunking::Bytes(1), Chunking::Bytes(3), Chunking::Bytes(536)];
        for chunking in sizes.into_iter().chain((0..50).map(|seed| Chunking::Random { seed, max: 400 })) {
            let mut decoder = ClientHelloDecoder::new();
            let mut pieces = chunking.cut(stream);
            let read = pieces.find_map(|piece| decoder.decode(piece).unwrap());
            assert_eq!((read.as_ref(), pieces.next()), (Some(&hello), None), "{}: {chunking:?}", capture.name);
        }
        for size in [1, 2, 3, 4, 5, 100, 511] {
            let stream = in_records(stream, size);
            let mut decoder = ClientHelloDecoder::new();
            let read = stream.iter().find_map(|&byte| decoder.decode(&[byte]).unwrap()).unwrap();
            capture.check(&read);
        }
    }
}

/// The message of a stream in other records.
fn in_records(mut stream: &[u8], size: usize) -> Vec<u8> {
    let head = [stream[0], stream[1], stream[2]];
    let mut message = Vec::new();
    while let [_, _, _, high, low, rest @ ..] = stream {
        let (fragment, behind) = rest.split_at(usize::from(u16::from_be_bytes([*high, *low])));
        message.extend_from_slice(fragment);
        stream = behind;
    }
    message
        .chunks(size)
        .flat_map(|piece| [&head[..], &u16::try_from(piece.len()).unwrap().to_be_bytes(), piece].concat())
        .collect()
}

/// Browsers draw other GREASE on each connection, and Chrome shuffles its extensions. JA4 stays; so does JA3 where nothing
/// was shuffled.
#[test]
fn one_browser_has_one_ja4() {
    for (shape, is_shuffled) in [("chrome110", true), ("chrome131", true), ("firefox135", false)] {
        let (first, second) = (Capture::named(shape), Capture::named(&format!("{shape}_again")));
        assert_ne!(first.stream, second.stream, "two connections");
        let (first, second) = (first.hello(), second.hello());
        assert_eq!((first.ja4(), first.ja4_r()), (second.ja4(), second.ja4_r()));
        assert_eq!(first.ja3() != second.ja3(), is_shuffled, "{shape}");
        assert_eq!(first.ja4_o() != second.ja4_o(), is_shuffled, "{shape}");
        assert_eq!(first.has_grease(), shape.starts_with("chrome"), "{shape}");
        assert_eq!(first.cipher_suites() == second.cipher_suites(), !first.has_grease(), "{shape}");
    }
}

/// JA4 of these browsers as they stand in public databases of fingerprints.
#[test]
fn browsers_have_the_ja4_that_was_published_for_them() {
    for (name, ja4) in [
        ("chrome110", "t13d1516h2_8daaf6152771_e5627efa2ab1"),
        ("chrome131", "t13d1516h2_8daaf6152771_02713d6af862"),
        ("chrome142", "t13d1516h2_8daaf6152771_d8a2da3f94cd"),
        ("firefox135", "t13d1717h2_5b57614c22b0_3cbfd9057e0d"),
    ] {
        assert_eq!(Capture::named(name).hello().ja4(), ja4);
    }
}

#[test]
fn an_encrypted_hello_is_seen_from_outside() {
    for (name, expected) in
        [("chrome110", false), ("chrome131", true), ("firefox135", true), ("curl", false), ("safari18_0", false)]
    {
        assert_eq!(Capture::named(name).hello().has_encrypted_client_hello(), expected, "{name}");
    }
}
