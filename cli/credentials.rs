//! Finds AWS credentials, and explains what to do if there are none.
//!
//! SSO profiles and profiles with a `credential_process` need the AWS CLI. The SDK supports both with cargo features. But `cargo
//! build --bin consumer`, which SAM runs, unifies the features of all workspace members, so the functions would get them too.

use std::env;

use anyhow::{Result, anyhow};
use aws_config::{
    BehaviorVersion, Region, SdkConfig, stalled_stream_protection::StalledStreamProtectionConfig,
};
use aws_sdk_dynamodb::config::{ProvideCredentials as _, SharedCredentialsProvider};
use driftq_webhooks::clients::{self, connector};

use crate::exit::Usage;

/// Part of the SDK's error if it was built without a feature that a profile needs.
const LEFT_OUT: &str = "cargo feature";

/// The profile and region for AWS; the environment's where they are not given.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Who<'a> {
    pub(crate) profile: Option<&'a str>,
    pub(crate) region: Option<&'a str>,
}

impl Who<'_> {
    /// The configuration for AWS clients, with the functions' HTTP client and retries.
    pub(crate) async fn sdk_config(self) -> Result<SdkConfig> {
        let http = clients::http(&|name| env::var(name).ok())?;
        let mut loader = aws_config::defaults(BehaviorVersion::latest())
            .http_client(connector::over(http))
            .retry_config(clients::retries())
            .stalled_stream_protection(StalledStreamProtectionConfig::disabled());
        if let Some(profile) = self.profile {
            loader = loader.profile_name(profile);
        }
        if let Some(region) = self.region {
            loader = loader.region(Region::new(region.to_owned()));
        }
        Ok(loader.load().await)
    }
}

/// Checks that the provider has credentials.
pub(crate) async fn check(provider: Option<SharedCredentialsProvider>, profile: Option<&str>) -> Result<()> {
    let provider = provider.ok_or_else(|| anyhow!("the AWS SDK has no provider of credentials"))?;
    let Err(error) = provider.provide_credentials().await else { return Ok(()) };
    let profile = profile.map(str::to_owned).or_else(|| env::var("AWS_PROFILE").ok());
    let profile = profile.unwrap_or_else(|| "default".into());
    Err(Usage(remedy(&chain(&error), &profile)).into())
}

/// An error with all its causes.
fn chain(error: &dyn std::error::Error) -> String {
    let causes = std::iter::successors(error.source(), |error| error.source());
    causes.fold(error.to_string(), |text, cause| format!("{text}: {cause}"))
}

fn remedy(why: &str, profile: &str) -> String {
    if !why.contains(LEFT_OUT) {
        return format!(
            "no AWS credentials; name a --profile, or set AWS_PROFILE or AWS_ACCESS_KEY_ID ({why})"
        );
    }
    let name = quoted(profile);
    let (kind, first) = if why.contains("enabled: sso") {
        ("SSO", format!("; after `aws sso login --profile {name}`, if that has run out"))
    } else {
        ("another program", String::new())
    };
    format!(
        "the profile {profile} has its credentials from {kind}, which the AWS CLI can ask and this command can't. Put them into the \
         environment, and type it again{first}:\n  eval \"$(aws configure export-credentials --profile {name} --format env)\""
    )
}

/// A name, quoted as one word for a shell.
fn quoted(name: &str) -> String {
    let is_plain = |c: char| c.is_ascii_alphanumeric() || "-_./@+".contains(c);
    if !name.is_empty() && name.chars().all(is_plain) {
        return name.to_owned();
    }
    format!("'{}'", name.replace('\'', r"'\''"))
}

#[cfg(test)]
mod tests {
    use super::quoted;

    #[test]
    fn a_profile_is_one_word_of_a_shell() {
        assert_eq!(quoted("ops@corp"), "ops@corp");
        assert_eq!(quoted("my ops"), "'my ops'");
        assert_eq!(quoted("a'; rm"), r"'a'\''; rm'");
    }
}
