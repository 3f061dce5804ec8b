//! The secret store: where the values of secrets are.
//!
//! Without `SECRETS_ARN` they are environment variables. With it, they are the keys of one JSON document in Secrets
//! Manager, and the environment is ignored, so that a forgotten variable can't hide a rotated secret.

use std::{error::Error, iter};

use aws_config::SdkConfig;
use aws_sdk_secretsmanager::{
    Client,
    config::Builder,
    error::{ProvideErrorMetadata as _, SdkError},
    operation::get_secret_value::GetSecretValueError,
};
use serde_json::{Map, Value};

use super::{Names, Secrets};
use crate::{
    clients::Patience,
    config::{ConfigError, environment::Environment},
};

/// The store, and the names that are read from it.
#[derive(Debug)]
pub struct SecretStore {
    names: Names,
    place: Place,
}

#[derive(Debug)]
enum Place {
    Environment(fn(&str) -> Option<String>),
    SecretsManager { client: Client, id: String },
}

impl SecretStore {
    /// The store of these secrets: the secret that `SECRETS_ARN` names, else the environment.
    #[must_use]
    pub fn open(
        aws: &SdkConfig,
        environment: &Environment,
        names: Names,
        get: fn(&str) -> Option<String>,
    ) -> Self {
        let Some(id) = environment.secrets_arn.clone() else { return Self::environment(names, get) };
        let config = Builder::from(aws).timeout_config(Patience::SECRETS.timeouts());
        Self { names, place: Place::SecretsManager { client: Client::from_conf(config.build()), id } }
    }

    /// Environment variables, which never change while a process runs.
    #[must_use]
    pub fn environment(names: Names, get: fn(&str) -> Option<String>) -> Self {
        Self { names, place: Place::Environment(get) }
    }

    /// Whether its values can change while the process runs.
    pub(super) fn changes(&self) -> bool {
        matches!(self.place, Place::SecretsManager { .. })
    }

    /// Reads all names.
    ///
    /// # Errors
    /// The store can't be read; or all secrets that are missing in it.
    pub async fn read(&self) -> Result<Secrets, ConfigError> {
        match &self.place {
            Place::Environment(get) => Secrets::find(&self.names, "environment", get),
            Place::SecretsManager { client, id } => {
                let place = format!("secret {id}");
                let document = document(client, id).await;
                let document =
                    document.map_err(|message| ConfigError::one(&place, "GetSecretValue", message))?;
                Secrets::find(&self.names, &place, |name| Some(document.get(name)?.as_str()?.to_owned()))
            }
        }
    }
}

/// The document with all secrets. The parser's own message is not passed on: it may quote a secret.
async fn document(client: &Client, id: &str) -> Result<Map<String, Value>, String> {
    let answer = Box::pin(client.get_secret_value().secret_id(id).send()).await;
    let answer = answer.map_err(|error| why(&error))?;
    let text = answer.secret_string().ok_or("binary; a JSON object is wanted")?;
    serde_json::from_str(text).map_err(|_| "not a JSON object of names and values".to_owned())
}

fn why(error: &SdkError<GetSecretValueError>) -> String {
    if let Some(code) = error.code() {
        return format!("{code}: {}", error.message().unwrap_or_default());
    }
    if error.raw_response().is_some() {
        return "the answer can't be read".to_owned();
    }
    let causes = iter::successors(Some(error as &dyn Error), |error| (*error).source());
    causes.map(ToString::to_string).collect::<Vec<_>>().join(": ")
}
