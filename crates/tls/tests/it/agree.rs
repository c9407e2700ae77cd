//! What two sides agree on, and what is then known of the connection.

use chaski_core::{
    BoxError, Conn, Connect, ConnectError, HttpVersions, Route, describe, stack,
    test_util::{Chunking, Pipe, PipeDirection, PipeOptions, assert_describes_child, mock, pipe},
};
use chaski_tls::{
    CipherSuite, ClientAuth, ClientConfig, Group, Negotiated, PeerCertificates, Roots, ServerConfig, TlsStream,
    TlsVersion, TlsVersions,
};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};

use crate::support::{Authority, accept, both, configs, connect, layers, to};

async fn exchange(a: &mut (impl AsyncRead + AsyncWrite + Unpin), b: &mut (impl AsyncRead + AsyncWrite + Unpin)) {
    let long = vec![7; 100_000];
    let mut received = vec![0; long.len()];
    let (sent, got) = tokio::join!(
        async {
            a.write_all(&long).await?;
            a.flush().await
        },
        b.read_exact(&mut received)
    );
    sent.unwrap();
    got.unwrap();
    assert!(received == long);
}

#[tokio::test]
async fn bytes_go_both_ways_in_both_versions() {
    for (versions, expected) in
        [(TlsVersions::Tls12And13, TlsVersion::Tls13), (TlsVersions::Tls12Only, TlsVersion::Tls12)]
    {
        let (server, client) = configs();
        let layers = layers((server.with_versions(versions), client));
        let (mut server, mut client) = both(&layers, pipe()).await;
        exchange(&mut server.io, &mut client.io).await;
        exchange(&mut client.io, &mut server.io).await;
        for ext in [&server.ext, &client.ext] {
            let negotiated = ext.get::<Negotiated>().unwrap();
            assert_eq!(negotiated.version(), expected);
            assert_eq!(negotiated.server_name().unwrap().as_str(), "localhost");
            assert_eq!(negotiated.alpn(), None);
            assert!(!negotiated.is_resumed());
            let suites = match expected {
                TlsVersion::Tls12 => {
                    [CipherSuite::ECDHE_ECDSA_AES_128_GCM_SHA256, CipherSuite::ECDHE_ECDSA_AES_256_GCM_SHA384]
                }
                _ => [CipherSuite::AES_128_GCM_SHA256, CipherSuite::AES_256_GCM_SHA384],
            };
            assert!(suites.contains(&negotiated.cipher_suite()), "{negotiated:?}");
            let post_quantum = cfg!(feature = "aws-lc-rs") && expected == TlsVersion::Tls13;
            assert_eq!(negotiated.group(), Some(if post_quantum { Group::X25519_MLKEM768 } else { Group::X25519 }));
        }
        let shown = client.ext.get::<PeerCertificates>().unwrap();
        assert_eq!(shown.subject().as_deref(), Some("CN=localhost"));
        assert_eq!(shown.chain().len(), 1);
        assert!(server.ext.get::<PeerCertificates>().is_none());
    }
}

#[tokio::test]
async fn reads_and_writes_of_single_bytes_change_nothing() {
    for pending_first in [false, true] {
        let direction = PipeDirection {
            reads: Chunking::Bytes(1),
            writes: Chunking::Bytes(1),
            pending_first,
            ..PipeDirection::default()
        };
        for versions in [TlsVersions::Tls13Only, TlsVersions::Tls12Only] {
            let (server, client) = configs();
            let layers = layers((server.with_versions(versions), client));
            let (mut server, mut client) = both(&layers, PipeOptions::both(direction).pipe()).await;
            client.io.write_all(b"ping").await.unwrap();
            client.io.shutdown().await.unwrap();
            let mut text = String::new();
            server.io.read_to_string(&mut text).await.unwrap();
            assert_eq!(text, "ping");
            server.io.write_all(b"pong").await.unwrap();
            server.io.shutdown().await.unwrap();
            text.clear();
            client.io.read_to_string(&mut text).await.unwrap();
            assert_eq!(text, "pong");
        }
    }
}

