//! Whom a client trusts, and what it says when it does not.

use chaski_core::{Conn, ConnectStage, display_chain, find_cause, test_util::pipe};
use chaski_tls::{
    Alert, CertificateFault, CertifiedKey, ClientConfig, ConfigError, ConnectLayer, LoadErrorCause, Roots,
    ServerConfig, SpkiPin, TlsError, TlsVersions,
};
use rcgen::{DnType, ExtendedKeyUsagePurpose, date_time_ymd};

use crate::support::{Authority, accept, connect, layers, to};

/// What the two sides say of a handshake with `localhost`.
async fn attempt(server: ServerConfig, client: ClientConfig) -> (Option<TlsError>, Option<String>, Option<Alert>) {
    let (server, client) = layers((server, client));
    let (near, far) = pipe();
    let (accepted, connected) =
        tokio::join!(accept(&server, Conn::new(far)), connect(&client, to("localhost:443"), Conn::new(near)));
    let alert = accepted.err().and_then(|error| find_cause::<TlsError>(&*error).and_then(TlsError::alert));
    let Err(error) = connected else { return (None, None, alert) };
    assert_eq!(error.stage(), ConnectStage::Tls);
    let text = display_chain(&error).to_string();
    let cause = std::error::Error::source(&error).unwrap().downcast_ref::<TlsError>().unwrap();
    let TlsError::Certificate { fault, subject, .. } = cause else { panic!("{text}") };
    let copy = TlsError::Certificate { fault: *fault, subject: subject.clone(), source: "".into() };
    (Some(copy), Some(text), alert)
}

#[tokio::test]
async fn an_error_says_what_is_wrong_with_whose_certificate() {
    let (authority, other) = (Authority::new("Root"), Authority::new("Other"));
    let localhost = &["localhost"];
    let cases: [(CertifiedKey, CertificateFault, Option<&str>, &str, Alert); 6] = [
        (
            authority.issue_with(localhost, |params| params.not_after = date_time_ymd(2020, 1, 1)),
            CertificateFault::Expired,
            Some("CN=localhost"),
            "the peer's certificate (CN=localhost) has expired",
            Alert::CERTIFICATE_EXPIRED,
        ),
        (
            authority.issue_with(localhost, |params| params.not_before = date_time_ymd(2090, 1, 1)),
            CertificateFault::NotYetValid,
            Some("CN=localhost"),
            "is not valid yet",
            Alert::CERTIFICATE_EXPIRED,
        ),
        (
            authority.issue_with(&["elsewhere.example"], |params| {
                params.distinguished_name.push(DnType::OrganizationName, "Evil, \"Inc\"\n");
                params.distinguished_name.push(DnType::CountryName, "PE");
            }),
            CertificateFault::NameMismatch,
            Some("C=PE, O=Evil\\, \\\"Inc\\\"\\n, CN=elsewhere.example"),
            "is for other names",
            Alert::BAD_CERTIFICATE,
        ),
        (
            other.issue(localhost),
            CertificateFault::UnknownIssuer,
            Some("CN=localhost"),
            "was issued by nobody who is trusted",
            Alert::UNKNOWN_CA,
        ),
        (
            authority
                .issue_with(localhost, |params| params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth]),
            CertificateFault::Unsuitable,
            Some("CN=localhost"),
            "may not be used for this",
            Alert::new(43),
        ),
        (
            authority.issue_with(localhost, |params| {
                params.not_after = date_time_ymd(2020, 1, 1);
                params.distinguished_name = rcgen::DistinguishedName::new();
            }),
            CertificateFault::Expired,
            None,
            "the peer's certificate has expired",
            Alert::CERTIFICATE_EXPIRED,
        ),
    ];
    for (key, expected, whose, words, alert) in cases {
        for versions in [TlsVersions::Tls12Only, TlsVersions::Tls13Only] {
            let server = ServerConfig::new(key.clone()).with_versions(versions);
            let (error, text, received) = attempt(server, ClientConfig::new(authority.roots())).await;
            let (error, text) = (error.unwrap(), text.unwrap());
            let TlsError::Certificate { fault, subject, .. } = &error else { unreachable!() };
            assert_eq!((*fault, subject.as_deref()), (expected, whose), "{text}");
            assert!(text.contains(words), "{text}");
            assert_eq!(received, Some(alert), "what the server is told: {text}");
        }
    }
}

