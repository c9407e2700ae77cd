use std::{sync::Arc, time::Duration};

use rustls::{
    SignatureScheme,
    client::{ResolvesClientCert, Resumption, WebPkiServerVerifier},
    sign,
};

use super::{ConfigError, TlsVersions, alpn, check_alpn};
use crate::{
    CertifiedKey, CipherSuite, Group, KeyLog, Roots, SpkiPin,
    key_log::Logger,
    provider::{provider, provider_with},
    verify::{Checks, ServerVerifier},
};

/// How a client speaks TLS, and whom it trusts.
///
/// ```
/// use chaski_tls::{ClientConfig, Roots};
///
/// # fn example() -> Result<(), chaski_tls::LoadError> {
/// // Public servers, and those of the house.
/// let roots = Roots::bundled().with(&Roots::from_file("house-ca.pem")?);
/// let config = ClientConfig::new(roots).with_alpn(["h2", "http/1.1"]);
/// # Ok(()) }
/// ```
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct ClientConfig {
    /// Who may have issued the server's certificate.
    pub roots: Roots,
    /// Public keys of which the server has to have one, whoever has issued its certificate. It is the key of the server's own
    /// certificate that counts. Default: none, and any key will do.
    pub pins: Vec<SpkiPin>,
    /// What is shown to a server that asks for a certificate. Default: nothing.
    pub certificate: Option<CertifiedKey>,
    /// The application protocols that are offered (ALPN, RFC 7301), the most wanted one first. Default: none.
    pub alpn: Vec<Vec<u8>>,
    /// The versions of TLS. Default: 1.2 and 1.3.
    pub versions: TlsVersions,
    /// The cipher suites, the most wanted one first, as they are offered. Default: none are named, and all
    /// of [`CipherSuite`] are offered.
    pub cipher_suites: Vec<CipherSuite>,
    /// The groups for the exchange of keys, the most wanted one first, which is the one that is tried without asking. Default:
    /// none are named, and all of [`Group`] are offered.
    pub groups: Vec<Group>,
    /// Whether sessions of earlier connections may go on. Default: yes.
    pub resumption: bool,
    /// Where the secrets of connections are logged. Default: nowhere.
    pub key_log: Option<KeyLog>,
    /// How long a handshake may take, from the moment at which there is a connection.
    ///
    /// Default: [`DEFAULT_HANDSHAKE_TIMEOUT`](Self::DEFAULT_HANDSHAKE_TIMEOUT); `None` waits for as long as the server does.
    pub handshake_timeout: Option<Duration>,
    /// See [`danger_accept_any_certificate`](Self::danger_accept_any_certificate).
    accept_any_certificate: bool,
    /// See [`danger_accept_any_name`](Self::danger_accept_any_name).
    accept_any_name: bool,
}

impl ClientConfig {
    /// The default of [`handshake_timeout`](Self::handshake_timeout): ten seconds, as on a server.
    pub const DEFAULT_HANDSHAKE_TIMEOUT: Duration = Duration::from_secs(10);

    /// Servers whose sessions are remembered, so that the next connection can go on with one. Up to 8 sessions each.
    pub const REMEMBERED_SERVERS: usize = 256;

    /// A client that trusts these, and defaults in all else.
    #[must_use]
    pub fn new(roots: Roots) -> Self {
        Self {
            roots,
            pins: Vec::new(),
            certificate: None,
            alpn: Vec::new(),
            versions: TlsVersions::default(),
            cipher_suites: Vec::new(),
            groups: Vec::new(),
            resumption: true,
            key_log: None,
            handshake_timeout: Some(Self::DEFAULT_HANDSHAKE_TIMEOUT),
            accept_any_certificate: false,
            accept_any_name: false,
        }
    }

    /// Adds to [`pins`](Self::pins).
    #[must_use]
    pub fn with_pin(mut self, pin: SpkiPin) -> Self {
        self.pins.push(pin);
        self
    }

    /// Sets [`certificate`](Self::certificate).
    #[must_use]
    pub fn with_certificate(mut self, certificate: CertifiedKey) -> Self {
        self.certificate = Some(certificate);
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

    /// Accepts every certificate of every server: expired, for other names, issued by anybody. **Whoever is on the way can then
    /// read and change everything**, unless [`pins`](Self::pins) say which key it has to be: they count all the same, and with
    /// them this is how to talk to a server whose certificate nobody has vouched for.
    #[must_use]
    pub fn danger_accept_any_certificate(mut self) -> Self {
        self.accept_any_certificate = true;
        self
    }

    /// Accepts certificates for other names than the server's. **Everybody with a certificate that some root has issued, for
    /// whatever name, can then pass for the server**, unless the [`roots`](Self::roots) issue for this server alone.
    #[must_use]
    pub fn danger_accept_any_name(mut self) -> Self {
        self.accept_any_name = true;
        self
    }

    pub(crate) fn compile(self) -> Result<CompiledClient, ConfigError> {
        check_alpn(&self.alpn)?;
        let library = |error: rustls::Error| ConfigError::Library(error.into());
        let verifier = Arc::new(ServerVerifier {
            checks: Checks {
                chain: if self.accept_any_certificate { None } else { Some(self.chain_verifier()?) },
                name: !self.accept_any_certificate && !self.accept_any_name,
                pins: self.pins.clone(),
            },
            algorithms: provider().signature_verification_algorithms,
        });
        let builder = rustls::ClientConfig::builder_with_provider(provider_with(&self.cipher_suites, &self.groups)?)
            .with_protocol_versions(self.versions.supported())
            .map_err(library)?
            .dangerous()
            .with_custom_certificate_verifier(Arc::<ServerVerifier>::clone(&verifier));
        let mut config = match &self.certificate {
            Some(key) => builder.with_client_cert_resolver(Arc::new(OneKey(Arc::clone(key.signing())))),
            None => builder.with_no_client_auth(),
        };
        config.alpn_protocols.clone_from(&self.alpn);
        config.resumption = if self.resumption {
            // The library counts sessions, of which it keeps up to 8 for each server.
            Resumption::in_memory_sessions(8 * Self::REMEMBERED_SERVERS)
        } else {
            Resumption::disabled()
        };
        if let Some(log) = &self.key_log {
            config.key_log = Arc::new(Logger(log.clone()));
        }
        Ok(CompiledClient { config: Arc::new(config), verifier, settings: self })
    }

    fn chain_verifier(&self) -> Result<Arc<WebPkiServerVerifier>, ConfigError> {
        if self.roots.is_empty() {
            return Err(ConfigError::NoRoots);
        }
        WebPkiServerVerifier::builder_with_provider(Arc::clone(self.roots.store()), Arc::clone(provider()))
            .with_crls(self.roots.revoked())
            .allow_unknown_revocation_status()
            .build()
            .map_err(|error| ConfigError::Library(error.into()))
    }
}

/// A client's settings, ready for connections.
#[derive(Debug)]
pub(crate) struct CompiledClient {
    pub(crate) config: Arc<rustls::ClientConfig>,
    pub(crate) verifier: Arc<ServerVerifier>,
    pub(crate) settings: ClientConfig,
}

/// Shown to every server that asks, whomever it trusts: it is the server that decides.
#[derive(Debug)]
struct OneKey(Arc<sign::CertifiedKey>);

impl ResolvesClientCert for OneKey {
    fn resolve(&self, _: &[&[u8]], _: &[SignatureScheme]) -> Option<Arc<sign::CertifiedKey>> {
        Some(Arc::clone(&self.0))
    }

    fn has_certs(&self) -> bool {
        true
    }
}
