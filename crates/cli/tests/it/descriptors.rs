//! A limit of open files that is too small.

use std::{
    io::{Read, Write},
    time::{Duration, Instant},
};

use crate::support::{Chaski, dial, origin, read_head};

#[test]
fn a_limit_that_does_not_suffice_is_told_at_the_start_with_both_numbers() {
    let args = ["--bind", "127.0.0.1:0", "--max-connections", "100"];
    let proxy = Chaski::start_with_descriptors(200, &[&["proxy"], &args[..]].concat());
    let told = proxy.told("warning");
    assert!(told.contains("100 connections may need 264 descriptors") && told.contains("may open 200"), "{told}");

    // The echo server needs one for each connection.
    let echo = Chaski::start_with_descriptors(200, &[&["serve", "echo"], &args[..]].concat());
    let (_, _, stderr) = echo.stop();
    assert!(!stderr.contains("warning"), "{stderr}");
}

/// NET-14: out of descriptors, nothing ends and nothing spins; a client that cannot be helped is told whose fault that is, and
/// those that wait are served once others have left.
#[test]
fn net_14_a_proxy_without_descriptors_waits_and_recovers() {
    let args = ["proxy", "--bind", "127.0.0.1:0", "--allow", "127.0.0.0/8", "--threads", "1"];
    let proxy = Chaski::start_with_descriptors(64, &args);
    let begun = Instant::now();
    let mut clients: Vec<_> = (0..120).map(|_| dial(proxy.addr)).collect();
    let all = |line: &str| line.contains("cannot accept connections for now");
    assert!(all(&proxy.told("pause=5ms")));
    let before = proxy.ticks();
    assert!(all(&proxy.told("pause=640ms")));
    let used = proxy.ticks() - before;
    // It has paused for 635 ms, which are 63 ticks: not only said so, and not spun meanwhile.
    let paused = begun.elapsed();
    assert!(paused >= Duration::from_millis(635) && used <= 20, "{used} ticks in {paused:?}");

    let (target, _origin) = origin(|_| ());
    let first = &mut clients[0];
    write!(first, "CONNECT {target} HTTP/1.1\r\nHost: {target}\r\n\r\n").unwrap();
    let head = read_head(first);
    assert!(head.starts_with("HTTP/1.1 503 ") && head.contains("error=proxy_internal_error"), "{head}");
    let mut line = [0; 37];
    first.read_exact(&mut line).unwrap();
    assert_eq!(&line, b"this proxy has no means left to conne");

    clients.drain(..80);
    for client in &mut clients {
        client.write_all(b"OPTIONS * HTTP/1.1\r\nHost: a\r\n\r\n").unwrap();
        assert!(read_head(client).starts_with("HTTP/1.1 200 "));
    }
    drop(clients);
    // The origin's thread waits for a connection that was never made.
    drop(dial(target));
    let (status, _, stderr) = proxy.stop();
    assert_eq!(status.code(), Some(0), "{stderr}");
}
