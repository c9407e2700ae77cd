//! Hellos in the shapes of browsers, made on loopback by curl-cffi, as many of each as it takes to see what changes between them.

use std::{collections::BTreeSet, process::Command};

use chaski_core::{BoxError, Conn, Layer, Service, service_fn};
use chaski_tls::{
    AcceptLayer, Negotiated, ServerConfig, TlsStream,
    hello::{ClientHello, is_grease},
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
};

use crate::{captures::Capture, peers::needs, support::Authority};

/// How many connections each shape makes.
const CONNECTIONS: usize = 20;

/// Asks for the same page by one new connection after the other.
const CLIENT: &str = r"
import sys
from curl_cffi import Curl, CurlOpt
port, shape, count = sys.argv[1:]
for _ in range(int(count)):
    curl = Curl()
    curl.impersonate(shape)
    curl.setopt(CurlOpt.URL, f'https://example.com:{port}/'.encode())
    curl.setopt(CurlOpt.RESOLVE, [f'example.com:{port}:127.0.0.1'.encode()])
    curl.setopt(CurlOpt.SSL_VERIFYPEER, 0)
    curl.setopt(CurlOpt.SSL_VERIFYHOST, 0)
    curl.setopt(CurlOpt.PROXY, b'')
    curl.setopt(CurlOpt.TIMEOUT, 60)
    curl.perform()
    curl.close()
";

/// Ends TLS, answers a request in HTTP/1.1, and gives what is known of the client.
async fn serve_one(layer: &AcceptLayer, listener: &TcpListener) -> Result<(ClientHello, Negotiated), BoxError> {
    let (socket, _) = listener.accept().await?;
    let answer = service_fn(async |mut conn: Conn<TlsStream<TcpStream>>| {
        let mut head = Vec::new();
        while !head.ends_with(b"\r\n\r\n") {
            head.push(conn.io.read_u8().await?);
        }
        conn.io.write_all(b"HTTP/1.1 200 OK\r\nconnection: close\r\ncontent-length: 0\r\n\r\n").await?;
        conn.io.shutdown().await?;
        let hello = conn.ext.get::<ClientHello>().cloned().ok_or("there is no hello")?;
        Ok::<_, BoxError>((hello, conn.ext.get::<Negotiated>().cloned().ok_or("nothing was agreed on")?))
    });
    layer.layer(answer).serve(Conn::new(socket)).await
}

/// All hellos of a shape.
async fn hellos(shape: &str) -> Vec<ClientHello> {
    let key = Authority::new("Test Root").issue(&["example.com"]);
    let layer = AcceptLayer::new(ServerConfig::new(key).with_alpn(["http/1.1"]).with_client_hello(true)).unwrap();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port().to_string();
    let mut command = Command::new("timeout");
    command.args(["120", "python3", "-c", CLIENT, &port, shape, &CONNECTIONS.to_string()]);
    let mut client = tokio::task::spawn_blocking(move || command.output().unwrap());
    let mut hellos = Vec::new();
    while hellos.len() < CONNECTIONS {
        tokio::select! {
            served = serve_one(&layer, &listener) => {
                let (hello, negotiated) = served.unwrap();
                assert_eq!(negotiated.alpn(), Some(&b"http/1.1"[..]));
                assert_eq!(negotiated.server_name().unwrap().as_str(), "example.com");
                hellos.push(hello);
            }
            output = &mut client => panic!("{shape}: {}", String::from_utf8_lossy(&output.unwrap().stderr)),
        }
    }
    let output = client.await.unwrap();
    assert!(output.status.success(), "{shape}: {}", String::from_utf8_lossy(&output.stderr));
    hellos
}

fn has_grease(codes: &[u16]) -> bool {
    codes.iter().copied().any(is_grease)
}

/// What JA3 is made of, with the extensions in ascending order.
fn sorted_ja3(hello: &ClientHello) -> String {
    let text = hello.ja3_string();
    let mut parts: Vec<&str> = text.split(',').collect();
    let mut extensions: Vec<u16> = parts[2].split('-').map(|code| code.parse().unwrap()).collect();
    extensions.sort_unstable();
    let extensions = extensions.iter().map(ToString::to_string).collect::<Vec<_>>().join("-");
    parts[2] = &extensions;
    parts.join(",")
}

/// JA4 is what ja4plus makes of a captured hello of the same shape, however GREASE and order change. JA3 stays where the order does,
/// and else all that it is made of stays but for that.
#[tokio::test]
async fn fingerprints_of_browsers_stay() {
    needs!("fingerprints_of_browsers_stay", "python3:curl_cffi", "timeout");
    for (shape, grease, shuffled) in
        [("chrome142", true, true), ("firefox135", false, false), ("safari260", true, false)]
    {
        let (capture, hellos) = (Capture::named(shape), hellos(shape).await);
        let (mut ja3, mut sorted, mut greases) = (BTreeSet::new(), BTreeSet::new(), BTreeSet::new());
        for hello in &hellos {
            assert_eq!(hello.server_name().unwrap().as_str(), "example.com");
            assert_eq!(hello.alpn().collect::<Vec<_>>(), [&b"h2"[..], b"http/1.1"]);
            assert_eq!((&*hello.ja4(), &*hello.ja4_r()), (capture.field("ja4"), capture.field("ja4_r")), "{shape}");
            for codes in [hello.cipher_suites(), hello.extensions(), hello.supported_groups()] {
                assert_eq!(has_grease(codes), grease, "{shape}: {codes:x?}");
            }
            greases.insert(hello.cipher_suites()[0]);
            ja3.insert(hello.ja3());
            sorted.insert(sorted_ja3(hello));
        }
        assert_eq!(ja3.len() > 1, shuffled, "{shape}: {ja3:?}");
        assert_eq!(greases.len() > 1, grease, "{shape}: {greases:x?}");
        if !shuffled {
            assert_eq!(ja3.first().unwrap(), capture.field("ja3"));
        }
        assert_eq!(sorted.into_iter().collect::<Vec<_>>(), [sorted_ja3(&capture.hello())], "{shape}");
    }
}
