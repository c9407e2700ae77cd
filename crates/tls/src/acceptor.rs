//! The server side: a handshake for each connection, then the service.

use std::{sync::Arc, time::Duration};

use arc_swap::ArcSwap;
use chaski_core::{BoxError, Conn, Description, IntoBoxError, Io, Layer, Service, ShutdownSignal};

use crate::{
    ClientAuth, ConfigError, HandshakeStats, Negotiated, PeerCertificates, ServerConfig, TlsStream,
    config::{CompiledServer, Source},
    handshake,
    hello::ClientHello,
    refusal,
    stats::Counts,
};

/// Ends TLS on accepted connections, and gives the service below what is inside.
///
/// The settings are compiled once and shared by all connections. A clone of the layer is a handle to them:
/// [`replace`](Self::replace) changes them for the connections that come after, in every service that the layer or a clone of
/// it has made.
///
/// ```
/// use chaski_core::{BoxError, Conn, service_fn, stack};
/// use chaski_tls::{AcceptLayer, CertifiedKey, ServerConfig, TlsStream};
/// use tokio::{io::AsyncWriteExt, net::TcpStream};
///
/// # fn example() -> Result<(), BoxError> {
/// let load = || CertifiedKey::from_files("chain.pem", "key.pem");
/// let tls = AcceptLayer::new(ServerConfig::new(load()?))?;
/// let server = stack(
///     tls.clone(),
///     service_fn(async |mut conn: Conn<TlsStream<TcpStream>>| conn.io.write_all(b"hello\n").await),
/// );
/// // When the certificate was renewed:
/// tls.replace(ServerConfig::new(load()?))?;
/// # let _ = server;
/// # Ok(()) }
/// ```
///
/// # Facts
///
/// [`Negotiated`], and [`PeerCertificates`] when the client has shown some, go to the scope of the connection; on request
/// ([`client_hello`](ServerConfig::client_hello)) [`ClientHello`] too, before the handshake, unless it is there already.
///
/// # Errors
///
/// [`TlsError`](crate::TlsError) when the handshake failed: the service below was not called, and the client was told by an alert. All else are
/// the errors of that service.
///
/// # Cancel safety
///
/// Dropping the future drops the connection.
///
/// # Order
///
/// Inside of what takes the first bytes for another protocol, such as the PROXY protocol; outside of whatever is to be
/// encrypted.
///
/// # Limits
///
/// [`ServerConfig`] has the knobs. A client that was refused is read on from for [`LINGER`](Self::LINGER) and 64 KiB at most, so
/// that the alert arrives. A client that is still in its handshake when [`Shutdown`](chaski_core::Shutdown) begins is dropped.
///
/// # Panics
///
/// Outside of a tokio runtime with time enabled.
#[derive(Clone, Debug)]
pub struct AcceptLayer {
    shared: Arc<Shared>,
}

/// What a layer and its services have in common.
#[derive(Debug)]
struct Shared {
    server: ArcSwap<CompiledServer>,
    counts: Counts,
}

impl AcceptLayer {
    /// How long a refused client is read on from: 1 second.
    pub const LINGER: Duration = refusal::LINGER;

    /// Compiles the settings.
    ///
    /// # Errors
    ///
    /// [`ConfigError`] when they do not fit together.
    pub fn new(config: ServerConfig) -> Result<Self, ConfigError> {
        let server = ArcSwap::from_pointee(config.compile()?);
        Ok(Self { shared: Arc::new(Shared { server, counts: Counts::default() }) })
    }

    /// Changes the settings for the connections whose handshake begins from now on. Those that are open, or in their
    /// handshake, go on with what they began with. Sessions from before are not resumed.
    ///
    /// # Errors
    ///
    /// As those of [`new`](Self::new); then nothing is changed.
    pub fn replace(&self, config: ServerConfig) -> Result<(), ConfigError> {
        self.shared.server.store(Arc::new(config.compile()?));
        Ok(())
    }

    /// How many handshakes there were in all services that the layer and its clones have made.
    #[must_use]
    pub fn stats(&self) -> HandshakeStats {
        self.shared.counts.stats()
    }
}

impl<S> Layer<S> for AcceptLayer {
    type Service = Acceptor<S>;

    fn layer(&self, inner: S) -> Acceptor<S> {
        Acceptor { inner, shared: Arc::clone(&self.shared) }
    }
}

/// A service that ends TLS on a connection and hands on what is inside; made by [`AcceptLayer`], where the contract stands.
#[derive(Debug)]
pub struct Acceptor<S> {
    inner: S,
    shared: Arc<Shared>,
}

impl<S, I> Service<Conn<I>> for Acceptor<S>
where
    I: Io,
    S: Service<Conn<TlsStream<I>>, Error: IntoBoxError>,
{
    type Output = S::Output;
    type Error = BoxError;

    async fn serve(&self, conn: Conn<I>) -> Result<S::Output, BoxError> {
        // Boxed, so that all of it goes when the handshake is done. The connection may last for days.
        let conn = Box::pin(handshake::accept(self.shared.server.load_full(), &self.shared.counts, conn)).await?;
        self.inner.serve(conn).await.map_err(IntoBoxError::into_box_error)
    }

    fn describe(&self) -> Description {
        let settings = &self.shared.server.load().settings;
        let alpn: Vec<_> = settings.alpn.iter().map(|name| String::from_utf8_lossy(name)).collect();
        let node = Description::of::<Self>()
            .setting("alpn", if alpn.is_empty() { "none".to_owned() } else { alpn.join(",") })
            .setting("versions", format_args!("{:?}", settings.versions))
            .setting("max_handshakes", settings.max_handshakes);
        let node = match settings.handshake_timeout {
            Some(limit) => node.setting("handshake_timeout", format_args!("{limit:?}")),
            None => node.setting("handshake_timeout", "none"),
        };
        let node = match settings.client_auth {
            ClientAuth::None => node.setting("client_auth", "none"),
            ClientAuth::Optional(_) => node.setting("client_auth", "optional").writes::<PeerCertificates>(),
            ClientAuth::Required(_) => node.setting("client_auth", "required").writes::<PeerCertificates>(),
        };
        let node = if settings.client_hello { node.writes::<ClientHello>() } else { node };
        let node = match &settings.source {
            Source::Certificates(_) => node,
            Source::Issuer(issuer) => node.child(issuer.describe().labelled("issuer")),
        };
        node.may_read::<ShutdownSignal>().writes::<Negotiated>().child(self.inner.describe())
    }
}
