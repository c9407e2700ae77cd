//! Requests and responses, whole.

use std::sync::atomic::{AtomicUsize, Ordering};

use bytes::Bytes;
use chaski_core::{
    HttpVersion,
    http::{Body, Message, Request, Response},
    service_fn,
};
use http::{HeaderMap, Version, header};
use http_body::Frame;

use super::{frames::*, harness::*};

#[tokio::test(start_paused = true)]
async fn a_request_is_answered() {
    let service = service_fn(async |request: Request| {
        assert_eq!(request.version(), Version::HTTP_2);
        assert_eq!(request.uri(), "http://a.test/a?b=c");
        assert!(request.existing_scope().is_none(), "nothing is known about the connection");
        let body = request.into_body().collect(10).await?;
        assert_eq!(body, "");
        Ok(ok("hello"))
    });
    let mut client = serve(service).await;
    for _ in 0..3 {
        let answer = client.get("/a?b=c").await;
        assert_eq!(answer.short(), (200, "hello"));
        assert_eq!(answer.header("content-length"), Some("5"));
        assert!(answer.header("date").unwrap().ends_with(" GMT"));
        assert_eq!(answer.headers.len(), 2);
    }
    client.outcome().await.unwrap();
}

/// Streams of one connection see its facts, and never each other's.
#[tokio::test(start_paused = true)]
async fn a_stream_has_a_scope_of_its_own_under_the_connections() {
    #[derive(Debug)]
    struct Own;
    let service = service_fn(async |mut request: Request| {
        assert!(request.fact::<Known>().is_some());
        assert_eq!(request.fact(), Some(&HttpVersion(Version::HTTP_2)));
        assert!(request.fact::<Own>().is_none(), "a fact of another stream");
        request.scope().insert(Own);
        tokio::task::yield_now().await;
        Ok(ok(""))
    });
    let mut client = Setup::new().facts().serve(service).await;
    let (first, _) = client.begin(request("GET", "/1"), true).await;
    let (second, _) = client.begin(request("GET", "/2"), true).await;
    assert_eq!(answer(first).await.status, 200);
    assert_eq!(answer(second).await.status, 200);
    client.outcome().await.unwrap();
}

/// A body in hand is not polled: its bytes follow the head in one frame, which ends the stream, and one write takes both.
#[tokio::test(start_paused = true)]
async fn a_body_in_hand_leaves_in_one_frame_with_its_head() {
    let mut raw = Setup::new().raw(service_fn(path)).await;
    raw.send(&get(1, "/one")).await;
    let head = raw.next_of(HEADERS).await;
    let writes = raw.far.probe.stats().writes;
    assert_eq!((head.stream, head.flags), (1, END_HEADERS));
    assert_eq!(raw.next_of(DATA).await, data(1, b"/one", END_STREAM));
    assert_eq!(raw.far.probe.stats().writes, writes);
}

/// Answers to streams that came together leave together.
#[tokio::test(start_paused = true)]
async fn answers_that_are_ready_leave_in_one_write() {
    let mut raw = Setup::new().raw(service_fn(path)).await;
    // The settings, so that nothing but answers is written afterwards.
    raw.send(&get(1, "/1")).await;
    raw.next_on(1).await;
    let before = raw.far.probe.stats().writes;
    let requests: Vec<u8> = (0..16).flat_map(|n| get(3 + 2 * n, "/x").bytes()).collect();
    raw.send_bytes(&requests).await;
    for n in 0..16 {
        assert_eq!(raw.next_on(3 + 2 * n).await.kind, HEADERS);
    }
    assert_eq!(raw.far.probe.stats().writes - before, 1);
}

