use chaski_core::{
    Conn, Service,
    http::{Body, Request},
    test_util::{ScriptedPeer, pipe},
};

use super::{Http1ClientConfig, Http1Session};

#[tokio::test(start_paused = true)]
async fn an_idle_session_holds_no_buffer() {
    let (near, mut far) = pipe();
    let session = Http1Session::new(Conn::new(near), Http1ClientConfig::default());
    let peer = ScriptedPeer::new(&mut far)
        .expect_until("\r\n\r\nbody")
        .send("HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\nhello");
    let request = || Request::post("http://a/").body(Body::full("body")).unwrap();
    let (peer, response) = tokio::join!(peer.run(), session.serve(request()));
    peer.unwrap();
    // Even while the response is still held.
    let _response = response.unwrap();
    let mut lease = session.shared().lease().unwrap();
    assert_eq!(lease.wire().unwrap().read.bytes.capacity(), 0);
}
