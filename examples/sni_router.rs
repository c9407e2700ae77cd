//! One port for several TLS servers: the name that a client asks for says which of them it reaches. TLS is not ended here,
//! so no certificate is needed, and nothing of what is said can be read.
//!
//! ```sh
//! cargo run -p chaski-examples --bin sni-router -- 127.0.0.1:8443 example.com=127.0.0.1:4433 '*.example.com=127.0.0.1:4434'
//! openssl s_client -connect 127.0.0.1:8443 -servername www.example.com
//! ```
#![expect(clippy::print_stdout, reason = "an example talks on its terminal")]

use chaski::tls::{SniRouter, hello::ClientHello};
use chaski::{
    BoxError, BoxService, Bridge, Conn, Connect, HostPort, Prefixed, Service, ServiceExt, Shutdown,
    net::{Dialer, Relay, TcpListener},
    service_fn_with,
};
use tokio::net::TcpStream;

/// What serves a connection of which the hello was read.
type Route = BoxService<Conn<Prefixed<TcpStream>>, (), BoxError>;

#[tokio::main]
async fn main() -> Result<(), BoxError> {
    let mut arguments = std::env::args().skip(1);
    let listener = TcpListener::bind(arguments.next().unwrap_or("127.0.0.1:0".to_owned())).await?;

    let mut router = SniRouter::new();
    for argument in arguments {
        let (name, target) = argument.split_once('=').ok_or("a route is NAME=HOST:PORT")?;
        router = router.route(name, to(target.parse()?))?;
    }
    println!("listening on {}", listener.local_addr()?);
    println!("{}", listener.describe(&router));
    listener.serve(router, &Shutdown::new()).await;
    Ok(())
}

/// Relays to one server.
fn to(target: HostPort) -> Route {
    service_fn_with((target, Dialer::new()), async |(target, dialer): (HostPort, Dialer), client: Conn<_>| {
        if let Some(hello) = client.ext.get::<ClientHello>() {
            println!("{} by {}", hello.server_name().map(ToString::to_string).unwrap_or_default(), hello.ja4());
        }
        let server = dialer.serve(Connect::new(target)).await?;
        Relay::default().serve(Bridge::new(client, server)).await?;
        Ok::<_, BoxError>(())
    })
    .boxed()
}
