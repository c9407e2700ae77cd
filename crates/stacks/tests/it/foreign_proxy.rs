//! The client through a proxy of others: tinyproxy, in clear, and over TLS with haproxy in front of it, which ends that.

use std::convert::Infallible;

use chaski_core::{
    HttpVersions, Route, Service, SocketAddrs, find_cause,
    http::{Body, Message, Request, Response},
    service_fn, stack,
};
use chaski_proxy::{HttpProxy, ProxyRefused};
use chaski_stacks::{HttpClientConfig, HttpServer};
use chaski_tls::{AcceptLayer, ClientConfig, ServerConfig};

use crate::{
    peers::needs,
    support::{Folder, Foreign, Port, Running, identity},
};

/// Tells what of a request could be the proxy's, and what came in its body.
async fn tell(request: Request) -> Result<Response, Infallible> {
    let version = request.version();
    let fields: Vec<_> =
        request.headers().keys().map(ToString::to_string).filter(|name| name.contains("prox")).collect();
    let length = request.into_body().collect(2 << 20).await.unwrap().len();
    Ok(Response::new(Body::from(format!("{version:?} {fields:?} {length}"))))
}

#[tokio::test]
async fn tinyproxy_makes_tunnels_in_clear_and_over_tls() {
    needs!("tinyproxy_makes_tunnels_in_clear_and_over_tls", "tinyproxy", "haproxy", "kill");
    let (folder, in_clear, over_tls) = (Folder::new("tinyproxy").with_certificate(), Port::reserve(), Port::reserve());
    let config =
        format!("Listen 127.0.0.1\nPort {}\nTimeout 60\nBasicAuth ana secret\nLogLevel Critical\n", in_clear.number);
    let _tinyproxy = Foreign::start(&["tinyproxy", "-d", "-c"], &folder, &config, &in_clear).await;
    let config = format!(
        "defaults\n mode tcp\n timeout client 30s\n timeout connect 10s\n timeout server 30s\n\
         frontend f\n bind 127.0.0.1:{} ssl crt {}/both.pem alpn http/1.1\n default_backend b\n\
         backend b\n server s 127.0.0.1:{}\n",
        over_tls.number,
        folder.display(),
        in_clear.number
    );
    let _haproxy = Foreign::start(&["haproxy", "-W", "-f"], &folder, &config, &over_tls).await;

    let (key, roots) = identity();
    let accept = AcceptLayer::new(ServerConfig::new(key).with_alpn(HttpServer::<()>::ALPN)).unwrap();
    let secure = Running::new(stack(accept, HttpServer::new(service_fn(tell)))).await;
    let plain = Running::new(HttpServer::new(service_fn(tell))).await;
    let client = HttpClientConfig::default().with_tls(ClientConfig::new(roots.with(&folder.roots()))).build().unwrap();
    let ask = |proxy: &str, uri: String, versions: HttpVersions| {
        let mut request = Request::post(uri).body(Body::from(vec![b'x'; 1 << 20])).unwrap();
        let proxy = proxy.parse::<HttpProxy>().unwrap();
        request.extensions_mut().insert(Route::default().with(proxy).with(versions));
        client.serve(request)
    };
    for (scheme, port) in [("http", in_clear.number), ("https", over_tls.number)] {
        let proxy = format!("{scheme}://ana:secret@localhost:{port}");
        for (target, address, versions, said) in [
            ("https", secure.address, HttpVersions::Any, "HTTP/2.0"),
            ("https", secure.address, HttpVersions::Http1, "HTTP/1.1"),
            ("http", plain.address, HttpVersions::Any, "HTTP/1.1"),
        ] {
            let uri = format!("{target}://localhost:{}/", address.port());
            let response = ask(&proxy, uri, versions).await.unwrap();
            assert_eq!(response.fact::<SocketAddrs>().unwrap().peer.port(), port, "by way of the proxy");
            let text = response.into_body().collect(1000).await.unwrap();
            assert_eq!(text, format!("{said} [] {}", 1 << 20), "{proxy} {target} {versions}");
        }
        let nobody = format!("{scheme}://localhost:{port}");
        let uri = format!("https://localhost:{}/", secure.address.port());
        let error = ask(&nobody, uri, HttpVersions::Any).await.unwrap_err();
        assert_eq!(find_cause::<ProxyRefused>(&error).unwrap().status, 407);
    }
}
