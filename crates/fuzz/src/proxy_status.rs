//! Target: what the forward proxy makes of messages: fields of one hop, Via, Proxy-Status.
//!
//! One choice (what comes of the request), then a pseudonym on a line of its own, the head of a request, the head of a
//! response and, behind it, the text of an error.

use std::sync::{Arc, Mutex};

use bytes::BytesMut;
use chaski_core::{
    BoxError, BoxIo, Bridge, Conn, Connect, ConnectError, ConnectStage, Service,
    http::{Body, Request, Response},
    service_fn, service_fn_with,
    test_util::Pipe,
};
use chaski_http_core::codec::{RequestDecoder, ResponseDecoder};
use chaski_proxy::{ForwardProxy, Pseudonym};
use http::{HeaderMap, Method, Version};

use crate::{
    input::Choices,
    reference::{Item, Value, item},
    run::to_the_end,
};

/// Fields that must not go on (RFC 9110 section 7.6.1 and 11.7).
const OF_ONE_HOP: [&str; 7] = [
    "keep-alive",
    "proxy-connection",
    "proxy-authenticate",
    "proxy-authorization",
    "proxy-authentication-info",
    "transfer-encoding",
    "upgrade",
];

/// What the upstream side does.
#[derive(Debug, Clone)]
enum Upstream {
    Answers(http::response::Parts),
    Fails(String),
}

/// The proxy never fails; what it says of itself is a structured field that says it; and nothing of one hop goes further.
pub(crate) fn run(data: &[u8]) {
    let Some((choices, input)) = Choices::split(data) else { return };
    let Some(end) = input.iter().position(|&byte| byte == b'\n') else { return };
    let Some(name) = str::from_utf8(&input[..end]).ok().and_then(|name| name.parse::<Pseudonym>().ok()) else { return };
    let mut buf = BytesMut::from(&input[end + 1..]);
    let Ok(Some(head)) = RequestDecoder::default().decode(&mut buf) else { return };
    let answer = ResponseDecoder::default();
    let response = decode_response(answer, &mut buf, &head.method);
    let text = String::from_utf8_lossy(&buf).into_owned();
    let upstream = match response {
        Some(response) if choices.pick(0, 2) == 0 => Upstream::Answers(response),
        _ => Upstream::Fails(text),
    };
    let came = head.headers.clone();
    let request = request(head);
    let (method, uri) = (request.method().clone(), request.uri().clone());

    let forwarded = Arc::new(Mutex::new(None));
    let stage = [ConnectStage::Resolve, ConnectStage::Policy, ConnectStage::Dial][usize::from(choices.pick(0, 6) / 2)];
    let client = service_fn_with((Arc::clone(&forwarded), upstream.clone(), stage), ask);
    let dialer = service_fn_with((upstream.clone(), stage), dial);
    let relay = service_fn(async |_: Bridge<BoxIo, Pipe>| Ok::<_, BoxError>(()));
    let proxy = ForwardProxy::new(client, dialer, relay).with_pseudonym(name.clone());
    let response = to_the_end(std::time::Duration::from_secs(60), proxy.serve(request));
    let Ok(response) = response;

    let forwarded = forwarded.lock().expect("nobody panics with it").take();
    if let Some(forwarded) = &forwarded {
        check_forwarded(forwarded, &came, &name);
        let authority = uri.authority().expect("only an absolute URI is forwarded").as_str();
        let host = forwarded["host"].to_str().expect("ASCII");
        let is_same = |a: &str, b: &str| a.trim_end_matches('.').eq_ignore_ascii_case(b.trim_end_matches('.'));
        let bare = |host: &str| host.split(['%', ']']).next().unwrap_or_default().trim_end_matches(":80").to_owned();
        let (asked, sent) = (bare(authority), bare(host));
        assert!(asked.contains(':') || is_same(&asked, &sent), "{authority:?} became {host:?}");
    }
    let was_answered = forwarded.is_some() && matches!(upstream, Upstream::Answers(_));
    check_response(&response, was_answered.then_some(&upstream), &name, &method);
}

