//! A handler of requests directly under a listener, which has connections to give.

use std::convert::Infallible;

use chaski::{
    Shutdown,
    http::{Body, Request, Response},
    net::TcpListener,
    service_fn,
};

async fn serve(listener: TcpListener, shutdown: &Shutdown) {
    let hello = service_fn(async |_: Request| Ok::<_, Infallible>(Response::new(Body::empty())));
    listener.serve(hello, shutdown).await;
}

fn main() {}
