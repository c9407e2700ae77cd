use std::{
    io::{Read, Write},
    net,
    os::fd::AsRawFd,
};

use super::*;

/// The two ends of a loopback connection that has room for `bytes` and more.
async fn tcp() -> (net::TcpStream, TcpStream) {
    let listener = net::TcpListener::bind("127.0.0.1:0").unwrap();
    let far = net::TcpStream::connect(listener.local_addr().unwrap()).unwrap();
    let (near, _) = listener.accept().unwrap();
    near.set_nonblocking(true).unwrap();
    (far, TcpStream::from_std(near).unwrap())
}

/// A new pipe with `text` in it.
async fn holding(text: &[u8]) -> Pipe {
    let (mut far, near) = tcp().await;
    far.write_all(text).unwrap();
    let mut pipe = Pipe::open(CAPACITY, MAX).unwrap();
    near.readable().await.unwrap();
    assert_eq!(pipe.fill(&near).unwrap(), text.len());
    pipe
}

#[tokio::test]
async fn bytes_go_in_and_come_out() {
    let mut pipe = holding(b"hello").await;
    assert!(!pipe.is_empty());
    let (mut far, near) = tcp().await;
    assert_eq!(pipe.drain(&near).unwrap(), 5);
    assert!(pipe.is_empty());
    let mut got = [0; 5];
    far.read_exact(&mut got).unwrap();
    assert_eq!(&got, b"hello");
    drop(far);
    near.readable().await.unwrap();
    assert_eq!(pipe.fill(&near).unwrap(), 0, "the end");
}

#[tokio::test]
async fn an_empty_pipe_is_lent_again_and_one_with_bytes_never() {
    let kept = Pipe::open(CAPACITY, MAX).unwrap();
    let number = kept.out.as_raw_fd();
    kept.give_back();
    let again = Pipe::take().unwrap();
    assert_eq!(again.out.as_raw_fd(), number);

    let full = holding(b"of another tunnel").await;
    full.give_back();
    assert!(POOL.with_borrow(Vec::is_empty));
}

#[test]
fn a_thread_keeps_a_few() {
    let pipes: Vec<_> = (0..KEPT + 3).map(|_| Pipe::open(CAPACITY, MAX).unwrap()).collect();
    pipes.into_iter().for_each(Pipe::give_back);
    assert_eq!(POOL.with_borrow(Vec::len), 4);
}

/// The number is that of the whole process, in which other tests run: so none is open only for a limit of none.
#[test]
fn there_are_no_more_than_the_limit() {
    assert!(Pipe::open(CAPACITY, 0).is_none());
    let before = OPEN.load(Relaxed);
    let pipe = Pipe::open(CAPACITY, MAX).unwrap();
    assert!(Pipe::open(CAPACITY, 1).is_none());
    drop(pipe);
    assert!(OPEN.load(Relaxed) < before + MAX);
    assert!(affordable() > 0);
}

/// Where the size is refused (for want of privileges, once many pages are in use), the system's own has to do.
#[test]
fn a_refused_size_is_made_do_without() {
    // More than any pipe can have, for whoever asks.
    let pipe = Pipe::open(1 << 40, MAX).unwrap();
    assert_eq!(pipe.capacity, 64 * 1024);
    // And with one that is too small there is none.
    assert!(Pipe::open(4_096, MAX).is_none());
}

#[test]
fn the_signal_of_a_broken_pipe_is_found() {
    // Lines of a Rust program, of a Python program with the signal's default set back, and of one that catches it.
    for (ignored, caught, expected) in [
        ("0000000000001000", "0000000100000440", true),
        ("0000000001000000", "0000000000000002", false),
        ("0000000000000000", "0000000000001002", true),
        ("0000000000002800", "0000000000000800", false),
    ] {
        let status = format!(
            "Name:\tchaski\nSigQ:\t0/96365\nSigPnd:\t0000000000000000\nShdPnd:\t0000000000001000\nSigBlk:\t0000000000001000\n\
             SigIgn:\t{ignored}\nSigCgt:\t{caught}\nCapInh:\t0000000000001000\n"
        );
        assert_eq!(names_sigpipe(&status), expected, "{ignored} {caught}");
    }
    assert!(!names_sigpipe(""));
    assert!(survives_a_broken_pipe(), "as every Rust program does unless it asks for the signal");
}
