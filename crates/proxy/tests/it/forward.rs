use chaski_core::{
    BoxError, ConnectError, ConnectStage, Elapsed, Extensions, Service, describe,
    http::{Body, Message, Request, Upgrade},
    test_util::assert_describes_child,
};
use http::{HeaderMap, Version};

use crate::support::{Bench, Proxy, lines, request, response, text, unfailing};

/// H1-26: the Host that goes out is the target's, whatever the client's says; the target itself stays as it is.
#[tokio::test]
async fn h1_26_host_is_rewritten_from_the_target() {
    let cases = [
        ("http://example.com/a?b=c", "example.com"),
        ("http://example.com:80/", "example.com"),
        ("http://example.com:8080/", "example.com:8080"),
        ("http://example.com:0080/", "example.com"),
        ("http://example.com:/", "example.com"),
        ("http://EXAMPLE.com/", "example.com"),
        ("http://example.com./", "example.com"),
        ("http://192.0.2.7:81/", "192.0.2.7:81"),
        ("http://[2001:DB8::1]/", "[2001:db8::1]"),
        ("http://[2001:db8::1]:81/", "[2001:db8::1]:81"),
        ("HTTP://example.com/", "example.com"),
    ];
    for (uri, host) in cases {
        for sent in [&[][..], &["host: evil.example"], &["host: a.example", "host: b.example"]] {
            let (seen, _) = Bench::new().forwarded(request("GET", uri, sent), response(200, &[])).await;
            let hosts: Vec<_> = seen.headers().get_all("host").iter().collect();
            assert_eq!(hosts, [host], "{uri} {sent:?}");
            assert_eq!(*seen.uri(), uri.parse::<http::Uri>().unwrap());
        }
    }
}

/// H1-20: through the service, both directions at once.
#[tokio::test]
async fn h1_20_only_end_to_end_fields_pass() {
    let sent = request(
        "POST",
        "http://a.example/",
        &[
            "accept: */*",
            "connection: x-secret, keep-alive",
            "content-length: 0",
            "expect: 100-continue",
            "keep-alive: 300",
            "proxy-connection: keep-alive",
            "te: trailers, gzip",
            "trailer: digest",
            "transfer-encoding: chunked",
            "upgrade: websocket",
            "x-secret: 1",
        ],
    );
    let answer = response(
        200,
        &[
            "connection: close, x-hop",
            "content-length: 2",
            "keep-alive: 300",
            "proxy-authenticate: Basic",
            "proxy-authentication-info: x",
            "trailer: digest",
            "transfer-encoding: chunked",
            "upgrade: h2c",
            "x-hop: 1",
        ],
    );
    let (seen, back) = Bench::new().forwarded(sent, answer).await;
    let expected = [
        "accept: */*",
        "connection: te",
        "content-length: 0",
        "expect: 100-continue",
        "host: a.example",
        "te: trailers",
        "trailer: digest",
        "via: 1.1 me",
    ];
    assert_eq!(lines(seen.headers()), expected);
    assert_eq!(lines(back.headers()), ["content-length: 2", "trailer: digest", "via: 1.1 me"]);
}

/// PRX-01: credentials for the proxy end there, with or without a layer that reads them. waits: redirects, https.
#[tokio::test]
async fn prx_01_proxy_authorization_never_reaches_an_origin() {
    for sent in [
        &["proxy-authorization: Basic YW5hOnNlY3JldA=="][..],
        &["proxy-authorization: Basic YW5hOnNlY3JldA==", "Proxy-Authorization: Bearer x"],
        &["connection: proxy-authorization", "proxy-authorization: Basic YW5hOnNlY3JldA=="],
    ] {
        let (seen, _) = Bench::new().forwarded(request("GET", "http://a.example/", sent), response(200, &[])).await;
        assert_eq!(lines(seen.headers()), ["host: a.example", "via: 1.1 me"], "{sent:?}");
    }
}

