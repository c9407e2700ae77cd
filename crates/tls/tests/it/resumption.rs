//! Sessions that go on from an earlier connection.

use chaski_core::{
    Conn,
    test_util::{Pipe, pipe},
};
use chaski_tls::{AcceptLayer, ClientConfig, ConnectLayer, Negotiated, ServerConfig, TlsVersions};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use crate::support::{Authority, both, configs, layers};

/// A connection on which something was said, so that the client has read the tickets; whether it was resumed.
async fn talk(layers: &(AcceptLayer, ConnectLayer)) -> bool {
    let (mut server, mut client) = both(layers, pipe()).await;
    server.io.write_all(b"hello").await.unwrap();
    server.io.shutdown().await.unwrap();
    client.io.read_to_end(&mut Vec::new()).await.unwrap();
    let resumed = |conn: &Conn<chaski_tls::TlsStream<Pipe>>| conn.ext.get::<Negotiated>().unwrap().is_resumed();
    assert_eq!(resumed(&server), resumed(&client));
    resumed(&client)
}

#[tokio::test]
async fn all_sessions_but_the_first_are_resumed() {
    for versions in [TlsVersions::Tls12Only, TlsVersions::Tls13Only] {
        let (server, client) = configs();
        let layers = layers((server.with_versions(versions), client));
        for round in 0..100 {
            assert_eq!(talk(&layers).await, round > 0, "{versions:?} {round}");
        }
        let stats = layers.0.stats();
        assert_eq!((stats.full, stats.resumed, stats.failed), (1, 99, 0));
        let stats = layers.1.stats();
        assert_eq!((stats.full, stats.resumed, stats.failed), (1, 99, 0));
    }
}

/// A certificate for each name, and a new one meanwhile: none of that costs a session.
#[tokio::test]
async fn sessions_outlive_a_renewed_certificate_but_not_new_settings() {
    let authority = Authority::new("Root");
    let current = std::sync::Arc::new(std::sync::Mutex::new(authority.issue(&["localhost"])));
    let certificates = {
        let current = std::sync::Arc::clone(&current);
        move |_: Option<&str>| Some(current.lock().unwrap().clone())
    };
    let layers = layers((ServerConfig::new(certificates.clone()), ClientConfig::new(authority.roots())));
    assert!(!talk(&layers).await);
    assert!(talk(&layers).await);
    *current.lock().unwrap() = authority.issue(&["localhost"]);
    assert!(talk(&layers).await);
    layers.0.replace(ServerConfig::new(certificates)).unwrap();
    assert!(!talk(&layers).await);
    assert!(talk(&layers).await);
    layers.1.replace(ClientConfig::new(authority.roots())).unwrap();
    assert!(!talk(&layers).await);
}

#[tokio::test]
async fn either_side_can_do_without() {
    for versions in [TlsVersions::Tls12Only, TlsVersions::Tls13Only] {
        for (by_server, by_client) in [(false, true), (true, false)] {
            let (server, client) = configs();
            let server = server.with_versions(versions).with_resumption(by_server);
            let layers = layers((server, client.with_resumption(by_client)));
            for _ in 0..3 {
                assert!(!talk(&layers).await, "{versions:?} {by_server} {by_client}");
            }
        }
    }
}

#[tokio::test]
async fn failures_are_counted() {
    let (_, client) = configs();
    let layers = layers((configs().0, client));
    let (near, far) = pipe();
    let (accepted, connected) = tokio::join!(
        crate::support::accept(&layers.0, Conn::new(far)),
        crate::support::connect(&layers.1, crate::support::to("localhost:443"), Conn::new(near))
    );
    assert!(accepted.is_err() && connected.is_err(), "another issuer");
    assert_eq!((layers.0.stats().failed, layers.1.stats().failed), (1, 1));
}
