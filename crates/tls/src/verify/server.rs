//! What a client asks of a server's certificate.

use std::sync::Arc;

use rustls::{
    CertificateError, DigitallySignedStruct, Error, SignatureScheme,
    client::{
        WebPkiServerVerifier,
        danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier},
        verify_server_name,
    },
    crypto::{WebPkiSupportedAlgorithms, verify_tls12_signature, verify_tls13_signature},
    pki_types::{CertificateDer, ServerName, UnixTime},
    server::ParsedCertificate,
};

use super::{SpkiPin, refused};

/// What is asked of a server's certificate. That the server has its key is asked in any case.
#[derive(Clone, Debug)]
pub(crate) struct Checks {
    /// Its chain, from a root on, and the times of all that is in it.
    pub(crate) chain: Option<Arc<WebPkiServerVerifier>>,
    /// Its names.
    pub(crate) name: bool,
    /// Its key, if there is any pin.
    pub(crate) pins: Vec<SpkiPin>,
}

#[derive(Debug)]
pub(crate) struct ServerVerifier {
    pub(crate) checks: Checks,
    pub(crate) algorithms: WebPkiSupportedAlgorithms,
}

impl ServerVerifier {
    /// Whether a server that has shown these certificates would be taken for `name` on a new connection now. Never where a
    /// setting leaves out a part of the proof.
    pub(crate) fn covers(&self, chain: &[CertificateDer<'_>], name: &ServerName<'_>) -> bool {
        let [leaf, intermediates @ ..] = chain else { return false };
        if !self.checks.name || self.checks.chain.is_none() {
            return false;
        }
        // The names first: mostly they are others, and the chain takes signatures.
        let named = ParsedCertificate::try_from(leaf).and_then(|leaf| verify_server_name(&leaf, name));
        // RFC 9113 section 9.1.1: whatever is asked on a new connection is asked here, pins and times included.
        named.is_ok() && self.check(leaf, intermediates, name, UnixTime::now()).is_ok()
    }

    fn check(
        &self,
        certificate: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        name: &ServerName<'_>,
        now: UnixTime,
    ) -> Result<(), Error> {
        let Checks { chain, name: names_count, pins } = &self.checks;
        if let Some(chain) = chain {
            match chain.verify_server_cert(certificate, intermediates, name, &[], now) {
                // The name is looked at when all else was found right.
                Err(Error::InvalidCertificate(
                    CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. },
                )) if !names_count => {}
                checked => {
                    checked?;
                }
            }
        } else if *names_count {
            verify_server_name(&ParsedCertificate::try_from(certificate)?, name)?;
        }
        // Only the key that the server proves to have: whatever else it sends, it may have picked up.
        if pins.is_empty() || SpkiPin::of_certificate(certificate).is_some_and(|pin| pins.contains(&pin)) {
            return Ok(());
        }
        Err(CertificateError::ApplicationVerificationFailure.into())
    }
}

impl ServerCertVerifier for ServerVerifier {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        server_name: &ServerName<'_>,
        _ocsp_response: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        self.check(end_entity, intermediates, server_name, now).inspect_err(|_| refused::remember(end_entity))?;
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls12_signature(message, cert, dss, &self.algorithms).inspect_err(|_| refused::remember(cert))
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls13_signature(message, cert, dss, &self.algorithms).inspect_err(|_| refused::remember(cert))
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.algorithms.supported_schemes()
    }
}