/// PRX-11: a request that comes back is answered with 508, and not sent on again.
#[tokio::test]
async fn prx_11_a_loop_ends_at_its_second_turn() {
    let mut bench = Bench::new();
    let (mut seen, _) = bench.forwarded(request("GET", "http://a.example/", &[]), response(200, &[])).await;
    // What the proxy has sent arrives at the proxy, by way of another.
    seen.headers_mut().append("via", "1.1 other".parse().unwrap());
    let back = request("GET", "http://a.example/", &[]);
    let (mut parts, body) = back.into_parts();
    parts.headers = seen.headers().clone();
    let answer = bench.refused(Request::from_parts(parts, body)).await;
    assert_eq!(answer, (508, "this request came through this proxy before\n".to_owned()));
    let tunnel = request("CONNECT", "a.example:443", &["via: 1.1 ME (chaski)"]);
    assert_eq!(bench.refused(tunnel).await.0, 508);
}

#[tokio::test]
async fn via_tells_the_version_that_was_received() {
    let mut sent = request("GET", "http://a.example/", &["via: 1.0 first"]);
    *sent.version_mut() = Version::HTTP_10;
    let mut answer = response(200, &["via: 1.1 origin-side"]);
    *answer.version_mut() = Version::HTTP_10;
    let (seen, back) = Bench::new().forwarded(sent, answer).await;
    assert_eq!(seen.version(), Version::HTTP_11);
    let via = |headers: &HeaderMap| headers.get_all("via").iter().cloned().collect::<Vec<_>>();
    assert_eq!(via(seen.headers()), ["1.0 first", "1.0 me"]);
    assert_eq!(via(back.headers()), ["1.1 origin-side", "1.0 me"]);
}

#[tokio::test]
async fn what_is_no_request_for_a_forward_proxy_is_refused() {
    let long = format!("http://{}.example/", "a".repeat(64));
    let cases = [
        ("GET", "/", 400, "this is a proxy: the target of a request is an absolute URI, or host:port with CONNECT"),
        ("GET", "https://a.example/", 400, "https goes through a proxy by CONNECT"),
        ("GET", "wss://a.example/", 400, "wss goes through a proxy by CONNECT"),
        ("GET", "ftp://a.example/", 501, "this proxy does not speak ftp"),
        ("GET", "http://ana@a.example/", 400, "a URI with userinfo is not forwarded"),
        ("GET", "http://ana:secret@a.example/", 400, "a URI with userinfo is not forwarded"),
        ("GET", "http://a.example:0/", 400, "there is no port 0"),
        (
            "GET",
            "http://127.1/",
            400,
            "the target's host: invalid IPv4 address (not four decimal numbers of 0 to 255) at byte 4 of \"127.1\"",
        ),
        (
            "GET",
            "http://ex+mple.com/",
            400,
            "the target's host: invalid character '+' in domain at byte 2 of \"ex+mple.com\"",
        ),
        ("GET", &long, 400, ""),
    ];
    for (method, uri, status, expected) in cases {
        let (answered, line) = Bench::new().refused(request(method, uri, &[])).await;
        assert_eq!(answered, status, "{uri}");
        assert!(line.strip_suffix('\n').is_some_and(|line| line == expected || expected.is_empty()), "{uri}: {line}");
        assert!(!line.contains("secret"));
    }
    let named = request("GET", "http://a.example/", &["connection: content-length", "content-length: 0"]);
    let expected = (400, "Connection names content-length, which is for all recipients\n".to_owned());
    assert_eq!(Bench::new().refused(named).await, expected);
}

#[tokio::test]
async fn max_forwards_limits_trace_and_options() {
    for method in ["TRACE", "OPTIONS"] {
        let sent = request(method, "http://a.example/", &["max-forwards: 3"]);
        let (seen, _) = Bench::new().forwarded(sent, response(200, &[])).await;
        assert_eq!(seen.headers()["max-forwards"], "2");
        let sent = request(method, "http://a.example/", &["max-forwards: 1, 2"]);
        let expected = (400, "Max-Forwards is not one decimal number\n".to_owned());
        assert_eq!(Bench::new().refused(sent).await, expected);
    }
    // RFC 9110 section 7.6.2: the field means nothing with other methods.
    let sent = request("GET", "http://a.example/", &["max-forwards: 0"]);
    let (seen, _) = Bench::new().forwarded(sent, response(200, &[])).await;
    assert_eq!(seen.headers()["max-forwards"], "0");
}

