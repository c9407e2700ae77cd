//! Clients that are slow on purpose, by the hundreds: each costs a bounded amount of memory, others are served meanwhile, and
//! the limits of time end them.
//!
//! The bounds are for a build without optimisation; what a connection takes of them is said beside each.

use std::{
    io::{Read, Write},
    net::TcpStream,
    sync::mpsc,
    time::Instant,
};

use crate::{
    support::{Chaski, GUARD, dial, read_head, tunnel},
    vitals::{Vitals, get, origin_of_many, steady_origin},
};

/// How many slow clients of a kind there are.
const CROWD: usize = 200;

/// What a client may take that never reads, in KiB: 64 that wait to be written, a read buffer on either side, of which each
/// can have grown to 64, and 64 for both connections themselves in this build. Allocators keep a little more than is asked of them.
const FULL: u64 = 64 + 2 * 64 + 64;

/// A head whose last line never ends.
const HALF_A_HEAD: &[u8] =
    b"GET http://origin.example/a HTTP/1.1\r\nHost: origin.example\r\nX-Slow: aaaaaaaaaaaaaaaaaaaa";

/// Each client gets the next byte in turn, as if they drew breath together.
fn drip(clients: &mut [TcpStream], bytes: &[u8]) {
    for byte in bytes {
        for client in &mut *clients {
            client.write_all(&[*byte]).unwrap();
        }
    }
}

fn crowd(proxy: &Chaski) -> Vec<TcpStream> {
    let dial = |_| {
        let stream = dial(proxy.addr);
        stream.set_nodelay(true).unwrap();
        stream
    };
    (0..CROWD).map(dial).collect()
}

/// Every client is told that it took too long, and its connection closed.
fn are_told_408(clients: Vec<TcpStream>) {
    for mut client in clients {
        let mut answer = String::new();
        client.read_to_string(&mut answer).unwrap();
        assert!(answer.starts_with("HTTP/1.1 408 "), "{answer:?}");
    }
}

fn stops_well(proxy: Chaski) {
    let (status, _, stderr) = proxy.stop();
    assert_eq!(status.code(), Some(0), "{stderr}");
    assert!(!stderr.contains("panic") && !stderr.contains("ERROR"), "{stderr}");
}

/// H1-06: heads that drip end at their limit, however steadily the bytes come.
#[test]
fn h1_06_dripped_heads_take_little_and_end() {
    let proxy = Chaski::proxy(&["--client-timeout", "6s"]);
    let origin = steady_origin();
    let before = Vitals::of(&proxy);
    let mut clients = crowd(&proxy);
    drip(&mut clients, HALF_A_HEAD);
    // A byte at a time until the first of them is told, and no pause between.
    clients[0].set_nonblocking(true).unwrap();
    let begun = Instant::now();
    while clients[0].peek(&mut [0; 1]).is_err() {
        assert!(begun.elapsed() < GUARD, "no limit ends a head that drips");
        assert_eq!(get(&proxy, origin), "content");
        drip(&mut clients, b"a");
    }
    clients[0].set_nonblocking(false).unwrap();
    are_told_408(clients);
    before.descriptors_are_back();
    // A read buffer of 8 KiB and what a connection takes itself.
    before.peak_is_within(CROWD, 32);
    stops_well(proxy);
}

/// H1-06: the same with heads near to their limit of 64 KiB.
#[test]
fn h1_06_large_heads_that_never_end_take_what_a_head_may() {
    let proxy = Chaski::proxy(&["--client-timeout", "6s"]);
    let origin = steady_origin();
    let before = Vitals::of(&proxy);
    let mut clients = crowd(&proxy);
    let filling = [b'a'; 60 * 1024];
    for client in &mut clients {
        client.write_all(HALF_A_HEAD).unwrap();
        client.write_all(&filling).unwrap();
    }
    drip(&mut clients, &[b'b'; 64]);
    assert_eq!(get(&proxy, origin), "content");
    are_told_408(clients);
    before.descriptors_are_back();
    // A buffer that has grown to hold the head by doubling, while the one before is still there.
    before.peak_is_within(CROWD, 192);
    stops_well(proxy);
}

