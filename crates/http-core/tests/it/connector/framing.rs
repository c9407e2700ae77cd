//! Where a response ends, and whether the connection can be used after it.

use chaski_core::{
    Service, Session, SessionState,
    test_util::{Chunking, PipeDirection, PipeOptions, pipe},
};
use chaski_http_core::{
    Http1ClientConfig, Http1Error, Http1Session,
    codec::{BodyError, HeadConfig, HeadFault},
};
use http::Method;
use tokio::join;

use super::*;

/// H1-01
#[tokio::test(start_paused = true)]
async fn a_response_with_both_length_and_chunked_is_refused_and_the_connection_closed() {
    for fields in ["content-length: 3\r\ntransfer-encoding: chunked", "transfer-encoding: chunked\r\ncontent-length: 3"]
    {
        let (near, mut far) = pipe();
        let session = session(near);
        let head = format!("HTTP/1.1 200 OK\r\n{fields}\r\n\r\n3\r\nabc\r\n0\r\n\r\n");
        let (result, peer) = join!(session.serve(get()), script(&mut far).expect(GET).send(head).expect_eof().run());
        peer.unwrap();
        let error = unknown(result);
        match cause(&error) {
            Http1Error::Head(error) => assert_eq!(error.fault, HeadFault::LengthAndTransferEncoding),
            other => panic!("{other:?}"),
        }
        assert_eq!(session.state(), SessionState::Closed);
    }
}

/// H1-01
#[tokio::test(start_paused = true)]
async fn leniently_chunked_wins_the_length_is_dropped_and_the_connection_closed() {
    for fields in ["content-length: 3\r\ntransfer-encoding: chunked", "transfer-encoding: chunked\r\ncontent-length: 3"]
    {
        let (near, mut far) = pipe();
        let config = Http1ClientConfig::default().with_head(HeadConfig::default().with_lenient_framing(true));
        let session = Http1Session::new(Conn::new(near), config);
        let head = format!("HTTP/1.1 200 OK\r\n{fields}\r\n\r\n5\r\nabcde\r\n0\r\n\r\n");
        let peer = script(&mut far).expect(GET).send(head).expect_eof().run();
        let (peer, ()) = join!(peer, async {
            let response = session.serve(get()).await.unwrap();
            assert!(!response.headers().contains_key("content-length"));
            assert_eq!(text(response).await, "abcde");
            assert_eq!(session.state(), SessionState::Closed);
        });
        peer.unwrap();
    }
}

/// H1-12
#[tokio::test(start_paused = true)]
async fn what_has_no_body_has_none_and_the_next_exchange_follows() {
    let cases = [
        (Method::HEAD, "200 OK", "content-length: 5"),
        (Method::HEAD, "200 OK", "transfer-encoding: chunked"),
        (Method::HEAD, "404 Not Found", "x: y"),
        (Method::GET, "204 No Content", "content-length: 5"),
        (Method::GET, "204 No Content", "transfer-encoding: chunked"),
        (Method::GET, "304 Not Modified", "content-length: 5"),
        (Method::GET, "304 Not Modified", "x: y"),
        (Method::GET, "103 Early Hints", "content-length: 5"),
        (Method::GET, "205 Reset Content", "content-length: 0"),
    ];
    for (method, status, field) in cases {
        let (near, mut far) = pipe();
        let session = session(near);
        let head = format!("HTTP/1.1 {status}\r\n{field}\r\n\r\n");
        let interim = status.starts_with('1');
        let last = if interim { OK_EMPTY } else { "" };
        let peer = script(&mut far)
            .expect(format!("{method} / HTTP/1.1\r\nhost: a\r\n\r\n"))
            .send(format!("{head}{last}"))
            .expect(GET)
            .send("HTTP/1.1 200 OK\r\ncontent-length: 4\r\n\r\nnext")
            .run();
        let (peer, ()) = join!(peer, async {
            let response = session.serve(request(method.clone(), ())).await.unwrap();
            if !interim {
                assert!(status.starts_with(response.status().as_str()));
                let (name, value) = field.split_once(": ").unwrap();
                assert_eq!(response.headers()[name], value, "{status}");
            }
            assert_eq!(text(response).await, "");
            assert_eq!(get_text(&session).await, "next", "{method} {status}");
            assert_eq!(session.state(), SessionState::Open);
        });
        peer.unwrap();
    }
}

/// H1-09
#[tokio::test(start_paused = true)]
async fn a_connection_with_bytes_beyond_the_response_is_not_used_again() {
    for response in [
        "HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\nhelloEVIL",
        "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\nEVIL",
        "HTTP/1.1 204 No Content\r\n\r\nEVIL",
    ] {
        // Together with the response, or piece by piece; the excess may then come when the connection is idle.
        for size in [1, 1000] {
            let (near, mut far) = pipe();
            let session = session(near);
            let peer = script(&mut far).expect(GET).send_pieces(size, response).expect_eof().run();
            let (peer, ()) = join!(peer, async {
                let body = get_text(&session).await;
                assert_eq!(body, if response.contains("204") { "" } else { "hello" });
                while session.state() == SessionState::Open {
                    session.changed().await;
                }
                assert_eq!(session.slots().free, 0);
                let (request, why) = not_sent(session.serve(get()).await);
                assert_eq!((request.uri().path(), &*why), ("/", "the connection is closed"));
            });
            // Byte by byte, the peer learns of it while it is still sending.
            assert!(peer.is_ok() || size == 1, "{peer:?}");
        }
    }
}

