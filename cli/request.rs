//! The request of a call as the consumer would make it, without secrets.

use std::sync::Arc;

use anyhow::Result;
use driftq_webhooks::{
    clients,
    command::{Input, Payload},
    config::{
        Config,
        row::RowTemplate,
        step::{Action, Step},
    },
    consumer::{
        call::{Caller, Unfit},
        row,
    },
    effect_id::EffectId,
    effects::row::Row,
    secrets::{self, Current, SecretStore},
    third_parties::ThirdParties,
    trace::Traceparent,
};
use http::{HeaderMap, HeaderName, HeaderValue};
use jiff::Timestamp;
use serde_json::{Map, Value, json};

/// Builds requests without sending them.
pub(crate) struct Calls {
    config: Arc<Config>,
    caller: Caller,
}

/// A request for display.
#[derive(Debug)]
pub(crate) struct Shown {
    pub(crate) method: String,
    pub(crate) url: String,
    pub(crate) headers: Vec<(String, String)>,
    pub(crate) body: String,
}

impl Calls {
    /// Creates a client, which takes some milliseconds.
    pub(crate) async fn prepare(config: Arc<Config>) -> Result<Self> {
        // A placeholder for each secret. It has a form that can also sign calls, and it is never shown.
        let store =
            SecretStore::environment(secrets::of_steps(&config), |_| Some("whsec_bm8gc2VjcmV0".to_owned()));
        let secrets = Current::start(store, Timestamp::now(), |secrets| Ok(secrets.clone())).await?;
        let clients = ThirdParties::new(clients::http(&|_| None)?, &config, &|_| None)?;
        Ok(Self { config, caller: Caller::new(clients, secrets) })
    }

    /// The request of an attempt.
    pub(crate) fn of(
        &self,
        step: &Step,
        effect: &EffectId,
        attempt: u32,
        payload: &Payload,
    ) -> Result<Shown, Unfit> {
        let none = Input::new();
        let input = match payload {
            Payload::Input(input) => input,
            // Only the outbox stores input elsewhere.
            Payload::ClaimCheck(_) => &none,
        };
        let call = match &step.action {
            Action::Call(call) => call,
            Action::Write(row) => {
                let rendered = row::render(row, &self.config.templates, input, (effect, attempt))?;
                return Ok(Shown::of_row(row, &rendered));
            }
        };
        let (attempt, trace) = ((effect, attempt), Traceparent::new());
        let request =
            self.caller.request(call, &self.config.templates, input, attempt, &trace, Timestamp::now())?;
        let body = request.body().and_then(|body| body.as_bytes()).unwrap_or_default();
        Ok(Shown {
            method: request.method().to_string(),
            url: request.url().to_string(),
            headers: shown(step, request.headers()),
            body: String::from_utf8_lossy(body).into_owned(),
        })
    }
}

fn shown(step: &Step, headers: &HeaderMap) -> Vec<(String, String)> {
    let secret = step.auth().and_then(|auth| auth.secret()).unwrap_or("?");
    let text = |value: &HeaderValue| match value.is_sensitive() {
        true => format!("••• (secret {secret})"),
        false => String::from_utf8_lossy(value.as_bytes()).into_owned(),
    };
    let line = |(name, value): (&HeaderName, &HeaderValue)| (name.to_string(), text(value));
    headers.iter().map(line).collect()
}

impl Shown {
    fn of_row(template: &RowTemplate, row: &Row) -> Self {
        let (method, url) = (template.to_string(), "DynamoDB, with the effect's record".to_owned());
        Self { method, url, headers: Vec::new(), body: row.json().to_string() }
    }

    pub(crate) fn json(&self) -> Value {
        let headers: Map<_, _> =
            self.headers.iter().map(|(name, value)| (name.clone(), Value::from(value.as_str()))).collect();
        json!({ "method": self.method, "url": self.url, "headers": headers, "body": self.body })
    }

    pub(crate) fn lines(&self) -> Vec<String> {
        let mut lines = vec![format!("{} {}", self.method, self.url)];
        lines.extend(self.headers.iter().map(|(name, value)| format!("{name}: {value}")));
        if !self.body.is_empty() {
            lines.extend([String::new(), self.body.clone()]);
        }
        lines
    }
}
