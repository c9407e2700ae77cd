//! Requests whose bodies go wrong, and connections that do.

use chaski_core::{
    Sent, Service, Session, SessionState,
    test_util::{Fault, PipeDirection, PipeOptions, pipe},
};
use chaski_http_core::Http1Error;
use http::Method;
use tokio::join;

use super::*;

#[tokio::test(start_paused = true)]
async fn a_body_that_fails_midway_closes_the_connection() {
    let (near, mut far) = pipe();
    let session = session(near);
    let (frames, upload) = channel();
    frames.send(Ok("first".into())).unwrap();
    let peer = async {
        script(&mut far).expect_until("\r\n\r\n").expect("5\r\nfirst\r\n").run().await.unwrap();
        frames.send(Err("disk on fire".into())).unwrap();
        script(&mut far).expect_eof().run().await.unwrap();
    };
    let ((), result) = join!(peer, session.serve(request(Method::POST, upload)));
    let error = unknown(result);
    assert!(matches!(cause(&error), Http1Error::RequestBody(source) if source.to_string() == "disk on fire"));
    assert_eq!(session.state(), SessionState::Closed);
}

#[tokio::test(start_paused = true)]
async fn a_body_that_fails_at_once_leaves_the_connection_alone() {
    let (near, mut far) = pipe();
    let probe = near.probe();
    let session = session(near);
    let (frames, upload) = channel();
    frames.send(Err("no disk".into())).unwrap();
    let (request, why) = not_sent(session.serve(request(Method::POST, upload)).await);
    assert_eq!(why, "the request's body failed");
    assert_eq!(probe.stats().bytes_written, 0);
    // What is handed back cannot be taken for a request whose body is complete.
    request.into_body().collect(10).await.unwrap_err();

    let (peer, body) = join!(script(&mut far).expect(GET).send(OK_EMPTY).run(), get_text(&session));
    peer.unwrap();
    assert_eq!(body, "");
}

#[tokio::test(start_paused = true)]
async fn a_streamed_body_keeps_to_the_length_that_was_announced() {
    // Too much: not one byte too many goes out. Too little: the peer is not left waiting.
    for (pieces, sent) in [(&["abc", "defg"][..], "abc"), (&["abc"], "abc"), (&["abcdef"], "")] {
        let (near, mut far) = pipe();
        let session = session(near);
        let (frames, upload) = channel();
        let peer = async {
            if sent.is_empty() {
                frames.send(Ok(pieces[0].into())).unwrap();
            } else {
                script(&mut far).expect_until("\r\n\r\n").run().await.unwrap();
                frames.send(Ok(pieces[0].into())).unwrap();
                script(&mut far).expect(sent).run().await.unwrap();
                for piece in &pieces[1..] {
                    frames.send(Ok((*piece).into())).unwrap();
                }
            }
            drop(frames);
            if !sent.is_empty() {
                script(&mut far).expect_eof().run().await.unwrap();
            }
        };
        let request = with(request(Method::POST, upload), "content-length", "5");
        let ((), result) = join!(peer, session.serve(request));
        let error = result.unwrap_err();
        assert!(matches!(cause(&error), Http1Error::RequestBodyLength { declared: 5 }), "{error:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_request_that_cannot_be_written_is_handed_back_and_the_session_goes_on() {
    let (near, mut far) = pipe();
    let session = session(near);
    let bad = with(request(Method::POST, "body"), "content-length", "9");
    let (bad, why) = not_sent(session.serve(bad).await);
    assert_eq!(why, "the request cannot be written");
    assert_eq!(bad.into_body().collect(10).await.unwrap(), "body");
    let (peer, body) = join!(script(&mut far).expect(GET).send(OK_EMPTY).run(), get_text(&session));
    peer.unwrap();
    assert_eq!(body, "");
}

#[tokio::test(start_paused = true)]
async fn a_write_that_takes_nothing_is_an_error() {
    for (after, sent) in [(0, false), (10, true)] {
        let direction = PipeDirection { fault: Some(Fault::WriteZeroAfter(after)), ..PipeDirection::default() };
        let (near, _far) = PipeOptions { a_to_b: direction, ..PipeOptions::default() }.pipe();
        let session = session(near);
        let error = session.serve(request(Method::POST, "body")).await.unwrap_err();
        match cause(&error) {
            Http1Error::ClosedBeforeResponse { written, source: Some(source) } => {
                assert_eq!((*written, source.kind()), (after, std::io::ErrorKind::WriteZero));
            }
            other => panic!("{other:?}"),
        }
        assert_eq!(error.is_not_sent(), !sent);
        assert_eq!(session.state(), SessionState::Closed);
        if let Sent::No(request) = error.into_parts().sent {
            assert_eq!(request.into_body().collect(10).await.unwrap(), "body");
        }
    }
}

/// The peer's last words arrive though it takes no more.
#[tokio::test(start_paused = true)]
async fn a_response_is_read_from_a_peer_that_has_stopped_listening() {
    let direction = PipeDirection { fault: Some(Fault::CloseAfter(70)), ..PipeDirection::default() };
    let (near, far) = PipeOptions { a_to_b: direction, ..PipeOptions::default() }.pipe();
    let session = session(near);
    let answer = "HTTP/1.1 413 Content Too Large\r\ncontent-length: 3\r\n\r\nbig";
    let peer = script(far).expect_until("\r\n\r\n").wait(Duration::from_secs(1)).send(answer).close();
    let (peer, ()) = join!(peer.run(), async {
        let response = session.serve(request(Method::POST, vec![0; 100_000])).await.unwrap();
        assert_eq!(response.status(), 413);
        assert_eq!(text(response).await, "big");
        assert_eq!(session.state(), SessionState::Closed);
    });
    peer.unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_reset_is_told_apart_by_what_was_seen() {
    for (answer, no_response) in [("", true), ("HTTP/1.1 103 Early Hints\r\n\r\n", false), ("HTTP/1.1 2", false)] {
        for reset in [false, true] {
            let fault = reset.then_some(Fault::ResetAfter(answer.len() as u64));
            let direction = PipeDirection { fault, latency: Duration::from_secs(1), ..PipeDirection::default() };
            let (near, far) = PipeOptions { b_to_a: direction, ..PipeOptions::default() }.pipe();
            if reset && answer.is_empty() {
                // That pipe is reset from the start.
                continue;
            }
            let session = session(near);
            let (near, _) = join!(session.serve(get()), script(far).expect(GET).send(answer).close().run());
            let error = unknown(near);
            assert_eq!(cause(&error).no_response_seen(), no_response, "{answer:?} {reset}: {error:?}");
            assert_eq!(session.state(), SessionState::Closed);
        }
    }
}
