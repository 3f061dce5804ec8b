//! The token of a GitHub App: a JWT, signed with its private key and valid for some minutes
//! (<https://docs.github.com/en/apps/creating-github-apps/authenticating-with-a-github-app/generating-a-json-web-token-jwt-for-a-github-app>).

use base64::{Engine as _, prelude::BASE64_URL_SAFE_NO_PAD as URL_SAFE};
use jiff::{SignedDuration, Timestamp};
use ring::{
    rand::SystemRandom,
    signature::{RSA_PKCS1_SHA256, RsaKeyPair},
};
use rustls::pki_types::{PrivateKeyDer, pem::PemObject as _};
use serde_json::json;

/// How far it is backdated; GitHub advises this, in case clocks differ.
const BEFORE: SignedDuration = SignedDuration::from_secs(60);
/// How long it is valid; GitHub accepts at most ten minutes.
const AFTER: SignedDuration = SignedDuration::from_secs(540);

/// A token for this client id, signed with a private key in PEM.
///
/// # Errors
/// What is wrong with the key. The key is never quoted.
pub(super) fn of(client_id: &str, pem: &str, now: Timestamp) -> Result<String, &'static str> {
    let key = PrivateKeyDer::from_pem_slice(pem.as_bytes()).map_err(|_| "holds no PEM private key")?;
    let pair = match &key {
        PrivateKeyDer::Pkcs1(key) => RsaKeyPair::from_der(key.secret_pkcs1_der()).ok(),
        PrivateKeyDer::Pkcs8(key) => RsaKeyPair::from_pkcs8(key.secret_pkcs8_der()).ok(),
        _ => None,
    };
    let pair = pair.ok_or("holds no RSA key that can be used")?;
    let claims =
        json!({ "iat": (now - BEFORE).as_second(), "exp": (now + AFTER).as_second(), "iss": client_id });
    let head = URL_SAFE.encode(r#"{"alg":"RS256","typ":"JWT"}"#);
    let message = format!("{head}.{}", URL_SAFE.encode(claims.to_string()));
    let mut signature = vec![0; pair.public().modulus_len()];
    pair.sign(&RSA_PKCS1_SHA256, &SystemRandom::new(), message.as_bytes(), &mut signature)
        .map_err(|_| "can't sign")?;
    Ok(format!("{message}.{}", URL_SAFE.encode(signature)))
}

#[cfg(test)]
mod tests {
    use ring::signature::{KeyPair as _, RSA_PKCS1_2048_8192_SHA256, UnparsedPublicKey};
    use serde_json::Value;

    use super::*;

    #[test]
    fn what_is_no_key_is_not_quoted() {
        let refused = of("Iv23", "ghp_secret", Timestamp::UNIX_EPOCH).unwrap_err();
        assert_eq!(refused, "holds no PEM private key");
    }

    #[test]
    fn a_token_says_who_asks_and_is_signed_by_its_key() {
        let der = include_bytes!("../../local/sign/sns.key.der");
        let pem = pem_of(der);
        let now = Timestamp::from_second(1_700_000_000).unwrap();
        let token = of("Iv23", &pem, now).unwrap();
        let (message, signature) = token.rsplit_once('.').unwrap();
        let claims: Value =
            serde_json::from_slice(&URL_SAFE.decode(message.split_once('.').unwrap().1).unwrap()).unwrap();
        assert_eq!(claims, json!({ "iat": 1_699_999_940, "exp": 1_700_000_540, "iss": "Iv23" }));
        let pair = RsaKeyPair::from_der(der).or_else(|_| RsaKeyPair::from_pkcs8(der)).unwrap();
        let public = UnparsedPublicKey::new(&RSA_PKCS1_2048_8192_SHA256, pair.public_key().as_ref());
        public.verify(message.as_bytes(), &URL_SAFE.decode(signature).unwrap()).unwrap();
    }

    fn pem_of(der: &[u8]) -> String {
        let kind = if RsaKeyPair::from_der(der).is_ok() { "RSA PRIVATE KEY" } else { "PRIVATE KEY" };
        let base64 = base64::prelude::BASE64_STANDARD.encode(der);
        let lines: Vec<_> =
            base64.as_bytes().chunks(64).map(|line| std::str::from_utf8(line).unwrap()).collect();
        format!("-----BEGIN {kind}-----\n{}\n-----END {kind}-----\n", lines.join("\n"))
    }
}
