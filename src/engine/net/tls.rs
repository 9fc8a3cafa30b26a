//! TLS by rustls: chain and host verified against the system's roots and the caller's own, unless told not to.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};

use rustls::client::ResolvesClientCert;
use rustls::client::WantsClientCert;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, ring, verify_tls12_signature, verify_tls13_signature};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName, UnixTime};
use rustls::sign::CertifiedKey;
use rustls::{
    AlertDescription, CertificateError, ClientConfig, ConfigBuilder, DigitallySignedStruct, Error, RootCertStore,
    SignatureScheme,
};

use crate::engine::base::error::{Kind, Trouble};
use crate::engine::net::target::Trust;

/// Whether a server asked who we are.
pub type Asked = Arc<Requests>;

/// The configuration for a connection that trusts so; `asked` learns whether the server wants a certificate of ours.
pub fn config(trust: &Trust, asked: &Asked) -> Result<Arc<ClientConfig>, Trouble> {
    let provider = Arc::new(ring::default_provider());
    let builder = ClientConfig::builder_with_provider(provider.clone())
        .with_safe_default_protocol_versions()
        .map_err(|_| Trouble::new(Kind::Tls, "no TLS version is available"))?;
    if trust.insecure {
        let verifier = Arc::new(AcceptAll(provider));
        return own(builder.dangerous().with_custom_certificate_verifier(verifier), trust, asked);
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
    own(builder.with_root_certificates(roots), trust, asked)
}

/// With the certificate that is ours, or what notices that one is wanted.
fn own(
    builder: ConfigBuilder<ClientConfig, WantsClientCert>,
    trust: &Trust,
    asked: &Asked,
) -> Result<Arc<ClientConfig>, Trouble> {
    let Some((certificate, key)) = &trust.own else {
        return Ok(Arc::new(builder.with_client_cert_resolver(asked.clone())));
    };
    let unusable = || Trouble::new(Kind::Tls, OWN);
    let (chain, key) = identity(certificate, key).ok_or_else(unusable)?;
    builder.with_client_auth_cert(chain, key).map(Arc::new).map_err(|_| unusable())
}

/// A certificate with its chain, and the key that belongs to it.
type Identity = (Vec<CertificateDer<'static>>, PrivateKeyDer<'static>);

/// Both PEM texts, read; none where one of them cannot be used, or they do not belong together.
fn identity(certificate: &[u8], key: &[u8]) -> Option<Identity> {
    let chain = certificates(certificate)?;
    let key = PrivateKeyDer::from_pem_slice(key).ok()?;
    let signs = ring::default_provider().key_provider.load_private_key(key.clone_key()).ok()?;
    CertifiedKey::new(chain.clone(), signs).keys_match().ok()?;
    Some((chain, key))
}

/// Whether a certificate and its key can be used.
pub fn is_identity(certificate: &[u8], key: &[u8]) -> bool {
    identity(certificate, key).is_some()
}

/// Why a certificate of ours cannot be used.
pub const OWN: &str = "tls.cert and tls.key must be a certificate in PEM form, with its chain, and the key that belongs to it, \
    without a passphrase";

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
        Some(Error::AlertReceived(AlertDescription::CertificateRequired)) => CLIENT_CERTIFICATE,
        Some(Error::AlertReceived(AlertDescription::ProtocolVersion)) => {
            "the server speaks no TLS version that is spoken here: it must allow 1.2 or 1.3"
        }
        Some(Error::AlertReceived(AlertDescription::HandshakeFailure)) => {
            "the server refused the TLS handshake: it has no cipher or key that is spoken here, or wants a client certificate"
        }
        Some(Error::AlertReceived(AlertDescription::UnrecognisedName)) => {
            "the server has no certificate for the name it was asked for; set tls.servername"
        }
        Some(Error::AlertReceived(_)) => "the server refused the TLS handshake",
        Some(_) => "the TLS handshake failed",
        None => "the server closed the connection during the TLS handshake; does that port speak TLS?",
    };
    Trouble::new(Kind::Tls, why)
}

/// Nothing came back.
pub fn silent() -> Trouble {
    Trouble::new(
        Kind::Tls,
        "the server did not answer the TLS handshake; does that port speak TLS? A plain one needs redis://",
    )
}

/// What a connection that broke later says of TLS, if it does: with version 1.3 a server refuses us when we are done
/// already.
pub fn broken(error: &std::io::Error) -> Option<Trouble> {
    error.get_ref()?.downcast_ref::<Error>().map(|_| explain(error))
}

/// The server asked for a certificate, got none, and hung up.
pub fn unknown_client() -> Trouble {
    Trouble::new(Kind::Tls, CLIENT_CERTIFICATE)
}

const CLIENT_CERTIFICATE: &str = "the server wants a client certificate: \
    give it as tls.cert and tls.key (HOLDFAST_TLS_CERT, HOLDFAST_TLS_KEY)";

/// Has no certificate to give, and remembers that it was asked for one.
#[derive(Debug, Default)]
pub struct Requests(AtomicBool);

impl Requests {
    pub fn any(&self) -> bool {
        self.0.load(Relaxed)
    }
}

impl ResolvesClientCert for Requests {
    fn resolve(&self, _issuers: &[&[u8]], _schemes: &[SignatureScheme]) -> Option<Arc<CertifiedKey>> {
        self.0.store(true, Relaxed);
        None
    }

    fn has_certs(&self) -> bool {
        // Else nobody asks.
        true
    }
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
