//! Upgrades and tunnels.

use chaski_core::{
    HttpVersion, Service, Session, SessionState,
    http::{Message, Upgraded},
    test_util::pipe,
};
use chaski_http_core::{Http1ClientConfig, Http1Error, Http1Session};
use http::Method;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    join,
};

use super::*;

fn upgrade() -> Request {
    with(with(get(), "connection", "keep-alive, Upgrade"), "upgrade", "echo")
}

/// H1-14
#[tokio::test(start_paused = true)]
async fn bytes_that_follow_the_head_of_a_switch_are_kept() {
    let connect = http::Request::connect("a:443").body(Body::empty()).unwrap();
    let cases = [
        (upgrade(), "HTTP/1.1 101 Switching Protocols\r\nupgrade: echo\r\nconnection: upgrade\r\n\r\nfirst "),
        (connect, "HTTP/1.1 200 OK\r\n\r\nfirst "),
    ];
    for (request, answer) in cases {
        let (near, far) = pipe();
        let conn = Conn::new(near);
        conn.ext.insert(HttpVersion(http::Version::HTTP_11));
        let session = Http1Session::new(conn, Http1ClientConfig::default());
        let peer = script(far).expect_until("\r\n\r\n").send(answer).expect("ping").send("second").close().run();
        let (peer, ()) = join!(peer, async {
            let mut response = session.serve(request).await.unwrap();
            response.scope().insert(42_u8);
            let mut conn = Upgraded::take(&mut response).unwrap();
            assert!(conn.ext.get::<HttpVersion>().is_some());
            assert!(Upgraded::take(&mut response).is_none());
            conn.io.write_all(b"ping").await.unwrap();
            let mut all = String::new();
            conn.io.read_to_string(&mut all).await.unwrap();
            assert_eq!(all, "first second");
            assert_eq!(session.state(), SessionState::Closed);
        });
        peer.unwrap();
    }
}

/// H1-14
#[tokio::test(start_paused = true)]
async fn a_refused_upgrade_is_a_response_like_any_other() {
    let (near, mut far) = pipe();
    let session = session(near);
    let peer = script(&mut far)
        .expect_until("\r\n\r\n")
        .send("HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nno")
        .expect(GET)
        .send(OK_EMPTY)
        .run();
    let (peer, ()) = join!(peer, async {
        let mut response = session.serve(upgrade()).await.unwrap();
        assert!(Upgraded::take(&mut response).is_none());
        assert_eq!(text(response).await, "no");
        assert_eq!(get_text(&session).await, "");
    });
    peer.unwrap();
}

/// H1-15: only 101 switches. An answer that just speaks of an upgrade leaves the connection HTTP, and nobody can write to it
/// but the session.
#[tokio::test(start_paused = true)]
async fn h1_15_no_other_answer_switches() {
    let fields = "connection: upgrade\r\nupgrade: echo\r\n";
    for head in ["HTTP/1.1 200 OK", "HTTP/1.1 426 Upgrade Required", "HTTP/1.1 103 Early Hints\r\n\r\nHTTP/1.1 200 OK"]
    {
        let (near, far) = pipe();
        let session = session(near);
        let peer = script(far)
            .expect("GET / HTTP/1.1\r\nhost: a\r\nconnection: Upgrade\r\nupgrade: echo\r\n\r\n")
            .send(format!("{head}\r\n{fields}content-length: 2\r\n\r\nno"))
            .expect(GET)
            .send(OK_EMPTY)
            .run();
        let (peer, ()) = join!(peer, async {
            let mut response = session.serve(upgrade()).await.unwrap();
            assert!(Upgraded::take(&mut response).is_none(), "{head}");
            assert_eq!(text(response).await, "no");
            assert_eq!(get_text(&session).await, "");
        });
        peer.unwrap();
    }
}

/// H1-15: RFC 9110 section 7.8: a server switches behind the whole request. One that does so in the middle of it would get
/// the rest of the body as the new protocol's.
#[tokio::test(start_paused = true)]
async fn h1_15_a_switch_ahead_of_the_requests_end_is_an_error() {
    let (near, far) = pipe();
    let session = session(near);
    let peer = script(far)
        .expect_until("3\r\nall\r\n")
        .send("HTTP/1.1 101 Switching Protocols\r\nupgrade: echo\r\nconnection: upgrade\r\n\r\n")
        .expect_eof()
        .run();
    let (frames, body) = channel();
    frames.send(Ok("all".into())).unwrap();
    let mut post = upgrade();
    *post.body_mut() = body;
    let (peer, result) = join!(peer, session.serve(post));
    peer.unwrap();
    assert!(matches!(cause(&unknown(result)), Http1Error::UnsolicitedUpgrade));
    assert_eq!(session.state(), SessionState::Closed);
}

#[tokio::test(start_paused = true)]
async fn a_switch_that_was_not_asked_for_is_an_error() {
    for request in [get(), with(get(), "upgrade", "echo"), with(get(), "connection", "upgrade")] {
        let (near, mut far) = pipe();
        let session = session(near);
        let peer = script(&mut far)
            .expect_until("\r\n\r\n")
            .send("HTTP/1.1 101 Switching Protocols\r\nupgrade: echo\r\nconnection: upgrade\r\n\r\n")
            .expect_eof()
            .run();
        let (peer, result) = join!(peer, session.serve(request));
        peer.unwrap();
        assert!(matches!(cause(&unknown(result)), Http1Error::UnsolicitedUpgrade));
        assert_eq!(session.state(), SessionState::Closed);
    }
}

#[tokio::test(start_paused = true)]
async fn a_refused_tunnel_has_a_body() {
    let (near, mut far) = pipe();
    let session = session(near);
    let peer = script(&mut far)
        .expect("CONNECT a:443 HTTP/1.1\r\nhost: a:443\r\n\r\n")
        .send("HTTP/1.1 407 Proxy Authentication Required\r\ncontent-length: 3\r\n\r\nwho")
        .run();
    let (peer, ()) = join!(peer, async {
        let connect = http::Request::builder().method(Method::CONNECT).uri("a:443").body(Body::empty()).unwrap();
        let mut response = session.serve(connect).await.unwrap();
        assert!(Upgraded::take(&mut response).is_none());
        assert_eq!(text(response).await, "who");
    });
    peer.unwrap();
}
