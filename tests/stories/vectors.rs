//! Every vector of `vectors.json` as an event of every format through the ingest binary, at the vector's own time.

use std::collections::{BTreeMap, BTreeSet};

use anyhow::{Context, Result, ensure};
use base64::{Engine as _, prelude::BASE64_STANDARD};
use http::{HeaderName, Request, request::Parts};
use jiff::Timestamp;
use local::{
    gateway::FrontEnd,
    http::Answer,
    runtime_api::{Function, Program},
};
use serde::Deserialize;
use serde_json::{Map, Value};
use sha2::{Digest as _, Sha256};
use toml::{Table, toml};
use webhook_verify::{Scheme, Setting};

use crate::{faketime, setup, setup::Story};

#[derive(Debug, Clone, Deserialize)]
struct Vector {
    name: String,
    scheme: String,
    method: String,
    secret: String,
    secrets: Option<Vec<String>>,
    headers: Map<String, Value>,
    body: Option<String>,
    body_b64: Option<String>,
    url: Option<String>,
    now_unix: i64,
    tolerance_s: Option<u64>,
    valid: bool,
    #[serde(default)]
    expect: Value,
}

/// The expected verification of a vector's request in an event format.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Verdict {
    Genuine,
    Refused,
    /// The header has two lines. The load balancer passes only one of them, which is valid.
    GenuineAsFarAsSeen,
    /// The URL's query was signed, and the event does not contain its exact bytes.
    QueryUnknown,
}

impl Vector {
    fn all() -> Result<Vec<Self>> {
        Ok(serde_json::from_str(include_str!("../../functions/webhook-verify/vectors.json"))?)
    }

    fn is_challenge(&self) -> bool {
        self.scheme == "meta-challenge"
    }

    /// `shopify-missing` is the source `shopify-missing`.
    fn source(&self) -> Result<Table> {
        let names: Vec<String> = self.secret_values().keys().cloned().collect();
        let (url, _) = self.url.as_deref().map(|url| url.split_once('?').unwrap_or((url, ""))).unzip();
        let mut source = match (&*self.scheme, url) {
            ("svix" | "standard-webhooks-ed25519", _) => toml! { scheme = "standard-webhooks" },
            ("meta-challenge", _) => toml! { scheme = "meta" },
            ("hmac-generic", _) => toml! { scheme = "hmac" header = "X-Convoy-Signature" },
            (scheme, url) => {
                let mut source = Table::from_iter([("scheme".to_owned(), scheme.into())]);
                source.extend(url.map(|url| ("public_url".to_owned(), url.into())));
                source
            }
        };
        if self.is_challenge() {
            source.insert("verify_token".to_owned(), names.first().context("a token")?.as_str().into());
        }
        if matches!(&*self.scheme, "hmac-generic" | "convoy-advanced") {
            for (setting, name) in [("encoding", "encoding"), ("algorithm", "hash")] {
                let value = self.expect[name].as_str().map(str::to_lowercase);
                source.extend(value.map(|value| (setting.to_owned(), value.into())));
            }
        }
        // None: no window, or practically none.
        let tolerance = self.tolerance_s.map_or("87600h".to_owned(), |seconds| format!("{seconds}s"));
        source.insert("tolerance".to_owned(), tolerance.into());
        source.insert("secrets".to_owned(), names.into());
        Ok(source)
    }

    /// The scheme, by the functions' name for it.
    fn scheme(&self) -> Result<Scheme> {
        let name = self.source()?["scheme"].as_str().context("a name")?.to_owned();
        Ok(Scheme::named(&name)?)
    }

    fn secret_values(&self) -> BTreeMap<String, String> {
        let values = self.secrets.clone().unwrap_or_else(|| vec![self.secret.clone()]);
        let name = self.name.to_uppercase().replace('-', "_");
        values.into_iter().enumerate().map(|(index, value)| (format!("{name}_{index}"), value)).collect()
    }

    fn query(&self) -> &str {
        self.url.as_ref().and_then(|url| url.split_once('?')).map_or("", |(_, query)| query)
    }

    fn body(&self) -> Result<Vec<u8>> {
        let bytes = self.body_b64.as_ref().map(|body| BASE64_STANDARD.decode(body)).transpose()?;
        Ok(bytes.unwrap_or_else(|| self.body.clone().unwrap_or_default().into_bytes()))
    }

    fn request(&self) -> Result<Parts> {
        let path = format!("/webhooks/{}", self.name);
        let uri = if self.query().is_empty() { path } else { format!("{path}?{}", self.query()) };
        let mut request = Request::builder().method(&*self.method).uri(uri);
        for (name, value) in &self.headers {
            let name: HeaderName = name.parse()?;
            for line in value.as_array().cloned().unwrap_or_else(|| vec![value.clone()]) {
                request = request.header(&name, line.as_str().context("a header's line")?);
            }
        }
        Ok(request.body(())?.into_parts().0)
    }

