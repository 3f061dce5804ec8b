//! Variables: what the functions read, what `docs/configuration.md` documents, and what the template sets.

use std::{
    cell::RefCell,
    collections::{BTreeMap, BTreeSet},
};

use anyhow::{Context, Result};
use driftq_webhooks::{
    clients,
    config::environment::{Environment, load_config},
    secrets::OF_BOTH,
    telemetry,
};

use local::config::Config;

use super::{
    code_in_tables,
    file::{Template, parse},
    read,
};

/// Every name that a function asks its environment for, apart from the secrets that `webhooks.toml` names.
fn read_by_functions() -> Result<BTreeSet<String>> {
    let asked = RefCell::new(BTreeSet::new());
    let get = |name: &str| {
        asked.borrow_mut().insert(name.to_owned());
        minimal(name)
    };
    telemetry::start(&get);
    Environment::read(&get)?;
    load_config(&get)?;
    clients::http(&get)?;
    let mut asked = asked.into_inner();
    asked.extend(OF_BOTH.map(str::to_owned));
    Ok(asked)
}

/// An environment with what is required and nothing else.
fn minimal(name: &str) -> Option<String> {
    let required =
        [("DRIFTQ_HTTP_URL", "http://driftq.internal:8080"), ("EFFECTS_TABLE", "the EffectsTable")];
    required.iter().find(|(other, _)| *other == name).map(|(_, value)| (*value).to_owned())
}

/// The table of `docs/configuration.md`: each variable of ours, with its default if that is a value.
fn documented() -> Result<BTreeMap<String, Option<String>>> {
    let page = read("docs/configuration.md")?;
    let rows = code_in_tables(&page, 0).zip(code_in_tables(&page, 1));
    let is_variable =
        |name: &str| name.contains('_') && name.bytes().all(|b| b.is_ascii_uppercase() || b == b'_');
    let ours = rows.filter_map(|(name, default)| Some((name?, default)));
    let ours =
        ours.filter(|(name, _)| is_variable(name) && !["AWS_REGION", "AWS_ENDPOINT_URL"].contains(name));
    Ok(ours.map(|(name, default)| (name.to_owned(), default.map(str::to_owned))).collect())
}

#[test]
fn every_variable_that_is_read_is_documented_and_every_one_that_is_set_is_read() -> Result<()> {
    let read = read_by_functions()?;
    let documented: BTreeSet<_> = documented()?.into_keys().collect();
    assert_eq!(documented, read);
    let template = Template::shipped()?;
    for function in ["ingest", "consumer"] {
        for name in template.variables(function)?.into_keys() {
            assert!(read.contains(&name), "{function} does not read {name}");
        }
    }
    Ok(())
}

/// A deployment with the parameters of yesterday must not undo what an operator has switched since.
#[test]
fn what_operators_switch_is_no_parameter() -> Result<()> {
    let template = Template::shipped()?;
    let consumer = template.function("consumer")?;
    assert!(consumer["Events"]["EveryMinute"]["Properties"]["State"].is_null(), "the schedule always runs");
    let woken = &template.function("ingest")?["Environment"]["Variables"]["CONSUMER_FUNCTION"];
    assert_eq!(woken["Ref"], "ConsumerFunction", "and so do wake-ups");
    for page in ["README.md", "docs/configuration.md", "docs/deploy.md", "docs/operate.md"] {
        // A parameter that is given once on the command line has its old value again at the next deployment.
        let given = read(page)?.lines().any(|line| line.contains("sam deploy") && line.contains("overrides"));
        assert!(!given, "{page} gives sam deploy parameters that stages/ does not have");
    }
    Ok(())
}

#[test]
fn every_variable_is_set_or_has_the_default_that_is_documented() -> Result<()> {
    let defaults = Environment::read(&minimal)?;
    let documented = documented()?;
    let as_documented = |name: &str| minimal(name).or_else(|| documented.get(name)?.clone());
    assert_eq!(Environment::read(&as_documented)?, defaults);
    let template = Template::shipped()?;
    for function in ["ingest", "consumer"] {
        let mut set = template.variables(function)?;
        assert!(set.remove("SECRETS_ARN").is_some(), "{function}'s secrets stand in the environment");
        let woken = set.remove("CONSUMER_FUNCTION");
        assert_eq!(woken.as_deref(), (function == "ingest").then_some("the ConsumerFunction"));
        let environment = Environment::read(&|name| set.get(name).cloned())?;
        assert_eq!(environment, defaults, "{function} in a stack of defaults");
    }
    Ok(())
}

/// The consumer must read every broker that ingest writes to.
#[test]
fn both_functions_have_the_same_brokers() -> Result<()> {
    let template = Template::shipped()?;
    let [ingest, consumer] = [template.environment("ingest")?, template.environment("consumer")?];
    let of_brokers = |name: &&String| name.starts_with("DRIFTQ_");
    let names: BTreeSet<_> = ingest.keys().chain(consumer.keys()).filter(of_brokers).collect();
    assert!(names.len() == 5, "{names:?}");
    for name in names {
        assert_eq!(ingest.get(name), consumer.get(name), "{name}");
    }
    Ok(())
}

/// What `cargo lambda watch` and `sam local` are given: all that ingest needs, with the secrets that `send` signs with.
#[test]
fn other_tools_are_given_the_secrets_that_events_are_signed_with() -> Result<()> {
    let text = read("events/local.env")?;
    let lines = text.lines().filter(|line| !line.starts_with('#'));
    let of_cargo: BTreeMap<_, _> = lines.filter_map(|line| line.split_once('=')).collect();
    assert!(of_cargo.values().all(|value| !value.contains('=')), "cargo lambda can't read such a value");
    let template = parse("events/sam-local.yaml")?;
    let function = &template["Resources"]["IngestFunction"]["Properties"];
    assert_eq!(function["CodeUri"], "../.aws-sam/build/IngestFunction", "as sam build has left it");
    let of_sam = function["Environment"]["Variables"].as_object().context("no variables")?;
    let of_sam = of_sam.iter().filter_map(|(name, value)| Some((name.as_str(), value.as_str()?))).collect();
    let made_up = Config::shipped()?.secrets();
    let sources = Config::shipped()?.table()["sources"].to_string();
    for given in [of_cargo, of_sam] {
        for (name, value) in made_up.iter().filter(|(name, _)| sources.contains(name.as_str())) {
            assert_eq!(given.get(name.as_str()), Some(&value.as_str()), "{name}");
        }
        let get = |name: &str| given.get(name).map(|value| (*value).to_owned());
        // Commands must be signed if the broker is on another machine. For a function in a container, this machine is
        // another one.
        let is_signed = get("COMMAND_KEY").is_some_and(|key| key.len() >= 32);
        assert!(is_signed || get("DRIFTQ_HTTP_URL").is_some_and(|url| url.contains("127.0.0.1")));
        Environment::read(&get)?;
    }
    Ok(())
}