/// H1-05, under load: a byte behind 60 KiB of a head costs what a byte behind none does.
#[test]
fn h1_05_a_byte_of_a_long_head_costs_what_one_of_a_short_head_does() {
    // On one thread what arrived first is read first.
    let echo = Chaski::start(&["serve", "echo", "--bind", "127.0.0.1:0", "--threads", "1"]);
    let mut watch = dial(echo.addr);
    // What the server takes for heads with so many lines, of which the last one comes in so many pieces of a byte.
    let mut cost = |lines: usize, dripped: usize| {
        let before = echo.ticks();
        let mut clients = crowd(&echo);
        let line = format!("X-Long: {}\r\n", "a".repeat(640));
        for client in &mut clients {
            write!(client, "GET / HTTP/1.1\r\nHost: a\r\n{}X-Slow: ", line.repeat(lines)).unwrap();
        }
        for _ in 0..dripped {
            drip(&mut clients, b"b");
            // Answered when all of these bytes were read, one by one.
            watch.write_all(b"GET / HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\n\r\n").unwrap();
            let head = read_head(&mut watch);
            let (_, length) = head.split_once("content-length: ").unwrap();
            let length = length.split_once('\r').unwrap().0.parse().unwrap();
            watch.read_exact(&mut vec![0; length]).unwrap();
        }
        // A control character, which has no place in a head: the answer is short.
        for mut client in clients {
            client.write_all(b"\0\r\n\r\n").unwrap();
            assert!(read_head(&mut client).starts_with("HTTP/1.1 400 "));
        }
        echo.ticks() - before
    };
    let (short, long) = (cost(1, 200), cost(92, 200));
    // What a long head costs that does not drip.
    let whole = cost(92, 0);
    println!("200 bytes of {CROWD} clients: {short} ticks behind nothing, {long} behind 60 KiB, those alone {whole}");
    assert!(long < short * 2 + whole, "{short}, {long}, {whole} ticks");
}

/// Bodies that drip, with a length and chunked, and then come no further.
#[test]
fn dripped_bodies_take_little_and_end() {
    let proxy = Chaski::proxy(&["--client-timeout", "3s"]);
    let steady = steady_origin();
    let (arrived, arrivals) = mpsc::channel();
    let (ended, ends) = mpsc::channel();
    let origin = origin_of_many(move |mut stream| {
        read_head(&mut stream);
        arrived.send(()).unwrap();
        let got = std::io::copy(&mut stream, &mut std::io::sink());
        ended.send(got.unwrap_or_default()).unwrap();
    });
    let before = Vitals::of(&proxy);
    let mut clients = crowd(&proxy);
    let (sized, chunked) = clients.split_at_mut(CROWD / 2);
    for client in &mut *sized {
        write!(client, "POST http://{origin}/ HTTP/1.1\r\nHost: a\r\nContent-Length: 1000000\r\n\r\n").unwrap();
    }
    for client in &mut *chunked {
        write!(client, "POST http://{origin}/ HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n").unwrap();
    }
    for _ in 0..50 {
        drip(sized, b"x");
        drip(chunked, b"1\r\nx\r\n");
    }
    for _ in 0..CROWD {
        arrivals.recv_timeout(GUARD).unwrap();
    }
    assert_eq!(get(&proxy, steady), "content");
    are_told_408(clients);
    for _ in 0..CROWD {
        assert!(ends.recv_timeout(GUARD).unwrap() >= 50, "an origin got less than was sent");
    }
    before.descriptors_are_back();
    // Two connections each, with a read buffer of 8 KiB on the client's side.
    before.peak_is_within(CROWD, 64);
    stops_well(proxy);
}

