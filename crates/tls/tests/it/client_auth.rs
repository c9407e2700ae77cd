//! Certificates of clients.

use chaski_core::{
    BoxError, Conn, ConnectError, find_cause,
    test_util::{Pipe, pipe},
};
use chaski_tls::{
    AcceptLayer, Alert, CertificateFault, ClientAuth, ClientConfig, ConfigError, ConnectLayer, Negotiated,
    PeerCertificates, Roots, ServerConfig, TlsError, TlsStream, TlsVersions,
};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use crate::support::{Authority, accept, connect, layers, to};

type Accepted = Result<Conn<TlsStream<Pipe>>, BoxError>;

/// What the server made of it, and what the client reads of its answer: a client of TLS 1.3 is done before the server has
/// looked at its certificate.
async fn attempt(layers: &(AcceptLayer, ConnectLayer)) -> (Accepted, Result<String, TlsError>) {
    let (near, far) = pipe();
    let server = async {
        let mut accepted = accept(&layers.0, Conn::new(far)).await;
        if let Ok(conn) = &mut accepted {
            conn.io.write_all(b"welcome").await.unwrap();
            conn.io.shutdown().await.unwrap();
        }
        accepted
    };
    let client = async {
        let mut conn = connect(&layers.1, to("localhost:443"), Conn::new(near)).await.map_err(of_connect)?;
        let mut text = String::new();
        match conn.io.read_to_string(&mut text).await {
            Ok(_) => Ok(text),
            Err(error) => Err(*error.into_inner().unwrap().downcast().unwrap()),
        }
    };
    tokio::join!(server, client)
}

fn of_connect(error: ConnectError) -> TlsError {
    let alert = find_cause::<TlsError>(&error).unwrap().alert();
    TlsError::Alert(alert.unwrap_or_else(|| panic!("{error:?}")))
}

/// TLS-06: a certificate is required, or only verified when there is one. In both cases that of a stranger is refused.
#[tokio::test]
async fn clients_have_to_show_a_certificate_of_a_known_issuer() {
    let (authority, clients, strangers) =
        (Authority::new("Servers"), Authority::new("Clients"), Authority::new("Strangers"));
    let key = authority.issue(&["localhost"]);
    let (known, stranger) = (clients.issue(&["ana"]), strangers.issue(&["eva"]));
    for versions in [TlsVersions::Tls12Only, TlsVersions::Tls13Only] {
        for required in [true, false] {
            let auth =
                if required { ClientAuth::Required(clients.roots()) } else { ClientAuth::Optional(clients.roots()) };
            let server = ServerConfig::new(key.clone()).with_versions(versions).with_client_auth(auth);
            let client = ClientConfig::new(authority.roots());

            let (accepted, read) =
                attempt(&layers((server.clone(), client.clone().with_certificate(known.clone())))).await;
            let accepted = accepted.unwrap();
            assert_eq!(read.unwrap(), "welcome");
            let shown = accepted.ext.get::<PeerCertificates>().unwrap();
            assert_eq!(shown.subject().as_deref(), Some("CN=ana"));
            assert_eq!(shown.leaf(), known.chain().next().unwrap());

            let (accepted, read) =
                attempt(&layers((server.clone(), client.clone().with_certificate(stranger.clone())))).await;
            let error = accepted.unwrap_err();
            let cause: &TlsError = find_cause(&*error).unwrap();
            assert!(
                matches!(cause, TlsError::Certificate { fault: CertificateFault::UnknownIssuer, subject: Some(whose), .. } if whose == "CN=eva"),
                "{error:?}"
            );
            assert_eq!(read.unwrap_err().alert(), Some(Alert::UNKNOWN_CA));

            let (accepted, read) = attempt(&layers((server, client))).await;
            if required {
                let error = accepted.unwrap_err();
                assert!(matches!(find_cause(&*error), Some(TlsError::NoCertificate)), "{error:?}");
                assert_eq!(read.unwrap_err().alert(), Some(Alert::CERTIFICATE_REQUIRED));
            } else {
                assert!(accepted.unwrap().ext.get::<PeerCertificates>().is_none());
                assert_eq!(read.unwrap(), "welcome");
            }
        }
    }
}

#[tokio::test]
async fn a_session_that_goes_on_knows_the_client() {
    let (authority, clients) = (Authority::new("Servers"), Authority::new("Clients"));
    let server =
        ServerConfig::new(authority.issue(&["localhost"])).with_client_auth(ClientAuth::Required(clients.roots()));
    let client = ClientConfig::new(authority.roots()).with_certificate(clients.issue(&["ana"]));
    let layers = layers((server, client));
    for resumed in [false, true] {
        let (accepted, read) = attempt(&layers).await;
        let accepted = accepted.unwrap();
        assert_eq!(read.unwrap(), "welcome");
        assert_eq!(accepted.ext.get::<Negotiated>().unwrap().is_resumed(), resumed);
        assert_eq!(accepted.ext.get::<PeerCertificates>().unwrap().subject().as_deref(), Some("CN=ana"));
    }
}

#[tokio::test]
async fn a_client_whose_certificate_was_revoked_is_refused() {
    let authority = Authority::new("Root");
    let key = authority.issue_with(&["ana"], |params| params.serial_number = Some(9.into()));
    for (revoked, refused) in [(9, true), (10, false)] {
        let roots = authority.roots().with_revocation_lists(authority.revoke(revoked).as_bytes()).unwrap();
        let server = ServerConfig::new(authority.issue(&["localhost"])).with_client_auth(ClientAuth::Required(roots));
        let client = ClientConfig::new(authority.roots()).with_certificate(key.clone());
        let (accepted, _) = attempt(&layers((server, client))).await;
        let fault = accepted.err().and_then(|error| find_cause::<TlsError>(&*error)?.certificate_fault());
        assert_eq!(fault, refused.then_some(CertificateFault::Revoked));
    }
}

#[test]
fn a_server_that_trusts_no_client_is_a_mistake() {
    let key = Authority::new("Root").issue(&["localhost"]);
    let config = ServerConfig::new(key).with_client_auth(ClientAuth::Required(Roots::empty()));
    assert!(matches!(AcceptLayer::new(config).unwrap_err(), ConfigError::NoRoots));
}
