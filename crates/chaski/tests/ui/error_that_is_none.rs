//! A handler's error has to be an `Error`, so that it can be reported.

use chaski::{
    Conn, check,
    http::{Request, Response},
    http1::Http1Server,
    service_fn,
};
use tokio::net::TcpStream;

struct Oops;

fn main() {
    let fails = service_fn(async |_: Request| Err::<Response, _>(Oops));
    let _ = check::<Conn<TcpStream>, _>(Http1Server::new(fails));
}
