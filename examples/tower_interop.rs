//! tower and chaski in one stack: layers of tower-http and a router of axum under chaski's server, a layer of chaski's
//! within the router.
//!
//! ```sh
//! cargo run -p chaski-examples --bin tower-interop -- 127.0.0.1:8080
//! curl --compressed http://127.0.0.1:8080/users/ana
//! curl http://127.0.0.1:8080/stats
//! ```
#![expect(clippy::print_stdout, reason = "an example talks on its terminal")]

use axum::{Extension, Router, extract::Path, routing::get};
use chaski::{
    Extensions, Shutdown, SocketAddrs,
    http1::Http1Server,
    net::TcpListener,
    stack,
    telemetry::Metrics,
    tower::{ChaskiHttpLayer, TowerHttpLayer, from_tower_http},
};
use tower_http::{compression::CompressionLayer, limit::RequestBodyLimitLayer};

#[tokio::main]
async fn main() -> Result<(), chaski::BoxError> {
    let metrics = Metrics::new();
    let stats = metrics.clone();
    let router = Router::new()
        .route("/users/{name}", get(greet))
        // Within the router: what is below is counted, and `/stats` is not.
        .layer(ChaskiHttpLayer::new(metrics.request_layer()))
        .route("/stats", get(async move || stats.snapshot().to_string()));
    let service = stack(
        (
            // Outermost, so that every answer is compressed.
            TowerHttpLayer::new(CompressionLayer::new()),
            TowerHttpLayer::new(RequestBodyLimitLayer::new(64 * 1024)),
        ),
        from_tower_http(router),
    );

    let addr = std::env::args().nth(1).unwrap_or("127.0.0.1:0".to_owned());
    let listener = TcpListener::bind(addr).await?;
    println!("listening on {}", listener.local_addr()?);
    listener.serve(Http1Server::new(service), &Shutdown::new()).await;
    Ok(())
}

/// A handler of axum's. What chaski's listener knows of the connection stands in the scope, which is an extension to axum.
async fn greet(Path(name): Path<String>, Extension(scope): Extension<Extensions>) -> String {
    let from = scope.get::<SocketAddrs>().map(|addrs| addrs.peer.ip().to_string()).unwrap_or_default();
    format!("hello, {name}, from {from}\n").repeat(3)
}
