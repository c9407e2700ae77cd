//! One port, two protocols: the first bytes of a connection say who serves it. Nothing is consumed by looking.
//!
//! ```sh
//! cargo run -p chaski-examples --bin peek-and-branch -- 127.0.0.1:8080
//! curl http://127.0.0.1:8080/
//! printf 'ECHO hello' | nc -N 127.0.0.1 8080
//! ```
#![expect(clippy::print_stdout, reason = "an example talks on its terminal")]

use std::{convert::Infallible, io, time::Duration};

use chaski::{
    BoxError, Conn, Prefixed, Shutdown,
    http::{Body, Request, Response},
    http1::Http1Server,
    net::{
        TcpListener,
        peek::{PeekLayer, Prefix},
    },
    service_fn, stack,
};
use tokio::net::TcpStream;

#[tokio::main]
async fn main() -> Result<(), BoxError> {
    let addr = std::env::args().nth(1).unwrap_or("127.0.0.1:0".to_owned());
    let listener = TcpListener::bind(addr).await?;
    println!("listening on {}", listener.local_addr()?);

    let service = stack(
        PeekLayer::new()
            // A client that sends nothing, or stops in the middle of the word, is let go after this.
            .with_timeout(Duration::from_secs(5))
            .case("echo", Prefix(b"ECHO "), service_fn(echo)),
        // Whatever is not an echo. The HTTP server reads from the first byte on, and refuses what is no HTTP.
        Http1Server::new(service_fn(hello)),
    );
    println!("{}", listener.describe(&service));
    listener.serve(service, &Shutdown::new()).await;
    Ok(())
}

async fn echo(conn: Conn<Prefixed<TcpStream>>) -> io::Result<()> {
    let (mut read, mut write) = tokio::io::split(conn.io);
    tokio::io::copy(&mut read, &mut write).await?;
    Ok(())
}

async fn hello(_: Request) -> Result<Response, Infallible> {
    Ok(Response::new(Body::full("hello\n")))
}
