//! The whole system: broker, DynamoDB, third party, both functions and the gateway, with fault proxies between them.
//!
//! ```no_run
//! # async fn story() -> anyhow::Result<()> {
//! # use std::time::Duration;
//! # use local::{stack::Stack, webhook::Webhook, proxy::Fault};
//! let stack = Stack::start().await?;
//! let kill = stack.consumer.killer().hook();
//! let killed = stack.broker_proxy.once(|request| request.goes_to("POST", "/v1/ack"), Fault::HookInstead(kill));
//!
//! let answer = stack.deliver(&Webhook::sample("stripe.charge.dispute.created")?).await?;
//! assert_eq!(answer.status, 202);
//! stack.run_until_settled(Duration::from_secs(30)).await?;
//!
//! assert_eq!(killed.count(), 1);
//! assert_eq!(stack.third_party.ledger().applied().len(), 1);
//! stack.finish().await
//! # }
//! ```

mod broker;
mod builder;
mod effect;
mod lag;
mod left;
mod run;

use std::{
    collections::BTreeSet,
    iter,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    thread,
    time::Duration,
};

use anyhow::{Context, Result};
use jiff::Timestamp;
use serde_json::Value;

pub use self::{
    broker::{BrokerControl, Kind},
    builder::{Addrs, Builder},
    effect::{Effect, Unsettled},
    run::{Schedule, Settling, Summary},
};
use crate::{
    config::Config,
    dynamodb::DynamoDb,
    gateway::Gateway,
    http::Answer,
    lambda_api::LambdaApi,
    proxy::FaultProxy,
    runtime_api::Function,
    sns::Sns,
    third_party::ThirdParty,
    webhook::{Headers, Webhook},
};

/// A running stack; it ends when it is dropped.
#[derive(Debug)]
pub struct Stack {
    /// The gateway in front of ingest.
    pub gateway: Gateway,
    /// The ingest function.
    pub ingest: Function,
    /// The consumer function.
    pub consumer: Function,
    /// The third party that the steps call.
    pub third_party: ThirdParty,
    /// The part of SNS that a subscriber calls.
    pub sns: Sns,
    /// Kills and starts the broker.
    pub broker: BrokerControl,
    /// The fault proxy between the functions and the broker.
    pub broker_proxy: Arc<FaultProxy>,
    /// The brokers other than the first.
    pub more_brokers: Vec<BrokerControl>,
    /// The embedded DynamoDB; none if `EFFECTS_TABLE` selects another.
    pub table: Option<DynamoDb>,
    /// The fault proxy between the functions and the embedded DynamoDB.
    pub table_proxy: Option<FaultProxy>,
    /// The Lambda API by which ingest invokes the consumer; none without [`Builder::wake_ups`].
    pub lambda: Option<LambdaApi>,
    /// The configuration as the functions see it.
    pub config: Config,
    /// `DRIFTQ_TOPIC`.
    pub topic: String,
    /// `DRIFTQ_GROUP`.
    pub group: String,
    event: Value,
    client: reqwest::Client,
    runs: Mutex<BTreeSet<String>>,
    /// Whether what is left must still be checked.
    must_settle: bool,
    _scratch: tempfile::TempDir,
}

impl Stack {
    /// Configures a stack.
    #[must_use]
    pub fn builder() -> Builder {
        Builder::new()
    }

    /// Starts a stack with default settings.
    ///
    /// # Errors
    /// A part does not start.
    pub async fn start() -> Result<Self> {
        Self::builder().start().await
    }

    /// Every broker, the first one first.
    pub fn brokers(&self) -> impl Iterator<Item = &BrokerControl> {
        iter::once(&self.broker).chain(&self.more_brokers)
    }

    /// Sets environment variables of both functions, like a deployment: new invocations get them, and invocations in progress end with the old ones.
    pub fn deploy(&self, env: &[(&str, &str)]) {
        self.ingest.deploy(env);
        self.consumer.deploy(env);
    }

    /// The base URL for providers and clients.
    #[must_use]
    pub fn url(&self) -> String {
        self.gateway.url()
    }

