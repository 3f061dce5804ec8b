//! The configuration of each scenario under each policy.

use anyhow::Result;
use local::config::Config;
use toml::{Table, Value, toml};

use super::story::{Policy, Scenario, Story};
use crate::setup::{add_steps, config, park_in_doubt, retry, table};

/// The table of the step that writes an item, and that step.
pub(super) const TABLE: &str = "files";
pub(super) const COUNTS: &str = "count_file";
/// A letter beside the ticket, a file after both, and then an item that counts it.
const CHAIN: &str = r#"
[[steps]]
id = "send_letter"
on = { source = "stripe", type = "charge.dispute.*" }
business_key = "{{ event.data.object.id }}"
call = { url = "https://letters.example.com/v1/letters", receipt = { letter = "{{ response.json.id }}" }, timeout = "1s" }
in_doubt = { policy = "same-key", window = "24h" }

[[steps]]
id = "open_file"
after = ["open_ticket", "send_letter"]
business_key = "{{ event.data.object.id }}"
input = { letter = "{{ receipts.send_letter.letter }}" }
call = { url = "https://files.example.com/v1/files", json = { letter = "{{ input.letter }}" }, receipt = { file = "{{ response.json.id }}" }, timeout = "1s" }
in_doubt = { policy = "same-key", window = "24h" }

[[steps]]
id = "count_file"
after = "open_file"
business_key = "{{ event.data.object.id }}"
input = { dispute = "{{ event.data.object.id }}", file = "{{ receipts.open_file.file }}" }
update = { table = "files", key = { id = "{{ input.dispute }}" }, set = { file = "{{ input.file }}" }, add = { count = 1 } }
"#;

/// The configuration of a scenario, with that third party.
pub(super) fn of(story: Story, third_party: &str) -> Result<Config> {
    let mut config = config()?;
    if story.scenario == Scenario::Chain {
        add_steps(&mut config, CHAIN);
        // With this many steps and deaths in parallel, a run takes longer than eight short pauses.
        config.steps().for_each(|step| drop(step.insert("retry".into(), retry(1000).into())));
    }
    config.call(third_party);
    set_policy(&mut config, story.policy);
    // With this many scenarios in parallel the machine is busy, and a run's lease must outlast the pauses.
    set_time(&mut config, "stream_lease", "2s");
    match story.scenario {
        Scenario::Ingest | Scenario::Chain => {}
        Scenario::Journal => drop(config.table().insert("journal".into(), true.into())),
        Scenario::Consumer => {
            set_time(&mut config, "slow_call", "400ms");
            set_timeout(&mut config, "2s");
        }
        // The dead attempt's lease outlasts its successor's wait for the message, so that the effect is found claimed.
        Scenario::Recovery => set_time(&mut config, "settle", "4s"),
        Scenario::Newer => {
            call_one_at_a_time(&mut config, third_party);
            // The messages that wait for the third party are left to the agenda first; then all three are acked.
            set_time(&mut config, "slow_call", "1300ms");
            set_timeout(&mut config, "4s");
        }
    }
    Ok(config)
}

fn set_policy(config: &mut Config, policy: Policy) {
    match policy {
        Policy::SameKey => {}
        Policy::LookUp => {
            let mut policy = toml! {
                policy = "look-up"
                timeout = "1s"
                found = "response.status == 200"
                not_found = "response.status == 404"
            };
            let url = config.step("open_ticket")["call"]["url"].as_str().unwrap_or_default();
            policy.insert("url".into(), format!("{url}/by-key?key={{{{ idempotency_key }}}}").into());
            config.step("open_ticket").insert("in_doubt".into(), policy.into());
        }
        Policy::Park => park_in_doubt(config, "open_ticket"),
    }
}

fn set_time(config: &mut Config, name: &str, time: &str) {
    table(config.table(), "consumer").insert(name.into(), time.into());
}

fn set_timeout(config: &mut Config, timeout: &str) {
    table(config.step("open_ticket"), "call").insert("timeout".into(), timeout.into());
}

fn call_one_at_a_time(config: &mut Config, third_party: &str) {
    let host = third_party.trim_start_matches("http://").to_owned();
    let destinations = Table::from_iter([(host, Value::Table(toml! { in_flight = 1 }))]);
    config.table().insert("destinations".into(), destinations.into());
}
