//! One client for HTTP/1.1, HTTP/2 and HTTPS, directly and through proxies.

use std::{
    collections::BTreeSet,
    convert::Infallible,
    sync::{Arc, Mutex},
    time::Duration,
};

use chaski_core::{
    BoxError, Conn, ConnectError, ConnectStage, HttpVersion, HttpVersions, Route, Service, ServiceExt, Shutdown,
    SocketAddrs, display_chain, find_cause,
    http::{Body, Message, Request, Response, Upgrade},
    service_fn, stack,
};
use chaski_net::{TcpListener, memory::MemoryAddr};
use chaski_proxy::{HttpProxy, ProxyRefused, Rules};
use chaski_stacks::{ForwardProxyConfig, HttpClient, HttpClientConfig, HttpServer, forward_proxy, in_memory};
use chaski_tls::{AcceptLayer, CertifiedKey, ClientConfig, Negotiated, Roots, ServerConfig};
use http::{Method, Version};
use tokio::{io::DuplexStream, sync::Barrier};

use crate::support::{Running, identity};

fn get(uri: &str, versions: HttpVersions) -> Request {
    let mut request = Request::get(uri).body(Body::empty()).unwrap();
    request.extensions_mut().insert(Route::default().with(versions));
    request
}

async fn text(response: Response) -> String {
    String::from_utf8(response.into_body().collect(1 << 20).await.unwrap().to_vec()).unwrap()
}

/// Tells what it was asked in, and by which fields it could be known who asks.
async fn tell(request: Request) -> Result<Response, Infallible> {
    let tls = request.fact::<Negotiated>().is_some();
    let fields = request.headers().keys().map(ToString::to_string).collect::<Vec<_>>().join(",");
    Ok(Response::new(Body::from(format!("{:?} {} tls={tls} [{fields}]", request.version(), request.uri().path()))))
}

#[tokio::test]
async fn a_handler_is_reached_at_three_depths() {
    let response =
        in_memory::handler_client(service_fn(tell)).serve(get("http://h.example:81/a", HttpVersions::Any)).await;
    assert_eq!(text(response.unwrap()).await, "HTTP/1.1 /a tls=false [host]");

    let client = in_memory::client(HttpServer::new(service_fn(tell)));
    for (versions, expected) in [
        (HttpVersions::Any, "HTTP/1.1 /a tls=false [host]"),
        (HttpVersions::Http1, "HTTP/1.1 /a tls=false [host]"),
        (HttpVersions::Http2, "HTTP/2.0 /a tls=false []"),
    ] {
        let response = client.serve(get("http://h.example/a", versions)).await.unwrap();
        assert_eq!(text(response).await, expected, "{versions}");
    }

    let (key, roots) = identity();
    let accept = AcceptLayer::new(ServerConfig::new(key).with_alpn(HttpServer::<()>::ALPN)).unwrap();
    let server = stack(accept, HttpServer::new(service_fn(tell)));
    let client = in_memory::tls_client(server, ClientConfig::new(roots)).unwrap();
    for (versions, expected) in [
        (HttpVersions::Any, "HTTP/2.0 /a tls=true []"),
        (HttpVersions::Http1, "HTTP/1.1 /a tls=true [host]"),
        (HttpVersions::Http2, "HTTP/2.0 /a tls=true []"),
    ] {
        let response = client.serve(get("https://localhost/a", versions)).await.unwrap();
        let version = response.fact::<HttpVersion>().copied().unwrap();
        assert_eq!(response.version(), version.0);
        assert_eq!(text(response).await, expected, "{versions}");
    }
    let error = client.serve(get("https://other.example/", HttpVersions::Any)).await.unwrap_err();
    let connect = find_cause::<ConnectError>(&error).unwrap();
    assert_eq!(connect.stage(), ConnectStage::Tls, "{}", display_chain(&error));
}

