//! The client side: tunnels through a proxy, as connections.

mod choice;

pub use choice::{HttpProxy, HttpProxyParseError};

use chaski_core::{
    BoxError, BoxIo, Conn, Connect, ConnectError, ConnectStage, Description, Host, HostPort, HttpVersions, Io,
    Protocol, SendError, Service, Session, Target,
    http::{Body, Message, Request, Response, Upgraded},
};
use http::{HeaderValue, Method, StatusCode, Uri, header};

/// A connector that goes through an HTTP proxy where the route says so ([`HttpProxy`]), by a CONNECT tunnel (RFC 9110 section
/// 9.3.6), and dials directly otherwise.
///
/// `P` makes sessions with proxies: an HTTP handshake around TLS around a dialer, so that a proxy is reached in clear or over
/// TLS, in HTTP/1.1 or HTTP/2. `C` dials what needs no proxy. TLS with the target is a layer around this one, and does not know
/// the difference.
///
/// The target's name goes to the proxy as it is: it is resolved there, and an address policy of this side sees the proxy's
/// address alone.
///
/// # Facts
///
/// The scope of a tunnel is a child of that of the connection to the proxy: the addresses found there are the proxy's.
///
/// # Order
///
/// Inside of TLS with the target, outside of the dialer. Of the route it reads [`HttpProxy`]; the dial of the proxy gets the
/// rest, without the [`HttpVersions`] that are for the target.
///
/// # Errors
///
/// Those of the two connectors. [`ConnectStage::Proxy`] with a [`ProxyRefused`] when the proxy answers other than 2xx, with the
/// error of the session when it does not answer, [`ConnectStage::Config`] for a target that has no authority, such as a Unix
/// socket.
///
/// # Cancel safety
///
/// Dropping the future closes the connection to the proxy, or resets the tunnel's stream.
#[derive(Clone, Debug)]
pub struct HttpProxyConnector<P, C> {
    proxies: P,
    direct: C,
}

impl<P, C> HttpProxyConnector<P, C> {
    /// Reaches proxies by `proxies`, and everything else by `direct`.
    pub const fn new(proxies: P, direct: C) -> Self {
        Self { proxies, direct }
    }
}

impl<P, C, IO> Service<Connect> for HttpProxyConnector<P, C>
where
    P: Service<Connect, Error = ConnectError>,
    P::Output: Session<Request> + Service<Request, Output = Response, Error = SendError<Request>>,
    C: Service<Connect, Output = Conn<IO>, Error = ConnectError>,
    IO: Io,
{
    type Output = Conn<BoxIo>;
    type Error = ConnectError;

    async fn serve(&self, connect: Connect) -> Result<Conn<BoxIo>, ConnectError> {
        let Some(proxy) = connect.route.choice::<HttpProxy>().cloned() else {
            return Ok(self.direct.serve(connect).await?.map_io(|io| Box::new(io) as BoxIo));
        };
        let target = authority(&connect.target)?;
        let request = ask(&target, &proxy, &connect)?;
        let session = self.proxies.serve(hop(&proxy, connect)).await?;
        let response = session.serve(request).await.map_err(|error| {
            let scope = error.scope().clone();
            failed(&proxy).with_source(error).with_scope(scope)
        })?;
        tunnel(&proxy, response)
    }

    fn describe(&self) -> Description {
        Description::of::<Self>()
            .child(self.proxies.describe().labelled("proxies"))
            .child(self.direct.describe().labelled("direct"))
    }
}

/// Why a proxy gave no tunnel: it answered the CONNECT request with another status than 2xx. Found beneath a
/// [`ConnectError`].
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the proxy answered {status}{}", .reason.as_ref().map(|reason| format!(" ({reason})")).unwrap_or_default())]
pub struct ProxyRefused {
    /// The status: 407 asks for credentials, 502 and 504 tell that the proxy could not connect.
    pub status: StatusCode,
    /// What the proxy says in `Proxy-Status` (RFC 9209), as far as it can be printed; at most
    /// [`MAX_REASON`](Self::MAX_REASON) bytes of it.
    pub reason: Option<String>,
}

impl ProxyRefused {
    /// How many bytes of `Proxy-Status` are kept.
    pub const MAX_REASON: usize = 256;

    fn new(response: &Response) -> Self {
        let reason = response.headers().get("proxy-status").and_then(|value| value.to_str().ok());
        // A value that is text has one byte for each character.
        let reason = reason.map(|text| text[..text.len().min(Self::MAX_REASON)].to_owned());
        Self { status: response.status(), reason }
    }
}

/// The connection to the proxy itself.
fn hop(proxy: &HttpProxy, connect: Connect) -> Connect {
    let route = connect.route.without::<HttpProxy>().without::<HttpVersions>();
    let protocol = if proxy.is_secure() { Protocol::Https } else { Protocol::Http };
    Connect::new(proxy.address().clone()).with_protocol(protocol).with_route(route).with_scope(connect.ext)
}

fn authority(target: &Target) -> Result<HostPort, ConnectError> {
    match target {
        Target::Host(target) => Ok(target.clone()),
        Target::Addr(addr) => Ok(HostPort::new(Host::from(addr.ip()), addr.port())),
        other => {
            let reason = "only hosts and addresses can be reached through an HTTP proxy";
            Err(ConnectError::new(ConnectStage::Config).with_message(other.to_string()).with_source(reason))
        }
    }
}

fn ask(target: &HostPort, proxy: &HttpProxy, connect: &Connect) -> Result<Request, ConnectError> {
    let text = target.uri().to_string();
    let invalid =
        |error: BoxError| ConnectError::new(ConnectStage::Config).with_message(target.to_string()).with_source(error);
    let host = HeaderValue::try_from(&text).map_err(|error| invalid(error.into()))?;
    let uri = Uri::try_from(text).map_err(|error| invalid(error.into()))?;
    let mut request = Request::new(Body::empty());
    *request.method_mut() = Method::CONNECT;
    *request.uri_mut() = uri;
    // RFC 9112 section 3.2: a client sends Host with every request, CONNECT too.
    request.headers_mut().insert(header::HOST, host);
    if let Some(authorization) = proxy.authorization() {
        request.headers_mut().insert(header::PROXY_AUTHORIZATION, authorization.clone());
    }
    request.set_scope(connect.ext.fork());
    Ok(request)
}

fn tunnel(proxy: &HttpProxy, mut response: Response) -> Result<Conn<BoxIo>, ConnectError> {
    let scope = response.existing_scope().cloned().unwrap_or_default();
    if !response.status().is_success() {
        return Err(failed(proxy).with_source(ProxyRefused::new(&response)).with_scope(scope));
    }
    Upgraded::take(&mut response)
        .ok_or_else(|| failed(proxy).with_source("the session gave no connection for the tunnel").with_scope(scope))
}

fn failed(proxy: &HttpProxy) -> ConnectError {
    ConnectError::new(ConnectStage::Proxy).with_message(proxy.address().to_string())
}
