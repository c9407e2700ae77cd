//! What a client may expect of the server, by the reference's reading of what it sent.

use http::{Method, Version};

use super::service::{SWITCHED, Seen};
use crate::reference::{self, Answer, Body, Ending, Received, Request};

/// What a server refuses a head with.
const REFUSALS: [u16; 5] = [400, 414, 431, 501, 505];

/// To a client that sent all and reads to the end: one answer to each request, in order, and a refusal at the end where the
/// reference refuses.
pub(super) fn exactly(input: &[u8], output: &[u8], seen: &Seen) {
    let (requests, ending) = reference::requests(input);
    let (answers, end) = answers(output, &requests);
    let seen = seen.take();
    let shown = || format!("{}\n{}", input.escape_ascii(), output.escape_ascii());

    let mut answered = answers.iter().enumerate();
    let mut handled = seen.iter();
    for (request, received) in &requests {
        let is_whole = matches!(received, Received::Whole(_));
        let Some((place, answer)) = answered.next() else {
            // The head of an answer may have left when the body that it goes on with turns out to be no body; and a head of
            // which only the codec is the judge may be refused at once.
            assert!(!is_whole, "no answer to {request:?}\n{}", shown());
            return;
        };
        let served = if request.expects_other { None } else { handled.next() };
        if let Some((method, target)) = served {
            assert_eq!(*method, request.method);
            if request.target.starts_with(b"/") {
                assert_eq!(target.as_bytes(), request.target, "{}", shown());
            }
        } else if REFUSALS.contains(&answer.head.status) && !answer.head.persists && !request.is_plain() {
            assert_eq!(place + 1, answers.len());
            return;
        } else {
            assert!(request.expects_other, "not served: {request:?}\n{}", shown());
        }
        let closes = !answer.head.persists || answer.head.switches;
        assert!(closes || !must_close(request) || !is_whole, "an answer that does not close\n{}", shown());
        assert!(!closes || may_close(request, received), "an answer that closes\n{}", shown());
        if let Received::Whole(body) = received {
            check_answer(request, &body.data, answer, end, output);
        }
        if closes || !matches!(answer.received, Received::Whole(_)) {
            assert_eq!(place + 1, answers.len(), "an answer behind the last\n{}", shown());
            assert_eq!(handled.next(), None, "a request behind the last");
            return;
        }
        if !is_whole {
            // Answered before the fault was seen; then the connection just ends.
            assert_eq!(answered.next(), None, "an answer behind the last\n{}", shown());
            return;
        }
    }
    assert_eq!(handled.next(), None, "a request that nobody sent\n{}", shown());
    match (ending, answered.next()) {
        (Ending::Between | Ending::Closed, None) | (Ending::InHead, None) => {}
        (Ending::InHead | Ending::Refused, Some((place, answer))) => {
            assert!(REFUSALS.contains(&answer.head.status) && !answer.head.persists, "{}", shown());
            assert_eq!(place + 1, answers.len(), "{}", shown());
        }
        (ending, extra) => panic!("{ending:?}, and this answer: {extra:?}\n{}", shown()),
    }
}

/// To a client that does not wait, or whose connection fails: no more than that.
pub(super) fn at_most(input: &[u8], output: &[u8]) {
    let (requests, _) = reference::requests(input);
    answers(output, &requests);
}

/// The answers, which have to be readable, and at most one to each request and one more.
fn answers(output: &[u8], requests: &[(Request, Received)]) -> (Vec<Answer>, Ending) {
    let methods = requests.iter().map(|(request, _)| &request.method).chain([&Method::GET]);
    let (answers, ending) = reference::answers(output, methods);
    assert!(
        !matches!(ending, Ending::Refused | Ending::More),
        "after {} answers to {} requests there is something else: {}",
        answers.len(),
        requests.len(),
        output.escape_ascii()
    );
    for answer in &answers {
        assert!(answer.informational.iter().all(|status| *status == 100));
        let length = answer.head.fields.iter().filter(|(name, _)| name == "content-length").count();
        assert!(length <= 1);
    }
    (answers, ending)
}

/// The path that the service sees.
fn path(request: &Request) -> &[u8] {
    let target = &request.target[..];
    let target = match target.windows(3).position(|three| three == b"://") {
        Some(colon) if !target.starts_with(b"/") => {
            let authority = &target[colon + 3..];
            authority.iter().position(|byte| b"/?".contains(byte)).map_or(&b"/"[..], |end| &authority[end..])
        }
        _ => target,
    };
    match target.iter().position(|&byte| byte == b'?') {
        Some(0) => b"/",
        end => &target[..end.unwrap_or(target.len())],
    }
}

fn must_close(request: &Request) -> bool {
    !request.persists || request.method == Method::CONNECT || (path(request) == b"/close" && !request.expects_other)
}

fn may_close(request: &Request, received: &Received) -> bool {
    let is_unknown_length = [&b"/stream"[..], b"/trailers", b"/echo", b"/broken"].contains(&path(request));
    must_close(request)
        || !matches!(received, Received::Whole(_))
        // Whether the body of such a request was asked for in time depends on the pieces that it came in.
        || (request.expects && request.body != Body::Length(0))
        || (request.version == Version::HTTP_10 && is_unknown_length)
        || (path(request) == b"/upgrade" && request.upgrade)
}

/// The answer to a request that came as a whole.
fn check_answer(request: &Request, sent: &[u8], answer: &Answer, end: Ending, output: &[u8]) {
    let path = path(request);
    let has_body = request.body != Body::Length(0);
    let status = match path {
        _ if request.expects_other => 417,
        _ if request.method == Method::CONNECT && has_body => 500,
        _ if request.method == Method::CONNECT => 200,
        b"/fail" => 500,
        // A service can only switch where it was asked to, and has to read the body first.
        b"/upgrade" if request.fields.iter().any(|(name, _)| name == "upgrade") => {
            if request.upgrade && !has_body {
                101
            } else {
                500
            }
        }
        _ => 200,
    };
    assert_eq!(answer.head.status, status, "{request:?}");
    if answer.head.switches {
        assert!(output[answer.end..] == *SWITCHED && end == Ending::Closed);
        return;
    }
    let (expected, trailers): (&[u8], bool) = match path {
        _ if request.method == Method::HEAD || status != 200 => (b"", false),
        b"/echo" | b"/collect" => (sent, false),
        b"/stream" => (b"abc", false),
        b"/trailers" => (b"abc", true),
        b"/long" => {
            let Received::Whole(body) = &answer.received else { panic!("cut: {answer:?}") };
            assert_eq!(body.data.len(), 70_000);
            return;
        }
        // To HTTP/1.0 the end of the connection is all there is to tell.
        b"/broken" => {
            assert!(answer.received == Received::Cut || request.version == Version::HTTP_10);
            return;
        }
        path => (path, false),
    };
    let Received::Whole(body) = &answer.received else { panic!("cut: {answer:?}") };
    assert_eq!(body.data.escape_ascii().to_string(), expected.escape_ascii().to_string());
    assert!(path == b"/echo" || trailers || body.trailers.is_empty());
}
