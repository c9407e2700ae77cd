//! A router of axum under chaski's server, and services of chaski within a router.

use std::{
    fs,
    io::Write,
    process::{Command, Output, Stdio},
};

use axum::{
    Extension, Router,
    body::to_bytes,
    extract::{Path, Request as TheirRequest},
    routing::{get as on_get, post as on_post},
};
use chaski_core::{
    Extensions, Service, Shutdown, SocketAddrs,
    http::{Body, Message, Request, Response},
    service_fn,
};
use chaski_http_core::Http1Server;
use chaski_middleware::AddFactLayer;
use chaski_net::TcpListener;
use chaski_stacks::tower::{ChaskiHttpLayer, from_tower_http, into_tower_http};
use http::StatusCode;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tower_http::compression::CompressionLayer;

use crate::{
    bodies::{Checker, Patterned},
    net::{Arrived, Net, echo, get, in_time, post, read, read_head, tiny},
};

#[derive(Clone, Debug)]
struct Tenant(String);

fn users() -> Router {
    Router::new()
        .route(
            "/users/{name}/{*rest}",
            on_get(async |Path((name, rest)): Path<(String, String)>| format!("{name}: {rest}")),
        )
        .route("/echo", on_post(async |request: TheirRequest| request.into_body()))
        .route("/gone", on_get(async || (StatusCode::GONE, "gone")))
}

#[tokio::test(start_paused = true)]
async fn a_router_answers_under_the_server() {
    let net = Net::default();
    let dialed = net.listen_with("a.test:80", tiny(100)).serve(Http1Server::new(from_tower_http(users())));
    let client = net.client();
    in_time(async {
        for (path, status, text) in [
            ("/users/ana/a%20b/c", 200, "ana: a b/c"),
            ("/users/ana/x?q", 200, "ana: x"),
            ("/gone", 410, "gone"),
            ("/nowhere", 404, ""),
            ("/echo", 405, ""),
        ] {
            let (seen, body) = read(client.serve(get(&format!("http://a.test{path}"))).await.unwrap()).await;
            assert_eq!((seen, &body[..]), (status, text.as_bytes()), "{path}");
        }
        let mut head = get("http://a.test/gone");
        *head.method_mut() = http::Method::HEAD;
        let response = client.serve(head).await.unwrap();
        assert_eq!(response.status(), 410);
        assert_eq!(response.headers()["content-length"], "4");
        drop(response);
        // Up and down at once, through pipes that hold 100 bytes.
        let response = client.serve(post("http://a.test/echo", Patterned::body(100_000, 999))).await.unwrap();
        assert_eq!(Checker::read(response.into_body()).await, 100_000);
        assert_eq!(dialed.load(std::sync::atomic::Ordering::SeqCst), 1, "one connection for all");
    })
    .await;
}

/// The scope is an extension like others to axum, and what a chaski layer within its stack adds stands in it.
#[tokio::test(start_paused = true)]
async fn handlers_of_axum_see_the_facts_of_the_connection_and_of_layers() {
    let tell = async |Extension(scope): Extension<Extensions>| {
        let arrived = scope.get::<Arrived>().is_some();
        format!("{} {arrived}", scope.get::<Tenant>().map_or("", |tenant| &tenant.0))
    };
    let tenant =
        AddFactLayer::from_fn(|request: &Request| Tenant(request.uri().path().trim_start_matches('/').to_owned()));
    let router = Router::new().route("/{tenant}", on_get(tell)).layer(ChaskiHttpLayer::new(tenant));
    let net = Net::default();
    net.serve_at("a.test:80", from_tower_http(router));
    let client = net.client();
    in_time(async {
        for tenant in ["acme", "umbrella"] {
            let (_, body) = read(client.serve(get(&format!("http://a.test/{tenant}"))).await.unwrap()).await;
            assert_eq!(body, format!("{tenant} true"));
        }
    })
    .await;
}

