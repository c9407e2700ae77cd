use std::{fmt, sync::Arc, time::Duration};

use chaski_core::{BoxError, BoxService, IntoBoxError, Service, ServiceExt};
use rustls::{
    server::{self, NoServerSessionStorage, ResolvesServerCert, WebPkiClientVerifier},
    sign,
};
use tokio::sync::Semaphore;

use super::{ConfigError, TlsVersions, alpn, check_alpn};
use crate::{
    Certificates, CertifiedKey, CipherSuite, Group, KeyLog, Roots,
    hello::ClientHello,
    key_log::Logger,
    provider::{provider, provider_with, ticketer},
    verify::ClientVerifier,
};

/// How a server speaks TLS.
///
/// ```
/// # fn example(key: chaski_tls::CertifiedKey) {
/// use chaski_tls::ServerConfig;
/// use std::time::Duration;
///
/// let config = ServerConfig::new(key)
///     .with_alpn(["h2", "http/1.1"])
///     .with_handshake_timeout(Some(Duration::from_secs(5)));
/// # }
/// ```
#[derive(Clone)]
#[non_exhaustive]
pub struct ServerConfig {
    /// Where the certificates come from.
    pub(crate) source: Source,
    /// Whether the client's hello is recorded, as the fact [`ClientHello`], even when the handshake fails. Default: no.
    pub client_hello: bool,
    /// Whether clients have to show certificates, and of whom. Default: not.
    pub client_auth: ClientAuth,
    /// The application protocols that are spoken (ALPN, RFC 7301), the most wanted one first. A client that offers none of
    /// them is refused; one that offers nothing is not.
    ///
    /// Default: none, and whatever a client offers is left without an answer.
    pub alpn: Vec<Vec<u8>>,
    /// The versions of TLS. Default: 1.2 and 1.3.
    pub versions: TlsVersions,
    /// The cipher suites, the most wanted one first, and that order goes before the
    /// client's. Default: none are named, all of [`CipherSuite`] may be used, and the client's order decides: it knows whether it
    /// has AES in hardware.
    pub cipher_suites: Vec<CipherSuite>,
    /// The groups for the exchange of keys, the most wanted one first. Default: none are named, and all of [`Group`] may be
    /// used.
    pub groups: Vec<Group>,
    /// Whether sessions of earlier connections may go on, with tickets, whose keys change every six hours, or for TLS 1.2 from
    /// memory. Default: yes.
    pub resumption: bool,
    /// Where the secrets of connections are logged. Default: nowhere.
    pub key_log: Option<KeyLog>,
    /// How long a handshake may take, from the call on, with the wait for its turn. Bytes that arrive do not put it off.
    ///
    /// Default: [`DEFAULT_HANDSHAKE_TIMEOUT`](Self::DEFAULT_HANDSHAKE_TIMEOUT); `None` waits for as long as the client does.
    pub handshake_timeout: Option<Duration>,
    /// The most handshakes under way at a time. Further ones wait for their turn, in the order in which they came. A client
    /// counts from the moment at which its hello is complete: before that it has cost nothing.
    ///
    /// Default: [`DEFAULT_MAX_HANDSHAKES`](Self::DEFAULT_MAX_HANDSHAKES).
    pub max_handshakes: usize,
}

/// Where a server's certificates come from.
#[derive(Clone)]
pub(crate) enum Source {
    Certificates(Arc<dyn Certificates>),
    Issuer(BoxService<ClientHello, CertifiedKey, BoxError>),
}

/// Whether a server's clients have to show certificates.
#[derive(Clone, Debug, Default)]
#[non_exhaustive]
pub enum ClientAuth {
    /// They are not asked.
    #[default]
    None,
    /// They may; a certificate that none of these have issued is refused.
    Optional(Roots),
    /// They have to, and one of these has to have issued it.
    Required(Roots),
}

impl ServerConfig {
    /// The default of [`handshake_timeout`](Self::handshake_timeout): ten seconds, a handshake over a bad line, with packets
    /// lost.
    pub const DEFAULT_HANDSHAKE_TIMEOUT: Duration = Duration::from_secs(10);

    /// The default of [`max_handshakes`](Self::max_handshakes): 1,024, with which they hold 32 MiB at most.
    pub const DEFAULT_MAX_HANDSHAKES: usize = 1024;

