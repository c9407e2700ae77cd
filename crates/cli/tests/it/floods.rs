//! More connections than the limit allows.

use std::{
    io::{Read, Write},
    net::{Shutdown, TcpStream},
    time::Duration,
};

use socket2::SockRef;

use crate::{
    support::{Chaski, dial, read_head},
    vitals::{Vitals, descriptors, eventually, get, options, steady_origin},
};

const ASK: &[u8] = b"OPTIONS * HTTP/1.1\r\nHost: a\r\n\r\n";

fn ask(stream: &mut TcpStream) {
    stream.write_all(ASK).unwrap();
    assert!(read_head(stream).starts_with("HTTP/1.1 200 "));
}

/// Those inside the limit are served while ten times as many wait; those that wait take nothing of the program, and are
/// served when it is their turn.
#[test]
fn those_beyond_the_limit_wait_and_take_nothing() {
    let limit = 60;
    let proxy = Chaski::proxy(&["--max-connections", "60"]);
    let before = Vitals::of(&proxy);
    let mut inside: Vec<_> = (0..limit).map(|_| dial(proxy.addr)).collect();
    inside.iter_mut().for_each(ask);
    let full = descriptors(proxy.id());
    assert_eq!(full, before.descriptors + limit);

    // The kernel completes their handshakes, and keeps what they say.
    let waiting: Vec<_> = (0..10 * limit)
        .map(|n| {
            let mut stream = dial(proxy.addr);
            match n % 3 {
                0 => stream.write_all(ASK).unwrap(),
                1 => stream.write_all(b"OPTIONS").unwrap(),
                _ => {}
            }
            stream
        })
        .collect();
    for _ in 0..3 {
        inside.iter_mut().for_each(ask);
        assert_eq!(descriptors(proxy.id()), full, "the limit does not hold");
    }
    drop(inside);

    // Those that have asked are answered in their turn, if those ahead of them go.
    for (n, mut stream) in waiting.into_iter().enumerate() {
        if n % 3 == 0 {
            assert!(read_head(&mut stream).starts_with("HTTP/1.1 200 "));
        }
    }
    before.descriptors_are_back();
    assert_eq!(options(proxy.addr), 200);
    // A connection that waits to be accepted takes none of it.
    before.peak_is_within(limit, 48);
    let (status, _, stderr) = proxy.stop();
    assert_eq!(status.code(), Some(0), "{stderr}");
}

/// 1,000 requests on as many connections through a limit of 10: all are served.
#[test]
fn every_one_of_a_flood_is_served_in_turn() {
    let proxy = Chaski::proxy(&["--max-connections", "10"]);
    let before = Vitals::of(&proxy);
    let clients: Vec<_> = (0..20)
        .map(|_| {
            let addr = proxy.addr;
            std::thread::spawn(move || {
                let mut streams: Vec<_> = (0..50).map(|_| dial(addr)).collect();
                for stream in &mut streams {
                    stream.write_all(b"OPTIONS * HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n").unwrap();
                }
                for mut stream in streams {
                    let mut answer = String::new();
                    stream.read_to_string(&mut answer).unwrap();
                    assert!(answer.starts_with("HTTP/1.1 200 "), "{answer:?}");
                }
            })
        })
        .collect();
    for client in clients {
        client.join().unwrap();
    }
    before.descriptors_are_back();
    before.peak_is_within(10, 200);
}

/// 6,000 connections that go away at once, in every way there is: nothing of them stays.
#[test]
fn connections_that_close_at_once_leave_nothing() {
    let proxy = Chaski::proxy(&["--max-connections", "100"]);
    let origin = steady_origin();
    let before = Vitals::of(&proxy);
    let flood: Vec<_> = (0..4)
        .map(|_| {
            let addr = proxy.addr;
            std::thread::spawn(move || {
                for n in 0..1500 {
                    leave(dial(addr), n, origin);
                }
            })
        })
        .collect();
    for _ in 0..20 {
        assert_eq!(get(&proxy, origin), "content");
    }
    for thread in flood {
        thread.join().unwrap();
    }
    before.descriptors_are_back();
    assert_eq!(get(&proxy, origin), "content");
    // At most 100 at a time, whatever came.
    before.peak_is_within(100, 64);
    proxy.signal("TERM");
    let (status, _, stderr) = proxy.wait();
    assert_eq!(status.code(), Some(0), "{stderr}");
    assert!(stderr.contains("(0 active") && !stderr.contains("panic") && !stderr.contains("ERROR"), "{stderr}");
}

/// Goes away: with a FIN or a reset, having said nothing, half of something, or all of it.
fn leave(mut stream: TcpStream, n: usize, origin: std::net::SocketAddr) {
    match n / 3 % 4 {
        0 => {}
        1 => stream.write_all(b"GET http://").unwrap(),
        2 => stream.write_all(b"\x16\x03\x01\x02\0\x01\0").unwrap(),
        _ => write!(stream, "GET http://{origin}/ HTTP/1.1\r\nHost: a\r\n\r\n").unwrap(),
    }
    match n % 3 {
        // Without a lingering close the kernel resets the connection.
        0 => SockRef::from(&stream).set_linger(Some(Duration::ZERO)).unwrap(),
        // Only the one half, and whatever comes back is read.
        1 => {
            stream.shutdown(Shutdown::Write).unwrap();
            let _ = std::io::copy(&mut stream, &mut std::io::sink());
        }
        _ => {}
    }
}

/// Silent connections up to the limit keep others waiting until their own limit ends them.
#[test]
fn silent_connections_make_room_at_their_limit() {
    let proxy = Chaski::proxy(&["--max-connections", "50", "--client-timeout", "1s"]);
    let before = Vitals::of(&proxy);
    let silent: Vec<_> = (0..200).map(|_| dial(proxy.addr)).collect();
    eventually("the limit is reached", || descriptors(proxy.id()) == before.descriptors + 50);
    // Behind all of them, and nobody goes away.
    assert_eq!(options(proxy.addr), 200);
    drop(silent);
    before.descriptors_are_back();
    before.peak_is_within(50, 48);
}
