//! Requests for another server than the one that the connection was opened to.

use std::{process::Stdio, time::Duration};

use chaski_core::{
    BoxError, Shutdown,
    http::{Body, Message, Request, Response},
    service_fn, stack,
};
use chaski_net::TcpListener;
use chaski_stacks::HttpServer;
use chaski_tls::{AcceptLayer, AuthorityLayer, CertificateAuthority, Negotiated, ServerConfig};
use tokio::process::Command;

use crate::peers::needs;

/// TLS-05, with curl: it opens the connection to `allowed.test` and asks it for others, in HTTP/1.1 and in HTTP/2.
#[tokio::test]
async fn tls_05_curl_gets_421_for_a_server_that_it_has_not_connected_to() {
    needs!("tls_05_curl_gets_421_for_a_server_that_it_has_not_connected_to", "curl");
    let authority = CertificateAuthority::new("a test").unwrap();
    let root = std::path::Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("fronting-{}.pem", std::process::id()));
    std::fs::write(&root, authority.certificate_pem()).unwrap();
    // Whatever reaches it tells by which name TLS was agreed on, and in which version of HTTP.
    let tell = service_fn(async |request: Request| {
        let name = request.fact::<Negotiated>().and_then(Negotiated::server_name).map(ToString::to_string);
        Ok::<_, BoxError>(Response::new(Body::from(format!("{} {:?}", name.unwrap_or_default(), request.version()))))
    });
    let accept = AcceptLayer::new(ServerConfig::new(authority).with_alpn(HttpServer::<()>::ALPN)).unwrap();
    // Two names of one server; the others are of others.
    let checked = stack(AuthorityLayer::new().allow(["allowed.test", "also.test"]).unwrap(), tell);
    let server = stack(accept, HttpServer::new(checked));
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let shutdown = Shutdown::new();
    let signal = shutdown.clone();
    let serving = tokio::spawn(async move { listener.serve(server, &signal).await });

    for (version, said) in [("--http1.1", "HTTP/1.1"), ("--http2", "HTTP/2.0")] {
        for (host, expected) in [
            ("allowed.test", format!("allowed.test {said} 200")),
            ("ALLOWED.test:443", format!("allowed.test {said} 200")),
            ("also.test", format!("allowed.test {said} 200")),
            ("hidden.test", " 421".to_owned()),
            ("127.0.0.1", " 421".to_owned()),
        ] {
            let client = Command::new("curl")
                .args(["-sS", "--max-time", "60", version, "-w", " %{http_code}", "--cacert"])
                .arg(&root)
                .args(["--resolve", &format!("allowed.test:{port}:127.0.0.1"), "-H", &format!("host: {host}")])
                .arg(format!("https://allowed.test:{port}/"))
                .stdin(Stdio::null())
                .output()
                .await
                .unwrap();
            let text = String::from_utf8_lossy(&client.stdout).into_owned();
            assert_eq!(text, expected, "{version} {host}: {}", String::from_utf8_lossy(&client.stderr));
        }
    }
    std::fs::remove_file(root).unwrap();
    assert_eq!(shutdown.drain(Duration::from_secs(60)).await.cut, 0);
    serving.await.unwrap();
}
