//! Whom TLS trusts, and what its failures are called.
//!
//! Built once by the binary and handed to the client. Certificates are always checked; there is no switch that turns
//! that off, only other roots to trust.

use std::borrow::Cow;
use std::io;
use std::sync::Arc;

use rustls::crypto::aws_lc_rs;
use rustls::pki_types::CertificateDer;
use rustls::{AlertDescription, CertificateError, ClientConfig, Error, RootCertStore};
use tokio_rustls::TlsConnector;

/// How TLS connections are set up.
#[derive(Clone)]
pub struct Tls {
    pub(crate) connector: TlsConnector,
}

impl Tls {
    /// Trusts what the machine trusts, and beside that `extra`. A machine without certificates of its own, such as an
    /// empty container, trusts Mozilla's list.
    pub fn system(extra: impl IntoIterator<Item = CertificateDer<'static>>) -> Self {
        let mut roots = RootCertStore::empty();
        let native = rustls_native_certs::load_native_certs();
        for error in &native.errors {
            tracing::warn!("a certificate of the system's store cannot be read: {error}");
        }
        let (added, _) = roots.add_parsable_certificates(native.certs);
        if added == 0 {
            tracing::debug!("the system has no certificate store; the built-in list of roots is used");
            roots.extend(webpki_roots::TLS_SERVER_ROOTS.iter().cloned());
        }
        let (_, ignored) = roots.add_parsable_certificates(extra);
        if ignored > 0 {
            tracing::warn!(ignored, "extra root certificates that cannot be read are not trusted");
        }
        Self::trusting(roots)
    }

    /// Trusts `roots` and nothing else.
    pub fn trusting(roots: RootCertStore) -> Self {
        let mut config = ClientConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
            .with_safe_default_protocol_versions()
            .expect("the provider has cipher suites for TLS 1.2 and 1.3")
            .with_root_certificates(roots)
            .with_no_client_auth();
        config.alpn_protocols = vec![b"http/1.1".to_vec()];
        Self { connector: TlsConnector::from(Arc::new(config)) }
    }
}

impl std::fmt::Debug for Tls {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Tls").finish_non_exhaustive()
    }
}

/// What a failed handshake is called.
#[expect(clippy::wildcard_enum_match_arm, reason = "the enum is another library's and grows")]
pub(crate) fn words(error: &io::Error) -> Cow<'static, str> {
    let Some(error) = error.get_ref().and_then(|inner| inner.downcast_ref::<Error>()) else {
        return "connection closed during the TLS handshake".into();
    };
    match error {
        Error::InvalidCertificate(error) => certificate_words(error),
        Error::InvalidMessage(_) => "receiver does not speak TLS on this port".into(),
        Error::AlertReceived(AlertDescription::HandshakeFailure | AlertDescription::ProtocolVersion)
        | Error::PeerIncompatible(_) => "receiver has no TLS version or cipher in common with us".into(),
        Error::AlertReceived(AlertDescription::UnrecognisedName) => "receiver does not know the name".into(),
        Error::AlertReceived(AlertDescription::CertificateRequired) => "receiver wants a client certificate".into(),
        Error::NoApplicationProtocol | Error::AlertReceived(AlertDescription::NoApplicationProtocol) => {
            "receiver does not speak HTTP/1.1".into()
        }
        other => other.to_string().into(),
    }
}

#[expect(clippy::wildcard_enum_match_arm, reason = "the enum is another library's and grows")]
fn certificate_words(error: &CertificateError) -> Cow<'static, str> {
    match error {
        CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. } => {
            "certificate is not valid for name".into()
        }
        CertificateError::Expired | CertificateError::ExpiredContext { .. } => "certificate has expired".into(),
        CertificateError::NotValidYet | CertificateError::NotValidYetContext { .. } => {
            "certificate is not valid yet".into()
        }
        CertificateError::UnknownIssuer => "certificate has an unknown issuer".into(),
        CertificateError::Revoked => "certificate is revoked".into(),
        other => format!("certificate is not acceptable: {other}").into(),
    }
}
