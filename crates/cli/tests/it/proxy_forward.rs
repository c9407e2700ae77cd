//! Requests in absolute-form, by real clients to a real origin.

use std::{
    fs,
    io::{Read, Write},
};

use crate::support::{Chaski, Nginx, command, curl, dial, needs, origin, read_head, text};

#[test]
fn curl_gets_posts_and_asks_for_ranges() {
    needs!("curl_gets_posts_and_asks_for_ranges", "curl", "nginx", "openssl");
    let nginx = Nginx::start("forward");
    nginx.file("digits", b"0123456789");
    let proxy = Chaski::proxy(&[]);

    assert_eq!(text(curl(&proxy, &[&nginx.url("/digits")])), "0123456789");
    let head = text(curl(&proxy, &["-I", &nginx.url("/digits")])).to_lowercase();
    assert!(head.contains("content-length: 10\r\n"), "{head}");
    assert_eq!(text(curl(&proxy, &["-r", "2-4", &nginx.url("/digits")])), "234");
    let missing = text(curl(&proxy, &["-o", "/dev/null", "-w", "%{http_code}", &nginx.url("/none")]));
    assert_eq!(missing, "404");
    // One connection to the proxy serves both, and so does one from the proxy to the origin.
    let both = text(curl(&proxy, &[&nginx.url("/digits"), &nginx.url("/digits"), "-w", "%{num_connects}"]));
    assert_eq!(both, "0123456789101234567890");
}

#[test]
fn uploads_go_with_a_length_and_in_chunks() {
    needs!("uploads_go_with_a_length_and_in_chunks", "curl", "nginx", "openssl");
    let nginx = Nginx::start("upload");
    let proxy = Chaski::proxy(&[]);
    let file = nginx.folder.join("body");
    fs::write(&file, vec![b'x'; 3_000_000]).unwrap();
    let data = format!("@{}", file.display());
    // nginx reads the whole body and tells how long it was.
    let seen = text(curl(&proxy, &["--data-binary", &data, &nginx.url("/upload")]));
    assert_eq!(seen, "POST 3000000 \n");
    let chunked = ["-H", "Transfer-Encoding: chunked", "--data-binary", &data];
    assert_eq!(text(curl(&proxy, &[&chunked[..], &[&nginx.url("/upload")]].concat())), "POST 3000000 \n");
    assert_eq!(text(curl(&proxy, &["-T", &file.display().to_string(), &nginx.url("/upload")])), "PUT 3000000 \n");
}

#[test]
fn expect_100_continue_is_honoured() {
    needs!("expect_100_continue_is_honoured", "curl", "nginx", "openssl");
    let nginx = Nginx::start("expect");
    let proxy = Chaski::proxy(&[]);
    // curl would wait for 40 s: it gets its 100 from the proxy, which has it from the origin.
    let expect = ["-v", "-H", "Expect: 100-continue", "--expect100-timeout", "40", "--max-time", "30"];
    let output = curl(&proxy, &[&expect[..], &["-d", "hello", &nginx.url("/upload")]].concat());
    let verbose = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(text(output), "POST 5 \n");
    assert!(verbose.contains("< HTTP/1.1 100 Continue"), "{verbose}");
}

#[test]
fn python_goes_through_the_proxy() {
    needs!("python_goes_through_the_proxy", "python3", "nginx", "openssl");
    let nginx = Nginx::start("python");
    nginx.file("a", b"content");
    let proxy = Chaski::proxy(&["--user", "ana:secret"]);
    let script = format!(
        "import ssl, urllib.request as u\n\
         proxy = 'http://ana:secret@{}'\n\
         context = ssl.create_default_context(cafile='{}')\n\
         opener = u.build_opener(u.ProxyHandler({{'http': proxy, 'https': proxy}}), u.HTTPSHandler(context=context))\n\
         for url in ('{}', '{}'):\n    print(opener.open(url, timeout=30).read().decode())\n\
         print(opener.open(u.Request('{}', data=b'x' * 100000), timeout=30).read().decode())\n",
        proxy.addr,
        nginx.cert(),
        nginx.url("/a"),
        nginx.tls_url("/a"),
        nginx.url("/upload"),
    );
    let output = text(command("python3").args(["-c", &script]).output().unwrap());
    assert_eq!(output, "content\ncontent\nPOST 100000 \n\n");
}

/// H1-20: over the wire, in both directions.
#[test]
fn h1_20_fields_of_one_hop_stay_on_it() {
    let (addr, seen) = origin(|mut stream| {
        let head = read_head(&mut stream);
        stream
            .write_all(
                b"HTTP/1.1 200 OK\r\nconnection: x-hop\r\nx-hop: 1\r\nkeep-alive: timeout=9\r\nx-end: 2\r\n\
                  content-length: 2\r\n\r\nok",
            )
            .unwrap();
        head
    });
    let proxy = Chaski::proxy(&[]);
    let mut client = dial(proxy.addr);
    write!(
        client,
        "GET http://{addr}/a?b HTTP/1.1\r\nHost: elsewhere.example\r\nConnection: close, X-Secret\r\nX-Secret: 1\r\n\
         Proxy-Connection: keep-alive\r\nTE: trailers\r\nX-End: 3\r\n\r\n"
    )
    .unwrap();
    let answer = read_head(&mut client);
    let seen = seen.join().unwrap();
    assert!(seen.starts_with("GET /a?b HTTP/1.1\r\n"), "{seen}");
    assert!(seen.contains(&format!("host: {addr}\r\n")), "{seen}");
    assert!(seen.contains("x-end: 3\r\n"), "{seen}");
    for gone in ["x-secret", "proxy-connection", "elsewhere.example"] {
        assert!(!seen.contains(gone), "{gone} in {seen}");
    }
    assert!(answer.starts_with("HTTP/1.1 200 OK\r\n") && answer.contains("x-end: 2\r\n"), "{answer}");
    for gone in ["x-hop", "keep-alive"] {
        assert!(!answer.contains(gone), "{gone} in {answer}");
    }
}

