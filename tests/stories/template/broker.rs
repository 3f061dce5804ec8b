//! `driftq.yaml`: the broker's size, its command, its health check and its file system.

mod stack;

use anyhow::{Context, Result};
use local::counted::{BROKER_BYTES_PER_MESSAGE, BROKER_FULL};
use serde_json::Value;

use self::stack::Stack;
use super::read;

/// The memory that the broker needs while it restarts, as a multiple of what it holds. Measured on G0.
const RESTART: f64 = 2.0;

/// The flags of the oldest generation. A broker stops at once if it is given an unknown flag.
const OLDEST_FLAGS: [&str; 4] = ["-addr", "-wal", "-log-format", "-log-level"];

/// Whether Fargate offers this many CPU units with this many MiB, as its documentation lists them.
fn fargate_offers(cpu: u32, memory: u32) -> bool {
    match cpu {
        256 => [512, 1024, 2048].contains(&memory),
        512..=4096 => {
            let most = if cpu == 4096 { 30_720 } else { cpu * 8 };
            memory.is_multiple_of(1024) && (cpu * 2..=most).contains(&memory)
        }
        _ => false,
    }
}

fn strings(list: &Value) -> Vec<&str> {
    list.as_array().into_iter().flatten().filter_map(Value::as_str).collect()
}

/// The resolved containers of the task, by name.
fn container(stack: &Stack, name: &str) -> Option<Value> {
    let task = stack.resource("TaskDefinition")?;
    let containers = task["Properties"]["ContainerDefinitions"].as_array()?.iter();
    containers.into_iter().find(|it| it["Name"] == name).cloned()
}

#[test]
fn rules_allow_the_pairs_that_fargate_offers_and_no_others() -> Result<()> {
    let stack = Stack::of_defaults()?;
    for cpu in strings(stack.parameter("Cpu", "AllowedValues")) {
        for memory in strings(stack.parameter("Memory", "AllowedValues")) {
            let allowed = stack.with(&[("Cpu", cpu), ("Memory", memory)]).rules_hold()?;
            assert_eq!(allowed, fargate_offers(cpu.parse()?, memory.parse()?), "{cpu} with {memory}");
        }
    }
    assert!(stack.rules_hold()?, "the default size");
    Ok(())
}

#[test]
fn go_may_use_four_fifths_of_each_size() -> Result<()> {
    let stack = Stack::of_defaults()?;
    for memory in strings(stack.parameter("Memory", "AllowedValues")) {
        let of_this_size = stack.with(&[("Memory", memory)]);
        let broker = container(&of_this_size, "driftq").context("no broker")?;
        let limit = broker["Environment"][0]["Value"].as_str().context("no GOMEMLIMIT")?;
        assert_eq!(limit, format!("{}MiB", memory.parse::<u32>()? * 4 / 5));
    }
    Ok(())
}

#[test]
fn the_memory_alarm_leaves_room_for_a_restart() -> Result<()> {
    let alarm = Stack::of_defaults()?.resource("MemoryAlarm").context("no alarm")?;
    let threshold = alarm["Properties"]["Threshold"].as_f64().context("no threshold")?;
    assert_eq!(threshold, BROKER_FULL * 100.0, "what costs are computed with");
    assert!(threshold * RESTART <= 80.0, "at {threshold} % a restart needs {} %", threshold * RESTART);
    Ok(())
}

