//! Requests in absolute-form: forwarding. And the proxy as a whole.

use std::{convert::Infallible, sync::Arc};

use chaski_core::{
    BoxIo, Bridge, Conn, Connect, Description, HostPort, IntoBoxError, Io, Service,
    http::{Body, EditInformational, Informational, InformationalSource, OnInformational, Request, Response},
};
use http::{HeaderValue, Method, StatusCode, Uri, Version, header, uri::Authority};

use crate::{
    Tunnel,
    answer::Refusal,
    connect::has_content,
    hop::{self, Forwards, Pseudonym, Seen, Via},
    status::{self, ProxyError},
    targets::{Target, Targets},
    trace, upload,
};

/// What this proxy does for a target, for Allow.
const ALLOW: HeaderValue = HeaderValue::from_static("GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS, TRACE, CONNECT");

/// An HTTP forward proxy: requests in absolute-form go on through an HTTP client, CONNECT requests become tunnels.
///
/// `C` is the client, for requests with an absolute `http` URI; `D` dials the targets of CONNECT; `R` relays between the
/// two connections of a tunnel. The proxy itself opens nothing: whether an address may be dialed is decided by the
/// [`Rules`](crate::Rules) that the client's and the tunnels' dialer ask.
///
/// It answers every request, with a line of text where it answers itself, and never fails. See the
/// [crate's page](crate) for what it refuses and why.
///
/// # Scopes
///
/// A request goes to the client in the scope it came with, and a dial gets a fork of it. A response comes back in the
/// scope it came with; that of a tunnel's 200 is a fork of the dialed connection's.
///
/// # Cancel safety
///
/// Dropping the future drops the client's or the dialer's.
#[derive(Debug)]
pub struct ForwardProxy<C, D, R> {
    client: C,
    tunnel: Tunnel<D, R>,
    /// Shared with what is done for informational responses.
    via: Arc<Via>,
    targets: Targets,
}

impl<C, D, R> ForwardProxy<C, D, R> {
    /// A proxy under a [random pseudonym](Pseudonym::random).
    pub fn new(client: C, dialer: D, relay: R) -> Self {
        let via = Arc::new(Via::new(Pseudonym::random()));
        Self { client, tunnel: Tunnel::new(dialer, relay), via, targets: Targets::new() }
    }

    /// Sets the name in Via and Proxy-Status.
    #[must_use]
    pub fn with_pseudonym(mut self, pseudonym: Pseudonym) -> Self {
        self.via = Arc::new(Via::new(pseudonym));
        self
    }

    /// The name in Via and Proxy-Status.
    pub fn pseudonym(&self) -> &Pseudonym {
        self.via.pseudonym()
    }

    async fn forward(&self, mut request: Request, seen: Seen) -> Result<Response, Refusal>
    where
        C: Service<Request, Output = Response>,
        C::Error: IntoBoxError,
    {
        if is_for_the_proxy_itself(&request) {
            return Ok(options());
        }
        let target = self.targets.of(http_authority(request.uri())?)?;
        if let Some(answer) = answer_as_last(&mut request)? {
            return Ok(answer);
        }
        self.prepare(&mut request, seen, &target)?;
        let response = self.client.serve(request).await;
        let response = response.map_err(|error| Refusal::of_failure(&target.server, &*error.into_box_error()))?;
        self.hand_back(response, &target.server)
    }

    /// Makes of the request that the proxy got the one that it sends.
    fn prepare(&self, request: &mut Request, seen: Seen, target: &Target) -> Result<(), Refusal> {
        let headers = request.headers_mut();
        if seen.of_one_hop {
            hop::strip_request(headers).map_err(|hop::NamesEndToEnd(name)| {
                Refusal::bad_request(format!("Connection names {name}, which is for all recipients"))
            })?;
        }
        // RFC 9112 section 3.2.2: what Host said is ignored, and the one that goes out follows from the target.
        headers.insert(header::HOST, target.host.clone());
        self.via.append(request.version(), request.headers_mut());
        // RFC 9110 section 2.5: the version is the sender's own, and the framing of an HTTP/1.0 client is not passed on.
        *request.version_mut() = Version::HTTP_11;
        let body = std::mem::take(request.body_mut());
        *request.body_mut() = upload::marked(body);
        self.pass_informational(request);
        Ok(())
    }

    /// Has the client report informational responses, if the proxy's own client can be sent any (RFC 9110 section
    /// 15.2: a proxy forwards them).
    fn pass_informational(&self, request: &mut Request) {
        let Some(informational) = Informational::of(request) else { return };
        let pass_on = match OnInformational::of(request).cloned() {
            None => OnInformational::pass_on(informational, Arc::clone(&self.via)),
            // Somebody further out listens too.
            Some(above) => {
                let via = Arc::clone(&self.via);
                OnInformational::new(move |mut response| {
                    via.edit(&mut response);
                    let _ = informational.send(response.status(), response.headers());
                    above.report(response);
                })
            }
        };
        pass_on.attach(request);
    }

