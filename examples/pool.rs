//! What a client's pool does under load: two dozen calls at once, four connections, a bounded number of calls that wait,
//! and the counts of all that. Server and client run in this one program, in memory.
//!
//! ```sh
//! cargo run -p chaski-examples --bin pool
//! ```
#![expect(clippy::print_stdout, reason = "an example talks on its terminal")]

use std::{convert::Infallible, time::Duration};

use chaski::{
    BoxError, Service, Shutdown,
    client::{Client, ClientConfig, ClientError, ClientErrorKind, ConnectionReuse},
    http::{Body, Message, Request, Response},
    http1::{Http1ClientConfig, Http1Connector, Http1Server},
    net::memory,
    service_fn,
};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), BoxError> {
    let (listener, connector) = memory::listen("busy");
    let shutdown = Shutdown::new();
    let server = tokio::spawn({
        let shutdown = shutdown.clone();
        async move { listener.serve(Http1Server::new(service_fn(hello)), &shutdown).await }
    });

    let config = ClientConfig::default()
        // More would not make this server faster.
        .with_max_connections_per_key(4)
        // A call beyond these fails at once: to wait without a bound is to answer nobody in time.
        .with_max_waiting(16);
    let client = Client::with_config(Http1Connector::new(connector, Http1ClientConfig::default()), config);

    let calls: Vec<_> = (0..24)
        .map(|_| {
            let client = client.clone();
            tokio::spawn(async move { ask(&client).await })
        })
        .collect();
    let (mut fresh, mut reused, mut refused) = (0, 0, 0);
    for call in calls {
        match call.await?? {
            Some(connection) if connection.reused() => reused += 1,
            Some(_) => fresh += 1,
            None => refused += 1,
        }
    }
    println!("{fresh} on a fresh connection, {reused} on a reused one, {refused} refused");

    let stats = client.stats();
    println!("{} dials, {} waits, {} open, {} idle", stats.dials, stats.waits, stats.open, stats.idle);
    client.close_idle();
    println!("{} closed because we asked", client.stats().closed_asked);

    shutdown.drain(Duration::from_secs(1)).await;
    server.await?;
    Ok(())
}

/// How the connection of one call was come by; `None` when the call was refused.
async fn ask<C>(client: &C) -> Result<Option<ConnectionReuse>, BoxError>
where
    C: Service<Request, Output = Response, Error = ClientError>,
{
    let response = match client.serve(Request::get("http://busy/").body(Body::empty())?).await {
        Ok(response) => response,
        Err(error) if error.kind() == ClientErrorKind::Limit => return Ok(None),
        Err(error) => return Err(error.into()),
    };
    let reuse = response.fact::<ConnectionReuse>().cloned();
    // The connection goes to the next call when the body has ended, not before.
    response.into_body().collect(1024).await?;
    Ok(reuse)
}

async fn hello(_: Request) -> Result<Response, Infallible> {
    Ok(Response::new(Body::full("hello")))
}
