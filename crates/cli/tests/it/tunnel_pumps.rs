//! Tunnels whose ends stop and go.

use std::{
    io::{ErrorKind, Read, Write},
    net::{TcpListener, TcpStream},
};

use crate::support::{Chaski, GUARD, dial, tunnel};

/// How much goes each way through each tunnel.
const BYTES: usize = 16 << 20;

/// NET-13, on sockets: a tunnel that was full in a direction goes on as soon as somebody reads, every time.
#[test]
fn net_13_tunnels_that_stop_and_go_never_wedge() {
    let proxy = Chaski::proxy(&[]);
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let target = listener.local_addr().unwrap();
    let tunnels: Vec<_> = (0..8)
        .map(|n| {
            let client = tunnel(&proxy, target);
            let (origin, _) = listener.accept().unwrap();
            origin.set_read_timeout(Some(GUARD)).unwrap();
            std::thread::spawn(move || {
                // Half of the tunnels pump down, the others up; both ends are in one thread, so that it is sure who waits.
                let (from, to) = if n % 2 == 0 { (origin, client) } else { (client, origin) };
                pump(from, to, n)
            })
        })
        .collect();
    let stops: usize = tunnels.into_iter().map(|tunnel| tunnel.join().unwrap()).sum();
    println!("{stops} stops");
    assert!(stops > 8, "the tunnels were hardly ever full: {stops} stops");
    drop(dial(proxy.addr));
}

/// Writes until nothing more is taken, then reads some of it, again and again. How often nothing was taken.
fn pump(mut from: TcpStream, mut to: TcpStream, seed: usize) -> usize {
    from.set_nonblocking(true).unwrap();
    let pattern: Vec<u8> = (0..65_521_u32).map(|n| (n.wrapping_mul(2_654_435_761) >> 24) as u8).collect();
    let (mut written, mut read, mut stops) = (0, 0, 0);
    let mut buffer = vec![0; 65_521];
    let mut share = 1_000 + seed * 7_919;
    while read < BYTES {
        while written < BYTES {
            let at = written % pattern.len();
            match from.write(&pattern[at..pattern.len().min(at + BYTES - written)]) {
                Ok(n) => written += n,
                Err(error) if error.kind() == ErrorKind::WouldBlock => {
                    stops += 1;
                    break;
                }
                Err(error) => panic!("{error} after {written} bytes"),
            }
        }
        // Sometimes a little, sometimes more than the buffers on the way hold together with what follows.
        share = share * 5 % 1_000_003;
        let mut left = share.min(written - read);
        while left > 0 {
            let n =
                to.read(&mut buffer[..left.min(65_521)]).unwrap_or_else(|error| panic!("{error} after {read} bytes"));
            assert_ne!(n, 0, "the tunnel ended after {read} bytes");
            let at = read % pattern.len();
            let (first, rest) = buffer[..n].split_at(n.min(pattern.len() - at));
            assert!(
                *first == pattern[at..at + first.len()] && *rest == pattern[..rest.len()],
                "wrong behind byte {read}"
            );
            read += n;
            left -= n;
        }
    }
    stops
}
