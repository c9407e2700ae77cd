//! An HTTPS server: TLS ends here, and HTTP/2 and HTTP/1.1 are served on one port. Without files it has a certificate of its own
//! making, for trying things; with a third one, it lets in who has a certificate of that authority.
//!
//! ```sh
//! cargo run -p chaski-examples --bin https-server -- [CERTIFICATE KEY [CLIENT-AUTHORITY]]
//! curl -k https://127.0.0.1:PORT/
//! ```
#![expect(clippy::print_stdout, reason = "an example talks on its terminal")]

use std::convert::Infallible;

use chaski::{
    BoxError, Shutdown,
    http::{Body, Message, Request, Response},
    net::TcpListener,
    service_fn, stack,
    stacks::HttpServer,
    tls::{AcceptLayer, CertifiedKey, ClientAuth, Negotiated, PeerCertificates, Roots, ServerConfig},
};

#[tokio::main]
async fn main() -> Result<(), BoxError> {
    let files: Vec<String> = std::env::args().skip(1).collect();
    let key = match files.as_slice() {
        [chain, key, ..] => CertifiedKey::from_files(chain, key)?,
        _ => CertifiedKey::self_signed(["localhost", "127.0.0.1"])?,
    };
    let mut config = ServerConfig::new(key).with_alpn(HttpServer::<()>::ALPN);
    if let [_, _, authority] = files.as_slice() {
        config = config.with_client_auth(ClientAuth::Required(Roots::from_file(authority)?));
    }
    let server = stack(
        // Compiled once for all connections; a clone of the layer could replace its settings while the server runs.
        AcceptLayer::new(config)?,
        HttpServer::new(service_fn(hello)),
    );

    let listener = TcpListener::bind("127.0.0.1:0").await?;
    println!("listening on {}", listener.local_addr()?);
    listener.serve(server, &Shutdown::new()).await;
    Ok(())
}

/// Tells by which protocols it was asked, and who asks.
async fn hello(request: Request) -> Result<Response, Infallible> {
    let tls = request.fact::<Negotiated>().map(|tls| tls.version().to_string()).unwrap_or_default();
    let client = request.fact::<PeerCertificates>().and_then(PeerCertificates::subject);
    let client = client.unwrap_or_else(|| "whoever you are".to_owned());
    Ok(Response::new(Body::from(format!("{:?} over {tls}, {client}\n", request.version()))))
}
