//! Signals, drains and what is told of them.

use std::{
    io::{BufRead, BufReader, Read, Write},
    process::Stdio,
};

use crate::support::{Chaski, command, dial, origin, read_head, tunnel, wait};

#[test]
fn an_idle_proxy_stops_at_once_with_0() {
    for signal in ["TERM", "INT"] {
        let proxy = Chaski::proxy(&[]);
        let mut idle = dial(proxy.addr);
        // Served once, so that it is surely accepted and waits for its next request.
        idle.write_all(b"OPTIONS * HTTP/1.1\r\nHost: a\r\n\r\n").unwrap();
        read_head(&mut idle);
        proxy.signal(signal);
        let (status, _, stderr) = proxy.wait();
        assert_eq!(status.code(), Some(0), "{stderr}");
        assert!(stderr.contains(" 0 cut"), "{stderr}");
        assert_eq!(idle.read(&mut [0; 1]).unwrap(), 0);
    }
}

/// H1-13: what is answered while draining says `connection: close`. LIFE-05: in body, CONNECT. Waits: WebSocket.
#[test]
fn h1_13_life_05_a_transfer_under_way_finishes() {
    let (go, wait) = std::sync::mpsc::channel();
    let (addr, origin) = origin(move |mut stream| {
        read_head(&mut stream);
        wait.recv().unwrap();
        stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\nhel").unwrap();
        wait.recv().unwrap();
        stream.write_all(b"lo").unwrap();
    });
    let proxy = Chaski::proxy(&["--drain-timeout", "30s"]);
    let mut client = dial(proxy.addr);
    write!(client, "GET http://{addr}/ HTTP/1.1\r\nHost: {addr}\r\n\r\n").unwrap();
    let mut idle = dial(proxy.addr);
    idle.write_all(b"OPTIONS * HTTP/1.1\r\nHost: a\r\n\r\n").unwrap();
    read_head(&mut idle);
    proxy.signal("TERM");
    // The idle connection goes first: then draining has begun.
    assert_eq!(idle.read(&mut [0; 1]).unwrap(), 0);
    go.send(()).unwrap();
    let head = read_head(&mut client);
    assert!(head.contains("connection: close\r\n"), "{head}");
    go.send(()).unwrap();
    let mut body = String::new();
    client.read_to_string(&mut body).unwrap();
    assert_eq!(body, "hello");
    let (status, _, stderr) = proxy.wait();
    assert_eq!(status.code(), Some(0), "{stderr}");
    assert!(stderr.contains("draining") && stderr.contains(" 0 cut"), "{stderr}");
    origin.join().unwrap();
}

/// LIFE-05: a tunnel that does not end, and a head that does not. Waits: WebSocket.
#[test]
fn life_05_what_does_not_end_is_cut_at_the_deadline() {
    let (addr, origin) = origin(|mut stream| stream.read(&mut [0; 1]));
    let proxy = Chaski::proxy(&["--drain-timeout", "300ms"]);
    let mut client = tunnel(&proxy, addr);
    let (status, log, stderr) = proxy.stop();
    assert_eq!(status.code(), Some(1), "{stderr}");
    assert!(stderr.contains(" 1 cut"), "{stderr}");
    assert!(log.contains("cut"), "{log}");
    assert!(matches!(client.read(&mut [0; 1]), Ok(0) | Err(_)));
    assert!(matches!(origin.join().unwrap(), Ok(0) | Err(_)));
}

#[test]
fn a_second_signal_cuts_at_once() {
    let (addr, origin) = origin(|mut stream| stream.read(&mut [0; 1]));
    let proxy = Chaski::proxy(&["--drain-timeout", "10min"]);
    let mut client = tunnel(&proxy, addr);
    let mut idle = dial(proxy.addr);
    idle.write_all(b"OPTIONS * HTTP/1.1\r\nHost: a\r\n\r\n").unwrap();
    read_head(&mut idle);
    proxy.signal("TERM");
    assert_eq!(idle.read(&mut [0; 1]).unwrap(), 0);
    proxy.signal("TERM");
    let (status, _, stderr) = proxy.wait();
    assert_eq!(status.code(), Some(1), "{stderr}");
    assert!(matches!(client.read(&mut [0; 1]), Ok(0) | Err(_)));
    origin.join().unwrap().ok();
}

