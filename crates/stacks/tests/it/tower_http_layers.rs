//! The layers of `tower-http` in stacks of chaski's, under its server.

use std::{convert::Infallible, time::Duration};

use chaski_core::{
    BoxError, Service, ServiceExt, check,
    http::{Body, Message, Request, Response},
    layer_fn, service_fn, stack,
    test_util::mock,
};
use chaski_http_core::Http1Server;
use chaski_middleware::AddFactLayer;
use chaski_stacks::tower::TowerHttpLayer;
use http::{HeaderMap, HeaderValue, StatusCode, header};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    time::Instant,
};
use tower::{ServiceBuilder, util::MapRequestLayer};
use tower_http::{
    compression::CompressionLayer, cors::CorsLayer, limit::RequestBodyLimitLayer, normalize_path::NormalizePathLayer,
    set_header::SetResponseHeaderLayer, timeout::TimeoutLayer, trace::TraceLayer,
};

use crate::{
    bodies::{fed, next_data},
    net::{Arrived, Net, get, in_time, post, read, read_head},
};

/// Says what it was asked for, twenty times, and what the body was or why there is none; takes its time at `/slow`.
async fn tell(request: Request) -> Result<Response, Infallible> {
    if request.uri().path() == "/slow" {
        std::future::pending::<()>().await;
    }
    let path = request.uri().path().to_owned();
    Ok(match request.into_body().collect(1 << 20).await {
        Ok(body) => Response::new(Body::full(format!("{path} {body:?} ").repeat(20))),
        Err(error) => Response::new(Body::full(format!("{path}: {error}"))),
    })
}

