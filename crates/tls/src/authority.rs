//! Whether a request is for the server that its connection was opened to.

use std::sync::Arc;

use chaski_core::{
    Description, Domain, Extensions, Fact, Host, Layer, Service, TunnelTarget,
    http::{Body, Message, Request, Response},
};
use http::{StatusCode, header, uri::Authority};

use crate::{
    hello::ClientHello,
    names::{NameError, NameTable},
};

/// Answers requests for another server than the one that the connection was opened to with 421 (RFC 9110 section 15.5.20).
///
/// A client says whom it wants to talk to up to three times: to a proxy, in the target of CONNECT; to TLS, in its hello (SNI); and
/// in each request, by `Host`, `:authority` or an absolute target. Where one of them decides who may come in (a rule of a
/// proxy, clients' certificates that one name asks for) and another one who answers, a client that says two things gets where it
/// must not (domain fronting). This layer compares the host of each request, without its port, with the others.
///
/// A mismatch is the fact [`AuthorityMismatch`] in the scope of the request, whatever becomes of it.
///
/// ```
/// use chaski_core::{BoxError, Domain, Extensions, Service, http::{Body, Message, Request, Response}, service_fn, stack};
/// use chaski_tls::{AuthorityLayer, hello::ClientHelloDecoder};
///
/// # async fn example(captured: &[u8]) -> Result<(), BoxError> {
/// let site = stack(AuthorityLayer::new(), service_fn(async |_: Request| Ok::<_, BoxError>(Response::new(Body::empty()))));
///
/// // A connection with a hello for example.com.
/// let connection = Extensions::new();
/// connection.insert(ClientHelloDecoder::new().decode(captured)?.ok_or("a part of a hello")?);
/// for (host, status) in [("Example.com:8443", 200), ("hidden.example", 421)] {
///     let mut request = http::Request::get("/").header("host", host).body(Body::empty())?;
///     request.set_scope(connection.fork());
///     assert_eq!(site.serve(request).await?.status(), status);
/// }
/// # Ok(()) }
/// # let text = std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/hellos/openssl.txt")).unwrap();
/// # let digits: Vec<u8> = text.lines().find_map(|line| line.strip_prefix("hex: ")).unwrap().bytes().map(|b| (b as char).to_digit(16).unwrap() as u8).collect();
/// # let captured: Vec<u8> = digits.chunks(2).map(|pair| pair[0] << 4 | pair[1]).collect();
/// # tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(example(&captured)).unwrap();
/// ```
///
/// # What is a mismatch
///
/// - The host of a request, or one of its `Host` fields where it has several or an absolute target too, is not the server
///   name of the hello, nor in one set of [`allow`](Self::allow) with it. A host that cannot be read is none.
/// - The hello has no server name, and the host is a name; a host that is an address is right, because clients send no name for
///   addresses. [`allow_missing_server_name`](Self::allow_missing_server_name) lets all of these pass.
/// - In a tunnel, either the server name or, without one, the host is not that of the [`TunnelTarget`], which a proxy's CONNECT
///   service leaves in the connection's scope.
///
/// A request without any host, of HTTP/1.0, claims nothing; nor does the layer judge connections without TLS, which have
/// neither a hello nor what was negotiated as a fact.
///
/// # Errors
///
/// Those of the service below.
///
/// # Cancel safety
///
/// Dropping a call drops the call of the service below.
///
/// # Order
///
/// Inside of logs, which show the 421 then, and outside of whatever looks at a request's host. Not in front of a forward proxy:
/// what its clients ask it for are other servers.
#[derive(Clone, Debug)]
pub struct AuthorityLayer {
    policy: Arc<Policy>,
}

#[derive(Clone, Debug)]
struct Policy {
    groups: Vec<NameTable<()>>,
    needs_name: bool,
    refuses: bool,
}

/// A fact on a request: it is for another server than its connection was opened to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AuthorityMismatch {
    /// The name in the client's hello, if there was one.
    pub server_name: Option<Domain>,
    /// The host of the request that does not go with it, or the target of the tunnel; `None` when it cannot be read.
    pub authority: Option<Host>,
}

impl AuthorityLayer {
    /// A layer that refuses every mismatch.
    #[must_use]
    pub fn new() -> Self {
        Self { policy: Arc::new(Policy { groups: Vec::new(), needs_name: true, refuses: true }) }
    }

