//! Connections of HTTP/2 that serve several hosts.

use std::{
    fs,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    sync::Arc,
    time::Duration,
};

use chaski_client::{Client, ClientConfig, ConnectionReuse};
use chaski_core::{
    BoxError, Conn, Connect, ConnectError, ConnectStage, HttpVersions, Layer, Service, Shutdown,
    http::{Body, Message, Request, Response},
    service_fn, stack,
};
use chaski_net::{
    TcpListener,
    memory::{self, MemoryAddr, MemoryConnector},
};
use chaski_stacks::{HttpClientConfig, HttpConnector, HttpServer};
use chaski_tls::{
    AcceptLayer, AuthorityLayer, CertificateAuthority, Certificates, ConnectLayer, Connector, Negotiated, Roots,
    ServerConfig,
};
use tokio::net::UnixStream;

use crate::peers::needs;

/// Two hosts of one server.
const WWW: &str = "https://www.shop.test/";
const IMG: &str = "https://img.shop.test/";

/// Tells who was asked by which connection, that was made to whom.
async fn tell(request: Request) -> Result<Response, BoxError> {
    let asked = request.uri().host().unwrap_or_default().to_owned();
    let number = request.fact::<MemoryAddr>().map_or(0, |connection| connection.number);
    let named = request.fact::<Negotiated>().and_then(Negotiated::server_name).map(ToString::to_string);
    let length = request.into_body().collect(100).await?.len();
    Ok(Response::new(Body::from(format!("{asked} by {number} to {} with {length}", named.unwrap_or_default()))))
}

/// A server with these certificates that refuses requests for another host than the connection's, or serves them; and a
/// client of it.
struct Shop {
    client: Client<HttpConnector<Connector<MemoryConnector>>>,
    shutdown: Shutdown,
}

impl Shop {
    fn open(certificates: impl Certificates, roots: Roots, strict: bool, config: ClientConfig) -> Self {
        let accept = AcceptLayer::new(ServerConfig::new(certificates).with_alpn(HttpServer::<()>::ALPN)).unwrap();
        let names = if strict { &["www.shop.test"][..] } else { &["*.shop.test"] };
        let hosts = stack(AuthorityLayer::new().allow(names.iter().copied()).unwrap(), service_fn(tell));
        let (listener, connector) = memory::listen("shop");
        let shutdown = Shutdown::new();
        let signal = shutdown.clone();
        tokio::spawn(async move { listener.serve(stack(accept, HttpServer::new(hosts)), &signal).await });
        let tls = ConnectLayer::new(chaski_tls::ClientConfig::new(roots).with_alpn(HttpVersions::Any.alpn())).unwrap();
        let client = Client::with_config(HttpConnector::new(tls.layer(connector)), config.with_https(true));
        Self { client, shutdown }
    }
}

impl Drop for Shop {
    fn drop(&mut self) {
        self.shutdown.cut();
    }
}

fn all() -> ClientConfig {
    ClientConfig::default().with_coalescing(|_, _| true)
}

/// Status, text, and whether the connection had been made to another host.
async fn answer(response: Response) -> (u16, String, bool) {
    let (status, coalesced) = (response.status().as_u16(), response.fact::<ConnectionReuse>().unwrap().coalesced());
    let text = response.into_body().collect(1024).await.unwrap();
    (status, String::from_utf8(text.to_vec()).unwrap(), coalesced)
}

fn post(uri: &str) -> Request {
    Request::post(uri).body(Body::full("upload")).unwrap()
}

