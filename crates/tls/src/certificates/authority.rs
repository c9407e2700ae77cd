//! An authority in memory, which issues certificates when they are asked for.

use std::{
    collections::{HashMap, VecDeque},
    fmt,
    sync::{
        Arc, Mutex, OnceLock, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, SystemTime},
};

use base64::{Engine, prelude::BASE64_STANDARD};
use rcgen::{BasicConstraints, CertificateParams, DistinguishedName, DnType, IsCa, Issuer, KeyPair, KeyUsagePurpose};
use rustls::pki_types::CertificateDer;

use super::{
    Certificates, CertifiedKey,
    issue::{self, IssueError, MAX_LIFETIME},
};

/// A certificate authority whose key never leaves memory: it issues the certificate of a server when the first client asks for
/// that server, and keeps it.
///
/// It is for development, for tests and for proxies that look into TLS, whose clients have been told to trust it:
/// [`certificate_pem`](Self::certificate_pem) is what they have to be given. As the [`Certificates`] of a server it has one for
/// every name, and for every IP address that it is asked for; to a client that names no server it has none to give.
///
/// ```
/// use chaski_tls::{CertificateAuthority, Certificates};
///
/// let authority = CertificateAuthority::new("Tests of today")?;
/// assert!(authority.certificate_pem().starts_with("-----BEGIN CERTIFICATE-----\n"));
/// let key = authority.find(Some("example.com")).expect("it has one for every name");
/// assert_eq!(key.subject().as_deref(), Some("CN=example.com"));
///
/// // For other names than those in a hello.
/// let key = authority.issue(["*.example.com", "192.0.2.1"])?;
/// assert_eq!(key.subject().as_deref(), Some("CN=*.example.com"));
/// # Ok::<(), chaski_tls::IssueError>(())
/// ```
///
/// Keys are of ECDSA on P-256, a new one for each certificate. Certificates begin to be valid a day ago, because clocks are wrong.
/// One that is kept is issued anew when half of its time is over.
///
/// # Who may ask
///
/// Whoever can connect to a server with these certificates has one issued for each name that he thinks of. So it is for clients
/// of one's own; in front of others, ask it for the names that are served, in a closure, and for no others.
///
/// # Blocking
///
/// Issuing takes some ten thousandths of a second. Who asks for the same name meanwhile waits for the same certificate: it is
/// issued once.
///
/// # Limits
///
/// | what | default | knob |
/// |---|---|---|
/// | certificates that are kept; beyond that the oldest goes | [`DEFAULT_KEPT`](Self::DEFAULT_KEPT) | [`with_kept`](Self::with_kept) |
/// | how long a certificate is valid | [`DEFAULT_LIFETIME`](Self::DEFAULT_LIFETIME) | [`with_lifetime`](Self::with_lifetime), ten years at most |
///
/// The authority's own certificate is valid for ten years, and signs none that may sign others.
pub struct CertificateAuthority {
    issuer: Issuer<'static, KeyPair>,
    certificate: CertificateDer<'static>,
    lifetime: Duration,
    kept: usize,
    issued: AtomicU64,
    cache: Mutex<Cache>,
}

#[derive(Default)]
struct Cache {
    slots: HashMap<Box<str>, Arc<Slot>>,
    /// The names in it, oldest first.
    order: VecDeque<Box<str>>,
}

/// The place of a certificate, which is filled by whoever comes first. `None` is for one that could not be issued.
struct Slot {
    key: OnceLock<Option<CertifiedKey>>,
    renew_at: SystemTime,
}

impl CertificateAuthority {
    /// 90 days.
    pub const DEFAULT_LIFETIME: Duration = Duration::from_secs(90 * 24 * 60 * 60);

    /// 1,024 certificates, of about 2 KiB each.
    pub const DEFAULT_KEPT: usize = 1024;

