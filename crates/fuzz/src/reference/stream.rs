//! All messages of one connection, one after the other.

use http::Method;

use super::{
    Read,
    body::{Chunked, chunked},
    head::{Body, Fields, Request, Response, request, response},
};

/// A message's body, as far as it came.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Received {
    /// All of it.
    Whole(Chunked),
    /// The input ended first.
    Cut,
    /// It has to be refused.
    Refused,
}

/// How a connection goes on behind the last message that was read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Ending {
    /// It stands between two messages, and nothing follows.
    Between,
    /// The last message was the last by its own word, or ended with the input.
    Closed,
    /// In the middle of a head.
    InHead,
    /// A head that has to be refused follows.
    Refused,
    /// Bytes follow that no message was expected for.
    More,
}

/// The requests at the start of `input`, each with its body, and what is behind the last. Only the last one's body may be
/// other than whole.
pub(crate) fn requests(input: &[u8]) -> (Vec<(Request, Received)>, Ending) {
    let mut found = Vec::new();
    let mut rest = input;
    loop {
        let head = match request(rest) {
            Read::Complete(head, used) => {
                rest = &rest[used..];
                head
            }
            Read::Incomplete if rest.is_empty() => return (found, Ending::Between),
            Read::Incomplete => return (found, Ending::InHead),
            Read::Refused => return (found, Ending::Refused),
        };
        let (received, used) = body(rest, head.body);
        let ends = received.ends(head.persists);
        found.push((head, received));
        if ends {
            return (found, Ending::Closed);
        }
        rest = &rest[used..];
    }
}

/// A final response with the informational ones before it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Answer {
    pub(crate) informational: Vec<u16>,
    pub(crate) head: Response,
    pub(crate) received: Received,
    /// Where it ends, in bytes from the first of the connection.
    pub(crate) end: usize,
}

/// The responses at the start of `input` to requests with these methods, and what is behind the last.
pub(crate) fn answers<'a>(input: &[u8], methods: impl IntoIterator<Item = &'a Method>) -> (Vec<Answer>, Ending) {
    let mut found = Vec::new();
    let mut at = 0;
    for method in methods {
        let mut informational = Vec::new();
        let head = loop {
            match response(&input[at..], method) {
                Read::Complete(head, used) => {
                    at += used;
                    if head.status >= 200 || head.status == 101 {
                        break head;
                    }
                    informational.push(head.status);
                }
                Read::Incomplete if at == input.len() && informational.is_empty() => return (found, Ending::Between),
                Read::Incomplete => return (found, Ending::InHead),
                Read::Refused => return (found, Ending::Refused),
            }
        };
        let (received, used) = body(&input[at..], head.body);
        at += used;
        let switches = head.switches;
        let ends = received.ends(head.persists) || switches;
        found.push(Answer { informational, head, received, end: at });
        if ends {
            let is_over = at == input.len() || switches;
            return (found, if is_over { Ending::Closed } else { Ending::More });
        }
    }
    let ending = if at == input.len() { Ending::Between } else { Ending::More };
    (found, ending)
}

impl Received {
    /// Whether nothing can follow a message with this body.
    fn ends(&self, persists: bool) -> bool {
        !persists || !matches!(self, Self::Whole(_))
    }
}

fn body(input: &[u8], framing: Body) -> (Received, usize) {
    let whole = |data: &[u8]| Received::Whole(Chunked { data: data.to_vec(), trailers: Fields::new() });
    match framing {
        Body::UntilClose => (whole(input), input.len()),
        Body::Length(length) => match usize::try_from(length).ok().and_then(|length| input.get(..length)) {
            Some(data) => (whole(data), data.len()),
            None => (Received::Cut, input.len()),
        },
        Body::Chunked => match chunked(input) {
            Read::Complete(body, used) => (Received::Whole(body), used),
            Read::Incomplete => (Received::Cut, input.len()),
            Read::Refused => (Received::Refused, input.len()),
        },
    }
}
