//! Vectors that providers and their libraries published.

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
    now_unix: i64,
    tolerance_s: Option<u64>,
    valid: bool,
    #[serde(default)]
    expect: Value,
}

impl Vector {
    fn headers(&self) -> HeaderMap {
        let mut lines = Vec::new();
        for (name, value) in &self.headers {
            let values = value.as_array().cloned().unwrap_or_else(|| vec![value.clone()]);
            lines.extend(values.iter().map(|value| (name.clone(), value.as_str().unwrap().to_owned())));
        }
        map(&lines)
    }

    /// As API Gateway's payload 2.0 has them: a repeated header is one line with commas.
    fn joined(&self) -> HeaderMap {
        let headers = self.headers();
        let mut joined = HeaderMap::new();
        for name in headers.keys() {
            let values: Vec<_> = headers.get_all(name).iter().map(|value| value.to_str().unwrap()).collect();
            joined.insert(name, values.join(",").parse().unwrap());
        }
        joined
    }

    fn body(&self) -> Vec<u8> {
        let bytes = self.body_b64.as_ref().map(|body| STANDARD.decode(body).unwrap());
        bytes.unwrap_or_else(|| self.body.clone().unwrap_or_default().into_bytes())
    }

    fn is_valid(&self, scheme: Scheme, headers: &HeaderMap) -> bool {
        let secrets = self.secrets.clone().unwrap_or_else(|| vec![self.secret.clone()]);
        let Ok(keys) = secrets.iter().map(|secret| scheme.key(secret)).collect::<Result<Vec<_>, _>>() else {
            return false;
        };
        let tolerance = Duration::from_secs(self.tolerance_s.unwrap_or(u64::MAX));
        verify(scheme, &Signed { headers, body: &self.body() }, &keys, tolerance, self.now_unix).is_ok()
    }
}

#[test]
fn vectors_come_out_as_their_providers_say() {
    let vectors = include_str!(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/vectors.json"));
    let vectors: Vec<Vector> = serde_json::from_str(vectors).unwrap();
    let mut seen = 0;
    for vector in vectors {
        let name = if vector.scheme == "svix" { "standard-webhooks" } else { &vector.scheme };
        let Ok(scheme) = name.parse::<Scheme>() else { continue };
        seen += 1;
        for headers in [vector.headers(), vector.joined()] {
            assert_eq!(vector.is_valid(scheme, &headers), vector.valid, "{}", vector.name);
            let body = serde_json::from_slice(&vector.body()).ok();
            let identity = identity(scheme, &headers, body.as_ref());
            if let Some(id) = vector.expect["dedupe_id"].as_str() {
                assert_eq!(identity.event_id.as_deref(), Some(id), "{}", vector.name);
            }
            if let Some(event_type) = vector.expect["event_type"].as_str() {
                assert_eq!(identity.event_type, event_type, "{}", vector.name);
            }
        }
    }
    assert_eq!(seen, 11 + 10 + 13 + 2, "stripe, github, standard-webhooks, svix");
}
