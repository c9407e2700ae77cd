//! Tunnels of a proxy that is made of parts that are there: one that ends TLS in them, and how long they may stand still.

use std::{sync::Arc, time::Duration};

use chaski_core::{
    BoxError, BoxIo, Bridge, Conn, Connect, ConnectError, Domain, HostPort, HttpVersions, Layer, Protocol, Route,
    SendError, Service, ServiceExt, Session, TunnelTarget,
    http::{Body, Message, Request, Response},
    service_fn, stack,
};
use chaski_http_core::{Http1ClientConfig, Http1Connector};
use chaski_http2::{Http2ClientConfig, Http2Connector};
use chaski_net::{Relay, RelayConfig};
use chaski_proxy::{HttpProxy, HttpProxyConnector, Tunnel};
use chaski_stacks::{HttpConnector, HttpServer, in_memory::InMemory};
use chaski_tls::{
    AcceptLayer, AuthorityLayer, CertificateAuthority, ClientConfig, ConnectLayer, Roots, ServerConfig,
    hello::ClientHello,
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt, DuplexStream},
    time::{Instant, sleep},
};

/// TLS-05: CONNECT, then TLS with a certificate for whatever name is in the hello, then HTTP, whose requests have to be for the
/// server that all of them name. Over a proxy in clear, and over one that is reached over TLS itself.
#[tokio::test]
async fn tls_05_a_proxy_that_ends_tls_refuses_fronting() {
    for secure in [false, true] {
        let authority = Arc::new(CertificateAuthority::new("a test").unwrap());
        let roots = Roots::from_bytes(authority.certificate()).unwrap();
        let accept = || {
            let authority = Arc::clone(&authority);
            // For the name in the hello that was just read.
            let issue = service_fn(move |hello: ClientHello| {
                let key = authority.issue(hello.server_name().map(Domain::as_str));
                std::future::ready(key.map_err(BoxError::from))
            });
            let config = ServerConfig::issued_by(issue).with_client_hello(true).with_alpn(HttpServer::<()>::ALPN);
            AcceptLayer::new(config).unwrap()
        };
        let tell = service_fn(async |request: Request| {
            let target = request.fact::<TunnelTarget>().map(|TunnelTarget(target)| target.to_string());
            let name = request.fact::<ClientHello>().and_then(ClientHello::server_name).map(ToString::to_string);
            Ok::<_, BoxError>(Response::new(Body::from([target.unwrap(), name.unwrap()].join(" "))))
        });
        let inside = stack(accept(), HttpServer::new(stack(AuthorityLayer::new(), tell)));
        // The target is dialed before the client is told that there is a tunnel.
        let target = InMemory::new(service_fn(async |_| Ok::<_, BoxError>(())));
        let tunnel = Tunnel::new(target.clone(), inside.map_input(|bridge: Bridge<BoxIo, DuplexStream>| bridge.a));
        let (proxy, scheme) = match secure {
            false => (InMemory::new(HttpServer::new(tunnel)), "http"),
            true => (InMemory::new(stack(accept(), HttpServer::new(tunnel))), "https"),
        };
        let proxy_uri: HttpProxy = format!("{scheme}://proxy.example:3128").parse().unwrap();

        let tls = || ConnectLayer::new(ClientConfig::new(roots.clone())).unwrap();
        let proxies = Http1Connector::new(tls().layer(proxy), Http1ClientConfig::default());
        let through = Arc::new(HttpProxyConnector::new(proxies, target));
        for versions in [HttpVersions::Http1, HttpVersions::Http2] {
            let tls = ConnectLayer::new(ClientConfig::new(roots.clone()).with_alpn(versions.alpn())).unwrap();
            let connector = HttpConnector::new(tls.layer(Arc::clone(&through)));
            for (connect, name, host, right) in [
                ("a.example", "a.example", "a.example", true),
                ("b.example", "b.example", "b.example", true),
                ("a.example", "b.example", "b.example", false),
                ("a.example", "b.example", "a.example", false),
                ("a.example", "a.example", "b.example", false),
            ] {
                let case = format!("{scheme} {versions}: CONNECT {connect}, SNI {name}, Host {host}");
                let target: HostPort = format!("{connect}:443").parse().unwrap();
                let connect = Connect::new(target.clone())
                    .with_protocol(Protocol::Https)
                    .with_server_name(name.parse().unwrap())
                    .with_route(Route::default().with(proxy_uri.clone()).with(versions));
                let session = connector.serve(connect).await.unwrap();
                let uri = if versions == HttpVersions::Http1 { "/".to_owned() } else { format!("https://{host}/") };
                let request = Request::get(uri).header("host", host).body(Body::empty()).unwrap();
                let response = session.serve(request).await.unwrap();
                let status = response.status().as_u16();
                let text = response.into_body().collect(100).await.unwrap();
                let expected = if right { (200, format!("{target} {name}")) } else { (421, String::new()) };
                assert_eq!((status, String::from_utf8_lossy(&text).into_owned()), expected, "{case}");
            }
        }
    }
}

/// How long a tunnel may stand still is the relay's to say, in both versions of HTTP: bytes put it off, and nothing else.
#[tokio::test(start_paused = true)]
async fn a_tunnel_in_which_nothing_moves_ends() {
    stands_still(|proxy| Http1Connector::new(proxy, Http1ClientConfig::default())).await;
    // PINGs are the connection's, and do not count.
    let config = Http2ClientConfig::default().with_keep_alive_interval(Some(Duration::from_secs(1)));
    stands_still(|proxy| Http2Connector::new(proxy, config)).await;
}

async fn stands_still<P>(sessions: impl FnOnce(InMemory) -> P)
where
    P: Service<Connect, Error = ConnectError>,
    P::Output: Session<Request> + Service<Request, Output = Response, Error = SendError<Request>>,
{
    let echo = service_fn(async |conn: Conn<DuplexStream>| {
        let (mut reader, mut writer) = tokio::io::split(conn.io);
        tokio::io::copy(&mut reader, &mut writer).await.map(drop)
    });
    let target = InMemory::new(echo);
    let relay = Relay::new(RelayConfig::default().with_idle(Duration::from_secs(5)));
    let proxy = InMemory::new(HttpServer::new(Tunnel::new(target.clone(), relay)));
    let through = HttpProxyConnector::new(sessions(proxy), target);
    let (address, uri): (HostPort, HttpProxy) =
        ("a.example:1".parse().unwrap(), "http://proxy.example:3128".parse().unwrap());
    let begun = Instant::now();
    let mut conn = through.serve(Connect::new(address).with_route(Route::default().with(uri))).await.unwrap();
    sleep(Duration::from_secs(3)).await;
    conn.io.write_all(b"x").await.unwrap();
    conn.io.flush().await.unwrap();
    assert_eq!(conn.io.read_u8().await.unwrap(), b'x');
    assert!(matches!(conn.io.read(&mut [0]).await, Ok(0) | Err(_)));
    assert_eq!(begun.elapsed().as_secs(), 8);
}
