//! The client certificate for a third party that requires one (mutual TLS).

use std::sync::Arc;

use rustls::{
    ClientConfig,
    client::Resumption,
    crypto::ring,
    pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject as _},
    sign::{CertifiedKey, SingleCertAndKey},
};

/// The same TLS configuration with this certificate, in PEM: the chain (its own certificate first) and the key.
///
/// # Errors
/// What is wrong with it. The parser's own message is not passed on: it may quote the secret.
pub(super) fn shown(tls: &ClientConfig, pem: &str) -> Result<ClientConfig, String> {
    let pem = pem.as_bytes();
    let chain = CertificateDer::pem_slice_iter(pem).collect::<Result<Vec<_>, _>>();
    let chain = chain.ok().filter(|chain| !chain.is_empty()).ok_or("holds no PEM certificate")?;
    let key = PrivateKeyDer::from_pem_slice(pem).map_err(|_| "holds no PEM private key")?;
    let certified = CertifiedKey::from_der(chain, key, &ring::default_provider());
    let certified =
        certified.map_err(|_| "holds a key that can't be used, or that of another certificate")?;
    let mut tls = tls.clone();
    tls.client_auth_cert_resolver = Arc::new(SingleCertAndKey::from(certified));
    // A TLS session identifies the client that opened it, so none is shared with clients that show another
    // certificate.
    tls.resumption = Resumption::default();
    Ok(tls)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clients::trust;

    const CLIENT: &str = include_str!("../../tests/stories/client_certificates/client.pem");
    const OTHER: &str = include_str!("../../tests/stories/client_certificates/server.pem");

    fn problem(pem: &str) -> Option<String> {
        shown(&trust::tls(&|_| None).unwrap(), pem).err()
    }

    #[test]
    fn a_certificate_and_its_key_are_needed() {
        let at = |pem: &str| pem.find("-----BEGIN PRIVATE KEY-----").unwrap();
        let (certificate, key) = CLIENT.split_at(at(CLIENT));
        assert_eq!(problem(CLIENT), None);
        assert_eq!(problem(&format!("{key}{certificate}")), None, "in any order");
        assert_eq!(problem(certificate).unwrap(), "holds no PEM private key");
        assert_eq!(problem(key).unwrap(), "holds no PEM certificate");
        assert_eq!(problem("a plain token").unwrap(), "holds no PEM certificate");
        let others = format!("{certificate}{}", &OTHER[at(OTHER)..]);
        assert!(problem(&others).unwrap().contains("that of another certificate"));
    }
}
