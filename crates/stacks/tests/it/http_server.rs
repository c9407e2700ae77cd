//! One port for HTTP/1 and HTTP/2.

use std::{convert::Infallible, process::Output, time::Duration};

use chaski_core::{
    BoxIo, Conn, Service, Shutdown, describe, find_cause,
    http::{Body, Message, Request, Response},
    service_fn, stack,
};
use chaski_net::{TcpListener, peek::PeekError};
use chaski_stacks::HttpServer;
use chaski_tls::{AcceptLayer, CertificateAuthority, CertifiedKey, Negotiated, ServerConfig};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt, duplex},
    net::TcpStream,
    process::Command,
};

use crate::peers::needs;

/// What HTTP/2 begins with, and empty SETTINGS (RFC 9113 section 3.4).
const OPENING: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0";

async fn tell(request: Request) -> Result<Response, Infallible> {
    let tls = request.fact::<Negotiated>().is_some();
    Ok(Response::new(Body::from(format!("{:?} {} tls={tls}", request.version(), request.uri().path()))))
}

/// A certificate for `localhost`, and its PEM for those who are to trust it.
fn identity() -> (CertifiedKey, String) {
    let authority = CertificateAuthority::new("a test").unwrap();
    (authority.issue(["localhost"]).unwrap(), authority.certificate_pem())
}

/// What a server answers to these bytes, which come one by one, while its client keeps its side open. One of HTTP/2 ends it, as
/// the server would not.
async fn dripped(bytes: &[u8]) -> Vec<u8> {
    let server = HttpServer::new(service_fn(tell));
    // Room for one byte: whoever writes the next waits until the last was read.
    let (client, io) = duplex(1);
    let (mut read, mut write) = tokio::io::split(client);
    let mut answer = Vec::new();
    let client = async {
        let writing = async {
            write.write_all(bytes).await.unwrap();
            if bytes == OPENING {
                write.shutdown().await.unwrap();
            }
        };
        let ((), ended) = tokio::join!(writing, read.read_to_end(&mut answer));
        ended.unwrap();
        // The server may linger until its client has closed too.
        drop((read, write));
    };
    let (served, ()) = tokio::join!(server.serve(Conn::new(io)), client);
    drop(served);
    answer
}

/// H2-18: requests that are shorter than the preface of HTTP/2, or begin like it, are answered in HTTP/1, byte by byte.
#[tokio::test(start_paused = true)]
async fn h2_18_dripped_bytes_get_to_the_version_that_they_are_in() {
    for (request, path) in [
        ("GET / HTTP/1.0\r\n\r\n", "/"),
        ("GET /a HTTP/1.1\r\nhost: h\r\nconnection: close\r\n\r\n", "/a"),
        ("PRIX /b HTTP/1.1\r\nhost: h\r\nconnection: close\r\n\r\n", "/b"),
        ("PUT /c HTTP/1.0\r\n\r\n", "/c"),
    ] {
        let answer = String::from_utf8(dripped(request.as_bytes()).await).unwrap();
        assert!(answer.starts_with("HTTP/1.1 200 OK\r\n"), "{request:?}: {answer}");
        assert!(answer.contains(&format!("{path} tls=false")), "{request:?}: {answer}");
    }
    let answer = dripped(OPENING).await;
    // RFC 9113 section 4.1: a length of three bytes, then the type; the first frame is SETTINGS, and not an acknowledgement.
    assert_eq!((answer[3], answer[4]), (4, 0), "{answer:?}");
    // What only begins like the preface is a request that HTTP/1 refuses.
    let answer = String::from_utf8(dripped(b"PRI * HTTP/2.0\r\n\r\nXX\r\n\r\n").await).unwrap();
    assert!(answer.starts_with("HTTP/1.1 "), "{answer}");
    assert!(!answer.starts_with("HTTP/1.1 200"), "{answer}");
}

/// RFC 9113 section 3.1: the upgrade from HTTP/1.1 is not done; the request is answered.
#[tokio::test(start_paused = true)]
async fn an_upgrade_to_h2c_is_answered_in_http1() {
    let answer = dripped(
        b"GET /u HTTP/1.1\r\nhost: h\r\nconnection: upgrade, http2-settings, close\r\nupgrade: h2c\r\n\
          http2-settings: AAMAAABkAAQAAP__\r\n\r\n",
    )
    .await;
    let answer = String::from_utf8(answer).unwrap();
    assert!(answer.starts_with("HTTP/1.1 200 OK\r\n") && answer.ends_with("HTTP/1.1 /u tls=false"), "{answer}");
}

