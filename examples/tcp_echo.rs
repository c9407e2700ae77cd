//! A TCP server is a service over connections. This one sends everything back.
//!
//! ```sh
//! cargo run -p chaski-examples --bin tcp-echo -- 127.0.0.1:7000
//! ```
#![expect(clippy::print_stdout, reason = "an example talks on its terminal")]

use std::io;

use chaski::{Conn, Shutdown, net::TcpListener, service_fn};
use tokio::net::TcpStream;

#[tokio::main]
async fn main() -> Result<(), chaski::BoxError> {
    let addr = std::env::args().nth(1).unwrap_or("127.0.0.1:0".to_owned());
    let listener = TcpListener::bind(addr).await?;
    println!("listening on {}", listener.local_addr()?);

    let shutdown = Shutdown::new();
    listener.serve(service_fn(echo), &shutdown).await;
    Ok(())
}

async fn echo(mut conn: Conn<TcpStream>) -> io::Result<u64> {
    let (mut read, mut write) = conn.io.split();
    tokio::io::copy(&mut read, &mut write).await
}
