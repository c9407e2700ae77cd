//! The heads of requests.

use http::uri::{Authority, Scheme};
use http::{HeaderMap, Method, Uri, Version, header};

use super::{
    BodyEncoding, BodyPlan, BodySize, Seen, arrange::arrange, body_length, is_http10, write_length, write_persistence,
};
use crate::codec::error::EncodeError;
use crate::codec::layout::HeaderLayout;
use crate::codec::message::TargetForm;
use crate::codec::target::{is_host_and_port, without_userinfo};

/// What the encoder of a request has to know about the exchange.
#[derive(Debug, Clone, Copy)]
pub struct RequestPlan<'a> {
    /// The version to speak.
    pub version: Version,
    /// The form of the target: [`TargetForm::Origin`] to a server,
    /// [`TargetForm::Absolute`] to a proxy, [`TargetForm::Authority`] with
    /// CONNECT.
    pub target: TargetForm,
    /// What is known about the body.
    pub body: BodySize,
    /// Whether the connection is wanted for another request. The caller's
    /// `connection: close` says no as well.
    pub keep_alive: bool,
    /// Where the fields stand and in which case; `None` for the encoder's order
    /// and lower case.
    pub layout: Option<&'a HeaderLayout>,
}

/// Appends the head of a request to `out` and says how to send the body.
///
/// - Host comes first (RFC 9110 section 7.2), unless a layout places it. In absolute-form and
///   authority-form it is the URI's authority; in the other forms the caller's
///   field wins, and the authority is used where there is none. Of an
///   authority the scheme's default port is left out there.
/// - Userinfo never goes out (RFC 9110 section 4.2.4), neither does the zone of
///   an IPv6 address (RFC 6874 section 4).
/// - A body of known length has `content-length`; for a length of 0 only with
///   methods that anticipate content (RFC 9110 section 8.6). The caller's
///   length stands with a body of unknown length, which else is chunked.
///
/// # Errors
///
/// The request cannot be written as asked. `out` is as it was.
#[inline]
pub fn encode_request_head(
    out: &mut Vec<u8>,
    method: &Method,
    uri: &Uri,
    headers: &HeaderMap,
    plan: &RequestPlan<'_>,
) -> Result<BodyPlan, EncodeError> {
    let start = out.len();
    let result = encode(out, method, uri, headers, plan);
    if result.is_err() {
        out.truncate(start);
    }
    result
}

fn encode(
    out: &mut Vec<u8>,
    method: &Method,
    uri: &Uri,
    headers: &HeaderMap,
    plan: &RequestPlan<'_>,
) -> Result<BodyPlan, EncodeError> {
    let is_http10 = is_http10(plan.version)?;
    out.extend_from_slice(method.as_str().as_bytes());
    out.push(b' ');
    write_target(out, method, uri, plan.target)?;
    out.extend_from_slice(if is_http10 { b" HTTP/1.0\r\n" } else { b" HTTP/1.1\r\n" });
    let fields = out.len();
    write_host(out, uri, headers, plan.target, is_http10)?;
    let mut seen = Seen::default();
    seen.write_fields(out, headers, true)?;

    let encoding = write_framing(out, method, plan.body, seen.length, is_http10)?;
    let keep_alive = plan.keep_alive && !seen.connection.close;
    // A tunnel does not come back.
    if *method != Method::CONNECT {
        write_persistence(out, is_http10, keep_alive, seen.says_keep_alive(plan.layout));
    }
    if let Some(layout) = plan.layout {
        arrange(out, fields, layout);
    }
    out.extend_from_slice(b"\r\n");
    Ok(BodyPlan { encoding, keep_alive, upgrade: seen.asks_upgrade() })
}

/// RFC 9112 section 6.3 and RFC 9110 section 8.6, for requests.
fn write_framing(
    out: &mut Vec<u8>,
    method: &Method,
    body: BodySize,
    declared: Option<u64>,
    is_http10: bool,
) -> Result<BodyEncoding, EncodeError> {
    // RFC 9110 sections 9.3.6 and 9.3.8.
    if *method == Method::CONNECT || *method == Method::TRACE {
        return match body {
            BodySize::Exact(0) => Ok(BodyEncoding::Empty),
            _ => Err(EncodeError::BodyNotAllowed),
        };
    }
    match body_length(declared, body)? {
        Some(0) => {
            let anticipates = [Method::POST, Method::PUT, Method::PATCH].contains(method);
            if anticipates || declared.is_some() {
                write_length(out, 0);
            }
            Ok(BodyEncoding::Empty)
        }
        Some(length) => {
            write_length(out, length);
            Ok(BodyEncoding::Length(length))
        }
        // RFC 9112 section 6.1: chunked is not for HTTP/1.0, and a request
        // cannot end with its connection.
        None if is_http10 => Err(EncodeError::LengthRequired),
        None => {
            out.extend_from_slice(b"transfer-encoding: chunked\r\n");
            Ok(BodyEncoding::Chunked)
        }
    }
}