#[test]
fn connections_beyond_the_limit_wait() {
    let proxy = Chaski::proxy(&["--max-connections", "1"]);
    let mut first = dial(proxy.addr);
    first.write_all(b"OPTIONS * HTTP/1.1\r\nHost: a\r\n\r\n").unwrap();
    read_head(&mut first);
    let mut second = dial(proxy.addr);
    second.write_all(b"OPTIONS * HTTP/1.1\r\nHost: a\r\n\r\n").unwrap();
    second.set_read_timeout(Some(std::time::Duration::from_millis(200))).unwrap();
    assert!(second.read(&mut [0; 1]).is_err(), "the second connection was served beside the first");
    drop(first);
    second.set_read_timeout(Some(crate::support::GUARD)).unwrap();
    assert!(read_head(&mut second).starts_with("HTTP/1.1 200 "));
}

/// `--per-core`: a runtime for each thread, all of which serve every listener, and all of which are drained.
#[test]
fn a_proxy_with_a_runtime_for_each_thread_serves_and_drains() {
    let socket = crate::support::folder("per-core").join("proxy.sock");
    let unix = format!("unix:{}", socket.display());
    let proxy = Chaski::proxy(&["--per-core", "--threads", "2", "--bind", &unix]);
    let mut tunnels = Vec::new();
    for _ in 0..8 {
        let (addr, origin) = origin(|mut stream| {
            let mut byte = [0];
            stream.read_exact(&mut byte).unwrap();
            stream.write_all(&byte).unwrap();
        });
        tunnels.push((tunnel(&proxy, addr), origin));
    }
    let mut local = std::os::unix::net::UnixStream::connect(&socket).unwrap();
    local.write_all(b"OPTIONS * HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n").unwrap();
    let mut answer = String::new();
    local.read_to_string(&mut answer).unwrap();
    assert!(answer.starts_with("HTTP/1.1 200 "), "{answer}");

    proxy.signal("TERM");
    proxy.told("SIGTERM: draining");
    assert!(std::net::TcpStream::connect(proxy.addr).is_err(), "the port is still open");
    for (mut client, origin) in tunnels {
        client.write_all(b"x").unwrap();
        let mut rest = Vec::new();
        client.read_to_end(&mut rest).unwrap();
        assert_eq!(rest, b"x");
        drop(client);
        origin.join().unwrap();
    }
    let (status, _, stderr) = proxy.wait();
    assert_eq!(status.code(), Some(0), "{stderr}");
    assert!(stderr.contains(" connections drained, 0 cut"), "{stderr}");
}

/// A script often reads the start-up line and goes away. What nobody reads is lost; it is no reason to fail.
#[test]
fn a_reader_of_messages_that_has_gone_harms_nothing() {
    let mut child = command(env!("CARGO_BIN_EXE_chaski"))
        .args(["proxy", "--bind", "127.0.0.1:0", "--log-level", "debug", "--user", "ana:secret"])
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut stderr = BufReader::new(child.stderr.take().unwrap());
    let mut line = String::new();
    while !line.contains("listening on ") {
        line.clear();
        assert_ne!(stderr.read_line(&mut line).unwrap(), 0, "no start-up line");
    }
    drop(stderr);
    let (_, addr) = line.trim_end().split_once("listening on ").unwrap();
    let mut client = dial(addr.parse().unwrap());
    // Refused, which is logged.
    client.write_all(b"OPTIONS * HTTP/1.1\r\nHost: a\r\n\r\n").unwrap();
    assert!(read_head(&mut client).starts_with("HTTP/1.1 407 "));
    let status = command("kill").args(["-TERM", &child.id().to_string()]).status().unwrap();
    assert!(status.success());
    assert_eq!(wait(&mut child).code(), Some(0));
}

/// Each proxied connection takes two descriptors, and the usual soft limit of 1,024 is soon reached.
#[cfg(target_os = "linux")]
#[test]
fn the_soft_limit_of_open_files_is_raised_to_the_hard_one() {
    let mut child = command("sh")
        .args(["-c", "ulimit -Sn 64; exec \"$0\" serve echo --bind 127.0.0.1:0", env!("CARGO_BIN_EXE_chaski")])
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut line = String::new();
    BufReader::new(child.stderr.take().unwrap()).read_line(&mut line).unwrap();
    assert!(line.contains("listening on "), "{line}");
    let limits = std::fs::read_to_string(format!("/proc/{}/limits", child.id())).unwrap();
    child.kill().unwrap();
    child.wait().unwrap();
    let limit = limits.lines().find_map(|line| line.strip_prefix("Max open files")).unwrap();
    let mut words = limit.split_whitespace();
    let (soft, hard) = (words.next().unwrap(), words.next().unwrap());
    assert_eq!(soft, hard);
}
