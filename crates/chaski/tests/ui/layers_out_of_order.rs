//! A layer for requests outside of the server that makes requests of connections.

use std::convert::Infallible;

use chaski::{
    Conn, check,
    http::{Body, Request, Response},
    http1::Http1Server,
    proxy::ProxyAuthLayer,
    service_fn, stack,
};
use tokio::net::TcpStream;

fn main() {
    let hello = service_fn(async |_: Request| Ok::<_, Infallible>(Response::new(Body::empty())));
    let server = stack(ProxyAuthLayer::new([]), Http1Server::new(hello));
    let _ = check::<Conn<TcpStream>, _>(server);
}