    fn verdict(&self, front_end: FrontEnd) -> Verdict {
        let signs_url = self.scheme().is_ok_and(|scheme| scheme.takes(Setting::PublicUrl));
        let tells_query =
            matches!(front_end, FrontEnd::HttpApi | FrontEnd::HttpApiStage | FrontEnd::FunctionUrl);
        let spelled_anew = front_end == FrontEnd::RestApi && self.query().contains('%');
        if signs_url && !tells_query && (spelled_anew || self.query().contains('&')) {
            return Verdict::QueryUnknown;
        }
        let shown_alone = [
            "github-duplicate-headers",
            "github-duplicate-headers-same",
            "shopify-events-duplicate",
            "sw-duplicate-signature-header",
            "sentry-twice",
            "typeform-twice",
            "vercel-twice",
            "xero-twice",
        ];
        match (self.valid, front_end) {
            (true, _) => Verdict::Genuine,
            (false, FrontEnd::LoadBalancer) if shown_alone.contains(&&*self.name) => {
                Verdict::GenuineAsFarAsSeen
            }
            (false, _) => Verdict::Refused,
        }
    }

    /// The provider's expected response to an event that no step wants.
    fn assert_success(&self, answer: &Answer) -> Result<()> {
        if self.expect["handshake"] == true {
            let body = String::from_utf8(answer.body.to_vec())?;
            let one = self.expect["body"].as_str().map(|body| vec![body.into()]);
            let any = one.or(self.expect["body_any_of"].as_array().cloned()).context("an answer")?;
            ensure!(answer.status == self.expect["status"] && any.contains(&body.clone().into()), "{body}");
            return Ok(());
        }
        let (status, body) = (answer.status, &answer.body[..]);
        match &*self.scheme {
            "twilio" => ensure!((status, body) == (204, b""), "{status}"),
            "slack" | "xero" => ensure!((status, body) == (200, b""), "{status}"),
            "discord" => ensure!((status, body) == (200, br#"{"type":5}"#), "{status}"),
            "adyen" => ensure!((status, body) == (200, b"[accepted]"), "{status}"),
            // A run for each event of the body.
            "hubspot" | "okta" => ensure!(status == 200, "{status}"),
            _ => {
                let (run_id, expected) = (answer.json()["run_id"].clone(), self.run_id()?);
                ensure!(status == 200, "{status}");
                ensure!(
                    run_id == *expected,
                    "the run is {run_id}, expected {expected}: if its name is an id that is signed, the vector's \
                     `expect` has it as `dedupe_id`, or `usual_id` in tests/stories/vectors.rs finds it"
                );
            }
        }
        Ok(())
    }

    /// The run id: derived from the event's id if that is signed, otherwise from the signed content.
    fn run_id(&self) -> Result<String> {
        let unsigned = !self.scheme()?.signed().contains(&"event_id");
        let id = match self.expect["dedupe_id"].as_str().filter(|_| !unsigned) {
            Some(id) => id.to_owned(),
            None => self.usual_id()?,
        };
        Ok(format!("{}.{id}", self.name))
    }

    fn usual_id(&self) -> Result<String> {
        let body = self.body()?;
        let mut json: Value = serde_json::from_slice(&body).unwrap_or_default();
        let header = |name: &str| self.headers.get(name).and_then(Value::as_str);
        let id = match &*self.scheme {
            "stripe" | "zendesk" | "vercel" | "intercom" => json["id"].as_str(),
            "typeform" => json["event_id"].as_str(),
            "paddle" => json["event_id"].as_str(),
            "mailgun" => json["signature"]["token"].as_str(),
            "standard-webhooks" | "standard-webhooks-ed25519" | "svix" => {
                header("webhook-id").or(header("svix-id"))
            }
            _ => None,
        };
        let digest = |text: &[u8]| format!("sha256-{}", hex::encode(Sha256::digest(text)));
        // What differs when the same event is delivered again.
        let varying = match &*self.scheme {
            "linear" => Some("webhookTimestamp"),
            "docusign" => Some("retryCount"),
            _ => None,
        };
        if let Some(field) = varying {
            json.as_object_mut().context("an object")?.remove(field);
            return Ok(digest(json.to_string().as_bytes()));
        }
        Ok(id.map_or_else(|| digest(&body), str::to_owned))
    }
}

/// The ingest binary with a source for each of these vectors, its clock stopped.
async fn ingest(
    vectors: &[Vector],
    clock: Vec<(String, String)>,
    scratch: &tempfile::TempDir,
) -> Result<Function> {
    let sources = vectors.iter().map(|vector| Ok((vector.name.clone(), vector.source()?.into())));
    let sources: Table = sources.collect::<Result<_>>()?;
    let file = scratch.path().join("webhooks.toml");
    std::fs::write(&file, Table::from_iter([("sources".to_owned(), sources.into())]).to_string())?;
    let mut env = clock;
    env.extend(vectors.iter().flat_map(Vector::secret_values));
    // No step wants any of these events, so neither store is used.
    let fixed = [
        ("DRIFTQ_HTTP_URL", "http://127.0.0.1:9"),
        ("EFFECTS_TABLE", "none"),
        ("AWS_REGION", "us-east-1"),
        ("AWS_ACCESS_KEY_ID", "local"),
        ("AWS_SECRET_ACCESS_KEY", "local"),
    ];
    env.extend(fixed.map(|(name, value)| (name.to_owned(), value.to_owned())));
    env.push(("WEBHOOKS_CONFIG".to_owned(), file.display().to_string()));
    let program =
        Program { name: "ingest".to_owned(), binary: setup::functions()?.ingest, env, sandboxes: 1 };
    let function = Function::new(program);
    function.warm().await?;
    Ok(function)
}

fn by_clock(vectors: Vec<Vector>) -> BTreeMap<i64, Vec<Vector>> {
    let mut clocks = BTreeMap::<i64, Vec<Vector>>::new();
    vectors.into_iter().for_each(|vector| clocks.entry(vector.now_unix).or_default().push(vector));
    clocks
}

#[tokio::test]
async fn every_vector_verifies_as_published_in_every_event_format() -> Story {
    let vectors = Vector::all()?;
    assert!(vectors.len() >= 94, "{} vectors", vectors.len());
    let (blank, vectors): (Vec<_>, Vec<_>) = vectors.into_iter().partition(|vector| vector.secret.is_empty());
    // SNS's vectors need certificates, which `sns` fetches.
    let vectors: Vec<_> = vectors.into_iter().filter(|vector| vector.scheme != "sns").collect();
    assert!(blank.len() == 1 && !blank[0].valid, "one has a blank secret, which no function starts with");
    let (mut asked, mut refusals) = (0, BTreeMap::<String, BTreeSet<String>>::new());
    for (now_unix, vectors) in by_clock(vectors) {
        let Some(clock) = faketime::at(now_unix)? else { return Ok(()) };
        let scratch = tempfile::tempdir()?;
        let ingest = ingest(&vectors, clock, &scratch).await.with_context(|| now_unix.to_string())?;
        for (vector, front_end) in
            vectors.iter().flat_map(|vector| FrontEnd::ALL.map(|front_end| (vector, front_end)))
        {
            let at = Timestamp::from_second(now_unix)?;
            let event = front_end.event(&vector.request()?, &vector.body()?.into(), "192.0.2.1", at);
            let reply = ingest.invoke(&event, setup::PATIENCE).await?;
            let answer = front_end.answer(&reply);
            asked += 1;
            let about = || format!("{} by {front_end:?}: {reply}", vector.name);
            match vector.verdict(front_end) {
                Verdict::Genuine => vector.assert_success(&answer).with_context(about)?,
                Verdict::GenuineAsFarAsSeen => assert!(answer.status == 200, "{}", about()),
                Verdict::Refused if vector.is_challenge() => {
                    assert!(
                        answer.status == vector.expect["status"] && answer.body.is_empty(),
                        "{}",
                        about()
                    );
                }
                Verdict::Refused | Verdict::QueryUnknown => {
                    let shown = "a header that is there twice, and whose last line is valid, is named in `shown_alone`";
                    let hint = if front_end == FrontEnd::LoadBalancer { shown } else { "" };
                    assert!(answer.status == 401, "{} {hint}", about());
                    refusals.entry(format!("{front_end:?}")).or_default().insert(reply.to_string());
                }
            }
        }
        ingest.killer().kill().await;
    }
    faketime::sweep();
    println!("{asked} events");
    for (front_end, replies) in refusals {
        assert!(replies.len() == 1, "refusals by {front_end} differ: {replies:?}");
    }
    Ok(())
}

#[test]
fn every_scheme_has_vectors_of_both_kinds() -> Result<()> {
    for valid in [true, false] {
        let vectors = Vector::all()?.into_iter().filter(|vector| vector.valid == valid);
        let sources: Vec<_> = vectors.map(|vector| vector.source()).collect::<Result<_>>()?;
        let schemes: BTreeSet<_> = sources.iter().filter_map(|source| source["scheme"].as_str()).collect();
        let missing: Vec<_> = Scheme::names().filter(|name| !schemes.contains(name)).collect();
        assert!(
            missing.is_empty(),
            "functions/webhook-verify/vectors.json has no vector with \"valid\": {valid} of {missing:?}"
        );
    }
    Ok(())
}

#[tokio::test]
async fn a_blank_secret_is_refused_at_start() -> Story {
    let blank: Vec<_> = Vector::all()?.into_iter().filter(|vector| vector.secret.is_empty()).collect();
    let refused = ingest(&blank, Vec::new(), &tempfile::tempdir()?).await.unwrap_err();
    assert!(format!("{refused:#}").contains("GITHUB_EMPTY_SECRET_0: missing, blank"), "{refused:#}");
    Ok(())
}
