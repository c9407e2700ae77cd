//! The client and servers of others, over TLS: nginx and haproxy, each in front of a server that notes what has come.

use std::{
    collections::BTreeMap,
    convert::Infallible,
    path::Path,
    sync::{Arc, LazyLock, Mutex},
};

use bytes::Bytes;
use chaski_core::{
    BoxError, HttpVersions, Route, Service, display_chain,
    http::{Body, Message, Request, Response},
    service_fn,
};
use chaski_stacks::{HttpClient, HttpClientConfig, HttpServer};
use chaski_tls::{ClientConfig, Negotiated};
use http::{Method, Version};
use tokio::{
    sync::{Barrier, mpsc},
    task::JoinSet,
};

use crate::{
    peers::needs,
    support::{Folder, Foreign, Port, Running},
};

/// How many requests come together.
const TOGETHER: usize = 64;

/// 5 MiB, and no two parts of it are alike.
static LARGE: LazyLock<Bytes> =
    LazyLock::new(|| (0..5_u32 << 18).flat_map(u32::to_be_bytes).collect::<Vec<u8>>().into());

/// A server of others in front of ours, and what ours has seen.
struct Upstream {
    program: Foreign,
    folder: Folder,
    port: Port,
    /// How often each order has come.
    orders: Arc<Mutex<BTreeMap<String, usize>>>,
    _origin: Running,
}

impl Upstream {
    /// Starts a program with a configuration that is made of the port to listen on, that of the origin, and the folder.
    async fn start(name: &str, program: &[&str], config: impl FnOnce(u16, u16, &Path) -> String) -> Self {
        let (folder, port) = (Folder::new(name).with_certificate(), Port::reserve());
        let (orders, all) = (Arc::<Mutex<BTreeMap<_, _>>>::default(), Arc::new(Barrier::new(TOGETHER)));
        let seen = Arc::clone(&orders);
        let handler = service_fn(move |request| answer(request, Arc::clone(&seen), Arc::clone(&all)));
        let origin = Running::new(HttpServer::new(handler)).await;
        let config = config(port.number, origin.address.port(), &folder);
        let program = Foreign::start(program, &folder, &config, &port).await;
        Self { program, folder, port, orders, _origin: origin }
    }

    async fn nginx(name: &str) -> Self {
        Self::start(name, &["nginx", "-e", "stderr", "-c"], |port, origin, folder| {
            let folder = folder.display();
            format!(
                "daemon off; pid {folder}/pid; error_log stderr; worker_processes 1;\n\
                 events {{}}\n\
                 http {{ access_log off; client_body_temp_path {folder}/b; proxy_temp_path {folder}/p;\n\
                 fastcgi_temp_path {folder}/f; uwsgi_temp_path {folder}/u; scgi_temp_path {folder}/s;\n\
                 server {{ listen 127.0.0.1:{port} ssl http2 reuseport;\n\
                 ssl_certificate {folder}/both.pem; ssl_certificate_key {folder}/both.pem;\n\
                 client_max_body_size 0; proxy_request_buffering off; proxy_buffering off; keepalive_requests 1000000;\n\
                 location / {{ proxy_pass http://127.0.0.1:{origin}; proxy_http_version 1.1; }} }} }}\n"
            )
        })
        .await
    }

    async fn haproxy(name: &str) -> Self {
        // With a master, which takes the signals.
        Self::start(name, &["haproxy", "-W", "-f"], |port, origin, folder| {
            format!(
                "defaults\n mode http\n timeout client 30s\n timeout connect 10s\n timeout server 30s\n\
                 frontend f\n bind 127.0.0.1:{port} ssl crt {}/both.pem alpn h2,http/1.1\n default_backend b\n\
                 backend b\n server s 127.0.0.1:{origin}\n",
                folder.display()
            )
        })
        .await
    }

    fn client(&self) -> HttpClient {
        HttpClientConfig::default().with_tls(ClientConfig::new(self.folder.roots())).build().unwrap()
    }
}

/// The server behind the server.
async fn answer(
    request: Request,
    orders: Arc<Mutex<BTreeMap<String, usize>>>,
    all: Arc<Barrier>,
) -> Result<Response, Infallible> {
    let path = request.uri().path().to_owned();
    let body = match &*path {
        "/large" => Body::from(LARGE.clone()),
        "/same" => {
            let body = request.into_body().collect(6 << 20).await.unwrap();
            Body::from(format!("{} {}", body.len(), body == *LARGE))
        }
        "/together" => {
            all.wait().await;
            Body::from("all")
        }
        order => {
            *orders.lock().unwrap().entry(order.to_owned()).or_default() += 1;
            Body::from(format!("done {order}"))
        }
    };
    Ok(Response::new(body))
}

fn request(port: u16, method: Method, path: &str, versions: HttpVersions, body: impl Into<Body>) -> Request {
    let uri = format!("https://localhost:{port}{path}");
    let mut request = Request::builder().method(method).uri(uri).body(body.into()).unwrap();
    request.extensions_mut().insert(Route::default().with(versions));
    request
}

async fn bytes(response: Response) -> Bytes {
    response.into_body().collect(6 << 20).await.unwrap()
}

