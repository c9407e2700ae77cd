//! Certificates for tests, and two ends that talk.

use std::sync::{Arc, Mutex};

use chaski_core::{
    BoxError, Conn, Connect, ConnectError, HostPort, Io, Layer, Protocol, Service, service_fn, service_fn_with,
    test_util::{Pipe, pipe},
};
use chaski_tls::{AcceptLayer, CertifiedKey, ClientConfig, ConnectLayer, MaybeTls, Roots, ServerConfig, TlsStream};
use rcgen::{
    BasicConstraints, CertificateParams, CertificateRevocationListParams, DnType, IsCa, Issuer, KeyIdMethod, KeyPair,
    KeyUsagePurpose, RevokedCertParams, date_time_ymd,
};
use tokio::{io::copy_bidirectional, sync::oneshot, task::JoinHandle};

/// Issues certificates.
pub(crate) struct Authority {
    issuer: Issuer<'static, KeyPair>,
    pem: String,
}

impl Authority {
    pub(crate) fn new(name: &str) -> Self {
        let mut params = CertificateParams::default();
        params.distinguished_name.push(DnType::CommonName, name);
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
        let key = KeyPair::generate().unwrap();
        let pem = params.self_signed(&key).unwrap().pem();
        Self { issuer: Issuer::new(params, key), pem }
    }

    pub(crate) fn pem(&self) -> &str {
        &self.pem
    }

    pub(crate) fn roots(&self) -> Roots {
        Roots::from_bytes(self.pem.as_bytes()).unwrap()
    }

    /// A certificate for these names and its key, both in PEM.
    pub(crate) fn issue_pem(&self, names: &[&str], change: impl FnOnce(&mut CertificateParams)) -> (String, String) {
        let names: Vec<String> = names.iter().map(|&name| name.to_owned()).collect();
        let mut params = CertificateParams::new(names.clone()).unwrap();
        params.distinguished_name = rcgen::DistinguishedName::new();
        if let Some(name) = names.first() {
            params.distinguished_name.push(DnType::CommonName, name.as_str());
        }
        change(&mut params);
        let key = KeyPair::generate().unwrap();
        let certificate = params.signed_by(&key, &self.issuer).unwrap();
        (certificate.pem(), key.serialize_pem())
    }

    pub(crate) fn issue_with(&self, names: &[&str], change: impl FnOnce(&mut CertificateParams)) -> CertifiedKey {
        let (chain, key) = self.issue_pem(names, change);
        CertifiedKey::from_bytes(chain.as_bytes(), key.as_bytes()).unwrap()
    }

    /// A list of what this authority has revoked, in PEM.
    pub(crate) fn revoke(&self, serial: u64) -> String {
        let revoked = RevokedCertParams {
            serial_number: serial.into(),
            revocation_time: date_time_ymd(2025, 1, 1),
            reason_code: None,
            invalidity_date: None,
        };
        let list = CertificateRevocationListParams {
            this_update: date_time_ymd(2025, 1, 1),
            next_update: date_time_ymd(2025, 2, 1),
            crl_number: 1.into(),
            issuing_distribution_point: None,
            revoked_certs: vec![revoked],
            key_identifier_method: KeyIdMethod::Sha256,
        };
        list.signed_by(&self.issuer).unwrap().pem().unwrap()
    }

    pub(crate) fn issue(&self, names: &[&str]) -> CertifiedKey {
        self.issue_with(names, |_| {})
    }
}

/// A server for `localhost` and a client that trusts its issuer.
pub(crate) fn configs() -> (ServerConfig, ClientConfig) {
    let authority = Authority::new("Test Root");
    (ServerConfig::new(authority.issue(&["localhost"])), ClientConfig::new(authority.roots()))
}

pub(crate) fn layers((server, client): (ServerConfig, ClientConfig)) -> (AcceptLayer, ConnectLayer) {
    (AcceptLayer::new(server).unwrap(), ConnectLayer::new(client).unwrap())
}

/// Does a server's handshake, and gives what the service below is given.
pub(crate) async fn accept<I: Io>(layer: &AcceptLayer, conn: Conn<I>) -> Result<Conn<TlsStream<I>>, BoxError> {
    layer.layer(service_fn(async |conn: Conn<TlsStream<I>>| Ok::<_, BoxError>(conn))).serve(conn).await
}

/// A wish for a secure connection.
pub(crate) fn to(target: &str) -> Connect {
    Connect::new(target.parse::<HostPort>().unwrap()).with_protocol(Protocol::Https)
}

/// Does a client's handshake on `conn`.
pub(crate) async fn connect<I: Io>(
    layer: &ConnectLayer,
    connect: Connect,
    conn: Conn<I>,
) -> Result<Conn<TlsStream<I>>, ConnectError> {
    let dialed = service_fn_with(Arc::new(Mutex::new(Some(conn))), async |conn: Arc<Mutex<Option<Conn<I>>>>, _| {
        Ok(conn.lock().unwrap().take().unwrap())
    });
    let Conn { io, ext } = layer.layer(dialed).serve(connect).await?;
    let MaybeTls::Tls(io) = io else { panic!("not over TLS") };
    Ok(Conn { io, ext })
}

/// Both handshakes, with `localhost`.
pub(crate) async fn both<I: Io>(
    (server, client): &(AcceptLayer, ConnectLayer),
    (near, far): (I, I),
) -> (Conn<TlsStream<I>>, Conn<TlsStream<I>>) {
    let (accepted, connected) =
        tokio::join!(accept(server, Conn::new(far)), connect(client, to("localhost:443"), Conn::new(near)));
    (accepted.unwrap(), connected.unwrap())
}

/// What lies between two ends, and can be opened.
pub(crate) struct Wire {
    stop: oneshot::Sender<()>,
    carrier: JoinHandle<(Pipe, Pipe)>,
}

/// A near and a far end, and what carries bytes between them.
pub(crate) fn wire() -> (Pipe, Pipe, Wire) {
    let (near, mut a) = pipe();
    let (mut b, far) = pipe();
    let (stop, stopped) = oneshot::channel();
    let carrier = tokio::spawn(async move {
        tokio::select! {
            // First, so that all that was written by then has been carried over.
            biased;
            _ = copy_bidirectional(&mut a, &mut b) => {}
            _ = stopped => {}
        }
        (a, b)
    });
    (near, far, Wire { stop, carrier })
}

impl Wire {
    /// Carries what is under way, and stops: from now on the test has the ends to which the near and the far one talk.
    pub(crate) async fn open(self) -> (Pipe, Pipe) {
        let _ = self.stop.send(());
        self.carrier.await.unwrap()
    }
}