/// H1-22: 100, 103, 103, 200 from an origin; the unknown 142 too.
#[test]
fn h1_22_informational_responses_are_forwarded() {
    let (addr, origin) = origin(|mut stream| {
        read_head(&mut stream);
        for head in ["100 Continue", "103 Early Hints\r\nlink: </a>", "103 Early Hints\r\nlink: </b>", "142 What"] {
            write!(stream, "HTTP/1.1 {head}\r\n\r\n").unwrap();
        }
        stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok").unwrap();
    });
    let proxy = Chaski::proxy(&[]);
    let mut client = dial(proxy.addr);
    write!(client, "GET http://{addr}/ HTTP/1.1\r\nHost: {addr}\r\n\r\n").unwrap();
    for (status, link) in [("103", "</a>"), ("103", "</b>"), ("142", "via"), ("200", "content-length: 2")] {
        let head = read_head(&mut client);
        assert!(head.starts_with(&format!("HTTP/1.1 {status} ")) && head.contains(link), "{head}");
    }
    origin.join().unwrap();
}

/// A client that sends everything before it reads, an origin that answers at once and at length: neither waits for the
/// other through the proxy, as they would not without it.
#[test]
fn an_upload_goes_on_while_nobody_reads_the_answer() {
    const LENGTH: usize = 64 << 20;
    let (addr, origin) = origin(|mut stream| {
        read_head(&mut stream);
        let mut answer = stream.try_clone().unwrap();
        let writer = std::thread::spawn(move || {
            write!(answer, "HTTP/1.1 200 OK\r\ncontent-length: {LENGTH}\r\n\r\n").unwrap();
            answer.write_all(&vec![b'a'; LENGTH]).unwrap();
        });
        let received = std::io::copy(&mut stream.take(LENGTH as u64), &mut std::io::sink()).unwrap();
        writer.join().unwrap();
        received
    });
    let proxy = Chaski::proxy(&[]);
    let mut client = dial(proxy.addr);
    write!(client, "POST http://{addr}/ HTTP/1.1\r\nHost: {addr}\r\nContent-Length: {LENGTH}\r\n\r\n").unwrap();
    client.write_all(&vec![b'u'; LENGTH]).unwrap();
    assert!(read_head(&mut client).starts_with("HTTP/1.1 200 "));
    let received = std::io::copy(&mut client.take(LENGTH as u64), &mut std::io::sink()).unwrap();
    assert_eq!((received, origin.join().unwrap()), (LENGTH as u64, LENGTH as u64));
}

/// PRX-11: a proxy that is told to go to itself.
#[test]
fn prx_11_a_loop_is_broken_off() {
    let proxy = Chaski::proxy(&[]);
    let addr = proxy.addr;
    let mut client = dial(addr);
    write!(client, "GET http://{addr}/ HTTP/1.1\r\nHost: {addr}\r\nConnection: close\r\n\r\n").unwrap();
    let head = read_head(&mut client);
    assert!(head.starts_with("HTTP/1.1 508 "), "{head}");
    let mut client = dial(addr);
    write!(client, "CONNECT {addr} HTTP/1.1\r\nHost: {addr}\r\n\r\n").unwrap();
    let head = read_head(&mut client);
    assert!(head.starts_with("HTTP/1.1 508 ") || head.starts_with("HTTP/1.1 403 "), "{head}");
}

#[test]
fn what_is_not_for_a_proxy_is_refused_with_a_reason() {
    let proxy = Chaski::proxy(&[]);
    for (request, status) in [
        ("GET /here HTTP/1.1\r\nHost: a\r\n\r\n", "400"),
        ("GET https://a.example/ HTTP/1.1\r\nHost: a.example\r\n\r\n", "400"),
        ("GET http://user:pw@a.example/ HTTP/1.1\r\nHost: a.example\r\n\r\n", "400"),
        ("GET ftp://a.example/ HTTP/1.1\r\nHost: a.example\r\n\r\n", "501"),
        ("CONNECT a.example HTTP/1.1\r\nHost: a.example\r\n\r\n", "400"),
        ("TRACE http://a.example/ HTTP/1.1\r\nHost: a.example\r\nMax-Forwards: 0\r\n\r\n", "200"),
        ("OPTIONS * HTTP/1.1\r\nHost: a.example\r\n\r\n", "200"),
        ("GET http://a.example/ HTTP/1.1\r\n\r\n", "400"),
        ("GET http://a.example/ HTTP/2.0\r\nHost: a.example\r\n\r\n", "505"),
        ("\x16\x03\x01\x02\x00\x01\x00", "400"),
    ] {
        let mut client = dial(proxy.addr);
        client.write_all(request.as_bytes()).unwrap();
        let head = read_head(&mut client);
        assert!(head.starts_with(&format!("HTTP/1.1 {status} ")), "{request:?}: {head}");
    }
}