    /// A server with these certificates, and defaults in all else.
    pub fn new(certificates: impl Certificates) -> Self {
        Self::of(Source::Certificates(Arc::new(certificates)))
    }

    /// A server that asks for a certificate when a client's hello is there, and waits for it: one that may have to be made
    /// first, or fetched. It is asked for each connection, within the limits of handshakes, so an issuer keeps what it has
    /// made. A session goes on whatever certificate it began with, as long as the client asks for the same name.
    ///
    /// ```
    /// use chaski_core::{BoxError, service_fn};
    /// use chaski_tls::{CertifiedKey, ServerConfig, hello::ClientHello};
    ///
    /// async fn fetch(name: &str) -> Result<CertifiedKey, BoxError> {
    ///     # let _ = name;
    ///     Err("there is no vault".into())
    /// }
    ///
    /// let config = ServerConfig::issued_by(service_fn(async |hello: ClientHello| {
    ///     let name = hello.server_name().ok_or("the client names no server")?;
    ///     fetch(name.as_str()).await
    /// }));
    /// # let _ = config;
    /// ```
    pub fn issued_by<S>(issuer: S) -> Self
    where
        S: Service<ClientHello, Output = CertifiedKey, Error: IntoBoxError>,
    {
        Self::of(Source::Issuer(BoxService::new(issuer.map_err(IntoBoxError::into_box_error))))
    }

    fn of(source: Source) -> Self {
        Self {
            source,
            client_hello: false,
            client_auth: ClientAuth::None,
            alpn: Vec::new(),
            versions: TlsVersions::default(),
            cipher_suites: Vec::new(),
            groups: Vec::new(),
            resumption: true,
            key_log: None,
            handshake_timeout: Some(Self::DEFAULT_HANDSHAKE_TIMEOUT),
            max_handshakes: Self::DEFAULT_MAX_HANDSHAKES,
        }
    }

    /// Sets [`client_hello`](Self::client_hello).
    #[must_use]
    pub fn with_client_hello(mut self, record: bool) -> Self {
        self.client_hello = record;
        self
    }

    /// Sets [`client_auth`](Self::client_auth).
    #[must_use]
    pub fn with_client_auth(mut self, client_auth: ClientAuth) -> Self {
        self.client_auth = client_auth;
        self
    }

    /// Sets [`alpn`](Self::alpn).
    #[must_use]
    pub fn with_alpn(mut self, names: impl IntoIterator<Item: AsRef<[u8]>>) -> Self {
        self.alpn = alpn(names);
        self
    }

    /// Sets [`versions`](Self::versions).
    #[must_use]
    pub fn with_versions(mut self, versions: TlsVersions) -> Self {
        self.versions = versions;
        self
    }

    /// Sets [`cipher_suites`](Self::cipher_suites).
    #[must_use]
    pub fn with_cipher_suites(mut self, suites: impl IntoIterator<Item = CipherSuite>) -> Self {
        self.cipher_suites = suites.into_iter().collect();
        self
    }

    /// Sets [`groups`](Self::groups).
    #[must_use]
    pub fn with_groups(mut self, groups: impl IntoIterator<Item = Group>) -> Self {
        self.groups = groups.into_iter().collect();
        self
    }

    /// Sets [`resumption`](Self::resumption).
    #[must_use]
    pub fn with_resumption(mut self, resumption: bool) -> Self {
        self.resumption = resumption;
        self
    }

    /// Sets [`key_log`](Self::key_log).
    #[must_use]
    pub fn with_key_log(mut self, log: KeyLog) -> Self {
        self.key_log = Some(log);
        self
    }

    /// Sets [`handshake_timeout`](Self::handshake_timeout).
    #[must_use]
    pub fn with_handshake_timeout(mut self, timeout: Option<Duration>) -> Self {
        self.handshake_timeout = timeout;
        self
    }

    /// Sets [`max_handshakes`](Self::max_handshakes); 0 counts as 1.
    #[must_use]
    pub fn with_max_handshakes(mut self, count: usize) -> Self {
        self.max_handshakes = count;
        self
    }

