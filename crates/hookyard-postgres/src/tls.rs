//! TLS to the database, as strict as `sslmode` asks for.

use std::sync::Arc;

use rustls::client::WebPkiServerVerifier;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, aws_lc_rs};
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::{CertificateError, ClientConfig, DigitallySignedStruct, Error, RootCertStore, SignatureScheme};
use tokio_postgres_rustls::MakeRustlsConnect;

use crate::OpenError;
use crate::url::{Check, Place};

/// What connects to a place.
pub(crate) fn connector(place: &Place) -> Result<MakeRustlsConnect, OpenError> {
    let provider = Arc::new(aws_lc_rs::default_provider());
    let builder = ClientConfig::builder_with_provider(Arc::clone(&provider))
        .with_safe_default_protocol_versions()
        .expect("the provider has the versions of TLS that are compiled in");
    let config = match place.check {
        Check::Host => builder.with_root_certificates(authorities(place)?).with_no_client_auth(),
        Check::Nobody | Check::Authority => {
            let known = match place.check {
                Check::Authority => {
                    let built = WebPkiServerVerifier::builder_with_provider(
                        Arc::new(authorities(place)?),
                        Arc::clone(&provider),
                    );
                    Some(built.build().map_err(|error| certificates(place, error.to_string()))?)
                }
                Check::Nobody | Check::Host => None,
            };
            let verifier = Arc::new(Lenient { known, provider });
            builder.dangerous().with_custom_certificate_verifier(verifier).with_no_client_auth()
        }
    };
    Ok(MakeRustlsConnect::new(config))
}

fn certificates(place: &Place, why: String) -> OpenError {
    let file = place.authorities.as_ref().map_or_else(|| "the system".to_owned(), |file| file.display().to_string());
    OpenError::Certificates { file, why }
}

/// The authorities that the operator named, or else the system's and those that browsers know.
fn authorities(place: &Place) -> Result<RootCertStore, OpenError> {
    let mut roots = RootCertStore::empty();
    let Some(file) = &place.authorities else {
        roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
        if roots.is_empty() {
            roots.extend(webpki_roots::TLS_SERVER_ROOTS.iter().cloned());
        }
        return Ok(roots);
    };
    let read = CertificateDer::pem_file_iter(file).map_err(|error| certificates(place, error.to_string()))?;
    for certificate in read {
        let certificate = certificate.map_err(|error| certificates(place, error.to_string()))?;
        roots.add(certificate).map_err(|error| certificates(place, error.to_string()))?;
    }
    if roots.is_empty() {
        return Err(certificates(place, "it holds no certificate".to_owned()));
    }
    Ok(roots)
}

/// Accepts what libpq accepts below `verify-full`: any certificate, or any name of a known authority's. The handshake's
/// signature is checked all the same.
#[derive(Debug)]
struct Lenient {
    known: Option<Arc<WebPkiServerVerifier>>,
    provider: Arc<CryptoProvider>,
}

impl ServerCertVerifier for Lenient {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        server_name: &ServerName<'_>,
        ocsp_response: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        let Some(known) = &self.known else { return Ok(ServerCertVerified::assertion()) };
        match known.verify_server_cert(end_entity, intermediates, server_name, ocsp_response, now) {
            // The chain is verified before the name is.
            Err(Error::InvalidCertificate(
                CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. },
            )) => Ok(ServerCertVerified::assertion()),
            other => other,
        }
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        let known = &self.provider.signature_verification_algorithms;
        rustls::crypto::verify_tls12_signature(message, certificate, signed, known)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        let known = &self.provider.signature_verification_algorithms;
        rustls::crypto::verify_tls13_signature(message, certificate, signed, known)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.provider.signature_verification_algorithms.supported_schemes()
    }
}
