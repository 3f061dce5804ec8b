//! Builds a stack.

use std::{
    env, iter,
    net::SocketAddr,
    path::{Path, PathBuf},
};

use anyhow::{Context, Result};
use uuid::Uuid;

use super::{Kind, Stack, broker::BrokerControl};
use crate::{
    broker::Profile,
    config::Config,
    dynamodb::DynamoDb,
    functions::{Functions, workspace},
    gateway::Gateway,
    http,
    lambda_api::LambdaApi,
    proxy::FaultProxy,
    runtime_api::{Function, Program},
    secrets_manager::SecretsManager,
    server::ANY_PORT,
    sns::Sns,
    third_party::ThirdParty,
};

/// The settings of a stack. Default: the shipped configuration, the functions of `FUNCTIONS_DIR` or built now, free ports, and everything in memory,
/// with the tables that steps write to. `DRIFTQ_HTTP_URL` selects another broker; `EFFECTS_TABLE` selects another DynamoDB, found through the
/// `AWS_...` variables.
#[derive(Debug)]
pub struct Builder {
    functions: Option<Functions>,
    config: Option<Config>,
    env: Vec<(String, String)>,
    secrets: Option<Vec<(String, String)>>,
    broker: Kind,
    broker_profile: Profile,
    brokers: usize,
    addrs: Addrs,
    persist: Option<PathBuf>,
    ingests: usize,
    consumers: usize,
    direct: bool,
    own_names: bool,
    wake_ups: bool,
    must_settle: bool,
}

/// The addresses of the parts; free ports by default.
#[derive(Debug, Clone, Copy)]
pub struct Addrs {
    /// The gateway.
    pub gateway: SocketAddr,
    /// The broker.
    pub broker: SocketAddr,
    /// DynamoDB.
    pub dynamodb: SocketAddr,
    /// The third party.
    pub third_party: SocketAddr,
}

impl Default for Addrs {
    fn default() -> Self {
        Self { gateway: ANY_PORT, broker: ANY_PORT, dynamodb: ANY_PORT, third_party: ANY_PORT }
    }
}

impl Builder {
    pub(super) fn new() -> Self {
        let broker = variable("DRIFTQ_HTTP_URL").map_or(Kind::Embedded, Kind::External);
        Self {
            functions: None,
            config: None,
            env: Vec::new(),
            secrets: None,
            broker,
            broker_profile: Profile::G0,
            brokers: 1,
            addrs: Addrs::default(),
            persist: None,
            ingests: 4,
            consumers: 1,
            direct: false,
            own_names: false,
            wake_ups: false,
            must_settle: false,
        }
    }

    /// For tests: whether a stack that is dropped without [`Stack::finish`] or [`Stack::abandon`] panics, so that no test can omit the check of
    /// what is left. By default it does not.
    #[must_use]
    pub fn must_settle(self, must_settle: bool) -> Self {
        Self { must_settle, ..self }
    }

    /// Uses these binaries.
    #[must_use]
    pub fn functions(self, functions: Functions) -> Self {
        Self { functions: Some(functions), ..self }
    }

    /// Uses this configuration; its calls still go to the third party.
    #[must_use]
    pub fn config(self, config: Config) -> Self {
        Self { config: Some(config), ..self }
    }

    /// Sets a variable of both functions, in place of any that the stack sets itself.
    #[must_use]
    pub fn env(mut self, name: &str, value: &str) -> Self {
        self.env.push((name.to_owned(), value.to_owned()));
        self
    }

    /// Uses this Secrets Manager for the secrets, and none in the environment.
    #[must_use]
    pub fn secrets_manager(self, secrets: &SecretsManager) -> Self {
        Self { secrets: Some(secrets.env()), ..self }
    }

    /// Runs the broker as a process by that binary's `broker` command, unless `DRIFTQ_HTTP_URL` names another.
    #[must_use]
    pub fn broker_process(mut self, binary: PathBuf) -> Self {
        if let Kind::Embedded = self.broker {
            self.broker = Kind::Process(binary);
        }
        self
    }

    /// Selects the generation of the embedded broker; [`Profile::G0`] by default. It does not affect the broker of `DRIFTQ_HTTP_URL`.
    #[must_use]
    pub fn broker_profile(self, profile: Profile) -> Self {
        Self { broker_profile: profile, ..self }
    }

    /// Runs this many brokers, each with its own log and fault proxy. All of them accept commands until [`Stack::deploy`] changes that. With
    /// `DRIFTQ_HTTP_URL`, that one is the first and the others are embedded.
    #[must_use]
    pub fn brokers(self, brokers: usize) -> Self {
        Self { brokers, ..self }
    }