/// What every server does: small and large messages in both versions, and many at once on one connection of HTTP/2.
async fn is_asked(upstream: Upstream) {
    let client = upstream.client();
    for (versions, version, alpn) in
        [(HttpVersions::Any, Version::HTTP_2, "h2"), (HttpVersions::Http1, Version::HTTP_11, "http/1.1")]
    {
        let ask = |method, path, body: Bytes| client.serve(request(upstream.port.number, method, path, versions, body));
        let response = ask(Method::GET, "/small", Bytes::new()).await.unwrap();
        let agreed = response.fact::<Negotiated>().unwrap().clone();
        assert_eq!((response.status().as_u16(), response.version()), (200, version));
        assert_eq!(agreed.alpn(), Some(alpn.as_bytes()));
        assert_eq!(bytes(response).await, "done /small");
        let response = ask(Method::GET, "/large", Bytes::new()).await.unwrap();
        assert!(bytes(response).await == *LARGE);
        let response = ask(Method::POST, "/same", LARGE.clone()).await.unwrap();
        assert_eq!(bytes(response).await, format!("{} true", 5 << 20));
    }
    assert_eq!(client.stats().dials, 2, "one for each version");
    let mut calls = JoinSet::new();
    for _ in 0..TOGETHER {
        let (client, request) =
            (client.clone(), request(upstream.port.number, Method::GET, "/together", HttpVersions::Any, ()));
        calls.spawn(async move { bytes(client.serve(request).await.unwrap()).await });
    }
    while let Some(answer) = calls.join_next().await {
        assert_eq!(answer.unwrap(), "all");
    }
    assert_eq!(client.stats().dials, 2, "those go by the connection that is there");
}

#[tokio::test]
async fn nginx_is_asked_over_tls() {
    needs!("nginx_is_asked_over_tls", "nginx", "kill");
    is_asked(Upstream::nginx("nginx-tls").await).await;
}

#[tokio::test]
async fn haproxy_is_asked_over_tls() {
    needs!("haproxy_is_asked_over_tls", "haproxy", "kill");
    is_asked(Upstream::haproxy("haproxy-tls").await).await;
}

/// An order without an answer.
struct Failed {
    /// Whether it is said that nobody can have carried it out.
    not_sent: bool,
    error: BoxError,
}

/// Has callers send orders while the server gets a signal: until it was dialed anew and as many orders went there as before, or
/// until nobody is there any more.
async fn orders(
    upstream: &Upstream,
    versions: HttpVersions,
    name: &'static str,
) -> BTreeMap<String, Result<(), Failed>> {
    const CALLERS: usize = 16;
    const ORDERS: usize = 10 * CALLERS;
    let (client, port) = (upstream.client(), upstream.port.number);
    let (progress, mut done) = mpsc::unbounded_channel();
    let mut callers = JoinSet::new();
    for caller in 0..CALLERS {
        let (client, progress) = (client.clone(), progress.clone());
        callers.spawn(async move {
            let mut outcomes = BTreeMap::new();
            for number in 0.. {
                let order = format!("/{caller}/{number}");
                let (mut gone, mut not_sent) = (false, false);
                let outcome = match client.serve(request(port, Method::POST, &order, versions, "an order")).await {
                    Ok(response) => response.into_body().collect(100).await.map(|text| {
                        assert_eq!(text, format!("done {order}"));
                    }),
                    Err(error) => {
                        (gone, not_sent) = (error.is_connect(), error.is_not_sent());
                        Err(error.into())
                    }
                };
                let outcome = outcome.map_err(|error| Failed { not_sent, error });
                outcomes.insert(order, outcome);
                if gone || progress.send(()).is_err() {
                    break;
                }
            }
            outcomes
        });
    }
    drop(progress);
    for _ in 0..ORDERS {
        done.recv().await.unwrap();
    }
    let dials = client.stats().dials;
    upstream.program.signal(name);
    let mut after = 0;
    while after < ORDERS && done.recv().await.is_some() {
        after += usize::from(client.stats().dials > dials);
    }
    drop(done);
    callers.join_all().await.into_iter().flatten().collect()
}

/// While the server reloads or stops, an order is carried out once or never; what is said to be done was carried out, and what is
/// said to be not sent was not. While it reloads, there is always somebody to send an order to.
async fn no_order_is_lost_or_doubled(
    start: impl AsyncFn() -> Upstream,
    reload: &'static str,
    stops: [&'static str; 2],
) {
    for versions in [HttpVersions::Any, HttpVersions::Http1] {
        for name in [reload, stops[0], stops[1]] {
            let upstream = start().await;
            let outcomes = orders(&upstream, versions, name).await;
            let orders = upstream.orders.lock().unwrap();
            for (order, outcome) in &outcomes {
                let times = orders.get(order).copied().unwrap_or_default();
                let right = match outcome {
                    Ok(()) => times == 1,
                    Err(failed) if failed.not_sent => times == 0 && name != reload,
                    Err(_) => times <= 1,
                };
                let why = outcome.as_ref().err().map(|failed| display_chain(&*failed.error).to_string());
                assert!(right, "{name} {versions:?}: {order} came {times} times: {why:?}");
            }
        }
    }
}

/// H2-08: nginx reloads, stops when it is done, and stops at once.
#[tokio::test]
async fn h2_08_nginx_loses_and_doubles_no_order() {
    needs!("h2_08_nginx_loses_and_doubles_no_order", "nginx", "kill");
    no_order_is_lost_or_doubled(async || Upstream::nginx("nginx-orders").await, "HUP", ["QUIT", "TERM"]).await;
}

/// H2-08: haproxy reloads, stops when it is done, and stops at once.
#[tokio::test]
async fn h2_08_haproxy_loses_and_doubles_no_order() {
    needs!("h2_08_haproxy_loses_and_doubles_no_order", "haproxy", "kill");
    no_order_is_lost_or_doubled(async || Upstream::haproxy("haproxy-orders").await, "USR2", ["USR1", "TERM"]).await;
}
