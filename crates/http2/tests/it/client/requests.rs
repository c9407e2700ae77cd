//! Requests and responses.

use std::{
    sync::{Arc, Mutex},
    time::Duration,
};

use chaski_core::{
    Conn, Connect, ConnectError, ConnectStage, HostPort, HttpVersion, HttpVersions, Route, Service, Session,
    SessionState,
    http::{Body, Message, OnInformational, Request},
    service_fn,
    test_util::{Pipe, pipe},
};
use chaski_http2::{ErrorCode, Http2BodyError, Http2ClientConfig, Http2Connector, Http2Error, Http2Session};
use http::{HeaderMap, HeaderValue, Method, Version};

use super::{
    cause, drain, get, not_sent,
    peer::{DATA, END_HEADERS, END_STREAM, HEADERS, OK, connected, connected_with},
    request, serve, text,
};

/// `:status: 103`, and `:status: 100`: literals with the name of entry 8.
const EARLY_HINTS: &[u8] = b"\x08\x03103";
const CONTINUE: &[u8] = b"\x08\x03100";

/// What the server of another implementation makes of a request.
async fn received(request: Request, config: Http2ClientConfig) -> http::Request<()> {
    let (near, far) = pipe();
    let server = tokio::spawn(async move {
        let mut connection = h2::server::handshake(far).await.unwrap();
        let (request, mut respond) = connection.accept().await.unwrap().unwrap();
        respond.send_response(http::Response::new(()), true).unwrap();
        let (head, _) = request.into_parts();
        assert!(connection.accept().await.is_none());
        http::Request::from_parts(head, ())
    });
    let session = Http2Session::handshake(Conn::new(near), config).await.unwrap();
    session.serve(request).await.unwrap();
    drop(session);
    server.await.unwrap()
}

#[tokio::test(start_paused = true)]
async fn a_head_is_rebuilt_for_http2() {
    let request = http::Request::post("https://example.com:8443/path?query")
        .version(Version::HTTP_11)
        .header("host", "other.example")
        .header("connection", "close, X-Hop")
        .header("x-hop", "1")
        .header("keep-alive", "timeout=5")
        .header("proxy-connection", "keep-alive")
        .header("transfer-encoding", "chunked")
        .header("upgrade", "websocket")
        .header("http2-settings", "AAMAAABk")
        .header("te", "gzip;q=0.5, Trailers")
        .header("content-length", "4")
        .header("accept", "a")
        .header("accept", "b")
        .body(Body::full("body"))
        .unwrap();
    let head = received(request, Http2ClientConfig::default()).await;
    assert_eq!(
        (head.method(), head.uri().to_string().as_str()),
        (&Method::POST, "https://example.com:8443/path?query")
    );
    let fields: Vec<(&str, &str)> =
        head.headers().iter().map(|(name, value)| (name.as_str(), value.to_str().unwrap())).collect();
    let expected = [("te", "trailers"), ("accept", "a"), ("accept", "b"), ("content-length", "4")];
    assert_eq!(fields, expected);
}

#[tokio::test(start_paused = true)]
async fn a_te_without_trailers_is_not_sent() {
    let mut request = get();
    request.headers_mut().insert("te", HeaderValue::from_static("gzip"));
    assert!(received(request, Http2ClientConfig::default()).await.headers().is_empty());
}

#[tokio::test(start_paused = true)]
async fn an_empty_body_has_a_length_where_one_is_expected() {
    for (method, length) in
        [(Method::GET, None), (Method::DELETE, None), (Method::POST, Some("0")), (Method::PUT, Some("0"))]
    {
        let head = received(request(method, ()), Http2ClientConfig::default()).await;
        assert_eq!(head.headers().get("content-length").map(|value| value.to_str().unwrap()), length);
    }
}

/// H2-13: cookies may be split again, and are not unless asked.
#[tokio::test(start_paused = true)]
async fn h2_13_cookies_are_split_when_asked() {
    let cookies = "a=1; b=2; c=\"; \"";
    for (split, expected) in [(false, vec![cookies]), (true, vec!["a=1", "b=2", "c=\"", "\""])] {
        let mut request = get();
        request.headers_mut().insert("cookie", HeaderValue::from_static(cookies));
        let config = Http2ClientConfig::default().with_split_cookies(split);
        let head = received(request, config).await;
        let crumbs: Vec<_> = head.headers().get_all("cookie").iter().map(|value| value.to_str().unwrap()).collect();
        assert_eq!(crumbs, expected);
    }
}

