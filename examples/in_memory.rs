//! Client and server logic in one process, with no socket between them: how to test a stack without infrastructure.
//!
//! ```sh
//! cargo run -p chaski-examples --bin in-memory
//! ```
#![expect(clippy::print_stdout, reason = "an example talks on its terminal")]

use std::convert::Infallible;

use chaski::{
    Service, Shutdown,
    client::Client,
    http::{Body, Request, Response},
    http1::{Http1ClientConfig, Http1Connector, Http1Server},
    net::memory,
    service_fn,
};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), chaski::BoxError> {
    let (listener, connector) = memory::listen("shop");
    let shutdown = Shutdown::new();
    let server = tokio::spawn({
        let shutdown = shutdown.clone();
        async move { listener.serve(Http1Server::new(service_fn(shop)), &shutdown).await }
    });

    // The same client that would stand on TCP, on another connector.
    let client = Client::new(Http1Connector::new(connector, Http1ClientConfig::default()));
    let order = Request::post("http://shop/orders").body(Body::full("2 x coca"))?;
    let response = client.serve(order).await?;
    assert_eq!(response.status(), http::StatusCode::CREATED);
    println!("{}", String::from_utf8_lossy(&response.into_body().collect(1024).await?));

    shutdown.drain(std::time::Duration::from_secs(1)).await;
    server.await?;
    Ok(())
}

async fn shop(request: Request) -> Result<Response, Infallible> {
    let order = request.into_body().collect(1024).await.unwrap_or_default();
    let mut response = Response::new(Body::full(format!("ordered: {}", String::from_utf8_lossy(&order))));
    *response.status_mut() = http::StatusCode::CREATED;
    Ok(response)
}
