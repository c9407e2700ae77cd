//! `bench-revproxy PORT THREADS UPSTREAM`: hands every request on to one server, over connections that are kept, and its
//! answer back.

use chaski::{
    BoxError, BoxIo, Conn, Connect, ConnectError, ConnectStage, Service, Shutdown, SocketAddrs,
    client::Client,
    http::{Message, Request, Response},
    http1::{Http1ClientConfig, Http1Connector, Http1Server},
    net::{Dialer, Relay, TcpListener},
    proxy::ForwardProxy,
    service_fn,
};
use http::{
    Uri,
    uri::{Authority, Scheme},
};

fn main() -> Result<(), BoxError> {
    let mut args = std::env::args().skip(1);
    let (Some(port), Some(threads), Some(upstream)) = (args.next(), args.next(), args.next()) else {
        return Err("usage: bench-revproxy PORT THREADS UPSTREAM".into());
    };
    let (port, threads, upstream): (u16, usize, Authority) = (port.parse()?, threads.parse()?, upstream.parse()?);
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(threads).enable_all().build()?;
    runtime.block_on(runtime.spawn(serve(port, upstream)))?
}

async fn serve(port: u16, upstream: Authority) -> Result<(), BoxError> {
    let client = Client::new(Http1Connector::new(Dialer::new(), Http1ClientConfig::default()));
    // Who comes from the front gets no tunnels.
    let no_dialer = service_fn(async |_: Connect| Err::<Conn<BoxIo>, _>(ConnectError::new(ConnectStage::Policy)));
    let forward = ForwardProxy::new(client, no_dialer, Relay::default());
    let listener = TcpListener::bind(("127.0.0.1", port)).await?;
    listener.serve(Http1Server::new(Reverse { upstream, forward }), &Shutdown::new()).await;
    Ok(())
}

/// Makes of a request to this server one that a forward proxy can take: with the upstream in its target.
struct Reverse<P> {
    upstream: Authority,
    forward: P,
}

impl<P> Service<Request> for Reverse<P>
where
    P: Service<Request, Output = Response>,
    P::Error: Into<BoxError>,
{
    type Output = Response;
    type Error = BoxError;

    async fn serve(&self, mut request: Request) -> Result<Response, BoxError> {
        let mut uri = std::mem::take(request.uri_mut()).into_parts();
        uri.scheme = Some(Scheme::HTTP);
        uri.authority = Some(self.upstream.clone());
        *request.uri_mut() = Uri::from_parts(uri)?;
        if let Some(peer) = request.fact::<SocketAddrs>().map(|ends| ends.peer.ip().to_string()) {
            request.headers_mut().insert("x-forwarded-for", peer.try_into()?);
        }
        self.forward.serve(request).await.map_err(Into::into)
    }
}
