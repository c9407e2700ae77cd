//! One port for several protocols, told apart by what real clients send first.

use std::{process::Stdio, time::Duration};

use chaski_core::{
    BoxError, Conn, Io, Prefixed, Service, Shutdown,
    http::{Body, Request, Response},
    service_fn, service_fn_with, stack,
};
use chaski_http_core::Http1Server;
use chaski_net::{
    TcpListener,
    peek::{PeekLayer, Prefix, TlsClientHello},
};
use tokio::{io::AsyncReadExt, net::TcpStream, process::Command, sync::mpsc};

use crate::peers::needs;

const PREFACE: &[u8; 24] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

type Seen = mpsc::UnboundedSender<(&'static str, Vec<u8>)>;

/// Tells that it was called and what the first bytes are, and hangs up.
fn witness<S: Io>(name: &'static str, seen: &Seen) -> impl Service<Conn<S>, Output = (), Error = BoxError> {
    service_fn_with((name, seen.clone()), async |(name, seen): (_, Seen), mut conn: Conn<S>| {
        let mut first = vec![0; 3];
        conn.io.read_exact(&mut first).await?;
        seen.send((name, first))?;
        Ok::<_, BoxError>(())
    })
}

/// curl in HTTP/1.1, in HTTP/2 without TLS and by SOCKS5, and OpenSSL's client, all at one port. The first of them is
/// served, by the real engine.
#[tokio::test]
async fn four_real_clients_reach_their_services_by_one_port() {
    needs!("four_real_clients_reach_their_services_by_one_port", "curl", "openssl");
    let (sender, mut seen) = mpsc::unbounded_channel();
    let http = Http1Server::new(service_fn(async |request: Request| {
        Ok::<_, BoxError>(Response::new(Body::full(format!("http/1: {}\n", request.uri().path()))))
    }));
    let port = stack(
        PeekLayer::new()
            .case("tls", TlsClientHello, witness::<Prefixed<TcpStream>>("tls", &sender))
            .case("h2", Prefix(PREFACE), witness::<Prefixed<TcpStream>>("h2", &sender))
            .case("socks5", Prefix(b"\x05"), witness::<Prefixed<TcpStream>>("socks5", &sender)),
        http,
    );
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let addr = listener.local_addr().unwrap();
    let shutdown = Shutdown::new();
    let signal = shutdown.clone();
    let serving = tokio::spawn(async move { listener.serve(port, &signal).await });

    let url = format!("http://{addr}/tea");
    let (connect, proxy) = (addr.to_string(), format!("socks5://{addr}"));
    for (command, expected) in [
        (&["curl", "-sS", "--max-time", "60", "--http1.1", &url][..], None),
        (&["curl", "-sS", "--max-time", "60", "--http2-prior-knowledge", &url], Some(("h2", &b"PRI"[..]))),
        (&["curl", "-sS", "--max-time", "60", "-x", &proxy, "http://a.test/"], Some(("socks5", b"\x05"))),
        (&["openssl", "s_client", "-connect", &connect], Some(("tls", b"\x16\x03\x01"))),
        (&["openssl", "s_client", "-tls1_2", "-connect", &connect], Some(("tls", b"\x16\x03\x01"))),
    ] {
        let [program, arguments @ ..] = command else { unreachable!() };
        let client = Command::new(program).args(arguments).stdin(Stdio::null()).output().await.unwrap();
        match expected {
            None => assert_eq!(String::from_utf8(client.stdout).unwrap(), "http/1: /tea\n"),
            // These were hung up on.
            Some((name, first)) => {
                let (by, bytes) = seen.try_recv().unwrap();
                assert!(by == name && bytes.starts_with(first), "{command:?}: {by}, {bytes:?}");
            }
        }
    }
    assert!(seen.try_recv().is_err(), "nobody else came by");
    assert_eq!(shutdown.drain(Duration::from_secs(60)).await.cut, 0);
    serving.await.unwrap();
}
