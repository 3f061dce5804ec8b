//! Test vectors that providers and their libraries have published.

use serde::Deserialize;

use super::*;

#[derive(Deserialize)]
struct Vector {
    name: String,
    scheme: String,
    secret: String,
    secrets: Option<Vec<String>>,
    headers: serde_json::Map<String, Value>,
    body: Option<String>,
    body_b64: Option<String>,
    url: Option<String>,
    now_unix: i64,
    tolerance_s: Option<u64>,
    valid: bool,
    #[serde(default)]
    topics: Vec<String>,
    #[serde(default)]
    expect: Value,
}

impl Vector {
    fn scheme(&self) -> Scheme {
        let setting = |name: &str| Some(self.expect[name].as_str()?.to_lowercase());
        let url = || Settings {
            public_url: Some(self.url.as_ref().unwrap().parse().unwrap()),
            ..Settings::default()
        };
        let mac = || MacFormat {
            encoding: setting("encoding")
                .map(|name| serde_json::from_value(name.into()).unwrap())
                .unwrap_or_default(),
            algorithm: setting("hash")
                .map(|name| serde_json::from_value(name.into()).unwrap())
                .unwrap_or_default(),
        };
        let generic = || Settings {
            header: Some(HeaderName::from_static("x-convoy-signature")),
            mac: mac(),
            ..Settings::default()
        };
        let (name, settings) = match &*self.scheme {
            "svix" | "standard-webhooks-ed25519" => ("standard-webhooks", Settings::default()),
            "meta-challenge" => ("meta", Settings::default()),
            "hmac-generic" => ("hmac", generic()),
            "convoy-advanced" => ("convoy-advanced", Settings { mac: mac(), ..Settings::default() }),
            name if Scheme::named(name).unwrap().takes(Setting::PublicUrl) => (name, url()),
            "sns" => {
                let topics = self.topics.iter().map(|arn| arn.parse().unwrap()).collect();
                ("sns", Settings { topics, ..Settings::default() })
            }
            name => (name, Settings::default()),
        };
        Scheme::named(name).unwrap().with(settings)
    }

    fn headers(&self) -> HeaderMap {
        let mut lines = Vec::new();
        for (name, value) in &self.headers {
            let values = value.as_array().cloned().unwrap_or_else(|| vec![value.clone()]);
            lines.extend(values.iter().map(|value| (name.clone(), value.as_str().unwrap().to_owned())));
        }
        map(&lines)
    }

    /// The headers as in API Gateway's payload 2.0: a repeated header is one line with commas.
    fn joined(&self) -> HeaderMap {
        let headers = self.headers();
        let mut joined = HeaderMap::new();
        for name in headers.keys() {
            let values: Vec<_> = headers.get_all(name).iter().map(|value| value.to_str().unwrap()).collect();
            joined.insert(name, values.join(",").parse().unwrap());
        }
        joined
    }

    fn query(&self) -> &str {
        self.url.as_ref().and_then(|url| url.split_once('?')).map_or("", |(_, query)| query)
    }

    fn body(&self) -> Vec<u8> {
        let bytes = self.body_b64.as_ref().map(|body| STANDARD.decode(body).unwrap());
        bytes.unwrap_or_else(|| self.body.clone().unwrap_or_default().into_bytes())
    }

    fn keys(&self, scheme: &Scheme) -> Result<Vec<Key>, KeyError> {
        let secrets = self.secrets.clone().unwrap_or_else(|| vec![self.secret.clone()]);
        secrets.iter().map(|secret| scheme.key(secret)).collect()
    }

    /// The key that signed it, if it is valid.
    fn verified(&self, scheme: &Scheme, headers: &HeaderMap) -> Option<Key> {
        let keys = self.keys(scheme).ok()?;
        let tolerance = Duration::from_secs(self.tolerance_s.unwrap_or(u64::MAX));
        let request = Signed { headers, query: Some(self.query()), body: &self.body() };
        let verified = verify(scheme, &request, &keys, tolerance, self.now_unix).ok()?;
        Some(keys[verified.key_index].clone())
    }

    fn assert_identity(&self, scheme: &Scheme, headers: &HeaderMap) {
        let body: Option<Value> = serde_json::from_slice(&self.body()).ok();
        let event = body.map(|body| scheme.batch(&body).and_then(|mut batch| batch.pop()).unwrap_or(body));
        let identity = identity(scheme, headers, event.as_ref());
        if let Some(id) = self.expect["dedupe_id"].as_str() {
            assert_eq!(identity.event_id.as_deref(), Some(id), "{}", self.name);
        }
        if let Some(event_type) = self.expect["event_type"].as_str() {
            assert_eq!(identity.event_type, event_type, "{}", self.name);
        }
    }

    fn assert_handshake(&self, scheme: &Scheme, key: &Key) {
        let answer = handshake(scheme, &serde_json::from_slice(&self.body()).unwrap(), key).unwrap();
        assert_eq!(answer.status.as_u16(), self.expect["status"], "{}", self.name);
        let any = self.expect["body_any_of"].as_array().unwrap();
        assert!(any.contains(&answer.body.into()), "{}", self.name);
    }

    fn assert_challenge(&self, scheme: &Scheme) {
        let answer = challenge(
            scheme,
            &Asked { headers: &HeaderMap::new(), query: self.query() },
            self.keys(scheme).unwrap().first(),
        )
        .unwrap();
        assert_eq!(answer.status.as_u16(), self.expect["status"], "{}", self.name);
        assert_eq!(answer.body, self.expect["body"].as_str().unwrap_or_default(), "{}", self.name);
    }
}

#[test]
fn vectors_come_out_as_their_providers_say() {
    let vectors = include_str!("../vectors.json");
    let vectors: Vec<Vector> = serde_json::from_str(vectors).unwrap();
    assert!(vectors.len() >= 94, "{} vectors", vectors.len());
    for vector in vectors {
        let scheme = vector.scheme();
        if vector.scheme == "meta-challenge" {
            vector.assert_challenge(&scheme);
            continue;
        }
        for headers in [vector.headers(), vector.joined()] {
            let key = vector.verified(&scheme, &headers);
            assert_eq!(key.is_some(), vector.valid, "{}", vector.name);
            vector.assert_identity(&scheme, &headers);
            if let Some(key) = key.filter(|_| vector.expect["handshake"] == true) {
                vector.assert_handshake(&scheme, &key);
            }
        }
    }
}
