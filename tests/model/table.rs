//! Holds `docs/rules.md` to the tree: a row for each rule, and each test that it names exists.

use std::{fs, path::Path};

use super::{rule::Rule, say};

/// What a row says instead of tests, where there are none.
const MODEL_ONLY: &str = "**model only**";

/// A row of the page's table.
struct Row {
    rule: String,
    check: String,
    tests: Vec<String>,
}

fn read(path: &str) -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..").join(path);
    fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

fn rows() -> Vec<Row> {
    let page = read("docs/rules.md");
    let rows = page.lines().filter(|line| line.starts_with("| `")).map(|line| {
        let cells: Vec<_> = line.trim_matches('|').split('|').collect();
        let [rule, _, check, tests] = cells[..] else { panic!("four columns: {line}") };
        let (rule, check, named) = (code(rule), code(check), code(tests));
        assert_eq!(named.is_empty(), tests.contains(MODEL_ONLY), "tests, or {MODEL_ONLY}: {line}");
        Row { rule: rule.concat(), check: check.concat(), tests: named }
    });
    rows.collect()
}

/// The parts in backticks.
fn code(cell: &str) -> Vec<String> {
    cell.split('`').skip(1).step_by(2).map(str::to_owned).collect()
}

/// Whether a test, named as `path: function`, exists.
fn exists(test: &str) -> bool {
    let (path, name) = test.split_once(": ").unwrap_or_else(|| panic!("`path: function`: {test}"));
    read(path).contains(&format!("fn {name}("))
}

/// `AcksInOrder` as `acks_in_order`.
fn snake_case(name: &str) -> String {
    let parts = name.split_inclusive(|_| true).map(|letter| match letter.to_lowercase() {
        lower if lower == letter => lower,
        lower => format!("_{lower}"),
    });
    parts.collect::<String>().trim_start_matches('_').to_owned()
}

#[test]
fn every_rule_is_in_the_documentation_with_its_tests() {
    let rows = rows();
    let documented: Vec<_> = rows.iter().map(|row| row.rule.clone()).collect();
    let rules: Vec<_> = Rule::ALL.iter().map(|rule| format!("{rule:?}")).collect();
    assert_eq!(documented, rules);
    for Row { rule, check, tests } in &rows {
        assert!(check.ends_with(&format!(": {}", snake_case(rule))), "{rule}: {check}");
        for test in tests.iter().chain([check]) {
            assert!(exists(test), "{rule}: there is no {test}");
        }
    }
    let model_only = rows.iter().filter(|row| row.tests.is_empty()).count();
    say(&format!("{} rules, {model_only} of them held by the model only", rows.len()));
}