#[tokio::test]
async fn a_pinned_key_has_to_be_that_of_the_server() {
    let authority = Authority::new("Root");
    let key = authority.issue(&["localhost"]);
    let pin = SpkiPin::of_certificate(key.chain().next().unwrap()).unwrap();
    let client = ClientConfig::new(authority.roots());
    let wrong = SpkiPin::new([7; 32]);
    assert!(attempt(ServerConfig::new(key.clone()), client.clone().with_pin(wrong).with_pin(pin)).await.0.is_none());
    let (error, ..) = attempt(ServerConfig::new(key.clone()), client.with_pin(wrong)).await;
    assert_eq!(error.unwrap().certificate_fault(), Some(CertificateFault::NotPinned));

    // With nobody trusted, the pin is all that counts, and it does.
    let pins_only = |pin| ClientConfig::new(Roots::empty()).danger_accept_any_certificate().with_pin(pin);
    assert!(attempt(ServerConfig::new(key.clone()), pins_only(pin)).await.0.is_none());
    let (error, ..) = attempt(ServerConfig::new(key), pins_only(wrong)).await;
    assert_eq!(error.unwrap().certificate_fault(), Some(CertificateFault::NotPinned));
}

#[tokio::test]
async fn what_is_dangerous_has_to_be_said() {
    let (authority, other) = (Authority::new("Root"), Authority::new("Other"));
    let stranger = ServerConfig::new(other.issue(&["localhost"]));
    let elsewhere = ServerConfig::new(authority.issue(&["elsewhere.example"]));
    let expired = ServerConfig::new(
        authority.issue_with(&["elsewhere.example"], |params| params.not_after = date_time_ymd(2020, 1, 1)),
    );
    let client = ClientConfig::new(authority.roots());

    let any_name = client.clone().danger_accept_any_name();
    assert!(attempt(elsewhere.clone(), any_name.clone()).await.0.is_none());
    let (error, ..) = attempt(expired.clone(), any_name).await;
    assert_eq!(error.unwrap().certificate_fault(), Some(CertificateFault::Expired));
    for server in [expired, stranger] {
        assert!(attempt(server, client.clone().danger_accept_any_certificate()).await.0.is_none());
    }
}

#[tokio::test]
async fn what_its_issuer_has_revoked_is_refused() {
    let authority = Authority::new("Root");
    let with_serial =
        |serial: u64| authority.issue_with(&["localhost"], |params| params.serial_number = Some(serial.into()));
    let roots = authority.roots().with_revocation_lists(authority.revoke(7).as_bytes()).unwrap();
    // Of another issuer nothing is known, and that is no reason to refuse it.
    let other = Authority::new("Other");
    let roots = Roots::empty().with(&roots).with(&other.roots());
    let client = ClientConfig::new(roots);
    for (key, revoked) in [(with_serial(7), true), (with_serial(8), false), (other.issue(&["localhost"]), false)] {
        let (error, _, alert) = attempt(ServerConfig::new(key), client.clone()).await;
        let fault = error.as_ref().and_then(TlsError::certificate_fault);
        assert_eq!(fault, revoked.then_some(CertificateFault::Revoked), "{error:?}");
        assert_eq!(alert.and_then(Alert::name), revoked.then_some("certificate_revoked"));
    }
    let none = authority.roots().with_revocation_lists(authority.pem().as_bytes()).unwrap_err();
    assert!(matches!(none.cause(), LoadErrorCause::NoRevocationList), "{none}");
    let broken = authority.roots().with_revocation_lists(&[0x30, 0x82, 1, 1, 0]).unwrap();
    assert!(matches!(ConnectLayer::new(ClientConfig::new(broken)).unwrap_err(), ConfigError::Library(_)));
}

#[test]
fn a_client_that_trusts_nobody_is_a_mistake() {
    let error = ConnectLayer::new(ClientConfig::new(Roots::empty())).unwrap_err();
    assert!(matches!(error, ConfigError::NoRoots));
}

/// TLS-09: what is trusted is parsed once. Whoever is given the same set shares it, and handshakes read nothing.
#[tokio::test]
async fn roots_are_parsed_once_and_shared() {
    let authority = Authority::new("Root");
    let file = std::path::Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("roots-{}.pem", std::process::id()));
    std::fs::write(&file, authority.pem()).unwrap();
    let roots = Roots::from_file(&file).unwrap();
    std::fs::remove_file(&file).unwrap();
    let (server, client) =
        layers((ServerConfig::new(authority.issue(&["localhost"])), ClientConfig::new(roots.clone())));
    for _ in 0..2 {
        let (near, far) = pipe();
        let (accepted, connected) =
            tokio::join!(accept(&server, Conn::new(far)), connect(&client, to("localhost:443"), Conn::new(near)));
        accepted.unwrap();
        connected.unwrap();
    }
    assert!(roots.is_same(&roots.clone()));
    assert!(Roots::bundled().is_same(&Roots::bundled()));
    assert!(!roots.is_same(&authority.roots()));
}
