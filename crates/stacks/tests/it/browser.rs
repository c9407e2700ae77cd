//! Chromium, with a page that is served over TLS: directly, and through a proxy that is spoken to in HTTP/2.

use std::{convert::Infallible, net::SocketAddr, process::Stdio, time::Duration};

use chaski_core::{
    Conn, Service, ServiceExt,
    http::{Body, Message, Request, Response},
    service_fn, stack,
};
use chaski_http2::{FingerprintTap, Http2Fingerprint};
use chaski_proxy::Rules;
use chaski_stacks::{ForwardProxyConfig, HttpServer, forward_proxy};
use chaski_telemetry::AccessLogSink;
use chaski_tls::{
    AcceptLayer, CertifiedKey, Negotiated, ServerConfig, SpkiPin, TlsStream,
    hello::{ClientHello, is_grease},
};
use http::{HeaderValue, header};
use tokio::{net::TcpStream, process::Command};

use crate::{
    peers::needs,
    support::{Folder, Running, identity},
    telemetry::Memory,
};

/// Asks for more when it is there, and writes what came of it into itself: what the server saw, and which protocol the browser
/// has got the page and the answer by.
const PAGE: &str = "<!doctype html><p>nothing yet</p><script>\n\
    const by = (kind) => performance.getEntriesByType(kind).map((entry) => entry.nextHopProtocol);\n\
    fetch('/seen', { method: 'POST', body: 'x'.repeat(100000) })\n\
      .then((response) => response.text())\n\
      .then((text) => {\n\
        document.querySelector('p').textContent = `[${text} page=${by('navigation')} answer=${by('resource')}]`;\n\
      });\n\
    </script>";

/// What comes of it. Chromium offers TLS 1.3 and HTTP/2, puts codes of no meaning among its suites and extensions (RFC 8701), and
/// has an order of its own for pseudo-header fields.
const LOADED: &str = "HTTP/2.0 name=localhost grease=[true, true] ja4=t13d..h2 order=Method,Authority,Scheme,Path body=100000 \
    page=h2 answer=h2";

/// The page, and what is seen of those who ask for more.
async fn site(request: Request) -> Result<Response, Infallible> {
    if request.uri().path() == "/" {
        let mut page = Response::new(Body::from(PAGE));
        page.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static("text/html"));
        return Ok(page);
    }
    let (tls, hello) = (request.fact::<Negotiated>().unwrap(), request.fact::<ClientHello>().unwrap());
    let name = tls.server_name().map(ToString::to_string).unwrap_or_default();
    let grease = [hello.cipher_suites(), hello.extensions()].map(|codes| codes.iter().copied().any(is_grease));
    let order: Vec<String> =
        request.fact::<Http2Fingerprint>().unwrap().pseudo_headers().iter().map(|field| format!("{field:?}")).collect();
    let (ja4, version) = (hello.ja4(), request.version());
    let length = request.into_body().collect(1 << 20).await.unwrap().len();
    Ok(Response::new(Body::from(format!(
        "{version:?} name={name} grease={grease:?} ja4={}..{} order={} body={length}",
        &ja4[..4],
        &ja4[8..10],
        order.join(",")
    ))))
}

/// The site over TLS.
fn secure_site(key: CertifiedKey) -> impl Service<Conn<TcpStream>, Output = (), Error: chaski_core::IntoBoxError> {
    let server = HttpServer::new(service_fn(site));
    let config = ServerConfig::new(key).with_alpn(HttpServer::<()>::ALPN).with_client_hello(true);
    stack(AcceptLayer::new(config).unwrap(), ServiceExt::map_input(server, FingerprintTap::<TlsStream<TcpStream>>::tap))
}

/// What the page is when it has been loaded by a browser to which the keys of these certificates are good, and which reaches
/// nothing but this machine.
async fn loaded(test: &str, site: SocketAddr, keys: &[&CertifiedKey], more: &[&str]) -> String {
    let profile = Folder::new(test);
    let keys = keys.iter().map(|key| SpkiPin::of_certificate(key.chain().next().unwrap()).unwrap().to_string());
    let keys: Vec<String> = keys.map(|pin| pin.trim_start_matches("sha256//").to_owned()).collect();
    let output = Command::new("timeout")
        .args(["-k", "5", "60", "chromium", "--headless", "--no-sandbox", "--no-first-run", "--disable-gpu"])
        // What it asks its maker for of itself, it asks in vain.
        .args(["--disable-background-networking", "--disable-component-update", "--disable-sync"])
        .arg("--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE localhost, EXCLUDE 127.0.0.1")
        .arg(format!("--ignore-certificate-errors-spki-list={}", keys.join(",")))
        .arg(format!("--user-data-dir={}", profile.display()))
        // Its own clock goes on only while it waits for nobody, so however long an answer takes, the page has it.
        .args(["--virtual-time-budget=10000", "--dump-dom"])
        .args(more)
        .arg(format!("https://localhost:{}/", site.port()))
        .stdin(Stdio::null())
        .output()
        .await
        .unwrap();
    let (page, said) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success(), "{}: {page}\n{said}", output.status);
    let text = page.split_once("<p>[").and_then(|(_, rest)| rest.split_once("]</p>"));
    text.unwrap_or_else(|| panic!("{page}\n{said}")).0.to_owned()
}

#[tokio::test]
async fn chromium_loads_a_page_over_http2() {
    needs!("chromium_loads_a_page_over_http2", "chromium", "timeout");
    let (key, _) = identity();
    let site = Running::new(secure_site(key.clone())).await;
    assert_eq!(loaded("chromium-page", site.address, &[&key], &["--no-proxy-server"]).await, LOADED);
}

#[tokio::test]
async fn chromium_gets_to_a_page_through_a_proxy_over_http2() {
    needs!("chromium_gets_to_a_page_through_a_proxy_over_http2", "chromium", "timeout");
    let ((key, _), (proxy_key, _)) = (identity(), identity());
    let site = Running::new(secure_site(key.clone())).await;
    let log = Memory::default();
    let (sink, guard) = AccessLogSink::to(log.clone()).unwrap();
    // To the site, and nowhere else: what the browser asks for of itself does not leave this machine.
    let rules = [format!("allow localhost:{}", site.address.port()), "deny *".to_owned()];
    let rules = rules.iter().fold(Rules::public_only(), |rules, rule| rules.with_rule(rule.parse().unwrap()));
    let accept = AcceptLayer::new(ServerConfig::new(proxy_key.clone()).with_alpn(HttpServer::<()>::ALPN)).unwrap();
    let config = ForwardProxyConfig::default().with_rules(rules).with_access_log(sink);
    let proxy = Running::new(stack(accept, forward_proxy(config))).await;
    let through = format!("--proxy-server=https://localhost:{}", proxy.address.port());
    // It goes round proxies to its own machine, unless it is told not to.
    let more = [&*through, "--proxy-bypass-list=<-loopback>"];
    assert_eq!(loaded("chromium-proxy", site.address, &[&key, &proxy_key], &more).await, LOADED);
    proxy.shutdown.drain(Duration::ZERO).await;
    assert!(guard.finish());
    let (log, target) = (log.text(), format!("target=\"localhost:{}\"", site.address.port()));
    let tunnels: Vec<&str> = log.lines().filter(|line| line.contains(&target)).collect();
    assert!(!tunnels.is_empty(), "{log}");
    for tunnel in tunnels {
        assert!(tunnel.contains("method=CONNECT") && tunnel.contains("version=HTTP/2.0 status=200"), "{tunnel}");
    }
}
