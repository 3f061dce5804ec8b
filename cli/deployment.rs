//! Which deployment a command is about: its effects table, with the AWS credentials of whoever types.

use std::{env, process::Command, time::Duration};

use anyhow::{Context, Result};
use clap::Args;
use driftq_webhooks::{
    clients::{self, Patience, Who},
    effects::Effects,
};

use crate::{
    exit::Usage,
    running::{self, Table},
};

/// As long as records are kept, unless webhooks.toml says otherwise.
const KEEP_DONE: Duration = Duration::from_secs(90 * 24 * 3600);

/// A deployment.
#[derive(Debug, Args)]
pub(crate) struct Deployment {
    /// The effects table; EFFECTS_TABLE if it is not given, and without either the one of `cargo webhooks up`.
    #[arg(long, value_name = "NAME", conflicts_with = "stack")]
    table: Option<String>,
    /// The CloudFormation stack whose table it is; asked for by the AWS CLI.
    #[arg(long, value_name = "NAME")]
    stack: Option<String>,
    /// The profile of the AWS configuration.
    #[arg(long)]
    profile: Option<String>,
    /// The AWS region.
    #[arg(long)]
    region: Option<String>,
}

impl Deployment {
    /// Its table. `keep_done`: how long a record is kept once a decision has ended its effect.
    pub(crate) async fn effects(&self, keep_done: Option<Duration>) -> Result<Effects> {
        let here = if self.is_named() { None } else { here().await? };
        let table = match &here {
            Some(table) => table.name.clone(),
            None => self.table()?,
        };
        let local = here.as_ref().map(|table| table.url.as_str());
        let who = Who { profile: self.profile.as_deref(), region: self.region.as_deref(), local };
        let aws = clients::aws_as(clients::http(&|name| env::var(name).ok())?, who).await;
        Ok(Effects::new(clients::dynamodb(&aws, Patience::CONSUMER), table, keep_done.unwrap_or(KEEP_DONE)))
    }

    fn is_named(&self) -> bool {
        [&self.table, &self.stack, &self.profile, &self.region].iter().any(|named| named.is_some())
            || of_environment().is_some()
    }

    fn table(&self) -> Result<String> {
        if let Some(stack) = &self.stack {
            return self.table_of(stack);
        }
        let unknown = || {
            let why = "which deployment? Name its table (--table or EFFECTS_TABLE) or its --stack; or start `cargo webhooks up`";
            Usage(why.into())
        };
        Ok(self.table.clone().or_else(of_environment).ok_or_else(unknown)?)
    }

    fn table_of(&self, stack: &str) -> Result<String> {
        let mut aws = Command::new("aws");
        aws.args(["cloudformation", "describe-stack-resource", "--logical-resource-id", "EffectsTable"]);
        aws.args(["--stack-name", stack, "--output", "text"]);
        aws.args(["--query", "StackResourceDetail.PhysicalResourceId"]);
        for (option, value) in [("--profile", &self.profile), ("--region", &self.region)] {
            aws.args(value.iter().flat_map(|value| [option, value]));
        }
        let output =
            aws.output().context("the AWS CLI can't be run; install it, or name the table by --table")?;
        if !output.status.success() {
            let why = String::from_utf8_lossy(&output.stderr);
            return Err(Usage(format!("stack {stack}: {}", why.trim())).into());
        }
        Ok(String::from_utf8(output.stdout)?.trim().to_owned())
    }
}

fn of_environment() -> Option<String> {
    env::var("EFFECTS_TABLE").ok().filter(|name| !name.is_empty())
}

/// The table of the only `up` on this machine.
async fn here() -> Result<Option<Table>> {
    let mut tables: Vec<_> = running::all().await?.into_iter().filter_map(|up| up.table).collect();
    if tables.len() > 1 {
        let why =
            "several `up` are there; stop all but one, or set EFFECTS_TABLE and AWS_ENDPOINT_URL_DYNAMODB";
        return Err(Usage(why.to_owned()).into());
    }
    Ok(tables.pop())
}