    /// Makes an authority, with a key and a certificate of its own. `name` is how it is called there (`CN`).
    ///
    /// # Errors
    ///
    /// [`IssueError::Library`].
    pub fn new(name: &str) -> Result<Self, IssueError> {
        let mut params = CertificateParams::default();
        params.distinguished_name = DistinguishedName::new();
        params.distinguished_name.push(DnType::CommonName, name);
        // RFC 5280 section 4.2.1.9: no authorities below this one.
        params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
        issue::valid(&mut params, SystemTime::now(), MAX_LIFETIME);
        let key = KeyPair::generate()?;
        let certificate = params.self_signed(&key)?.der().clone();
        Ok(Self {
            issuer: Issuer::new(params, key),
            certificate,
            lifetime: Self::DEFAULT_LIFETIME,
            kept: Self::DEFAULT_KEPT,
            issued: AtomicU64::new(0),
            cache: Mutex::default(),
        })
    }

    /// Sets how long certificates are valid.
    #[must_use]
    pub fn with_lifetime(mut self, lifetime: Duration) -> Self {
        self.lifetime = lifetime.min(MAX_LIFETIME);
        self
    }

    /// Sets how many certificates are kept, at least one.
    #[must_use]
    pub fn with_kept(mut self, certificates: usize) -> Self {
        self.kept = certificates.max(1);
        self
    }

    /// The authority's certificate, as clients take it that are to trust it.
    #[must_use]
    pub fn certificate_pem(&self) -> String {
        let text = BASE64_STANDARD.encode(&self.certificate);
        let (mut pem, mut rest) = ("-----BEGIN CERTIFICATE-----\n".to_owned(), &*text);
        // RFC 7468 section 2: lines of 64 characters.
        while let Some((line, behind)) = rest.split_at_checked(64) {
            pem.push_str(line);
            pem.push('\n');
            rest = behind;
        }
        if !rest.is_empty() {
            pem.push_str(rest);
            pem.push('\n');
        }
        pem.push_str("-----END CERTIFICATE-----\n");
        pem
    }

    /// The authority's certificate in DER.
    #[must_use]
    pub fn certificate(&self) -> &[u8] {
        &self.certificate
    }

    /// How many certificates were issued.
    #[must_use]
    pub fn issued(&self) -> u64 {
        self.issued.load(Ordering::Relaxed)
    }

    /// Issues a certificate that is not kept. `names` are DNS names, `*.` and one, and IP addresses.
    ///
    /// # Errors
    ///
    /// [`IssueError`], for a name that is none above all.
    pub fn issue<'a>(&self, names: impl IntoIterator<Item = &'a str>) -> Result<CertifiedKey, IssueError> {
        self.issue_at(names, SystemTime::now())
    }

    fn issue_at<'a>(
        &self,
        names: impl IntoIterator<Item = &'a str>,
        now: SystemTime,
    ) -> Result<CertifiedKey, IssueError> {
        let params = issue::leaf(names, now, self.lifetime)?;
        let key = KeyPair::generate()?;
        let certificate = params.signed_by(&key, &self.issuer)?;
        self.issued.fetch_add(1, Ordering::Relaxed);
        issue::certified(certificate.der(), &key)
    }

    /// The certificate for `name`, issued now or kept.
    fn find_at(&self, name: &str, now: SystemTime) -> Option<CertifiedKey> {
        let slot = self.slot(name, now);
        // Outside of the lock, so that only those wait who want the same.
        let key = slot.key.get_or_init(|| match self.issue_at([name], now) {
            Ok(key) => Some(key),
            Err(error) => {
                tracing::debug!(name, error = %chaski_core::display_chain(&error), "no certificate for this name");
                None
            }
        });
        if key.is_none() {
            self.forget(name, &slot);
        }
        key.clone()
    }

    fn slot(&self, name: &str, now: SystemTime) -> Arc<Slot> {
        let mut cache = self.cache.lock().unwrap_or_else(PoisonError::into_inner);
        let known = cache.slots.get(name);
        let is_known = known.is_some();
        if let Some(slot) = known.filter(|slot| now < slot.renew_at) {
            return Arc::clone(slot);
        }
        let slot = Arc::new(Slot { key: OnceLock::new(), renew_at: now + self.lifetime / 2 });
        if !is_known {
            while cache.order.len() >= self.kept
                && let Some(oldest) = cache.order.pop_front()
            {
                cache.slots.remove(&oldest);
            }
            cache.order.push_back(name.into());
        }
        cache.slots.insert(name.into(), Arc::clone(&slot));
        slot
    }

    /// Makes room again for what could not be issued.
    fn forget(&self, name: &str, slot: &Arc<Slot>) {
        let mut cache = self.cache.lock().unwrap_or_else(PoisonError::into_inner);
        if cache.slots.get(name).is_some_and(|kept| Arc::ptr_eq(kept, slot)) {
            cache.slots.remove(name);
            cache.order.retain(|kept| **kept != *name);
        }
    }
}

