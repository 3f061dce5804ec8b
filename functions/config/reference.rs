//! Checks `docs/webhooks-toml.md` against the code: its fields, its examples and its errors.

use std::collections::BTreeSet;

use super::Config;

const PAGE: &str = include_str!("../../docs/webhooks-toml.md");

const STEP: &str = "[[steps]]\nid = 's'\nbusiness_key = 'k'\n";
const CALL: &str = "call = { url = 'https://a.example.com/' }\n";
const PARK: &str = "in_doubt = { policy = 'park' }\n";

/// The part of the page under a heading, up to the next heading.
fn part(heading: &str) -> &'static str {
    let (_, after) = PAGE.split_once(&format!("\n{heading}\n")).unwrap_or_else(|| panic!("no {heading:?}"));
    after.split("\n#").next().unwrap_or_default()
}

/// The first column of a part's table.
fn documented(heading: &str) -> BTreeSet<String> {
    let rows = part(heading).lines().filter_map(|line| line.strip_prefix("| `")?.split_once('`'));
    rows.map(|(field, _)| field.to_owned()).collect()
}

/// The fields that the code accepts, from the error message about an unknown field.
fn known(file: &str) -> BTreeSet<String> {
    let error = Config::parse("webhooks.toml", file).expect_err("an unknown field");
    let unknown = error.problems.iter().find(|problem| problem.field.ends_with("zzz"));
    let message = &unknown.unwrap_or_else(|| panic!("{error}")).message;
    let (_, fields) = message.split_once("known are ").unwrap_or_else(|| panic!("{message}"));
    fields.split(", ").map(str::to_owned).collect()
}

#[test]
fn every_field_has_a_row_and_every_row_a_field() {
    let source = |lines: &str| format!("[sources.s]\nsecrets = ['A']\nzzz = 1\n{lines}");
    let schemes = ["stripe", "hmac", "twilio", "meta"].map(|scheme| source(&format!("scheme = '{scheme}'")));
    let sns = "[sources.s]\nzzz = 1\nscheme = 'sns'".to_owned();
    let step = |lines: &str| format!("{STEP}{lines}");
    let asked = |scheme| {
        format!(
            "[sources.s]\nsecrets = ['A']\nscheme = '{scheme}'\nreconcile = {{ every = '15m', key = 'K', zzz = 1 }}"
        )
    };
    let same_key = "in_doubt = { policy = 'same-key', window = '1h', zzz = 1 }\n";
    let look_up = "in_doubt = { policy = 'look-up', url = 'https://a.example.com/', found = 'true', not_found = 'true', zzz = 1 }\n";
    let row = |kind: &str| vec![step(&format!("{kind} = {{ table = 'orders', zzz = 1 }}"))];
    for (heading, files) in [
        ("## Above all tables", vec!["zzz = 1".to_owned()]),
        ("## `[sources.NAME]`", schemes.into_iter().chain([sns]).collect()),
        (
            "## `[[steps]]`",
            vec![step(&format!("{CALL}{PARK}zzz = 1")), step("zzz = 1\nput = { table = 'orders' }")],
        ),
        ("### `reconcile`", ["stripe", "github", "standard-webhooks"].map(asked).into()),
        ("### `on`", vec![step("on = { zzz = 1 }")]),
        ("## `call`", vec![step("call = { zzz = 1 }")]),
        ("### `auth`", vec![step("call = { url = 'https://a.example.com/', auth = { zzz = 1 } }")]),
        ("### `statuses`", vec![step("call = { url = 'https://a.example.com/', statuses = { zzz = 1 } }")]),
        ("## `put`", row("put")),
        ("## `update`", row("update")),
        ("## `delete`", row("delete")),
        ("## `in_doubt`", vec![step(&format!("{CALL}{same_key}")), step(&format!("{CALL}{look_up}"))]),
        ("## `retry`", vec![step("retry = { zzz = 1 }")]),
        ("## `[destinations.\"HOST\"]`", vec!["[destinations.'a.example.com']\nzzz = 1".to_owned()]),
        ("## `[consumer]`", vec!["[consumer]\nzzz = 1".to_owned()]),
    ] {
        let mut known: BTreeSet<_> = files.iter().flat_map(|file| known(file)).collect();
        // `hosts` is filled in before anything else is read.
        known.extend((heading == "## Above all tables").then(|| "hosts".to_owned()));
        assert_eq!(documented(heading), known, "{heading}");
    }
}

#[test]
fn every_example_is_read() {
    let examples: Vec<_> =
        PAGE.split("```toml\n").skip(1).filter_map(|rest| rest.split("```").next()).collect();
    assert_eq!(examples.len(), 5);
    for example in examples {
        Config::parse("webhooks.toml", example).unwrap_or_else(|error| panic!("{error}\n{example}"));
    }
}

#[test]
fn every_default_of_the_consumer_is_the_one_of_the_code() {
    let rows = part("## `[consumer]`").lines().filter(|line| line.starts_with("| `"));
    let defaults = rows.map(|row| {
        let cells: Vec<_> = row.split('|').map(|cell| cell.trim().trim_matches('`').to_owned()).collect();
        format!("{} = {}", cells[1], cells[3])
    });
    let written = format!("[consumer]\n{}", defaults.collect::<Vec<_>>().join("\n"));
    let read = Config::parse("webhooks.toml", &written).unwrap_or_else(|error| panic!("{error}"));
    assert_eq!(read.consumer, super::ConsumerSettings::default());
}

/// The rows of the last table: an input and its error message.
#[test]
fn every_mistake_is_told_as_the_page_says() {
    let first = format!(
        "[sources.stripe]\nscheme = 'stripe'\nsecrets = ['A']\n[[steps]]\nid = 'first'\nbusiness_key = 'k'\n{PARK}\
         call = {{ url = 'https://a.example.com/', receipt = {{ id = '{{{{ response.json.id }}}}' }} }}\n"
    );
    let rows = part("## What it says about mistakes").lines().filter(|line| line.starts_with("| `"));
    let mut told = 0;
    for row in rows {
        let (written, said) = row.trim_matches('|').rsplit_once(" | ").unwrap_or_else(|| panic!("{row}"));
        let lines: Vec<_> = written.trim().trim_matches('`').split("`, `").collect();
        let has = |field: &str| lines.iter().any(|line| line.starts_with(field));
        let is_row = ["put", "update", "delete"].iter().any(|kind| has(kind));
        let call = if has("call") || is_row { "" } else { CALL };
        let park = if has("in_doubt") || is_row { "" } else { PARK };
        let file = format!("{first}{STEP}{}\n{call}{park}", lines.join("\n"));
        let error = Config::parse("webhooks.toml", &file).expect_err(row);
        let said = said.trim().trim_matches('`');
        let found = error.problems.iter().any(|problem| problem.message.contains(said));
        assert!(found, "{said:?} is not said of\n{file}\nbut {error}");
        told += 1;
    }
    assert_eq!(told, 21);
}
