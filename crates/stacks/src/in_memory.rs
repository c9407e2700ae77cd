//! Clients that talk to server stacks with nothing between them: for tests without infrastructure, at the depth that a test
//! needs.
//!
//! - [`handler_client`]: calls the handler, and no HTTP is spoken. What a handler answers is what the test sees.
//! - [`client`]: HTTP over a pipe in memory, in HTTP/1.1, or HTTP/2 where the request's route says so. Framing, keep-alive,
//!   limits, cancellation and shutdown are those of the real engines.
//! - [`tls_client`]: the same above TLS, handshake, certificates and ALPN included.
//!
//! There is no socket, no port and no name to resolve, whatever host a request names, so tests run side by side, and in paused
//! time.
//!
//! ```
//! use chaski_core::{BoxError, Service, http::{Body, Request, Response}, service_fn};
//! use chaski_stacks::{HttpServer, in_memory};
//!
//! # async fn example() -> Result<(), BoxError> {
//! async fn greet(request: Request) -> Result<Response, BoxError> {
//!     Ok(Response::new(Body::from(format!("hello, {}", &request.uri().path()[1..]))))
//! }
//! let ask = || Request::get("http://greeter.example/ana").body(Body::empty());
//!
//! // The handler alone.
//! let response = in_memory::handler_client(service_fn(greet)).serve(ask()?).await?;
//! assert_eq!(response.into_body().collect(100).await?, "hello, ana");
//!
//! // The same handler, behind the server that it will run in.
//! let client = in_memory::client(HttpServer::new(service_fn(greet)));
//! let response = client.serve(ask()?).await?;
//! assert_eq!(response.into_body().collect(100).await?, "hello, ana");
//! # Ok(()) }
//! # tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap().block_on(example()).unwrap();
//! ```

use std::{fmt, sync::Arc};

use chaski_client::{Client, ClientConfig};
use chaski_core::{
    Conn, Connect, ConnectError, Description, HttpVersions, IntoBoxError, Layer, Service, Shutdown,
    http::{Request, Response},
};
use chaski_net::memory::{self, MemoryConnector};
use chaski_tls::{ConfigError, ConnectLayer, Connector};
use http::{HeaderValue, Uri, header};
use tokio::io::DuplexStream;

use crate::HttpConnector;

/// A client whose connections all lead to `server`, in clear.
///
/// # Panics
///
/// Outside of a tokio runtime: the server runs in a task.
pub fn client<S>(server: S) -> Client<HttpConnector<InMemory>>
where
    S: Service<Conn<DuplexStream>, Error: IntoBoxError>,
{
    Client::new(HttpConnector::new(InMemory::new(server)))
}

/// A client whose connections all lead to `server`, which ends TLS. `config` says whom it trusts; what it offers by ALPN is
/// HTTP/2 and HTTP/1.1.
///
/// # Errors
///
/// Those of the settings, see [`ConfigError`].
///
/// # Panics
///
/// Outside of a tokio runtime: the server runs in a task.
pub fn tls_client<S>(
    server: S,
    config: chaski_tls::ClientConfig,
) -> Result<Client<HttpConnector<Connector<InMemory>>>, ConfigError>
where
    S: Service<Conn<DuplexStream>, Error: IntoBoxError>,
{
    let tls = ConnectLayer::new(config.with_alpn(HttpVersions::Any.alpn()))?;
    let connector = HttpConnector::new(tls.layer(InMemory::new(server)));
    Ok(Client::with_config(connector, ClientConfig::default().with_https(true)))
}

/// A client that calls `handler` itself. An error of the handler is the error of the call.
pub const fn handler_client<S>(handler: S) -> HandlerClient<S> {
    HandlerClient { handler }
}

/// A connector whose connections all lead to one server, through memory. Clones reach the same one.
///
/// When the last clone is dropped, the server is shut down: connections under way finish, idle ones close.
#[derive(Clone)]
pub struct InMemory {
    connector: MemoryConnector,
    serving: Arc<Serving>,
}

/// Ends the server when it is dropped.
struct Serving(Shutdown);

impl Drop for Serving {
    fn drop(&mut self) {
        self.0.begin();
    }
}

impl InMemory {
    /// Has `server` serve every connection, each in a task of its own.
    ///
    /// # Panics
    ///
    /// Outside of a tokio runtime.
    pub fn new<S>(server: S) -> Self
    where
        S: Service<Conn<DuplexStream>, Error: IntoBoxError>,
    {
        let (listener, connector) = memory::listen("in-memory");
        let shutdown = Shutdown::new();
        let serving = Arc::new(Serving(shutdown.clone()));
        tokio::spawn(async move { listener.serve(server, &shutdown).await });
        Self { connector, serving }
    }
}

impl InMemory {
    /// Cuts all connections, as a program does that is killed.
    pub fn cut(&self) {
        self.serving.0.cut();
    }
}

impl Service<Connect> for InMemory {
    type Output = Conn<DuplexStream>;
    type Error = ConnectError;

    async fn serve(&self, connect: Connect) -> Result<Conn<DuplexStream>, ConnectError> {
        self.connector.serve(connect).await
    }

    fn describe(&self) -> Description {
        self.connector.describe()
    }
}

impl fmt::Debug for InMemory {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("InMemory").finish_non_exhaustive()
    }
}

/// Calls a handler as an HTTP/1.1 server would: with the target in origin-form, and the authority in `Host`. Made by
/// [`handler_client`].
#[derive(Clone, Debug)]
pub struct HandlerClient<S> {
    handler: S,
}

impl<S> Service<Request> for HandlerClient<S>
where
    S: Service<Request, Output = Response>,
{
    type Output = Response;
    type Error = S::Error;

    async fn serve(&self, mut request: Request) -> Result<Response, S::Error> {
        arrive(&mut request);
        self.handler.serve(request).await
    }

    fn describe(&self) -> Description {
        Description::of::<Self>().child(self.handler.describe())
    }
}

/// Makes of a request that is sent one that has arrived. What has no authority is left as it is.
fn arrive(request: &mut Request) {
    if request.method() == http::Method::CONNECT {
        return;
    }
    let Some(host) = request.uri().authority().and_then(|host| HeaderValue::from_str(host.as_str()).ok()) else {
        return;
    };
    request.headers_mut().entry(header::HOST).or_insert(host);
    let mut parts = std::mem::take(request.uri_mut()).into_parts();
    (parts.scheme, parts.authority) = (None, None);
    // A path and a query alone are a URI; without them it is `/`, the default.
    *request.uri_mut() = Uri::from_parts(parts).unwrap_or_default();
}
