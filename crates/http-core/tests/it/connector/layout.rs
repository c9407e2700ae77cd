//! How the fields stand on the wire.

use chaski_core::{http::Message, test_util::pipe};
use chaski_http_core::HeaderLayout;
use tokio::join;

use super::*;

#[tokio::test(start_paused = true)]
async fn a_request_is_written_in_the_layout_of_its_scope() {
    let (near, far) = pipe();
    let session = session(near);
    let peer = script(far)
        .expect("POST / HTTP/1.1\r\nX-Second: 2\r\nHost: a\r\nContent-Length: 4\r\nx-first: 1\r\n\r\nbody")
        .send(OK_EMPTY)
        .expect(GET)
        .send(OK_EMPTY)
        .run();
    let (peer, ()) = join!(peer, async {
        let mut post = with(with(request(Method::POST, "body"), "x-first", "1"), "x-second", "2");
        post.scope().insert(HeaderLayout::from_names(["X-Second", "Host", "Content-Length"]).unwrap());
        assert_eq!(text(session.serve(post).await.unwrap()).await, "");
        assert_eq!(get_text(&session).await, "");
    });
    peer.unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_response_carries_its_layout_if_it_is_recorded() {
    for (record, facts) in [(true, true), (true, false), (false, true), (false, false)] {
        let (near, far) = pipe();
        let conn = Conn::new(near);
        if facts {
            conn.ext.insert(1_u8);
        }
        let session = Http1Session::new(conn, Http1ClientConfig::default().with_header_layout(record));
        let peer = script(far)
            .expect(GET)
            .send("HTTP/1.1 200 Fine\r\nX-b: 1\r\nContent-LENGTH: 0\r\nx-B: 2\r\n\r\n")
            .expect(GET)
            .send(OK_EMPTY)
            .run();
        let (peer, ()) = join!(peer, async {
            let first = session.serve(get()).await.unwrap();
            let layout = first.fact::<HeaderLayout>();
            let names = layout.map(|layout| layout.names().collect::<Vec<_>>());
            assert_eq!(names, record.then(|| vec!["X-b", "Content-LENGTH", "x-B"]));
            assert_eq!(layout.and_then(HeaderLayout::reason), record.then_some(&b"Fine"[..]));
            assert_eq!(first.fact::<u8>(), facts.then_some(&1));
            let second = session.serve(get()).await.unwrap();
            let names = second.fact::<HeaderLayout>().map(|layout| layout.names().collect::<Vec<_>>());
            assert_eq!(names, record.then(|| vec!["content-length"]));
        });
        peer.unwrap();
    }
}

/// As on the server's side: what the scope of a tunnel has lasts as long as the tunnel.
#[tokio::test(start_paused = true)]
async fn the_scope_of_a_switched_response_does_not_hold_the_read_buffer() {
    let (near, far) = pipe();
    let session = Http1Session::new(Conn::new(near), Http1ClientConfig::default().with_header_layout(true));
    let switched = "HTTP/1.1 101 Switching Protocols\r\nx: 1\r\nconnection: upgrade\r\nupgrade: chat\r\n\r\n";
    let peer = script(far)
        .expect(GET)
        .send("HTTP/1.1 200 OK\r\nx: 1\r\ncontent-length: 0\r\n\r\n")
        .expect_until("upgrade: chat\r\n\r\n")
        .send(switched)
        .run();
    let (peer, ()) = join!(peer, async {
        let upgrade = with(with(get(), "connection", "upgrade"), "upgrade", "chat");
        for (request, shared) in [(get(), true), (upgrade, false)] {
            let response = session.serve(request).await.unwrap();
            let name = response.fact::<HeaderLayout>().and_then(|layout| layout.names().next()).unwrap();
            // In one buffer the value stands behind `x: `.
            let in_place = response.headers()["x"].as_bytes().as_ptr() == name.as_ptr().wrapping_add(3);
            assert_eq!(in_place, shared);
        }
    });
    peer.unwrap();
}
