//! Verifies Signature Version 4 as AWS does
//! (<https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_sigv-create-signed-request.html>). Written from that page, independently of the
//! code with which the functions sign.

use axum::http::{HeaderMap, Method, Uri};
use hmac::{Hmac, KeyInit, Mac};
use jiff::Timestamp;
use sha2::{Digest, Sha256};

/// Maximum clock difference of a request.
const WINDOW_S: i64 = 300;

/// A request as received.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Received<'a> {
    pub(crate) method: &'a Method,
    pub(crate) uri: &'a Uri,
    pub(crate) headers: &'a HeaderMap,
    pub(crate) body: &'a [u8],
}

/// The fields of an `Authorization` header.
struct Authorization<'a> {
    scope: &'a str,
    signed_headers: Vec<&'a str>,
    signature: &'a str,
}

/// Verifies the signature with this secret access key. `hosts` are the names under which this server is known.
///
/// # Errors
/// What is wrong with the signature.
pub(crate) fn check(
    request: Received<'_>,
    secret: &str,
    service: &str,
    hosts: &[String],
    now: Timestamp,
) -> Result<(), String> {
    let authorization = authorization(request.header("authorization"))?;
    let date = request.header("x-amz-date");
    let [_, day, region, asked, "aws4_request"] = authorization.scope.split('/').collect::<Vec<_>>()[..]
    else {
        return Err(format!("Credential={} is no scope", authorization.scope));
    };
    if asked != service || !date.starts_with(day) {
        return Err(format!("a scope of {asked} on {day} for a request to {service} at {date}"));
    }
    let at: Timestamp = date.parse().map_err(|_| format!("{date:?} is no time"))?;
    if at.duration_since(now).as_secs().abs() > WINDOW_S {
        return Err(format!("signature expired: {date} is not now"));
    }
    let must = request.headers.keys().map(|name| name.as_str()).filter(|name| name.starts_with("x-amz-"));
    if let Some(unsigned) = must.chain(["host"]).find(|name| !authorization.signed_headers.contains(name)) {
        return Err(format!("{unsigned} is not signed"));
    }
    let key = signing_key(secret, day, region, service);
    let scope = format!("{day}/{region}/{service}/aws4_request");
    let fits = |host: &String| {
        let text = format!(
            "AWS4-HMAC-SHA256\n{date}\n{scope}\n{}",
            digest(request.canonical(&authorization.signed_headers, host))
        );
        hex::encode(mac(&key, text.as_bytes())) == authorization.signature
    };
    if hosts.iter().any(fits) { Ok(()) } else { Err("the signature does not match".to_owned()) }
}

fn authorization(header: &str) -> Result<Authorization<'_>, String> {
    let fields = header.strip_prefix("AWS4-HMAC-SHA256 ").ok_or("no AWS4-HMAC-SHA256 authorization")?;
    let field = |name: &str| {
        let mut all = fields.split(',').filter_map(|field| field.trim().split_once('='));
        all.find(|(other, _)| *other == name).map(|(_, value)| value).ok_or(format!("no {name}"))
    };
    Ok(Authorization {
        scope: field("Credential")?,
        signed_headers: field("SignedHeaders")?.split(';').collect(),
        signature: field("Signature")?,
    })
}

impl<'a> Received<'a> {
    fn header(self, name: &str) -> &'a str {
        self.headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default()
    }

    /// The canonical request. Requests here have no query.
    fn canonical(self, signed: &[&str], host: &str) -> String {
        let value = |name: &str| if name == "host" { host } else { self.header(name).trim() };
        let headers: String = signed.iter().map(|name| format!("{name}:{}\n", value(name))).collect();
        let (path, query) = (encoded(self.uri.path()), self.uri.query().unwrap_or_default());
        format!("{}\n{path}\n{query}\n{headers}\n{}\n{}", self.method, signed.join(";"), digest(self.body))
    }
}

/// Percent-encodes every byte except unreserved ones and the slash, so an encoded path is encoded twice.
fn encoded(path: &str) -> String {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~/".contains(&byte);
    path.bytes()
        .map(|byte| if plain(byte) { char::from(byte).to_string() } else { format!("%{byte:02X}") })
        .collect()
}

fn signing_key(secret: &str, day: &str, region: &str, service: &str) -> Vec<u8> {
    let parts = [day, region, service, "aws4_request"];
    parts.iter().fold(format!("AWS4{secret}").into_bytes(), |key, part| mac(&key, part.as_bytes()))
}

fn digest(data: impl AsRef<[u8]>) -> String {
    hex::encode(Sha256::digest(data))
}

fn mac(key: &[u8], data: &[u8]) -> Vec<u8> {
    let mut mac = <Hmac<Sha256> as KeyInit>::new_from_slice(key).expect("HMAC takes keys of any length");
    mac.update(data);
    mac.finalize().into_bytes().to_vec()
}

#[cfg(test)]
mod tests {
    use axum::http::HeaderValue;

    use super::*;

    const SECRET: &str = "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY";
    /// `post-vanilla` of AWS's test suite for Signature Version 4.
    const AUTHORIZATION: &str = "AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE/20150830/us-east-1/service/aws4_request, \
        SignedHeaders=host;x-amz-date, Signature=5da7c1a2acd57cee7505fc6676e4e544621c30862966e37dddb68e92efbe5d6b";

    fn verdict(edit: impl FnOnce(&mut HeaderMap), body: &[u8], now: &str) -> Result<(), String> {
        let mut headers = HeaderMap::new();
        headers.insert("authorization", HeaderValue::from_static(AUTHORIZATION));
        headers.insert("x-amz-date", HeaderValue::from_static("20150830T123600Z"));
        edit(&mut headers);
        let uri = Uri::from_static("/");
        let request = Received { method: &Method::POST, uri: &uri, headers: &headers, body };
        let hosts = ["127.0.0.1:1", "example.amazonaws.com"].map(str::to_owned);
        check(request, SECRET, "service", &hosts, now.parse().unwrap())
    }

    #[test]
    fn the_published_request_is_genuine() {
        assert_eq!(verdict(|_| {}, b"", "2015-08-30T12:36:10Z"), Ok(()));
    }

    #[test]
    fn what_differs_from_it_is_not() {
        let at = "2015-08-30T12:36:10Z";
        assert!(verdict(|_| {}, b"{}", at).is_err(), "another body");
        assert!(verdict(|_| {}, b"", "2015-08-30T12:46:10Z").unwrap_err().contains("expired"));
        let token = |headers: &mut HeaderMap| {
            drop(headers.insert("x-amz-security-token", HeaderValue::from_static("t")))
        };
        assert!(verdict(token, b"", at).unwrap_err().contains("not signed"));
        assert!(verdict(|headers| drop(headers.remove("authorization")), b"", at).is_err());
    }
}
