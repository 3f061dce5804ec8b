//! Signature Version 4 of a request to DynamoDB
//! (<https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_sigv-create-signed-request.html>). Such a request has no path, no query and always
//! the same headers, and the key that is derived from the credentials is the same all day.

use std::{
    sync::{Mutex, PoisonError},
    time::SystemTime,
};

use aws_sdk_dynamodb::config::Credentials;
use aws_sigv4::sign::v4::generate_signing_key;
use jiff::{Timestamp, tz::TimeZone};
use ring::{
    digest::{SHA256, digest},
    hmac::{HMAC_SHA256, Key, sign},
};

use crate::clients::endpoint::Endpoint;

/// Signs in the name of these credentials.
#[derive(Debug)]
pub(super) struct Signer {
    credentials: Credentials,
    /// The key of the day that was last signed on.
    key: Mutex<Option<(String, Key)>>,
}

/// What is signed of a request.
#[derive(Debug)]
pub(super) struct Parts<'a> {
    /// `content-type`.
    pub(super) content: &'a str,
    /// `x-amz-target`.
    pub(super) target: &'a str,
    pub(super) body: &'a [u8],
}

/// What a signed request carries.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Signed {
    /// `x-amz-date`.
    pub(super) date: String,
    /// `authorization`.
    pub(super) authorization: String,
}

impl Signer {
    pub(super) fn new(credentials: Credentials) -> Self {
        Self { credentials, key: Mutex::default() }
    }

    pub(super) fn access_key(&self) -> &str {
        self.credentials.access_key_id()
    }

    /// `x-amz-security-token`, for temporary credentials.
    pub(super) fn token(&self) -> Option<&str> {
        self.credentials.session_token()
    }

    /// Signs a request with these headers: `content-type`, `host`, `x-amz-date`, `x-amz-security-token` if there is one, and `x-amz-target`.
    pub(super) fn sign(&self, endpoint: &Endpoint, parts: &Parts<'_>, now: Timestamp) -> Signed {
        let Parts { content, target, body } = parts;
        let time = TimeZone::UTC.to_datetime(now);
        let (year, month, day) = (time.year(), time.month(), time.day());
        let (hour, minute, second) = (time.hour(), time.minute(), time.second());
        let date = format!("{year:04}{month:02}{day:02}T{hour:02}{minute:02}{second:02}Z");
        let (token, signed_token) = match self.token() {
            Some(token) => (format!("x-amz-security-token:{token}\n"), "x-amz-security-token;"),
            None => (String::new(), ""),
        };
        let Endpoint { host, region, service, .. } = endpoint;
        let signed = format!("content-type;host;x-amz-date;{signed_token}x-amz-target");
        let mut canonical = format!(
            "POST\n/\n\ncontent-type:{content}\nhost:{host}\nx-amz-date:{date}\n{token}x-amz-target:{target}\n\n{signed}\n"
        );
        hex(&mut canonical, digest(&SHA256, body).as_ref());
        let scope = format!("{}/{region}/{service}/aws4_request", &date[..8]);
        let mut to_sign = format!("AWS4-HMAC-SHA256\n{date}\n{scope}\n");
        hex(&mut to_sign, digest(&SHA256, canonical.as_bytes()).as_ref());
        let signature = sign(&self.key(&date[..8], endpoint, now), to_sign.as_bytes());
        let mut authorization = format!(
            "AWS4-HMAC-SHA256 Credential={}/{scope}, SignedHeaders={signed}, Signature=",
            self.access_key()
        );
        hex(&mut authorization, signature.as_ref());
        Signed { date, authorization }
    }

    fn key(&self, day: &str, endpoint: &Endpoint, now: Timestamp) -> Key {
        let mut kept = self.key.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((of, key)) = &*kept
            && of == day
        {
            return key.clone();
        }
        let secret = self.credentials.secret_access_key();
        let key = generate_signing_key(
            secret,
            SystemTime::UNIX_EPOCH + now.duration_since(Timestamp::UNIX_EPOCH).unsigned_abs(),
            &endpoint.region,
            &endpoint.service,
        );
        let key = Key::new(HMAC_SHA256, key.as_ref());
        *kept = Some((day.to_owned(), key.clone()));
        key
    }
}

fn hex(text: &mut String, bytes: &[u8]) {
    let mut buffer = [0; 64];
    if hex::encode_to_slice(bytes, &mut buffer).is_ok() {
        text.push_str(std::str::from_utf8(&buffer).unwrap_or_default());
    }
}

#[cfg(test)]
mod tests {
    use aws_sigv4::{
        http_request::{SignableBody, SignableRequest, SigningSettings, sign},
        sign::v4::SigningParams,
    };

    use super::*;

    const NEW_YEAR: i64 = 1_798_761_599;

    /// As the AWS crate signs the same request.
    fn expected(credentials: &Credentials, endpoint: &Endpoint, parts: &Parts<'_>, now: Timestamp) -> Signed {
        let identity = credentials.clone().into();
        let time = SystemTime::UNIX_EPOCH + now.duration_since(Timestamp::UNIX_EPOCH).unsigned_abs();
        let parameters =
            SigningParams::builder().identity(&identity).region(&endpoint.region).name(&endpoint.service);
        let parameters = parameters.time(time).settings(SigningSettings::default()).build().unwrap().into();
        let headers = [("content-type", parts.content), ("x-amz-target", parts.target)];
        let body = SignableBody::Bytes(parts.body);
        let request = SignableRequest::new("POST", endpoint.url.as_str(), headers.into_iter(), body).unwrap();
        let (instructions, _) = sign(request, &parameters).unwrap().into_parts();
        let header = |wanted| instructions.headers().find(|(name, _)| *name == wanted).unwrap().1.to_owned();
        Signed { date: header("x-amz-date"), authorization: header("authorization") }
    }

    #[test]
    fn a_signature_is_the_one_that_the_aws_crate_makes() {
        for (url, host) in [
            ("https://dynamodb.eu-central-1.amazonaws.com/", "dynamodb.eu-central-1.amazonaws.com"),
            ("http://127.0.0.1:8000/", "127.0.0.1:8000"),
        ] {
            let [region, service] = ["eu-central-1", "dynamodb"].map(str::to_owned);
            let endpoint = Endpoint { url: url.parse().unwrap(), host: host.to_owned(), region, service };
            for token in [None, Some("token/+=".to_owned())] {
                let credentials = Credentials::new("AKID", "secret", token, None, "tests");
                let signer = Signer::new(credentials.clone());
                // The second day has another key.
                for second in [NEW_YEAR, NEW_YEAR, NEW_YEAR + 1] {
                    let now = Timestamp::from_second(second).unwrap();
                    let (content, target) = ("application/x-amz-json-1.0", "DynamoDB_20120810.PutItem");
                    let parts = Parts { content, target, body: "{\"é\":1}".as_bytes() };
                    assert_eq!(
                        signer.sign(&endpoint, &parts, now),
                        expected(&credentials, &endpoint, &parts, now)
                    );
                }
            }
        }
    }
}
