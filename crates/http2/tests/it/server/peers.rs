//! Clients of others, over loopback.

use std::{convert::Infallible, net::SocketAddr, sync::Arc};

use bytes::Bytes;
use chaski_core::{
    Conn, Service, SocketAddrs,
    http::{Body, Informational, Request, Response, Upgrade},
    service_fn,
};
use chaski_http2::{Http2Server, Http2ServerConfig};
use http::{HeaderMap, Method, StatusCode};
use tokio::{
    io::{AsyncWriteExt, copy, split},
    net::TcpListener,
};

use super::harness::*;
use crate::support::{needs, run};

/// What clients of all kinds ask for.
async fn site(request: Request) -> Handled {
    if *request.method() == Method::CONNECT {
        let mut response = ok("");
        let echo = async |conn: Conn<chaski_core::BoxIo>| {
            let (mut reader, mut writer) = split(conn.io);
            let _ = copy(&mut reader, &mut writer).await;
            let _ = writer.shutdown().await;
        };
        Upgrade::new(echo).attach(&mut response);
        return Ok(response);
    }
    match request.uri().path() {
        "/hello" => Ok(ok("hello")),
        "/echo" => Ok(Response::new(request.into_body())),
        "/count" => {
            let mut body = request.into_body();
            let (mut length, mut trailers) = (0, HeaderMap::new());
            while let Some(frame) = body.frame().await {
                match frame?.into_data() {
                    Ok(data) => length += data.len(),
                    Err(frame) => trailers = frame.into_trailers().unwrap_or_default(),
                }
            }
            let checksum = trailers.get("checksum").map_or("none", |value| value.to_str().unwrap());
            Ok(ok(format!("{length} {checksum}")))
        }
        // 8 MiB, in pieces of unknown number.
        "/large" => {
            let piece = Bytes::from((0..=255_u8).cycle().take(64 * 1024).collect::<Vec<u8>>());
            let pieces = std::iter::repeat_n(Ok::<_, Infallible>(piece), 128);
            Ok(Response::new(Body::from_stream(Iter(pieces))))
        }
        "/trailers" => {
            let mut trailers = HeaderMap::new();
            trailers.insert("checksum", "7".parse()?);
            Ok(Response::new(Body::full("body").with_trailers(trailers)))
        }
        "/early" => {
            let mut hints = HeaderMap::new();
            hints.insert("link", "</style.css>; rel=preload".parse()?);
            Informational::of(&request).unwrap().send(StatusCode::EARLY_HINTS, &hints)?;
            tokio::task::yield_now().await;
            Ok(ok("late"))
        }
        "/cookies" => {
            Ok(ok(request.headers().get("cookie").map_or(Bytes::new(), |cookie| cookie.as_bytes().to_vec().into())))
        }
        "/never" => std::future::pending().await,
        _ => Ok(status(404)),
    }
}

/// Serves on loopback for as long as the test runs.
async fn start() -> SocketAddr {
    let config = Http2ServerConfig::default().with_extended_connect(true);
    let server = Arc::new(Http2Server::new(service_fn(site)).with_config(config));
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let local = listener.local_addr().unwrap();
    tokio::spawn(async move {
        loop {
            let (io, peer) = listener.accept().await.unwrap();
            io.set_nodelay(true).unwrap();
            let conn = Conn::new(io);
            conn.ext.insert(SocketAddrs { local, peer });
            let server = Arc::clone(&server);
            tokio::spawn(async move { server.serve(conn).await });
        }
    });
    local
}

fn arguments(arguments: &[&str]) -> Vec<String> {
    arguments.iter().map(|argument| (*argument).to_owned()).collect()
}

/// What curl says of the exchange, after the body.
const VERDICT: &str = "\n%{http_version} %{http_code} %{size_upload} %{size_download}";