/// A server over TLS that answers when as many requests have come as it waits for, and notes the connections that they came by.
fn gathering(
    requests: usize,
    max_streams: u32,
    key: CertifiedKey,
    seen: Arc<Mutex<BTreeSet<u64>>>,
) -> impl Service<Conn<DuplexStream>, Output = (), Error = BoxError> {
    let all = Arc::new(Barrier::new(requests));
    let handler = service_fn(move |request: Request| {
        let all = Arc::clone(&all);
        seen.lock().unwrap().insert(request.fact::<MemoryAddr>().unwrap().number);
        async move {
            all.wait().await;
            Ok::<_, Infallible>(Response::new(Body::from("all")))
        }
    });
    let accept = AcceptLayer::new(ServerConfig::new(key).with_alpn(["h2"])).unwrap();
    let config = chaski_http2::Http2ServerConfig::default().with_max_streams(max_streams);
    ServiceExt::map_err(stack(accept, HttpServer::new(handler).with_http2(config)), Into::into)
}

/// Sends so many requests at once, and tells by how many connections they came.
async fn connections_of(requests: usize, max_streams: u32) -> usize {
    let ((key, roots), seen) = (identity(), Arc::default());
    let server = gathering(requests, max_streams, key, Arc::clone(&seen));
    let client = in_memory::tls_client(server, ClientConfig::new(roots)).unwrap();
    let calls: Vec<_> = (0..requests)
        .map(|_| {
            let client = client.clone();
            tokio::spawn(async move { client.serve(get("https://localhost/", HttpVersions::Any)).await })
        })
        .collect();
    for call in calls {
        assert_eq!(text(call.await.unwrap().unwrap()).await, "all");
    }
    let seen = seen.lock().unwrap().len();
    assert_eq!(client.stats().dials as usize, seen, "no dial that nobody needed");
    seen
}

/// Calls that come while the first one dials wait for what it makes, and share that.
#[tokio::test]
async fn calls_for_one_server_share_one_connection() {
    assert_eq!(connections_of(50, 100).await, 1);
}

/// H2-07: where the peer allows so many streams and no more, the pool opens another connection.
#[tokio::test]
async fn h2_07_a_further_connection_carries_what_the_first_one_may_not() {
    assert_eq!(connections_of(50, 20).await, 3);
}

fn client(roots: Roots) -> HttpClient {
    HttpClientConfig::default().with_tls(ClientConfig::new(roots)).build().unwrap()
}

fn local_rules() -> Rules {
    Rules::public_only().with_rule("allow 127.0.0.0/8".parse().unwrap())
}

/// PRX-01: through a proxy in clear and over TLS, to targets in clear and over TLS, the proxy's credentials stay with the proxy.
/// Waits: redirects.
#[tokio::test]
async fn prx_01_what_goes_through_a_proxy_does_not_have_its_credentials() {
    let ((origin_key, origin_roots), (proxy_key, proxy_roots)) = (identity(), identity());
    let plain = Running::new(HttpServer::new(service_fn(tell))).await;
    let origin = || AcceptLayer::new(ServerConfig::new(origin_key.clone()).with_alpn(HttpServer::<()>::ALPN)).unwrap();
    let secure = Running::new(stack(origin(), HttpServer::new(service_fn(tell)))).await;

    let config = || ForwardProxyConfig::default().with_rules(local_rules()).with_users(["ana:secret".parse().unwrap()]);
    let in_clear = Running::new(forward_proxy(config())).await;
    let accept = AcceptLayer::new(ServerConfig::new(proxy_key)).unwrap();
    let over_tls = Running::new(stack(accept, forward_proxy(config()))).await;

    let client = client(origin_roots.with(&proxy_roots));
    let ask = |proxy: String, uri: String| {
        let mut request = Request::get(uri).body(Body::empty()).unwrap();
        request.extensions_mut().insert(Route::default().with(proxy.parse::<HttpProxy>().unwrap()));
        client.serve(request)
    };
    let http = |running: &Running| format!("localhost:{}", running.address.port());
    for proxy in [format!("http://ana:secret@{}", http(&in_clear)), format!("https://ana:secret@{}", http(&over_tls))] {
        let response = ask(proxy.clone(), format!("http://{}/a", http(&plain))).await.unwrap();
        assert_eq!(text(response).await, "HTTP/1.1 /a tls=false [host]", "{proxy}");
        let response = ask(proxy.clone(), format!("https://{}/b", http(&secure))).await.unwrap();
        let peer = response.fact::<SocketAddrs>().unwrap().peer;
        assert!([in_clear.address, over_tls.address].contains(&peer), "not through the proxy: {peer}");
        assert_eq!(text(response).await, "HTTP/2.0 /b tls=true []", "{proxy}");
    }
    // The proxy asks who it is.
    let error = ask(format!("http://{}", http(&in_clear)), format!("https://{}/", http(&secure))).await.unwrap_err();
    assert_eq!(find_cause::<ProxyRefused>(&error).unwrap().status, 407);
    // It cannot be avoided: what it refuses is not dialed directly.
    let error =
        ask(format!("http://ana:secret@{}", http(&in_clear)), "https://10.255.255.1/".to_owned()).await.unwrap_err();
    assert_eq!(find_cause::<ProxyRefused>(&error).unwrap().status, 403);
    assert_eq!(find_cause::<ConnectError>(&error).unwrap().stage(), ConnectStage::Proxy);
}

