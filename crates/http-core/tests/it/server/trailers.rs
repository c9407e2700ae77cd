//! Trailers, both ways.

use chaski_core::{
    http::{Body, Request},
    service_fn,
};

use super::harness::*;

/// H1-19: trailers leave when the client of HTTP/1.1 says that it takes them, however it spells that; forbidden fields do
/// not, repeated names stay apart, and the connection goes on.
#[tokio::test(start_paused = true)]
async fn trailers_leave_for_who_takes_them() {
    let service = service_fn(async |_: Request| {
        let (frames, body) = channel();
        frames.data("data");
        frames.trailers(headers(&[
            ("checksum", "1"),
            ("checksum", "2"),
            ("content-length", "9"),
            ("transfer-encoding", "chunked"),
            ("x-more", "3"),
        ]));
        Ok(ok(body))
    });
    let bare = "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n4\r\ndata\r\n0\r\n\r\n";
    let with = bare.replace("0\r\n\r\n", "0\r\nchecksum: 1\r\nchecksum: 2\r\nx-more: 3\r\n\r\n");
    let mut client = serve(service);
    for (te, expected) in [
        ("te: trailers\r\n", &*with),
        ("TE: Trailers\r\n", &with),
        ("te: gzip;q=0.5 , TRAILERS\r\n", &with),
        ("te: gzip\r\nte:trailers\r\n", &with),
        ("", bare),
        ("te: gzip\r\n", bare),
        ("te: xtrailers\r\n", bare),
        ("te: trailers;q=0\r\n", bare),
        ("x-te: trailers\r\n", bare),
    ] {
        client.send(format!("GET / HTTP/1.1\r\nhost: a\r\n{te}\r\n")).await;
        assert_eq!(client.response().await, *expected, "{te:?}");
    }
}

/// H1-19: a service that takes the headers away does not take away what the client said.
#[tokio::test(start_paused = true)]
async fn the_wish_for_trailers_is_known_before_the_service() {
    let service = service_fn(async |mut request: Request| {
        request.headers_mut().clear();
        Ok(ok(request.into_body()))
    });
    let mut client = serve(service);
    client
        .send(
            "POST / HTTP/1.1\r\nhost: a\r\nte: trailers\r\ntransfer-encoding: chunked\r\n\r\n\
             1\r\nx\r\n0\r\nchecksum: 1\r\n\r\n",
        )
        .await;
    assert_eq!(
        client.response().await,
        "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n1\r\nx\r\n0\r\nchecksum: 1\r\n\r\n"
    );
}

/// H1-19: trailers that arrive keep repeated names, lose what is forbidden, and the connection goes on.
#[tokio::test(start_paused = true)]
async fn trailers_arrive() {
    let service = service_fn(async |request: Request| {
        let mut body: Body = request.into_body();
        let mut text = String::new();
        while let Some(frame) = body.frame().await {
            match frame?.into_data() {
                Ok(data) => text += std::str::from_utf8(&data)?,
                Err(frame) => {
                    for (name, value) in &frame.into_trailers().unwrap() {
                        text += &format!("|{name}={}", value.to_str()?);
                    }
                }
            }
        }
        Ok(ok(text))
    });
    for tiny in [1, 1000] {
        let mut client = Setup::new().tiny(tiny).serve(service);
        for _ in 0..2 {
            client
                .send(
                    "POST / HTTP/1.1\r\nhost: a\r\ntransfer-encoding: chunked\r\n\r\n4\r\ndata\r\n\
                     0\r\nChecksum: 1\r\ncontent-length: 5\r\nchecksum: 2\r\nhost: b\r\n\r\n",
                )
                .await;
            assert_eq!(
                client.response().await,
                "HTTP/1.1 200 OK\r\ncontent-length: 26\r\n\r\ndata|checksum=1|checksum=2"
            );
        }
    }
}
