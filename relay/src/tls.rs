//! TLS towards servers that the relay calls: the public roots, and those an operator adds.

use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject as _;
use rustls::{ClientConfig, RootCertStore};
use thiserror::Error;

/// What was given holds no certificate, or one that cannot be used.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[error("not certificates in PEM")]
pub struct NotCertificates;

/// What a server's certificate is judged by: it must lead to a public authority, or to one of `authorities`, in PEM.
pub(crate) fn client(authorities: Option<&[u8]>) -> Result<ClientConfig, NotCertificates> {
    let mut roots = RootCertStore { roots: webpki_roots::TLS_SERVER_ROOTS.to_vec() };
    if let Some(pem) = authorities {
        let before = roots.len();
        for certificate in CertificateDer::pem_slice_iter(pem) {
            roots.add(certificate.map_err(|_| NotCertificates)?).map_err(|_| NotCertificates)?;
        }
        if roots.len() == before {
            return Err(NotCertificates);
        }
    }
    let builder = ClientConfig::builder_with_provider(rustls::crypto::aws_lc_rs::default_provider().into());
    let builder = builder.with_safe_default_protocol_versions().map_err(|_| NotCertificates)?;
    Ok(builder.with_root_certificates(roots).with_no_client_auth())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn authorities_must_be_certificates() {
        for bad in [&b""[..], b"x", b"-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"] {
            assert_eq!(client(Some(bad)).err(), Some(NotCertificates));
        }
        assert!(client(None).is_ok());
    }
}