#[tokio::test(start_paused = true)]
async fn what_cannot_be_sent_comes_back() {
    let (session, mut peer) = connected(100).await;
    for (uri, why) in [
        ("/path", "the request cannot be sent: its URI has no authority"),
        ("a:80", "the request cannot be sent: its URI has no scheme"),
        ("http://user@a/", "the request cannot be sent: its URI has userinfo"),
    ] {
        let request = http::Request::get(uri).body(Body::full("body")).unwrap();
        let (request, reason) = not_sent(session.serve(request).await);
        assert_eq!((request.uri().to_string().as_str(), reason.as_str()), (uri, why));
        assert_eq!(request.body().as_full().unwrap().as_ref(), b"body");
    }
    assert!(peer.settle().await.is_empty());
    assert_eq!(session.slots().free, 100);
}

/// Many responses at a time, which come in any order and piece by piece.
#[tokio::test(start_paused = true)]
async fn responses_come_in_any_order() {
    let (session, mut peer) = connected(100).await;
    let session = Arc::new(session);
    let calls: Vec<_> = (0..3).map(|_| serve(&session, get())).collect();
    for stream in [1, 3, 5] {
        assert_eq!(peer.next(HEADERS).await.stream, stream);
    }
    for stream in [5, 1, 3] {
        peer.send(HEADERS, END_HEADERS, stream, OK).await;
    }
    for piece in ["a", "b"] {
        for stream in [3_u32, 5, 1] {
            let flags = if piece == "b" { END_STREAM } else { 0 };
            peer.send(DATA, flags, stream, format!("{stream}{piece}").as_bytes()).await;
        }
    }
    for (call, expected) in calls.into_iter().zip(["1a1b", "3a3b", "5a5b"]) {
        let response = call.await.unwrap().unwrap();
        assert_eq!(response.version(), Version::HTTP_2);
        assert_eq!(text(response).await, expected);
    }
    assert_eq!(session.slots().free, 100);
}

/// A response that is whole when it is looked at keeps nothing of the connection.
#[tokio::test(start_paused = true)]
async fn a_response_that_came_whole_is_in_hand() {
    let (session, mut peer) = connected(100).await;
    let session = Arc::new(session);
    let call = serve(&session, get());
    peer.next(HEADERS).await;
    peer.send(HEADERS, END_HEADERS, 1, OK).await;
    peer.send(DATA, END_STREAM, 1, b"whole").await;
    let response = call.await.unwrap().unwrap();
    assert_eq!(response.body().as_full().unwrap().as_ref(), b"whole");
    assert_eq!(session.slots().free, 100);
}

#[tokio::test(start_paused = true)]
async fn trailers_come_behind_the_data() {
    let (session, mut peer) = connected(100).await;
    let session = Arc::new(session);
    let call = serve(&session, get());
    peer.next(HEADERS).await;
    peer.send(HEADERS, END_HEADERS, 1, OK).await;
    peer.send(DATA, 0, 1, b"data").await;
    peer.send(HEADERS, END_HEADERS | END_STREAM, 1, b"\x00\x03sum\x0242").await;
    let (data, trailers) = drain(call.await.unwrap().unwrap().into_body()).await.unwrap();
    let mut expected = HeaderMap::new();
    expected.insert("sum", HeaderValue::from_static("42"));
    assert_eq!((data.as_slice(), trailers), (&b"data"[..], Some(expected)));
    assert_eq!(session.slots().free, 100);
}

#[tokio::test(start_paused = true)]
async fn informational_responses_are_reported_in_order() {
    let (session, mut peer) = connected(100).await;
    let session = Arc::new(session);
    let seen = Arc::new(Mutex::new(Vec::new()));
    let mut request = get();
    let reported = Arc::clone(&seen);
    OnInformational::new(move |response| reported.lock().unwrap().push(response.status().as_u16()))
        .attach(&mut request);
    let call = serve(&session, request);
    peer.next(HEADERS).await;
    // One that was not asked for means nothing (RFC 9110 section 15.2.1).
    for status in [EARLY_HINTS, CONTINUE, EARLY_HINTS] {
        peer.send(HEADERS, END_HEADERS, 1, status).await;
    }
    peer.answer(1).await;
    assert_eq!(call.await.unwrap().unwrap().status(), 200);
    assert_eq!(*seen.lock().unwrap(), [103, 103]);
}

#[tokio::test(start_paused = true)]
async fn too_many_informational_responses_end_the_request() {
    let config = Http2ClientConfig::default().with_max_informational(2);
    let (session, mut peer) = connected_with(config, &[]).await;
    let session = Arc::new(session);
    let call = serve(&session, get());
    peer.next(HEADERS).await;
    for _ in 0..3 {
        peer.send(HEADERS, END_HEADERS, 1, EARLY_HINTS).await;
    }
    let error = call.await.unwrap().unwrap_err();
    assert!(matches!(cause(&error), Http2Error::TooManyInformational { limit: 2 }));
    assert!(error.response_seen());
    assert_eq!(peer.next(super::peer::RST_STREAM).await.number(0), 8, "CANCEL");
}

