//! Trusted certificate authorities: Mozilla's list, compiled in, since reading and parsing the system's list takes 5 ms of
//! each start; or those of `SSL_CERT_FILE`, for a broker or a third party behind a private authority.

use std::sync::Arc;

use rustls::{
    ClientConfig, RootCertStore,
    crypto::ring,
    pki_types::{CertificateDer, pem::PemObject as _},
};

use crate::config::{ConfigError, environment::Lookup};

const FILE: &str = "SSL_CERT_FILE";

/// The TLS configuration.
///
/// # Errors
/// `SSL_CERT_FILE` can't be read, has no certificate, or has one that can't be used. There is no fallback.
pub(crate) fn tls(get: Lookup<'_>) -> Result<ClientConfig, ConfigError> {
    let problem = |problem: String| ConfigError::one("environment", FILE, problem);
    let roots = match get(FILE).filter(|path| !path.is_empty()) {
        None => RootCertStore { roots: webpki_roots::TLS_SERVER_ROOTS.to_vec() },
        Some(path) => of_file(&path).map_err(|error| {
            problem(format!("{path}: {error}; name a file of PEM certificates, or unset it"))
        })?,
    };
    let config = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()));
    let config = config.with_safe_default_protocol_versions().map_err(|error| problem(error.to_string()))?;
    Ok(config.with_root_certificates(roots).with_no_client_auth())
}

fn of_file(path: &str) -> Result<RootCertStore, Box<dyn std::error::Error>> {
    let mut roots = RootCertStore::empty();
    for certificate in CertificateDer::pem_file_iter(path)? {
        roots.add(certificate?)?;
    }
    if roots.is_empty() { Err("it holds no certificate".into()) } else { Ok(roots) }
}

#[cfg(test)]
mod tests {
    use std::{fs, path::Path};

    use super::*;

    const AUTHORITY: &str = include_str!("tests/authority.pem");

    fn with(file: &Path) -> Result<ClientConfig, String> {
        let path = file.display().to_string();
        tls(&|name| (name == FILE).then(|| path.clone())).map_err(|error| error.to_string())
    }

    #[test]
    fn mozillas_list_is_trusted_unless_a_file_says_otherwise() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("authority.pem");
        fs::write(&file, AUTHORITY).unwrap();
        assert!(tls(&|_| None).is_ok() && tls(&|_| Some(String::new())).is_ok());
        assert!(with(&file).is_ok());
        let roots = of_file(&file.display().to_string()).unwrap();
        assert_eq!(roots.len(), 1, "and nobody else");
    }

    #[test]
    fn a_file_that_names_nobody_is_an_error_and_not_everybody() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("authority.pem");
        let problem = |text: &str| {
            fs::write(&file, text).unwrap();
            with(&file).unwrap_err()
        };
        assert!(problem("").contains("SSL_CERT_FILE") && problem("").contains("it holds no certificate"));
        assert!(problem("no PEM at all").contains("unset it"));
        let cut = AUTHORITY.lines().take(4).chain(["-----END CERTIFICATE-----"]).collect::<Vec<_>>();
        assert!(problem(&cut.join("\n")).contains("authority.pem"));
        assert!(with(&folder.path().join("missing.pem")).unwrap_err().contains("missing.pem"));
    }
}
