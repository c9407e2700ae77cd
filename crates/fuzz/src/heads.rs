//! What the targets of heads share.

use chaski_http_core::codec::{BodySize, Framing, HeadConfig, TargetForm};
use http::{HeaderMap, Uri};

use crate::{
    input::Choices,
    reference::{Body, Fields},
};

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