/// A body that breaks off is never taken for a whole one.
#[tokio::test(start_paused = true)]
async fn a_body_that_breaks_off_is_an_error() {
    for reset in [Some(0_u32), Some(2), None] {
        let (session, mut peer) = connected(100).await;
        let session = Arc::new(session);
        let call = serve(&session, get());
        peer.next(HEADERS).await;
        peer.send(HEADERS, END_HEADERS, 1, OK).await;
        peer.send(DATA, 0, 1, b"half").await;
        let mut body = call.await.unwrap().unwrap().into_body();
        assert_eq!(body.frame().await.unwrap().unwrap().into_data().unwrap(), "half");
        match reset {
            Some(code) => peer.reset(1, code).await,
            None => drop(peer),
        }
        let error = body.frame().await.unwrap().unwrap_err();
        let cause = chaski_core::find_cause::<Http2BodyError>(&*error).unwrap();
        match reset {
            Some(code) => assert!(matches!(cause, Http2BodyError::Reset(reason) if *reason == ErrorCode::from(code))),
            None => assert!(matches!(cause, Http2BodyError::Closed(_))),
        }
        assert!(body.frame().await.is_none());
    }
}

/// H2-12: seen from the client: a response that is malformed fails its request and no other.
#[tokio::test(start_paused = true)]
async fn h2_12_a_malformed_response_fails_its_request() {
    let cases: [(&str, &[u8], &[u8]); 4] = [
        ("no status", b"\x00\x01a\x01b", b""),
        ("a field of the connection", b"\x88\x00\x0aconnection\x05close", b""),
        ("a pseudo-header field behind others", b"\x00\x01a\x01b\x88", b""),
        ("data beyond its length", b"\x88\x0f\x0d\x012", b"four"),
    ];
    let (session, mut peer) = connected(100).await;
    let session = Arc::new(session);
    for (name, head, data) in cases {
        let call = serve(&session, get());
        let stream = loop {
            let frame = peer.frame().await.unwrap();
            if frame.kind == HEADERS {
                break frame.stream;
            }
        };
        let flags = if data.is_empty() { END_HEADERS | END_STREAM } else { END_HEADERS };
        peer.send(HEADERS, flags, stream, head).await;
        if !data.is_empty() {
            peer.send(DATA, END_STREAM, stream, data).await;
        }
        match call.await.unwrap() {
            Err(error) => {
                assert!(matches!(cause(&error), Http2Error::Protocol(ErrorCode::PROTOCOL_ERROR)), "{name}: {error:?}");
            }
            Ok(response) => {
                let error = drain(response.into_body()).await.expect_err(name);
                let cause = chaski_core::find_cause::<Http2BodyError>(&*error).unwrap();
                assert!(matches!(cause, Http2BodyError::Malformed(ErrorCode::PROTOCOL_ERROR)), "{name}: {error:?}");
            }
        }
    }
    let call = serve(&session, get());
    while peer.frame().await.unwrap().kind != HEADERS {}
    peer.answer(9).await;
    call.await.unwrap().unwrap();
}

/// H2-02: seen from the client: a head beyond the limit fails its request and no other, one far beyond it the connection.
#[tokio::test(start_paused = true)]
async fn h2_02_a_large_head_fails_its_request_and_a_huge_one_the_connection() {
    // Two fields: 42 bytes as RFC 9113 section 6.5.2 counts them, and 33 more than the value of the other has.
    let head = |length: usize| {
        let (low, high) = ((length - 127) % 128, (length - 127) / 128);
        let start = [0x88, 0, 1, b'a', 0x7f, u8::try_from(low).unwrap() | 0x80, u8::try_from(high).unwrap()];
        [&start[..], &vec![b'x'; length]].concat()
    };
    let config = Http2ClientConfig::default().with_max_header_list(1000);
    let (session, mut peer) = connected_with(config, &[]).await;
    let session = Arc::new(session);
    for (length, fits) in [(924, true), (926, false), (924, true), (4_000, false)] {
        let call = serve(&session, get());
        let stream = loop {
            let frame = peer.frame().await.unwrap();
            if frame.kind == HEADERS {
                break frame.stream;
            }
        };
        peer.send(HEADERS, END_HEADERS | END_STREAM, stream, &head(length)).await;
        let answer = call.await.unwrap();
        match answer {
            Ok(response) => assert!(fits && response.headers()["a"].len() == length, "{length}"),
            Err(error) => assert!(!fits && matches!(cause(&error), Http2Error::Protocol(_)), "{length}: {error:?}"),
        }
    }
    while peer.frame().await.is_some() {}
    assert_eq!(session.state(), SessionState::Closed);
}

