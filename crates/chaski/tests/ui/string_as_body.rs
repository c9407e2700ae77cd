//! The server's responses have `chaski::http::Body`, not whatever can be made into one.

use std::convert::Infallible;

use chaski::{Conn, check, http::Request, http1::Http1Server, service_fn};
use tokio::net::TcpStream;

fn main() {
    let hello = service_fn(async |_: Request| Ok::<_, Infallible>(http::Response::new("hello".to_owned())));
    let _ = check::<Conn<TcpStream>, _>(Http1Server::new(hello));
}
