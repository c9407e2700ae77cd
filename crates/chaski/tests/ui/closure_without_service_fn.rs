//! A closure is not a service until `service_fn` makes it one.

use std::convert::Infallible;

use chaski::{Conn, Shutdown, net::TcpListener};
use tokio::net::TcpStream;

async fn serve(listener: TcpListener, shutdown: &Shutdown) {
    listener.serve(async |_: Conn<TcpStream>| Ok::<_, Infallible>(()), shutdown).await;
}

fn main() {}
