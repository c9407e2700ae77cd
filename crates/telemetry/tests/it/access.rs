use std::{
    collections::VecDeque,
    convert::Infallible,
    io::{self, Write},
    pin::Pin,
    sync::{Arc, Barrier, Mutex, mpsc},
    task::{Context, Poll},
    time::Duration,
};

use bytes::Bytes;
use chaski_core::{
    BoxError, BoxIo, Conn, Extensions, Service, SocketAddrs, User, describe,
    http::{Body, Message, Request, Response, Upgrade},
    service_fn, stack,
    test_util::{assert_describes_child, mock, pipe},
};
use chaski_telemetry::{AccessLogLayer, AccessLogSink, TraceContext, TunnelRecord};
use http_body::Frame;
use serde_json::{Value, json};

use crate::memory::Log;

/// A body of these frames; without a length.
pub(crate) struct Frames(pub(crate) VecDeque<Result<&'static str, &'static str>>);

impl http_body::Body for Frames {
    type Data = Bytes;
    type Error = BoxError;

    fn poll_frame(mut self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        let frame = self.0.pop_front();
        Poll::Ready(frame.map(|frame| frame.map(|text| Frame::data(text.into())).map_err(Into::into)))
    }
}

pub(crate) fn frames<const N: usize>(frames: [Result<&'static str, &'static str>; N]) -> Body {
    Body::new(Frames(frames.into()))
}

fn request(method: &str, uri: &str) -> Request {
    http::Request::builder().method(method).uri(uri).body(Body::empty()).unwrap()
}

/// A request as it comes from a connection.
fn accepted(method: &str, uri: &str) -> Request {
    let connection = Extensions::new();
    connection
        .insert(SocketAddrs { local: "127.0.0.1:80".parse().unwrap(), peer: "[2001:db8::1]:5000".parse().unwrap() });
    let mut request = request(method, uri);
    request.set_scope(connection.fork());
    request
}

/// Answers with this response.
fn answer(response: impl Fn() -> Response + Send + Sync + 'static) -> impl Service<Request, Output = Response> {
    service_fn(move |_: Request| std::future::ready(Ok::<_, Infallible>(response())))
}

#[tokio::test(start_paused = true)]
async fn a_line_tells_the_request_and_the_end_of_its_response() {
    let log = Log::new();
    // The user becomes known inside the layer.
    let service = stack(
        log.layer.clone(),
        service_fn(async |mut request: Request| {
            request.scope().insert(User("ana".into()));
            assert_eq!(std::mem::take(request.body_mut()).collect(100).await.unwrap(), "upload");
            tokio::time::advance(Duration::from_micros(12_345)).await;
            Ok::<_, Infallible>(Response::new(frames([Ok("four"), Ok("five5")])))
        }),
    );
    let mut request = accepted("POST", "http://example.com/a?b=c");
    *request.body_mut() = frames([Ok("up"), Ok("load")]);
    let response = service.serve(request).await.ok().unwrap();
    tokio::time::advance(Duration::from_secs(2)).await;
    response.into_body().collect(100).await.unwrap();
    assert_eq!(
        log.lines(),
        [concat!(
            "peer=[2001:db8::1]:5000 user=\"ana\" method=POST target=\"http://example.com/a?b=c\" version=HTTP/1.1 ",
            "status=200 received=6 sent=9 duration_ms=2012.345 outcome=ok trace=-"
        )]
    );
}

/// What follows the version in the line of an exchange with this response, of which `frames` frames are taken.
async fn outcome(method: &str, response: impl Fn() -> Response + Send + Sync + 'static, frames: usize) -> String {
    let log = Log::new();
    let service = stack(log.layer.clone(), answer(response));
    let mut body = service.serve(request(method, "/")).await.ok().unwrap().into_body();
    for _ in 0..frames {
        let _ = body.frame().await;
    }
    drop(body);
    let lines = log.lines();
    assert_eq!(lines.len(), 1, "{lines:?}");
    let (head, rest) = lines[0].split_once(" version=HTTP/1.1 ").unwrap();
    assert_eq!(head, format!("peer=- user=- method={method} target=\"/\""));
    rest.strip_suffix(" trace=-").unwrap().replace(" duration_ms=0.000", "")
}

