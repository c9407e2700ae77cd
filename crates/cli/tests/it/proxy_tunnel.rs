//! CONNECT.

use std::{
    io::{BufRead, BufReader, Read, Write},
    net::{Shutdown, TcpListener},
    process::Stdio,
};

use crate::support::{Chaski, Nginx, certificate, command, curl, dial, folder, needs, origin, read_head, text, tunnel};

#[test]
fn curl_reaches_nginx_over_tls() {
    needs!("curl_reaches_nginx_over_tls", "curl", "nginx", "openssl");
    let nginx = Nginx::start("tunnel");
    nginx.file("a", b"content");
    let proxy = Chaski::proxy(&[]);
    assert_eq!(text(curl(&proxy, &["--cacert", &nginx.cert(), &nginx.tls_url("/a")])), "content");
}

#[test]
fn curl_reaches_openssls_server() {
    needs!("curl_reaches_openssls_server", "curl", "openssl");
    let folder = folder("s_server");
    let (cert, key) = certificate(&folder);
    let mut server = command("openssl")
        .args(["s_server", "-accept", "127.0.0.1:0", "-www", "-cert"])
        .arg(&cert)
        .arg("-key")
        .arg(&key)
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(server.stdout.take().unwrap()).lines();
    let port = lines
        .find_map(|line| line.unwrap().strip_prefix("ACCEPT 127.0.0.1:").map(str::to_owned))
        .expect("the port that openssl listens on");
    let proxy = Chaski::proxy(&[]);
    let page = text(curl(&proxy, &["--cacert", cert.to_str().unwrap(), &format!("https://localhost:{port}/")]));
    let _ = server.kill();
    let _ = server.wait();
    assert!(page.contains("TLSv1.3"), "{page}");
}

/// NET-06: the client ends its side, and gets the full late answer. Waits: SOCKS5.
#[test]
fn net_06_half_close_goes_through_a_tunnel() {
    let answer: Vec<u8> = (0..1_000_000_u32).map(|n| (n % 251) as u8).collect();
    let expected = answer.clone();
    let (addr, origin) = origin(move |mut stream| {
        let mut request = Vec::new();
        // Ends only when the client's FIN has come through.
        stream.read_to_end(&mut request).unwrap();
        stream.write_all(&answer).unwrap();
        request
    });
    let proxy = Chaski::proxy(&[]);
    let mut client = tunnel(&proxy, addr);
    client.write_all(b"question").unwrap();
    client.shutdown(Shutdown::Write).unwrap();
    let mut got = Vec::new();
    client.read_to_end(&mut got).unwrap();
    assert!(got == expected, "{} bytes", got.len());
    assert_eq!(origin.join().unwrap(), b"question");
}

/// H1-14: bytes in the same segment as the CONNECT head belong to the tunnel.
#[test]
fn h1_14_early_bytes_are_kept() {
    let (addr, origin) = origin(|mut stream| {
        let mut early = [0; 5];
        stream.read_exact(&mut early).unwrap();
        stream.write_all(b"late").unwrap();
        early
    });
    let proxy = Chaski::proxy(&[]);
    let mut client = dial(proxy.addr);
    write!(client, "CONNECT {addr} HTTP/1.1\r\nHost: {addr}\r\n\r\nearly").unwrap();
    assert!(read_head(&mut client).starts_with("HTTP/1.1 200 "));
    let mut late = [0; 4];
    client.read_exact(&mut late).unwrap();
    assert_eq!((&origin.join().unwrap(), &late), (b"early", b"late"));
}

