//! The effect of an event's field on a URL.

use minijinja::value::Serde;
use serde_json::{Value, json};

use super::*;
use crate::config::Config;

/// A step that calls this URL; its input has `a` and `b`.
fn step(url: &str) -> String {
    format!(
        "[[steps]]\nid = \"s\"\nbusiness_key = \"k\"\nin_doubt = {{ policy = \"park\" }}\n\
         input = {{ a = \"A\", b = \"B\" }}\ncall = {{ url = {url:?} }}"
    )
}

fn render(url: &str, input: Value) -> Result<String, String> {
    let config = Config::parse("webhooks.toml", &step(url)).unwrap_or_else(|error| panic!("{error}"));
    let context = Jinja::from(Serde(json!({ "input": input })));
    let url = config.steps[0].call().unwrap().url.render(&config.templates, &context);
    url.map(String::from).map_err(|error| error.to_string())
}

fn refusal(placeholder: &str, problem: &str) -> String {
    format!("steps.s.call.url: {placeholder} {problem}; the path would name another resource")
}

#[test]
fn a_value_in_a_path_is_one_segment_or_a_part_of_one() {
    let url = "https://h.example/v1/{{ input.a }}/group%2Fi-{{ input.b }}.json";
    for (a, b, path) in [
        ("cus_1", "2", "cus_1/group%2Fi-2.json"),
        ("...", "x.y", ".../group%2Fi-x.y.json"),
        ("a b?c#d", "%41", "a%20b%3Fc%23d/group%2Fi-%2541.json"),
        ("é", "%", "%C3%A9/group%2Fi-%25.json"),
    ] {
        let rendered = render(url, json!({ "a": a, "b": b })).unwrap();
        assert_eq!(rendered, format!("https://h.example/v1/{path}"));
    }
}

#[test]
fn a_value_that_would_name_another_resource_is_refused_by_name() {
    let url = "https://h.example/v1/{{ input.a }}/refunds?q={{ input.b }}";
    for (value, problem) in [
        ("", "is empty"),
        (".", DOTS),
        ("..", DOTS),
        ("%2e", DOTS),
        (".%2E", DOTS),
        ("%252e%252e", DOTS),
        ("../admin", SLASH),
        ("a/b", SLASH),
        ("a\\b", SLASH),
        ("a%2fb", SLASH),
        ("a%255Cb", SLASH),
    ] {
        let refused = render(url, json!({ "a": value, "b": "x" })).unwrap_err();
        assert_eq!(refused, refusal("input.a", problem), "{value:?}");
        let query = render(url, json!({ "a": "x", "b": value }));
        assert!(query.is_ok(), "a query's value may be {value:?}: {query:?}");
    }
}

#[test]
fn parts_that_are_harmless_alone_are_refused_together() {
    let two = "https://h.example/v1/{{ input.a }}{{ input.b }}/x";
    for (url, a, b, problem) in [
        (two, "%2", "e", DOTS),
        (two, "x%2", "fy", SLASH),
        ("https://h.example/v1/%2{{ input.a }}.", "e", "", DOTS),
    ] {
        let refused = render(url, json!({ "a": a, "b": b })).unwrap_err();
        assert_eq!(refused, refusal("input.a", problem));
    }
    let refused = render("https://h.example/{{ input.a | replace('x', '') }}", json!({ "a": "x" }));
    assert_eq!(refused.unwrap_err(), refusal("what is filled in", "is empty"));
}

#[test]
fn what_is_no_url_any_more_is_refused_by_name() {
    let long = "x".repeat(70_000);
    let refused = render("https://h.example/?q={{ input.a }}", json!({ "a": long })).unwrap_err();
    assert_eq!(refused, "steps.s.call.url: uri too long");
    let refused = render("https://h.example/?q={{ input.a }}", json!({ "a": "\u{FDD1}" })).unwrap_err();
    assert_eq!(refused, "steps.s.call.url: U+FDD0 and U+FDD1 are no characters for a URL");
}

#[test]
fn a_block_that_is_printed_later_is_a_mistake_in_the_file() {
    for block in
        ["{% set x %}{{ input.a }}{% endset %}{{ x }}", "{%- filter upper %}{{ input.a }}{% endfilter %}"]
    {
        let error = Config::parse("webhooks.toml", &step(&format!("https://h.example/{block}"))).unwrap_err();
        assert!(error.to_string().contains("steps.s.call.url: a block of set or filter"), "{error}");
    }
    let url = "https://h.example/{% set x = input.a %}{% if x %}{{ x | upper }}{% endif %}";
    assert_eq!(render(url, json!({ "a": "b" })).unwrap(), "https://h.example/B");
}
