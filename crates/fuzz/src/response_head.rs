//! Target: heads of responses.
//!
//! Three choices (the size of pieces; limits and layout; the method), then the bytes of a connection that carries heads alone.

use bytes::BytesMut;
use chaski_http_core::codec::{Framing, HeadError, ResponseDecoder, ResponseHead, ResponsePlan, encode_response_head};
use http::{Method, StatusCode, Version};

use crate::{
    heads::{
        Decoded, Decoder, config, config_of_encoded, decode, end_to_end, framing, is_unlimited, size, sorted,
        sorted_fields,
    },
    input::Choices,
    reference::{self, Read},
};

/// Any split gives the same heads and the same refusals, what is accepted is what the reference reads, and what is
/// accepted comes back when it is encoded.
pub(crate) fn run(data: &[u8]) {
    let Some((choices, input)) = Choices::split(data) else { return };
    let method = [Method::GET, Method::HEAD, Method::CONNECT, Method::POST][usize::from(choices.pick(2, 4))].clone();
    let decoded =
        decode(choices, input, || Responses { decoder: ResponseDecoder::new(config(choices)), method: method.clone() });
    let mut rest = input;
    for head in &decoded.heads {
        let used = compare(head, &method, rest);
        rest = &rest[used..];
        come_back(head, &method);
    }
    if decoded.is_all() {
        check_end(choices, &method, &decoded, rest);
    }
}

/// A decoder of the responses to one method.
struct Responses {
    decoder: ResponseDecoder,
    method: Method,
}

impl Decoder for Responses {
    type Head = ResponseHead;

    fn next(&mut self, buf: &mut BytesMut) -> Result<Option<ResponseHead>, HeadError> {
        // There is nothing to decode in an empty buffer, and engines do not ask.
        if buf.is_empty() {
            return Ok(None);
        }
        let head = self.decoder.decode(buf, &self.method)?;
        if let Some(head) = &head {
            self.decoder.recycle(head.headers.clone());
        }
        Ok(head)
    }

    fn is_partial(&self) -> bool {
        self.decoder.is_partial()
    }
}

/// Compares a head with what the reference reads there, and returns how many bytes that takes.
fn compare(head: &ResponseHead, method: &Method, input: &[u8]) -> usize {
    let Read::Complete(expected, used) = reference::response(input, method) else {
        panic!("accepted, but not by the reference: {head:?}");
    };
    assert_eq!(head.status.as_u16(), expected.status);
    assert_eq!(head.version, expected.version);
    let canonical = head.status.canonical_reason().unwrap_or_default().as_bytes();
    assert_eq!(head.reason.as_deref().unwrap_or(canonical), expected.reason);
    assert_eq!(head.framing, framing(expected.body));
    assert_eq!(head.keep_alive, expected.persists);
    assert_eq!(head.switches, expected.switches);
    let mut fields = sorted_fields(&expected.fields);
    if head.switches && head.status.is_success() {
        // A client ignores both in what opens a tunnel (RFC 9110 section 9.3.6).
        fields.retain(|(name, _)| !["content-length", "transfer-encoding"].contains(&name.as_str()));
    }
    if head.framing != Framing::Empty || !is_bodiless(method, head.status) {
        assert_eq!(sorted(&head.headers), fields);
    }
    used
}

/// RFC 9112 section 6.3: no body, whatever the fields say.
fn is_bodiless(method: &Method, status: StatusCode) -> bool {
    *method == Method::HEAD || status.is_informational() || [204, 304].contains(&status.as_u16())
}

/// What an encoder writes of a head is read as the same head.
fn come_back(head: &ResponseHead, method: &Method) {
    let plan = ResponsePlan {
        version: Version::HTTP_11,
        method,
        body: size(head.framing),
        keep_alive: head.keep_alive,
        date: None,
        layout: head.layout.as_ref(),
    };
    let mut out = Vec::new();
    if let Err(error) = encode_response_head(&mut out, head.status, &head.headers, &plan) {
        assert!(out.is_empty());
        // The length that a response without a body tells of need not be one.
        assert!(is_bodiless(method, head.status), "cannot be sent on: {error}: {head:?}");
        return;
    }
    assert!(
        matches!(reference::response(&out, method), Read::Complete(_, used) if used == out.len()),
        "{}",
        out.escape_ascii()
    );
    let mut buf = BytesMut::from(&out[..]);
    let again = ResponseDecoder::new(config_of_encoded())
        .decode(&mut buf, method)
        .expect("what was encoded")
        .expect("all of it");
    assert!(buf.is_empty());
    assert_eq!((again.status, again.switches), (head.status, head.switches));
    let framing = match head.framing {
        // 205 has no content, and says so.
        _ if head.status == StatusCode::RESET_CONTENT => Framing::Empty,
        // HTTP/1.1 has a better way.
        Framing::UntilClose => Framing::Chunked,
        framing => framing,
    };
    assert_eq!(again.framing, framing);
    if !head.status.is_informational() && !head.switches {
        assert_eq!(again.keep_alive, head.keep_alive);
    }
    assert_eq!(end_to_end(&again.headers), end_to_end(&head.headers));
}

/// What the decoder refuses or waits for behind its last head, the reference does too.
fn check_end(choices: Choices, method: &Method, decoded: &Decoded<ResponseHead>, rest: &[u8]) {
    match reference::response(rest, method) {
        Read::Complete(head, used) => {
            let is_limited = !is_unlimited(choices, used, head.fields.len());
            assert!(is_limited, "the reference accepts, but the decoder says {:?}", decoded.end);
            assert!(decoded.end.is_err(), "complete, and neither taken nor refused");
        }
        Read::Incomplete => {}
        Read::Refused => assert!(decoded.end.is_err(), "neither taken nor refused: {}", rest.escape_ascii()),
    }
}
