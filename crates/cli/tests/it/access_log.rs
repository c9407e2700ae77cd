//! The access log as another program reads it.

use std::{
    io::{BufRead, BufReader, Read, Write},
    process::{Child, ChildStderr, Stdio},
};

use crate::support::{Chaski, command, dial, needs, origin, read_head, wait};

/// APP-15: each line of JSON is one object to Python, whatever a client sends, and nothing that it sends adds one.
#[test]
fn app_15_json_lines_are_read_by_python() {
    needs!("app_15_json_lines_are_read_by_python", "python3");
    let (addr, seen) = origin(|mut stream| {
        let head = read_head(&mut stream);
        stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok").unwrap();
        head
    });
    let proxy = Chaski::proxy(&["--access-log", "json"]);
    let trace = "traceparent: 00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
    let state = "tracestate: rojo=00f067aa0ba902b7,congo=t61rcWkgMzE";
    let mut client = dial(proxy.addr);
    write!(
        client,
        "GET http://{addr}/a\"b?c={{}} HTTP/1.1\r\nHost: a\r\n{trace}\r\n{state}\r\nConnection: close\r\n\r\n"
    )
    .unwrap();
    let mut answer = String::new();
    client.read_to_string(&mut answer).unwrap();
    assert!(answer.starts_with("HTTP/1.1 200 "), "{answer}");
    let head = seen.join().unwrap();
    assert!(head.contains(&format!("\r\n{trace}\r\n")) && head.contains(&format!("\r\n{state}\r\n")), "{head}");
    // Bytes that are no UTF-8, and those that would end a line or a string.
    for target in [
        &b"http://127.0.0.1:1/\xff\xfe\""[..],
        b"http://127.0.0.1:1/\x1b[2J\",\"x\":\"\\",
        b"http://127.0.0.1:1/\xc3\xa9\\",
    ] {
        let mut client = dial(proxy.addr);
        client.write_all(&[b"GET ", target, b" HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n"].concat()).unwrap();
        client.read_to_end(&mut Vec::new()).unwrap();
    }
    let (status, log, stderr) = proxy.stop();
    assert_eq!(status.code(), Some(0), "{stderr}");

    let script = "import json, sys\n\
        for line in sys.stdin.buffer:\n    \
        o = json.loads(line.decode('utf-8', 'strict'))\n    \
        assert list(o) == 'time peer user method target version status received sent duration_ms outcome trace'.split(), o\n    \
        assert isinstance(o['duration_ms'], float) and isinstance(o['sent'], int) and o['user'] is None, o\n    \
        print(o['method'], o['target'], o['status'], o['sent'], o['outcome'], o['trace'])\n";
    let mut python = command("python3")
        .args(["-X", "utf8", "-c", script])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    python.stdin.take().unwrap().write_all(log.as_bytes()).unwrap();
    let output = python.wait_with_output().unwrap();
    assert!(output.status.success(), "{log}");
    let read = String::from_utf8(output.stdout).unwrap();
    let mut lines = read.lines();
    let first = format!("GET http://{addr}/a\"b?c={{}} 200 2 ok 4bf92f3577b34da6a3ce929d0e0e4736");
    assert_eq!(lines.next(), Some(first.as_str()), "{log}");
    // What a head parser refuses is no request, and has no line.
    for line in lines {
        assert!(line.starts_with("GET http://127.0.0.1:1/") && line.ends_with(" ok None"), "{read}");
    }
}

/// A disk that is full has to show also where the log of messages has warnings alone.
#[test]
fn lines_that_could_not_be_written_are_counted_at_the_end() {
    let (mut child, stderr, mut client) = proxy_with_its_log_in_a_pipe();
    // Every write fails from here on.
    drop(child.stdout.take());
    for _ in 0..3 {
        client.write_all(b"OPTIONS * HTTP/1.1\r\nHost: a\r\n\r\n").unwrap();
        assert!(read_head(&mut client).starts_with("HTTP/1.1 200 "));
    }
    let told = stopped(&mut child, stderr);
    assert!(told.contains("chaski: access log: 3 lines lost\n"), "{told}");
}

#[test]
fn a_log_that_nobody_reads_is_told_at_the_end() {
    let (mut child, stderr, mut client) = proxy_with_its_log_in_a_pipe();
    // More than a pipe takes.
    let long = "x".repeat(4000);
    for _ in 0..100 {
        let request = format!("GET http://127.0.0.1:1/{long} HTTP/1.1\r\nHost: a\r\n\r\n");
        client.write_all(request.as_bytes()).unwrap();
        let head = read_head(&mut client);
        assert!(head.starts_with("HTTP/1.1 403 "), "{head}");
        let length = head.split_once("content-length: ").unwrap().1.split_once('\r').unwrap().0;
        client.read_exact(&mut vec![0; length.parse().unwrap()]).unwrap();
    }
    let told = stopped(&mut child, stderr);
    assert!(told.contains("chaski: access log: nobody takes its last lines, they are lost too\n"), "{told}");
}

/// The program, its messages behind the start-up line, and a client of it. Nobody reads standard output.
fn proxy_with_its_log_in_a_pipe() -> (Child, BufReader<ChildStderr>, std::net::TcpStream) {
    let mut child = command(env!("CARGO_BIN_EXE_chaski"))
        .args(["proxy", "--bind", "127.0.0.1:0"])
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut stderr = BufReader::new(child.stderr.take().unwrap());
    let mut line = String::new();
    stderr.read_line(&mut line).unwrap();
    let (_, addr) = line.trim_end().split_once("listening on ").unwrap();
    let client = dial(addr.parse().unwrap());
    (child, stderr, client)
}

/// What it told until it had stopped.
fn stopped(child: &mut Child, mut stderr: BufReader<ChildStderr>) -> String {
    assert!(command("kill").args(["-TERM", &child.id().to_string()]).status().unwrap().success());
    let mut told = String::new();
    stderr.read_to_string(&mut told).unwrap();
    assert_eq!(wait(child).code(), Some(0), "{told}");
    told
}
