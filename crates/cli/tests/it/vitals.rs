//! What the system knows of a program: its memory, its descriptors, its time. All of it is read from /proc.

use std::{
    fs,
    io::{Read, Write},
    net::{SocketAddr, TcpListener},
    time::{Duration, Instant},
};

use crate::support::{Chaski, GUARD, dial, read_head};

/// A program at rest, to which it has to come back.
pub(crate) struct Vitals<'a> {
    program: &'a Chaski,
    pub(crate) descriptors: usize,
    rss: u64,
}

impl<'a> Vitals<'a> {
    /// Of a program that has served, so that what is made at the first use is there.
    pub(crate) fn of(program: &'a Chaski) -> Self {
        assert_eq!(options(program.addr), 200);
        // The connection of that may not be closed yet: only the listener is left then.
        eventually("the first connection is closed", || sockets(program.id()) == 1);
        Self { program, descriptors: descriptors(program.id()), rss: program.memory("VmRSS:") }
    }

    /// All that was opened since is closed.
    pub(crate) fn descriptors_are_back(&self) {
        eventually("the descriptors are back", || descriptors(self.program.id()) == self.descriptors);
    }

    /// Memory never rose by more than this for each of so many clients.
    pub(crate) fn peak_is_within(&self, clients: usize, kib_each: u64) {
        let peak = self.program.memory("VmHWM:").saturating_sub(self.rss);
        let each = peak / clients as u64;
        println!("{peak} KiB at the peak, {each} KiB for each of {clients}");
        assert!(peak <= clients as u64 * kib_each, "{peak} KiB at the peak, {each} KiB for each of {clients}");
    }
}

/// How many descriptors a process has open, without pipes: a few of those are kept for the next tunnel.
pub(crate) fn descriptors(id: u32) -> usize {
    let entries = fs::read_dir(format!("/proc/{id}/fd")).unwrap();
    let links = entries.filter_map(|entry| fs::read_link(entry.unwrap().path()).ok());
    links.filter(|link| !link.to_string_lossy().starts_with("pipe:")).count()
}

/// How many of them are sockets of the internet's kind, listeners included: all that the list of the others does not have. The
/// list of their own is no help, as it gives no number for one that has seen both ends (`TIME_WAIT`) and is not closed yet.
fn sockets(id: u32) -> usize {
    let unix = fs::read_to_string(format!("/proc/{id}/net/unix")).unwrap();
    let inodes: Vec<_> = unix.lines().filter_map(|line| line.split_whitespace().nth(6)).collect();
    let entries = fs::read_dir(format!("/proc/{id}/fd")).unwrap();
    let links = entries.filter_map(|entry| fs::read_link(entry.unwrap().path()).ok());
    links
        .filter(|link| {
            let link = link.to_string_lossy();
            link.strip_prefix("socket:[").and_then(|rest| rest.strip_suffix(']')).is_some_and(|i| !inodes.contains(&i))
        })
        .count()
}

/// Waits for what nobody tells: a state that is only in /proc.
pub(crate) fn eventually(what: &str, mut condition: impl FnMut() -> bool) {
    let started = Instant::now();
    while !condition() {
        assert!(started.elapsed() < GUARD, "not within {GUARD:?}: {what}");
        std::thread::park_timeout(Duration::from_millis(5));
    }
}

/// Asks a server about itself on a connection of its own: what a client gets that does nothing wrong.
pub(crate) fn options(addr: SocketAddr) -> u16 {
    let mut stream = dial(addr);
    stream.write_all(b"OPTIONS * HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n").unwrap();
    let head = read_head(&mut stream);
    std::io::copy(&mut stream, &mut std::io::sink()).unwrap();
    head[9..12].parse().unwrap()
}

/// What a well-behaved client gets of an origin through a proxy.
pub(crate) fn get(proxy: &Chaski, origin: SocketAddr) -> String {
    let mut stream = dial(proxy.addr);
    write!(stream, "GET http://{origin}/ HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n").unwrap();
    let mut all = String::new();
    stream.read_to_string(&mut all).unwrap();
    let (head, body) = all.split_once("\r\n\r\n").unwrap();
    assert!(head.starts_with("HTTP/1.1 200 "), "{head}");
    body.to_owned()
}

/// An origin whose connections are each served by a thread, until the test's process ends.
pub(crate) fn origin_of_many(serve: impl Fn(std::net::TcpStream) + Clone + Send + 'static) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let addr = listener.local_addr().unwrap();
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let (stream, serve) = (stream.unwrap(), serve.clone());
            std::thread::spawn(move || serve(stream));
        }
    });
    addr
}

/// An origin that answers whatever it reads with `content`, and closes.
pub(crate) fn steady_origin() -> SocketAddr {
    origin_of_many(|mut stream| {
        // In a flood a client may be gone before its request has come here: what was dialed for it is kept for the next one.
        stream.set_read_timeout(Some(Duration::from_secs(2))).unwrap();
        let _ = stream.read(&mut [0; 4096]);
        let _ = stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 7\r\nconnection: close\r\n\r\ncontent");
    })
}
