//! The client's hello as a fact, and certificates that are made for it.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex},
    time::Duration,
};

use chaski_core::{
    BoxError, Conn, find_cause, service_fn,
    test_util::{Chunking, PipeDirection, PipeOptions, pipe},
};
use chaski_tls::{
    Alert, ClientConfig, Negotiated, PeerCertificates, ServerConfig, TlsError, TlsVersions, hello::ClientHello,
};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use crate::support::{Authority, accept, both, configs, connect, layers, to};

#[tokio::test]
async fn the_hello_is_a_fact_where_that_is_asked_for() {
    for reads in [Chunking::Whole, Chunking::Bytes(1)] {
        for record in [true, false] {
            let (server, client) = configs();
            let layers = layers((
                server.with_client_hello(record),
                client.with_alpn(["h2", "http/1.1"]).with_versions(TlsVersions::Tls13Only),
            ));
            let direction = PipeDirection { reads, ..PipeDirection::default() };
            let (server, client) = both(&layers, PipeOptions::both(direction).pipe()).await;
            assert!(client.ext.get::<ClientHello>().is_none());
            let Some(hello) = server.ext.get::<ClientHello>() else {
                assert!(!record);
                continue;
            };
            assert!(record);
            assert_eq!(hello.server_name().unwrap().as_str(), "localhost");
            assert_eq!(hello.alpn().collect::<Vec<_>>(), [&b"h2"[..], b"http/1.1"]);
            assert_eq!(hello.supported_versions(), [0x0304]);
        }
    }
}

#[tokio::test]
async fn the_hello_of_a_refused_client_is_a_fact_too_and_one_that_is_there_stays() {
    let (server, client) = configs();
    let (server, client) = layers((server.with_client_hello(true).with_alpn(["h2"]), client.with_alpn(["http/1.1"])));
    for known in [false, true] {
        let (near, far) = pipe();
        let conn = Conn::new(far);
        let scope = conn.ext.clone();
        if known {
            scope.insert(ClientHello::default());
        }
        let (accepted, connected) =
            tokio::join!(accept(&server, conn), connect(&client, to("localhost:1"), Conn::new(near)));
        assert!(accepted.is_err() && connected.is_err());
        assert_eq!(*scope.get::<ClientHello>().unwrap() == ClientHello::default(), known);
    }
}

/// One certificate for each name, which takes a while to make.
#[tokio::test(start_paused = true)]
async fn certificates_are_issued_for_what_clients_ask_for_and_sessions_go_on() {
    let authority = Arc::new(Authority::new("Root"));
    let issued = Arc::new(Mutex::new(HashMap::new()));
    let issuer = {
        let (authority, issued) = (Arc::clone(&authority), Arc::clone(&issued));
        service_fn(move |hello: ClientHello| {
            let (authority, issued) = (Arc::clone(&authority), Arc::clone(&issued));
            async move {
                let name = hello.server_name().ok_or("no name")?.as_str().to_owned();
                tokio::time::sleep(Duration::from_millis(20)).await;
                let mut issued = issued.lock().unwrap();
                Ok::<_, BoxError>(issued.entry(name.clone()).or_insert_with(|| authority.issue(&[&name])).clone())
            }
        })
    };
    let layers = layers((ServerConfig::issued_by(issuer), ClientConfig::new(authority.roots())));
    let mut resumed = Vec::new();
    for round in 0..4 {
        for name in ["a.example", "b.example"] {
            let (near, far) = pipe();
            let (accepted, connected) = tokio::join!(
                accept(&layers.0, Conn::new(far)),
                connect(&layers.1, to(&format!("{name}:443")), Conn::new(near))
            );
            let (mut server, mut client) = (accepted.unwrap(), connected.unwrap());
            let subject = client.ext.get::<PeerCertificates>().unwrap().subject();
            assert_eq!(subject, Some(format!("CN={name}")));
            assert_eq!(client.ext.get::<Negotiated>().unwrap().is_resumed(), round > 0);
            server.io.write_all(b"x").await.unwrap();
            server.io.shutdown().await.unwrap();
            client.io.read_to_end(&mut Vec::new()).await.unwrap();
            resumed.push(client.ext.get::<Negotiated>().unwrap().is_resumed());
        }
    }
    assert_eq!(resumed.iter().filter(|resumed| **resumed).count(), 6);
    assert_eq!(issued.lock().unwrap().len(), 2);
}

#[tokio::test]
async fn an_issuer_that_fails_is_told_of() {
    let (_, client) = configs();
    let issuer = service_fn(async |_: ClientHello| Err::<chaski_tls::CertifiedKey, _>("the vault is shut"));
    let (server, client) = layers((ServerConfig::issued_by(issuer), client));
    let (near, far) = pipe();
    let (accepted, connected) =
        tokio::join!(accept(&server, Conn::new(far)), connect(&client, to("localhost:1"), Conn::new(near)));
    let error = accepted.unwrap_err();
    assert!(matches!(find_cause(&*error), Some(TlsError::Issuer(why)) if why.to_string() == "the vault is shut"));
    let error = connected.unwrap_err();
    assert_eq!(find_cause::<TlsError>(&error).unwrap().alert(), Some(Alert::INTERNAL_ERROR));
}
