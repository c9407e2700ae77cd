//! Target: the framing of bodies.
//!
//! Three choices (the size of pieces; limits; a framing other than chunks), then the bytes of a body and what follows it.

use bytes::{Bytes, BytesMut};
use chaski_http_core::codec::{
    BodyConfig, BodyDecoder, BodyError, BodyEvent, CHUNK_END, Framing, encode_chunk_header, encode_last_chunk,
};
use http::HeaderMap;

use crate::{
    heads::sorted,
    input::{Choices, Step, feed},
    reference::{self, Read},
};

/// Any split gives the same data, trailers and refusals; they are what the reference reads; and a body that is encoded
/// comes back, however it was cut into chunks.
pub(crate) fn run(data: &[u8]) {
    let Some((choices, input)) = Choices::split(data) else { return };
    let framing = match choices.pick(2, 8) {
        1 => Framing::Length(input.len() as u64 / 2),
        2 => Framing::Length(input.len() as u64 + 1),
        3 => Framing::UntilClose,
        4 => Framing::Empty,
        _ => Framing::Chunked,
    };
    let config = if choices.is(1, 0) {
        BodyConfig::default()
            .with_max_chunk_extension_bytes(8)
            .with_max_extension_bytes(20)
            .with_max_trailer_bytes(60)
            .with_max_trailers(3)
    } else {
        BodyConfig::default()
    };
    let whole = decode(framing, config, input, input.len());
    for pieces in [1, usize::from(choices.pick(0, 64)) + 2] {
        assert_eq!(decode(framing, config, input, pieces), whole, "pieces of {pieces}");
    }
    match framing {
        Framing::Empty => assert_eq!(whole, Decoded { left: input.len(), ..Decoded::default() }),
        Framing::UntilClose => assert_eq!(whole, Decoded { data: input.to_vec(), ..Decoded::default() }),
        Framing::Length(length) => check_length(length, input, &whole),
        Framing::Chunked => check_chunked(choices, input, &whole),
    }
    come_back(choices, input);
}

/// What comes out of a body.
#[derive(Debug, PartialEq, Eq)]
struct Decoded {
    data: Vec<u8>,
    trailers: Option<HeaderMap>,
    end: Result<(), BodyError>,
    /// How many bytes stay behind the body, if it was whole.
    left: usize,
}

impl Default for Decoded {
    fn default() -> Self {
        Self { data: Vec::new(), trailers: None, end: Ok(()), left: 0 }
    }
}

fn decode(framing: Framing, config: BodyConfig, input: &[u8], pieces: usize) -> Decoded {
    let mut decoder = BodyDecoder::new(framing, config);
    let mut decoded = Decoded::default();
    let mut over = false;
    let left = feed(input, pieces.max(1), |buf| {
        let before = buf.len();
        match decoder.decode(buf) {
            Ok(None) => return Step::More,
            Ok(Some(BodyEvent::Data(data))) => {
                assert!(!data.is_empty() && buf.len() < before, "an event of nothing");
                decoded.data.extend_from_slice(&data);
                return Step::Again;
            }
            Ok(Some(BodyEvent::Trailers(trailers))) => {
                assert!(!trailers.is_empty() && decoded.trailers.is_none());
                decoded.trailers = Some(trailers);
                return Step::Again;
            }
            Ok(Some(BodyEvent::End)) => assert!(decoder.is_end()),
            Err(error) => {
                assert_eq!(decoder.decode(buf).unwrap_err(), error, "an error stays");
                decoded.end = Err(error);
            }
        }
        over = true;
        Step::Over
    });
    if !over {
        decoded.end = decoder.eof();
    }
    if decoded.end.is_ok() {
        decoded.left = left.len();
    }
    decoded
}

fn check_length(length: u64, input: &[u8], decoded: &Decoded) {
    match usize::try_from(length).ok().and_then(|length| input.split_at_checked(length)) {
        Some((data, rest)) => {
            assert_eq!(*decoded, Decoded { data: data.to_vec(), left: rest.len(), ..Decoded::default() });
        }
        None => {
            let missing = length - input.len() as u64;
            assert_eq!(decoded.data, input);
            assert_eq!(decoded.end, Err(BodyError::Truncated { missing: Some(missing) }));
        }
    }
}

fn check_chunked(choices: Choices, input: &[u8], decoded: &Decoded) {
    let over_limit = match &decoded.end {
        Err(BodyError::ChunkExtensionTooLong { .. }) => true,
        Err(BodyError::Trailers(error)) => error.status() == 431,
        _ => false,
    };
    if over_limit {
        // The smallest of them is that of 100 trailers, each of which takes three bytes at least.
        assert!(choices.is(1, 0) || input.len() > 300, "no limit is that small: {:?}", decoded.end);
        return;
    }
    match reference::chunked(input) {
        Read::Complete(body, used) => {
            assert_eq!(decoded.end, Ok(()), "the reference accepts");
            assert_eq!(decoded.data, body.data);
            assert_eq!(decoded.left, input.len() - used);
            let mut trailers = body.trailers;
            trailers.sort_by(|a, b| a.0.cmp(&b.0));
            assert_eq!(decoded.trailers.as_ref().map(sorted).unwrap_or_default(), trailers);
        }
        Read::Incomplete => assert_eq!(decoded.end, Err(BodyError::Truncated { missing: None })),
        Read::Refused => {
            let refused = !matches!(decoded.end, Ok(()) | Err(BodyError::Truncated { .. }));
            assert!(refused, "the reference refuses, but this was {:?}", decoded.end);
        }
    }
}

/// Encodes the input as data, in chunks whose sizes its own bytes give, and decodes it again.
fn come_back(choices: Choices, input: &[u8]) {
    let mut out = Vec::new();
    let mut rest = input;
    while let Some(first) = rest.first() {
        let (chunk, behind) = rest.split_at(rest.len().min(usize::from(*first) + 1));
        encode_chunk_header(&mut out, chunk.len() as u64);
        out.extend_from_slice(chunk);
        out.extend_from_slice(CHUNK_END);
        rest = behind;
    }
    encode_last_chunk(&mut out, None);
    let Read::Complete(body, used) = reference::chunked(&out) else {
        panic!("what was encoded is no body: {}", out.escape_ascii());
    };
    assert_eq!((&body.data[..], used), (input, out.len()));

    let mut buf = BytesMut::from(Bytes::from(out));
    let mut decoder = BodyDecoder::new(Framing::Chunked, BodyConfig::default());
    let mut data = Vec::new();
    while let Some(BodyEvent::Data(piece)) = decoder.decode(&mut buf).expect("what was encoded") {
        data.extend_from_slice(&piece);
    }
    assert!(decoder.is_end() && buf.is_empty());
    assert_eq!(data, input, "by the choices {choices:?}");
}
