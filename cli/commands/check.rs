//! `check`: reports every error in a `webhooks.toml`, as the functions do when they start.

use std::{fs, path::PathBuf, process::ExitCode};

use anyhow::{Context as _, Result};
use clap::Args as ClapArgs;
use driftq_webhooks::{
    config::{Config, EMBEDDED, checked, in_doubt::InDoubt, step::Step},
    secrets,
};
use local::functions;
use serde_json::{Value, json};

use crate::{
    output::{counted, print},
    paint::Paint,
    webhooks_toml::WebhooksToml,
};

/// The arguments of `check`.
#[derive(Debug, ClapArgs)]
#[command(after_help = AFTER_HELP)]
pub(crate) struct Args {
    /// The file to check.
    #[arg(default_value = "webhooks.toml")]
    file: PathBuf,
    /// Print one JSON object.
    #[arg(long)]
    json: bool,
}

const AFTER_HELP: &str = "\
Exit code: 0 if there is no error, 1 if there are errors, 2 if the file can't be read.

If the repository's own webhooks.toml has no error, this is recorded in webhooks.checked, and the functions start faster.

Examples:
  cargo webhooks check
  cargo webhooks check --json tests/providers.toml";

/// Checks the file, and prints its errors or, if there are none, a summary.
pub(crate) fn run(args: &Args) -> Result<ExitCode> {
    let WebhooksToml { name, text, config } = WebhooksToml::read(&args.file, args.json)?;
    if text == EMBEDDED {
        note(&text)?;
    }
    print(&if args.json { json_of(&name, &config).to_string() } else { summary(&name, &config) })?;
    Ok(ExitCode::SUCCESS)
}

/// Records that the embedded file has no error, so that the functions need not check it at each start.
fn note(text: &str) -> Result<()> {
    let path = functions::workspace().join("webhooks.checked");
    let note = checked::note(text);
    if fs::read_to_string(&path).ok().as_ref() != Some(&note) {
        fs::write(&path, note).with_context(|| path.display().to_string())?;
    }
    Ok(())
}

fn summary(file: &str, config: &Config) -> String {
    let paint = Paint::stdout();
    let (sources, steps) = (counted(config.sources.len(), "source"), counted(config.steps.len(), "step"));
    let mut lines = vec![format!("{file}: {}, {sources} and {steps}", paint.green("no errors"))];

    lines.push(format!("\n{}", paint.bold("Sources")));
    let width = config.sources.keys().map(String::len).max().unwrap_or_default();
    for (name, source) in &config.sources {
        let used = config.steps.iter().any(|step| step.on.as_ref().is_some_and(|on| on.source == *name));
        let note = if used { "" } else { "  (starts no step)" };
        let asked = source.reconcile.as_ref().map_or_else(String::new, |reconcile| {
            format!(", reconciled every {}s", reconcile.every.as_secs())
        });
        lines.push(format!("  {name:width$}  {}{asked}{note}", source.scheme.name()));
    }

    lines.push(format!("\n{}", paint.bold("Steps")));
    let width = config.steps.iter().map(|step| step.id.as_str().len()).max().unwrap_or_default();
    for step in &config.steps {
        let call = step.action.to_string();
        lines.push(format!("  {:width$}  {} ▶ {call}", step.id.as_str(), trigger(step)));
        let retry = format!("retried for {}; in doubt: {}", step.retry, policy(step));
        lines.push(format!("  {:width$}  {}", "", paint.dim(retry)));
    }

    lines.push(format!("\n{}", paint.bold("Secrets")));
    for (whose, names) in [("ingest", secrets::of_sources(config)), ("consumer", secrets::of_steps(config))] {
        lines.extend(names.iter().map(|name| format!("  {whose:8}  {name}")));
    }
    lines.join("\n")
}

fn json_of(file: &str, config: &Config) -> Value {
    let sources = config.sources.values();
    let sources = sources.map(
        |source| json!({ "name": source.name, "scheme": source.scheme.name(), "secrets": source.secrets, "reconcile_every_s": source.reconcile.as_ref().map(|reconcile| reconcile.every.as_secs()) }),
    );
    let step = |step: &Step| {
        json!({
            "id": step.id.as_str(),
            "source": step.on.as_ref().map(|on| &on.source),
            "after": step.after.as_ref().map(|after| &after.steps),
            "type": step.on.as_ref().map(|on| &on.event_type),
            "destination": step.destination(),
            "retry": step.retry.to_string(),
            "in_doubt": policy(step),
            "secret": step.auth().and_then(|auth| auth.secret()),
        })
    };
    json!({
        "file": file,
        "ok": true,
        "problems": [],
        "sources": sources.collect::<Vec<_>>(),
        "steps": config.steps.iter().map(step).collect::<Vec<_>>(),
    })
}

fn trigger(step: &Step) -> String {
    if let Some(after) = &step.after {
        let before: Vec<_> = after.steps.iter().map(|step| step.as_str()).collect();
        return format!("after {}", before.join(" and "));
    }
    step.on
        .as_ref()
        .map_or_else(|| "only by POST /runs".to_owned(), |on| format!("{} {}", on.source, on.event_type))
}

/// The `in_doubt` policy, as the file writes it.
fn policy(step: &Step) -> &'static str {
    match step.in_doubt {
        InDoubt::SameKey { .. } => "same-key",
        InDoubt::LookUp(_) => "look-up",
        InDoubt::Park => "park",
        InDoubt::Impossible => "impossible",
    }
}
