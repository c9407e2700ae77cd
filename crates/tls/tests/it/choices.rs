//! Cipher suites and groups, and their order.

use chaski_core::{Conn, test_util::pipe};
use chaski_tls::{
    AcceptLayer, CipherSuite as Suite, ClientConfig, Common, ConfigError, ConnectLayer, Group, Negotiated,
    ServerConfig, TlsError, TlsVersions,
};

use crate::support::{accept, both, configs, connect, layers, to};

async fn agreed(server: ServerConfig, client: ClientConfig) -> (Suite, Option<Group>) {
    let (server, client) = both(&layers((server, client)), pipe()).await;
    let of = |conn: &Conn<_>| {
        let negotiated = conn.ext.get::<Negotiated>().unwrap();
        (negotiated.cipher_suite(), negotiated.group())
    };
    assert_eq!(of(&server), of(&client));
    of(&server)
}

#[tokio::test]
async fn the_servers_order_of_cipher_suites_goes_first_if_it_has_one() {
    let (aes, chacha) = (Suite::AES_128_GCM_SHA256, Suite::CHACHA20_POLY1305_SHA256);
    let (server, client) = configs();
    let client = client.with_cipher_suites([aes, chacha]);
    assert_eq!(agreed(server.clone(), client.clone()).await.0, aes);
    assert_eq!(agreed(server.clone().with_cipher_suites([chacha, aes]), client.clone()).await.0, chacha);
    let old = Suite::ECDHE_ECDSA_CHACHA20_POLY1305_SHA256;
    assert_eq!(agreed(server.clone().with_cipher_suites([old]), configs_like(&client, [old])).await.0, old);

    let (server, client) = layers((server.with_cipher_suites([chacha]), client.with_cipher_suites([aes])));
    let (near, far) = pipe();
    let (refused, _) =
        tokio::join!(accept(&server, Conn::new(far)), connect(&client, to("localhost:1"), Conn::new(near)));
    let refused = refused.unwrap_err();
    let cause = chaski_core::find_cause(&*refused);
    assert!(matches!(cause, Some(TlsError::NothingInCommon { what: Common::CipherSuite, .. })), "{refused:?}");
}

fn configs_like(client: &ClientConfig, suites: impl IntoIterator<Item = Suite>) -> ClientConfig {
    client.clone().with_cipher_suites(suites)
}

#[tokio::test]
async fn the_group_is_one_that_both_have() {
    for version in [TlsVersions::Tls12Only, TlsVersions::Tls13Only] {
        let (server, client) = configs();
        let server = server.with_versions(version).with_groups([Group::SECP384R1, Group::X25519]);
        for (offered, expected) in [
            (vec![Group::X25519], Group::X25519),
            // One that the server lacks is tried first, and has to be tried again.
            (vec![Group::SECP256R1, Group::SECP384R1], Group::SECP384R1),
        ] {
            assert_eq!(agreed(server.clone(), client.clone().with_groups(offered)).await.1, Some(expected));
        }
    }
    let (server, client) = configs();
    let (server, client) = layers((server.with_groups([Group::X25519]), client.with_groups([Group::SECP256R1])));
    let (near, far) = pipe();
    let (refused, _) =
        tokio::join!(accept(&server, Conn::new(far)), connect(&client, to("localhost:1"), Conn::new(near)));
    let refused = refused.unwrap_err();
    let cause = chaski_core::find_cause(&*refused);
    assert!(matches!(cause, Some(TlsError::NothingInCommon { what: Common::Group, .. })), "{refused:?}");
}

#[test]
fn what_does_not_fit_together_is_no_configuration() {
    let (server, client) = configs();
    let old = Suite::ECDHE_RSA_AES_128_GCM_SHA256;
    let impossible = server.clone().with_versions(TlsVersions::Tls13Only).with_cipher_suites([old]);
    assert!(matches!(AcceptLayer::new(impossible).unwrap_err(), ConfigError::Library(_)));
    let impossible = client.clone().with_versions(TlsVersions::Tls13Only).with_cipher_suites([old]);
    assert!(matches!(ConnectLayer::new(impossible).unwrap_err(), ConfigError::Library(_)));
    let error = ConnectLayer::new(client.with_alpn([[b'x'; 256]])).unwrap_err();
    assert!(matches!(error, ConfigError::ApplicationProtocol(_)));
    let post_quantum = AcceptLayer::new(server.with_groups([Group::X25519_MLKEM768]));
    if cfg!(feature = "aws-lc-rs") {
        assert!(post_quantum.is_ok());
    } else {
        assert!(matches!(post_quantum.unwrap_err(), ConfigError::Group(Group::X25519_MLKEM768)));
    }
}
