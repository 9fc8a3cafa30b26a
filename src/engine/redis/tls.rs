//! TLS by rustls: chain and host verified against the system's roots and the caller's own, unless told not to.

use std::sync::Arc;

use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, ring, verify_tls12_signature, verify_tls13_signature};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::{CertificateError, ClientConfig, DigitallySignedStruct, Error, RootCertStore, SignatureScheme};

use super::target::Trust;
use crate::engine::error::{Kind, Trouble};

/// The configuration for connections that trust so.
pub fn config(trust: &Trust) -> Result<Arc<ClientConfig>, Trouble> {
    let provider = Arc::new(ring::default_provider());
    let builder = ClientConfig::builder_with_provider(provider.clone())
        .with_safe_default_protocol_versions()
        .map_err(|_| Trouble::new(Kind::Tls, "no TLS version is available"))?;
    if trust.insecure {
        let verifier = Arc::new(AcceptAll(provider));
        return Ok(Arc::new(builder.dangerous().with_custom_certificate_verifier(verifier).with_no_client_auth()));
    }
    let mut roots = RootCertStore::empty();
    // A broken certificate of the system is the system's matter; the others still count.
    roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
    for certificate in trust.ca.iter().flat_map(|pem| certificates(pem).unwrap_or_default()) {
        let _ = roots.add(certificate);
    }
    let extra = trust.extra_ca.as_deref().map(|pem| CertificateDer::pem_slice_iter(pem).flatten());
    roots.add_parsable_certificates(extra.into_iter().flatten());
    if roots.is_empty() {
        return Err(Trouble::new(
            Kind::Tls,
            "this system has no trusted certificates; install ca-certificates, or set tls.ca (HOLDFAST_TLS_CA)",
        ));
    }
    Ok(Arc::new(builder.with_root_certificates(roots).with_no_client_auth()))
}

/// The certificates of a PEM text; `None` where there is none, or one that cannot be used.
pub fn certificates(pem: &[u8]) -> Option<Vec<CertificateDer<'static>>> {
    let found: Vec<_> = CertificateDer::pem_slice_iter(pem).collect::<Result<_, _>>().ok()?;
    let usable = !found.is_empty() && found.iter().all(|c| RootCertStore::empty().add(c.clone()).is_ok());
    usable.then_some(found)
}

/// What a failed handshake means for the operator.
pub fn explain(error: &std::io::Error) -> Trouble {
    let inner = error.get_ref().and_then(|e| e.downcast_ref::<Error>());
    let why = match inner {
        Some(Error::InvalidCertificate(certificate)) => match certificate {
            CertificateError::Expired | CertificateError::ExpiredContext { .. } => {
                "the server's certificate has expired"
            }
            CertificateError::NotValidYet | CertificateError::NotValidYetContext { .. } => {
                "the server's certificate is not valid yet"
            }
            CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. } => {
                "the server's certificate is for another host; set tls.servername if the name in the URL is not the server's own"
            }
            CertificateError::UnknownIssuer => {
                "the server's certificate is signed by nobody this system trusts (self-signed?); give its CA as tls.ca (HOLDFAST_TLS_CA), or set tls.insecure (HOLDFAST_TLS_INSECURE=1)"
            }
            CertificateError::Revoked => "the server's certificate was revoked",
            _ => "the server's certificate is not acceptable",
        },
        Some(Error::InvalidMessage(_)) => "the server does not speak TLS on that port; use redis:// for a plain one",
        Some(Error::AlertReceived(_)) => "the server refused the TLS handshake",
        Some(_) => "the TLS handshake failed",
        None => "the server closed the connection during the TLS handshake; does that port speak TLS?",
    };
    Trouble::new(Kind::Tls, why)
}

/// Accepts any certificate; signatures are checked all the same, so that the peer holds the key it shows.
#[derive(Debug)]
struct AcceptAll(Arc<CryptoProvider>);

impl ServerCertVerifier for AcceptAll {
    fn verify_server_cert(
        &self,
        _end_entity: &CertificateDer<'_>,
        _intermediates: &[CertificateDer<'_>],
        _server_name: &ServerName<'_>,
        _ocsp_response: &[u8],
        _now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls12_signature(message, cert, dss, &self.0.signature_verification_algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls13_signature(message, cert, dss, &self.0.signature_verification_algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.signature_verification_algorithms.supported_schemes()
    }
}
