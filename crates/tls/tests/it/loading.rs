//! Certificates and keys from files that OpenSSL has made: `keys/make.sh`.

use std::{
    error::Error,
    fs,
    path::{Path, PathBuf},
};

use chaski_tls::{CertifiedKey, LoadError, LoadErrorCause as Cause, Roots, SpkiPin};

fn file(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/it/keys").join(name)
}

fn bytes(name: &str) -> Vec<u8> {
    fs::read(file(name)).unwrap()
}

fn load(chain: &str, key: &str) -> Result<CertifiedKey, LoadError> {
    CertifiedKey::from_files(file(chain), file(key))
}

#[test]
fn keys_of_all_forms_are_read() {
    for (chain, key) in [
        ("p256-cert.pem", "p256.pem"),
        ("p256-cert.pem", "p256-sec1.pem"),
        ("p256-cert.pem", "p256.der"),
        ("p256-cert.pem", "p256-sec1.der"),
        ("p256-cert.der", "p256.pem"),
        ("p384-cert.pem", "p384.pem"),
        ("rsa-cert.pem", "rsa.pem"),
        ("rsa-cert.pem", "rsa-pkcs1.pem"),
        ("rsa-cert.pem", "rsa-pkcs1.der"),
        ("ed25519-cert.pem", "ed25519.pem"),
        ("ed25519-cert.pem", "ed25519.der"),
    ] {
        let loaded = load(chain, key).unwrap_or_else(|error| panic!("{key}: {error}"));
        let name = chain.split('-').next().unwrap();
        assert_eq!(loaded.subject().unwrap(), format!("CN={name}.example, O=Test"));
        assert_eq!(loaded.chain().len(), 1);
        let debug = format!("{loaded:?}");
        assert_eq!(
            debug,
            format!("CertifiedKey {{ subject: Some(\"CN={name}.example, O=Test\"), certificates: 1, .. }}")
        );
    }
}

/// What `openssl x509 -pubkey | openssl pkey -pubin -outform der | openssl dgst -sha256 -binary | base64` says of them.
#[test]
fn pins_are_what_openssl_computes() {
    for (name, hash) in [
        ("p256-cert.pem", "aSB62TsPOlpSKUnwz6fS5FutssoG5BOWtFTApLcy2dA="),
        ("rsa-cert.pem", "0a6E9rrpzxiKhpdx9wn0WRHNecxgYyUsR5sB8PTjO1c="),
        ("ed25519-cert.pem", "9j2vVqmZr3uWA8N2jDDIKXUbNsZQJKa24VoTi+TtTWI="),
    ] {
        let key = load(name, &name.replace("-cert", "")).unwrap();
        let pin = SpkiPin::of_certificate(key.chain().next().unwrap()).unwrap();
        assert_eq!(pin.to_string(), format!("sha256//{hash}"));
        assert_eq!(pin.to_string().parse(), Ok(pin));
    }
    for wrong in ["", "sha256/x", "sha256//", "sha256//AAAA", "sha256//!"] {
        assert!(wrong.parse::<SpkiPin>().is_err(), "{wrong}");
    }
    assert_eq!(SpkiPin::of_certificate(b"\x30\x03\x30\x01\x30"), None);
}

#[test]
fn a_file_may_hold_both_with_words_around_them() {
    let both = [
        b"some words\n-----\n".to_vec(),
        bytes("rsa.pem"),
        b"and more\r\n".to_vec(),
        bytes("rsa-cert.pem"),
        bytes("p256-cert.pem"),
    ]
    .concat();
    let key = CertifiedKey::from_bytes(&both, &both).unwrap();
    assert_eq!(key.chain().len(), 2);
    let windows = String::from_utf8(both).unwrap().replace('\n', "\r\n");
    assert_eq!(CertifiedKey::from_bytes(windows.as_bytes(), windows.as_bytes()).unwrap().chain().len(), 2);
}

