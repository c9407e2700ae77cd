//! Where messages begin and end.

use chaski_core::{
    http::{Body, Request},
    service_fn,
    test_util::{Chunking, PipeDirection, PipeOptions},
};
use chaski_http_core::{
    Http1ServerError,
    codec::{HeadConfig, HeadFault},
};
use http::header;

use super::harness::*;

const BAD: &str = "HTTP/1.1 400 Bad Request\r\ncontent-length: 0\r\nconnection: close\r\n\r\n";

/// H1-01: both framings in one request, in either order, are answered with 400 and a close; what follows is not read as
/// a request. Also for HTTP/1.0, and for a chunked coding that is not last.
#[tokio::test(start_paused = true)]
async fn a_request_with_two_framings_is_refused() {
    for framing in [
        "content-length: 4\r\ntransfer-encoding: chunked\r\n",
        "transfer-encoding: chunked\r\ncontent-length: 4\r\n",
        "content-length: 4\r\ncontent-length: 5\r\n",
        "transfer-encoding: chunked, identity\r\n",
    ] {
        let served = std::sync::Arc::new(std::sync::atomic::AtomicUsize::new(0));
        let count = std::sync::Arc::clone(&served);
        let mut client = serve(service_fn(move |request: Request| {
            count.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
            path(request)
        }));
        client
            .send(format!(
                "GET /first HTTP/1.1\r\nhost: a\r\n\r\nPOST / HTTP/1.1\r\nhost: a\r\n{framing}\r\n0\r\n\r\n\
                 GET /smuggled HTTP/1.1\r\nhost: a\r\n\r\n"
            ))
            .await;
        let first = "HTTP/1.1 200 OK\r\ncontent-length: 6\r\n\r\n/first";
        assert_eq!(client.rest().await, format!("{first}{BAD}"), "{framing:?}");
        assert_eq!(served.load(std::sync::atomic::Ordering::Relaxed), 1);
        drop(client.io);
        let outcome = client.server.await.unwrap().unwrap();
        assert!(matches!(outcome, Err(Http1ServerError::Head(_))), "{outcome:?}");
    }
}

/// H1-04: a head that drips in byte by byte is held to the limit, at the byte that passes it.
#[tokio::test(start_paused = true)]
async fn a_dripped_head_over_the_limit_is_refused() {
    let reads = PipeDirection { reads: Chunking::Bytes(1), ..PipeDirection::default() };
    let mut client = Setup::new()
        .pipe(PipeOptions { a_to_b: reads, ..PipeOptions::default() })
        .config(|config| config.with_head(HeadConfig::default().with_max_head_bytes(200)))
        .serve(service_fn(path));
    let fits = format!("GET /abc HTTP/1.1\r\nhost: a\r\npad: {}\r\n\r\n", "x".repeat(163));
    assert_eq!(fits.len(), 200);
    client.send(&fits).await;
    assert_eq!(client.response().await, "HTTP/1.1 200 OK\r\ncontent-length: 4\r\n\r\n/abc");
    let over = fits.replace("pad: ", "pad: x");
    client.send(&over).await;
    assert_eq!(
        client.rest().await,
        "HTTP/1.1 431 Request Header Fields Too Large\r\ncontent-length: 0\r\nconnection: close\r\n\r\n"
    );
    drop(client.io);
    let Some(Err(Http1ServerError::Head(error))) = client.server.await.unwrap() else { panic!("refused") };
    assert_eq!(error.fault, HeadFault::TooLarge { limit: 200 });
}

/// H1-04: the limit holds for a head without an end, while the client goes on sending.
#[tokio::test(start_paused = true)]
async fn a_head_without_an_end_is_refused_at_the_limit() {
    let mut client = serve(service_fn(path));
    client.send("GET / HTTP/1.1\r\nhost: a\r\npad: ").await;
    client.send(vec![b'x'; 64 * 1024]).await;
    assert!(client.rest().await.starts_with("HTTP/1.1 431 "));
}