async fn curl(more: &[&str]) -> String {
    let all = [&["-sS", "--http2-prior-knowledge", "--max-time", "60"][..], more].concat();
    run("curl", arguments(&all)).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn curl_speaks_http_2() {
    needs!("curl_speaks_http_2", "curl", "timeout");
    let server = start().await;
    let at = |path: &str| format!("http://{server}{path}");
    assert_eq!(curl(&["-w", VERDICT, &at("/hello")]).await, "hello\n2 200 0 5");
    assert_eq!(curl(&["-I", "-o", "/dev/null", "-w", VERDICT, &at("/hello")]).await, "\n2 200 0 0");
    assert_eq!(curl(&["-o", "/dev/null", "-w", VERDICT, &at("/large")]).await, "\n2 200 0 8388608");
    let upload = std::env::temp_dir().join(format!("chaski-http2-upload-{}", std::process::id()));
    std::fs::write(&upload, vec![b'x'; 3_000_000]).unwrap();
    let file = format!("@{}", upload.display());
    let counted = curl(&["-w", VERDICT, "--data-binary", &file, &at("/count")]).await;
    assert_eq!(counted, "3000000 none\n2 200 3000000 12");
    let echoed = curl(&["-o", "/dev/null", "-w", VERDICT, "-T", &file[1..], &at("/echo")]).await;
    assert_eq!(echoed, "\n2 200 3000000 3000000");
    let asked = curl(&["-H", "expect: 100-continue", "--data-binary", &file, "-w", VERDICT, &at("/count")]).await;
    assert_eq!(asked, "3000000 none\n2 200 3000000 12");
    std::fs::remove_file(upload).unwrap();
}

/// nghttp prints the frames that it gets.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nghttp_gets_trailers_and_bodies() {
    needs!("nghttp_gets_trailers_and_bodies", "nghttp", "timeout");
    let server = start().await;
    let at = |path: &str| format!("http://{server}{path}");
    let seen = run("nghttp", arguments(&["-v", &at("/trailers")])).await;
    assert!(seen.contains("recv (stream_id=13) :status: 200"), "{seen}");
    assert!(seen.contains("recv (stream_id=13) checksum: 7"), "{seen}");
    let seen = run("nghttp", arguments(&["-v", &at("/early")])).await;
    let (hints, answer) = (seen.find(":status: 103").unwrap(), seen.find(":status: 200").unwrap());
    assert!(hints < answer, "{seen}");
    let seen = run("nghttp", arguments(&["-n", "-s", "-m", "8", "-W", "20", &at("/large")])).await;
    assert_eq!(seen.matches("  8M /large").count(), 8, "{seen}");
    // A window of a stream that is small: 2^10 - 1.
    let seen = run("nghttp", arguments(&["-n", "-s", "-w", "10", &at("/large")])).await;
    assert!(seen.contains("  8M /large"), "{seen}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn h2load_has_no_failure() {
    needs!("h2load_has_no_failure", "h2load", "timeout");
    let server = start().await;
    for (path, count, clients, streams) in [("/hello", "5000", "4", "16"), ("/large", "40", "4", "5")] {
        let url = format!("http://{server}{path}");
        let report = run("h2load", arguments(&["-n", count, "-c", clients, "-m", streams, &url])).await;
        let expected =
            format!("{count} total, {count} started, {count} done, {count} succeeded, 0 failed, 0 errored, 0 timeout");
        assert!(report.contains(&expected), "{report}");
        assert!(report.contains(&format!("status codes: {count} 2xx")), "{report}");
    }
}

/// Each script is as one would write it, and ends with the line `fine`.
async fn script(program: &str, text: &'static str) {
    let server = start().await;
    let name = format!("chaski-http2-{program}-{}", std::process::id());
    let file = std::env::temp_dir().join(name).with_extension(if program == "node" { "cjs" } else { "py" });
    std::fs::write(&file, text).unwrap();
    let said = run(program, vec![file.display().to_string(), format!("http://{server}")]).await;
    std::fs::remove_file(file).unwrap();
    assert_eq!(said.lines().last(), Some("fine"), "{said}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn node_speaks_http_2() {
    needs!("node_speaks_http_2", "node", "timeout");
    script("node", include_str!("programs/client.cjs")).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn httpx_speaks_http_2() {
    needs!("httpx_speaks_http_2", "python3:httpx,h2", "timeout");
    script("python3", include_str!("programs/client.py")).await;
}
