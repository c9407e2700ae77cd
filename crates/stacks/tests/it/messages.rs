//! What stands around a body: informational responses, Expect, upgrades, answers without one.

use std::{
    sync::{Arc, Mutex, atomic::Ordering},
    time::Duration,
};

use chaski_core::{
    BoxError, BoxIo, Conn, Service,
    http::{Body, Informational, OnInformational, Request, Response, Upgrade, Upgraded},
    service_fn,
    test_util::PipeOptions,
};
use chaski_http_core::Http1Server;
use http::{HeaderMap, StatusCode};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    time::Instant,
};

use crate::{
    bodies::fed,
    net::{Net, exchange, get, in_time, post, read, talk, tiny},
};

/// H1-22: informational responses come in order and ahead of the final one, 100 is the engines' own.
#[tokio::test(start_paused = true)]
async fn h1_22_informational_responses_come_through_in_order() {
    for options in [tiny(1), PipeOptions::default()] {
        let net = Net::default();
        let hints = service_fn(async |request: Request| {
            let informational = Informational::of(&request).unwrap();
            for i in ["a", "b"] {
                let mut headers = HeaderMap::new();
                headers.insert("link", i.parse().unwrap());
                informational.send(StatusCode::EARLY_HINTS, &headers)?;
            }
            let body = request.into_body().collect(100).await?;
            informational.send(StatusCode::from_u16(150)?, &HeaderMap::new())?;
            Ok::<_, BoxError>(Response::new(Body::full(body)))
        });
        let connections = net.listen_with("origin.test:80", options).serve(Http1Server::new(hints));
        let client = net.client();
        in_time(async {
            for _ in 0..2 {
                let heard = Arc::new(Mutex::new(Vec::new()));
                let listener = Arc::clone(&heard);
                let mut request = post("http://origin.test/", "asked for");
                request.headers_mut().insert("expect", "100-continue".parse().unwrap());
                OnInformational::new(move |response| {
                    let link = response.headers().get("link").map(|link| link.to_str().unwrap().to_owned());
                    listener.lock().unwrap().push((response.status().as_u16(), link));
                })
                .attach(&mut request);
                let begun = Instant::now();
                assert_eq!(read(client.serve(request).await.unwrap()).await, (200, "asked for".into()));
                assert_eq!(begun.elapsed(), Duration::ZERO, "100 was sent, so nobody waited for it");
                let heard = heard.lock().unwrap();
                assert_eq!(*heard, [(103, Some("a".to_owned())), (103, Some("b".to_owned())), (150, None)]);
            }
            assert_eq!(connections.load(Ordering::SeqCst), 1);
        })
        .await;
    }
}

/// H1-23: a service that refuses without reading is heard at once; the body stays where it is.
#[tokio::test(start_paused = true)]
async fn h1_23_a_refusal_comes_at_once_and_the_body_stays_at_home() {
    let net = Net::default();
    let mut listener = net.listen("origin.test:80");
    let refuse = service_fn(async |_: Request| {
        Ok::<_, BoxError>(Response::builder().status(401).body(Body::full("who are you?")).unwrap())
    });
    let server = Http1Server::new(refuse);
    let client = net.client();
    in_time(async {
        let serving = async {
            let accepted = listener.accept().await;
            let near = accepted.near.clone();
            server.serve(accepted.conn).await.unwrap();
            near.stats().bytes_written
        };
        let call = async {
            let (feeder, body) = fed();
            let mut request = post("http://origin.test/", body);
            request.headers_mut().insert("expect", "100-continue".parse().unwrap());
            let begun = Instant::now();
            assert_eq!(read(client.serve(request).await.unwrap()).await, (401, "who are you?".into()));
            assert_eq!(begun.elapsed(), Duration::ZERO);
            feeder.dropped().await;
            assert_eq!(client.idle(), 0, "what comes next on this connection cannot be told");
        };
        let (written, ()) = tokio::join!(serving, call);
        let head = "POST / HTTP/1.1\r\nexpect: 100-continue\r\nhost: origin.test\r\ntransfer-encoding: chunked\r\n\r\n";
        assert_eq!(written, head.len() as u64);
    })
    .await;
}

/// A server that does not know of Expect: the body follows after its time.
#[tokio::test(start_paused = true)]
async fn a_body_that_is_not_asked_for_follows_after_its_time() {
    let net = Net::default();
    let mut listener = net.listen("origin.test:80");
    let client = net.client();
    in_time(async {
        let origin = async {
            let mut io = listener.accept().await.conn.io;
            let mut request = Vec::new();
            while !request.ends_with(b"the body") {
                request.push(io.read_u8().await.unwrap());
            }
            io.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n").await.unwrap();
        };
        let call = async {
            let mut request = post("http://origin.test/", "the body");
            request.headers_mut().insert("expect", "100-continue".parse().unwrap());
            let begun = Instant::now();
            assert_eq!(read(client.serve(request).await.unwrap()).await.0, 200);
            assert_eq!(begun.elapsed(), Duration::from_secs(1));
        };
        tokio::join!(origin, call);
    })
    .await;
}