/// The file that is at fault, and what is wrong with it.
#[test]
fn an_error_names_the_file_and_the_cause() {
    type Expected = fn(&Cause) -> bool;
    let cases: [(&str, &str, &str, Expected, &str); 13] = [
        ("none.pem", "p256.pem", "none.pem", |c| matches!(c, Cause::Read(_)), "cannot be read"),
        ("p256-cert.pem", "none.pem", "none.pem", |c| matches!(c, Cause::Read(_)), "cannot be read"),
        ("p256.pem", "p256.pem", "p256.pem", |c| matches!(c, Cause::NoCertificate), "has no certificate"),
        ("make.sh", "p256.pem", "make.sh", |c| matches!(c, Cause::NoCertificate), "has no certificate"),
        ("p256-cert.pem", "p256-cert.pem", "p256-cert.pem", |c| matches!(c, Cause::NoKey), "has no private key"),
        ("p256-cert.pem", "p256-cert.der", "p256-cert.der", |c| matches!(c, Cause::NoKey), "has no private key"),
        (
            "p256-cert.pem",
            "encrypted.pem",
            "encrypted.pem",
            |c| matches!(c, Cause::EncryptedKey),
            "has an encrypted private key: decrypt it first",
        ),
        (
            "rsa-cert.pem",
            "encrypted-pkcs1.pem",
            "encrypted-pkcs1.pem",
            |c| matches!(c, Cause::EncryptedKey),
            "encrypted",
        ),
        ("p256-cert.pem", "encrypted.der", "encrypted.der", |c| matches!(c, Cause::EncryptedKey), "encrypted"),
        (
            "p256-cert.pem",
            "dsa.pem",
            "dsa.pem",
            |c| matches!(c, Cause::UnknownKey { label } if label == "DSA PRIVATE KEY"),
            "DSA PRIVATE KEY",
        ),
        ("rsa-cert.pem", "rsa1024.pem", "rsa1024.pem", |c| matches!(c, Cause::UnusableKey(_)), "cannot be used"),
        (
            "rsa-cert.pem",
            "p256.pem",
            "p256.pem",
            |c| matches!(c, Cause::Mismatch { subject } if subject.as_deref() == Some("CN=rsa.example, O=Test")),
            "does not match the certificate (CN=rsa.example, O=Test)",
        ),
        (
            "p256.der",
            "p256.pem",
            "p256.der",
            |c| matches!(c, Cause::BadCertificate(_)),
            "has a certificate that cannot be read",
        ),
    ];
    for (chain, key, at_fault, expected, words) in cases {
        let error = load(chain, key).unwrap_err();
        assert_eq!(error.file(), Some(file(at_fault).as_path()), "{error}");
        assert!(expected(error.cause()), "{error:?}");
        let text = error.to_string();
        assert!(text.starts_with(&format!("{}: ", file(at_fault).display())) && text.contains(words), "{text}");
        assert_eq!(
            error.source().is_some(),
            matches!(error.cause(), Cause::Read(_) | Cause::UnusableKey(_) | Cause::BadCertificate(_))
        );
    }
    let unnamed = CertifiedKey::from_bytes(b"", b"").unwrap_err();
    assert_eq!(unnamed.to_string(), "the input has no certificate");
}

#[test]
fn broken_text_is_pointed_at() {
    let certificate = String::from_utf8(bytes("p256-cert.pem")).unwrap();
    let label = "CERTIFICATE-----\n";
    for (text, line) in [
        (certificate.replacen("MI", "M!", 1), 1),
        (format!("words\n\n{}", certificate.replacen("MI", "M!", 1)), 3),
        (certificate.replace(&format!("-----END {label}"), ""), 1),
        (certificate.replace(&format!("-----END {label}"), "-----END PRIVATE KEY-----\n"), certificate.lines().count()),
        (format!("-----BEGIN {label}{certificate}"), 2),
    ] {
        let error = Roots::from_bytes(text.as_bytes()).unwrap_err();
        assert!(matches!(error.cause(), Cause::Malformed { line: at, .. } if *at == line), "{line}: {error:?}");
    }
    let shorter = certificate.replacen("\n", "\nAAAA", 1);
    assert!(matches!(Roots::from_bytes(shorter.as_bytes()).unwrap_err().cause(), Cause::BadCertificate(_)));
}

#[test]
fn roots_come_from_files_and_are_put_together() {
    let one = Roots::from_file(file("p256-cert.pem")).unwrap();
    let der = Roots::from_file(file("p256-cert.der")).unwrap();
    let bundle = [bytes("p256-cert.pem"), bytes("rsa-cert.pem")].concat();
    let two = Roots::from_bytes(&bundle).unwrap();
    assert_eq!((one.len(), der.len(), two.len(), one.with(&two).len()), (1, 1, 2, 3));
    assert!(Roots::empty().is_empty());
    let error = Roots::from_file(file("p256.pem")).unwrap_err();
    assert!(matches!(error.cause(), Cause::NoCertificate) && error.file().is_some());
    // Most systems have some. One that has none says so.
    match Roots::native() {
        Ok(native) => assert!(native.len() > 1 && native.is_same(&Roots::native().unwrap())),
        Err(error) => assert!(!error.to_string().is_empty()),
    }
}