#[tokio::test(start_paused = true)]
async fn a_response_finds_the_facts_of_its_connection_and_of_no_other_response() {
    #[derive(Debug, PartialEq)]
    struct Seen(u8);
    let (near, far) = pipe();
    let ends = Mutex::new(Some(near));
    let dial = service_fn(move |_: Connect| {
        let near = ends.lock().unwrap().take();
        async move { near.map(Conn::new).ok_or_else(|| ConnectError::new(ConnectStage::Dial)) }
    });
    let connector = Http2Connector::new(dial, Http2ClientConfig::default());
    let server = tokio::spawn(async move {
        let mut connection = h2::server::handshake(far).await.unwrap();
        while let Some(Ok((_, mut respond))) = connection.accept().await {
            respond.send_response(http::Response::new(()), true).unwrap();
        }
    });
    let target = "a:80".parse::<HostPort>().unwrap();
    let session = connector.serve(Connect::new(target.clone())).await.unwrap();
    let mut first = session.serve(get()).await.unwrap();
    first.scope().insert(Seen(1));
    let second = session.serve(get()).await.unwrap();
    assert_eq!(second.fact(), Some(&HttpVersion(Version::HTTP_2)));
    assert_eq!(second.fact::<Seen>(), None);
    drop(session);
    server.await.unwrap();
    let error = connector.serve(Connect::new(target)).await.unwrap_err();
    assert_eq!(error.stage(), ConnectStage::Dial);
}

/// The choice of a route is read, and a version that is not wanted is not dialed for.
#[tokio::test(start_paused = true)]
async fn a_route_may_rule_the_version_out() {
    for (versions, dialed) in [(HttpVersions::Any, true), (HttpVersions::Http2, true), (HttpVersions::Http1, false)] {
        let dial = service_fn(async |connect: Connect| {
            assert_eq!(connect.route.unread(), None);
            Err::<Conn<Pipe>, _>(ConnectError::new(ConnectStage::Dial))
        });
        let connector = Http2Connector::new(dial, Http2ClientConfig::default());
        let target = "a:80".parse::<HostPort>().unwrap();
        let error =
            connector.serve(Connect::new(target).with_route(Route::default().with(versions))).await.unwrap_err();
        assert_eq!(error.stage() == ConnectStage::Dial, dialed);
    }
}

#[tokio::test(start_paused = true)]
async fn a_connection_that_fails_in_the_handshake_is_a_failed_dial() {
    let dial = service_fn(async |_: Connect| Ok::<_, ConnectError>(Conn::new(pipe().0)));
    let connector = Http2Connector::new(dial, Http2ClientConfig::default());
    let error = connector.serve(Connect::new("a:80".parse::<HostPort>().unwrap())).await.unwrap_err();
    assert_eq!(error.stage(), ConnectStage::Protocol);
    assert!(matches!(cause(&error), Http2Error::Io(_)));
}

#[tokio::test(start_paused = true)]
async fn an_answer_that_does_not_come_has_a_limit() {
    let config = Http2ClientConfig::default().with_head_timeout(Some(Duration::from_secs(5)));
    let (session, mut peer) = connected_with(config, &[]).await;
    let started = tokio::time::Instant::now();
    let error = session.serve(get()).await.unwrap_err();
    assert!(matches!(cause(&error), Http2Error::HeadTimeout(_)));
    assert_eq!(started.elapsed(), Duration::from_secs(5));
    peer.next(HEADERS).await;
    assert_eq!(peer.next(super::peer::RST_STREAM).await.number(0), 8, "CANCEL");
}

#[tokio::test(start_paused = true)]
async fn a_body_that_stops_has_a_limit() {
    let config = Http2ClientConfig::default().with_body_timeout(Some(Duration::from_secs(5)));
    let (session, mut peer) = connected_with(config, &[]).await;
    let session = Arc::new(session);
    let call = serve(&session, get());
    peer.next(HEADERS).await;
    peer.send(HEADERS, END_HEADERS, 1, OK).await;
    let mut body = call.await.unwrap().unwrap().into_body();
    let error = body.frame().await.unwrap().unwrap_err();
    assert!(matches!(chaski_core::find_cause::<Http2BodyError>(&*error), Some(Http2BodyError::Timeout(_))));
    assert_eq!(peer.next(super::peer::RST_STREAM).await.number(0), 8, "CANCEL");
}