#[tokio::test(start_paused = true)]
async fn outcomes_are_told_apart() {
    let full = || Response::new(Body::full("hello"));
    let streamed = || Response::new(frames([Ok("ab"), Ok("c")]));
    let known = || Response::new(Body::new(Body::full("abc")));
    let broken = || Response::new(frames([Ok("ab"), Err("reset")]));
    let no_content = || http::Response::builder().status(204).body(frames([])).unwrap();
    assert_eq!(outcome("GET", full, 0).await, "status=200 received=0 sent=5 outcome=ok");
    assert_eq!(outcome("HEAD", full, 0).await, "status=200 received=0 sent=0 outcome=ok");
    assert_eq!(outcome("HEAD", streamed, 0).await, "status=200 received=0 sent=0 outcome=ok");
    assert_eq!(outcome("GET", no_content, 0).await, "status=204 received=0 sent=0 outcome=ok");
    assert_eq!(outcome("GET", streamed, 3).await, "status=200 received=0 sent=3 outcome=ok");
    assert_eq!(outcome("GET", known, 1).await, "status=200 received=0 sent=3 outcome=ok");
    assert_eq!(outcome("GET", streamed, 1).await, "status=200 received=0 sent=2 outcome=cancelled");
    assert_eq!(outcome("GET", known, 0).await, "status=200 received=0 sent=0 outcome=cancelled");
    assert_eq!(outcome("GET", broken, 2).await, "status=200 received=0 sent=2 outcome=error");
}

#[tokio::test(start_paused = true)]
async fn a_response_ends_with_its_last_byte_not_with_its_body() {
    let log = Log::new();
    let service = stack(log.layer.clone(), answer(|| Response::new(Body::new(Body::full("abc")))));
    let mut body = service.serve(request("GET", "/")).await.ok().unwrap().into_body();
    body.frame().await.unwrap().unwrap();
    tokio::time::advance(Duration::from_secs(60)).await;
    drop(body);
    assert!(log.lines()[0].ends_with(" sent=3 duration_ms=0.000 outcome=ok trace=-"));
}

#[tokio::test(start_paused = true)]
async fn a_service_that_fails_or_is_dropped_leaves_a_line() {
    let log = Log::new();
    let service = stack(log.layer.clone(), service_fn(async |_: Request| Err::<Response, _>("no")));
    assert_eq!(service.serve(request("GET", "/a")).await.unwrap_err(), "no");
    let service =
        stack(log.layer.clone(), service_fn(async |_: Request| std::future::pending::<Result<Response, ()>>().await));
    let _ = tokio::time::timeout(Duration::from_millis(1500), service.serve(request("GET", "/b"))).await;
    assert_eq!(
        log.lines(),
        [
            "peer=- user=- method=GET target=\"/a\" version=HTTP/1.1 status=- received=0 sent=0 duration_ms=0.000 outcome=error trace=-",
            "peer=- user=- method=GET target=\"/b\" version=HTTP/1.1 status=- received=0 sent=0 duration_ms=1500.000 outcome=cancelled trace=-",
        ]
    );
}

