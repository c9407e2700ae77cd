//! Requests with an expectation.

use std::{
    pin::Pin,
    task::{Context, Poll},
};

use bytes::Bytes;
use chaski_client::ClientConfig;
use chaski_core::{
    BoxError, Service,
    http::{Body, Request},
};
use http_body::Frame;

use crate::server::{Act, Server, request};

fn expecting(body: impl Into<Body>) -> Request {
    let mut request = request("POST", "a", body);
    request.headers_mut().insert("expect", "100-Continue".parse().unwrap());
    request
}

/// A body of two frames that is not in hand.
struct Frames(Vec<&'static str>);

impl http_body::Body for Frames {
    type Data = Bytes;
    type Error = BoxError;

    fn poll_frame(mut self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        Poll::Ready(self.0.pop().map(|text| Ok(Frame::data(Bytes::from_static(text.as_bytes())))))
    }
}

fn streamed() -> Body {
    Body::new(Frames(vec!["load", "up"]))
}

/// Sends a request. Gives the status, and the bodies that the server saw.
async fn send(act: Act, config: ClientConfig, request: Request) -> (u16, Vec<String>) {
    let server = Server::with_script(&[act, act]);
    let client = server.client(config);
    let status = client.serve(request).await.unwrap().status().as_u16();
    let seen = server.seen.lock().unwrap();
    (status, seen.iter().map(|(_, _, body)| String::from_utf8(body.to_vec()).unwrap()).collect())
}

/// H1-24: a 417 is followed by the same request without the expectation, if its body is in hand or was not read.
#[tokio::test(start_paused = true)]
async fn h1_24_a_refused_expectation_is_left_out_and_the_request_repeated() {
    for (act, body) in [
        (Act::RefuseExpectation, Body::full("upload")),
        (Act::RefuseExpectationLate, Body::full("upload")),
        (Act::RefuseExpectation, streamed()),
    ] {
        let sent = send(act, ClientConfig::default(), expecting(body)).await;
        assert_eq!(sent, (200, vec!["(refused)".to_owned(), "upload".to_owned()]), "{act:?}");
    }
}

/// H1-24: a body of which something was read cannot be sent again, and so the 417 is the answer.
#[tokio::test(start_paused = true)]
async fn h1_24_a_body_that_was_begun_is_not_sent_again() {
    let sent = send(Act::RefuseExpectationLate, ClientConfig::default(), expecting(streamed())).await;
    assert_eq!(sent, (417, vec!["(refused)".to_owned()]));
}

/// H1-24: a proxy hands the 417 on, as it does the expectation.
#[tokio::test(start_paused = true)]
async fn h1_24_a_client_can_be_told_to_hand_a_417_on() {
    let config = ClientConfig::default().with_retry_without_expectation(false);
    let sent = send(Act::RefuseExpectation, config, expecting("upload")).await;
    assert_eq!(sent, (417, vec!["(refused)".to_owned()]));
}

/// H1-24: it is one repetition: a second 417, which no expectation can have caused, is the answer.
#[tokio::test(start_paused = true)]
async fn h1_24_there_is_one_repetition() {
    let server = Server::with_script(&[Act::Refuse, Act::Refuse, Act::Refuse]);
    let client = server.client(ClientConfig::default());
    assert_eq!(client.serve(expecting("upload")).await.unwrap().status(), 417);
    assert_eq!(server.seen().len(), 2);
    // Without an expectation there is nothing to leave out.
    assert_eq!(client.serve(request("POST", "a", "upload")).await.unwrap().status(), 417);
    assert_eq!(server.seen().len(), 3);
}

/// The rules for stale connections hold for the repetition, too.
#[tokio::test(start_paused = true)]
async fn the_repetition_may_meet_a_stale_connection() {
    let server = Server::with_script(&[Act::Stream, Act::Stream, Act::RefuseExpectation, Act::CloseUnsent]);
    let client = server.client(ClientConfig::default());
    let streaming = client.serve(request("GET", "a", ())).await.unwrap();
    let other = client.serve(request("GET", "a", ())).await.unwrap();
    other.into_body().collect(10).await.unwrap();
    streaming.into_body().collect(10).await.unwrap();
    let response = client.serve(expecting(streamed())).await.unwrap();
    assert_eq!(response.status(), 200);
    assert_eq!(server.seen.lock().unwrap().last().unwrap().2, "upload");
}