/// H2-17: a wildcard certificate and two hosts: one connection for both, where the policy agrees.
#[tokio::test]
async fn h2_17_one_connection_serves_two_hosts_of_one_certificate() {
    let authority = CertificateAuthority::new("a test").unwrap();
    let roots = Roots::from_bytes(authority.certificate()).unwrap();
    let wildcard = authority.issue(["*.shop.test"]).unwrap();
    let single = authority.issue(["www.shop.test"]).unwrap();

    let shop = Shop::open(wildcard.clone(), roots.clone(), false, all());
    for (uri, expected, coalesced) in [
        (WWW, "www.shop.test by 1 to www.shop.test with 6", false),
        (IMG, "img.shop.test by 1 to www.shop.test with 6", true),
        (WWW, "www.shop.test by 1 to www.shop.test with 6", false),
    ] {
        let response = shop.client.serve(post(uri)).await.unwrap();
        assert_eq!(answer(response).await, (200, expected.to_owned(), coalesced));
    }
    assert_eq!((shop.client.stats().established, shop.client.stats().coalesced), (1, 1));

    let no = ClientConfig::default().with_coalescing(|connected, asked| connected == asked);
    let own = "img.shop.test by 2 to img.shop.test with 6";
    for (name, shop) in [
        ("the policy says no", Shop::open(wildcard.clone(), roots.clone(), false, no)),
        ("nobody has asked for it", Shop::open(wildcard.clone(), roots.clone(), false, ClientConfig::default())),
        ("each has a certificate of its own", Shop::open(authority, roots.clone(), false, all())),
    ] {
        shop.client.serve(post(WWW)).await.unwrap();
        let response = shop.client.serve(post(IMG)).await.unwrap();
        assert_eq!(answer(response).await, (200, own.to_owned(), false), "{name}");
    }
    // A certificate that is not for the other host: nothing is sent to who has not proved to be it.
    let shop = Shop::open(single, roots, false, all());
    shop.client.serve(post(WWW)).await.unwrap();
    assert!(shop.client.serve(post(IMG)).await.unwrap_err().is_connect());
    assert_eq!((shop.client.stats().dials, shop.client.stats().coalesced), (2, 0));
}

/// H2-17: a server that wants no such requests answers 421, and the caller does not notice.
#[tokio::test]
async fn h2_17_a_request_that_is_answered_with_421_goes_out_on_a_fresh_connection() {
    let authority = CertificateAuthority::new("a test").unwrap();
    let roots = Roots::from_bytes(authority.certificate()).unwrap();
    let shop = Shop::open(authority.issue(["*.shop.test"]).unwrap(), roots, true, all());
    for (uri, expected) in [
        (WWW, "www.shop.test by 1 to www.shop.test with 6"),
        (IMG, "img.shop.test by 2 to img.shop.test with 6"),
        (IMG, "img.shop.test by 2 to img.shop.test with 6"),
    ] {
        let response = shop.client.serve(post(uri)).await.unwrap();
        assert_eq!(answer(response).await, (200, expected.to_owned(), false));
    }
    let stats = shop.client.stats();
    assert_eq!((stats.established, stats.coalesced, stats.misdirected), (2, 1, 1));
}

/// H2-17: with all of the client, over TCP: a name and an address of one server.
#[tokio::test]
async fn h2_17_a_name_and_an_address_of_one_certificate() {
    let authority = CertificateAuthority::new("a test").unwrap();
    let roots = Roots::from_bytes(authority.certificate()).unwrap();
    let key = authority.issue(["localhost", "127.0.0.1"]).unwrap();
    let accept = AcceptLayer::new(ServerConfig::new(key).with_alpn(HttpServer::<()>::ALPN)).unwrap();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let (port, shutdown) = (listener.local_addr().unwrap().port(), Shutdown::new());
    let signal = shutdown.clone();
    tokio::spawn(async move { listener.serve(stack(accept, HttpServer::new(service_fn(tell))), &signal).await });
    let tls = chaski_tls::ClientConfig::new(roots);
    let client = HttpClientConfig::default().with_tls(tls).with_client(all()).build().unwrap();
    for (host, coalesced) in [("localhost", false), ("127.0.0.1", true)] {
        let response = client.serve(post(&format!("https://{host}:{port}/"))).await.unwrap();
        assert_eq!(answer(response).await, (200, format!("{host} by 0 to localhost with 6"), coalesced));
    }
    shutdown.cut();
}

/// nginx, and the folder of its files.
struct Nginx {
    child: Child,
    folder: PathBuf,
}

