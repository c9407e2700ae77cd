//! Request targets and Host (RFC 9112 sections 3.2 and 3.3).

use std::ops::Range;

use bytes::Bytes;
use http::{HeaderValue, Method, Uri};

use super::error::HeadFault;
use super::facts::decimal;
use super::message::TargetForm;

/// A target that goes with its method.
#[derive(Debug)]
pub(super) struct Target {
    pub(super) uri: Uri,
    pub(super) form: TargetForm,
    pub(super) userinfo: bool,
}

impl Target {
    /// Parses the target that stands in a head at `range`.
    ///
    /// # Errors
    ///
    /// [`HeadFault::Target`] or [`HeadFault::TargetForm`].
    #[inline]
    pub(super) fn parse(method: &Method, head: &Bytes, range: Range<usize>) -> Result<Self, HeadFault> {
        let text = &head[range.clone()];
        if text.first() != Some(&b'/') {
            return Self::parse_rare(method, head.slice(range));
        }
        // RFC 9112 section 3.2.3: CONNECT takes the authority-form only.
        if *method == Method::CONNECT {
            return Err(HeadFault::TargetForm);
        }
        if text.len() == 1 {
            // It needs no memory of the head.
            return Ok(Self { uri: Uri::default(), form: TargetForm::Origin, userinfo: false });
        }
        match Uri::from_maybe_shared(head.slice(range)) {
            // `Uri` cuts a fragment off. A request target has none, and what one
            // party cuts off another may keep.
            Ok(uri) if uri.path_and_query().is_some_and(|path| path.as_str().len() == text.len()) => {
                Ok(Self { uri, form: TargetForm::Origin, userinfo: false })
            }
            _ => Err(HeadFault::Target),
        }
    }

    #[cold]
    fn parse_rare(method: &Method, target: Bytes) -> Result<Self, HeadFault> {
        if target.contains(&b'#') {
            return Err(HeadFault::Target);
        }
        let uri = Uri::from_maybe_shared(target).map_err(|_| HeadFault::Target)?;
        let authority = uri.authority().map_or("", http::uri::Authority::as_str);
        let userinfo = authority.contains('@');
        let form = match (uri.scheme(), uri.authority()) {
            (None, None) if uri.path() == "*" => TargetForm::Asterisk,
            (None, None) => return Err(HeadFault::Target),
            (None, Some(_)) => TargetForm::Authority,
            (Some(_), _) => TargetForm::Absolute,
        };
        let goes_together = match form {
            // RFC 9112 section 3.2.4.
            TargetForm::Asterisk => *method == Method::OPTIONS,
            TargetForm::Authority => *method == Method::CONNECT,
            TargetForm::Origin | TargetForm::Absolute => *method != Method::CONNECT,
        };
        if !goes_together {
            return Err(HeadFault::TargetForm);
        }
        match form {
            // RFC 9110 section 9.3.6: host and port, both of them, no userinfo.
            TargetForm::Authority
                if userinfo
                    || !is_host_and_port(authority.as_bytes())
                    || uri.host().is_none_or(str::is_empty)
                    || uri.port_u16().is_none_or(|port| port == 0) =>
            {
                Err(HeadFault::Target)
            }
            // RFC 9110 section 4.2.1: an http URI has a host.
            TargetForm::Absolute
                if uri.host().is_none_or(str::is_empty)
                    || !is_host_and_port(without_userinfo(authority).as_bytes()) =>
            {
                Err(HeadFault::Target)
            }
            form => Ok(Self { uri, form, userinfo }),
        }
    }
}

/// The Host that a target stands for, where it names one: it wins over the
/// field (RFC 9112 section 3.2.2).
pub(super) fn host_of(uri: &Uri) -> Option<HeaderValue> {
    let authority = uri.authority()?;
    HeaderValue::from_str(without_userinfo(authority.as_str())).ok()
}

/// An authority without `user@`.
pub(super) fn without_userinfo(authority: &str) -> &str {
    authority.rsplit_once('@').map_or(authority, |(_, host)| host)
}

/// `uri-host [":" port]` (RFC 9110 section 7.2). The host may be empty, as it
/// is where the target has no authority, and so may the port be.
#[inline]
pub(super) fn is_host_and_port(value: &[u8]) -> bool {
    let (host_ends, rest) = match value.first() {
        Some(b'[') => match value.iter().position(|&byte| byte == b']') {
            Some(close) => (is_ip_literal(&value[1..close]), &value[close + 1..]),
            None => return false,
        },
        _ => {
            let end = value.iter().position(|&byte| !is_reg_name(byte));
            (true, &value[end.unwrap_or(value.len())..])
        }
    };
    let port = match rest {
        [] => rest,
        [b':', port @ ..] => port,
        _ => return false,
    };
    host_ends && (port.is_empty() || is_port(port))
}

fn is_port(port: &[u8]) -> bool {
    port.len() <= 5 && decimal(port).is_some_and(|port| port <= u64::from(u16::MAX))
}

/// Roughly `IPv6address / IPvFuture`, with a zone: enough that no delimiter of
/// another part can hide in it.
fn is_ip_literal(literal: &[u8]) -> bool {
    let fits = |&byte: &u8| byte.is_ascii_alphanumeric() || b":.%-_~".contains(&byte);
    !matches!(literal, [] | [b'%', ..]) && literal.iter().all(fits)
}

/// The bytes of `reg-name` (RFC 3986 section 3.2.2).
#[inline]
fn is_reg_name(byte: u8) -> bool {
    const TABLE: [bool; 256] = {
        let mut table = [false; 256];
        let mut byte = 0;
        while byte < 128 {
            table[byte] = matches!(byte as u8,
                b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' | b'%'
                | b'!' | b'$' | b'&' | b'\'' | b'(' | b')' | b'*' | b'+' | b',' | b';' | b'=');
            byte += 1;
        }
        table
    };
    TABLE[usize::from(byte)]
}