    /// Listens at these addresses.
    #[must_use]
    pub fn addrs(self, addrs: Addrs) -> Self {
        Self { addrs, ..self }
    }

    /// Keeps the broker's log and the table in that directory.
    #[must_use]
    pub fn persist(self, dir: PathBuf) -> Self {
        Self { persist: Some(dir), ..self }
    }

    /// Allows this many concurrent consumers: two, to test that only one reads the stream.
    #[must_use]
    pub fn consumers(self, consumers: usize) -> Self {
        Self { consumers, ..self }
    }

    /// Allows this many concurrent ingest processes.
    #[must_use]
    pub fn ingests(self, ingests: usize) -> Self {
        Self { ingests, ..self }
    }

    /// Connects the functions directly, without the fault proxies: without their overhead, but the proxies see nothing.
    #[must_use]
    pub fn direct(self) -> Self {
        Self { direct: true, ..self }
    }

    /// Lets ingest wake the consumer, as on AWS. Otherwise the consumer runs only on request.
    #[must_use]
    pub fn wake_ups(self) -> Self {
        Self { wake_ups: true, ..self }
    }

    /// Uses a unique topic and group, whatever `DRIFTQ_TOPIC` and `DRIFTQ_GROUP` are, so that old data in a shared broker or table is not used.
    #[must_use]
    pub fn own_names(self) -> Self {
        Self { own_names: true, ..self }
    }

    /// Starts everything, and one process of each function.
    ///
    /// # Errors
    /// A part does not start; the message says which.
    pub async fn start(self) -> Result<Stack> {
        let scratch = tempfile::tempdir().context("a scratch folder")?;
        let dir = self.persist.clone().unwrap_or_else(|| scratch.path().to_owned());
        std::fs::create_dir_all(&dir).with_context(|| dir.display().to_string())?;
        let functions = match self.functions.clone() {
            Some(functions) => functions,
            None => Functions::find().await?,
        };
        let third_party = ThirdParty::start(self.addrs.third_party).await?;
        let (broker, broker_proxy) = BrokerControl::start_first(
            self.broker.clone(),
            self.broker_profile,
            dir.join("broker.wal"),
            self.addrs.broker,
        )
        .await?;
        let more_brokers = self.more_brokers(&dir).await?;
        let table = self.table(&dir).await?;
        let mut config = self.config.clone().map_or_else(Config::from_env, Ok)?;
        config.call(&third_party.url());
        if let Some((table, _)) = &table {
            for (name, key) in config.tables() {
                table.make_table(&name, &key).await?;
            }
        }
        let config_file = scratch.path().join("webhooks.toml");
        std::fs::write(&config_file, config.to_string()).context("the rewritten configuration")?;
        let names = if self.own_names { Names::own() } else { Names::choose(broker.is_external()) };

        let brokers = iter::once(&broker).chain(&more_brokers);
        let urls =
            brokers.map(|broker| if self.direct { broker.url().to_owned() } else { broker.proxy().url() });
        let mut env = names.env(urls.collect::<Vec<_>>().join(","));
        env.push(("WEBHOOKS_CONFIG".into(), config_file.display().to_string()));
        env.extend(table_env(table.as_ref(), self.direct));
        env.extend(self.secrets.unwrap_or_else(|| config.secrets().into_iter().collect()));
        let sns = Sns::start().await?;
        env.push(sns.env());
        env.extend(self.env.iter().cloned());
        let consumer = function("consumer", functions.consumer, &env, self.consumers);
        let lambda = match self.wake_ups {
            true => Some(LambdaApi::start(&consumer, self.consumers, secret_access_key(&env)).await?),
            false => None,
        };
        let wake_ups = lambda.iter().flat_map(|lambda| wake_up_env(&consumer, lambda.url(self.direct)));
        // Variables set by a scenario come later and take precedence.
        let env = wake_ups.chain(env).collect::<Vec<_>>();
        let ingest = function("ingest", functions.ingest, &env, self.ingests);
        tokio::try_join!(ingest.warm(), consumer.warm())?;
        let gateway = Gateway::start(self.addrs.gateway, ingest.clone()).await?;
        let (table, table_proxy) = table.unzip();
        let client = http::client_for(broker.url())?;
        Ok(Stack {
            gateway,
            ingest,
            consumer,
            third_party,
            sns,
            broker,
            broker_proxy,
            more_brokers,
            table,
            table_proxy,
            lambda,
            config,
            topic: names.topic,
            group: names.group,
            event: schedule_event()?,
            client,
            runs: std::sync::Mutex::default(),
            must_settle: self.must_settle,
            _scratch: scratch,
        })
    }