#[tokio::test]
async fn options_for_the_proxy_tells_what_it_does() {
    for sent in [request("OPTIONS", "http://a.example/", &["max-forwards: 0"]), request("OPTIONS", "*", &[])] {
        let response = Bench::new().answered(sent).await;
        assert_eq!(response.status(), 200);
        let allowed = "allow: GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS, TRACE, CONNECT";
        assert_eq!(lines(response.headers()), [allowed]);
        assert_eq!(text(response).await, "");
    }
}

#[tokio::test]
async fn trace_for_the_proxy_echoes_all_but_credentials() {
    let fields = [
        "host: a.example",
        "max-forwards: 0",
        "authorization: Basic c2VjcmV0",
        "cookie: session=secret",
        "proxy-authorization: Basic c2VjcmV0",
        "via: 1.1 other",
        "connection: close",
    ];
    let response = Bench::new().answered(request("TRACE", "http://a.example/x?y", &fields)).await;
    assert_eq!(response.status(), 200);
    assert_eq!(lines(response.headers()), ["content-type: message/http"]);
    let expected = "TRACE http://a.example/x?y HTTP/1.1\r\nhost: a.example\r\nmax-forwards: 0\r\nvia: 1.1 other\r\nconnection: close\r\n\r\n";
    assert_eq!(text(response).await, expected);
}

#[tokio::test]
async fn trace_with_content_is_refused() {
    let mut with_body = request("TRACE", "http://a.example/", &[]);
    *with_body.body_mut() = Body::full("x");
    for sent in [with_body, request("TRACE", "http://a.example/", &["content-length: 1"])] {
        assert_eq!(Bench::new().refused(sent).await, (400, "a TRACE request has no content\n".to_owned()));
    }
}

#[tokio::test]
async fn a_client_that_fails_is_answered_for() {
    let elapsed = Elapsed { what: "the response head", limit: std::time::Duration::from_secs(1) };
    let cases: [(BoxError, u16, &str); 3] = [
        (ConnectError::new(ConnectStage::Dial).into(), 502, "cannot connect to a.example:80\n"),
        (elapsed.into(), 504, "timed out while waiting for a.example:80\n"),
        ("no HTTP at all".into(), 502, "no valid response from a.example:80\n"),
    ];
    for (error, status, expected) in cases {
        let mut bench = Bench::new();
        let (answer, ()) = tokio::join!(bench.proxy.serve(request("GET", "http://a.example/", &[])), async {
            bench.client.next().await.respond(Err(error));
        });
        let answer = unfailing(answer);
        assert_eq!(answer.status().as_u16(), status);
        assert_eq!(text(answer).await, expected);
    }
}

#[tokio::test]
async fn answers_that_speak_to_the_proxy_alone_become_502() {
    let cases = [
        (101, "a.example:80 switched protocols without being asked\n"),
        (407, "a.example:80, or a proxy on the way there, asked for proxy credentials\n"),
    ];
    for (status, expected) in cases {
        let sent = request("GET", "http://a.example/", &["connection: upgrade", "upgrade: websocket"]);
        let answer = response(status, &["proxy-authenticate: Basic", "upgrade: websocket"]);
        let (_, mut back) = Bench::new().forwarded(sent, answer).await;
        assert_eq!(back.status(), 502);
        assert!(Upgrade::detach(&mut back).is_none());
        let details = expected.trim_end();
        let said = format!("me;error=http_protocol_error;received-status={status};details=\"{details}\"");
        let expected_lines = ["content-type: text/plain; charset=utf-8".to_owned(), format!("proxy-status: {said}")];
        assert_eq!(lines(back.headers()), expected_lines);
        assert_eq!(text(back).await, expected);
    }
}