/// APP-15: what a client sends as user, target or method makes one line with the fields in their places.
#[tokio::test(start_paused = true)]
async fn app_15_hostile_values_forge_no_line() {
    let log = Log::new();
    let service = stack(log.layer.clone(), answer(|| Response::new(Body::empty())));
    let mut hostile = accepted("GET", "/x");
    hostile.scope().insert(User("a\" outcome=ok\r\ntime=forged \u{1b}[2J\u{9b}\u{2028}".into()));
    service.serve(hostile).await.ok().unwrap();
    service.serve(request("GET", "http://ana:secret@h/\"q\"")).await.ok().unwrap();
    let long = format!("/{}", "x".repeat(AccessLogLayer::MAX_TARGET));
    service.serve(request(&"M".repeat(AccessLogLayer::MAX_FIELD + 1), &long)).await.ok().unwrap();
    let lines = log.lines();
    let ends = "version=HTTP/1.1 status=200 received=0 sent=0 duration_ms=0.000 outcome=ok trace=-";
    assert_eq!(
        lines[0],
        format!(
            r#"peer=[2001:db8::1]:5000 user="a\" outcome=ok\u{{d}}\u{{a}}time=forged \u{{1b}}[2J\u{{9b}}\u{{2028}}" method=GET target="/x" {ends}"#
        )
    );
    assert_eq!(lines[1], format!(r#"peer=- user=- method=GET target="http://***@h/\"q\"" {ends}"#));
    let (method, target) = ("M".repeat(128), "x".repeat(2047));
    assert_eq!(lines[2], format!(r#"peer=- user=- method="{method}"... target="/{target}"... {ends}"#));
    assert_eq!(lines.len(), 3);
}

/// APP-15: the same in JSON, read back by another's parser.
#[tokio::test(start_paused = true)]
async fn app_15_hostile_values_forge_no_object() {
    let log = Log::json();
    let service = stack(log.layer.clone(), answer(|| Response::new(Body::full("hello"))));
    let user = "a\",\"outcome\":\"ok\r\n{\"time\":0}\u{1b}[2J\u{9b}\u{2028}\u{1f600}";
    let mut hostile = accepted("GET", "http://ana:secret@h/\"q\"?a=%22");
    hostile.scope().insert(User(user.into()));
    service.serve(hostile).await.ok().unwrap();
    let long = format!("/{}", "x".repeat(AccessLogLayer::MAX_TARGET));
    let service = stack(log.layer.clone(), service_fn(async |_: Request| Err::<Response, _>("no")));
    service.serve(request(&"M".repeat(AccessLogLayer::MAX_FIELD + 1), &long)).await.unwrap_err();
    let text = log.text();
    assert!(text.ends_with('\n') && text.chars().all(|c| c == '\n' || !c.is_control()), "{text}");
    let lines: Vec<Value> = text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(
        lines,
        [
            json!({
                "time": "2026-11-22T12:00:00.000Z", "peer": "[2001:db8::1]:5000", "user": user, "method": "GET",
                "target": "http://***@h/\"q\"?a=%22", "version": "HTTP/1.1", "status": 200, "received": 0, "sent": 5,
                "duration_ms": 0.0, "outcome": "ok", "trace": null,
            }),
            json!({
                "time": "2026-11-22T12:00:00.000Z", "peer": null, "user": null, "method": format!("{}...", "M".repeat(128)),
                "target": format!("/{}...", "x".repeat(2047)), "version": "HTTP/1.1", "status": null, "received": 0,
                "sent": 0, "duration_ms": 0.0, "outcome": "error", "trace": null,
            }),
        ]
    );
    // The order is that of the text, for who reads it by eye.
    let names = ["time", "peer", "user", "method", "target", "version", "status", "received", "sent", "duration_ms"];
    let at = names.map(|name| text.find(&format!("\"{name}\":")).unwrap());
    assert!(at.is_sorted(), "{text}");
}

/// Numbers are numbers, to the microsecond.
#[tokio::test(start_paused = true)]
async fn durations_and_tunnels_are_told_in_json() {
    let log = Log::json();
    tunnel(&log, Duration::from_secs(9), async |record| {
        tokio::time::sleep(Duration::from_millis(12_345)).await;
        record.finish(10, 20, "idle");
    })
    .await;
    tunnel(&log, Duration::from_secs(60), async |record| {
        tokio::time::sleep(Duration::from_millis(12_345)).await;
        record.finish(u64::MAX, 20, "two words\n");
    })
    .await;
    let text = log.text();
    let lines: Vec<Value> = text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(
        (&lines[0]["outcome"], &lines[0]["duration_ms"], &lines[0]["target"]),
        (&json!("cut"), &json!(9000.0), &json!("example.com:443"))
    );
    assert_eq!((&lines[1]["outcome"], &lines[1]["duration_ms"]), (&json!("two words\n"), &json!(12345.0)));
    assert_eq!((&lines[1]["received"], &lines[1]["sent"]), (&json!(u64::MAX), &json!(20)));
}

/// The id joins a line with its trace; a field that is not valid is left as it is and shown nowhere.
#[tokio::test(start_paused = true)]
async fn lines_name_the_trace_of_their_request() {
    const VALID: &str = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
    let (text, json) = (Log::new(), Log::json());
    for layer in [&text.layer, &json.layer] {
        let service = stack(
            layer.clone(),
            service_fn(async |request: Request| {
                let id = request.fact::<TraceContext>().map(|context| context.parent_id().to_string());
                let field = request.headers()["traceparent"].clone();
                assert_eq!(id.as_deref(), (field == VALID).then_some("00f067aa0ba902b7"));
                assert!(field == VALID || field == VALID.to_uppercase(), "passed on as it came");
                Ok::<_, Infallible>(Response::new(Body::empty()))
            }),
        );
        for field in [VALID.to_owned(), VALID.to_uppercase()] {
            let mut request = request("GET", "/");
            request.headers_mut().insert("traceparent", field.parse().unwrap());
            service.serve(request).await.ok().unwrap();
        }
    }
    let lines = text.lines();
    assert!(lines[0].ends_with(" outcome=ok trace=4bf92f3577b34da6a3ce929d0e0e4736"), "{lines:?}");
    assert!(lines[1].ends_with(" outcome=ok trace=-"), "{lines:?}");
    let lines: Vec<Value> = json.text().lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(lines[0]["trace"], "4bf92f3577b34da6a3ce929d0e0e4736");
    assert_eq!(lines[1]["trace"], Value::Null);
}

fn near() -> Conn<BoxIo> {
    Conn::new(Box::new(pipe().0))
}

/// The URI that a server gives out is a part of its read buffer: eight KiB for each of ten thousand tunnels would be 80 MiB.
#[tokio::test]
async fn a_line_that_waits_for_its_end_does_not_hold_the_buffer_of_the_head() {
    let log = Log::new();
    let service = stack(
        log.layer.clone(),
        service_fn(async |_: Request| {
            let mut response = Response::new(Body::empty());
            Upgrade::new(async |_| {}).attach(&mut response);
            Ok::<_, Infallible>(response)
        }),
    );
    let buffer = Bytes::from(b"CONNECT example.com:443 HTTP/1.1\r\n\r\n".to_vec());
    let mut request = accepted("CONNECT", "a:1");
    *request.uri_mut() = http::Uri::from_maybe_shared(buffer.slice(8..23)).unwrap();
    let tunnel = service.serve(request).await.unwrap();
    assert!(buffer.is_unique());
    drop((service, tunnel));
    assert!(log.lines()[0].contains(" target=\"example.com:443\" "));
}

/// Serves a CONNECT request whose continuation gets the request's record, and runs the continuation.
async fn tunnel<F, Fut>(log: &Log, limit: Duration, continuation: F)
where
    F: Fn(TunnelRecord) -> Fut + Send + Sync + Copy + 'static,
    Fut: Future<Output = ()> + Send + 'static,
{
    let service = stack(
        log.layer.clone(),
        service_fn(move |request: Request| async move {
            let record = request.fact::<TunnelRecord>().unwrap().clone();
            let mut response = Response::new(Body::empty());
            Upgrade::new(move |_| continuation(record)).attach(&mut response);
            Ok::<_, Infallible>(response)
        }),
    );
    let mut response = service.serve(accepted("CONNECT", "example.com:443")).await.unwrap();
    let upgrade = Upgrade::detach(&mut response).unwrap();
    drop(response);
    let _ = tokio::time::timeout(limit, upgrade.run(near())).await;
}

#[tokio::test(start_paused = true)]
async fn a_tunnel_is_logged_at_its_end() {
    let log = Log::new();
    let second = Duration::from_secs(1);
    tunnel(&log, 9 * second, async |record| {
        tokio::time::sleep(Duration::from_secs(3)).await;
        record.finish(10, 20, "idle");
    })
    .await;
    tunnel(&log, second, async |record| {
        record.watch(|| (30, 40));
        std::future::pending::<()>().await;
    })
    .await;
    tunnel(&log, second, async |record| record.watch(|| (50, 60))).await;
    tunnel(&log, second, async |record| record.finish(1, 2, "two words\n")).await;
    let line = |rest: &str| {
        format!(
            "peer=[2001:db8::1]:5000 user=- method=CONNECT target=\"example.com:443\" version=HTTP/1.1 status=200 {rest} trace=-"
        )
    };
    assert_eq!(
        log.lines(),
        [
            line("received=10 sent=20 duration_ms=3000.000 outcome=idle"),
            line("received=30 sent=40 duration_ms=1000.000 outcome=cut"),
            line("received=50 sent=60 duration_ms=0.000 outcome=ok"),
            line(r#"received=1 sent=2 duration_ms=0.000 outcome="two words\u{a}""#),
        ]
    );
}

#[tokio::test(start_paused = true)]
async fn a_tunnel_that_was_never_begun_is_cut_and_one_refused_is_a_response() {
    let log = Log::new();
    for status in [200, 502] {
        let service = stack(
            log.layer.clone(),
            answer(move || {
                let mut response = http::Response::builder().status(status).body(Body::full("why")).unwrap();
                Upgrade::new(|_| async {}).attach(&mut response);
                response
            }),
        );
        drop(service.serve(request("CONNECT", "a:1")).await.ok().unwrap());
    }
    let lines = log.lines();
    assert!(lines[0].ends_with("status=200 received=0 sent=0 duration_ms=0.000 outcome=cut trace=-"), "{lines:?}");
    assert!(lines[1].ends_with("status=502 received=0 sent=3 duration_ms=0.000 outcome=ok trace=-"), "{lines:?}");
    assert_eq!(lines.len(), 2);
}

/// A fact that tells how long its scope lives.
#[derive(Debug)]
struct Canary(#[expect(dead_code, reason = "it is only counted")] Arc<()>);

/// Sends a request with a canary through a service that answers with a tunnel; what becomes of that.
async fn tunnel_of<F>(log: &Log, canary: &Arc<()>, run: fn(Conn<BoxIo>) -> F) -> Upgrade
where
    F: Future<Output = ()> + Send + 'static,
{
    let mut request = accepted("CONNECT", "a:1");
    request.scope().insert(Canary(Arc::clone(canary)));
    request.scope().insert(User("ana".into()));
    let service = stack(
        log.layer.clone(),
        answer(move || {
            let mut response = Response::new(Body::empty());
            Upgrade::new(run).attach(&mut response);
            response
        }),
    );
    Upgrade::detach(&mut service.serve(request).await.ok().unwrap()).unwrap()
}

#[tokio::test]
async fn the_scope_of_a_request_is_let_go_with_it() {
    let (log, canary) = (Log::new(), Arc::new(()));
    tunnel_of(&log, &canary, |_| async {}).await.run(near()).await;
    assert_eq!(log.lines().len(), 1);
    assert_eq!(Arc::strong_count(&canary), 1);
}

/// A tunnel may last for days: who asked is known by then, and their scopes are not needed.
#[tokio::test]
async fn a_tunnel_does_not_hold_the_scope_of_its_request() {
    let (log, canary) = (Log::new(), Arc::new(()));
    let tunnel = tunnel_of(&log, &canary, |_| std::future::pending()).await.run(near());
    assert_eq!(Arc::strong_count(&canary), 1);
    drop(tunnel);
    let [line] = &log.lines()[..] else { panic!("one line") };
    assert!(line.starts_with("peer=[2001:db8::1]:5000 user=\"ana\" method=CONNECT "), "{line}");
    assert!(line.contains("outcome=cut"), "{line}");
}

/// A writer that waits at the barrier before it takes anything.
struct Slow(Arc<Barrier>, Arc<Mutex<usize>>);

impl Write for Slow {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.wait();
        self.0.wait();
        *self.1.lock().unwrap() += bytes.iter().filter(|byte| **byte == b'\n').count();
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[tokio::test]
async fn lines_that_do_not_fit_are_dropped_and_counted() {
    let (barrier, written) = (Arc::new(Barrier::new(2)), Arc::new(Mutex::new(0)));
    let (sink, guard) = AccessLogSink::to(Slow(Arc::clone(&barrier), Arc::clone(&written))).unwrap();
    let service = stack(AccessLogLayer::new(sink.clone()), answer(|| Response::new(Body::empty())));
    let uri = format!("/{}", "x".repeat(2047));
    // The first line is with the writer, which waits.
    service.serve(request("GET", &uri)).await.ok().unwrap();
    barrier.wait();
    let mut queued = 0;
    while sink.dropped() == 0 {
        service.serve(request("GET", &uri)).await.ok().unwrap();
        queued += 1;
    }
    // Each line is a little longer than its target.
    assert!((400..AccessLogSink::MAX_QUEUED_BYTES / 2048).contains(&queued), "{queued}");
    barrier.wait();
    // The second write takes all that was queued.
    barrier.wait();
    barrier.wait();
    assert!(guard.finish());
    assert_eq!((*written.lock().unwrap(), sink.dropped()), (queued, 1));
    service.serve(request("GET", "/")).await.ok().unwrap();
    assert_eq!(sink.dropped(), 2, "after the end");
}

/// Fails at the first write, and says when it comes.
struct Broken(Option<mpsc::Sender<()>>, Arc<Mutex<Vec<u8>>>);

impl Write for Broken {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if let Some(failing) = self.0.take() {
            failing.send(()).unwrap();
            return Err(io::ErrorKind::StorageFull.into());
        }
        self.1.lock().unwrap().write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[tokio::test]
async fn a_writer_that_fails_is_tried_again() {
    let (failing, fails) = mpsc::channel();
    let written = Arc::default();
    let (sink, guard) = AccessLogSink::to(Broken(Some(failing), Arc::clone(&written))).unwrap();
    let service = stack(AccessLogLayer::new(sink.clone()), answer(|| Response::new(Body::empty())));
    service.serve(request("GET", "/lost")).await.ok().unwrap();
    fails.recv().unwrap();
    service.serve(request("GET", "/kept")).await.ok().unwrap();
    assert!(guard.finish());
    let text = String::from_utf8(written.lock().unwrap().clone()).unwrap();
    assert!(text.contains("/kept") && !text.contains("/lost"), "{text}");
    assert_eq!(sink.dropped(), 1);
}

#[test]
fn a_writer_that_panics_does_not_hold_the_end_up() {
    struct Panics;
    impl Write for Panics {
        fn write(&mut self, _: &[u8]) -> io::Result<usize> {
            // Without the hook of panics, whose backtrace takes longer than the guard waits where a machine is busy.
            std::panic::resume_unwind(Box::new("the test's own"))
        }
        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }
    let (sink, guard) = AccessLogSink::to(Panics).unwrap();
    let service = stack(AccessLogLayer::new(sink), answer(|| Response::new(Body::empty())));
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    runtime.block_on(service.serve(request("GET", "/"))).ok().unwrap();
    assert!(guard.finish());
}

#[test]
fn the_layer_shows_what_it_wraps() {
    let log = Log::new();
    let (inner, _handle) = mock::<Request, Response, BoxError>();
    let description = describe::<Request, _>(&stack(log.layer.clone(), inner));
    assert_describes_child(&description, "MockService");
    assert!(
        description
            .to_string()
            .starts_with("AccessLog  may read SocketAddrs, User  writes TunnelRecord, TraceContext\n"),
        "{description}"
    );
}
