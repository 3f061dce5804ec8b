//! The deployment that a command uses: its effects table, accessed with the operator's AWS credentials.

use std::{env, process::Command, time::Duration};

use anyhow::{Context, Result};
use aws_sdk_dynamodb::{
    Client,
    config::{Credentials, Region},
};
use clap::Args;
use driftq_webhooks::{
    clients::{self, Patience},
    effects::Table,
};

use crate::{
    credentials::{self, Who},
    exit::Usage,
    running,
};

/// The default time for which records are kept.
const KEEP_DONE: Duration = Duration::from_secs(90 * 24 * 3600);

/// Options that select a deployment.
#[derive(Debug, Args)]
pub(crate) struct Deployment {
    /// The effects table; by default that of EFFECTS_TABLE, otherwise that of the `up` on this machine.
    #[arg(long, value_name = "NAME", conflicts_with = "stack")]
    table: Option<String>,
    /// The CloudFormation stack of the table; needs the AWS CLI.
    #[arg(long, value_name = "NAME")]
    stack: Option<String>,
    /// The AWS profile.
    #[arg(long)]
    profile: Option<String>,
    /// The AWS region.
    #[arg(long)]
    region: Option<String>,
}

/// The table of an `up`, by its DynamoDB's URL and its name, or the table of EFFECTS_TABLE.
pub(crate) async fn of_up(here: Option<(String, String)>, keep_done: Duration) -> Result<Table> {
    let place = match here {
        Some((endpoint, table)) => Place::Here { endpoint, table },
        None => Place::Aws { table: env::var("EFFECTS_TABLE").context("EFFECTS_TABLE")? },
    };
    open(place, Who::default(), keep_done).await
}

async fn open(place: Place, who: Who<'_>, keep_done: Duration) -> Result<Table> {
    let aws = who.sdk_config().await?;
    let (client, table) = match place {
        Place::Aws { table } => {
            credentials::check(aws.credentials_provider(), who.profile).await?;
            (clients::dynamodb(&aws, Patience::CONSUMER), table)
        }
        Place::Here { endpoint, table } => {
            let here = aws_sdk_dynamodb::config::Builder::from(&aws).endpoint_url(endpoint);
            let here = here.region(Region::new("us-east-1"));
            let here = here.credentials_provider(Credentials::new("local", "local", None, None, "local"));
            (Client::from_conf(here.build()), table)
        }
    };
    Ok(Table::open(client, table, keep_done))
}

/// Where a table is.
enum Place {
    Aws {
        table: String,
    },
    /// The table of an `up`.
    Here {
        endpoint: String,
        table: String,
    },
}

impl Deployment {
    /// The effects table. `keep_done` is how long a record is kept after a decision has ended its effect.
    pub(crate) async fn table(&self, keep_done: Option<Duration>) -> Result<Table> {
        let place = self.place().await?;
        let who = Who { profile: self.profile.as_deref(), region: self.region.as_deref() };
        open(place, who, keep_done.unwrap_or(KEEP_DONE)).await
    }

    /// The deployment's name for display.
    pub(crate) fn name(&self) -> String {
        let of_environment = || env::var("EFFECTS_TABLE").ok().filter(|name| !name.is_empty());
        let name = self.stack.clone().or_else(|| self.table.clone()).or_else(of_environment);
        let name = name.unwrap_or_else(|| "up, on this machine".to_owned());
        match &self.region {
            Some(region) => format!("{name} · {region}"),
            None => name,
        }
    }

    async fn place(&self) -> Result<Place> {
        if let Some(stack) = &self.stack {
            return Ok(Place::Aws { table: self.table_of(stack)? });
        }
        let of_environment = || env::var("EFFECTS_TABLE").ok().filter(|name| !name.is_empty());
        if let Some(table) = self.table.clone().or_else(of_environment) {
            return Ok(Place::Aws { table });
        }
        let mut running: Vec<_> =
            running::all().await?.into_iter().filter_map(|running| running.table).collect();
        match (running.pop(), running.is_empty()) {
            (Some((endpoint, table)), true) => Ok(Place::Here { endpoint, table }),
            (Some(_), false) => {
                Err(Usage("several `up` run; leave one, or name a --table or a --stack".into()).into())
            }
            (None, _) => {
                let unknown = "which deployment? Name its --table (or EFFECTS_TABLE) or its --stack, or bring one up: cargo webhooks up";
                Err(Usage(unknown.into()).into())
            }
        }
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