    /// Adds a set of names that one server has: a connection that was opened to one of them may bring requests for another,
    /// as clients of HTTP/2 do where one certificate has all the names (RFC 9113 section 9.1.1). `*.` and a name stands for all
    /// names with one label more.
    ///
    /// # Errors
    ///
    /// [`NameError`] when something is no name, or is there twice.
    pub fn allow<'a>(mut self, names: impl IntoIterator<Item = &'a str>) -> Result<Self, NameError> {
        let mut group = NameTable::new();
        for name in names {
            group.insert(name, ())?;
        }
        Arc::make_mut(&mut self.policy).groups.push(group);
        Ok(self)
    }

    /// Lets clients that name no server in their hello ask for any.
    #[must_use]
    pub fn allow_missing_server_name(mut self) -> Self {
        Arc::make_mut(&mut self.policy).needs_name = false;
        self
    }

    /// Only records mismatches, for the services below to judge.
    #[must_use]
    pub fn record_only(mut self) -> Self {
        Arc::make_mut(&mut self.policy).refuses = false;
        self
    }
}

impl Default for AuthorityLayer {
    fn default() -> Self {
        Self::new()
    }
}

impl<S> Layer<S> for AuthorityLayer {
    type Service = CheckAuthority<S>;

    fn layer(&self, inner: S) -> CheckAuthority<S> {
        CheckAuthority { inner, policy: Arc::clone(&self.policy) }
    }
}

/// A service of requests that are for the server of their connection; made by [`AuthorityLayer`], where the contract stands.
#[derive(Clone, Debug)]
pub struct CheckAuthority<S> {
    inner: S,
    policy: Arc<Policy>,
}

impl<S: Service<Request, Output = Response>> Service<Request> for CheckAuthority<S> {
    type Output = Response;
    type Error = S::Error;

    async fn serve(&self, mut request: Request) -> Result<Response, S::Error> {
        if let Some(mismatch) = self.policy.mismatch(&request) {
            tracing::debug!(
                ?mismatch,
                refused = self.policy.refuses,
                "a request for another server than its connection's"
            );
            request.scope().insert(mismatch);
            if self.policy.refuses {
                let mut response = Response::new(Body::empty());
                *response.status_mut() = StatusCode::MISDIRECTED_REQUEST;
                return Ok(response);
            }
        }
        self.inner.serve(request).await
    }

    fn describe(&self) -> Description {
        let Policy { groups, needs_name, refuses } = &*self.policy;
        Description::of::<Self>()
            .setting("sets", groups.len())
            .setting("needs_name", needs_name)
            .setting("refuses", refuses)
            .may_read::<TunnelTarget>()
            .writes::<AuthorityMismatch>()
            .child(self.inner.describe())
    }
}

impl Policy {
    fn mismatch(&self, request: &Request) -> Option<AuthorityMismatch> {
        let scope = request.existing_scope()?;
        let (server_name, is_in_tunnel) = server_name(scope)?;
        let mismatch = |authority: Option<&Host>| {
            Some(AuthorityMismatch { server_name: server_name.cloned(), authority: authority.cloned() })
        };
        let tunnel = scope.get::<TunnelTarget>().filter(|_| is_in_tunnel).map(|TunnelTarget(target)| &target.host);
        if let (Some(name), Some(target)) = (server_name, tunnel)
            && !self.goes_with(name, target)
        {
            return mismatch(Some(target));
        }
        for host in hosts(request) {
            let Some(host) = host else { return mismatch(None) };
            let is_right = match (server_name, tunnel) {
                (Some(name), _) => self.goes_with(name, &host),
                (None, Some(target)) => same(target, &host),
                (None, None) => !self.needs_name || host.as_domain().is_none(),
            };
            if !is_right {
                return mismatch(Some(&host));
            }
        }
        None
    }

    fn goes_with(&self, name: &Domain, host: &Host) -> bool {
        let Some(domain) = host.as_domain() else { return false };
        let in_one = |group: &NameTable<()>| group.get(name).is_some() && group.get(domain).is_some();
        domain.as_str() == name.as_str() || self.groups.iter().any(in_one)
    }
}