/// RFC 9110 sections 9.3.2, 15.3.5 and 15.4.5: no body, whatever the service gives.
#[tokio::test(start_paused = true)]
async fn answers_without_a_body_have_none() {
    let service = service_fn(async |request: Request| {
        let code = request.uri().path()[1..].parse().unwrap();
        let mut response = status(code);
        *response.body_mut() = Body::full("hello");
        if request.headers().contains_key("length") {
            response.headers_mut().insert(header::CONTENT_LENGTH, request.headers()["length"].clone());
        }
        Ok(response)
    });
    let mut client = serve(service).await;
    let cases = [
        ("HEAD", "/200", None, Some("5")),
        ("HEAD", "/200", Some("5"), Some("5")),
        ("GET", "/204", None, None),
        ("GET", "/204", Some("5"), None),
        ("GET", "/304", None, None),
        ("GET", "/304", Some("77"), Some("77")),
        ("GET", "/205", None, Some("0")),
    ];
    for (method, path, declared, expected) in cases {
        let mut request = request(method, path);
        if let Some(length) = declared {
            request.headers_mut().insert("length", length.parse().unwrap());
        }
        let (response, _) = client.begin(request, true).await;
        let answer = answer(response).await;
        let seen = (answer.status.to_string(), answer.header("content-length"), &*answer.body);
        assert_eq!(seen, (path[1..].to_owned(), expected, &b""[..]), "{method} {path} {declared:?}");
    }
    client.outcome().await.unwrap();
}

/// What a service for HTTP/1.1 sets, and what Connection names (RFC 9113 section 8.2.2).
#[tokio::test(start_paused = true)]
async fn fields_of_a_connection_are_removed() {
    let service = service_fn(async |_: Request| {
        let mut response = ok("x");
        for (name, value) in [
            ("connection", "close, x-hop"),
            ("x-hop", "1"),
            ("keep-alive", "timeout=5"),
            ("proxy-connection", "close"),
            ("transfer-encoding", "chunked"),
            ("upgrade", "websocket"),
            ("te", "gzip"),
            ("x-end", "2"),
        ] {
            response.headers_mut().insert(name, value.parse().unwrap());
        }
        Ok(response)
    });
    let mut client = serve(service).await;
    let answer = client.get("/").await;
    let mut names: Vec<&str> = answer.headers.keys().map(http::HeaderName::as_str).collect();
    names.sort_unstable();
    assert_eq!(names, ["content-length", "date", "x-end"]);
    assert_eq!(answer.short(), (200, "x"));
}

/// Data, a pause, data, trailers; back as they come.
#[tokio::test(start_paused = true)]
async fn bodies_and_trailers_go_both_ways() {
    let mut client = serve(service_fn(echo)).await;
    let (response, mut upload) = client.begin(request("POST", "/"), false).await;
    let response = patient("the head", response).await.unwrap();
    assert!(response.headers().get(header::CONTENT_LENGTH).is_none());
    let mut body = response.into_body();
    for piece in ["one", "two"] {
        upload.send_data(Bytes::from(piece), false).unwrap();
        assert_eq!(patient("an echo", body.data()).await.unwrap().unwrap(), piece);
    }
    let mut trailers = HeaderMap::new();
    trailers.insert("checksum", "1".parse().unwrap());
    // RFC 9110 section 6.5.1: it may not stand there.
    trailers.insert("content-type", "text/plain".parse().unwrap());
    upload.send_trailers(trailers.clone()).unwrap();
    assert!(patient("the end", body.data()).await.is_none());
    trailers.remove("content-type");
    assert_eq!(patient("trailers", body.trailers()).await.unwrap(), Some(trailers));
    drop((upload, body));
    client.outcome().await.unwrap();
}

/// The length of a request is known where the client says it, and an end in a frame of its own is one.
#[tokio::test(start_paused = true)]
async fn a_length_is_known_and_counted_down() {
    let service = service_fn(async |request: Request| {
        let mut body = request.into_body();
        let mut seen = Vec::new();
        loop {
            let hint = http_body::Body::size_hint(&body).exact();
            let Some(frame) = body.frame().await else { break };
            seen.push((hint, frame?.into_data().unwrap_or_default().len()));
        }
        Ok(ok(format!("{seen:?}")))
    });
    let mut client = serve(service).await;
    let mut asked = request("POST", "/");
    asked.headers_mut().insert(header::CONTENT_LENGTH, "5".parse().unwrap());
    let (response, mut upload) = client.begin(asked, false).await;
    upload.send_data(Bytes::from("ab"), false).unwrap();
    upload.send_data(Bytes::from("cde"), false).unwrap();
    upload.send_data(Bytes::new(), true).unwrap();
    assert_eq!(answer(response).await.short(), (200, "[(Some(5), 2), (Some(3), 3)]"));
}

