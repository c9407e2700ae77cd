//! HTTP over a Unix socket, both sides. The server tells who is asking: the kernel says so, nobody can claim it.
//!
//! ```sh
//! cargo run -p chaski-examples --bin unix-socket -- serve /tmp/chaski.sock
//! cargo run -p chaski-examples --bin unix-socket -- ask /tmp/chaski.sock /hello
//! curl --unix-socket /tmp/chaski.sock http://localhost/hello
//! ```
#![expect(clippy::print_stdout, reason = "an example talks on its terminal")]

use std::{convert::Infallible, time::Duration};

use chaski::{
    BoxError, Service, Shutdown,
    client::Client,
    http::{Body, Message, Request, Response},
    http1::{Http1ClientConfig, Http1Connector, Http1Server},
    net::{PeerCredentials, UnixConnector, UnixListener},
    service_fn,
};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), BoxError> {
    let args: Vec<String> = std::env::args().skip(1).collect();
    match args.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        ["serve", path] => serve(path).await,
        ["ask", path, target] => ask(path, target).await,
        _ => Err("usage: unix-socket serve PATH, or unix-socket ask PATH TARGET".into()),
    }
}

async fn serve(path: &str) -> Result<(), BoxError> {
    // Only its owner may connect, unless `bind_with` is given another mode. A file that a killed server has left is replaced.
    let listener = UnixListener::bind(path)?;
    println!("listening on {path}");
    let shutdown = Shutdown::new();
    tokio::select! {
        () = listener.serve(Http1Server::new(service_fn(whoami)), &shutdown) => {}
        _ = tokio::signal::ctrl_c() => {}
    }
    // The file has gone with the listener.
    shutdown.drain(Duration::from_secs(10)).await;
    Ok(())
}

async fn whoami(request: Request) -> Result<Response, Infallible> {
    let path = request.uri().path();
    let text = match request.fact::<PeerCredentials>() {
        Some(peer) => format!("{path}: you are user {}\n", peer.uid),
        None => format!("{path}: this system does not tell who you are\n"),
    };
    Ok(Response::new(Body::full(text)))
}

async fn ask(path: &str, target: &str) -> Result<(), BoxError> {
    // Whatever host the URI names, the connection goes to the socket; the server sees the name in Host.
    let client = Client::new(Http1Connector::new(UnixConnector::to(path), Http1ClientConfig::default()));
    let response = client.serve(Request::get(format!("http://localhost{target}")).body(Body::empty())?).await?;
    let text = response.into_body().collect(64 * 1024).await?;
    print!("{}", String::from_utf8_lossy(&text));
    Ok(())
}
