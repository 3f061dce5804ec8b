//! RSA signatures, verified with the key of a certificate.

use ring::signature::{
    RSA_PKCS1_2048_8192_SHA1_FOR_LEGACY_USE_ONLY, RSA_PKCS1_2048_8192_SHA256, RsaParameters,
    UnparsedPublicKey,
};
use rustls_pki_types::{CertificateDer, pem::PemObject as _};
use webpki::EndEntityCert;

/// The hash of an RSA signature.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Hash {
    /// SNS's signature version 1.
    Sha1,
    /// SNS's signature version 2.
    Sha256,
}

/// `SEQUENCE { OID rsaEncryption, NULL }` (RFC 3279, section 2.3.1).
const RSA_ENCRYPTION: &[u8] = b"\x30\x0d\x06\x09\x2a\x86\x48\x86\xf7\x0d\x01\x01\x01\x05\0";

/// The RSA public key of the first certificate in a PEM document.
pub(super) fn rsa_key(pem: &str) -> Option<Vec<u8>> {
    let certificate = CertificateDer::from_pem_slice(pem.as_bytes()).ok()?;
    let certificate = EndEntityCert::try_from(&certificate).ok()?;
    let info = certificate.subject_public_key_info();
    // SEQUENCE { algorithm, BIT STRING { key } }: the bit string starts with its number of unused bits, which is none.
    let key = content(&info, 0x30)?.strip_prefix(RSA_ENCRYPTION)?;
    Some(content(key, 0x03)?.strip_prefix(&[0])?.to_vec())
}

/// The content of a DER element that fills `bytes`.
fn content(bytes: &[u8], tag: u8) -> Option<&[u8]> {
    let rest = bytes.strip_prefix(&[tag])?;
    let (first, rest) = rest.split_first()?;
    let (length, rest) = match first {
        0..=0x7f => (usize::from(*first), rest),
        0x81 => (usize::from(*rest.first()?), &rest[1..]),
        0x82 => {
            let (length, rest) = rest.split_first_chunk()?;
            (usize::from(u16::from_be_bytes(*length)), rest)
        }
        _ => return None,
    };
    (rest.len() == length).then_some(rest)
}

/// Whether the signature is valid.
pub(super) fn signed(key: &[u8], hash: Hash, message: &[u8], signature: &[u8]) -> bool {
    let parameters: &'static RsaParameters = match hash {
        Hash::Sha1 => &RSA_PKCS1_2048_8192_SHA1_FOR_LEGACY_USE_ONLY,
        Hash::Sha256 => &RSA_PKCS1_2048_8192_SHA256,
    };
    UnparsedPublicKey::new(parameters, key).verify(message, signature).is_ok()
}
