//! Messages that are malformed.

use chaski_core::{
    http::{Body, Request},
    service_fn,
};

use super::{frames::*, harness::*};

const PROTOCOL_ERROR: u32 = 1;

fn with<'a>(more: &[(&'a str, &'a str)]) -> Vec<(&'a str, &'a str)> {
    [&pseudo("GET", "/")[..], more].concat()
}

/// H2-12: what may be understood in two ways is reset, and does not reach the service; the next request does.
#[tokio::test(start_paused = true)]
async fn h2_12_a_malformed_request_is_reset() {
    let service = service_fn(async |request: Request| {
        assert_eq!(request.uri().path(), "/fine", "a malformed request reached the service");
        Ok(ok("fine"))
    });
    let without = |name: &str| pseudo("GET", "/").into_iter().filter(|(other, _)| *other != name).collect::<Vec<_>>();
    let cases: Vec<(&str, Vec<(&str, &str)>)> = vec![
        ("connection", with(&[("connection", "close")])),
        ("keep-alive", with(&[("keep-alive", "1")])),
        ("proxy-connection", with(&[("proxy-connection", "close")])),
        ("transfer-encoding", with(&[("transfer-encoding", "chunked")])),
        ("upgrade", with(&[("upgrade", "h2c")])),
        ("te", with(&[("te", "gzip")])),
        ("a late pseudo-header field", with(&[("x", "1"), (":path", "/")])),
        ("two paths", with(&[(":path", "/")])),
        ("a status", with(&[(":status", "200")])),
        ("no method", without(":method")),
        ("no scheme", without(":scheme")),
        ("no path", without(":path")),
        ("no authority", without(":authority")),
        ("neither authority nor path", vec![(":method", "GET"), (":scheme", "http"), ("host", "a.test")]),
        ("an empty path", [&without(":path")[..], &[(":path", "")]].concat()),
        ("a path without a slash", [&without(":path")[..], &[(":path", "a/b")]].concat()),
        ("a star", [&without(":path")[..], &[(":path", "*")]].concat()),
        ("user information", [&without(":authority")[..], &[(":authority", "me:pw@a.test")]].concat()),
        ("user information in Host", [&without(":authority")[..], &[("host", "me@a.test")]].concat()),
        ("an empty authority", [&without(":authority")[..], &[(":authority", "")]].concat()),
        ("an authority that is none", [&without(":authority")[..], &[(":authority", "a test")]].concat()),
        ("a port alone", [&without(":authority")[..], &[(":authority", ":80")]].concat()),
        ("another host", with(&[("host", "b.test")])),
        ("another port", with(&[("host", "a.test:8080")])),
        ("two hosts", with(&[("host", "a.test"), ("host", "a.test")])),
        ("a host that is none", [&without(":authority")[..], &[("host", "a/b")]].concat()),
        ("a length without a body", with(&[("content-length", "1")])),
        ("a length twice", with(&[("content-length", "0"), ("content-length", "0")])),
        ("a length of nothing", with(&[("content-length", "")])),
        ("a length with a sign", with(&[("content-length", "+0")])),
        ("a length with another", with(&[("content-length", "0, 0")])),
        ("white space before a value", with(&[("x", " 1")])),
        ("white space behind a value", with(&[("x", "1\t")])),
        ("a protocol", with(&[(":protocol", "websocket")])),
    ];
    let mut raw = Setup::new().raw(service).await;
    let mut stream = 1;
    for (what, fields) in &cases {
        raw.send(&headers(stream, fields, END_STREAM)).await;
        let frame = raw.next_on(stream).await;
        assert_eq!((frame.kind, frame.payload), (RST_STREAM, PROTOCOL_ERROR.to_be_bytes().to_vec()), "{what}");
        stream += 2;
    }
    raw.send(&get(stream, "/fine")).await;
    assert_eq!(raw.next_on(stream).await.kind, HEADERS);
}

