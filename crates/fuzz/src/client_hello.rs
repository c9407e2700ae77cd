//! Target: what a TLS client says first.
//!
//! Two choices (the size of pieces; the limit), then a stream.

use chaski_tls::hello::{ClientHello, ClientHelloDecoder, ClientHelloErrorKind, is_grease};

use crate::{
    input::Choices,
    reference::{Hello, Read, client_hello},
};

/// The decoder reads what the reference reads, in any pieces alike, and fingerprints hold what was read.
pub(crate) fn run(data: &[u8]) {
    let Some((choices, stream)) = Choices::split(data) else { return };
    let limit = [ClientHelloDecoder::DEFAULT_LIMIT, 600, 100, 6][usize::from(choices.pick(1, 4))];
    let size = [1, 2, 7, 64, 1000][usize::from(choices.pick(0, 5))];
    let decoder = || ClientHelloDecoder::new().with_limit(limit);
    let whole = decoder().decode(stream);
    let mut pieces = decoder();
    let in_pieces = stream.chunks(size).find_map(|piece| pieces.decode(piece).transpose()).transpose();
    assert_eq!(whole, in_pieces);
    match client_hello(stream, limit) {
        Read::Complete(expected, used) => {
            let hello = whole.expect("the reference has read it").expect("the reference has read all of it");
            compare(&hello, &expected);
            fingerprints(&hello, &expected);
            // It ends at that byte and at no other.
            assert_eq!(decoder().decode(&stream[..used]), Ok(Some(hello)));
            assert_eq!(decoder().decode(&stream[..used - 1]), Ok(None));
        }
        Read::Incomplete => {
            assert_eq!(whole, Ok(None));
            assert!(stream.len() < limit, "more than the limit is waited for");
        }
        // What is wrong at the limit shows only when there is a byte.
        Read::Refused if stream.is_empty() => assert_eq!(whole, Ok(None)),
        Read::Refused => {
            let error = whole.expect_err("the reference refuses it");
            assert!(!error.to_string().is_empty());
            // Where a record goes on is known before it does.
            let is_ahead = error.kind() == ClientHelloErrorKind::RecordGoesOn;
            assert!(is_ahead || error.position() <= stream.len(), "{error}");
        }
    }
}

fn compare(hello: &ClientHello, expected: &Hello) {
    let read = Hello {
        record_version: hello.record_version(),
        legacy_version: hello.legacy_version(),
        session_id_len: hello.session_id_len(),
        ciphers: hello.cipher_suites().to_vec(),
        compression: hello.compression_methods().to_vec(),
        extensions: hello.extensions().to_vec(),
        server_name: hello.server_name_bytes().map(<[u8]>::to_vec),
        alpn: hello.alpn().map(<[u8]>::to_vec).collect(),
        versions: hello.supported_versions().to_vec(),
        groups: hello.supported_groups().to_vec(),
        points: hello.point_formats().to_vec(),
        signatures: hello.signature_algorithms().to_vec(),
        shares: hello.key_share_groups().to_vec(),
        is_outer: hello.has_encrypted_client_hello(),
    };
    assert_eq!(&read, expected);
    if let Some(name) = hello.server_name() {
        let bytes = expected.server_name.as_ref().expect("the name was read from there");
        assert_eq!(name.to_string().as_bytes(), bytes.to_ascii_lowercase());
    }
}

fn fingerprints(hello: &ClientHello, expected: &Hello) {
    let codes = |codes: &[u16]| codes.iter().copied().filter(|&code| !is_grease(code)).collect::<Vec<_>>();
    let decimal = |codes: &[u16]| codes.iter().map(ToString::to_string).collect::<Vec<_>>().join("-");
    let points: Vec<u16> = expected.points.iter().copied().map(u16::from).collect();
    let ja3 = format!(
        "{},{},{},{},{}",
        expected.legacy_version,
        decimal(&codes(&expected.ciphers)),
        decimal(&codes(&expected.extensions)),
        decimal(&codes(&expected.groups)),
        decimal(&points)
    );
    assert_eq!(hello.ja3_string(), ja3);
    let (ja4, raw) = (hello.ja4(), hello.ja4_ro());
    let parts: Vec<&str> = ja4.split('_').collect();
    assert!(ja4.is_ascii() && parts.iter().map(|part| part.len()).eq([10, 12, 12]), "{ja4}");
    let ciphers: Vec<String> = codes(&expected.ciphers).iter().map(|code| format!("{code:04x}")).collect();
    assert_eq!(raw.split('_').nth(1), Some(&*ciphers.join(",")), "{raw}");
    assert_eq!(raw.split('_').next(), Some(parts[0]));
}
