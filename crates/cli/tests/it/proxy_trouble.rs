//! Plugs pulled half-way.

use std::{
    io::{Read, Write},
    net::Shutdown,
};

use crate::support::{Chaski, GUARD, Nginx, curl, dial, needs, origin, read_head, text};

#[test]
fn an_origin_killed_in_the_middle_of_a_body_is_told_to_the_client() {
    needs!("an_origin_killed_in_the_middle_of_a_body_is_told_to_the_client", "curl", "nginx", "openssl");
    let mut nginx = Nginx::start("killed");
    nginx.file("body", &vec![b'x'; 4_000_000]);
    let proxy = Chaski::proxy(&[]);
    let mut client = dial(proxy.addr);
    write!(client, "GET {} HTTP/1.1\r\nHost: a\r\n\r\n", nginx.url("/slow/body")).unwrap();
    assert!(read_head(&mut client).contains("content-length: 4000000\r\n"));
    let mut first = [0; 1000];
    client.read_exact(&mut first).unwrap();
    nginx.kill();
    let mut rest = Vec::new();
    let ended = client.read_to_end(&mut rest);
    assert!(ended.is_err() || rest.len() < 3_999_000, "the truncated body looks complete");

    // The proxy lives on, and says what is wrong.
    let answer = text(curl(&proxy, &["-i", &nginx.url("/body")]));
    assert!(answer.starts_with("HTTP/1.1 502 "), "{answer}");
}