#[tokio::test(start_paused = true)]
async fn a_silent_client_has_the_time_of_a_head() {
    let begun = tokio::time::Instant::now();
    let (_client, io) = duplex(64);
    let error = HttpServer::new(service_fn(tell)).serve(Conn::new(io)).await.unwrap_err();
    assert!(matches!(find_cause::<PeekError>(&*error), Some(PeekError::TimedOut { seen: 0, .. })), "{error:?}");
    assert_eq!(begun.elapsed(), Duration::from_secs(30));
}

#[test]
fn both_versions_are_described() {
    let tree = describe::<Conn<BoxIo>, _>(&HttpServer::new(service_fn(tell))).to_string();
    assert!(tree.contains("HTTP/2: Http2Server") && tree.contains("HTTP/1: Http1Server"), "{tree}");
}

/// Runs curl against a server over TLS or in clear, with `{}` in its arguments for the server's address.
async fn curl(tls: bool, arguments: &[&str]) -> Output {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let shutdown = Shutdown::new();
    let (key, chain) = identity();
    let trusted = std::env::temp_dir().join(format!("chaski-http-server-{}.pem", address.port()));
    std::fs::write(&trusted, chain).unwrap();
    let server = HttpServer::new(service_fn(tell));
    let serving = {
        let shutdown = shutdown.clone();
        tokio::spawn(async move {
            if tls {
                let accept = AcceptLayer::new(ServerConfig::new(key).with_alpn(HttpServer::<()>::ALPN)).unwrap();
                listener.serve(stack(accept, server), &shutdown).await;
            } else {
                listener.serve(server, &shutdown).await;
            }
        })
    };
    let resolve = format!("localhost:{}:127.0.0.1", address.port());
    let arguments: Vec<_> =
        arguments.iter().map(|text| text.replace("{}", &format!("localhost:{}", address.port()))).collect();
    let output = Command::new("curl")
        .args(["-sS", "--max-time", "30", "--resolve", &resolve, "--cacert"])
        .arg(&trusted)
        .args(["-w", " %{http_version}"])
        .args(arguments)
        .output()
        .await
        .unwrap();
    shutdown.drain(Duration::from_secs(30)).await;
    serving.await.unwrap();
    std::fs::remove_file(trusted).unwrap();
    output
}

#[tokio::test]
async fn curl_gets_the_version_that_it_asks_for() {
    needs!("curl_gets_the_version_that_it_asks_for", "curl");
    for (tls, arguments, expected) in [
        (true, &["https://{}/a"][..], "HTTP/2.0 /a tls=true 2"),
        (true, &["--http1.1", "https://{}/a"], "HTTP/1.1 /a tls=true 1.1"),
        (true, &["--no-alpn", "https://{}/a"], "HTTP/1.1 /a tls=true 1.1"),
        (true, &["--http1.0", "https://{}/a"], "HTTP/1.0 /a tls=true 1.1"),
        (false, &["http://{}/a"], "HTTP/1.1 /a tls=false 1.1"),
        (false, &["--http2", "http://{}/a"], "HTTP/1.1 /a tls=false 1.1"),
        (false, &["--http2-prior-knowledge", "http://{}/a"], "HTTP/2.0 /a tls=false 2"),
    ] {
        let output = curl(tls, arguments).await;
        let (answer, errors) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
        assert_eq!((&*answer, &*errors), (expected, ""), "{arguments:?}");
    }
}

/// LIFE-05: idle in HTTP/1 and in HTTP/2, before the first byte, within the preface: all end when draining begins, or at its
/// deadline.
#[tokio::test]
async fn life_05_what_is_idle_ends_at_once_and_what_has_begun_at_the_deadline() {
    for (bytes, answered, cut) in [
        (&b""[..], false, false),
        (b"GET / HTTP/1.1\r\nhost: h\r\n\r\n", true, false),
        (OPENING, true, false),
        (b"PRI * HTTP/2", false, true),
    ] {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let shutdown = Shutdown::new();
        let serving = {
            let shutdown = shutdown.clone();
            tokio::spawn(async move { listener.serve(HttpServer::new(service_fn(tell)), &shutdown).await })
        };
        let mut client = TcpStream::connect(address).await.unwrap();
        client.write_all(bytes).await.unwrap();
        if answered {
            assert!(client.read(&mut [0; 1024]).await.unwrap() > 0);
        }
        while shutdown.open() == 0 {
            tokio::task::yield_now().await;
        }
        let limit = if cut { Duration::from_millis(50) } else { Duration::from_secs(30) };
        let report = shutdown.drain(limit).await;
        assert_eq!(report.cut, usize::from(cut), "{}", bytes.escape_ascii());
        serving.await.unwrap();
    }
}
