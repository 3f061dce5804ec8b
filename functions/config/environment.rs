//! Configuration by environment variables: what differs between deployments. `docs/configuration.md` has the table.

use std::{fs, time::Duration};

use super::{
    Config, ConfigError, brokers::Brokers, checked::Check, collector::Collector, hosts::Stage,
    problems::Problems, span::Span,
};

/// The environment, read and checked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Environment {
    /// `DRIFTQ_HTTP_URL` and `DRIFTQ_DRAIN_URL`.
    pub brokers: Brokers,
    /// `DRIFTQ_TOPIC`.
    pub topic: String,
    /// `DRIFTQ_GROUP`.
    pub group: String,
    /// `DRIFTQ_PARTITIONS`: the number of partitions if the topic has to be created.
    pub partitions: u32,
    /// `EVENTS_TOPIC`.
    pub events_topic: Option<String>,
    /// `EFFECTS_TABLE`.
    pub effects_table: String,
    /// `SECRETS_ARN`: ARN or name of the Secrets Manager secret that holds all secrets.
    pub secrets_arn: Option<String>,
    /// `IDLE_EXIT`.
    pub idle_exit: Duration,
    /// `CONSUMER_FUNCTION`: name or ARN of the function that ingest wakes up.
    pub consumer_function: Option<String>,
    /// `COMMAND_SIGNATURES`.
    pub command_signatures: Signatures,
    /// `OPERATOR_API`.
    pub operators: Operators,
    /// `OTEL_EXPORTER_OTLP_ENDPOINT` and related variables.
    pub collector: Option<Collector>,
}

/// Whether commands on a topic must be signed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Signatures {
    /// They must be, unless every broker is on this machine and there is no key.
    Required,
    /// Unsigned commands are accepted too, while an earlier version that does not sign is replaced.
    Optional,
}

/// Who may use the operator API: start runs, read them, and make decisions.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Operators {
    /// Callers that AWS has authenticated, by IAM or an authorizer of the gateway. For others, these paths do not exist.
    Authenticated,
    /// Everyone who can reach the function. Access must be restricted in front of it.
    Open,
}

/// Looks up a variable; an empty one counts as absent.
pub type Lookup<'a> = &'a dyn Fn(&str) -> Option<String>;

impl Environment {
    /// Reads the variables.
    ///
    /// # Errors
    /// Every variable that is missing or malformed.
    pub fn read(get: Lookup<'_>) -> Result<Self, ConfigError> {
        let mut problems = Problems::default();
        let get = |name: &str| get(name).filter(|value| !value.trim().is_empty());
        let or = |name: &str, default: &str| get(name).unwrap_or_else(|| default.to_owned());
        let brokers = Brokers::read(get, &mut problems);
        let effects_table = get("EFFECTS_TABLE").unwrap_or_default();
        if effects_table.is_empty() {
            problems.add("EFFECTS_TABLE", "missing; set it to the name of the DynamoDB table");
        }
        let partitions = or("DRIFTQ_PARTITIONS", "8").parse().ok().filter(|n| (1..=1024).contains(n));
        if partitions.is_none() {
            problems.add("DRIFTQ_PARTITIONS", "not a number from 1 to 1024");
        }
        let idle_exit = or("IDLE_EXIT", "1s").parse::<Span>();
        if let Err(error) = &idle_exit {
            problems.add("IDLE_EXIT", error);
        }
        let consumer_function = get("CONSUMER_FUNCTION");
        if consumer_function.as_deref().is_some_and(|name| !names_function(name)) {
            problems.add("CONSUMER_FUNCTION", "not the name or the ARN of a Lambda function");
        }
        let operators = match or("OPERATOR_API", "authenticated").as_str() {
            "authenticated" => Operators::Authenticated,
            "open" => Operators::Open,
            _ => {
                problems.add("OPERATOR_API", "neither authenticated nor open");
                Operators::Authenticated
            }
        };
        let command_signatures = match or("COMMAND_SIGNATURES", "required").as_str() {
            "required" => Signatures::Required,
            "optional" => Signatures::Optional,
            _ => {
                problems.add("COMMAND_SIGNATURES", "neither required nor optional");
                Signatures::Required
            }
        };
        let collector = Collector::read(get, &mut problems);
        let Some(brokers) = brokers else { return Err(problems.into_error("environment")) };
        let environment = Self {
            brokers,
            topic: or("DRIFTQ_TOPIC", "sidefx.commands"),
            group: or("DRIFTQ_GROUP", "sidefx-worker"),
            partitions: partitions.unwrap_or_default(),
            events_topic: get("EVENTS_TOPIC"),
            effects_table,
            secrets_arn: get("SECRETS_ARN"),
            idle_exit: idle_exit.map_or(Duration::ZERO, Duration::from),
            consumer_function,
            command_signatures,
            operators,
            collector,
        };
        problems.or("environment", environment)
    }
}

/// Whether a name has the characters and length that Lambda's Invoke allows
/// (<https://docs.aws.amazon.com/lambda/latest/api/API_Invoke.html>).
fn names_function(name: &str) -> bool {
    name.len() <= 170 && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_:$".contains(&byte))
}

/// Loads the file that `WEBHOOKS_CONFIG` names, else the embedded one, with the hosts from `STAGE_HOSTS`.
///
/// # Errors
/// The file can't be read, or everything that is wrong with it.
pub fn load_config(get: Lookup<'_>) -> Result<Config, ConfigError> {
    let hosts = get("STAGE_HOSTS").unwrap_or_default();
    let stage = Stage::Of(&hosts);
    let Some(path) = get("WEBHOOKS_CONFIG").filter(|path| !path.is_empty()) else {
        return Config::embedded(stage);
    };
    match fs::read_to_string(&path) {
        Ok(text) => Config::parse_of(&path, &text, stage, Check::All),
        Err(error) => {
            let message = format!("{path}: {error}; name a readable file, or unset it");
            Err(ConfigError::one("environment", "WEBHOOKS_CONFIG", message))
        }
    }
}
