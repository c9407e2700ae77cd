//! An HTTP server: a listener, the HTTP/1.1 engine, and a service over requests. Stops gracefully at Ctrl-C.
//!
//! ```sh
//! cargo run -p chaski-examples --bin http-hello -- 127.0.0.1:8080
//! curl http://127.0.0.1:8080/ana
//! ```
#![expect(clippy::print_stdout, reason = "an example talks on its terminal")]

use std::{convert::Infallible, time::Duration};

use chaski::{
    Shutdown, SocketAddrs,
    http::{Body, Message, Request, Response},
    http1::Http1Server,
    net::TcpListener,
    service_fn,
};

#[tokio::main]
async fn main() -> Result<(), chaski::BoxError> {
    let addr = std::env::args().nth(1).unwrap_or("127.0.0.1:0".to_owned());
    let listener = TcpListener::bind(addr).await?;
    println!("listening on {}", listener.local_addr()?);

    let shutdown = Shutdown::new();
    tokio::select! {
        () = listener.serve(Http1Server::new(service_fn(hello)), &shutdown) => {}
        _ = tokio::signal::ctrl_c() => {}
    }
    let report = shutdown.drain(Duration::from_secs(10)).await;
    println!("{} drained, {} cut", report.drained, report.cut);
    Ok(())
}

async fn hello(request: Request) -> Result<Response, Infallible> {
    // A fact that the listener recorded about the connection; the request sees it.
    let peer = request.fact::<SocketAddrs>().map(|addrs| addrs.peer.ip().to_string()).unwrap_or_default();
    let name = request.uri().path().trim_start_matches('/');
    Ok(Response::new(Body::full(format!("hello, {name}, from {peer}\n"))))
}
