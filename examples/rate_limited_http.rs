//! An HTTP service that each client may call five times in ten seconds; who asks more often is answered 429.
//!
//! ```sh
//! cargo run -p chaski-examples --bin rate-limited-http -- 127.0.0.1:8080
//! for n in 1 2 3 4 5 6; do curl -i http://127.0.0.1:8080/; done
//! ```
#![expect(clippy::print_stdout, reason = "an example talks on its terminal")]

use std::{
    convert::Infallible,
    net::{IpAddr, Ipv6Addr},
    num::{NonZeroU32, NonZeroUsize},
    time::Duration,
};

use chaski::{
    BoxError, ServiceExt, Shutdown, SocketAddrs,
    http::{Body, Message, Request, Response},
    http1::Http1Server,
    layer_fn,
    middleware::{KeyedRateLimitLayer, LayerError, Rate, RateLimited},
    net::TcpListener,
    service_fn, stack,
};
use http::{StatusCode, header};

const CALLS: NonZeroU32 = NonZeroU32::new(5).unwrap();
const PERIOD: Duration = Duration::from_secs(10);
/// How many clients are told apart. Memory is bounded by it, whoever comes.
const CLIENTS: NonZeroUsize = NonZeroUsize::new(10_000).unwrap();

#[tokio::main]
async fn main() -> Result<(), BoxError> {
    let addr = std::env::args().nth(1).unwrap_or("127.0.0.1:0".to_owned());
    let listener = TcpListener::bind(addr).await?;
    println!("listening on {}", listener.local_addr()?);

    let service = stack(
        (
            // Outside of the limit, whose refusals it turns into answers.
            layer_fn(|inner| ServiceExt::map_result(inner, too_many)),
            KeyedRateLimitLayer::new(Rate::new(CALLS, PERIOD), CLIENTS, client),
        ),
        service_fn(hello),
    );
    listener.serve(Http1Server::new(service), &Shutdown::new()).await;
    Ok(())
}

async fn hello(_: Request) -> Result<Response, Infallible> {
    Ok(Response::new(Body::full("hello\n")))
}

/// Who is calling. Of an IPv6 address the first 64 bits count: one machine can use all addresses below them.
fn client(request: &Request) -> Option<IpAddr> {
    let peer = request.fact::<SocketAddrs>()?.peer.ip();
    Some(match peer {
        IpAddr::V6(ip) => Ipv6Addr::from_bits(ip.to_bits() & (!0 << 64)).into(),
        ip => ip,
    })
}

/// Makes a 429 of a call that the limit has refused.
fn too_many<E>(result: Result<Response, LayerError<RateLimited, E>>) -> Result<Response, E> {
    match result {
        Ok(response) => Ok(response),
        Err(LayerError::Inner(error)) => Err(error),
        Err(LayerError::Layer(limited)) => {
            let mut response = Response::new(Body::full("too many requests\n"));
            *response.status_mut() = StatusCode::TOO_MANY_REQUESTS;
            // Whole seconds (RFC 9110 section 10.2.3), rounded up: a second too late is better than one too early.
            let seconds = limited.retry_after.as_secs_f64().ceil() as u64;
            response.headers_mut().insert(header::RETRY_AFTER, seconds.into());
            Ok(response)
        }
    }
}
