//! Whom a client expects, and what it says of that.

use chaski_core::{
    Conn, Connect, ConnectStage, Domain, Host, Layer, Protocol, Service, Target, find_cause, service_fn,
    test_util::{Pipe, pipe},
};
use chaski_tls::{CertificateFault, ClientConfig, ConnectLayer, MaybeTls, Negotiated, ServerConfig, TlsError};

use crate::support::{Authority, accept, connect, layers, to};

/// TLS-04: what goes into the hello, and what has to stand in the certificate.
#[tokio::test]
async fn a_name_is_sent_without_its_dot_and_an_address_is_not_sent() {
    let authority = Authority::new("Root");
    for (target, sent, certificate) in [
        ("example.com:443", Some("example.com"), "example.com"),
        ("Example.COM:443", Some("example.com"), "example.com"),
        ("example.com.:443", Some("example.com"), "example.com"),
        ("a.example.com:443", Some("a.example.com"), "*.example.com"),
        ("under_score.example.com:443", Some("under_score.example.com"), "*.example.com"),
        ("192.0.2.7:443", None, "192.0.2.7"),
        ("[2001:db8::7]:443", None, "2001:db8::7"),
        ("[::ffff:192.0.2.7]:443", None, "192.0.2.7"),
        ("[fe80::7%1]:443", None, "fe80::7"),
    ] {
        for (names, fits) in [([certificate], true), (["other.example"], false)] {
            let (server, client) =
                layers((ServerConfig::new(authority.issue(&names)), ClientConfig::new(authority.roots())));
            let (near, far) = pipe();
            let (accepted, connected) =
                tokio::join!(accept(&server, Conn::new(far)), connect(&client, to(target), Conn::new(near)));
            if !fits {
                let error = connected.unwrap_err();
                let fault = find_cause::<TlsError>(&error).unwrap().certificate_fault();
                assert_eq!(fault, Some(CertificateFault::NameMismatch), "{target}");
                continue;
            }
            connected.unwrap_or_else(|error| panic!("{target}: {}", chaski_core::display_chain(&error)));
            let accepted = accepted.unwrap();
            let received = accepted.ext.get::<Negotiated>().unwrap().server_name().map(Domain::as_str);
            assert_eq!(received, sent, "{target}");
        }
    }
}

/// TLS-04: an address that comes as one, and was never a name.
#[tokio::test]
async fn a_target_that_is_an_address_is_looked_for_among_the_addresses() {
    let authority = Authority::new("Root");
    for (target, certificate) in
        [("192.0.2.7:443", "192.0.2.7"), ("[2001:db8::7]:443", "2001:db8::7"), ("[::ffff:192.0.2.7]:443", "192.0.2.7")]
    {
        let (server, client) =
            layers((ServerConfig::new(authority.issue(&[certificate])), ClientConfig::new(authority.roots())));
        let wish = Connect::new(Target::Addr(target.parse().unwrap())).with_protocol(Protocol::Https);
        let (near, far) = pipe();
        let (accepted, connected) =
            tokio::join!(accept(&server, Conn::new(far)), connect(&client, wish, Conn::new(near)));
        connected.unwrap_or_else(|error| panic!("{target}: {}", chaski_core::display_chain(&error)));
        assert_eq!(accepted.unwrap().ext.get::<Negotiated>().unwrap().server_name(), None, "{target}");
    }
}

#[tokio::test]
async fn the_name_of_the_connect_goes_before_that_of_the_target() {
    let authority = Authority::new("Root");
    let (server, client) =
        layers((ServerConfig::new(authority.issue(&["inner.example"])), ClientConfig::new(authority.roots())));
    let expected: Host = "inner.example".parse().unwrap();
    for target in [Target::Addr("127.0.0.1:443".parse().unwrap()), Target::Unix("/run/socket".into())] {
        let wish = Connect::new(target).with_protocol(Protocol::Https).with_server_name(expected.clone());
        let (near, far) = pipe();
        let (accepted, connected) =
            tokio::join!(accept(&server, Conn::new(far)), connect(&client, wish, Conn::new(near)));
        connected.unwrap();
        assert_eq!(accepted.unwrap().ext.get::<Negotiated>().unwrap().server_name().unwrap().as_str(), "inner.example");
    }
}

#[tokio::test]
async fn what_has_no_name_is_not_dialed() {
    let layer = ConnectLayer::new(ClientConfig::new(Authority::new("Root").roots())).unwrap();
    let never = service_fn(async |_: Connect| -> Result<Conn<Pipe>, _> { unreachable!("it was dialed") });
    let wish = Connect::new(Target::Unix("/run/socket".into())).with_protocol(Protocol::Https);
    let error = layer.layer(never).serve(wish).await.unwrap_err();
    assert_eq!(error.stage(), ConnectStage::Config);
}

#[tokio::test]
async fn there_is_tls_for_secure_protocols_or_always() {
    let layer = ConnectLayer::new(ClientConfig::new(Authority::new("Root").roots())).unwrap();
    let dial = || service_fn(async |_: Connect| Ok(Conn::new(pipe().0)));
    for protocol in [Protocol::Tcp, Protocol::Http] {
        let wish = || to("localhost:80").with_protocol(protocol);
        let conn = layer.clone().layer(dial()).serve(wish()).await.unwrap();
        assert!(matches!(conn.io, MaybeTls::Plain(_)) && !conn.io.is_tls());
        let error = layer.clone().always().layer(dial()).serve(wish()).await.unwrap_err();
        assert_eq!(error.stage(), ConnectStage::Tls, "the other end is gone");
    }
}
