//! `rama-hello PORT THREADS`: `Hello, World!` on rama, over HTTP/1.1 alone.

use std::{convert::Infallible, error::Error};

use rama::{
    http::{Body, HeaderValue, Request, Response, header::CONTENT_TYPE, server::HttpServer},
    rt::Executor,
    service::service_fn,
};

fn main() -> Result<(), Box<dyn Error>> {
    let args = rama_peers::arguments("rama-hello PORT THREADS")?;
    let server = HttpServer::new_http1(Executor::default()).service(service_fn(hello));
    rama_peers::run(&args[0], &args[1], server)
}

async fn hello(_: Request) -> Result<Response, Infallible> {
    let mut response = Response::new(Body::from("Hello, World!"));
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("text/plain"));
    Ok(response)
}
