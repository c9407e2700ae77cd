//! What is known on which scope: a forward proxy that prints, for each scope on the way of a request and of a tunnel,
//! whose address is found there and what else. Client, proxy and origin run in this one program, over loopback.
//!
//! ```sh
//! cargo run -p chaski-examples --bin scopes
//! ```
#![expect(clippy::print_stdout, reason = "an example talks on its terminal")]

use std::{convert::Infallible, net::SocketAddr, sync::Arc, time::Duration};

use chaski::{
    BoxError, BoxIo, Bridge, Conn, Connect, ConnectError, Extensions, Service, Shutdown, SocketAddrs,
    client::Client,
    http::{Body, Message, Request, Response},
    http1::{Http1ClientConfig, Http1Connector, Http1Server},
    net::{DialReport, Dialer, Relay, RelayReport, TcpListener},
    proxy::ForwardProxy,
    service_fn, service_fn_with,
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};

/// A fact of our own. Facts are found by their type, so each deserves one.
#[derive(Clone, Copy, Debug)]
struct Asked(&'static str);

/// The address of the origin, by which the two sides are told apart.
type Origin = SocketAddr;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), BoxError> {
    let shutdown = Shutdown::new();
    let (origin, proxy) = (TcpListener::bind("127.0.0.1:0").await?, TcpListener::bind("127.0.0.1:0").await?);
    let (origin_addr, proxy_addr) = (origin.local_addr()?, proxy.local_addr()?);
    let hello = service_fn(async |_: Request| Ok::<_, Infallible>(Response::new(Body::full("hello"))));
    let running = [
        tokio::spawn(serve(origin, Http1Server::new(hello), shutdown.clone())),
        tokio::spawn(serve(proxy, talkative_proxy(origin_addr), shutdown.clone())),
    ];

    println!("{:<22} {:<8} {:<8} dial", "scope", "peer", "asked");
    let end = "Host: a\r\nConnection: close\r\n\r\n";
    let answer = talk(proxy_addr, &format!("GET http://{origin_addr}/ HTTP/1.1\r\n{end}")).await?;
    assert!(answer.ends_with("hello"), "{answer}");
    println!();
    // What follows the CONNECT request goes through the tunnel.
    let inside = format!("GET / HTTP/1.1\r\n{end}");
    let answer = talk(proxy_addr, &format!("CONNECT {origin_addr} HTTP/1.1\r\nHost: a\r\n\r\n{inside}")).await?;
    assert!(answer.ends_with("hello"), "{answer}");

    shutdown.drain(Duration::from_secs(1)).await;
    for task in running {
        task.await?;
    }
    Ok(())
}

async fn serve<S>(listener: TcpListener, service: S, shutdown: Shutdown)
where
    S: Service<Conn<TcpStream>, Error: Into<BoxError>>,
{
    listener.serve(service, &shutdown).await;
}

/// The proxy, with a look at the scope at each of its seams.
fn talkative_proxy(origin: Origin) -> impl Service<Conn<TcpStream>, Output = (), Error = BoxError> {
    let dialer = Arc::new(service_fn_with((origin, Dialer::new()), dial));
    let client = Client::new(Http1Connector::new(Arc::clone(&dialer), Http1ClientConfig::default()));
    let relay = service_fn_with(origin, relay);
    let requests = service_fn_with((origin, Arc::new(ForwardProxy::new(client, dialer, relay))), answer);
    service_fn_with((origin, Arc::new(Http1Server::new(requests))), async |(origin, server), conn| {
        let (conn, server): (Conn<TcpStream>, Arc<Http1Server<_>>) = (conn, server);
        show("client's connection", &conn.ext, origin);
        Ok(server.serve(conn).await?)
    })
}

async fn answer<P>((origin, proxy): (Origin, Arc<P>), mut request: Request) -> Result<Response, Infallible>
where
    P: Service<Request, Output = Response, Error = Infallible>,
{
    // Two: a request's scope is a child of its connection's. It sees what the connection knows, and never the reverse.
    let asked = if request.method() == http::Method::CONNECT { "tunnel" } else { "page" };
    request.scope().insert(Asked(asked));
    show("request", request.scope(), origin);
    let mut response = proxy.serve(request).await?;
    // Two again: a response's scope is a child of the connection that it came on, so the peer is another.
    show("response", response.scope(), origin);
    Ok(response)
}

async fn dial((origin, dialer): (Origin, Dialer), connect: Connect) -> Result<Conn<TcpStream>, ConnectError> {
    // Three: a dial's scope is a child of the request's, and the connection that comes of it starts afresh.
    let attempt = connect.ext.clone();
    let conn = dialer.serve(connect).await?;
    show("dial", &attempt, origin);
    show("upstream connection", &conn.ext, origin);
    Ok(conn)
}

async fn relay(origin: Origin, bridge: Bridge<BoxIo, TcpStream>) -> Result<RelayReport, Infallible> {
    // Four: the side that was asked for the tunnel is a child of the request. The other one is the dialed connection.
    show("tunnel, client's side", &bridge.a.ext, origin);
    show("tunnel, origin's side", &bridge.b.ext, origin);
    Relay::default().serve(bridge).await
}

/// One line: whose address is found on this scope, what we noted, how the dial went.
fn show(name: &str, scope: &Extensions, origin: Origin) {
    let side = |ends: &SocketAddrs| if ends.peer == origin { "origin" } else { "client" };
    let peer = scope.get::<SocketAddrs>().map_or("-", side);
    let asked = scope.get::<Asked>().map_or("-", |Asked(what)| what);
    let dial = scope.get::<DialReport>().map_or("-".to_owned(), |dial| format!("{} attempt", dial.attempts.len()));
    println!("{name:<22} {peer:<8} {asked:<8} {dial}");
}

async fn talk(addr: SocketAddr, text: &str) -> std::io::Result<String> {
    let mut stream = TcpStream::connect(addr).await?;
    stream.write_all(text.as_bytes()).await?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await?;
    Ok(answer)
}
