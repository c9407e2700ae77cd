//! Target: files of certificates and keys.
//!
//! No choices: the input is the file.

use std::mem::discriminant;

use chaski_tls::{CertifiedKey, LoadErrorCause, Roots, SpkiPin};

use crate::reference::pem;

/// The certificates are those that the reference finds, a fault is where the reference finds it, and the ends of lines change
/// nothing.
pub(crate) fn run(data: &[u8]) {
    // A certificate in DER, or nothing.
    let _ = SpkiPin::of_certificate(data);
    let key = CertifiedKey::from_bytes(data, data);
    match &key {
        Ok(key) => assert!(key.chain().len() > 0 && !format!("{key:?}").is_empty()),
        Err(error) => told(error.cause(), data),
    }
    // That is no text, whatever the reference makes of it.
    if data.first() == Some(&0x30) {
        let _ = Roots::from_bytes(data);
        return;
    }
    let roots = Roots::from_bytes(data);
    match (pem(data), &roots) {
        (Ok(found), Ok(roots)) => assert_eq!(roots.len(), found.len()),
        (Ok(found), Err(error)) => match error.cause() {
            LoadErrorCause::NoCertificate => assert!(found.is_empty()),
            LoadErrorCause::BadCertificate(_) => assert!(!found.is_empty()),
            cause => panic!("the reference reads {} certificates: {cause:?}", found.len()),
        },
        (Err(line), Err(error)) => match error.cause() {
            LoadErrorCause::Malformed { line: at, .. } => assert_eq!(*at, line),
            cause => panic!("the reference finds a fault in line {line}: {cause:?}"),
        },
        (Err(line), Ok(_)) => panic!("the reference finds a fault in line {line}"),
    }
    let windows: Vec<u8> =
        data.iter().flat_map(|&byte| [b'\r', byte].into_iter().skip(usize::from(byte != b'\n'))).collect();
    let again = CertifiedKey::from_bytes(&windows, &windows);
    match (&key, &again) {
        (Ok(key), Ok(again)) => assert!(key.chain().eq(again.chain())),
        (Err(error), Err(again)) => assert_eq!(discriminant(error.cause()), discriminant(again.cause())),
        _ => panic!("{key:?} is not {again:?}"),
    }
}

/// What is told stands in the file.
fn told(cause: &LoadErrorCause, data: &[u8]) {
    let has = |words: &str| data.windows(words.len()).any(|part| part == words.as_bytes());
    match cause {
        LoadErrorCause::EncryptedKey => assert!(has("ENCRYPTED") || data[0] == 0x30),
        LoadErrorCause::UnknownKey { label } => assert!(has(label) || data[0] == 0x30),
        LoadErrorCause::Malformed { line, .. } => {
            assert!((1..=data.split(|&byte| byte == b'\n').count()).contains(line));
        }
        _ => {}
    }
}
