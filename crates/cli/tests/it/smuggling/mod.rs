//! Requests that two readers could take for different ones, through the proxy to origins of other people: whatever the bytes,
//! the origin sees the messages that the proxy saw, or the proxy refuses.

mod corpus;
mod origins;

use std::{
    collections::{BTreeMap, BTreeSet},
    io::{Read, Write},
    net::SocketAddr,
};

use self::{
    corpus::{Case, Outcome},
    origins::{Message, Origin},
};
use crate::support::{Chaski, dial, needs};

/// H1-01, H1-02, H1-03
#[test]
fn nginx_and_the_proxy_agree_on_where_messages_end() {
    needs!("nginx_and_the_proxy_agree_on_where_messages_end", "nginx");
    agree(Origin::nginx());
}

/// H1-01, H1-02, H1-03
#[test]
fn haproxy_and_the_proxy_agree_on_where_messages_end() {
    needs!("haproxy_and_the_proxy_agree_on_where_messages_end", "haproxy");
    agree(Origin::haproxy());
}

/// H1-01, H1-02, H1-03
#[test]
fn node_and_the_proxy_agree_on_where_messages_end() {
    needs!("node_and_the_proxy_agree_on_where_messages_end", "node");
    agree(Origin::node());
}

#[test]
fn the_corpus_is_whole() {
    let cases = corpus::cases("origin.test:80");
    assert!(cases.len() >= 150, "{}", cases.len());
    let names: BTreeSet<_> = cases.iter().map(|case| case.name).collect();
    assert_eq!(names.len(), cases.len(), "a name comes twice");
}

/// Sends every case through a proxy to `origin`, then compares what the origin has seen with what had to come of it.
fn agree(origin: Origin) {
    let proxy = Chaski::proxy(&[]);
    let cases = corpus::cases(&origin.host());
    let answers: Vec<_> = cases.iter().map(|case| exchange(proxy.addr, &case.bytes)).collect();
    // All connections to the origin end before it does, so nothing is on its way when its books are read.
    proxy.stop();
    let mut seen = BTreeMap::<usize, Vec<Message>>::new();
    for message in origin.stop() {
        seen.entry(message.case).or_default().push(message);
    }
    let mut wrong = Vec::new();
    let mut declined = 0;
    for (number, (case, statuses)) in cases.iter().zip(&answers).enumerate() {
        let seen = seen.remove(&number).unwrap_or_default();
        match judge(case, statuses, &seen) {
            Ok(by_origin) => declined += usize::from(by_origin),
            Err(why) => wrong.push(format!("{}: {why}; answers {statuses:?}, seen {seen:?}", case.name)),
        }
    }
    assert!(wrong.is_empty(), "{} of {}:\n{}", wrong.len(), cases.len(), wrong.join("\n"));
    assert!(seen.is_empty(), "messages of no case: {seen:?}");
    // An origin may be stricter than the proxy. One that declined everything would prove nothing.
    assert!(declined <= 10, "the origin declined {declined} cases that the proxy passed on");
}

/// Whether the origin declined what the proxy passed on, or what is wrong.
fn judge(case: &Case, statuses: &[u16], seen: &[Message]) -> Result<bool, String> {
    let paths: Vec<_> = seen.iter().map(|message| message.kind.as_str()).collect();
    let expect = |expected_statuses: &[u16], expected: &[&str]| {
        if statuses != expected_statuses {
            return Err(format!("expected answers {expected_statuses:?}"));
        }
        if paths != expected {
            return Err(format!("expected the origin to see {expected:?}"));
        }
        Ok(false)
    };
    let (body, next, last) = match &case.outcome {
        Outcome::Refused(status) => return expect(&[*status], &[]),
        Outcome::RefusedAndOn(status) => return expect(&[*status, 200], &["end"]),
        Outcome::Cut if statuses.contains(&200) || statuses.len() > 1 => return Err("expected a cut".to_owned()),
        Outcome::Cut => return expect(statuses, &[]),
        Outcome::Passed { body, next, last } => (body, *next, *last),
    };
    let behind: &[&str] = match (next, last) {
        (_, true) => &[],
        (true, false) => &["next", "end"],
        (false, false) => &["end"],
    };
    let fine = vec![200; behind.len()];
    // An origin that is stricter than the proxy says so, and sees what comes behind all the same.
    if let [400..=499 | 501, ..] = statuses {
        return expect(&[&statuses[..1], &fine].concat(), behind).map(|_| true);
    }
    expect(&[&[200], &fine[..]].concat(), &[&["case"], behind].concat())?;
    let first = &seen[0];
    if (first.method.as_bytes(), &first.body) == (case.method(), body) {
        Ok(false)
    } else {
        Err(format!("expected the body {}", body.escape_ascii()))
    }
}

/// Sends bytes, and reads to the end: the statuses of the answers, those of interim ones left out.
fn exchange(proxy: SocketAddr, bytes: &[u8]) -> Vec<u16> {
    let mut stream = dial(proxy);
    // A proxy that refuses may close before all has been written.
    let _ = stream.write_all(bytes);
    let (mut answers, mut buffer) = (Vec::new(), [0; 4096]);
    while let Ok(n @ 1..) = stream.read(&mut buffer) {
        answers.extend_from_slice(&buffer[..n]);
    }
    statuses(&answers)
}

/// The statuses of answers, whose bodies all have a length.
fn statuses(mut answers: &[u8]) -> Vec<u16> {
    let mut statuses = Vec::new();
    while !answers.is_empty() {
        let text = String::from_utf8_lossy(answers).into_owned();
        let Some(end) = answers.windows(4).position(|window| window == b"\r\n\r\n") else {
            panic!("half an answer: {text}");
        };
        let head = String::from_utf8_lossy(&answers[..end]).to_lowercase();
        let status = head.split(' ').nth(1).unwrap_or_else(|| panic!("no status: {text}")).parse().unwrap();
        let length = head.split("\r\n").find_map(|line| line.strip_prefix("content-length:"));
        let length: usize = length.map_or(0, |length| length.trim().parse().unwrap());
        answers = answers.get(end + 4 + length..).unwrap_or_else(|| panic!("half a body: {text}"));
        if status >= 200 {
            statuses.push(status);
        }
    }
    statuses
}
