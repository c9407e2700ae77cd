//! 1xx, and `Expect: 100-continue`.

use std::sync::Mutex;

use chaski_core::{Service, Session, SessionState, http::OnInformational, test_util::pipe};
use chaski_http_core::{Http1ClientConfig, Http1Error, Http1Session};
use http::Method;
use tokio::{join, time::Instant};

use super::*;

fn expecting(body: impl Into<Body>) -> Request {
    with(request(Method::PUT, body), "expect", "100-Continue")
}

const PUT: &str = "PUT / HTTP/1.1\r\nhost: a\r\nexpect: 100-Continue\r\ncontent-length: 4\r\n\r\n";

/// H1-22
#[tokio::test(start_paused = true)]
async fn informational_responses_are_reported_and_the_final_one_is_given() {
    let (near, mut far) = pipe();
    let session = session(near);
    let seen = Arc::new(Mutex::new(Vec::new()));
    let mut request = get();
    let report = Arc::clone(&seen);
    OnInformational::new(move |response| {
        let link = response.headers().get("link").map(|link| link.to_str().unwrap().to_owned());
        report.lock().unwrap().push((response.status().as_u16(), link));
    })
    .attach(&mut request);
    let peer = script(&mut far)
        .expect(GET)
        .send("HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nlink: </a>\r\n\r\n")
        .send("HTTP/1.1 103 Early Hints\r\nlink: </b>\r\n\r\nHTTP/1.1 199 Who Knows\r\n\r\n")
        .send("HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok")
        .run();
    let (peer, ()) = join!(peer, async {
        assert_eq!(text(session.serve(request).await.unwrap()).await, "ok");
        assert_eq!(session.state(), SessionState::Open);
    });
    peer.unwrap();
    let expected = [(103, Some("</a>".to_owned())), (103, Some("</b>".to_owned())), (199, None)];
    assert_eq!(*seen.lock().unwrap(), expected);
}

/// H1-22
#[tokio::test(start_paused = true)]
async fn an_endless_stream_of_informational_responses_ends() {
    let (near, mut far) = pipe();
    let session = session(near);
    let peer = script(&mut far).expect(GET).send("HTTP/1.1 102 Processing\r\n\r\n".repeat(65)).expect_eof().run();
    let (peer, result) = join!(peer, session.serve(get()));
    peer.unwrap();
    assert!(matches!(cause(&unknown(result)), Http1Error::TooManyInformational { limit: 64 }));

    let (near, mut far) = pipe();
    let session = super::session(near);
    let peer = script(&mut far).expect(GET).send("HTTP/1.1 102 Processing\r\n\r\n".repeat(64)).send(OK_EMPTY).run();
    let (peer, result) = join!(peer, session.serve(get()));
    peer.unwrap();
    assert_eq!(result.unwrap().status(), 200);
}

#[tokio::test(start_paused = true)]
async fn a_body_that_waits_for_100_follows_it_at_once() {
    for body in [Body::full("body"), Body::new(Sized(Body::full("body")))] {
        let (near, mut far) = pipe();
        let session = session(near);
        let started = Instant::now();
        let peer = script(&mut far)
            .expect(PUT)
            .send("HTTP/1.1 103 Early Hints\r\n\r\n")
            .wait(Duration::from_millis(900))
            .send("HTTP/1.1 100 Continue\r\n\r\n")
            .expect("body")
            .send(OK_EMPTY)
            .run();
        let (peer, result) = join!(peer, session.serve(expecting(body)));
        peer.unwrap();
        result.unwrap();
        assert_eq!(started.elapsed(), Duration::from_millis(900));
        assert_eq!(session.state(), SessionState::Open);
    }
}

#[tokio::test(start_paused = true)]
async fn a_body_that_waits_for_100_in_vain_is_sent_after_the_timeout() {
    for (config, after) in [
        (Http1ClientConfig::default(), Duration::from_secs(1)),
        (Http1ClientConfig::default().with_expect_timeout(Duration::from_secs(7)), Duration::from_secs(7)),
    ] {
        let (near, mut far) = pipe();
        // The limit of the head begins to count when the body is out.
        let session = Http1Session::new(Conn::new(near), config.with_head_timeout(Some(Duration::from_secs(3))));
        let started = Instant::now();
        let peer = async {
            script(&mut far).expect(PUT).expect("body").run().await.unwrap();
            assert_eq!(started.elapsed(), after);
            script(&mut far).wait(Duration::from_millis(2900)).send(OK_EMPTY).run().await.unwrap();
        };
        let ((), result) = join!(peer, session.serve(expecting("body")));
        result.unwrap();
        assert_eq!(session.state(), SessionState::Open);
    }
}

#[tokio::test(start_paused = true)]
async fn a_final_response_instead_of_100_leaves_the_body_unsent_and_closes() {
    for (answer, body) in [
        ("HTTP/1.1 417 Expectation Failed\r\ncontent-length: 0\r\n\r\n", ""),
        ("HTTP/1.1 401 Unauthorized\r\ncontent-length: 4\r\n\r\nwho?", "who?"),
        ("HTTP/1.1 401 Unauthorized\r\ntransfer-encoding: chunked\r\n\r\n4\r\nwho?\r\n0\r\n\r\n", "who?"),
    ] {
        let (near, mut far) = pipe();
        let session = session(near);
        let started = Instant::now();
        let peer = script(&mut far).expect(PUT).send(answer).expect_eof().run();
        let (peer, got) = join!(peer, async { text(session.serve(expecting("body")).await.unwrap()).await });
        peer.unwrap();
        assert_eq!(got, body);
        assert_eq!(started.elapsed(), Duration::ZERO);
        assert_eq!(session.state(), SessionState::Closed);
    }
}

/// A streamed body of known length.
struct Sized(Body);

impl http_body::Body for Sized {
    type Data = Bytes;
    type Error = BoxError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<http_body::Frame<Bytes>, BoxError>>> {
        Pin::new(&mut self.0).poll_frame(cx)
    }

    fn size_hint(&self) -> http_body::SizeHint {
        self.0.size_hint()
    }
}
