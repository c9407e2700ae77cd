//! `bench-h1 PORT THREADS`: answers every request with `Hello, World!`, with the defaults of every layer.

use std::convert::Infallible;

use chaski::{
    BoxError, Shutdown,
    http::{Body, Request, Response},
    http1::Http1Server,
    net::TcpListener,
    service_fn,
};
use http::{HeaderValue, header::CONTENT_TYPE};

fn main() -> Result<(), BoxError> {
    let mut args = std::env::args().skip(1);
    let (Some(port), Some(threads)) = (args.next(), args.next()) else {
        return Err("usage: bench-h1 PORT THREADS".into());
    };
    let (port, threads): (u16, usize) = (port.parse()?, threads.parse()?);
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(threads).enable_all().build()?;
    // The accept loop runs on a worker, beside the connections, not on the thread that waits for it.
    runtime.block_on(runtime.spawn(serve(port)))?
}

async fn serve(port: u16) -> Result<(), BoxError> {
    let listener = TcpListener::bind(("127.0.0.1", port)).await?;
    listener.serve(Http1Server::new(service_fn(hello)), &Shutdown::new()).await;
    Ok(())
}

async fn hello(_: Request) -> Result<Response, Infallible> {
    let mut response = Response::new(Body::from("Hello, World!"));
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("text/plain"));
    Ok(response)
}