    async fn more_brokers(&self, dir: &Path) -> Result<Vec<BrokerControl>> {
        // There is only one external broker.
        let kind = if let Kind::External(_) = self.broker { Kind::Embedded } else { self.broker.clone() };
        let mut brokers = Vec::new();
        for number in 2..=self.brokers {
            let wal = dir.join(format!("broker-{number}.wal"));
            brokers
                .push(BrokerControl::start_first(kind.clone(), self.broker_profile, wal, ANY_PORT).await?.0);
        }
        Ok(brokers)
    }

    /// The embedded DynamoDB and its fault proxy; none if the environment selects another.
    async fn table(&self, dir: &Path) -> Result<Option<(DynamoDb, FaultProxy)>> {
        if variable("EFFECTS_TABLE").is_some() {
            return Ok(None);
        }
        let file = self.persist.as_ref().map(|_| dir.join("dynamodb.sqlite"));
        let table = DynamoDb::start(self.addrs.dynamodb, file.as_deref(), "effects").await?;
        let proxy = FaultProxy::start(table.url()).await?;
        Ok(Some((table, proxy)))
    }
}

/// The topic and the group: unique names on a shared broker.
struct Names {
    topic: String,
    group: String,
}

impl Names {
    fn choose(shared: bool) -> Self {
        let usual = if shared { Self::own() } else { Self::with_suffix("") };
        Self {
            topic: variable("DRIFTQ_TOPIC").unwrap_or(usual.topic),
            group: variable("DRIFTQ_GROUP").unwrap_or(usual.group),
        }
    }

    fn own() -> Self {
        Self::with_suffix(&format!(".{}", Uuid::new_v4().simple()))
    }

    fn with_suffix(suffix: &str) -> Self {
        Self { topic: format!("sidefx.commands{suffix}"), group: format!("sidefx-worker{suffix}") }
    }

    fn env(&self, broker_url: String) -> Vec<(String, String)> {
        let mut env = vec![
            ("DRIFTQ_HTTP_URL".to_owned(), broker_url),
            ("DRIFTQ_TOPIC".to_owned(), self.topic.clone()),
            ("DRIFTQ_GROUP".to_owned(), self.group.clone()),
        ];
        let passed =
            ["DRIFTQ_AUTH_HEADER", "DRIFTQ_PARTITIONS", "EVENTS_TOPIC", "IDLE_EXIT", "LOG", "RUST_BACKTRACE"];
        env.extend(passed.iter().filter_map(|name| Some(((*name).to_owned(), variable(name)?))));
        env
    }
}

/// The environment for the table: the embedded one through its fault proxy or directly, or another one as in our own environment.
fn table_env(table: Option<&(DynamoDb, FaultProxy)>, direct: bool) -> Vec<(String, String)> {
    let Some((table, proxy)) = table else {
        let ours = |name: &str| name.starts_with("AWS_") || name == "EFFECTS_TABLE" || name == "HOME";
        return env::vars().filter(|(name, _)| ours(name)).collect();
    };
    let url = if direct { table.url().to_owned() } else { proxy.url() };
    vec![
        ("EFFECTS_TABLE".into(), table.table().into()),
        ("AWS_ENDPOINT_URL_DYNAMODB".into(), url),
        ("AWS_REGION".into(), "us-east-1".into()),
        ("AWS_ACCESS_KEY_ID".into(), "local".into()),
        ("AWS_SECRET_ACCESS_KEY".into(), "local".into()),
    ]
}

/// The environment that makes ingest invoke the consumer.
fn wake_up_env(consumer: &Function, lambda: String) -> [(String, String); 2] {
    [("CONSUMER_FUNCTION".into(), consumer.name().into()), ("AWS_ENDPOINT_URL_LAMBDA".into(), lambda)]
}

/// The functions' secret access key, if it is in their environment. The last one counts.
fn secret_access_key(env: &[(String, String)]) -> Option<String> {
    let mut keys = env.iter().rev().filter(|(name, _)| name == "AWS_SECRET_ACCESS_KEY");
    keys.next().map(|(_, key)| key.clone())
}

fn function(name: &str, binary: PathBuf, env: &[(String, String)], sandboxes: usize) -> Function {
    Function::new(Program { name: name.to_owned(), binary, env: env.to_vec(), sandboxes })
}

fn schedule_event() -> Result<serde_json::Value> {
    let path = workspace().join("events/consumer/schedule.json");
    let text = std::fs::read_to_string(&path).with_context(|| path.display().to_string())?;
    serde_json::from_str(&text).with_context(|| path.display().to_string())
}

fn variable(name: &str) -> Option<String> {
    env::var(name).ok().filter(|value| !value.trim().is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn own_names_are_new_each_time() {
        let [one, other] = [Names::own(), Names::own()];
        assert_ne!(one.topic, other.topic);
        assert_ne!(one.group, other.group);
    }
}