/// RFC 9112 section 3.2.
fn write_target(out: &mut Vec<u8>, method: &Method, uri: &Uri, form: TargetForm) -> Result<(), EncodeError> {
    // What comes in as one form must go out as one that its reader takes for
    // the same.
    if (*method == Method::CONNECT) != (form == TargetForm::Authority) {
        return Err(EncodeError::Target);
    }
    match form {
        // What HTTP/2 says with a path of `*` and an authority (RFC 9113 section 8.3.1): a URI without path, of which the
        // last proxy on the way makes this.
        TargetForm::Origin if is_of_server(method, uri) => write_asterisk(out, method),
        TargetForm::Origin => write_path(out, uri),
        TargetForm::Absolute => {
            let (scheme, authority) = uri.scheme().zip(uri.authority()).ok_or(EncodeError::Target)?;
            out.extend_from_slice(scheme.as_str().as_bytes());
            out.extend_from_slice(b"://");
            write_without_zone(out, checked(authority)?.as_bytes());
            // RFC 9112 section 3.2.4: to another proxy it goes as a URI without path.
            if is_of_server(method, uri) { Ok(()) } else { write_path(out, uri) }
        }
        TargetForm::Authority => {
            let authority = uri.authority().ok_or(EncodeError::Target)?;
            let text = checked(authority)?;
            match (authority.port_u16(), default_port(uri.scheme())) {
                (Some(_), _) => write_without_zone(out, text.as_bytes()),
                // A port is required (RFC 9110 section 9.3.6).
                (None, Some(port)) => {
                    write_without_zone(out, text.trim_end_matches(':').as_bytes());
                    out.push(b':');
                    out.extend_from_slice(itoa::Buffer::new().format(port).as_bytes());
                }
                (None, None) => return Err(EncodeError::Target),
            }
            Ok(())
        }
        TargetForm::Asterisk => write_asterisk(out, method),
    }
}

/// Whether it asks about a server as a whole.
fn is_of_server(method: &Method, uri: &Uri) -> bool {
    *method == Method::OPTIONS && uri.path() == "*"
}

fn write_asterisk(out: &mut Vec<u8>, method: &Method) -> Result<(), EncodeError> {
    if *method != Method::OPTIONS {
        return Err(EncodeError::Target);
    }
    out.push(b'*');
    Ok(())
}

fn write_path(out: &mut Vec<u8>, uri: &Uri) -> Result<(), EncodeError> {
    let path = uri.path_and_query().map_or("/", |path| path.as_str());
    match path.as_bytes().first() {
        Some(b'/') => {}
        Some(b'*') => return Err(EncodeError::Target),
        // An absolute URI may have a query and no path.
        _ => out.push(b'/'),
    }
    out.extend_from_slice(path.as_bytes());
    Ok(())
}

fn write_host(
    out: &mut Vec<u8>,
    uri: &Uri,
    headers: &HeaderMap,
    form: TargetForm,
    is_http10: bool,
) -> Result<(), EncodeError> {
    let named_by_target = matches!(form, TargetForm::Absolute | TargetForm::Authority);
    if !named_by_target {
        let mut hosts = headers.get_all(header::HOST).iter();
        match (hosts.next(), hosts.next()) {
            (Some(host), None) if is_host_and_port(host.as_bytes()) => {
                out.extend_from_slice(b"host: ");
                write_without_zone(out, host.as_bytes());
                out.extend_from_slice(b"\r\n");
                return Ok(());
            }
            (Some(_), _) => return Err(EncodeError::Host),
            (None, _) => {}
        }
    }
    let Some(authority) = uri.authority() else {
        return if is_http10 { Ok(()) } else { Err(EncodeError::Host) };
    };
    out.extend_from_slice(b"host: ");
    write_authority(out, authority, uri.scheme())?;
    out.extend_from_slice(b"\r\n");
    Ok(())
}

/// An authority as Host has it: without userinfo, without a zone, and without
/// the port that its scheme implies.
fn write_authority(out: &mut Vec<u8>, authority: &Authority, scheme: Option<&Scheme>) -> Result<(), EncodeError> {
    let mut text = checked(authority)?;
    let implied = default_port(scheme).filter(|port| authority.port_u16() == Some(*port));
    if implied.is_some()
        && let Some((host, _)) = text.rsplit_once(':')
    {
        text = host;
    }
    write_without_zone(out, text.as_bytes());
    Ok(())
}

/// Host and port, without the zone of an IPv6 address: it means nothing on
/// another machine, and tells of this one (RFC 6874 section 4).
#[inline]
fn write_without_zone(out: &mut Vec<u8>, text: &[u8]) {
    let zone = match text.first() {
        Some(b'[') => text.iter().position(|&byte| byte == b'%'),
        _ => None,
    };
    let (host, rest) = text.split_at(zone.unwrap_or(text.len()));
    out.extend_from_slice(host);
    // A literal has no other `]` than the one that ends it.
    if let Some(close) = rest.iter().position(|&byte| byte == b']') {
        out.extend_from_slice(&rest[close..]);
    }
}

/// An authority without userinfo that a strict reader takes.
fn checked(authority: &Authority) -> Result<&str, EncodeError> {
    let text = without_userinfo(authority.as_str());
    if text.is_empty() || text.starts_with(':') || !is_host_and_port(text.as_bytes()) {
        return Err(EncodeError::Target);
    }
    Ok(text)
}

fn default_port(scheme: Option<&Scheme>) -> Option<u16> {
    match scheme?.as_str() {
        "http" | "ws" => Some(80),
        "https" | "wss" => Some(443),
        _ => None,
    }
}
