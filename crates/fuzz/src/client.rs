//! Target: the client's side of HTTP/1, against a peer that sends what it likes.
//!
//! Four choices (the size of pieces; how the pipe behaves; the methods of three calls, two bits each; how the peer ends),
//! then what the peer sends. In it 0xfe waits until one more request has come as a whole, and 0xff waits for a second.

use std::{
    collections::VecDeque,
    pin::Pin,
    sync::Mutex,
    task::{Context, Poll},
    time::Duration,
};

use bytes::Bytes;
use chaski_core::{
    BoxError, Conn, Service, Session, SessionState,
    http::{Body, Request, Upgraded},
    test_util::{Pipe, PipeOptions},
};
use chaski_http_core::{Http1ClientConfig, Http1Session};
use http::{HeaderMap, Method, StatusCode};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    time::sleep,
};

use crate::{
    heads::{sorted, sorted_fields},
    input::Choices,
    reference::{self, Answer, Body as Framing, Fields, Received},
    run::{direction, to_the_end},
};

/// Longer than a client's limits of time and a script of pauses together.
const LONGEST: Duration = Duration::from_secs(10_000);

const WAIT: u8 = 0xfe;
const PAUSE: u8 = 0xff;

/// So many pauses fit into every limit of time here.
const PAUSES: usize = 20;

/// What is sent with POST, in pieces.
const UPLOAD: &[u8] = b"hello";

/// Every call ends, what it gives is what the reference reads, what is cut is never taken for whole, and a session that
/// takes another request stands between two messages.
pub(crate) fn run(data: &[u8]) {
    let Some((choices, script)) = Choices::split(data) else { return };
    let sent = Sent::default();
    let (calls, received) = to_the_end(LONGEST, async {
        let (near, far) = PipeOptions::both(direction(choices, 0, 1)).pipe();
        let calls = call(choices, near, &sent);
        let peer = play(choices, far, script, &sent);
        tokio::join!(calls, peer)
    });
    let sent = sent.bytes();
    let methods: Vec<Method> = calls.iter().map(|call| call.method.clone()).collect();
    let (answers, _) = reference::answers(&sent, &methods);
    let is_slow = script.iter().filter(|&&byte| byte == PAUSE).count() > PAUSES;
    for (place, call) in calls.iter().enumerate() {
        check(call, answers.get(place), is_slow, choices, &sent);
    }
    let (requests, _) = reference::requests(&received);
    assert!(requests.len() <= calls.len());
    for ((request, body), call) in requests.iter().zip(&calls) {
        assert_eq!(request.method, call.method);
        if let Received::Whole(body) = body
            && call.method == Method::POST
        {
            assert_eq!(body.data, UPLOAD);
        }
    }
}

/// What the peer has sent so far.
#[derive(Debug, Default)]
struct Sent(Mutex<Vec<u8>>);

impl Sent {
    fn bytes(&self) -> Vec<u8> {
        self.0.lock().expect("nobody panics with it").clone()
    }
}

/// What came of a call.
#[derive(Debug)]
struct Call {
    method: Method,
    outcome: Outcome,
    /// How much the peer had sent when the session was free again, if it was.
    free_at: Option<usize>,
}

#[derive(Debug)]
enum Outcome {
    NotSent,
    Failed,
    Answered { status: StatusCode, fields: Fields, switched: bool, body: Result<(Vec<u8>, HeaderMap), Vec<u8>> },
}

/// Makes up to three calls, one after the other, as long as the session takes them.
async fn call(choices: Choices, near: Pipe, sent: &Sent) -> Vec<Call> {
    let limit = Some(Duration::from_secs(60));
    let config = Http1ClientConfig::default()
        .with_head_timeout(limit)
        .with_body_timeout(limit)
        .with_header_layout(choices.is(3, 2));
    let session = Http1Session::new(Conn::new(near), config);
    let mut calls = Vec::new();
    for place in 0..3 {
        let request = request(choices.pick(2, 64) >> (2 * place) & 3);
        let method = request.method().clone();
        let outcome = match session.serve(request).await {
            Err(error) if error.is_not_sent() => Outcome::NotSent,
            Err(_) => Outcome::Failed,
            Ok(mut response) => Outcome::Answered {
                status: response.status(),
                fields: sorted(response.headers()),
                switched: Upgraded::take(&mut response).is_some(),
                body: read(response.into_body()).await,
            },
        };
        let is_free = session.slots().free == 1 && session.state() == SessionState::Open;
        calls.push(Call { method, outcome, free_at: is_free.then(|| sent.bytes().len()) });
        if !is_free {
            break;
        }
    }
    calls
}

fn request(kind: u8) -> Request {
    let (method, uri, body) = match kind {
        0 => (Method::GET, "http://a/", Body::empty()),
        1 => (Method::HEAD, "http://a/", Body::empty()),
        2 => (Method::POST, "http://a/", Body::new(Upload(UPLOAD.chunks(2).collect(), false))),
        _ => (Method::CONNECT, "a:1", Body::empty()),
    };
    http::Request::builder().method(method).uri(uri).body(body).expect("a request")
}

async fn read(mut body: Body) -> Result<(Vec<u8>, HeaderMap), Vec<u8>> {
    let (mut data, mut trailers) = (Vec::new(), HeaderMap::new());
    while let Some(frame) = body.frame().await {
        match frame.map(http_body::Frame::into_data) {
            Ok(Ok(piece)) => data.extend_from_slice(&piece),
            Ok(Err(frame)) => trailers = frame.into_trailers().unwrap_or_default(),
            Err(_) => return Err(data),
        }
    }
    Ok((data, trailers))
}