#[tokio::test]
async fn the_servers_order_of_application_protocols_decides() {
    for (served, offered, chosen) in [
        (&["h2", "http/1.1"][..], &["http/1.1", "h2"][..], Some("h2")),
        (&["http/1.1"], &["h2", "http/1.1"], Some("http/1.1")),
        (&["h2"], &[], None),
        (&[], &["h2"], None),
    ] {
        let (server, client) = configs();
        let layers = layers((server.with_alpn(served), client.with_alpn(offered)));
        let (server, client) = both(&layers, pipe()).await;
        for ext in [&server.ext, &client.ext] {
            let alpn = ext.get::<Negotiated>().unwrap().alpn();
            assert_eq!(alpn, chosen.map(str::as_bytes), "{served:?} {offered:?}");
        }
    }
}

/// TLS-12: what a caller needs is decided before the handshake.
#[tokio::test]
async fn a_route_decides_what_is_offered() {
    for (choice, chosen) in [
        (None, "echo"),
        (Some(HttpVersions::Any), "h2"),
        (Some(HttpVersions::Http1), "http/1.1"),
        (Some(HttpVersions::Http2), "h2"),
    ] {
        let (server, client) = configs();
        let (server, client) = layers((server.with_alpn(["h2", "http/1.1", "echo"]), client.with_alpn(["echo"])));
        let route = choice.map_or_else(Route::default, |choice| Route::default().with(choice));
        let wish = to("localhost:443").with_route(route);
        let (near, far) = pipe();
        let (accepted, connected) =
            tokio::join!(accept(&server, Conn::new(far)), connect(&client, wish, Conn::new(near)));
        for ext in [accepted.unwrap().ext, connected.unwrap().ext] {
            assert_eq!(ext.get::<Negotiated>().unwrap().alpn(), Some(chosen.as_bytes()));
        }
    }
}

#[tokio::test]
async fn a_new_certificate_is_shown_to_those_who_come_after() {
    let authority = Authority::new("Root");
    let config = |subject: &str| {
        ServerConfig::new(authority.issue_with(&["localhost"], |params| {
            params.distinguished_name.push(rcgen::DnType::OrganizationName, subject);
        }))
    };
    let (server, client) = layers((config("old"), ClientConfig::new(authority.roots())));
    let layers = (server, client);
    let subject = |conn: &Conn<TlsStream<_>>| conn.ext.get::<PeerCertificates>().unwrap().subject().unwrap();
    let (mut first_server, mut first) = both(&layers, pipe()).await;
    assert_eq!(subject(&first), "O=old, CN=localhost");

    layers.0.replace(config("new")).unwrap();
    assert!(layers.0.replace(config("none").with_alpn([""])).is_err(), "what cannot be compiled changes nothing");

    let (_, second) = both(&layers, pipe()).await;
    assert_eq!(subject(&second), "O=new, CN=localhost");
    exchange(&mut first_server.io, &mut first.io).await;
}

#[test]
fn the_layers_tell_what_they_do() {
    let (server, client) = configs();
    let (server, client) = layers((
        server.with_alpn(["h2", "http/1.1"]).with_client_auth(ClientAuth::Required(Roots::bundled())),
        client.with_handshake_timeout(None),
    ));
    let (service, _handle) = mock::<Conn<TlsStream<Pipe>>, (), BoxError>();
    let tree = describe::<Conn<Pipe>, _>(&stack(server, service));
    assert_describes_child(&tree, "MockService");
    assert_eq!(tree.facts_written().len(), 2);
    for setting in ["alpn=h2,http/1.1", "client_auth=required", "handshake_timeout=10s", "max_handshakes=1024"] {
        assert!(tree.to_string().contains(setting), "{setting} is not in {tree}");
    }

    let (dial, _handle) = mock::<Connect, Conn<Pipe>, ConnectError>();
    let tree = describe::<Connect, _>(&stack(client.always(), dial));
    assert_describes_child(&tree, "MockService");
    for setting in ["alpn=none", "tls=always", "handshake_timeout=none"] {
        assert!(tree.to_string().contains(setting), "{setting} is not in {tree}");
    }
}