/// H1-14: after 101 both sides have the connection, with the bytes that came in the segment of the head.
#[tokio::test(start_paused = true)]
async fn h1_14_an_upgrade_keeps_the_bytes_behind_the_heads() {
    for options in [tiny(3), PipeOptions::default()] {
        let net = Net::default();
        let upgrade = service_fn(async |_: Request| {
            let mut response = Response::builder()
                .status(101)
                .header("connection", "upgrade")
                .header("upgrade", "parrot")
                .body(Body::empty())
                .unwrap();
            let parrot = Upgrade::new(async |mut conn: Conn<BoxIo>| {
                // It speaks first, so that with pipes that are wide this comes with the head.
                conn.io.write_all(b"hello ").await.unwrap();
                let mut word = String::new();
                conn.io.read_to_string(&mut word).await.unwrap();
                conn.io.write_all(word.as_bytes()).await.unwrap();
                conn.io.shutdown().await.unwrap();
            });
            parrot.attach(&mut response);
            Ok::<_, BoxError>(response)
        });
        net.listen_with("origin.test:80", options).serve(Http1Server::new(upgrade));
        let client = net.client();
        in_time(async {
            let request = Request::get("http://origin.test/")
                .header("connection", "upgrade")
                .header("upgrade", "parrot")
                .body(Body::empty());
            let mut response = client.serve(request.unwrap()).await.unwrap();
            assert_eq!(response.status(), 101);
            let conn = Upgraded::take(&mut response).unwrap();
            let said = talk(conn.io, b"polly").await;
            assert_eq!(said, "hello polly");
            assert_eq!(client.idle(), 0, "it is no session any more");

            // The server's side: what follows the request in its segment is the new protocol's.
            let io = net.dial("origin.test:80").await;
            let request = b"GET / HTTP/1.1\r\nhost: a\r\nconnection: upgrade\r\nupgrade: parrot\r\n\r\ncracker";
            let answer = talk(io, request).await;
            assert!(answer.starts_with("HTTP/1.1 101 ") && answer.ends_with("\r\n\r\nhello cracker"), "{answer}");
        })
        .await;
    }
}

/// H1-14: what nobody asked for is no upgrade, and the connection is not used again.
#[tokio::test(start_paused = true)]
async fn h1_14_an_upgrade_that_nobody_asked_for_fails() {
    let net = Net::default();
    let mut listener = net.listen("origin.test:80");
    let client = net.client();
    in_time(async {
        let origin = async {
            let mut io = listener.accept().await.conn.io;
            io.write_all(b"HTTP/1.1 101 Switching Protocols\r\nconnection: upgrade\r\nupgrade: x\r\n\r\n")
                .await
                .unwrap();
            exchange(&mut io, "").await
        };
        let call = async {
            client.serve(get("http://origin.test/")).await.unwrap_err();
            assert_eq!(client.idle(), 0);
        };
        tokio::join!(origin, call);
    })
    .await;
}

/// Answers without a body, whatever their fields say, are followed by the next one on the same connection.
#[tokio::test(start_paused = true)]
async fn answers_without_a_body_leave_the_connection_usable() {
    let net = Net::default();
    let bodiless = service_fn(async |request: Request| {
        let status: u16 = request.uri().path()[1..].parse()?;
        // A service that gives a body all the same.
        let body = if status == 304 { Body::empty() } else { Body::full("hello") };
        Ok::<_, BoxError>(Response::builder().status(status).body(body)?)
    });
    let connections = net.serve_at("origin.test:80", bodiless);
    let client = net.client();
    in_time(async {
        let head = |uri: &str| Request::head(uri).body(Body::empty()).unwrap();
        for _ in 0..3 {
            let response = client.serve(head("http://origin.test/200")).await.unwrap();
            assert_eq!(response.headers()["content-length"], "5");
            assert_eq!(read(response).await, (200, "".into()));
            assert_eq!(read(client.serve(get("http://origin.test/304")).await.unwrap()).await, (304, "".into()));
            assert_eq!(read(client.serve(get("http://origin.test/200")).await.unwrap()).await, (200, "hello".into()));
            assert_eq!(read(client.serve(get("http://origin.test/204")).await.unwrap()).await.1, "");
        }
        assert_eq!(connections.load(Ordering::SeqCst), 1);
    })
    .await;
}