/// The name in the hello of the connection, if it has one, and whether that connection is inside of a tunnel; `None` where there
/// is no TLS.
fn server_name(scope: &Extensions) -> Option<(Option<&Domain>, bool)> {
    #[cfg(any(feature = "aws-lc-rs", feature = "ring"))]
    if let Some(negotiated) = scope.get::<crate::Negotiated>() {
        return Some((negotiated.server_name(), is_in_tunnel::<crate::Negotiated>(scope)?));
    }
    let hello = scope.get::<ClientHello>()?;
    Some((hello.server_name(), is_in_tunnel::<ClientHello>(scope)?))
}

/// Whether the handshake that `T` tells of was done inside of a tunnel. `None` when it was that of the proxy, and what is inside
/// of the tunnel is in clear.
fn is_in_tunnel<T: Fact>(scope: &Extensions) -> Option<bool> {
    match (scope.distance::<T>(), scope.distance::<TunnelTarget>()) {
        (Some(handshake), Some(tunnel)) if handshake > tunnel => None,
        (_, tunnel) => Some(tunnel.is_some()),
    }
}

/// The hosts that a request names, of which there should be one; `None` for each that cannot be read.
fn hosts(request: &Request) -> impl Iterator<Item = Option<Host>> {
    let of_target = request.uri().authority().cloned();
    let of_fields = request.headers().get_all(header::HOST).into_iter().filter(|value| !value.is_empty());
    let of_fields = of_fields.map(|value| Authority::try_from(value.as_bytes()).ok().as_ref().and_then(host));
    of_target.map(|authority| host(&authority)).into_iter().chain(of_fields)
}

fn host(authority: &Authority) -> Option<Host> {
    // RFC 9110 section 4.2.4: userinfo is an error in what comes from others; it dresses one host up as another.
    if authority.as_str().contains('@') { None } else { authority.host().parse().ok() }
}

/// The same host, whether or not a name is written with a dot at its end.
fn same(one: &Host, other: &Host) -> bool {
    match (one, other) {
        (Host::Domain(one), Host::Domain(other)) => one.as_str() == other.as_str(),
        _ => one == other,
    }
}

#[cfg(test)]
mod tests {
    use chaski_core::{BoxError, describe, service_fn, stack};

    use super::*;
    use crate::hello::test_hello;

    /// What is answered, with the fact that the service below has seen.
    async fn ask(layer: &AuthorityLayer, scope: &Extensions, target: &str, host: &[&str]) -> (u16, bool) {
        let service = stack(
            layer.clone(),
            service_fn(async |request: Request| {
                let status = if request.fact::<AuthorityMismatch>().is_some() { 299 } else { 200 };
                Ok::<_, BoxError>(http::Response::builder().status(status).body(Body::empty())?)
            }),
        );
        let mut request = http::Request::get(target).body(Body::empty()).unwrap();
        for host in host {
            request.headers_mut().append("host", host.parse().unwrap());
        }
        let message = scope.fork();
        request.set_scope(message.clone());
        let status = service.serve(request).await.unwrap().status().as_u16();
        (status, message.get::<AuthorityMismatch>().is_some())
    }

    fn connection(server_name: Option<&str>) -> Extensions {
        let scope = Extensions::new();
        scope.insert(test_hello(server_name));
        scope
    }

    /// TLS-05: an attempt at fronting is denied, by whichever part of the request it is made.
    #[tokio::test]
    async fn tls_05_a_request_for_another_server_is_answered_with_421() {
        let (layer, scope) = (AuthorityLayer::new(), connection(Some("example.com")));
        for (target, hosts, right) in [
            ("/", &["example.com"][..], true),
            ("/", &["EXAMPLE.com:443"], true),
            ("/", &["example.com."], true),
            ("https://example.com/", &[], true),
            ("https://example.com:8443/", &["example.com"], true),
            ("/", &[], true),
            ("/", &["hidden.example"], false),
            ("/", &["www.example.com"], false),
            ("/", &["example.com.evil.example"], false),
            ("/", &["192.0.2.1"], false),
            ("/", &["[2001:db8::1]:443"], false),
            ("/", &["example.com", "hidden.example"], false),
            ("https://hidden.example/", &["example.com"], false),
            ("https://example.com/", &["hidden.example"], false),
            ("/", &["example.com@hidden.example"], false),
            ("/", &["hidden.example@example.com"], false),
            ("/", &["a b"], false),
            ("hidden.example:443", &["example.com"], false),
        ] {
            let expected = if right { (200, false) } else { (421, true) };
            assert_eq!(ask(&layer, &scope, target, hosts).await, expected, "{target} {hosts:?}");
        }
    }