fn decode_response(mut decoder: ResponseDecoder, buf: &mut BytesMut, method: &Method) -> Option<http::response::Parts> {
    if buf.is_empty() {
        return None;
    }
    let head = decoder.decode(buf, method).ok().flatten()?;
    let mut response = http::Response::new(());
    *response.status_mut() = head.status;
    *response.version_mut() = head.version;
    *response.headers_mut() = head.headers;
    Some(response.into_parts().0)
}

fn request(head: chaski_http_core::codec::RequestHead) -> Request {
    let mut request = Request::new(Body::empty());
    *request.method_mut() = head.method;
    *request.uri_mut() = head.uri;
    *request.version_mut() = head.version;
    *request.headers_mut() = head.headers;
    request
}

type Upstreams = (Arc<Mutex<Option<HeaderMap>>>, Upstream, ConnectStage);

async fn ask((forwarded, upstream, stage): Upstreams, request: Request) -> Result<Response, BoxError> {
    assert_eq!(request.version(), Version::HTTP_11);
    *forwarded.lock().expect("nobody panics with it") = Some(request.headers().clone());
    match upstream {
        Upstream::Answers(parts) => Ok(Response::from_parts(parts, Body::empty())),
        Upstream::Fails(text) => Err(ConnectError::new(stage).with_source(text).into()),
    }
}

async fn dial((upstream, stage): (Upstream, ConnectStage), _: Connect) -> Result<Conn<Pipe>, ConnectError> {
    match upstream {
        Upstream::Answers(_) => Ok(Conn::new(chaski_core::test_util::pipe().0)),
        Upstream::Fails(text) => Err(ConnectError::new(stage).with_source(text)),
    }
}

fn check_forwarded(forwarded: &HeaderMap, came: &HeaderMap, name: &Pseudonym) {
    for field in OF_ONE_HOP {
        assert!(!forwarded.contains_key(field), "{field} went on");
    }
    let said = came.get_all("connection").iter().flat_map(|value| value.as_bytes().split(|&byte| byte == b','));
    for option in said {
        let option = String::from_utf8_lossy(option).trim().to_ascii_lowercase();
        // `TE: trailers` is said anew, and so is Connection; the proxy adds itself to Via.
        if !["te", "connection", ""].contains(&option.as_str()) {
            assert!(!forwarded.contains_key(&option), "{option} went on");
        }
    }
    let connection: Vec<_> = forwarded.get_all("connection").iter().collect();
    assert!(connection.is_empty() || (connection == ["te"] && forwarded["te"] == "trailers"));
    assert_eq!(forwarded.get_all("host").iter().count(), 1);
    let via = forwarded.get_all("via").iter().next_back().expect("the proxy enters itself").as_bytes();
    assert!(via.ends_with(format!(" {name}").as_bytes()));
}

fn check_response(response: &Response, handed_on: Option<&Upstream>, name: &Pseudonym, method: &Method) {
    let lines: Vec<_> = response.headers().get_all("proxy-status").iter().collect();
    let Some(last) = lines.last() else {
        let is_bare = response.status().is_success() || handed_on.is_some();
        assert!(is_bare, "{} for {method} without a reason", response.status());
        return;
    };
    let Some(Item { value, parameters }) = item(last.as_bytes()) else {
        panic!("no structured field: {last:?}");
    };
    match value {
        Value::Token(value) | Value::String(value) => assert_eq!(value, name.as_str()),
        Value::Integer(_) => panic!("a proxy is no number: {last:?}"),
    }
    let parameter = |key: &str| parameters.iter().find(|(other, _)| other == key).map(|(_, value)| value);
    match (parameter("error"), parameter("received-status")) {
        (Some(Value::Token(_)), _) => {
            assert_eq!(lines.len(), 1, "what the proxy answers itself has no proxy before it");
            assert!(matches!(parameter("details"), None | Some(Value::String(_))));
        }
        (None, Some(Value::Integer(status))) => assert_eq!(*status, u64::from(response.status().as_u16())),
        _ => panic!("neither an error nor a status: {last:?}"),
    }
}
