//! Invalid graphs, each with its error message.

use crate::config::Config;

const SOURCES: &str = r#"
[sources.stripe]
scheme = "stripe"
secrets = ["STRIPE_WEBHOOK_SECRET"]

[sources.github]
scheme = "github"
secrets = ["GITHUB_WEBHOOK_SECRET"]
"#;

/// The TOML of a step with these lines and the required fields. Its receipt has `id`.
fn step(id: &str, lines: &str) -> String {
    format!(
        r#"
[[steps]]
id = "{id}"
business_key = "{{{{ event.id }}}}"
{lines}
call = {{ url = "https://a.example.com/", receipt = {{ id = "{{{{ response.json.id }}}}" }} }}
in_doubt = {{ policy = "park" }}
"#
    )
}

const ON: &str = r#"on = { source = "stripe", type = "charge.*" }"#;

/// The problems of these steps, as `line, field: message`.
fn problems(steps: &[(&str, &str)]) -> Vec<String> {
    let steps = steps.iter().map(|(id, lines)| step(id, lines));
    let text = SOURCES.to_owned() + &steps.collect::<String>();
    let Err(error) = Config::parse("webhooks.toml", &text) else { return Vec::new() };
    error
        .problems
        .iter()
        .map(|problem| {
            assert!(problem.line.is_some(), "{problem:?}");
            format!("{}: {}", problem.field, problem.message)
        })
        .collect()
}

/// The problems of two steps: `first`, started by an event, and `second` with these lines.
fn second(lines: &str) -> Vec<String> {
    problems(&[("first", ON), ("second", lines)])
}

#[test]
fn a_chain_and_a_join_that_are_right_are_taken() {
    let chain = "after = 'first'\nwhen = \"receipts.first.id != '' and input.a == 1\"\n\
                 input = { a = '{{ event.a }}', b = ['{{ receipts.first.id }} {{ input.a }}'] }";
    assert_eq!(second(chain), Vec::<String>::new());
    let join = "after = ['first', 'second']\ninput = { a = '{{ receipts.first.id }}' }";
    let steps = [("first", ON), ("second", ON), ("third", join), ("fourth", "after = 'third'")];
    assert_eq!(problems(&steps), Vec::<String>::new());
    let of_an_ancestor = "after = 'third'\ninput = { a = '{{ receipts.first.id }}' }";
    let steps = [("first", ON), ("second", ON), ("third", join), ("fourth", of_an_ancestor)];
    assert_eq!(problems(&steps), Vec::<String>::new());
}

#[test]
fn predecessors_exist_and_are_named_once_and_make_no_circle() {
    assert_eq!(
        second("after = 'frist'"),
        ["steps.second.after: no step is named \"frist\"; known are first, second"]
    );
    assert_eq!(
        second("after = []"),
        ["steps.second.after: empty; name the steps that it waits for, or remove it"]
    );
    assert_eq!(
        second("after = ['first', 'first']"),
        ["steps.second.after: names first twice; once is enough"]
    );
    let circle = "steps.second.after: these steps wait for each other in a circle: second; none of them could ever begin";
    assert_eq!(second("after = 'second'"), [circle]);
    let found = problems(&[("a", "after = 'c'"), ("b", "after = 'a'"), ("c", "after = 'b'")]);
    assert_eq!(found.len(), 3);
    assert_eq!(
        found[0],
        "steps.a.after: these steps wait for each other in a circle: a, b, c; none of them could ever begin"
    );
}

#[test]
fn a_step_begins_in_one_way_and_in_one_run() {
    assert_eq!(
        second(&format!("after = 'first'\n{ON}")),
        ["steps.second.on: a step starts either with an event or after another step; remove on, or after"]
    );
    assert_eq!(
        second("after = 'first'\nrun_id = '{{ event.id }}'"),
        ["steps.second.run_id: it belongs to the run of the steps before it; remove run_id"]
    );
}

#[test]
fn what_a_step_waits_for_begins_by_the_same_events_in_the_same_run() {
    let join = ("third", "after = ['first', 'second']");
    let events = "steps.third.after: first and second must start with the same events; otherwise this step would wait for ever; write the same on for both";
    let other = r#"on = { source = "github", type = "charge.*" }"#;
    assert_eq!(problems(&[("first", ON), ("second", other), join]), [events]);
    assert_eq!(problems(&[("first", ""), ("second", ""), join]), [events]);
    let own_run = format!("{ON}\nrun_id = 'r-{{{{ event.id }}}}'");
    assert_eq!(
        problems(&[("first", ON), ("second", &own_run), join]),
        ["steps.third.after: first and second must be of one run; write the same run_id for both"]
    );
    assert_eq!(problems(&[("first", &own_run), ("second", &own_run), join]), Vec::<String>::new());
}

#[test]
fn receipts_are_of_steps_before_and_of_fields_that_they_keep() {
    let of = |name: &str| second(&format!("after = 'first'\ninput = {{ a = '{{{{ {name} }}}}' }}"));
    assert_eq!(
        of("receipts.first.no"),
        ["steps.second.input.a: the receipt of first has no field no; it has id"]
    );
    assert_eq!(
        of("receipts.second.id"),
        [
            "steps.second.input.a: second is not before this step; name it in after, or take another step's receipt"
        ]
    );
    for whole in ["receipts", "receipts.first"] {
        let expected =
            format!("steps.second.input.a: {whole} is not a field of a receipt; write receipts.STEP.FIELD");
        assert_eq!(of(whole), [expected]);
    }
    let without = second("input = { a = '{{ receipts.first.id }}' }");
    assert!(
        without[0].starts_with("steps.second.input.a: receipts.first.id is not known here"),
        "{without:?}"
    );
}

/// The event is known only at ingest, and the receipts only later.
#[test]
fn one_template_is_filled_in_at_one_time() {
    assert_eq!(
        second("after = 'first'\ninput = { a = '{{ receipts.first.id }} {{ event.id }}' }"),
        [
            "steps.second.input.a: event is no longer available when the step begins; add its value to input as a field, and use input.NAME here"
        ]
    );
    let of_a_late_one = "after = 'first'\ninput = { a = '{{ receipts.first.id }}', b = '{{ input.a }}', c = '{{ event.c }}' }";
    assert_eq!(
        second(of_a_late_one),
        ["steps.second.input.b: input.a is not filled in from the event; known here are c"]
    );
    let when = "after = 'first'\nwhen = \"receipts.first.id == event.id\"";
    assert!(
        second(when)[0].starts_with("steps.second.when: event is no longer available when the step begins")
    );
}

/// Otherwise anyone who has seen one webhook could replay it as another effect.
#[test]
fn a_later_steps_business_key_is_signed_as_well() {
    let on = r#"on = { source = "github", type = "*" }"#;
    let steps = format!(
        "{SOURCES}{}{}",
        step("first", on),
        step("second", "after = 'first'").replace("event.id", "event_id")
    );
    let error = Config::parse("webhooks.toml", &steps).unwrap_err().to_string();
    assert!(error.contains("steps.second.business_key: event_id of source github is not signed"), "{error}");
}
