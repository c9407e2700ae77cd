//! The client side: a handshake on each connection to a server that has to be a secure one.

use std::sync::Arc;

use arc_swap::ArcSwap;
use chaski_core::{
    Conn, Connect, ConnectError, ConnectStage, Description, Host, HttpVersions, Io, Layer, ServerIdentity, Service,
};

use crate::{
    ClientConfig, ConfigError, HandshakeStats, MaybeTls, Negotiated, PeerCertificates,
    config::CompiledClient,
    handshake,
    stats::Counts,
    verify::{expected_host, server_name},
};

/// Speaks TLS, as a client, on the connections of a connector.
///
/// There is TLS where the `Connect` says a [secure protocol](chaski_core::Protocol::is_secure), and otherwise the connection
/// is handed on as it is. The server has to prove that it has the name which the `Connect` says
/// ([`server_name`](Connect::server_name)), else that of the target: a domain goes into the hello (SNI) without the dot that
/// makes it absolute, an address is looked for in the certificate and never sent.
///
/// Of the route it reads [`HttpVersions`], which decide what is offered as application protocol (ALPN) in place of the
/// settings.
///
/// The settings are compiled once and shared by all connections. A clone of the layer is a handle to them:
/// [`replace`](Self::replace) changes them for the connections that come after.
///
/// # Facts
///
/// [`Negotiated`], [`PeerCertificates`] and [`ServerIdentity`] go to the scope of the connection. The last one judges by the
/// settings of the moment at which it is asked, and covers no host where they accept any certificate or any name.
///
/// # Errors
///
/// Those of the connector. A handshake that failed is a [`ConnectError`] at the stage
/// [`Tls`](ConnectStage::Tls), or [`Timeout`](ConnectStage::Timeout) when it took too long, above a
/// [`TlsError`](crate::TlsError). A target that has no name that could be proved (a Unix socket) needs one in the `Connect`; without, it is an error at the
/// stage [`Config`](ConnectStage::Config), and nothing is dialed.
///
/// # Cancel safety
///
/// Dropping the future drops the connection.
///
/// # Order
///
/// Outside of whatever dials, proxies on the way included; inside of an HTTP handshake.
///
/// # Panics
///
/// Outside of a tokio runtime with time enabled.
#[derive(Clone, Debug)]
pub struct ConnectLayer {
    shared: Arc<Shared>,
    always: bool,
}

/// What a layer and its services have in common.
#[derive(Debug)]
struct Shared {
    client: ArcSwap<CompiledClient>,
    counts: Counts,
}

impl ConnectLayer {
    /// Compiles the settings.
    ///
    /// # Errors
    ///
    /// [`ConfigError`] when they do not fit together.
    pub fn new(config: ClientConfig) -> Result<Self, ConfigError> {
        let client = ArcSwap::from_pointee(config.compile()?);
        Ok(Self { shared: Arc::new(Shared { client, counts: Counts::default() }), always: false })
    }

    /// Speaks TLS on every connection, whatever the `Connect` says of the protocol.
    #[must_use]
    pub fn always(mut self) -> Self {
        self.always = true;
        self
    }

    /// Changes the settings for the connections that are dialed from now on. Sessions from before are not resumed.
    ///
    /// # Errors
    ///
    /// As those of [`new`](Self::new); then nothing is changed.
    pub fn replace(&self, config: ClientConfig) -> Result<(), ConfigError> {
        self.shared.client.store(Arc::new(config.compile()?));
        Ok(())
    }

    /// Whom a server can be taken for that has shown these certificates.
    fn identity(&self, name: Host, shown: Option<PeerCertificates>) -> ServerIdentity {
        let shared = Arc::clone(&self.shared);
        ServerIdentity::new(name, move |host| {
            let (Some(shown), Some(name)) = (&shown, server_name(host)) else { return false };
            shared.client.load().verifier.covers(shown.as_der(), &name)
        })
    }

    /// How many handshakes there were in all services that the layer and its clones have made.
    #[must_use]
    pub fn stats(&self) -> HandshakeStats {
        self.shared.counts.stats()
    }
}

impl<C> Layer<C> for ConnectLayer {
    type Service = Connector<C>;

    fn layer(&self, inner: C) -> Connector<C> {
        Connector { inner, tls: self.clone() }
    }
}

/// A connector that speaks TLS; made by [`ConnectLayer`], where the contract stands.
#[derive(Debug)]
pub struct Connector<C> {
    inner: C,
    tls: ConnectLayer,
}

impl<C, IO> Service<Connect> for Connector<C>
where
    C: Service<Connect, Output = Conn<IO>, Error = ConnectError>,
    IO: Io,
{
    type Output = Conn<MaybeTls<IO>>;
    type Error = ConnectError;

    async fn serve(&self, connect: Connect) -> Result<Conn<MaybeTls<IO>>, ConnectError> {
        let versions = connect.route.choice::<HttpVersions>().copied();
        if !self.tls.always && !connect.protocol.is_secure() {
            return Ok(self.inner.serve(connect).await?.map_io(MaybeTls::Plain));
        }
        let host = expected_host(&connect);
        let Some((name, host)) = host.and_then(|host| Some((server_name(&host)?, host))) else {
            return Err(ConnectError::new(ConnectStage::Config)
                .with_message(format!("{} has no name to know a TLS server by", connect.target))
                .with_scope(connect.ext));
        };
        let Shared { client, counts } = &*self.tls.shared;
        let client = client.load_full();
        let alpn = match versions {
            Some(versions) => versions.alpn().iter().map(|name| name.to_vec()).collect(),
            None => client.settings.alpn.clone(),
        };
        let scope = connect.ext.clone();
        let conn = self.inner.serve(connect).await?;
        let whom = name.to_str().into_owned();
        // Boxed, so that what waits for the dial has no room for it.
        match Box::pin(handshake::connect(&client, counts, conn, name, alpn)).await {
            Ok(conn) => {
                conn.ext.insert(self.tls.identity(host, conn.ext.get::<PeerCertificates>().cloned()));
                Ok(conn.map_io(MaybeTls::Tls))
            }
            Err(error) => {
                counts.failed();
                let stage = if error.is_timeout() { ConnectStage::Timeout } else { ConnectStage::Tls };
                Err(ConnectError::new(stage).with_message(whom).with_source(error).with_scope(scope))
            }
        }
    }

    fn describe(&self) -> Description {
        let settings = &self.tls.shared.client.load().settings;
        let alpn: Vec<_> = settings.alpn.iter().map(|name| String::from_utf8_lossy(name)).collect();
        let node = Description::of::<Self>()
            .setting("tls", if self.tls.always { "always" } else { "for secure protocols" })
            .setting("alpn", if alpn.is_empty() { "none".to_owned() } else { alpn.join(",") })
            .setting("versions", format_args!("{:?}", settings.versions));
        let node = match settings.handshake_timeout {
            Some(limit) => node.setting("handshake_timeout", format_args!("{limit:?}")),
            None => node.setting("handshake_timeout", "none"),
        };
        node.writes::<Negotiated>().writes::<PeerCertificates>().writes::<ServerIdentity>().child(self.inner.describe())
    }
}
