//! HTTPS for every name of one domain: the certificate of each is issued when the first client asks for it, by an authority in
//! memory. What its clients have to trust goes to a file.
//!
//! ```sh
//! cargo run -p chaski-examples --bin tls-certificates -- 127.0.0.1:8443 example.test /tmp/authority.pem
//! curl --cacert /tmp/authority.pem --resolve www.example.test:8443:127.0.0.1 https://www.example.test:8443/
//! ```
#![expect(clippy::print_stdout, reason = "an example talks on its terminal")]

use chaski::tls::{AcceptLayer, AuthorityLayer, CertificateAuthority, Certificates, Negotiated, ServerConfig};
use chaski::{
    BoxError, Domain, Shutdown,
    http::{Body, Message, Request, Response},
    http1::Http1Server,
    net::TcpListener,
    service_fn, stack,
};

#[tokio::main]
async fn main() -> Result<(), BoxError> {
    let mut arguments = std::env::args().skip(1);
    let listener = TcpListener::bind(arguments.next().unwrap_or("127.0.0.1:0".to_owned())).await?;
    let domain: Domain = arguments.next().unwrap_or("example.test".to_owned()).parse()?;
    let authority = CertificateAuthority::new("An example of chaski's")?;
    if let Some(file) = arguments.next() {
        std::fs::write(file, authority.certificate_pem())?;
    }

    // Whoever connects chooses the name, so nothing is issued for names that are not served here.
    let certificates = move |name: Option<&str>| {
        let asked: Domain = name?.parse().ok()?;
        if asked.is_subdomain_of(&domain) { authority.find(name) } else { None }
    };
    let service = stack(
        AcceptLayer::new(ServerConfig::new(certificates).with_alpn(["http/1.1"]))?,
        // Inside of TLS, where the name in the hello is known: requests for others are answered with 421.
        Http1Server::new(stack(AuthorityLayer::new(), service_fn(hello))),
    );
    println!("listening on {}", listener.local_addr()?);
    listener.serve(service, &Shutdown::new()).await;
    Ok(())
}

async fn hello(request: Request) -> Result<Response, BoxError> {
    let tls = request.fact::<Negotiated>().ok_or("a connection without TLS")?;
    let name = tls.server_name().map(ToString::to_string).unwrap_or_default();
    Ok(Response::new(Body::full(format!("hello, this is {name}, in {}\n", tls.version()))))
}