    pub(crate) fn compile(self) -> Result<CompiledServer, ConfigError> {
        check_alpn(&self.alpn)?;
        let builder = rustls::ServerConfig::builder_with_provider(provider_with(&self.cipher_suites, &self.groups)?)
            .with_protocol_versions(self.versions.supported())
            .map_err(|error| ConfigError::Library(error.into()))?;
        let builder = match self.client_auth.verifier()? {
            Some(verifier) => builder.with_client_cert_verifier(verifier),
            None => builder.with_no_client_auth(),
        };
        let mut config = builder.with_cert_resolver(Arc::new(NoKey));
        config.alpn_protocols.clone_from(&self.alpn);
        config.ignore_client_order = !self.cipher_suites.is_empty();
        if self.resumption {
            config.ticketer = ticketer().map_err(|error| ConfigError::Library(error.into()))?;
        } else {
            config.session_storage = Arc::new(NoServerSessionStorage {});
            config.send_tls13_tickets = 0;
        }
        if let Some(log) = &self.key_log {
            config.key_log = Arc::new(Logger(log.clone()));
        }
        let turns = self.max_handshakes.clamp(1, Semaphore::MAX_PERMITS);
        Ok(CompiledServer { base: Base(config), turns: Arc::new(Semaphore::new(turns)), settings: self })
    }
}

impl fmt::Debug for ServerConfig {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ServerConfig")
            .field("client_hello", &self.client_hello)
            .field("client_auth", &self.client_auth)
            .field("alpn", &self.alpn.iter().map(|name| String::from_utf8_lossy(name)).collect::<Vec<_>>())
            .field("versions", &self.versions)
            .field("cipher_suites", &self.cipher_suites)
            .field("groups", &self.groups)
            .field("resumption", &self.resumption)
            .field("key_log", &self.key_log)
            .field("handshake_timeout", &self.handshake_timeout)
            .field("max_handshakes", &self.max_handshakes)
            .finish_non_exhaustive()
    }
}

impl ClientAuth {
    fn verifier(&self) -> Result<Option<Arc<ClientVerifier>>, ConfigError> {
        let (Self::Optional(roots) | Self::Required(roots)) = self else { return Ok(None) };
        if roots.is_empty() {
            return Err(ConfigError::NoRoots);
        }
        let builder = WebPkiClientVerifier::builder_with_provider(Arc::clone(roots.store()), Arc::clone(provider()))
            .with_crls(roots.revoked())
            .allow_unknown_revocation_status();
        let builder = if matches!(self, Self::Optional(_)) { builder.allow_unauthenticated() } else { builder };
        let verifier = builder.build().map_err(|error| ConfigError::Library(error.into()))?;
        Ok(Some(Arc::new(ClientVerifier(verifier))))
    }
}

/// A server's settings, ready for connections.
#[derive(Debug)]
pub(crate) struct CompiledServer {
    pub(crate) base: Base,
    /// A permit for each handshake.
    pub(crate) turns: Arc<Semaphore>,
    pub(crate) settings: ServerConfig,
}

/// What is the same for all certificates of a server. Sessions among it, which are bound to the name in the hello: one that
/// began with one certificate may go on after that was renewed.
#[derive(Debug)]
pub(crate) struct Base(rustls::ServerConfig);

impl Base {
    /// For a server with this certificate.
    pub(crate) fn with_key(&self, key: &CertifiedKey) -> rustls::ServerConfig {
        let mut config = self.0.clone();
        config.cert_resolver = Arc::new(OneKey(Arc::clone(key.signing())));
        config
    }

    /// Whether that is one that [`with_key`](Self::with_key) has made. Told by the sessions, which each server keeps apart.
    pub(crate) fn has_made(&self, config: &rustls::ServerConfig) -> bool {
        Arc::ptr_eq(&self.0.session_storage, &config.session_storage)
    }
}

#[derive(Debug)]
struct NoKey;

impl ResolvesServerCert for NoKey {
    fn resolve(&self, _: server::ClientHello<'_>) -> Option<Arc<sign::CertifiedKey>> {
        None
    }
}

#[derive(Debug)]
struct OneKey(Arc<sign::CertifiedKey>);

impl ResolvesServerCert for OneKey {
    fn resolve(&self, _: server::ClientHello<'_>) -> Option<Arc<sign::CertifiedKey>> {
        Some(Arc::clone(&self.0))
    }
}
