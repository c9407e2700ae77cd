//! A server that knows its clients by their certificates: one that has the right certificate is greeted by its name, one that
//! has none is refused. Both sides are in this program, and an authority in memory issues for the server. The client's
//! certificate comes from files, with its key and with the roots that the server trusts, here the certificate itself:
//!
//! ```sh
//! openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -subj /CN=ana -addext basicConstraints=CA:FALSE -keyout ana.key -out ana.pem
//! cargo run -p chaski-examples --bin mutual-tls -- ana.pem ana.key ana.pem
//! ```
#![expect(clippy::print_stdout, reason = "an example talks on its terminal")]

use std::{io, net::SocketAddr};

use chaski::tls::{
    AcceptLayer, CertificateAuthority, CertifiedKey, ClientAuth, ClientConfig, ConnectLayer, PeerCertificates, Roots,
    ServerConfig, TlsStream,
};
use chaski::{
    BoxError, Conn, Connect, HostPort, Protocol, Service, Shutdown,
    net::{Dialer, TcpListener},
    service_fn, stack,
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};

#[tokio::main]
async fn main() -> Result<(), BoxError> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [chain, key, roots] = arguments.as_slice() else { return Err("say CHAIN KEY ROOTS".into()) };
    let (certificate, known) = (CertifiedKey::from_files(chain, key)?, Roots::from_file(roots)?);

    // It has a certificate for every name that a client asks for.
    let authority = CertificateAuthority::new("In memory")?;
    let trusted = Roots::from_bytes(authority.certificate_pem().as_bytes())?;
    let tls = AcceptLayer::new(ServerConfig::new(authority).with_client_auth(ClientAuth::Required(known)))?;
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let addr = listener.local_addr()?;
    let shutdown = Shutdown::new();
    let server = tokio::spawn({
        let (server, shutdown) = (stack(tls.clone(), service_fn(greet)), shutdown.clone());
        async move { listener.serve(server, &shutdown).await }
    });

    println!("with a certificate: {}", ask(addr, &trusted, Some(certificate)).await?);
    if let Err(error) = ask(addr, &trusted, None).await {
        println!("without: {error}");
    }
    shutdown.begin();
    server.await?;
    println!("{:?}", tls.stats());
    Ok(())
}

/// Nobody gets here without a certificate.
async fn greet(mut conn: Conn<TlsStream<TcpStream>>) -> io::Result<()> {
    let who = conn.ext.get::<PeerCertificates>().and_then(PeerCertificates::subject).unwrap_or_default();
    conn.io.write_all(format!("hello, {who}").as_bytes()).await?;
    conn.io.shutdown().await
}

async fn ask(addr: SocketAddr, roots: &Roots, certificate: Option<CertifiedKey>) -> Result<String, BoxError> {
    let mut config = ClientConfig::new(roots.clone());
    config.certificate = certificate;
    let connector = stack(ConnectLayer::new(config)?, Dialer::new());
    // Names under `localhost` are this machine, to every resolver.
    let target: HostPort = format!("localhost:{}", addr.port()).parse()?;
    let mut conn = connector.serve(Connect::new(target).with_protocol(Protocol::Https)).await?;
    let mut greeting = String::new();
    // In TLS 1.3 a client is done before the server has looked at its certificate, so it is here that it learns of a refusal.
    conn.io.read_to_string(&mut greeting).await?;
    Ok(greeting)
}