/// Layer by layer, each across the bridge, and all of them across it once.
#[tokio::test(start_paused = true)]
async fn layers_of_tower_http_do_their_work_under_the_server() {
    let limit = Duration::from_secs(7);
    let status = StatusCode::GATEWAY_TIMEOUT;
    let signed = || SetResponseHeaderLayer::overriding(header::SERVER, HeaderValue::from_static("signed"));
    let one_by_one = stack(
        (
            TowerHttpLayer::new(TraceLayer::new_for_http()),
            TowerHttpLayer::new(NormalizePathLayer::trim_trailing_slash()),
            TowerHttpLayer::new(CorsLayer::permissive()),
            TowerHttpLayer::new(signed()),
            TowerHttpLayer::new(TimeoutLayer::with_status_code(status, limit)),
            TowerHttpLayer::new(RequestBodyLimitLayer::new(10)),
            TowerHttpLayer::new(CompressionLayer::new()),
        ),
        service_fn(tell),
    );
    // In one stack of tower's, those that answer for themselves stand inside of those that wrap bodies: they make their
    // answer's body by `Default`, which the wrappers have not. One by one the order is free.
    let at_once = stack(
        TowerHttpLayer::new(
            ServiceBuilder::new()
                .layer(TraceLayer::new_for_http())
                .layer(NormalizePathLayer::trim_trailing_slash())
                .layer(signed())
                .layer(RequestBodyLimitLayer::new(10))
                .layer(CompressionLayer::new())
                .layer(CorsLayer::permissive())
                .layer(TimeoutLayer::with_status_code(status, limit)),
        ),
        service_fn(tell),
    );
    let net = Net::default();
    net.serve_at("a.test:80", one_by_one);
    net.serve_at("b.test:80", at_once);
    let client = net.client();
    in_time(async {
        for host in ["http://a.test", "http://b.test"] {
            let (status, body) = read(client.serve(get(&format!("{host}/path/"))).await.unwrap()).await;
            assert_eq!((status, &body[..]), (200, r#"/path b"" "#.repeat(20).as_bytes()));

            let mut request = get(&format!("{host}/zip"));
            request.headers_mut().insert("accept-encoding", HeaderValue::from_static("gzip"));
            let response = client.serve(request).await.unwrap();
            assert_eq!(
                (&response.headers()["content-encoding"], &response.headers()["server"]),
                (&"gzip".parse().unwrap(), &"signed".parse().unwrap())
            );
            let (_, body) = read(response).await;
            // RFC 1952 section 2.3: how a member begins. What it holds is for curl to tell, in `tower_axum`.
            assert!(body.starts_with(&[0x1f, 0x8b, 8]) && body.len() < 60, "{body:?}");

            let mut request = get(&format!("{host}/cors"));
            *request.method_mut() = http::Method::OPTIONS;
            request.headers_mut().insert("origin", HeaderValue::from_static("http://c.test"));
            request.headers_mut().insert("access-control-request-method", HeaderValue::from_static("PUT"));
            let response = client.serve(request).await.unwrap();
            assert_eq!(response.headers()["access-control-allow-origin"], "*");

            let (status, _) = read(client.serve(post(&format!("{host}/"), "hello, world")).await.unwrap()).await;
            assert_eq!(status, 413, "by its length");
            let (feeder, unknown) = fed();
            let (response, ()) = tokio::join!(client.serve(post(&format!("{host}/up"), unknown)), async {
                feeder.send("hello").await;
                feeder.send(", world").await;
            });
            let (status, body) = read(response.unwrap()).await;
            assert_eq!((status, &body[..]), (200, b"/up: length limit exceeded".as_slice()), "by what it holds");

            let begun = Instant::now();
            let (status, _) = read(client.serve(get(&format!("{host}/slow"))).await.unwrap()).await;
            assert_eq!((status, begun.elapsed().as_secs()), (504, 7));
        }
    })
    .await;
}

#[derive(Clone, Debug, PartialEq)]
struct Mark(&'static str);

/// A tower layer that makes a new request of the old one's parts keeps its scope; so does a response.
#[tokio::test(start_paused = true)]
async fn facts_go_through_layers_that_rebuild_the_message() {
    let rebuild = MapRequestLayer::new(|request: Request| {
        let (parts, body) = request.into_parts();
        Request::from_parts(parts, body)
    });
    let handler = service_fn(async |request: Request| {
        assert!(request.fact::<Arrived>().is_some(), "the connection's facts");
        let mark = request.fact::<Mark>().cloned().unwrap();
        let mut response = Response::new(Body::full(mark.0));
        response.scope().insert(Mark("answered"));
        Ok::<_, Infallible>(response)
    });
    let seen = |response: Response| {
        assert_eq!(response.fact(), Some(&Mark("answered")));
        response
    };
    let service = stack(
        (
            layer_fn(move |inner| ServiceExt::map_output(inner, seen)),
            AddFactLayer::new(Mark("asked")),
            TowerHttpLayer::new(rebuild),
            TowerHttpLayer::new(CompressionLayer::new()),
            TowerHttpLayer::new(TraceLayer::new_for_http()),
        ),
        handler,
    );
    let net = Net::default();
    net.serve_at("a.test:80", service);
    let (status, body) = in_time(async { read(net.client().serve(get("http://a.test/")).await.unwrap()).await }).await;
    assert_eq!((status, &body[..]), (200, b"asked".as_slice()));
}

/// Frames come one by one and not all at the end, trailers with them, and a body that fails fails.
#[tokio::test(start_paused = true)]
async fn streamed_bodies_and_their_ends_go_through() {
    let (feeder, body) = fed();
    let mut trailers = HeaderMap::new();
    trailers.insert("checksum", HeaderValue::from_static("1"));
    let body = std::sync::Mutex::new(Some(body.with_trailers(trailers.clone())));
    let inner = service_fn(move |_: Request| {
        let body = body.lock().unwrap().take().unwrap_or_else(|| Body::new(Broken));
        std::future::ready(Ok::<_, Infallible>(Response::new(body)))
    });
    let service = stack(TowerHttpLayer::new(TraceLayer::new_for_http()), inner);
    let mut response = service.serve(get("/")).await.unwrap();
    for text in ["one", "two"] {
        feeder.send(text).await;
        assert_eq!(next_data(&mut response).await.unwrap(), text);
    }
    drop(feeder);
    let frame = response.body_mut().frame().await.unwrap().unwrap();
    assert_eq!(frame.into_trailers().unwrap(), trailers);
    assert!(response.body_mut().frame().await.is_none());

    let mut response = service.serve(get("/")).await.unwrap();
    assert_eq!(response.body_mut().frame().await.unwrap().unwrap_err().to_string(), "the disk is gone");
}

struct Broken;

impl http_body::Body for Broken {
    type Data = bytes::Bytes;
    type Error = BoxError;

    fn poll_frame(
        self: std::pin::Pin<&mut Self>,
        _: &mut std::task::Context<'_>,
    ) -> std::task::Poll<Option<Result<http_body::Frame<bytes::Bytes>, BoxError>>> {
        std::task::Poll::Ready(Some(Err("the disk is gone".into())))
    }
}

/// So that head and body still leave in one write, and a request can be sent again.
#[tokio::test]
async fn a_body_in_hand_that_nobody_wraps_stays_in_hand() {
    let signed = SetResponseHeaderLayer::overriding(header::SERVER, HeaderValue::from_static("signed"));
    let echo = service_fn(async |request: Request| {
        assert!(request.body().as_full().is_some());
        Ok::<_, Infallible>(Response::new(request.into_body()))
    });
    let service = stack(TowerHttpLayer::new(signed), echo);
    let response = service.serve(post("/", "hello")).await.unwrap();
    assert_eq!(response.body().as_full().unwrap(), "hello");
    // Wrapped, but with nothing to come.
    let service = stack(TowerHttpLayer::new(TraceLayer::new_for_http()), echo);
    let response = service.serve(get("/")).await.unwrap();
    assert_eq!(response.body().as_full().unwrap(), "");
}

#[tokio::test]
async fn dropping_a_call_drops_it_behind_every_layer() {
    let (inner, mut handle) = mock::<Request, Response, BoxError>();
    let service = check::<Request, _>(stack(
        TowerHttpLayer::new(ServiceBuilder::new().layer(TraceLayer::new_for_http()).layer(CompressionLayer::new())),
        inner,
    ));
    let mut call = Box::pin(service.serve(get("/")));
    let mut inner = tokio::select! {
        biased;
        _ = &mut call => unreachable!("nobody answers"),
        inner = handle.next() => inner,
    };
    assert!(!inner.is_cancelled());
    drop(call);
    inner.cancelled().await;
}

/// The continuation of a tunnel travels in the response's extensions, through layers that wrap its body.
#[tokio::test(start_paused = true)]
async fn a_tunnel_opens_through_tower_layers() {
    let net = Net::default();
    let mut origin = net.listen("origin.test:443");
    let layers = ServiceBuilder::new().layer(TraceLayer::new_for_http()).layer(CompressionLayer::new());
    let proxy = stack(TowerHttpLayer::new(layers), net.proxy("edge"));
    net.listen("proxy.test:3128").serve(Http1Server::new(proxy));
    in_time(async {
        let mut client = net.dial("proxy.test:3128").await;
        client
            .write_all(
                b"CONNECT origin.test:443 HTTP/1.1\r\nhost: origin.test:443\r\naccept-encoding: gzip\r\n\r\nearly",
            )
            .await
            .unwrap();
        assert!(read_head(&mut client).await.starts_with("HTTP/1.1 200 "));
        let mut server = origin.accept().await.conn.io;
        let mut early = [0; 5];
        server.read_exact(&mut early).await.unwrap();
        assert_eq!(&early, b"early");
        server.write_all(b"and back").await.unwrap();
        server.shutdown().await.unwrap();
        let mut back = [0; 8];
        client.read_exact(&mut back).await.unwrap();
        assert_eq!(&back, b"and back");
    })
    .await;
}