    /// The fault proxy to the embedded DynamoDB.
    ///
    /// # Errors
    /// `EFFECTS_TABLE` selects another.
    pub fn table_proxy(&self) -> Result<&FaultProxy> {
        self.table_proxy
            .as_ref()
            .context("there is no fault proxy in front of the DynamoDB that EFFECTS_TABLE names; unset it")
    }

    /// The embedded DynamoDB.
    ///
    /// # Errors
    /// `EFFECTS_TABLE` selects another.
    pub fn table(&self) -> Result<&DynamoDb> {
        self.table.as_ref().context("EFFECTS_TABLE names another DynamoDB; unset it")
    }

    /// The Lambda API by which ingest invokes the consumer.
    ///
    /// # Errors
    /// The stack was built without [`Builder::wake_ups`].
    pub fn lambda(&self) -> Result<&LambdaApi> {
        self.lambda.as_ref().context("this stack was built without wake-ups")
    }

    /// Sends any request to the gateway.
    ///
    /// # Errors
    /// The gateway does not answer.
    pub async fn request(&self, method: &str, path: &str, headers: &Headers, body: &[u8]) -> Result<Answer> {
        let method = method.parse().context("an HTTP method")?;
        let mut request = self.client.request(method, format!("{}{path}", self.url())).body(body.to_vec());
        for (name, value) in headers {
            request = request.header(name, value);
        }
        let response = request.timeout(Duration::from_secs(40)).send().await.context("the gateway")?;
        let answer = Answer::read(response).await.context("the gateway")?;
        lock(&self.runs).extend(runs_of(&answer.json()));
        Ok(answer)
    }

    /// GETs a path of the gateway.
    ///
    /// # Errors
    /// The gateway does not answer.
    pub async fn get(&self, path: &str) -> Result<Answer> {
        self.request("GET", path, &Headers::new(), &[]).await
    }

    /// POSTs JSON to a path of the gateway.
    ///
    /// # Errors
    /// The gateway does not answer.
    pub async fn post_json(&self, path: &str, headers: &[(&str, &str)], body: &Value) -> Result<Answer> {
        let mut all = vec![("content-type".to_owned(), "application/json".to_owned())];
        all.extend(headers.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())));
        self.request("POST", path, &all, body.to_string().as_bytes()).await
    }

    /// Sends a webhook unchanged, also if it is unsigned, expired or forged.
    ///
    /// # Errors
    /// The gateway does not answer.
    pub async fn post_webhook(&self, webhook: &Webhook) -> Result<Answer> {
        let path = format!("/webhooks/{}", webhook.source);
        self.request("POST", &path, &webhook.headers, &webhook.body).await
    }

    /// Signs a webhook as its source does, at the present time, and sends it.
    ///
    /// # Errors
    /// The source is not configured, or the gateway does not answer.
    pub async fn deliver(&self, webhook: &Webhook) -> Result<Answer> {
        self.deliver_signed_at(webhook, Timestamp::now()).await
    }

    /// As [`Stack::deliver`], signed at another time.
    ///
    /// # Errors
    /// As there.
    pub async fn deliver_signed_at(&self, webhook: &Webhook, at: Timestamp) -> Result<Answer> {
        let source = self.config.source(&webhook.source)?;
        self.post_webhook(&webhook.clone().signed(&source, at)?).await
    }
}

/// The runs in a response: a step may have its own run id, which only its effect's id shows.
fn runs_of(answer: &Value) -> impl Iterator<Item = String> {
    let effects = answer["effects"].as_array().into_iter().flatten().chain([answer]);
    let ids = effects.filter_map(|effect| effect["effect_id"].as_str());
    ids.filter_map(|id| Some(id.split_once(':')?.0.to_owned()))
}

impl Drop for Stack {
    fn drop(&mut self) {
        // Rules may contain hooks that refer to the parts that contain the rules.
        self.brokers().for_each(|broker| broker.proxy().heal());
        if let Some(proxy) = &self.table_proxy {
            proxy.heal();
        }
        if let Some(lambda) = &self.lambda {
            lambda.proxy.heal();
        }
        let forgotten = self.must_settle && !thread::panicking();
        assert!(
            !forgotten,
            "a stack was dropped without Stack::finish, which checks that nothing is left unsettled"
        );
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
