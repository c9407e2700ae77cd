//! What the targets of heads share.

use std::fmt::Debug;

use bytes::BytesMut;
use chaski_http_core::codec::{BodySize, Framing, HeadConfig, HeadError, TargetForm};
use http::{HeaderMap, Uri};

use crate::{
    input::{Choices, Step, feed},
    reference::{Body, Fields},
};

/// The most heads that are taken from one input.
const MOST: usize = 4;

/// The most fields that an encoder adds to those that it is given: Host or Date, Connection, and one for the body.
const ADDED: usize = 3;

/// A decoder of heads, one after the other.
pub(crate) trait Decoder {
    type Head: Debug;

    /// Decodes a head, and gives its fields back for the next one.
    fn next(&mut self, buf: &mut BytesMut) -> Result<Option<Self::Head>, HeadError>;

    fn is_partial(&self) -> bool;
}

/// What a decoder has made of an input.
pub(crate) struct Decoded<H> {
    pub(crate) heads: Vec<H>,
    /// Whether a head has begun; or the refusal.
    pub(crate) end: Result<bool, HeadError>,
    left: usize,
}

impl<H> Decoded<H> {
    /// Whether the decoder has come to what it refuses or waits for.
    pub(crate) fn is_all(&self) -> bool {
        self.heads.len() < MOST
    }
}

/// Decodes an input as a whole. Any split of it gives the same heads and the same refusal.
pub(crate) fn decode<D: Decoder>(choices: Choices, input: &[u8], decoder: impl Fn() -> D) -> Decoded<D::Head> {
    let whole = decode_in_pieces(decoder(), input, input.len().max(1));
    for size in [1, usize::from(choices.pick(0, 64)) + 2] {
        let cut = decode_in_pieces(decoder(), input, size);
        assert_eq!(format!("{:?}", cut.heads), format!("{:?}", whole.heads), "pieces of {size}");
        assert_eq!(cut.end, whole.end, "pieces of {size}");
        if whole.end.is_ok() {
            assert_eq!(cut.left, whole.left, "pieces of {size}");
        }
    }
    whole
}

fn decode_in_pieces<D: Decoder>(mut decoder: D, input: &[u8], size: usize) -> Decoded<D::Head> {
    let mut heads = Vec::new();
    let mut refusal = None;
    let left = feed(input, size, |buf| match decoder.next(buf) {
        Ok(None) => Step::More,
        Ok(Some(head)) => {
            heads.push(head);
            if heads.len() == MOST { Step::Over } else { Step::Again }
        }
        Err(error) => {
            refusal = Some(error);
            Step::Over
        }
    });
    Decoded { heads, end: refusal.map_or_else(|| Ok(decoder.is_partial()), Err), left: left.len() }
}

/// The fields of a map, sorted by name; those of one name stay in their order.
pub(crate) fn sorted(headers: &HeaderMap) -> Fields {
    let mut fields: Fields =
        headers.iter().map(|(name, value)| (name.as_str().to_owned(), value.as_bytes().to_vec())).collect();
    fields.sort_by(|a, b| a.0.cmp(&b.0));
    fields
}

/// The same of fields that the reference has read.
pub(crate) fn sorted_fields(fields: &Fields) -> Fields {
    let mut fields = fields.clone();
    fields.sort_by(|a, b| a.0.cmp(&b.0));
    fields
}

/// Without those that an encoder decides.
pub(crate) fn end_to_end(headers: &HeaderMap) -> Fields {
    let mut fields = sorted(headers);
    fields.retain(|(name, _)| !["host", "connection", "content-length", "transfer-encoding"].contains(&name.as_str()));
    fields
}

pub(crate) fn framing(body: Body) -> Framing {
    match body {
        Body::Length(0) => Framing::Empty,
        Body::Length(length) => Framing::Length(length),
        Body::Chunked => Framing::Chunked,
        Body::UntilClose => Framing::UntilClose,
    }
}

pub(crate) fn size(framing: Framing) -> BodySize {
    match framing {
        Framing::Empty => BodySize::Exact(0),
        Framing::Length(length) => BodySize::Exact(length),
        Framing::Chunked | Framing::UntilClose => BodySize::Unknown,
    }
}

/// For what an encoder has made of an accepted head: it adds fields of its own.
pub(crate) fn config_of_encoded() -> HeadConfig {
    let config = HeadConfig::default();
    let (fields, bytes) = (config.max_headers, config.max_head_bytes);
    config.with_max_headers(fields + ADDED).with_max_head_bytes(bytes + ADDED * 64)
}

/// Small limits where they are asked for, so that short inputs reach them.
pub(crate) fn config(choices: Choices) -> HeadConfig {
    let config = HeadConfig::default().with_header_layout(choices.is(1, 0));
    if choices.is(1, 1) { config.with_max_head_bytes(200).with_max_headers(5).with_max_uri_bytes(40) } else { config }
}

/// Whether all limits are out of reach for a head of this size.
pub(crate) fn is_unlimited(choices: Choices, head: usize, fields: usize) -> bool {
    !choices.is(1, 1) && head < 16 * 1024 && fields <= 100
}

/// Whether a target goes out as it came in: userinfo and zones do not.
pub(crate) fn keeps_target(uri: &Uri, form: TargetForm) -> bool {
    form == TargetForm::Origin || uri.authority().is_none_or(|authority| !authority.as_str().contains(['@', '%']))
}
