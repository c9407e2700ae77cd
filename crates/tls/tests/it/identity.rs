//! Whom else a server can be taken for.

use chaski_core::{Host, ServerIdentity, test_util::pipe};
use chaski_tls::{ClientConfig, Negotiated, ServerConfig, SpkiPin, TlsVersions};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use crate::support::{Authority, both, layers};

fn covers(identity: &ServerIdentity, host: &str) -> bool {
    identity.covers(&host.parse::<Host>().unwrap())
}

/// H2-17: the certificate decides, with all its names and addresses; also of a session that goes on from an earlier one.
#[tokio::test]
async fn h2_17_a_server_is_whoever_its_certificate_says() {
    let authority = Authority::new("Root");
    let key = authority.issue(&["localhost", "*.Shop.example", "192.0.2.7"]);
    for versions in [TlsVersions::Tls12Only, TlsVersions::Tls13Only] {
        let server = ServerConfig::new(key.clone()).with_versions(versions);
        let layers = layers((server, ClientConfig::new(authority.roots())));
        for resumed in [false, true] {
            let (mut server, mut client) = both(&layers, pipe()).await;
            // Something is said, so that the tickets are read too.
            server.io.write_all(b"hello").await.unwrap();
            server.io.shutdown().await.unwrap();
            client.io.read_to_end(&mut Vec::new()).await.unwrap();
            assert_eq!(client.ext.get::<Negotiated>().unwrap().is_resumed(), resumed);
            let identity = client.ext.get::<ServerIdentity>().unwrap();
            assert_eq!(identity.name().to_string(), "localhost");
            // RFC 9525 section 6.3: an asterisk is a whole label, the first one, and exactly one.
            for (host, expected) in [
                ("localhost", true),
                ("LOCALHOST.", true),
                ("a.shop.example", true),
                ("shop.example", false),
                ("b.a.shop.example", false),
                ("ashop.example", false),
                ("elsewhere.example", false),
                ("192.0.2.7", true),
                ("::ffff:192.0.2.7", true),
                ("192.0.2.8", false),
                ("::1", false),
            ] {
                assert_eq!(covers(identity, host), expected, "{host}");
            }
            assert!(server.ext.get::<ServerIdentity>().is_none(), "that of a server, not of a client");
        }
    }
}

/// H2-17: whatever is asked of a server on a new connection is asked, by the settings of now; and without proof it is nobody.
#[tokio::test]
async fn h2_17_all_that_a_new_connection_asks_for_is_asked() {
    let (authority, other) = (Authority::new("Root"), Authority::new("Other"));
    let key = authority.issue(&["localhost", "b.example"]);
    let pin = SpkiPin::of_certificate(key.chain().next().unwrap()).unwrap();
    let trusting = || ClientConfig::new(authority.roots());

    let layers_of = |client| layers((ServerConfig::new(key.clone()), client));
    let layers = layers_of(trusting().with_pin(pin));
    let (_server, client) = both(&layers, pipe()).await;
    let identity = client.ext.get::<ServerIdentity>().unwrap();
    assert!(covers(identity, "b.example"));
    let list = authority.revoke(7);
    for (name, config, expected) in [
        ("another key is pinned", trusting().with_pin(SpkiPin::new([7; 32])), false),
        ("another issuer is trusted", ClientConfig::new(other.roots()), false),
        ("nothing is asked", trusting().danger_accept_any_certificate(), false),
        ("no name is asked", trusting().danger_accept_any_name(), false),
        ("nothing but the key is asked", trusting().danger_accept_any_certificate().with_pin(pin), false),
        (
            "another certificate was revoked",
            ClientConfig::new(authority.roots().with_revocation_lists(list.as_bytes()).unwrap()),
            true,
        ),
    ] {
        layers.1.replace(config).unwrap();
        assert_eq!(covers(identity, "b.example"), expected, "{name}");
    }

    for config in [trusting().danger_accept_any_certificate(), trusting().danger_accept_any_name()] {
        let (_server, client) = both(&layers_of(config), pipe()).await;
        let identity = client.ext.get::<ServerIdentity>().unwrap();
        assert!(!covers(identity, "localhost") && !covers(identity, "b.example"));
    }
}
