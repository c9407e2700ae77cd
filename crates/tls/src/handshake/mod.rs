//! The handshakes of both sides, each within its limit of time.

mod accept;
mod connect;

pub(crate) use accept::accept;
pub(crate) use connect::connect;

use std::{future::Future, time::Duration};

use chaski_core::{Domain, Elapsed, Extensions, Io};
use tokio::time::timeout;

use crate::{Negotiated, PeerCertificates, TlsError, TlsStream, stats::Counts};

/// The output of `handshake` if it comes in time.
async fn in_time<T>(limit: Option<Duration>, handshake: impl Future<Output = T>) -> Result<T, TlsError> {
    match limit {
        Some(limit) => {
            timeout(limit, handshake).await.map_err(|_| TlsError::Timeout(Elapsed { what: "the TLS handshake", limit }))
        }
        None => Ok(handshake.await),
    }
}

/// Counts a handshake, and adds to the connection's scope what it has brought.
fn record<I: Io>(stream: &TlsStream<I>, server_name: Option<Domain>, counts: &Counts, scope: &Extensions) {
    let tls = stream.connection();
    if let Some(negotiated) = Negotiated::of(tls, server_name) {
        counts.done(&negotiated);
        scope.insert(negotiated);
    }
    if let Some(certificates) = PeerCertificates::of(tls) {
        scope.insert(certificates);
    }
}
