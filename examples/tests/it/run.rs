//! Starts examples and talks to them.

use std::{
    io::{BufRead, BufReader, Read, Write},
    net::{Shutdown, TcpStream},
    process::{Child, Command, Output, Stdio},
    time::Duration,
};

/// A running example that has said where it listens.
struct Server {
    child: Child,
    addr: String,
}

impl Server {
    fn start(program: &str) -> Self {
        let mut child = Command::new(program).stdout(Stdio::piped()).spawn().unwrap();
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines().map_while(Result::ok);
        let addr = lines.find_map(|line| line.strip_prefix("listening on ").map(str::to_owned)).unwrap();
        // What else it prints goes nowhere, and never blocks it.
        std::thread::spawn(move || lines.for_each(drop));
        Self { child, addr }
    }

    /// Sends bytes, ends the sending side, and reads to the end.
    fn talk(&self, request: &str) -> String {
        let mut stream = TcpStream::connect(&self.addr).unwrap();
        stream.set_read_timeout(Some(Duration::from_secs(60))).unwrap();
        stream.write_all(request.as_bytes()).unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        answer
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn run(program: &str, args: &[&str]) -> Output {
    let output = Command::new(program).args(args).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    output
}

#[test]
fn tcp_echo_sends_everything_back() {
    let server = Server::start(env!("CARGO_BIN_EXE_tcp-echo"));
    let mut stream = TcpStream::connect(&server.addr).unwrap();
    stream.write_all(b"one, two").unwrap();
    stream.shutdown(Shutdown::Write).unwrap();
    let mut back = String::new();
    stream.read_to_string(&mut back).unwrap();
    assert_eq!(back, "one, two");
}

#[test]
fn http_hello_greets() {
    let server = Server::start(env!("CARGO_BIN_EXE_http-hello"));
    let answer = server.talk("GET /ana HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n");
    assert!(answer.starts_with("HTTP/1.1 200 OK\r\n"), "{answer}");
    assert!(answer.ends_with("\r\n\r\nhello, ana, from 127.0.0.1\n"), "{answer}");
}

#[test]
fn http_client_prints_the_answer() {
    let server = Server::start(env!("CARGO_BIN_EXE_http-hello"));
    let output = run(env!("CARGO_BIN_EXE_http-client"), &[&format!("http://{}/ana", server.addr)]);
    assert_eq!(String::from_utf8_lossy(&output.stdout).trim(), "hello, ana, from 127.0.0.1");
}

#[test]
fn in_memory_needs_no_socket() {
    let output = run(env!("CARGO_BIN_EXE_in-memory"), &[]);
    assert_eq!(String::from_utf8_lossy(&output.stdout), "ordered: 2 x coca\n");
}

#[test]
fn forward_proxy_forwards() {
    let origin = Server::start(env!("CARGO_BIN_EXE_http-hello"));
    let proxy = Server::start(env!("CARGO_BIN_EXE_forward-proxy"));
    let (origin, host) = (&origin.addr, "Host: a\r\nConnection: close\r\n\r\n");
    let answer = proxy.talk(&format!("GET http://{origin}/ana HTTP/1.1\r\n{host}"));
    assert!(answer.ends_with("hello, ana, from 127.0.0.1\n"), "{answer}");
    let answer = proxy.talk(&format!("GET http://{}/ HTTP/1.1\r\n{host}", proxy.addr));
    assert!(answer.starts_with("HTTP/1.1 508 "), "{answer}");
}
