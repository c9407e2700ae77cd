//! A server in front of another: it passes every request on to one upstream with a field added, and streams bodies both
//! ways. A server and a client make a gateway.
//!
//! ```sh
//! cargo run -p chaski-examples --bin http-hello -- 127.0.0.1:8080
//! cargo run -p chaski-examples --bin reverse-http -- 127.0.0.1:8081 127.0.0.1:8080
//! curl -i http://127.0.0.1:8081/ana
//! ```
#![expect(clippy::print_stdout, clippy::print_stderr, reason = "an example talks on its terminal")]

use std::error::Error;

use chaski::{
    BoxError, Description, Service, Shutdown, SocketAddrs,
    client::{Client, ClientError},
    display_chain, find_cause,
    http::{Body, Message, Request, Response},
    http1::{Http1ClientConfig, Http1Connector, Http1Server, RequestBodyError},
    net::{Dialer, TcpListener},
    proxy::remove_hop_fields,
};
use http::{
    HeaderValue, StatusCode, Uri, Version, header,
    uri::{Authority, Scheme},
};

#[tokio::main]
async fn main() -> Result<(), BoxError> {
    let mut args = std::env::args().skip(1);
    let (Some(addr), Some(upstream)) = (args.next(), args.next()) else {
        return Err("usage: reverse-http ADDR UPSTREAM".into());
    };
    let listener = TcpListener::bind(addr).await?;
    println!("listening on {}", listener.local_addr()?);

    let server = Http1Server::new(Reverse {
        upstream: upstream.parse()?,
        client: Client::new(Http1Connector::new(Dialer::new(), Http1ClientConfig::default())),
    });
    println!("{}", listener.describe(&server));
    listener.serve(server, &Shutdown::new()).await;
    Ok(())
}

/// Generic over the client, so that a test can give it a function instead.
struct Reverse<C> {
    upstream: Authority,
    client: C,
}

impl<C> Service<Request> for Reverse<C>
where
    C: Service<Request, Output = Response, Error = ClientError>,
{
    type Output = Response;
    type Error = BoxError;

    async fn serve(&self, mut request: Request) -> Result<Response, BoxError> {
        self.prepare(&mut request)?;
        // The body is not read here: the client's engine polls it, and that reads the socket of whoever sent it.
        match self.client.serve(request).await {
            Ok(mut response) => {
                remove_hop_fields(response.headers_mut());
                response.headers_mut().insert("x-served-by", HeaderValue::from_static("chaski"));
                Ok(response)
            }
            // The sender's fault: the server's engine answers 400 or 408.
            Err(error) if find_cause::<RequestBodyError>(&error).is_some() => Err(error.into()),
            Err(error) => Ok(bad_gateway(&error, error.is_timeout())),
        }
    }

    fn describe(&self) -> Description {
        Description::of::<Self>()
            .setting("upstream", &self.upstream)
            .reads::<SocketAddrs>()
            .child(self.client.describe())
    }
}

impl<C> Reverse<C> {
    fn prepare(&self, request: &mut Request) -> Result<(), BoxError> {
        let mut uri = std::mem::take(request.uri_mut()).into_parts();
        uri.scheme = Some(Scheme::HTTP);
        uri.authority = Some(self.upstream.clone());
        *request.uri_mut() = Uri::from_parts(uri)?;
        // The version is each sender's own (RFC 9110 section 2.5).
        *request.version_mut() = Version::HTTP_11;

        let peer = request.fact::<SocketAddrs>().map(|ends| ends.peer.ip().to_string());
        let headers = request.headers_mut();
        // Length and chunking are the engine's business.
        remove_hop_fields(headers);
        // Without it the engine writes the one that follows from the URI.
        if let Some(host) = headers.remove(header::HOST) {
            headers.insert("x-forwarded-host", host);
        }
        if let Some(peer) = peer {
            headers.insert("x-forwarded-for", peer.try_into()?);
        }
        Ok(())
    }
}

/// The answer when there is none: why goes to the log, not to the client.
fn bad_gateway(error: &(dyn Error + 'static), timeout: bool) -> Response {
    eprintln!("{}", display_chain(error));
    let mut response = Response::new(Body::empty());
    *response.status_mut() = if timeout { StatusCode::GATEWAY_TIMEOUT } else { StatusCode::BAD_GATEWAY };
    response
}
