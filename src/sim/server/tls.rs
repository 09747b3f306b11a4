//! Certificates of the embedded venue: an authority made at start, a server certificate signed by it, and nothing kept
//! but the authority's public half. A client that trusts the file trusts this one run of this one venue.

use std::net::{IpAddr, Ipv6Addr};
use std::sync::Arc;

use rcgen::{
    BasicConstraints, CertificateParams, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair,
    KeyUsagePurpose, SanType,
};
use rustls::ServerConfig;
use rustls::pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer};

use super::VenueError;
use super::persona::Persona;

/// What a venue with TLS needs: the acceptor's configuration and the authority's certificate for the clients.
pub(super) struct Identity {
    /// For the acceptor.
    pub(super) server: Arc<ServerConfig>,
    /// The authority, as PEM.
    pub(super) ca_pem: String,
}

fn authority() -> Result<(CertificateParams, KeyPair), rcgen::Error> {
    let mut params = CertificateParams::new(Vec::new())?;
    params.distinguished_name.push(DnType::CommonName, "Interlock embedded venue, this run's authority");
    params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    Ok((params, KeyPair::generate()?))
}

fn leaf(persona: Persona) -> Result<(CertificateParams, KeyPair), rcgen::Error> {
    let is_demo = persona == Persona::Demo;
    let names = if is_demo { vec!["localhost".to_owned()] } else { Vec::new() };
    let mut params = CertificateParams::new(names)?;
    params.distinguished_name.push(DnType::CommonName, "Interlock embedded venue");
    params.subject_alt_names.push(SanType::IpAddress(IpAddr::V4(persona.address())));
    if is_demo {
        params.subject_alt_names.push(SanType::IpAddress(IpAddr::V6(Ipv6Addr::LOCALHOST)));
    }
    params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
    params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
    // Strict verifiers (OpenSSL 3 behind Python 3.13) refuse a leaf that does not name its issuer's key.
    params.use_authority_key_identifier_extension = true;
    Ok((params, KeyPair::generate()?))
}

/// Makes the authority and the server's certificate: for the persona's own address, for the demo's also `localhost` and `::1`.
pub(super) fn make_identity(persona: Persona) -> Result<Identity, VenueError> {
    let fail = |e: rcgen::Error| VenueError::Tls(e.to_string());
    let (ca_params, ca_key) = authority().map_err(fail)?;
    let ca = ca_params.self_signed(&ca_key).map_err(fail)?;
    let issuer = Issuer::from_params(&ca_params, &ca_key);
    let (leaf_params, leaf_key) = leaf(persona).map_err(fail)?;
    let cert = leaf_params.signed_by(&leaf_key, &issuer).map_err(fail)?;
    let key = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(leaf_key.serialize_der()));
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let mut server = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .and_then(|b| {
            b.with_no_client_auth().with_single_cert(vec![cert.der().clone(), ca.der().clone()], key)
        })
        .map_err(|e| VenueError::Tls(e.to_string()))?;
    server.alpn_protocols = vec![b"http/1.1".to_vec()];
    Ok(Identity { server: Arc::new(server), ca_pem: ca.pem() })
}
