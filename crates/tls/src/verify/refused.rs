//! Whose certificate was refused.
//!
//! The library drops a certificate that its verifier refuses, and the verifier's error, which decides on the alert, has no
//! room for it. Both are called in one go, by the same thread, so it is remembered by thread from the one to the other.

use std::cell::Cell;

use rustls::pki_types::CertificateDer;

use super::x509;

thread_local! {
    static SUBJECT: Cell<Option<String>> = const { Cell::new(None) };
}

/// Remembers the subject of a certificate that is about to be refused.
pub(super) fn remember(certificate: &CertificateDer<'_>) {
    SUBJECT.set(x509::subject(certificate));
}

/// The subject of the certificate that was refused last.
pub(crate) fn take() -> Option<String> {
    SUBJECT.take()
}