impl Certificates for CertificateAuthority {
    fn find(&self, server_name: Option<&str>) -> Option<CertifiedKey> {
        self.find_at(server_name?, SystemTime::now())
    }
}

/// Without its key.
impl fmt::Debug for CertificateAuthority {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CertificateAuthority")
            .field("lifetime", &self.lifetime)
            .field("kept", &self.kept)
            .field("issued", &self.issued())
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use std::{sync::Barrier, thread};

    use super::*;

    fn der(key: &CertifiedKey) -> Vec<u8> {
        key.chain().next().unwrap().to_vec()
    }

    /// TLS-08: concurrent misses issue once.
    #[test]
    fn those_who_ask_at_once_get_one_certificate() {
        let authority = CertificateAuthority::new("test").unwrap();
        for round in 1..=20 {
            let (name, barrier) = (format!("{round}.test"), Barrier::new(8));
            let found: Vec<Vec<u8>> = thread::scope(|scope| {
                let ask = || {
                    barrier.wait();
                    der(&authority.find(Some(&name)).unwrap())
                };
                let threads: Vec<_> = (0..8).map(|_| scope.spawn(ask)).collect();
                threads.into_iter().map(|thread| thread.join().unwrap()).collect()
            });
            assert!(found.iter().all(|certificate| *certificate == found[0]));
            assert_eq!(authority.issued(), round);
        }
    }

    #[test]
    fn a_certificate_is_issued_anew_when_half_of_its_time_is_over() {
        let day = Duration::from_secs(24 * 60 * 60);
        let authority = CertificateAuthority::new("test").unwrap().with_lifetime(10 * day);
        let now = SystemTime::now();
        let first = der(&authority.find_at("a.test", now).unwrap());
        assert_eq!(der(&authority.find_at("a.test", now + 5 * day - Duration::from_secs(1)).unwrap()), first);
        let second = der(&authority.find_at("a.test", now + 5 * day).unwrap());
        assert_ne!(second, first);
        assert_eq!(der(&authority.find_at("a.test", now + 9 * day).unwrap()), second);
        assert_eq!(authority.issued(), 2);
    }

    #[test]
    fn beyond_the_bound_the_oldest_goes() {
        let authority = CertificateAuthority::new("test").unwrap().with_kept(2);
        let find = |name| der(&authority.find(Some(name)).unwrap());
        let (a, b) = (find("a.test"), find("b.test"));
        assert_eq!((find("a.test"), find("b.test")), (a.clone(), b.clone()));
        find("c.test");
        assert_eq!(find("b.test"), b);
        assert_ne!(find("a.test"), a);
        assert_eq!(authority.issued(), 4);
        assert_eq!(authority.cache.lock().unwrap().slots.len(), 2);
    }

    #[test]
    fn what_has_no_certificate_leaves_nothing_behind() {
        let authority = CertificateAuthority::new("test").unwrap();
        assert!(authority.find(None).is_none());
        assert_eq!(authority.find(Some("192.0.2.1")).unwrap().subject().as_deref(), Some("CN=192.0.2.1"));
        assert!(authority.find(Some("a b")).is_none());
        assert!(matches!(authority.issue([]), Err(IssueError::NoName)));
        assert!(matches!(authority.issue(["a.test", "*"]), Err(IssueError::Name(name, _)) if &*name == "*"));
        let cache = authority.cache.lock().unwrap();
        assert_eq!((cache.slots.len(), cache.order.len()), (1, 1), "the address alone");
        drop(cache);
        assert_eq!(authority.issued(), 1);
        assert!(!format!("{authority:?}").contains("key"));
    }
}