/// RFC 9209 section 2: what proxies on the way said stays, and this one comes last; where none did, Via is enough.
#[tokio::test]
async fn a_list_of_proxies_goes_on_and_none_is_begun() {
    for (answer, expected) in [
        (response(200, &[]), &["via: 1.1 me"][..]),
        (
            response(502, &["proxy-status: far, \"near by\";error=dns_error", "connection: close"]),
            &["proxy-status: far, \"near by\";error=dns_error", "proxy-status: me;received-status=502", "via: 1.1 me"],
        ),
    ] {
        let (_, back) = Bench::new().forwarded(request("GET", "http://a.example/", &[]), answer).await;
        assert_eq!(lines(back.headers()), expected);
    }
}

/// Each kind of answer that the proxy makes without asking anybody names its cause.
#[tokio::test]
async fn own_answers_tell_their_cause() {
    let cases = [
        (request("GET", "/", &[]), 400, "me;error=http_request_error;status-code=400;details=\"this is a proxy: "),
        (
            request("CONNECT", "a.example", &[]),
            400,
            "me;error=http_request_error;status-code=400;details=\"the target of ",
        ),
        (
            request("GET", "ftp://a.example/", &[]),
            501,
            "me;error=proxy_internal_response;details=\"this proxy does not ",
        ),
        (
            request("GET", "http://a.example/", &["via: 1.1 me"]),
            508,
            "me;error=proxy_loop_detected;details=\"this request ",
        ),
    ];
    for (sent, status, expected) in cases {
        let answer = Bench::new().answered(sent).await;
        let said = answer.headers()["proxy-status"].to_str().unwrap();
        assert!(answer.status().as_u16() == status && said.starts_with(expected), "{said}");
    }
    let options = Bench::new().answered(request("OPTIONS", "http://a.example/", &["max-forwards: 0"])).await;
    assert!(!options.headers().contains_key("proxy-status"), "this proxy is the final recipient: {options:?}");
}

/// What is known about the client stays on the request, what is known about the server on the response.
#[tokio::test]
async fn scopes_go_with_their_messages() {
    #[derive(Debug, PartialEq)]
    struct Side(&'static str);

    let scope = |side| {
        let connection = Extensions::new();
        connection.insert(Side(side));
        connection.fork()
    };
    let mut sent = request("GET", "http://a.example/", &[]);
    sent.set_scope(scope("client"));
    let mut answer = response(200, &[]);
    answer.set_scope(scope("server"));
    let (seen, back) = Bench::new().forwarded(sent, answer).await;
    assert_eq!(seen.fact::<Side>(), Some(&Side("client")));
    assert_eq!(back.fact::<Side>(), Some(&Side("server")));
}

#[tokio::test]
async fn bodies_pass_as_they_are() {
    let mut trailers = HeaderMap::new();
    trailers.insert("digest", "1".parse().unwrap());
    let mut sent = request("POST", "http://a.example/", &[]);
    *sent.body_mut() = Body::full("up").with_trailers(trailers.clone());
    let mut answer = response(200, &[]);
    *answer.body_mut() = Body::full("down").with_trailers(trailers.clone());
    let (seen, back) = Bench::new().forwarded(sent, answer).await;
    for (mut body, expected) in [(seen.into_body(), "up"), (back.into_body(), "down")] {
        assert_eq!(body.frame().await.unwrap().unwrap().into_data().unwrap(), expected);
        assert_eq!(body.frame().await.unwrap().unwrap().into_trailers().unwrap(), trailers);
        assert!(body.frame().await.is_none());
    }
}

#[tokio::test]
async fn a_request_that_is_given_up_is_given_up_by_the_client() {
    let Bench { proxy, mut client, .. } = Bench::new();
    let mut serving = Box::pin(proxy.serve(request("GET", "http://a.example/", &[])));
    let mut call = tokio::select! {
        biased;
        _ = &mut serving => unreachable!("nobody has answered"),
        call = client.next() => call,
    };
    drop(serving);
    call.cancelled().await;
}

#[test]
fn the_stack_describes_itself() {
    let description = describe::<Request, Proxy>(&Bench::new().proxy);
    assert!(
        description.to_string().starts_with("ForwardProxy via=me  may read InformationalSource\n"),
        "{description}"
    );
    assert_describes_child(&description, "MockService");
    assert_describes_child(&description, "Tunnel");
}