#[test]
fn the_sizing_table_is_what_the_alarm_comes_to() -> Result<()> {
    let (stack, manual) = (Stack::of_defaults()?, read("docs/operate.md")?);
    let alarm = stack.resource("MemoryAlarm").context("no alarm")?;
    let full = alarm["Properties"]["Threshold"].as_f64().context("no threshold")? / 100.0;
    let comment = read("driftq.yaml")?;
    for memory in strings(stack.parameter("Memory", "AllowedValues")) {
        let bytes = memory.parse::<f64>()? * 1024.0 * 1024.0;
        let thousands = (bytes * full / BROKER_BYTES_PER_MESSAGE / 1000.0).floor();
        let messages = match thousands {
            millions if millions >= 1000.0 => format!("{:.3}", millions / 1000.0).replace('.', ","),
            thousands => thousands.to_string(),
        } + ",000";
        let row = manual.lines().find(|line| line.starts_with(&format!("| `{memory}` |")));
        let row = row.with_context(|| format!("docs/operate.md has no row for {memory}"))?;
        assert!(row.contains(&format!("| {messages} |")), "{messages} in {row}");
        let row = comment.lines().find(|line| line.trim_start_matches('#').trim().starts_with(memory));
        assert!(row.is_some_and(|row| row.contains(&format!(" {messages} "))), "{messages} for {memory}");
    }
    Ok(())
}

#[test]
fn a_broker_without_newer_flags_is_given_none() -> Result<()> {
    let flags = |stack: &Stack| -> Result<Vec<String>> {
        let command = container(stack, "driftq").context("no broker")?["Command"].take();
        Ok(strings(&command).chunks(2).map(|pair| pair[0].to_owned()).collect())
    };
    let stack = Stack::of_defaults()?;
    let oldest = flags(&stack.with(&[("MaxInFlight", ""), ("ArtifactsDir", "")]))?;
    assert_eq!(oldest, OLDEST_FLAGS);
    let newer = flags(&stack)?;
    assert_eq!(newer, [&OLDEST_FLAGS[..], &["-max-inflight", "-artifacts-dir"]].concat());
    Ok(())
}

#[test]
fn a_stop_is_waited_for() -> Result<()> {
    let broker = container(&Stack::of_defaults()?, "driftq").context("no broker")?;
    // 6.5 s with an open stream, as measured on G3, and as much again.
    assert!(broker["StopTimeout"].as_u64().is_some_and(|seconds| (13..=120).contains(&seconds)));
    Ok(())
}

#[test]
fn health_checks_neither_need_a_shell_nor_open_the_log() -> Result<()> {
    let stack = Stack::of_defaults()?;
    let check = |name| Some(container(&stack, name)?["HealthCheck"]["Command"].take());
    let broker = check("driftq").context("no broker")?;
    assert_eq!(strings(&broker), ["CMD", "/driftqd", "-h"]);
    let health = check("health").context("no check")?;
    assert_eq!(strings(&health).first(), Some(&"CMD"));
    assert_eq!(strings(&health).last(), Some(&"http://127.0.0.1:8080/v1/healthz"));
    let without = stack.with(&[("HealthImage", "")]);
    assert!(container(&without, "health").is_none());
    assert!(container(&without, "driftq").is_some_and(|it| it["HealthCheck"].is_null()));
    Ok(())
}

#[test]
fn an_adopted_file_system_takes_the_place_of_a_new_one() -> Result<()> {
    let made = Stack::of_defaults()?;
    let system = made.resource("FileSystem").context("no file system")?;
    assert_eq!(
        [&system["DeletionPolicy"], &system["UpdateReplacePolicy"]],
        ["RetainExceptOnCreate", "Retain"]
    );
    let adopted = made.with(&[("FileSystemId", "fs-0123456789abcdef0")]);
    assert!(adopted.resource("FileSystem").is_none());
    for id in ["MountTargetA", "MountTargetB", "AccessPoint"] {
        let mounts = |stack: &Stack| Some(stack.resource(id)?["Properties"]["FileSystemId"].take());
        assert_eq!(mounts(&made).context(id)?["Ref"], "FileSystem");
        assert_eq!(mounts(&adopted).context(id)?, "fs-0123456789abcdef0");
    }
    let whole = adopted.resources().to_string();
    assert!(!whole.contains(r#""Ref":"FileSystem""#) && !whole.contains(r#"["FileSystem","Arn"]"#));
    assert!(!whole.contains(r#""Fn::GetAtt":"FileSystem.Arn""#));
    Ok(())
}
