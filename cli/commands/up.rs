//! `up`: runs everything until Ctrl-C, and prints one line per event.

mod greeting;
mod lines;
mod real;

use std::{
    fs::{self, File, TryLockError},
    net::SocketAddr,
    path::{Path, PathBuf},
    process::ExitCode,
    sync::Arc,
    time::Duration,
};

use anyhow::{Context, Result};
use clap::Args as ClapArgs;
use local::{
    config::Config as Local,
    stack::{Addrs, Stack},
};

use self::greeting::greeting;
use crate::{
    console::{About, Console},
    deployment,
    exit::Usage,
    operator,
    own::{EnvFile, Own},
    running::{Note, Running},
    stop::Stop,
    webhooks_toml::WebhooksToml,
};

/// The arguments of `up`.
#[derive(Debug, ClapArgs)]
#[command(after_help = AFTER_HELP)]
pub(crate) struct Args {
    /// Call the real third party for this step, or for `all` steps, with your own secret; can be repeated. All other calls go
    /// to the local third party.
    #[arg(long, value_name = "STEP")]
    real: Vec<String>,
    #[command(flatten)]
    own: EnvFile,
    /// The gateway's port; a free one by default.
    #[arg(long, default_value_t = 0)]
    port: u16,
    /// The broker's port.
    #[arg(long, default_value_t = 0)]
    broker_port: u16,
    /// DynamoDB's port.
    #[arg(long, default_value_t = 0)]
    dynamodb_port: u16,
    /// The console's port.
    #[arg(long, default_value_t = 0)]
    console_port: u16,
    /// The third party's port.
    #[arg(long, default_value_t = 0)]
    third_party_port: u16,
    /// Store the broker's log and the table in this folder.
    #[arg(long, value_name = "DIR")]
    persist: Option<PathBuf>,
    /// Seconds from the start of one consumer invocation to the next; a longer invocation delays the next.
    #[arg(long, default_value_t = 5, value_name = "SECONDS", alias = "every")]
    schedule: u64,
}

const AFTER_HELP: &str = "\
The webhooks.toml is that of WEBHOOKS_CONFIG, otherwise the one of this repository. A secret from the environment or .env replaces
the generated one, so that a provider's own tool can send to `up`, such as
`stripe listen --forward-to http://127.0.0.1:8000/webhooks/stripe`.

Examples:
  cargo webhooks up --port 8000 --persist /tmp/webhooks
  TICKETS_TOKEN=… cargo webhooks up --real open_ticket";

/// Starts everything and prints what happens.
pub(crate) async fn run(args: Args) -> Result<ExitCode> {
    let path = std::path::absolute(Local::path_from_env())?;
    let WebhooksToml { text, config, .. } = WebhooksToml::read(&path, false)?;
    let own = Own::read(&args.own)?;
    let mut local = Local::parse(&text)?;
    local.use_secrets(|name| own.get(name));
    let real = real::steps(&args.real, &config, &own)?;
    real.iter().for_each(|step| local.call_really(step));

    let _lock = args.persist.as_deref().map(lock).transpose()?;
    let mut builder = Stack::builder().config(local).addrs(args.addrs()).wake_ups();
    if let Some(dir) = &args.persist {
        builder = builder.persist(dir.clone());
    }
    let stack = builder.start().await?;
    let stop = Stop::listen()?;
    let names = stack.config.secrets().into_keys().filter(|name| stack.config.is_own(name)).collect();
    let table = stack.table.as_ref().map(|table| (table.url().to_owned(), table.table().to_owned()));
    let config = Arc::new(config);
    let opened = deployment::of_up(table.clone(), config.consumer.keep_done).await?;
    let console = Console::start(args.console_port, &opened, Arc::clone(&config), about()).await?;
    let _note = Note::leave(&Running { url: stack.url(), table, config: path, own: names })?;
    println!("{}", greeting(&stack, &config, &own, &real, console.url())?);
    lines::tell(&stack, stop, Duration::from_secs(args.schedule.max(1))).await?;
    Ok(ExitCode::SUCCESS)
}

fn about() -> About {
    About {
        name: "up, on this machine".into(),
        who: operator::user(),
        read_only: false,
        every: Duration::from_millis(500),
    }
}

/// Locks the folder, since two brokers would corrupt one log.
fn lock(dir: &Path) -> Result<File> {
    let path = dir.join("lock");
    fs::create_dir_all(dir).with_context(|| dir.display().to_string())?;
    let file = File::create(&path).with_context(|| path.display().to_string())?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(TryLockError::WouldBlock) => {
            Err(Usage(format!("another `up` keeps its data in {}; name another folder", dir.display()))
                .into())
        }
        Err(TryLockError::Error(error)) => Err(error).with_context(|| path.display().to_string()),
    }
}

impl Args {
    fn addrs(&self) -> Addrs {
        let at = |port| SocketAddr::from(([127, 0, 0, 1], port));
        Addrs {
            gateway: at(self.port),
            broker: at(self.broker_port),
            dynamodb: at(self.dynamodb_port),
            third_party: at(self.third_party_port),
        }
    }
}