/// Writes until the connection is closed by the other side.
fn write_without_end(mut stream: TcpStream, bytes: &[u8]) {
    while stream.write_all(bytes).is_ok() {}
}

/// An answer without end that nobody reads: the origin is held back, not stored.
#[test]
fn clients_that_never_read_take_little_and_end() {
    let proxy = Chaski::proxy(&["--client-timeout", "3s"]);
    let steady = steady_origin();
    let (ended, ends) = mpsc::channel();
    let origin = origin_of_many(move |mut stream| {
        read_head(&mut stream);
        stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 1000000000000\r\n\r\n").unwrap();
        write_without_end(stream, &[b'x'; 65536]);
        ended.send(()).unwrap();
    });
    let before = Vitals::of(&proxy);
    let mut clients = crowd(&proxy);
    for client in &mut clients {
        write!(client, "GET http://{origin}/ HTTP/1.1\r\nHost: a\r\n\r\n").unwrap();
    }
    assert_eq!(get(&proxy, steady), "content");
    for _ in 0..CROWD {
        ends.recv_timeout(GUARD).unwrap();
    }
    before.descriptors_are_back();
    drop(clients);
    before.peak_is_within(CROWD, FULL);
    stops_well(proxy);
}

/// Requests without end whose answers nobody reads: no more of them are taken.
#[test]
fn clients_that_only_ask_take_little_and_end() {
    let proxy = Chaski::proxy(&["--client-timeout", "3s"]);
    let steady = steady_origin();
    let origin = origin_of_many(|mut stream| {
        read_head(&mut stream);
        let _ = stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 131072\r\nconnection: close\r\n\r\n");
        let _ = stream.write_all(&[b'x'; 131_072]);
    });
    let before = Vitals::of(&proxy);
    let asking: Vec<_> = crowd(&proxy)
        .into_iter()
        .map(|client| {
            let requests = format!("GET http://{origin}/ HTTP/1.1\r\nHost: a\r\n\r\n").repeat(500);
            std::thread::spawn(move || write_without_end(client, requests.as_bytes()))
        })
        .collect();
    assert_eq!(get(&proxy, steady), "content");
    for client in asking {
        client.join().unwrap();
    }
    before.descriptors_are_back();
    before.peak_is_within(CROWD, FULL);
    stops_well(proxy);
}

/// Tunnels of which one end writes without end and the other never reads, half of them each way.
#[test]
fn tunnels_that_never_read_take_their_buffers_and_end() {
    let proxy = Chaski::proxy(&["--idle-timeout", "3s"]);
    let steady = steady_origin();
    let (ended, ends) = mpsc::channel();
    let ended_up = ended.clone();
    let floods = origin_of_many(move |stream| {
        write_without_end(stream, &[b'x'; 65536]);
        ended.send(()).unwrap();
    });
    let silent = origin_of_many(move |stream| {
        // Reads nothing until the proxy has given up, which the client below tells.
        std::thread::park_timeout(GUARD);
        drop(stream);
    });
    let before = Vitals::of(&proxy);
    let held: Vec<_> = (0..CROWD / 2).map(|_| tunnel(&proxy, floods)).collect();
    for _ in 0..CROWD / 2 {
        let (stream, ended) = (tunnel(&proxy, silent), ended_up.clone());
        std::thread::spawn(move || {
            write_without_end(stream, &[b'x'; 65536]);
            ended.send(()).unwrap();
        });
    }
    assert_eq!(get(&proxy, steady), "content");
    for _ in 0..CROWD {
        ends.recv_timeout(GUARD).unwrap();
    }
    before.descriptors_are_back();
    drop(held);
    // A relay's buffer of 256 KiB in the direction that moves, where it does not splice, while the one before it of 64 KiB may
    // still be there, and the tunnel itself. What is in a pipe is the kernel's, and its memory not the program's.
    before.peak_is_within(CROWD, 256 + 64 + 64);
    stops_well(proxy);
}