impl Nginx {
    /// Two hosts with one certificate, on a socket. To get in to the second one, a client has to be asked for a certificate.
    async fn start() -> Self {
        let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("coalescing-{}", std::process::id()));
        fs::create_dir_all(&folder).unwrap();
        let extensions = "[req]\ndistinguished_name=dn\nx509_extensions=ext\n[dn]\n[ext]\n\
                          basicConstraints=critical,CA:FALSE\nsubjectAltName=DNS:*.shop.test\n";
        fs::write(folder.join("extensions"), extensions).unwrap();
        let made = Command::new("openssl")
            .args([
                "req",
                "-x509",
                "-newkey",
                "ec",
                "-pkeyopt",
                "ec_paramgen_curve:prime256v1",
                "-nodes",
                "-days",
                "30",
            ])
            .args(["-subj", "/CN=shop", "-config", "extensions", "-keyout", "key.pem", "-out", "cert.pem"])
            .current_dir(&folder)
            .output()
            .unwrap();
        assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
        let here = folder.display();
        let host = |name: &str, more: &str| {
            format!(
                "server {{ listen unix:{here}/socket ssl http2; server_name {name}.shop.test; {more}\n\
                 location / {{ return 200 '$host to $ssl_server_name'; }} }}\n"
            )
        };
        let config = format!(
            "daemon off; master_process off; pid {here}/pid; error_log {here}/log;\n\
             events {{}}\n\
             http {{ access_log off; client_body_temp_path {here}; proxy_temp_path {here}; fastcgi_temp_path {here};\n\
             uwsgi_temp_path {here}; scgi_temp_path {here}; default_type text/plain;\n\
             ssl_certificate {here}/cert.pem; ssl_certificate_key {here}/key.pem;\n\
             {} {} {} }}\n",
            host("www", ""),
            host("img", "ssl_verify_client optional_no_ca;"),
            host("css", ""),
        );
        fs::write(folder.join("conf"), config).unwrap();
        let path = format!("{}:/usr/sbin:/sbin", std::env::var("PATH").unwrap_or_default());
        let child = Command::new("nginx")
            .env("PATH", path)
            .arg("-p")
            .arg(&folder)
            .arg("-c")
            .arg(folder.join("conf"))
            .stdin(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let nginx = Self { child, folder };
        let started = std::time::Instant::now();
        while let Err(error) = UnixStream::connect(nginx.folder.join("socket")).await {
            assert!(started.elapsed() < Duration::from_secs(30), "{error}");
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        nginx
    }
}

impl Drop for Nginx {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
        let _ = fs::remove_dir_all(&self.folder);
    }
}

/// H2-17: nginx serves hosts of one certificate by one connection, but for one with rules of its own on who may come in.
#[tokio::test]
async fn h2_17_nginx_wants_a_connection_for_a_host_with_its_own_rules() {
    needs!("h2_17_nginx_wants_a_connection_for_a_host_with_its_own_rules", "nginx", "openssl");
    let nginx = Nginx::start().await;
    let socket: Arc<Path> = nginx.folder.join("socket").into();
    let connector = service_fn(move |_: Connect| {
        let socket = Arc::clone(&socket);
        async move {
            let connected = UnixStream::connect(&*socket).await;
            connected.map(Conn::new).map_err(|error| ConnectError::new(ConnectStage::Dial).with_source(error))
        }
    });
    let roots = Roots::from_file(nginx.folder.join("cert.pem")).unwrap();
    let tls = ConnectLayer::new(chaski_tls::ClientConfig::new(roots).with_alpn(HttpVersions::Any.alpn())).unwrap();
    let client = Client::with_config(HttpConnector::new(tls.layer(connector)), all().with_https(true));
    for (host, expected, coalesced) in [
        ("www", "www.shop.test to www.shop.test", false),
        ("css", "css.shop.test to www.shop.test", true),
        ("img", "img.shop.test to img.shop.test", false),
        ("img", "img.shop.test to img.shop.test", false),
        ("css", "css.shop.test to www.shop.test", true),
    ] {
        let response = client.serve(post(&format!("https://{host}.shop.test/"))).await.unwrap();
        assert_eq!(response.version(), http::Version::HTTP_2);
        assert_eq!(answer(response).await, (200, expected.to_owned(), coalesced), "{host}");
    }
    assert_eq!((client.stats().established, client.stats().misdirected), (2, 1));
}