/// What was agreed on with a proxy says nothing about a tunnel through it: HTTP/1 in clear there is served as that.
#[tokio::test]
async fn a_tunnel_in_clear_is_not_of_the_version_that_its_proxy_has_agreed_on() {
    let ((key, roots), inner) = (identity(), Arc::new(HttpServer::new(service_fn(tell))));
    let proxy = service_fn(move |request: Request| {
        assert_eq!((request.method(), request.version()), (&Method::CONNECT, Version::HTTP_2));
        let (inner, mut response) = (Arc::clone(&inner), Response::new(Body::empty()));
        Upgrade::new(async move |tunnel| inner.serve(tunnel).await.unwrap()).attach(&mut response);
        std::future::ready(Ok::<_, Infallible>(response))
    });
    let accept = AcceptLayer::new(ServerConfig::new(key).with_alpn(HttpServer::<()>::ALPN)).unwrap();
    let proxy = Running::new(stack(accept, HttpServer::new(proxy))).await;

    let route = format!("https://localhost:{}", proxy.address.port()).parse::<HttpProxy>().unwrap();
    let mut request = Request::get("http://h.example/a").body(Body::empty()).unwrap();
    request.extensions_mut().insert(Route::default().with(route));
    let response = client(roots).serve(request).await.unwrap();
    assert_eq!(text(response).await, "HTTP/1.1 /a tls=true [host]");
}

/// A connection that a server announces the end of takes no new request, and the next one goes by another.
#[tokio::test]
async fn a_server_that_goes_away_is_dialed_again() {
    let (key, roots) = identity();
    let secure = |key: &CertifiedKey| {
        stack(
            AcceptLayer::new(ServerConfig::new(key.clone()).with_alpn(["h2"])).unwrap(),
            HttpServer::new(service_fn(tell)),
        )
    };
    let first = Running::new(secure(&key)).await;
    let client = client(roots);
    let uri = format!("https://localhost:{}/", first.address.port());
    assert_eq!(text(client.serve(get(&uri, HttpVersions::Any)).await.unwrap()).await, "HTTP/2.0 / tls=true []");

    first.shutdown.drain(Duration::from_secs(30)).await;
    let listener = TcpListener::bind(first.address).await.unwrap();
    let shutdown = first.shutdown.clone();
    drop(first);
    let second = Shutdown::new();
    let signal = second.clone();
    let serving = tokio::spawn({
        let server = secure(&key);
        async move { listener.serve(server, &signal).await }
    });
    assert_eq!(text(client.serve(get(&uri, HttpVersions::Any)).await.unwrap()).await, "HTTP/2.0 / tls=true []");
    second.cut();
    serving.await.unwrap();
    drop(shutdown);
}