/// H1-25: the target is dialed before 200 is said; who cannot be reached is a 502; 2xx has neither length nor coding.
#[test]
fn h1_25_the_answer_comes_after_the_dial() {
    let proxy = Chaski::proxy(&[]);
    // Nobody listens: bound, not listening.
    let refused = {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        listener.local_addr().unwrap()
    };
    let mut client = dial(proxy.addr);
    write!(client, "CONNECT {refused} HTTP/1.1\r\nHost: {refused}\r\n\r\n").unwrap();
    let head = read_head(&mut client);
    assert!(head.starts_with("HTTP/1.1 502 "), "{head}");
    assert!(head.contains("content-length: "), "{head}");

    let (addr, origin) = origin(|_| ());
    let mut client = dial(proxy.addr);
    write!(client, "CONNECT {addr} HTTP/1.1\r\nHost: {addr}\r\n\r\n").unwrap();
    let head = read_head(&mut client).to_lowercase();
    assert!(head.starts_with("http/1.1 200 "), "{head}");
    assert!(!head.contains("content-length") && !head.contains("transfer-encoding"), "{head}");
    origin.join().unwrap();
}

/// H1-25: a target that does not answer in time is a 504.
#[test]
fn h1_25_a_dial_that_takes_too_long_is_a_504() {
    // A backlog of one that is full: further SYNs are dropped, so a connect neither succeeds nor fails.
    let socket = socket2::Socket::new(socket2::Domain::IPV4, socket2::Type::STREAM, None).unwrap();
    socket.bind(&std::net::SocketAddr::from(([127, 0, 0, 1], 0)).into()).unwrap();
    socket.listen(0).unwrap();
    let addr = socket.local_addr().unwrap().as_socket().unwrap();
    let mut held = Vec::new();
    while let Ok(stream) = std::net::TcpStream::connect_timeout(&addr, std::time::Duration::from_millis(300)) {
        held.push(stream);
        assert!(held.len() < 10, "the backlog does not fill");
    }
    let proxy = Chaski::proxy(&["--connect-timeout", "200ms"]);
    let mut client = dial(proxy.addr);
    write!(client, "CONNECT {addr} HTTP/1.1\r\nHost: {addr}\r\n\r\n").unwrap();
    let head = read_head(&mut client);
    assert!(head.starts_with("HTTP/1.1 504 "), "{head}");
}

#[test]
fn the_access_log_tells_of_requests_and_tunnels() {
    needs!("the_access_log_tells_of_requests_and_tunnels", "curl", "nginx", "openssl");
    let nginx = Nginx::start("log");
    nginx.file("a", b"content");
    let proxy = Chaski::proxy(&["--user", "ana:secret"]);
    text(curl(&proxy, &["-U", "ana:secret", &nginx.url("/a")]));
    text(curl(&proxy, &["-U", "ana:secret", "--cacert", &nginx.cert(), &nginx.tls_url("/a")]));
    let (status, log, _) = proxy.stop();
    assert_eq!(status.code(), Some(0));
    let line = |part: &str| log.lines().find(|line| line.contains(part)).unwrap_or_else(|| panic!("{part}: {log}"));
    for part in ["method=GET", "method=CONNECT"] {
        let line = line(part);
        for field in ["peer=127.0.0.1:", "user=\"ana\"", "status=200", "outcome=ok"] {
            assert!(line.contains(field), "{field}: {line}");
        }
    }
    assert!(!log.contains("secret"), "{log}");
}

/// H1-25: a client that does not wait for its tunnel has sent what others gave it; behind a refusal none of it is a request
/// of that client (RFC 9931).
#[test]
fn what_follows_a_refused_connect_is_no_request() {
    let proxy = Chaski::proxy(&["--user", "ana:secret"]);
    let auth = "Proxy-Authorization: Basic YW5hOnNlY3JldA==\r\n";
    // Port 1 of loopback: nobody listens there. Without credentials it is not even tried.
    for (auth, status) in [(auth, "502"), ("", "407")] {
        let mut client = dial(proxy.addr);
        let smuggled = "OPTIONS * HTTP/1.1\r\nHost: a\r\n\r\n";
        write!(client, "CONNECT 127.0.0.1:1 HTTP/1.1\r\nHost: a\r\n{auth}\r\n{smuggled}").unwrap();
        let mut all = String::new();
        client.read_to_string(&mut all).unwrap();
        assert!(all.starts_with(&format!("HTTP/1.1 {status} ")), "{all}");
        assert_eq!(all.matches("HTTP/1.1 ").count(), 1, "{all}");
    }
}