/// A forward proxy that has pages of its own: what the router does not know is the proxy's, tunnels included.
#[tokio::test(start_paused = true)]
async fn a_forward_proxy_is_a_fallback_of_a_router() {
    let net = Net::default();
    net.serve_at("origin.test:80", echo());
    let mut tunnels = net.listen("origin.test:443");
    let router = Router::new()
        .route("/health", on_get(async || "fine"))
        .route_service(
            "/echo",
            into_tower_http(service_fn(async |request: Request| {
                Ok::<_, std::convert::Infallible>(Response::new(request.into_body()))
            })),
        )
        .fallback_service(into_tower_http(net.proxy("edge")));
    net.serve_at("proxy.test:3128", from_tower_http(router));
    in_time(async {
        let mut client = net.dial("proxy.test:3128").await;
        for (request, status, end) in [
            ("GET /health HTTP/1.1\r\nhost: a\r\n\r\n", "200", "fine"),
            ("POST /echo HTTP/1.1\r\nhost: a\r\ncontent-length: 2\r\n\r\nme", "200", "me"),
            ("POST http://origin.test/up HTTP/1.1\r\nhost: a\r\ncontent-length: 5\r\n\r\nthere", "200", "there"),
            ("GET http://unknown.test/up HTTP/1.1\r\nhost: a\r\n\r\n", "502", "unknown.test:80\n"),
        ] {
            client.write_all(request.as_bytes()).await.unwrap();
            let mut answer = read_head(&mut client).await;
            if answer.contains("transfer-encoding: chunked") {
                while !answer.ends_with("0\r\n\r\n") {
                    answer.push(char::from(client.read_u8().await.unwrap()));
                }
                assert!(answer.contains(&format!("\r\n{end}\r\n0\r\n")), "{answer}");
            } else {
                let mut body = vec![0; end.len()];
                let length = answer.lines().find_map(|line| line.strip_prefix("content-length: ")).unwrap();
                body.resize(length.parse().unwrap(), 0);
                client.read_exact(&mut body).await.unwrap();
                assert!(str::from_utf8(&body).unwrap().ends_with(end), "{request}: {body:?}");
            }
            assert!(answer.starts_with(&format!("HTTP/1.1 {status} ")), "{request}: {answer}");
        }
        client.write_all(b"CONNECT origin.test:443 HTTP/1.1\r\nhost: origin.test:443\r\n\r\n").await.unwrap();
        assert!(read_head(&mut client).await.starts_with("HTTP/1.1 200 "));
        let mut server = tunnels.accept().await.conn.io;
        server.write_all(b"banner").await.unwrap();
        let mut banner = [0; 6];
        client.read_exact(&mut banner).await.unwrap();
        assert_eq!(&banner, b"banner");
    })
    .await;
}

/// A service of chaski answers axum's own way of asking, too.
#[tokio::test]
async fn a_route_is_a_service_of_chaski() {
    use tower::ServiceExt;
    let hello = service_fn(async |request: Request| {
        assert!(request.existing_scope().is_none(), "nobody made one");
        Ok::<_, std::convert::Infallible>(Response::new(Body::full("hello")))
    });
    let router: Router = Router::new().route_service("/", into_tower_http(hello));
    let request = http::Request::get("/").body(axum::body::Body::empty()).unwrap();
    let response = router.oneshot(request).await.unwrap();
    assert_eq!(to_bytes(response.into_body(), 100).await.unwrap(), "hello");
}

/// Over sockets, with a client that knows nothing of either.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn curl_talks_to_a_router_on_loopback() {
    if !has_curl("curl_talks_to_a_router_on_loopback") {
        return;
    }
    let whence =
        async |Extension(scope): Extension<Extensions>| scope.get::<SocketAddrs>().unwrap().peer.ip().to_string();
    let text = "one line of many\n".repeat(2000);
    let page = text.clone();
    let router = users()
        .route("/whence", on_get(whence))
        .route("/page", on_get(async move || page))
        .layer(CompressionLayer::new());
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let shutdown = Shutdown::new();
    let serving = tokio::spawn({
        let shutdown = shutdown.clone();
        async move { listener.serve(Http1Server::new(from_tower_http(router)), &shutdown).await }
    });
    let curl = async |args: &[&str]| {
        let mut command = Command::new("curl");
        command.args(["-sS", "--noproxy", "*", "--max-time", "60"]).args(args).stdin(Stdio::null());
        let output: Output = tokio::task::spawn_blocking(move || command.output().unwrap()).await.unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).unwrap()
    };
    assert_eq!(curl(&[&format!("{url}/users/ana/x")]).await, "ana: x");
    assert_eq!(curl(&[&format!("{url}/whence")]).await, "127.0.0.1");
    let zipped = curl(&["--compressed", "-w", "%header{content-encoding}", &format!("{url}/page")]).await;
    assert_eq!(zipped, format!("{text}gzip"));
    assert_eq!(curl(&["-d", "a=b", "-H", "transfer-encoding: chunked", &format!("{url}/echo")]).await, "a=b");
    shutdown.drain(std::time::Duration::from_secs(10)).await;
    serving.await.unwrap();
}

/// Whether curl is there. Without it a test is skipped, unless it is required: see `xtask/README.md`.
fn has_curl(test: &str) -> bool {
    if Command::new("curl").arg("--version").stdout(Stdio::null()).status().is_ok() {
        return true;
    }
    assert!(std::env::var("CHASKI_PEERS").as_deref() != Ok("required"), "{test} needs curl, and CHASKI_PEERS=required");
    let line = format!("skipped: {test} needs curl\n");
    print!("{line}");
    if let Some(log) = std::env::var_os("CHASKI_SKIP_LOG") {
        fs::OpenOptions::new().append(true).create(true).open(log).unwrap().write_all(line.as_bytes()).unwrap();
    }
    false
}
