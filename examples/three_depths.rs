//! A test of the same handler at three depths, with no socket and no file: called, above HTTP, above HTTP and TLS.
//!
//! ```sh
//! cargo run -p chaski-examples --bin three-depths
//! ```
#![expect(clippy::print_stdout, reason = "an example talks on its terminal")]

use std::convert::Infallible;

use chaski::{
    BoxError, Service,
    http::{Body, Message, Request, Response},
    service_fn, stack,
    stacks::{HttpServer, in_memory},
    tls::{AcceptLayer, CertificateAuthority, ClientConfig, Negotiated, Roots, ServerConfig},
};

#[tokio::main(flavor = "current_thread", start_paused = true)]
async fn main() -> Result<(), BoxError> {
    // The handler alone: what it does with a request.
    let client = in_memory::handler_client(service_fn(whoami));
    println!("handler: {}", ask(&client, "http://shop/").await?);

    // The server around it: framing, limits, keep-alive, shutdown.
    let client = in_memory::client(HttpServer::new(service_fn(whoami)));
    println!("HTTP: {}", ask(&client, "http://shop/").await?);

    // And TLS: certificates, names, the version that both agree on.
    let authority = CertificateAuthority::new("a test")?;
    let accept = AcceptLayer::new(ServerConfig::new(authority.issue(["shop"])?).with_alpn(HttpServer::<()>::ALPN))?;
    let trusted = ClientConfig::new(Roots::from_bytes(authority.certificate())?);
    let client = in_memory::tls_client(stack(accept, HttpServer::new(service_fn(whoami))), trusted)?;
    println!("TLS: {}", ask(&client, "https://shop/").await?);
    Ok(())
}

async fn ask<C>(client: &C, url: &str) -> Result<String, BoxError>
where
    C: Service<Request, Output = Response, Error: Into<BoxError>>,
{
    let response = client.serve(Request::get(url).body(Body::empty())?).await.map_err(Into::into)?;
    Ok(String::from_utf8_lossy(&response.into_body().collect(1024).await?).into_owned())
}

async fn whoami(request: Request) -> Result<Response, Infallible> {
    let tls = request.fact::<Negotiated>().map_or("in clear".to_owned(), |tls| format!("over {}", tls.version()));
    Ok(Response::new(Body::from(format!("{:?} {tls}", request.version()))))
}