/// A body of which each piece has to be waited for.
struct Upload(VecDeque<&'static [u8]>, bool);

impl http_body::Body for Upload {
    type Data = Bytes;
    type Error = BoxError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<http_body::Frame<Bytes>, BoxError>>> {
        self.1 = !self.1;
        if self.1 {
            cx.waker().wake_by_ref();
            return Poll::Pending;
        }
        Poll::Ready(self.0.pop_front().map(|piece| Ok(http_body::Frame::data(Bytes::from_static(piece)))))
    }
}

/// Plays the peer, and returns what it has read.
async fn play(choices: Choices, far: Pipe, script: &[u8], sent: &Sent) -> Vec<u8> {
    let (mut reading, mut writing) = tokio::io::split(far);
    let mut received = Vec::new();
    let mut awaited = 0;
    let mut rest = script;
    while let Some(at) = rest.iter().position(|byte| [WAIT, PAUSE].contains(byte)) {
        send(&mut writing, &rest[..at], sent).await;
        rest = &rest[at..];
        let bytes = if rest[0] == PAUSE {
            // Those in a row are one: each takes a turn of the clock.
            let pauses = rest.iter().take_while(|&&byte| byte == PAUSE).count();
            sleep(Duration::from_secs(pauses as u64)).await;
            pauses
        } else {
            awaited += 1;
            while reference::requests(&received).0.iter().filter(|(_, body)| matches!(body, Received::Whole(_))).count()
                < awaited
            {
                if reading.read_buf(&mut received).await.unwrap_or(0) == 0 {
                    return received;
                }
            }
            1
        };
        rest = &rest[bytes..];
    }
    send(&mut writing, rest, sent).await;
    match choices.pick(3, 4) {
        // It stays, and says nothing more.
        1 => {}
        2 => return received,
        _ => {
            let _ = writing.shutdown().await;
        }
    }
    while reading.read_buf(&mut received).await.unwrap_or(0) > 0 {}
    received
}

/// Sends byte after byte, so that what has been sent is known at any time.
async fn send(writing: &mut tokio::io::WriteHalf<Pipe>, mut bytes: &[u8], sent: &Sent) {
    while !bytes.is_empty() {
        let Ok(n) = writing.write(bytes).await else { return };
        sent.0.lock().expect("nobody panics with it").extend_from_slice(&bytes[..n]);
        bytes = &bytes[n..];
    }
}

fn check(call: &Call, answer: Option<&Answer>, is_slow: bool, choices: Choices, sent: &[u8]) {
    let shown = || format!("{call:?}\n{answer:?}\n{}", sent.escape_ascii());
    let is_whole = answer.is_some_and(|answer| matches!(answer.received, Received::Whole(_)));
    match (&call.outcome, answer) {
        (Outcome::NotSent, _) | (Outcome::Failed, None) => {}
        (Outcome::Failed, Some(answer)) => {
            // A final answer counts, whatever became of the request's body.
            let is_out_of_line = answer.head.status == 101
                || answer.informational.len() > 64
                || answer.head.fields.len() > 100
                || call.method == Method::POST;
            assert!(is_out_of_line || is_slow, "a call failed\n{}", shown());
        }
        (Outcome::Answered { .. }, None) => panic!("an answer that nobody sent\n{}", shown()),
        (Outcome::Answered { status, fields, switched, body }, Some(answer)) => {
            assert_eq!(status.as_u16(), answer.head.status);
            assert_eq!(*switched, answer.head.switches, "{}", shown());
            let mut expected = sorted_fields(&answer.head.fields);
            if *switched {
                expected.retain(|(name, _)| !["content-length", "transfer-encoding"].contains(&name.as_str()));
            }
            // Where it frames nothing, a length that is no number is left out.
            let is_told = |name: &str| answer.head.body != Framing::Length(0) || name != "content-length";
            let told = |fields: &Fields| fields.iter().filter(|(name, _)| is_told(name)).cloned().collect::<Fields>();
            assert_eq!(told(fields), told(&expected));
            match (body, &answer.received) {
                (Ok((data, trailers)), Received::Whole(whole)) => {
                    assert_eq!(*data, whole.data, "{}", shown());
                    assert_eq!(sorted(trailers), sorted_fields(&whole.trailers));
                }
                (Ok(_), _) => panic!("taken for whole\n{}", shown()),
                (Err(_), Received::Whole(_)) => {
                    // Only where its end had to be told by a peer that stays.
                    let has_no_end = answer.head.body == Framing::UntilClose;
                    assert!(has_no_end || is_slow, "a body failed\n{}", shown());
                }
                (Err(data), _) => assert!(data.len() <= sent.len(), "more than was sent"),
            }
        }
    }
    if let (Some(free_at), Outcome::Answered { body, .. }) = (call.free_at, &call.outcome) {
        let answer = answer.expect("checked above");
        assert!(body.is_ok() && is_whole && answer.head.persists && !answer.head.switches, "not free\n{}", shown());
        // A pipe that makes everybody wait first hides what has come.
        assert!(free_at == answer.end || choices.is(1, 1), "not between two messages\n{}", shown());
    }
}
