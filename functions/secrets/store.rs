//! The secret store: where the values of secrets are.
//!
//! Without `SECRETS_ARN` they are environment variables. With it, they are the keys of one JSON document in Secrets
//! Manager, and the environment is ignored, so that a forgotten variable can't hide a rotated secret.

use aws_types::SdkConfig;
use serde_json::{Map, Value};

use super::{Names, Secrets};
use crate::{
    clients::{ReadError, SecretsManager},
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
    SecretsManager { client: SecretsManager, id: String },
}

impl SecretStore {
    /// The store of these secrets: the secret that `SECRETS_ARN` names, else the environment.
    ///
    /// # Errors
    /// The endpoint of Secrets Manager can't be used.
    pub fn open(
        http: &reqwest::Client,
        aws: &SdkConfig,
        environment: &Environment,
        names: Names,
        get: fn(&str) -> Option<String>,
    ) -> Result<Self, ConfigError> {
        let Some(id) = environment.secrets_arn.clone() else { return Ok(Self::environment(names, get)) };
        Ok(Self::secrets_manager(names, SecretsManager::new(http.clone(), aws)?, id))
    }

    /// Environment variables, which never change while a process runs.
    #[must_use]
    pub fn environment(names: Names, get: fn(&str) -> Option<String>) -> Self {
        Self { names, place: Place::Environment(get) }
    }

    /// The secret of that ARN or name.
    #[must_use]
    pub fn secrets_manager(names: Names, client: SecretsManager, id: String) -> Self {
        Self { names, place: Place::SecretsManager { client, id } }
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

/// The parser's own message is not passed on: it may quote a secret.
async fn document(client: &SecretsManager, id: &str) -> Result<Map<String, Value>, String> {
    let text = Box::pin(client.secret_string(id)).await.map_err(|error: ReadError| error.to_string())?;
    serde_json::from_str(&text).map_err(|_| "not a JSON object of names and values".to_owned())
}
