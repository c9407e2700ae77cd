//! The order and the case of fields through the ready-made proxy, from a raw client to a raw origin and back.

use std::net::SocketAddr;

use chaski_core::Shutdown;
use chaski_net::TcpListener;
use chaski_proxy::Rules;
use chaski_stacks::{ForwardProxyConfig, forward_proxy};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};

/// Sends `request` through a proxy to an origin that answers with `response`. What each of them read, up to the end of
/// the other's message.
async fn forwarded(keep: bool, request: impl Fn(SocketAddr) -> String, response: &str) -> (String, String) {
    let origin = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let target = origin.local_addr().unwrap();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let proxy = listener.local_addr().unwrap();
    let rules = Rules::public_only().with_rule(format!("allow {target}").parse().unwrap());
    let stack = forward_proxy(ForwardProxyConfig::default().with_rules(rules).with_header_layout(keep));
    let shutdown = std::sync::Arc::new(Shutdown::new());
    let signal = std::sync::Arc::clone(&shutdown);
    let serving = tokio::spawn(async move { listener.serve(stack, &signal).await });

    let answering = async {
        let (mut io, _) = origin.accept().await.unwrap();
        let seen = until_body(&mut io).await;
        io.write_all(response.as_bytes()).await.unwrap();
        seen
    };
    let asking = async {
        let mut io = TcpStream::connect(proxy).await.unwrap();
        io.write_all(request(target).as_bytes()).await.unwrap();
        until_body(&mut io).await
    };
    let (seen, answer) = tokio::join!(answering, asking);
    shutdown.drain(std::time::Duration::ZERO).await;
    serving.await.unwrap();
    (seen.replace(&target.to_string(), "ORIGIN"), answer)
}

/// A head and its body, which is `[body]` in all messages here.
async fn until_body(io: &mut TcpStream) -> String {
    let mut bytes = Vec::new();
    while !bytes.ends_with(b"[body]") {
        assert!(io.read_buf(&mut bytes).await.unwrap() > 0, "closed after {}", bytes.escape_ascii());
    }
    String::from_utf8(bytes).unwrap()
}

fn without_via(text: &str) -> String {
    text.split_inclusive("\r\n").filter(|line| !line.to_ascii_lowercase().starts_with("via:")).collect()
}

/// A browser's fields and odd ones, a name in three places, and those of the hop among them.
const FIELDS: [&str; 12] = [
    "X-b: one",
    "User-Agent: Mozilla/5.0",
    "Host: ORIGIN",
    "Proxy-Connection: keep-alive",
    "sec-ch-ua: \"Chromium\";v=\"140\"",
    "x-B:two",
    "Content-Length: 6",
    "Connection: x-hop",
    "X-Hop: 1",
    "X-Empty:",
    "Accept:  */* ",
    "X-B: \tthree",
];

const HOP: [&str; 3] = ["Proxy-Connection: keep-alive", "Connection: x-hop", "X-Hop: 1"];

#[tokio::test]
async fn the_layout_is_kept_both_ways() {
    let message = |first: &str, fields: &[&str]| {
        let fields: String = fields.iter().map(|line| format!("{line}\r\n")).collect();
        format!("{first}\r\n{fields}\r\n[body]")
    };
    let answer =
        ["Server: raw", "Set-Cookie: a", "DATE: Sun, 06 Nov 1994 08:49:37 GMT", "Content-Length: 6", "X-Hop: 1"];
    let answer = [&answer[..], &["set-cookie: b", "Connection: x-hop", "ETag:\"c\""]].concat();
    let response = message("HTTP/1.1 203 My own words", &answer);

    let request = |target: SocketAddr| {
        message(&format!("POST http://{target}/a?b HTTP/1.1"), &FIELDS).replace("ORIGIN", &target.to_string())
    };
    let end_to_end: Vec<&str> = FIELDS.into_iter().filter(|line| !HOP.contains(line)).collect();
    let (seen, got) = forwarded(true, request, &response).await;
    assert!(seen.contains("\r\nvia: 1.1 ") && got.contains("\r\nvia: 1.1 "), "{seen}{got}");
    assert_eq!(without_via(&seen), message("POST /a?b HTTP/1.1", &end_to_end));
    let end_to_end: Vec<&str> = answer.into_iter().filter(|line| !HOP.contains(line)).collect();
    assert_eq!(without_via(&got), message("HTTP/1.1 203 My own words", &end_to_end));

    // Unasked, names go out in lower case, and the phrase is the standard's.
    let (seen, got) = forwarded(false, request, &response).await;
    assert!(seen.starts_with("POST /a?b HTTP/1.1\r\nhost: ORIGIN\r\n") && seen.contains("\r\nuser-agent: "), "{seen}");
    assert!(
        got.starts_with("HTTP/1.1 203 Non Authoritative Information\r\n") && got.contains("\r\nserver: raw\r\n"),
        "{got}"
    );
}