/// H1-11: an HTTP/1.0 client gets a close unless it asks for keep-alive, and never chunks.
#[tokio::test(start_paused = true)]
async fn http_1_0_closes_unless_asked() {
    let mut client = serve(service_fn(path));
    client.send("GET /a HTTP/1.0\r\n\r\n").await;
    assert_eq!(client.rest().await, "HTTP/1.1 200 OK\r\ncontent-length: 2\r\nconnection: close\r\n\r\n/a");

    let mut client = serve(service_fn(path));
    for _ in 0..2 {
        client.send("GET /b HTTP/1.0\r\nconnection: Keep-Alive\r\n\r\n").await;
        assert_eq!(client.response().await, "HTTP/1.1 200 OK\r\ncontent-length: 2\r\nconnection: keep-alive\r\n\r\n/b");
    }
    client.send("GET /c HTTP/1.0\r\n\r\n").await;
    assert_eq!(client.rest().await, "HTTP/1.1 200 OK\r\ncontent-length: 2\r\nconnection: close\r\n\r\n/c");
    client.outcome().await.unwrap();
}

/// H1-11: a stream to an HTTP/1.0 client ends with the connection, whatever the client asked.
#[tokio::test(start_paused = true)]
async fn a_stream_to_http_1_0_ends_with_the_connection() {
    for asked in ["", "connection: keep-alive\r\n"] {
        let mut client = serve(service_fn(async |_: Request| Ok(ok(pieces(&["one ", "two ", "three"])))));
        client.send(format!("GET / HTTP/1.0\r\n{asked}te: trailers\r\n\r\nGET / HTTP/1.0\r\n\r\n")).await;
        assert_eq!(client.rest().await, "HTTP/1.1 200 OK\r\nconnection: close\r\n\r\none two three");
    }
}

/// H1-12: HEAD, 204 and 304 have no body, whether the service gives bytes or a stream; the next request is served.
#[tokio::test(start_paused = true)]
async fn what_has_no_body_sends_none() {
    let service = service_fn(async |request: Request| {
        let body = || match request.uri().query() {
            Some("stream") => pieces(&["str", "eam"]),
            _ => Body::full("full"),
        };
        let mut response = ok(body());
        if let Ok(code) = request.uri().path()[1..].parse() {
            *response.status_mut() = code;
        }
        if request.uri().path() == "/304" {
            response.headers_mut().insert(header::CONTENT_LENGTH, "77".parse().unwrap());
        }
        Ok(response)
    });
    let next = "HTTP/1.1 200 OK\r\ncontent-length: 4\r\nconnection: close\r\n\r\nfull";
    for (request, expected) in [
        ("HEAD /", "HTTP/1.1 200 OK\r\ncontent-length: 4\r\n\r\n"),
        ("HEAD /?stream", "HTTP/1.1 200 OK\r\n\r\n"),
        ("GET /204", "HTTP/1.1 204 No Content\r\n\r\n"),
        ("GET /204?stream", "HTTP/1.1 204 No Content\r\n\r\n"),
        ("GET /304", "HTTP/1.1 304 Not Modified\r\ncontent-length: 77\r\n\r\n"),
        ("GET /304?stream", "HTTP/1.1 304 Not Modified\r\ncontent-length: 77\r\n\r\n"),
    ] {
        let mut client = serve(service);
        client
            .send(format!(
                "{request} HTTP/1.1\r\nhost: a\r\n\r\nGET / HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n"
            ))
            .await;
        assert_eq!(client.rest().await, format!("{expected}{next}"), "{request}");
    }
}

/// The limits of a body's framing are the server's: a chunk that is malformed is the client's fault.
#[tokio::test(start_paused = true)]
async fn a_malformed_body_is_answered_with_400() {
    let mut client = serve(service_fn(collected));
    client.send("POST / HTTP/1.1\r\nhost: a\r\ntransfer-encoding: chunked\r\n\r\n3\r\nabcX").await;
    assert_eq!(client.rest().await, BAD);
    client.outcome().await.unwrap();
}

/// An empty line between two requests is tolerated once, and is no head cut short.
#[tokio::test(start_paused = true)]
async fn an_empty_line_after_a_body_is_no_request() {
    let mut client = serve(service_fn(collected));
    client.send("POST / HTTP/1.1\r\nhost: a\r\ncontent-length: 2\r\n\r\nhi\r\n").await;
    assert_eq!(client.response().await, "HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nhi");
    client.end().await;
    client.assert_closed().await;
    client.outcome().await.unwrap();
}

/// A client that closes in the middle of a head has not sent a request.
#[tokio::test(start_paused = true)]
async fn a_head_cut_short_is_told() {
    let mut client = serve(service_fn(path));
    client.send("GET / HTTP/1.1\r\nho").await;
    client.end().await;
    client.assert_closed().await;
    let outcome = client.outcome().await;
    assert!(matches!(outcome, Err(Http1ServerError::IncompleteHead)), "{outcome:?}");
}