/// H2-12: what is allowed is not refused with it.
#[tokio::test(start_paused = true)]
async fn h2_12_unusual_requests_that_are_well_formed_are_served() {
    let service = service_fn(async |request: Request| {
        let host = request.headers().get("host").map(|host| host.to_str().unwrap().to_owned());
        Ok(ok(format!("{} {} {host:?}", request.method(), request.uri())))
    });
    let cases: Vec<(Vec<(&str, &str)>, &str)> = vec![
        (with(&[("te", "trailers")]), "GET http://a.test/ None"),
        (with(&[("host", "A.test")]), "GET http://a.test/ Some(\"A.test\")"),
        (with(&[("host", "a.test:80")]), "GET http://a.test/ Some(\"a.test:80\")"),
        (vec![(":method", "GET"), (":scheme", "https"), (":path", "/"), ("host", "a.test")], "GET / Some(\"a.test\")"),
        (
            vec![(":method", "OPTIONS"), (":scheme", "http"), (":authority", "a.test"), (":path", "*")],
            "OPTIONS http://a.test* None",
        ),
        (with(&[("content-length", "0")]), "GET http://a.test/ None"),
        (
            vec![(":path", "/"), (":authority", "[::1]:80"), (":scheme", "http"), (":method", "BREW")],
            "BREW http://[::1]:80/ None",
        ),
    ];
    let mut raw = Setup::new().raw(service).await;
    for (n, (fields, expected)) in cases.iter().enumerate() {
        let stream = 1 + 2 * n as u32;
        raw.send(&headers(stream, fields, END_STREAM)).await;
        assert_eq!(raw.next_on(stream).await.kind, HEADERS, "{expected}");
        assert_eq!(String::from_utf8(raw.next_on(stream).await.payload).unwrap(), *expected);
    }
}

/// H2-12: data that is not as long as `content-length`, and trailers that are none, reset the stream and fail the body.
#[tokio::test(start_paused = true)]
async fn h2_12_a_body_of_another_length_is_reset() {
    let (sender, mut told) = tokio::sync::mpsc::unbounded_channel();
    let service = chaski_core::service_fn_with(
        sender,
        async |sender: tokio::sync::mpsc::UnboundedSender<String>, request: Request| {
            let read = request.into_body().collect(100).await;
            sender.send(read.map_or_else(|error| error.to_string(), |body| format!("{body:?}")))?;
            Ok::<_, chaski_core::BoxError>(ok(Body::empty()))
        },
    );
    let post = pseudo("POST", "/");
    let five = [&post[..], &[("content-length", "5")]].concat();
    // On stream 0, until it is known which.
    let trailers = |name, value, flags| headers(0, &[(name, value)], flags);
    let cases = [
        ("too long", &five, data(0, b"123456", 0)),
        ("too short", &five, data(0, b"1234", END_STREAM)),
        ("too short for trailers", &five, trailers("x", "1", END_STREAM)),
        ("trailers that are not the end", &post, trailers("x", "1", 0)),
        ("a field of the connection in trailers", &post, trailers("connection", "close", END_STREAM)),
    ];
    let mut raw = Setup::new().raw(service).await;
    for (n, (what, head, rest)) in cases.iter().enumerate() {
        let stream = 1 + 2 * n as u32;
        raw.send(&headers(stream, head, 0)).await;
        raw.send(&Frame { stream, ..rest.clone() }).await;
        assert_eq!(raw.reset_of(stream).await, PROTOCOL_ERROR, "{what}");
        assert_eq!(
            patient("the body", told.recv()).await.unwrap(),
            "the peer's body is malformed (PROTOCOL_ERROR)",
            "{what}"
        );
    }
}

/// H2-12: a pseudo-header field in trailers would be malformed (RFC 9113 section 8.1). h2 passes over it: nobody gets it.
#[tokio::test(start_paused = true)]
async fn h2_12_a_pseudo_header_field_in_trailers_goes_nowhere() {
    let service = chaski_core::service_fn(async |request: Request| {
        let (path, mut body) = (request.uri().path().to_owned(), request.into_body());
        let mut trailers = http::HeaderMap::new();
        while let Some(frame) = body.frame().await {
            trailers.extend(frame?.into_trailers().unwrap_or_default());
        }
        Ok(ok(format!("{path} {trailers:?}")))
    });
    let mut raw = Setup::new().raw(service).await;
    raw.send(&headers(1, &pseudo("POST", "/a"), 0)).await;
    raw.send(&headers(1, &[(":path", "/b"), ("x", "y")], END_STREAM)).await;
    assert_eq!(raw.next_of(DATA).await.payload, br#"/a {"x": "y"}"#);
}

/// H2-12: h2 takes upper case, and values that are none, for a fault of the connection: it ends, and the service hears nothing.
#[tokio::test(start_paused = true)]
async fn h2_12_names_in_upper_case_end_the_connection() {
    for fields in [with(&[("Upper", "1")]), with(&[("x", "a\r\nb: c")]), with(&[(":unknown", "1")])] {
        let service = service_fn(async |_: Request| panic!("it reached the service"));
        let mut raw = Setup::new().raw(service).await;
        raw.send(&headers(1, &fields, END_STREAM)).await;
        assert_eq!(raw.goodbye().await, Some(PROTOCOL_ERROR));
        let outcome = raw.far.outcome().await;
        assert_eq!(outcome.unwrap_err().to_string(), "refused the client's frames with PROTOCOL_ERROR");
    }
}
