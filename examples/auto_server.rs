//! One port for all: in clear and over TLS, in HTTP/1.1 and HTTP/2. The first bytes of a connection say which it is, and under TLS
//! what both sides have agreed on.
//!
//! ```sh
//! cargo run -p chaski-examples --bin auto-server -- 127.0.0.1:8080
//! curl http://127.0.0.1:8080/
//! curl --http2-prior-knowledge http://127.0.0.1:8080/
//! curl -k https://127.0.0.1:8080/
//! ```
#![expect(clippy::print_stdout, reason = "an example talks on its terminal")]

use std::{convert::Infallible, sync::Arc};

use chaski::{
    BoxError, Shutdown,
    http::{Body, Message, Request, Response},
    net::{
        TcpListener,
        peek::{PeekLayer, TlsClientHello},
    },
    service_fn, stack,
    stacks::HttpServer,
    tls::{AcceptLayer, CertifiedKey, Negotiated, ServerConfig},
};

#[tokio::main]
async fn main() -> Result<(), BoxError> {
    let addr = std::env::args().nth(1).unwrap_or("127.0.0.1:0".to_owned());
    let listener = TcpListener::bind(addr).await?;
    println!("listening on {}", listener.local_addr()?);

    let tls = ServerConfig::new(CertifiedKey::self_signed(["localhost", "127.0.0.1"])?);
    // One server for both: it knows by the connection's facts whether there is TLS, and looks at the first bytes if not.
    let server = Arc::new(HttpServer::new(service_fn(hello)));
    let service = stack(
        PeekLayer::new().case(
            "TLS",
            TlsClientHello,
            stack(AcceptLayer::new(tls.with_alpn(HttpServer::<()>::ALPN))?, Arc::clone(&server)),
        ),
        server,
    );
    println!("{}", listener.describe(&service));
    listener.serve(service, &Shutdown::new()).await;
    Ok(())
}

/// Tells how it was asked.
async fn hello(request: Request) -> Result<Response, Infallible> {
    let tls =
        request.fact::<Negotiated>().map_or_else(|| "in clear".to_owned(), |tls| format!("over {}", tls.version()));
    Ok(Response::new(Body::from(format!("{:?} {tls}\n", request.version()))))
}
