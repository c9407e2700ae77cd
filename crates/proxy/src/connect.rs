//! CONNECT: tunnels.

use std::{convert::Infallible, sync::Arc};

use chaski_core::{
    BoxIo, Bridge, Conn, Connect, Description, HostPort, IntoBoxError, Io, Route, Service, TunnelTarget, display_chain,
    http::{Body, Message, Request, Response, Upgrade, empty_extensions},
};
use http::{StatusCode, Uri, header};
use http_body::Body as _;

use crate::{answer::Refusal, status::ProxyError};

/// Answers CONNECT requests: dials the target, then says 200 and relays (RFC 9110 section 9.3.6).
///
/// `D` dials, and holds the address policy; `R` relays between the client's connection and the dialed one. The answer
/// waits for the dial, so that a client that reads 200 has a tunnel, and one that has none learns why: 502, 504, 403 or
/// 500 with a line of text. [`ForwardProxy`](crate::ForwardProxy) holds one of these; alone it is a proxy that does
/// nothing but tunnel, and has no name to put into Via and Proxy-Status.
///
/// What `R` relays for the client has the fact [`TunnelTarget`]. A service that takes the client's side of the [`Bridge`] for
/// itself, ends TLS on it and serves the requests inside is a relay, too.
///
/// Every port is dialed that the policy allows. A [`Route`] in the request's extensions, put there by a layer above,
/// goes to the dialer.
///
/// # Cancel safety
///
/// Dropping the future drops the dial. A response that is dropped before its [`Upgrade`] ran closes the dialed
/// connection; the relay is dropped with the client's connection.
#[derive(Debug)]
pub struct Tunnel<D, R> {
    dialer: D,
    relay: Arc<R>,
}

impl<D, R> Tunnel<D, R> {
    /// Tunnels through what `dialer` dials, and relays with `relay`.
    pub fn new(dialer: D, relay: R) -> Self {
        Self { dialer, relay: Arc::new(relay) }
    }

    pub(crate) async fn open<IO>(&self, mut request: Request) -> Result<Response, Refusal>
    where
        D: Service<Connect, Output = Conn<IO>>,
        D::Error: IntoBoxError,
        IO: Io,
        R: Service<Bridge<BoxIo, IO>>,
        R::Error: IntoBoxError,
    {
        let target = authority(request.uri())?;
        if has_content(&request) {
            // RFC 9110 section 9.3.6: CONNECT has no content, and what follows its head belongs to the tunnel. A length
            // besides leaves two readings of the same bytes, one of which is another request.
            return Err(Refusal::bad_request("a CONNECT request has no content"));
        }
        let route = request.extensions_mut().remove::<Route>().unwrap_or_default();
        let connect = Connect::new(target.clone()).with_route(route).with_scope(request.fork_scope());
        let upstream = self.dialer.serve(connect).await;
        let upstream = upstream.map_err(|error| Refusal::of_failure(&target, &*error.into_box_error()))?;

        // No content-length and no transfer-encoding: a 2xx answer to CONNECT has neither (RFC 9110 section 9.3.6).
        let mut response = Response::new(Body::empty());
        // Nobody looks at the request any more: the memory of its fields and facts serves the response.
        std::mem::swap(response.headers_mut(), request.headers_mut());
        response.headers_mut().clear();
        std::mem::swap(response.extensions_mut(), request.extensions_mut());
        empty_extensions(response.extensions_mut());
        response.set_scope(upstream.ext.fork());
        let relay = Arc::clone(&self.relay);
        let tunnel = Upgrade::new(async move |client| {
            client.ext.insert(TunnelTarget(target.clone()));
            if let Err(error) = relay.serve(Bridge::new(client, upstream)).await {
                let error = error.into_box_error();
                tracing::debug!(%target, error = %display_chain(&*error), "a tunnel broke");
            }
        });
        tunnel.attach(&mut response);
        Ok(response)
    }
}

impl<D, R, IO> Service<Request> for Tunnel<D, R>
where
    D: Service<Connect, Output = Conn<IO>>,
    D::Error: IntoBoxError,
    IO: Io,
    R: Service<Bridge<BoxIo, IO>>,
    R::Error: IntoBoxError,
{
    type Output = Response;
    type Error = Infallible;

    async fn serve(&self, request: Request) -> Result<Response, Infallible> {
        if request.method() != http::Method::CONNECT {
            let refusal = Refusal::new(
                StatusCode::METHOD_NOT_ALLOWED,
                ProxyError::HttpRequestError,
                "this proxy takes CONNECT requests only",
            );
            let mut response = refusal.into_response(None);
            response.headers_mut().insert(header::ALLOW, http::HeaderValue::from_static("CONNECT"));
            return Ok(response);
        }
        Ok(self.open(request).await.unwrap_or_else(|refusal| refusal.into_response(None)))
    }

    fn describe(&self) -> Description {
        Description::of::<Self>()
            .writes::<TunnelTarget>()
            .child(self.dialer.describe().labelled("dialer"))
            .child(self.relay.describe().labelled("relay"))
    }
}

/// The target of a CONNECT: `host:port` and nothing else (RFC 9112 section 3.2.3).
fn authority(uri: &Uri) -> Result<HostPort, Refusal> {
    let (None, Some(authority), None) = (uri.scheme(), uri.authority(), uri.path_and_query()) else {
        return Err(Refusal::bad_request("the target of CONNECT is host:port"));
    };
    let target: HostPort =
        authority.as_str().parse().map_err(|error| Refusal::bad_request(format!("the target of CONNECT: {error}")))?;
    checked(target)
}

/// Refuses what nobody can be dialed by.
pub(crate) fn checked(target: HostPort) -> Result<HostPort, Refusal> {
    if target.port == 0 {
        return Err(Refusal::bad_request("there is no port 0"));
    }
    // RFC 4007 section 11.2: the zones of one machine mean nothing on another.
    if target.host.zone().is_some() {
        return Err(Refusal::bad_request("an IPv6 zone means nothing to a proxy"));
    }
    Ok(target)
}

/// Whether a request has content or says so. `Content-Length: 0` says that it has none; old clients send it with
/// CONNECT.
pub(crate) fn has_content(request: &Request) -> bool {
    let headers = request.headers();
    headers.contains_key(header::TRANSFER_ENCODING)
        || headers.get_all(header::CONTENT_LENGTH).iter().any(|length| length != "0")
        || !request.body().is_end_stream()
}