/// H1-10
#[tokio::test(start_paused = true)]
async fn close_on_either_message_ends_the_connection_after_the_response() {
    let closing = "HTTP/1.1 200 OK\r\nconnection: close\r\ncontent-length: 2\r\n\r\nok";
    let keeping = "HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok";
    let chunked = "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\nconnection: close\r\n\r\n2\r\nok\r\n0\r\n\r\n";
    let old = "HTTP/1.0 200 OK\r\ncontent-length: 2\r\n\r\nok";
    let old_keeping = "HTTP/1.0 200 OK\r\ncontent-length: 2\r\nconnection: keep-alive\r\n\r\nok";
    for (close, response, state) in [
        (false, keeping, SessionState::Open),
        (false, old_keeping, SessionState::Open),
        (true, keeping, SessionState::Closed),
        (false, closing, SessionState::Closed),
        (false, chunked, SessionState::Closed),
        (false, old, SessionState::Closed),
    ] {
        let (near, mut far) = pipe();
        let session = session(near);
        let peer = script(&mut far).expect_until("\r\n\r\n").send_pieces(7, response);
        let peer = if state == SessionState::Closed { peer.expect_eof() } else { peer };
        let (peer, ()) = join!(peer.run(), async {
            let request = if close { with(get(), "connection", "close") } else { get() };
            assert_eq!(text(session.serve(request).await.unwrap()).await, "ok");
            assert_eq!(session.state(), state, "{response}");
        });
        let peer = peer.unwrap();
        assert_eq!(String::from_utf8_lossy(&peer.until[0]).contains("connection: close"), close);
    }
}

#[tokio::test(start_paused = true)]
async fn the_end_of_the_connection_ends_an_unframed_body() {
    for version in ["1.0", "1.1"] {
        let (near, mut far) = pipe();
        let session = session(near);
        let peer =
            script(&mut far).expect(GET).send(format!("HTTP/{version} 200 OK\r\n\r\nto the end")).shutdown().run();
        let (peer, body) = join!(peer, get_text(&session));
        peer.unwrap();
        assert_eq!(body, "to the end");
        assert_eq!(session.state(), SessionState::Closed);
    }
}

#[tokio::test(start_paused = true)]
async fn a_body_that_is_cut_short_says_what_is_missing() {
    for (response, missing) in [
        ("HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\nhello", Some(5)),
        ("HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n5\r\nhello\r\n", None),
        ("HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n", None),
    ] {
        let (near, far) = pipe();
        let session = session(near);
        let peer = script(far).expect(GET).send(response).close().run();
        let (peer, error) = join!(peer, async {
            let mut body = session.serve(get()).await.unwrap().into_body();
            assert_eq!(body.frame().await.unwrap().unwrap().into_data().unwrap(), "hello");
            let error = body.frame().await.unwrap().unwrap_err();
            assert!(body.frame().await.is_none());
            error
        });
        peer.unwrap();
        match cause(&*error) {
            Http1Error::Body(error) => assert_eq!(*error, BodyError::Truncated { missing }),
            other => panic!("{other:?}"),
        }
        assert_eq!(session.state(), SessionState::Closed);
    }
}

/// Every response comes out the same, however the bytes are cut.
#[tokio::test(start_paused = true)]
async fn responses_do_not_depend_on_how_their_bytes_come() {
    // Status, a field, data, a trailer.
    type Expected = (u16, Option<&'static str>, &'static str, Option<&'static str>);
    let cases: &[(&str, Expected)] = &[
        ("HTTP/1.1 200 OK\r\nx: 1\r\ncontent-length: 5\r\n\r\nhello", (200, Some("1"), "hello", None)),
        ("HTTP/1.1 200 OK\r\nx: 2\r\ncontent-length: 0\r\n\r\n", (200, Some("2"), "", None)),
        ("HTTP/1.1 304 Not Modified\r\n\r\n", (304, None, "", None)),
        (
            "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n3;a=b\r\nabc\r\n2\r\nde\r\n0\r\n\r\n",
            (200, None, "abcde", None),
        ),
        (
            "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n1\r\na\r\n0\r\nsum: 7\r\n\r\n",
            (200, None, "a", Some("7")),
        ),
        (
            "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nx: 0\r\n\r\nHTTP/1.1 404 Gone?\r\nx: 3\r\ncontent-length: 2\r\n\r\nno",
            (404, Some("3"), "no", None),
        ),
    ];
    let chunkings = [Chunking::Whole, Chunking::Bytes(1), Chunking::Bytes(3), Chunking::Random { seed: 7, max: 9 }];
    for (bytes, (status, field, data, trailer)) in cases {
        for reads in chunkings {
            for pending_first in [false, true] {
                let (near, mut far) =
                    PipeOptions::both(PipeDirection { reads, pending_first, ..PipeDirection::default() }).pipe();
                let session = session(near);
                let peer = script(&mut far).expect(GET).send(bytes).expect(GET).send(OK_EMPTY).run();
                let (peer, ()) = join!(peer, async {
                    let response = session.serve(get()).await.unwrap();
                    assert_eq!(response.status(), *status);
                    assert_eq!(response.headers().get("x").map(|x| x.to_str().unwrap()), *field);
                    let (got, trailers) = drain(response.into_body()).await.unwrap();
                    assert_eq!(got, data.as_bytes());
                    assert_eq!(trailers.map(|map| map["sum"].clone()), trailer.map(|sum| sum.parse().unwrap()));
                    // And it ended where it should.
                    assert_eq!(get_text(&session).await, "");
                });
                peer.unwrap();
            }
        }
    }
}