    #[tokio::test]
    async fn tls_05_names_of_one_set_go_together() {
        let layer =
            AuthorityLayer::new().allow(["example.com", "*.example.com"]).unwrap().allow(["a.test", "b.test"]).unwrap();
        for (name, host, right) in [
            ("example.com", "www.example.com", true),
            ("img.example.com", "www.example.com", true),
            ("a.test", "b.test", true),
            ("a.test", "www.example.com", false),
            ("example.com", "a.b.example.com", false),
            ("c.test", "a.test", false),
            ("c.test", "c.test", true),
        ] {
            let expected = if right { (200, false) } else { (421, true) };
            assert_eq!(ask(&layer, &connection(Some(name)), "/", &[host]).await, expected, "{name} {host}");
        }
        assert!(AuthorityLayer::new().allow(["a.test", "*"]).is_err());
    }

    /// Clients send no name for an address. Whoever leaves the name of a host out has something to hide, or is very old.
    #[tokio::test]
    async fn tls_05_without_a_server_name_only_addresses_are_right() {
        let (layer, scope) = (AuthorityLayer::new(), connection(None));
        assert_eq!(ask(&layer, &scope, "/", &["192.0.2.1:443"]).await, (200, false));
        assert_eq!(ask(&layer, &scope, "/", &["hidden.example"]).await, (421, true));
        assert_eq!(
            ask(&layer.clone().allow_missing_server_name(), &scope, "/", &["hidden.example"]).await,
            (200, false)
        );
        // Without TLS there is nothing to compare.
        assert_eq!(ask(&layer, &Extensions::new(), "/", &["hidden.example"]).await, (200, false));
    }

    /// In a tunnel the three have to agree: the target of CONNECT, the name in the hello inside, and the request's host.
    #[tokio::test]
    async fn tls_05_in_a_tunnel_its_target_counts_too() {
        let layer = AuthorityLayer::new();
        for (target, name, host, right) in [
            ("example.com", Some("example.com"), "example.com", true),
            ("allowed.example", Some("example.com"), "example.com", false),
            ("192.0.2.1", Some("example.com"), "example.com", false),
            ("example.com", None, "example.com", true),
            ("192.0.2.1", None, "192.0.2.1", true),
            ("192.0.2.1", None, "192.0.2.2", false),
            ("example.com", None, "hidden.example", false),
        ] {
            let scope = connection(name);
            scope.insert(TunnelTarget(format!("{target}:443").parse().unwrap()));
            let expected = if right { (200, false) } else { (421, true) };
            assert_eq!(ask(&layer, &scope, "/", &[host]).await, expected, "{target} {name:?} {host}");
        }
    }

    /// What is in clear inside of a tunnel has no hello: that of the connection to the proxy says nothing about it.
    #[tokio::test]
    async fn tls_05_the_name_of_a_proxy_is_not_that_of_a_tunnel_through_it() {
        let (layer, proxy) = (AuthorityLayer::new(), connection(Some("proxy.example")));
        let tunnel = proxy.fork().fork();
        tunnel.insert(TunnelTarget("example.com:80".parse().unwrap()));
        assert_eq!(ask(&layer, &tunnel, "/", &["example.com"]).await, (200, false));
        // A hello inside of it counts, as everywhere.
        tunnel.insert(test_hello(Some("example.com")));
        assert_eq!(ask(&layer, &tunnel, "/", &["example.com"]).await, (200, false));
        assert_eq!(ask(&layer, &tunnel, "/", &["proxy.example"]).await, (421, true));
    }

    #[tokio::test]
    async fn a_mismatch_may_be_recorded_only() {
        let layer = AuthorityLayer::new().record_only();
        assert_eq!(ask(&layer, &connection(Some("example.com")), "/", &["hidden.example"]).await, (299, true));
        let below = service_fn(async |_: Request| Ok::<_, BoxError>(Response::new(Body::empty())));
        let shape = describe::<Request, _>(&stack(layer, below)).to_string();
        assert!(shape.starts_with("CheckAuthority sets=0 needs_name=true refuses=false"), "{shape}");
    }
}