/// 16 MiB each way, at once, through windows of the default size.
#[tokio::test(start_paused = true)]
async fn large_bodies_flow_both_ways() {
    let mut client = serve(service_fn(echo)).await;
    let (response, mut upload) = client.begin(request("POST", "/"), false).await;
    let piece = Bytes::from((0..=255_u8).cycle().take(64 * 1024).collect::<Vec<u8>>());
    let expected = piece.clone();
    let sending = tokio::spawn(async move {
        for n in 0..256 {
            send(&mut upload, piece.clone(), n == 255).await;
        }
    });
    let answer = answer(response).await;
    sending.await.unwrap();
    assert_eq!(answer.body.len(), 16 * 1024 * 1024);
    assert!(answer.body.chunks(expected.len()).all(|chunk| chunk == expected));
    client.outcome().await.unwrap();
}

/// A body in hand that is larger than the client's window, to a client that does not open it until it is asked to.
#[tokio::test(start_paused = true)]
async fn a_large_body_in_hand_waits_for_the_window() {
    let service = service_fn(async |_: Request| Ok(ok(vec![7_u8; 300_000])));
    let mut client = serve(service).await;
    let (response, _) = client.begin(request("GET", "/"), true).await;
    let response = patient("the head", response).await.unwrap();
    assert_eq!(response.headers()[header::CONTENT_LENGTH], "300000");
    let mut body = response.into_body();
    let mut unread = 0;
    while unread < 65_535 {
        unread += patient("data", body.data()).await.unwrap().unwrap().len();
    }
    assert_eq!(unread, 65_535, "no more than the window");
    body.flow_control().release_capacity(unread).unwrap();
    let (rest, _) = read(&mut body).await.unwrap();
    assert_eq!(unread + rest.len(), 300_000);
}

/// Many tiny frames that are always ready, and trailers behind them.
#[tokio::test(start_paused = true)]
async fn a_body_of_many_frames_arrives_whole() {
    static LEFT: AtomicUsize = AtomicUsize::new(1000);
    struct Tiny;
    impl http_body::Body for Tiny {
        type Data = Bytes;
        type Error = std::convert::Infallible;
        fn poll_frame(
            self: std::pin::Pin<&mut Self>,
            _: &mut std::task::Context<'_>,
        ) -> std::task::Poll<Option<Result<Frame<Bytes>, Self::Error>>> {
            let left = LEFT.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |left| left.checked_sub(1));
            std::task::Poll::Ready(left.ok().map(|_| Ok(Frame::data(Bytes::from_static(b"x")))))
        }
    }
    let service = service_fn(async |_: Request| {
        let mut trailers = HeaderMap::new();
        trailers.insert("checksum", "2".parse()?);
        Ok(Response::new(Body::new(Tiny).with_trailers(trailers)))
    });
    let mut client = serve(service).await;
    let answer = client.get("/").await;
    assert_eq!(answer.body.len(), 1000);
    assert_eq!(answer.trailers.unwrap()["checksum"], "2");
}

/// The body goes on in another task, when the answer has long been given.
#[tokio::test(start_paused = true)]
async fn a_body_may_outlive_its_request() {
    let (sender, mut receiver) = tokio::sync::mpsc::unbounded_channel();
    let service = chaski_core::service_fn_with(sender, async |sender: _, request: Request| {
        let sender: tokio::sync::mpsc::UnboundedSender<Bytes> = sender;
        tokio::spawn(async move { sender.send(request.into_body().collect(100).await.unwrap()) });
        Ok(ok("begun"))
    });
    let mut client = serve(service).await;
    let (response, mut upload) = client.begin(request("POST", "/"), false).await;
    assert_eq!(answer(response).await.short(), (200, "begun"));
    upload.send_data(Bytes::from("late"), true).unwrap();
    assert_eq!(patient("the body", receiver.recv()).await.unwrap(), "late");
}