    /// Makes of the response that the proxy got the one that it sends.
    fn hand_back(&self, mut response: Response, target: &HostPort) -> Result<Response, Refusal> {
        match response.status() {
            // Nobody was asked to switch: Upgrade is not passed on.
            StatusCode::SWITCHING_PROTOCOLS => {
                let text = format!("{target} switched protocols without being asked");
                return Err(Refusal::instead_of(response.status(), text));
            }
            // RFC 9110 section 15.5.8: a 407 speaks for the proxy that sends it. Handed on, it would make the client
            // offer this proxy's credentials to whoever asked.
            StatusCode::PROXY_AUTHENTICATION_REQUIRED => {
                let text = format!("{target}, or a proxy on the way there, asked for proxy credentials");
                return Err(Refusal::instead_of(response.status(), text));
            }
            _ => {}
        }
        let (received, status) = (response.version(), response.status());
        let headers = response.headers_mut();
        let seen = Seen::in_fields(headers);
        if seen.of_one_hop {
            hop::strip_response(headers);
        }
        self.via.append(received, headers);
        if seen.proxy_status {
            status::pass_on(self.pseudonym(), status, headers);
        }
        Ok(response)
    }
}

/// RFC 9110 section 15.2: what is done to a response that is forwarded is done to an informational one, too.
impl EditInformational for Via {
    fn edit(&self, response: &mut Response<()>) {
        hop::strip_response(response.headers_mut());
        self.append(response.version(), response.headers_mut());
    }
}

impl<C, D, R, IO> Service<Request> for ForwardProxy<C, D, R>
where
    C: Service<Request, Output = Response>,
    C::Error: IntoBoxError,
    D: Service<Connect, Output = Conn<IO>>,
    D::Error: IntoBoxError,
    IO: Io,
    R: Service<Bridge<BoxIo, IO>>,
    R::Error: IntoBoxError,
{
    type Output = Response;
    type Error = Infallible;

    async fn serve(&self, request: Request) -> Result<Response, Infallible> {
        let seen = Seen::in_fields(request.headers());
        let answer = if seen.via && self.via.has_passed(request.headers()) {
            Err(Refusal::looped())
        } else if request.method() == Method::CONNECT {
            self.tunnel.open(request).await
        } else {
            self.forward(request, seen).await
        };
        Ok(answer.unwrap_or_else(|refusal| refusal.into_response(Some(self.pseudonym()))))
    }

    fn describe(&self) -> Description {
        Description::of::<Self>()
            .setting("via", self.pseudonym())
            .may_read::<InformationalSource>()
            .child(self.client.describe().labelled("client"))
            .child(self.tunnel.describe().labelled("tunnel"))
    }
}

/// `OPTIONS *` asks about the server that gets it, which is this proxy (RFC 9110 section 9.3.7).
fn is_for_the_proxy_itself(request: &Request) -> bool {
    let uri = request.uri();
    request.method() == Method::OPTIONS && uri.authority().is_none() && uri.path() == "*"
}

/// The server of an absolute `http` URI, as its text (RFC 9112 section 3.2.2).
fn http_authority(uri: &Uri) -> Result<&Authority, Refusal> {
    let (Some(scheme), Some(authority)) = (uri.scheme_str(), uri.authority()) else {
        return Err(Refusal::bad_request(
            "this is a proxy: the target of a request is an absolute URI, or host:port with CONNECT",
        ));
    };
    match scheme {
        "http" => Ok(authority),
        // The client's mistake, which it can mend: 400. Forwarded, the request would cross its first hop in clear,
        // against what its URI says (RFC 9110 section 4.2.2).
        "https" | "wss" => Err(Refusal::bad_request(format!("{scheme} goes through a proxy by CONNECT"))),
        _ => {
            let text = format!("this proxy does not speak {scheme}");
            Err(Refusal::new(StatusCode::NOT_IMPLEMENTED, ProxyError::ProxyInternalResponse, text))
        }
    }
}

/// The proxy's own answer to a TRACE or OPTIONS that goes no further (RFC 9110 section 7.6.2).
fn answer_as_last(request: &mut Request) -> Result<Option<Response>, Refusal> {
    let is_trace = match *request.method() {
        Method::TRACE => true,
        Method::OPTIONS => false,
        _ => return Ok(None),
    };
    if is_trace && has_content(request) {
        // RFC 9110 section 9.3.8.
        return Err(Refusal::bad_request("a TRACE request has no content"));
    }
    match hop::count_forward(request.headers_mut()) {
        Ok(Forwards::Unlimited | Forwards::Decremented) => Ok(None),
        Ok(Forwards::Exhausted) if is_trace => Ok(Some(trace::echo(request))),
        Ok(Forwards::Exhausted) => Ok(Some(options())),
        Err(hop::InvalidMaxForwards) => Err(Refusal::bad_request("Max-Forwards is not one decimal number")),
    }
}

/// RFC 9110 section 9.3.7.
fn options() -> Response {
    let mut response = Response::new(Body::empty());
    response.headers_mut().insert(header::ALLOW, ALLOW);
    response
}
