//! `costs`: a month's bill, and the pages that quote it.

use std::{fs, path::Path};

use serde_json::Value;

use super::webhooks;

fn read(path: &str) -> String {
    fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap().join(path)).unwrap()
}

fn bill(args: &[&str]) -> Value {
    let ended = webhooks(&[&["costs", "--json"], args].concat());
    assert_eq!(ended.code, Some(0), "{}", ended.err);
    ended.json()
}

fn usd(value: &Value) -> String {
    format!("{:.2}", value.as_f64().unwrap())
}

/// The tables of `docs/costs.md`, as they have to be.
fn tables() -> String {
    let mut text = String::from(
        "| webhooks per month | for the webhooks | fixed | X-Ray | broker | NAT | total |\n|---|---|---|---|---|---|---|\n",
    );
    for (month, written) in [("10k", "10,000"), ("1M", "1 million"), ("100M", "100 million")] {
        let bill = bill(&["--nat", "--month", month]);
        let parts = ["webhooks", "always", "xray", "broker", "nat"].map(|part| usd(&bill["parts"][part]));
        text += &format!("| {written} | {} | **{}** |\n", parts.join(" | "), usd(&bill["usd_per_month"]));
    }
    text += "\nA million, line by line:\n\n| | | USD |\n|---|---|---|\n";
    for line in bill(&["--nat"])["lines"].as_array().unwrap() {
        let text_of = |name: &str| line[name].as_str().unwrap().to_owned();
        text += &format!("| {} | {} | {} |\n", text_of("part"), text_of("what"), usd(&line["usd"]));
    }
    text
}

#[test]
fn the_page_has_what_the_calculator_says() {
    let page = read("docs/costs.md");
    let (_, rest) = page.split_once("<!-- costs: begin -->\n").unwrap();
    let (ours, _) = rest.split_once("<!-- costs: end -->").unwrap();
    let computed = tables();
    assert!(ours == computed, "docs/costs.md must have:\n{computed}");
}

#[test]
fn the_readme_has_its_round_figures() {
    let (readme, bill) = (read("README.md").replace('\n', " "), bill(&["--nat"]));
    let of = |part: &str| format!("{:.0} USD", bill["parts"][part].as_f64().unwrap());
    for (part, what) in [("webhooks", " per million webhooks"), ("always", " per month, even if idle")] {
        let said = of(part) + what;
        assert!(readme.contains(&said), "README.md does not say {said:?}");
    }
    for (part, what) in [("broker", "a broker"), ("xray", "X-Ray"), ("nat", "a NAT gateway")] {
        let said = format!("{what} ({})", of(part));
        assert!(readme.contains(&said), "README.md does not say {said:?}");
    }
}

#[test]
fn each_alarm_of_the_template_is_paid_for() {
    let alarms = read("template.yaml").matches("Type: AWS::CloudWatch::Alarm\n").count();
    // One queries by source, and counts once for each of the three. No source has `reconcile`, by which another queries.
    let expected = f64::from(u32::try_from(alarms + 2).unwrap()) * 0.10;
    let bill = bill(&[]);
    let line =
        bill["lines"].as_array().unwrap().iter().find(|line| line["what"] == "CloudWatch, alarms").unwrap();
    assert!((line["usd"].as_f64().unwrap() - expected).abs() < 1e-9, "{line}");
}

#[test]
fn what_is_not_there_costs_nothing() {
    let all = bill(&["--nat", "--rate", "0.4"]);
    let without = bill(&["--no-xray", "--no-broker", "--rate", "0.4"]);
    for part in ["xray", "broker", "nat"] {
        assert!(all["parts"][part].as_f64() > Some(0.0));
        assert_eq!(without["parts"][part], 0.0, "{part}");
    }
    assert_eq!(all["parts"]["webhooks"], without["parts"]["webhooks"]);
    assert!(without["neighbours"].as_array().unwrap().iter().all(|it| it["read"].is_string()));
}

#[test]
fn at_a_low_rate_xray_records_nearly_each_webhook() {
    // At 0.39 webhooks per second, traces of 5 % of a million would cost 0.25 USD. With the first of each second they
    // cost 4.19 USD, and those of the consumer's runs cost about as much again.
    let bill = bill(&["--month", "1M"]);
    let runs_at_most = 5.0;
    let traces = bill["parts"]["xray"].as_f64().unwrap();
    assert!((4.19..4.19 + runs_at_most).contains(&traces), "{traces}");
}

#[test]
fn nonsense_is_a_usage_error() {
    for args in
        [["--month", "-1"], ["--month", "many"], ["--rate", "0"], ["--month", "NaN"], ["--lasts", "inf"]]
    {
        let ended = webhooks(&[&["costs"], &args[..]].concat());
        assert_eq!((ended.code, ended.out.as_str()), (Some(2), ""), "{args:?}");
    }
}