#[test]
fn a_chunked_body_that_breaks_off_gets_no_last_chunk() {
    let (addr, origin) = origin(|mut stream| {
        read_head(&mut stream);
        stream.write_all(b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n5\r\nhello\r\n").unwrap();
    });
    let proxy = Chaski::proxy(&[]);
    let mut client = dial(proxy.addr);
    write!(client, "GET http://{addr}/ HTTP/1.1\r\nHost: {addr}\r\n\r\n").unwrap();
    read_head(&mut client);
    let mut rest = Vec::new();
    let _ = client.read_to_end(&mut rest);
    let rest = String::from_utf8_lossy(&rest);
    assert!(rest.contains("hello") && !rest.ends_with("0\r\n\r\n"), "{rest:?}");
    origin.join().unwrap();
}

/// H1-28: the client goes away in the middle of a body, and the origin sees its connection closed.
#[test]
fn h1_28_a_client_that_goes_away_is_felt_by_the_origin() {
    let (addr, origin) = origin(|mut stream| {
        read_head(&mut stream);
        stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 1000000000\r\n\r\n").unwrap();
        let piece = vec![b'x'; 64 * 1024];
        let mut sent = 0_u64;
        while stream.write_all(&piece).is_ok() {
            sent += piece.len() as u64;
        }
        sent
    });
    let proxy = Chaski::proxy(&[]);
    let mut client = dial(proxy.addr);
    write!(client, "GET http://{addr}/ HTTP/1.1\r\nHost: {addr}\r\n\r\n").unwrap();
    read_head(&mut client);
    client.read_exact(&mut [0; 10_000]).unwrap();
    drop(client);
    assert!(origin.join().unwrap() < 1_000_000_000);
}

/// H1-28: the client goes away before there is an answer.
#[test]
fn h1_28_a_client_that_does_not_wait_aborts_its_request() {
    let (arrived, has_arrived) = std::sync::mpsc::channel();
    let (addr, origin) = origin(move |mut stream| {
        read_head(&mut stream);
        arrived.send(()).unwrap();
        // Nothing is answered: what comes next is the end.
        stream.read(&mut [0; 1])
    });
    let proxy = Chaski::proxy(&[]);
    let mut client = dial(proxy.addr);
    write!(client, "GET http://{addr}/ HTTP/1.1\r\nHost: {addr}\r\n\r\n").unwrap();
    has_arrived.recv_timeout(GUARD).unwrap();
    drop(client);
    assert!(matches!(origin.join().unwrap(), Ok(0) | Err(_)));
}

/// H1-27: an origin answers in the middle of an upload and the answer arrives.
#[test]
fn h1_27_an_early_answer_reaches_a_client_that_still_uploads() {
    let (addr, origin) = origin(|mut stream| {
        read_head(&mut stream);
        stream.read_exact(&mut [0; 1000]).unwrap();
        stream
            .write_all(b"HTTP/1.1 413 Content Too Large\r\ncontent-length: 4\r\nconnection: close\r\n\r\nstop")
            .unwrap();
        // Only a client that goes on sending after the answer would be cut here.
        let _ = stream.shutdown(Shutdown::Write);
        let _ = std::io::copy(&mut stream, &mut std::io::sink());
    });
    let proxy = Chaski::proxy(&[]);
    let mut client = dial(proxy.addr);
    write!(client, "POST http://{addr}/ HTTP/1.1\r\nHost: {addr}\r\nContent-Length: 100000000\r\n\r\n").unwrap();
    client.write_all(&[b'x'; 2000]).unwrap();
    let head = read_head(&mut client);
    assert!(head.starts_with("HTTP/1.1 413 ") && head.contains("connection: close\r\n"), "{head}");
    let mut body = [0; 4];
    client.read_exact(&mut body).unwrap();
    assert_eq!(&body, b"stop");
    drop(client);
    origin.join().unwrap();
}

/// H1-23: an origin rejects without having the body sent; the client gets that at once, no 100 before it, and the upload is
/// not begun.
#[test]
fn h1_23_a_rejection_passes_without_the_body() {
    let (addr, origin) = origin(|mut stream| {
        read_head(&mut stream);
        stream.write_all(b"HTTP/1.1 401 Unauthorized\r\ncontent-length: 2\r\n\r\nno").unwrap();
        // What comes next is the end: the body was never sent.
        stream.read(&mut [0; 1])
    });
    let proxy = Chaski::proxy(&[]);
    let mut client = dial(proxy.addr);
    let expect = "Expect: 100-continue\r\nContent-Length: 5";
    write!(client, "PUT http://{addr}/ HTTP/1.1\r\nHost: {addr}\r\n{expect}\r\n\r\n").unwrap();
    let head = read_head(&mut client);
    assert!(head.starts_with("HTTP/1.1 401 ") && head.contains("connection: close\r\n"), "{head}");
    let mut rest = String::new();
    client.read_to_string(&mut rest).unwrap();
    assert_eq!(rest, "no");
    assert!(matches!(origin.join().unwrap(), Ok(0) | Err(_)));
}

#[test]
fn an_origin_that_never_answers_is_a_504() {
    let (addr, origin) = origin(|mut stream| {
        read_head(&mut stream);
        stream.read(&mut [0; 1])
    });
    let proxy = Chaski::proxy(&["--idle-timeout", "300ms"]);
    let mut client = dial(proxy.addr);
    write!(client, "GET http://{addr}/ HTTP/1.1\r\nHost: {addr}\r\n\r\n").unwrap();
    let head = read_head(&mut client);
    assert!(head.starts_with("HTTP/1.1 504 "), "{head}");
    assert!(matches!(origin.join().unwrap(), Ok(0) | Err(_)));
}

#[test]
fn rubbish_from_an_origin_is_a_502() {
    for rubbish in
        ["SSH-2.0-OpenSSH_9.2\r\n", "HTTP/1.1 200 OK\r\ncontent-length: 1\r\ncontent-length: 2\r\n\r\nxx", ""]
    {
        let (addr, origin) = origin(move |mut stream| {
            read_head(&mut stream);
            stream.write_all(rubbish.as_bytes()).unwrap();
        });
        let proxy = Chaski::proxy(&[]);
        let mut client = dial(proxy.addr);
        write!(client, "GET http://{addr}/ HTTP/1.1\r\nHost: {addr}\r\n\r\n").unwrap();
        let head = read_head(&mut client);
        assert!(head.starts_with("HTTP/1.1 502 "), "{rubbish:?}: {head}");
        origin.join().unwrap();
    }
}

/// A body that nobody can read is the client's mistake, not the origin's: monitoring that counts 5xx blames no server.
#[test]
fn a_malformed_upload_is_a_400() {
    for body in ["zz\r\n", "5\nhello\n0\n\n", "5\r\nhelloX"] {
        let (addr, origin) = origin(|mut stream| {
            let mut all = Vec::new();
            let _ = stream.read_to_end(&mut all);
            all
        });
        let proxy = Chaski::proxy(&[]);
        let mut client = dial(proxy.addr);
        write!(client, "POST http://{addr}/ HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n{body}").unwrap();
        let head = read_head(&mut client);
        assert!(head.starts_with("HTTP/1.1 400 ") && head.contains("connection: close"), "{body:?}: {head}");
        // A connection on which nothing was sent may be kept for the next request.
        drop(proxy);
        // The origin must not take what it got for a whole request.
        let got = origin.join().unwrap();
        assert!(!got.ends_with(b"0\r\n\r\n"), "{}", String::from_utf8_lossy(&got));
    }
}
