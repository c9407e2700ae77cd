//! Target: heads of requests.
//!
//! Two choices (the size of pieces; limits and layout), then the bytes of a connection that carries heads alone.

use bytes::BytesMut;
use chaski_http_core::codec::{
    Expectation, Framing, HeadError, RequestDecoder, RequestHead, RequestPlan, TargetForm, encode_request_head,
};
use http::{Method, header};

use crate::{
    heads::{
        Decoded, Decoder, config, config_of_encoded, decode, end_to_end, framing, is_unlimited, keeps_target, size,
        sorted, sorted_fields,
    },
    input::Choices,
    reference::{self, Read},
};

/// Any split gives the same heads and the same refusals, what is accepted is what the reference reads, and what is
/// accepted comes back when it is encoded.
pub(crate) fn run(data: &[u8]) {
    let Some((choices, input)) = Choices::split(data) else { return };
    let decoded = decode(choices, input, || RequestDecoder::new(config(choices)));
    let mut rest = input;
    for head in &decoded.heads {
        let used = compare(head, rest);
        rest = &rest[used..];
        come_back(head);
    }
    if decoded.is_all() {
        check_end(choices, &decoded, rest);
    }
}

impl Decoder for RequestDecoder {
    type Head = RequestHead;

    fn next(&mut self, buf: &mut BytesMut) -> Result<Option<RequestHead>, HeadError> {
        let head = self.decode(buf)?;
        if let Some(head) = &head {
            self.recycle(head.headers.clone());
        }
        Ok(head)
    }

    fn is_partial(&self) -> bool {
        Self::is_partial(self)
    }
}

/// Compares a head with what the reference reads there, and returns how many bytes that takes.
fn compare(head: &RequestHead, input: &[u8]) -> usize {
    let Read::Complete(expected, used) = reference::request(input) else {
        panic!("accepted, but not by the reference: {head:?}");
    };
    assert_eq!(head.method, expected.method);
    assert_eq!(head.version, expected.version);
    assert_eq!(head.framing, framing(expected.body));
    assert_ne!(head.framing, Framing::UntilClose, "a request does not end with its connection");
    assert_eq!(head.keep_alive, expected.persists);
    assert_eq!(head.upgrade, expected.upgrade);
    let expect = match (expected.expects, expected.expects_other) {
        (_, true) => Expectation::Other,
        (true, _) => Expectation::Continue,
        _ => Expectation::None,
    };
    assert_eq!(head.expect, expect);
    if head.target == TargetForm::Origin {
        assert_eq!(head.uri.to_string().as_bytes(), expected.target);
        assert_eq!(sorted(&head.headers), sorted_fields(&expected.fields));
    } else {
        let but_host =
            |fields: reference::Fields| fields.into_iter().filter(|(name, _)| name != "host").collect::<Vec<_>>();
        assert_eq!(but_host(sorted(&head.headers)), but_host(sorted_fields(&expected.fields)));
        assert!(head.headers.get_all(header::HOST).iter().count() <= 1);
    }
    if let Some(layout) = &head.layout {
        let names: Vec<String> = layout.names().map(str::to_ascii_lowercase).collect();
        let expected: Vec<&String> = expected.fields.iter().map(|(name, _)| name).collect();
        assert_eq!(names.iter().collect::<Vec<_>>(), expected);
    }
    used
}

/// What an encoder writes of a head is read as the same head.
fn come_back(head: &RequestHead) {
    let plan = RequestPlan {
        version: head.version,
        target: head.target,
        body: size(head.framing),
        keep_alive: head.keep_alive,
        layout: head.layout.as_ref(),
    };
    let mut out = Vec::new();
    let no_body = [Method::CONNECT, Method::TRACE].contains(&head.method) && head.framing != Framing::Empty;
    if let Err(error) = encode_request_head(&mut out, &head.method, &head.uri, &head.headers, &plan) {
        assert!(out.is_empty());
        assert!(no_body, "cannot be sent on: {error}: {head:?}");
        return;
    }
    assert!(matches!(reference::request(&out), Read::Complete(_, used) if used == out.len()), "{}", out.escape_ascii());
    let mut buf = BytesMut::from(&out[..]);
    let again =
        RequestDecoder::new(config_of_encoded()).decode(&mut buf).expect("what was encoded").expect("all of it");
    assert!(buf.is_empty());
    assert_eq!((&again.method, again.version, again.target), (&head.method, head.version, head.target));
    if keeps_target(&head.uri, head.target) {
        // A URI without a path has one when it is a target.
        assert_eq!(again.uri.to_string().trim_end_matches('/'), head.uri.to_string().trim_end_matches('/'));
    }
    if head.method != Method::CONNECT {
        assert_eq!((again.framing, again.keep_alive), (head.framing, head.keep_alive), "{}", out.escape_ascii());
    }
    assert_eq!(end_to_end(&again.headers), end_to_end(&head.headers));
}

/// What the decoder refuses or waits for behind its last head, the reference does too.
fn check_end(choices: Choices, decoded: &Decoded<RequestHead>, rest: &[u8]) {
    match reference::request(rest) {
        Read::Complete(head, used) => {
            let is_refused = !head.is_plain() || !is_unlimited(choices, used, head.fields.len());
            assert!(is_refused, "the reference accepts, but the decoder says {:?}", decoded.end);
            assert!(decoded.end.is_err(), "complete, and neither taken nor refused");
        }
        Read::Incomplete => {}
        Read::Refused => assert!(decoded.end.is_err(), "neither taken nor refused: {}", rest.escape_ascii()),
    }
}
