//! Who is trusted, and what a refusal means in words.

use std::io::Read as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustls::crypto::CryptoProvider;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject as _;
use rustls::{CertificateError, CipherSuite, ClientConfig, RootCertStore};

/// Longest PEM file that is read.
const PEM_BYTES_MAX: u64 = 1 << 20;

/// Who may vouch for a server.
#[derive(Clone, Debug)]
pub enum TlsRoots {
    /// Mozilla's list, as compiled in: the same on every host, whatever its own store holds.
    WebPki,
    /// These authorities and no others: the embedded venue, or a private line.
    Pinned(Arc<[CertificateDer<'static>]>),
}

/// Why a file of authorities can't be used.
#[derive(Debug, thiserror::Error)]
pub enum TlsRootsError {
    /// It can't be read.
    #[error("cannot read the certificate file {path}")]
    Read {
        /// The file.
        path: PathBuf,
        /// What the system said.
        #[source]
        source: std::io::Error,
    },
    /// Not PEM, or not certificates.
    #[error("{path} is not a PEM file of certificates: {what}")]
    Malformed {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        what: String,
    },
    /// No certificate inside.
    #[error("{path} holds no certificate (expected -----BEGIN CERTIFICATE-----)")]
    Empty {
        /// The file.
        path: PathBuf,
    },
}

impl TlsRoots {
    /// Pins the authorities of a PEM file.
    pub fn from_pem_file(path: &Path) -> Result<Self, TlsRootsError> {
        let read_error = |source| TlsRootsError::Read { path: path.to_owned(), source };
        let mut pem = Vec::new();
        let file = std::fs::File::open(path).map_err(read_error)?;
        file.take(PEM_BYTES_MAX).read_to_end(&mut pem).map_err(read_error)?;
        Self::from_pem(&pem, path)
    }

    /// Pins the authorities of a PEM text; `origin` names it in errors.
    pub fn from_pem(pem: &[u8], origin: &Path) -> Result<Self, TlsRootsError> {
        let malformed = |what: String| TlsRootsError::Malformed { path: origin.to_owned(), what };
        let certificates: Vec<CertificateDer<'static>> = CertificateDer::pem_slice_iter(pem)
            .collect::<Result<_, _>>()
            .map_err(|error| malformed(error.to_string()))?;
        if certificates.is_empty() {
            return Err(TlsRootsError::Empty { path: origin.to_owned() });
        }
        // Tried now, so that a bad file is an error at start-up and not at the first connection.
        let mut store = RootCertStore::empty();
        for certificate in &certificates {
            store.add(certificate.clone()).map_err(|error| malformed(error.to_string()))?;
        }
        Ok(Self::Pinned(certificates.into()))
    }

    fn store(&self) -> RootCertStore {
        match self {
            Self::WebPki => RootCertStore { roots: webpki_roots::TLS_SERVER_ROOTS.to_vec() },
            Self::Pinned(certificates) => {
                let mut store = RootCertStore::empty();
                for certificate in certificates.iter() {
                    store.add(certificate.clone()).expect("every certificate was tried when it was read");
                }
                store
            }
        }
    }
}

/// The configuration that all links to trusted-by-`roots` servers share: TLS 1.2 and 1.3, sessions resumed across links.
pub fn client_config(roots: &TlsRoots) -> Arc<ClientConfig> {
    let config = ClientConfig::builder_with_provider(provider())
        .with_protocol_versions(&[&rustls::version::TLS13, &rustls::version::TLS12])
        .expect("the provider has suites of both versions")
        .with_root_certificates(roots.store())
        .with_no_client_auth();
    Arc::new(config)
}

/// aws-lc-rs, passed explicitly so that no ambient default is asked for. AES-128 goes first: a server that follows our
/// order then spends the least on each record.
pub(super) fn provider() -> Arc<CryptoProvider> {
    let mut provider = rustls::crypto::aws_lc_rs::default_provider();
    provider.cipher_suites.sort_by_key(|suite| {
        !matches!(
            suite.suite(),
            CipherSuite::TLS13_AES_128_GCM_SHA256
                | CipherSuite::TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256
                | CipherSuite::TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256
        )
    });
    Arc::new(provider)
}

/// What TLS refused, and what to do about it.
pub(super) fn explain(error: &rustls::Error) -> String {
    let remedy = match error {
        rustls::Error::InvalidCertificate(certificate) => match certificate {
            CertificateError::UnknownIssuer => {
                "its certificate is signed by an authority that is not trusted here: for an embedded or private venue give \
                 its CA file; for a public venue something stands between you and it"
            }
            CertificateError::BadSignature => {
                "its certificate names an authority that is trusted here but was not signed by it: is the CA file from an \
                 earlier start of the venue?"
            }
            CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. } => {
                "its certificate is for another name: check the host in the address"
            }
            CertificateError::Expired | CertificateError::ExpiredContext { .. } => {
                "its certificate has expired: check this host's clock, then ask the venue"
            }
            CertificateError::NotValidYet | CertificateError::NotValidYetContext { .. } => {
                "its certificate is not valid yet: check this host's clock"
            }
            CertificateError::Revoked => "its certificate was revoked: do not connect",
            _ => "its certificate can't be accepted",
        },
        rustls::Error::InvalidMessage(_) => "it does not speak TLS on this port, or the stream was damaged",
        rustls::Error::PeerIncompatible(_) => "it has no protocol version or cipher in common with us",
        rustls::Error::AlertReceived(_) => "it refused us",
        _ => "the TLS session failed",
    };
    format!("{remedy} ({error})")
}
