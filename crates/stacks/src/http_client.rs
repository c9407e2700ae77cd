use std::sync::Arc;

use chaski_client::{Client, ClientConfig};
use chaski_core::{HttpVersions, Layer};
use chaski_http_core::Http1ClientConfig;
use chaski_http2::Http2ClientConfig;
use chaski_net::Dialer;
use chaski_proxy::HttpProxyConnector;
use chaski_tls::{ConfigError, ConnectLayer, Connector, Roots};

use crate::HttpConnector;

/// The type of [`http_client`].
pub type HttpClient = Client<HttpConnector<Connector<ThroughProxies>>>;

/// What dials for it: directly, or through a proxy that is itself spoken to in HTTP.
type ThroughProxies = HttpProxyConnector<HttpConnector<Connector<Arc<Dialer>>>, Arc<Dialer>>;

/// Settings of [`HttpClientConfig::build`], each that of a part.
#[derive(Debug)]
#[non_exhaustive]
pub struct HttpClientConfig {
    /// What dials. Default: one that dials whatever it is asked for.
    pub dialer: Dialer,
    /// Whom to trust, and what to show. Default: the certificate authorities that come with the program
    /// ([`Roots::bundled`]). What is offered by ALPN is not taken from here, it is HTTP/2 and HTTP/1.1.
    pub tls: chaski_tls::ClientConfig,
    /// Limits of HTTP/1.
    pub http1: Http1ClientConfig,
    /// Limits of HTTP/2.
    pub http2: Http2ClientConfig,
    /// Limits of connections and calls.
    pub client: ClientConfig,
}

impl Default for HttpClientConfig {
    fn default() -> Self {
        Self {
            dialer: Dialer::new(),
            tls: chaski_tls::ClientConfig::new(Roots::bundled()),
            http1: Http1ClientConfig::default(),
            http2: Http2ClientConfig::default(),
            client: ClientConfig::default(),
        }
    }
}

impl HttpClientConfig {
    /// Sets [`dialer`](Self::dialer).
    #[must_use]
    pub fn with_dialer(mut self, dialer: Dialer) -> Self {
        self.dialer = dialer;
        self
    }

    /// Sets [`tls`](Self::tls).
    #[must_use]
    pub fn with_tls(mut self, tls: chaski_tls::ClientConfig) -> Self {
        self.tls = tls;
        self
    }

    /// Sets [`http1`](Self::http1).
    #[must_use]
    pub fn with_http1(mut self, http1: Http1ClientConfig) -> Self {
        self.http1 = http1;
        self
    }

    /// Sets [`http2`](Self::http2).
    #[must_use]
    pub fn with_http2(mut self, http2: Http2ClientConfig) -> Self {
        self.http2 = http2;
        self
    }

    /// Sets [`client`](Self::client).
    #[must_use]
    pub fn with_client(mut self, client: ClientConfig) -> Self {
        self.client = client;
        self
    }

    /// A client with these settings.
    ///
    /// # Errors
    ///
    /// When those of TLS contradict each other, see [`ConfigError`].
    pub fn build(self) -> Result<HttpClient, ConfigError> {
        let Self { dialer, tls, http1, http2, client } = self;
        let tls = ConnectLayer::new(tls.with_alpn(HttpVersions::Any.alpn()))?;
        let dialer = Arc::new(dialer);
        // From the request down: connections kept by target, HTTP in the version agreed on, TLS for https, a tunnel where the
        // route names a proxy, TCP under it all.
        Ok(Client::with_config(
            HttpConnector::new(tls.layer(HttpProxyConnector::new(
                HttpConnector::new(tls.layer(Arc::clone(&dialer))).with_http1(http1).with_http2(http2.clone()),
                dialer,
            )))
            .with_http1(http1)
            .with_http2(http2),
            client.with_https(true),
        ))
    }
}

/// An HTTP client over TCP and TLS, in HTTP/1.1 and HTTP/2, with the defaults of its parts.
///
/// - `https` URIs are verified against the certificate authorities that come with the program; [`HttpClientConfig`] knows
///   others.
/// - HTTP/2 is spoken where a server agrees to it, and then one connection carries the requests of all callers.
/// - A request goes through a proxy, or in one version of HTTP, where a [`Route`](chaski_core::Route) in its extensions says so:
///   [`HttpProxy`](chaski_proxy::HttpProxy), [`HttpVersions`](chaski_core::HttpVersions).
///
/// It dials whatever address it is asked for: a service that takes URLs from strangers gives its
/// [`dialer`](HttpClientConfig::dialer) an address policy.
///
/// ```no_run
/// use chaski_core::{Service, http::{Body, Request}};
///
/// # async fn example() -> Result<(), chaski_core::BoxError> {
/// let client = chaski_stacks::http_client();
/// let response = client.serve(Request::get("https://example.com/").body(Body::empty())?).await?;
/// println!("{} in {:?}", response.status(), response.version());
/// # Ok(()) }
/// ```
#[must_use]
#[expect(clippy::expect_used, reason = "the settings are constants, and tests build them")]
pub fn http_client() -> HttpClient {
    HttpClientConfig::default().build().expect("the defaults do not contradict each other")
}
