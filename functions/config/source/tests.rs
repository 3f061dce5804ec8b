//! Valid and invalid source tables.

use crate::config::{Config, allow::Allow};

/// The problems of a source and its step, as `field: message`.
fn problems(source: &str, step: &str) -> Vec<String> {
    with_key(source, "{{ source }}", step)
}

/// Like `problems`, with this business key.
fn with_key(source: &str, key: &str, step: &str) -> Vec<String> {
    let text = format!(
        r#"
        [sources.it]
        secrets = ["A"]
        {source}

        [[steps]]
        id = "do_it"
        on = {{ source = "it", type = "*" }}
        business_key = "{key}"
        call = {{ url = "https://example.com/" }}
        in_doubt = {{ policy = "park" }}
        {step}
        "#
    );
    match Config::parse("webhooks.toml", &text) {
        Ok(_) => Vec::new(),
        Err(error) => error.problems.iter().map(|p| format!("{}: {}", p.field, p.message)).collect(),
    }
}

/// Which names an identity of that scheme may use, without `unsigned = "accept"`.
fn allowed(source: &str) -> Vec<&'static str> {
    let names = [
        ("event_id", "{{ event_id }}"),
        ("event_type", "{{ event_type }}"),
        ("event", "{{ event.id }}"),
        ("form", "{{ form.id }}"),
        ("digest", "{{ digest }}"),
        ("headers", "{{ headers['x-id'] }}"),
        ("source", "{{ source }}"),
    ];
    let mut allowed = Vec::new();
    for (name, template) in names {
        let own = problems(&format!("{source}\nrun_id = \"{template}\""), "");
        let run_id = problems(source, &format!("run_id = \"{template}\""));
        let key = with_key(source, template, "");
        let fields = ["sources.it.run_id: ", "steps.do_it.run_id: ", "steps.do_it.business_key: "];
        for (found, field) in [&own, &run_id, &key].into_iter().zip(fields) {
            assert_eq!(found.len(), key.len(), "one rule for all: {own:?} {run_id:?} {key:?}");
            assert!(
                found.iter().all(|problem| problem.starts_with(field) && problem.contains(name)),
                "{found:?}"
            );
        }
        if key.is_empty() {
            allowed.push(name);
        }
    }
    allowed
}

#[test]
fn an_identity_is_made_of_what_is_signed() {
    for (source, expected) in [
        ("scheme = \"stripe\"", &["event_id", "event_type", "event", "form", "digest", "source"][..]),
        ("scheme = \"github\"", &["event", "form", "digest", "source"]),
        ("scheme = \"shopify\"", &["event", "form", "digest", "source"]),
        ("scheme = \"linear\"", &["event_type", "event", "form", "digest", "source"]),
        ("scheme = \"mailgun\"", &["event_id", "digest", "source"]),
        ("scheme = \"sentry\"", &["event", "form", "digest", "source"]),
        ("scheme = \"adyen\"", &["event_id", "event_type", "digest", "source"]),
        ("scheme = \"gitlab\"", &["source"]),
        ("scheme = \"okta\"", &["source"]),
        ("scheme = \"twilio\"\npublic_url = \"https://x.org/it\"", &["event", "digest", "source"]),
    ] {
        assert_eq!(allowed(source), expected, "{source}");
    }
}

#[test]
fn a_name_of_the_source_is_signed_if_all_that_it_is_made_of_is() {
    for (source, event_id, expected) in [
        ("scheme = \"github\"", "{{ event.id }}", true),
        ("scheme = \"github\"", "{{ event.id }}-{{ event_type }}", false),
        ("scheme = \"github\"", "{{ headers['x-id'] }}", false),
        ("scheme = \"stripe\"", "{{ headers['x-id'] }}", false),
        ("scheme = \"stripe\"", "{% set x = headers %}{{ x['x-id'] }}", false),
        ("scheme = \"mailgun\"", "{{ event.id }}", false),
        ("scheme = \"mailgun\"", "{{ digest }}", true),
    ] {
        let names = allowed(&format!("{source}\nevent_id = \"{event_id}\""));
        assert_eq!(names.contains(&"event_id"), expected, "{source} {event_id}");
    }
    // In Twilio's signature base, nothing separates one form field from the next.
    let twilio = "scheme = \"twilio\"\npublic_url = \"https://x.org/it\"\njson_field = \"Payload\"";
    assert_eq!(allowed(twilio), ["digest", "source"]);
}

#[test]
fn what_is_not_signed_names_an_effect_only_if_that_is_accepted() {
    let github = "scheme = \"github\"";
    let [problem] = &with_key(github, "{{ event_id }}", "")[..] else { panic!("one problem") };
    assert_eq!(
        problem,
        "steps.do_it.business_key: event_id of source it is not signed by github: anyone who has seen one webhook could send it \
         again as another effect; use event, form, digest, or write unsigned = \"accept\" beside it to accept that"
    );
    let [problem] = &with_key("scheme = \"gitlab\"", "{{ event.id }}", "")[..] else { panic!("one problem") };
    assert!(problem.contains("gitlab signs nothing, so write unsigned = \"accept\""), "{problem}");
    let accepted = "unsigned = \"accept\"";
    for template in ["{{ event_id }}", "{{ headers['x-id'] }}"] {
        assert_eq!(with_key(github, template, accepted), [""; 0]);
        assert_eq!(problems(github, &format!("{accepted}\nrun_id = \"{template}\"")), [""; 0]);
        assert_eq!(problems(&format!("{github}\n{accepted}\nrun_id = \"{template}\""), ""), [""; 0]);
        // It is in the template's own table and does not apply to other tables.
        assert_eq!(with_key(&format!("{github}\n{accepted}"), template, "").len(), 1);
        assert_eq!(problems(&format!("{github}\nrun_id = \"{template}\""), accepted).len(), 1);
    }
    for other in ["true", "\"yes\""] {
        let found = with_key(github, "{{ event.id }}", &format!("unsigned = {other}"));
        assert!(found.len() == 1 && found[0].starts_with("steps.do_it.unsigned: "), "{found:?}");
    }
}

#[test]
fn no_function_of_the_template_language_shows_what_is_not_signed() {
    for template in ["{{ debug() }}", "{{ debug }}", "{% set x = debug %}{{ x() }}"] {
        let found = with_key("scheme = \"github\"", template, "");
        assert!(found.len() == 1 && found[0].contains("debug is not known here"), "{found:?}");
    }
}

#[test]
fn a_source_says_where_its_webhooks_come_from_and_where_their_names_are() {
    let text = r#"
        [sources.it]
        scheme = "meta"
        secrets = ["A"]
        verify_token = "META_VERIFY_TOKEN"
        allow = ["192.0.2.0/24", "2001:db8::1"]
        json_field = "payload"
        event_id = "{{ event.id }}"
        event_type = "{{ headers['x-type'] }}"
    "#;
    let source = Config::parse("webhooks.toml", text).unwrap().sources.remove("it").unwrap();
    assert_eq!(source.verify_token.as_deref(), Some("META_VERIFY_TOKEN"));
    assert_eq!(source.json_field.as_deref(), Some("payload"));
    assert!(matches!(&source.allow, Allow::Networks(networks) if networks.len() == 2));
    assert_eq!((source.event_id.unwrap().signed, source.event_type.unwrap().signed), (true, false));
}

#[test]
fn a_source_of_snss_has_topics_and_no_secrets() {
    let found = |fields: &str| {
        let text = format!("[sources.it]\nscheme = \"sns\"\n{fields}");
        let error = Config::parse("webhooks.toml", &text).err();
        error.map_or_else(String::new, |error| {
            error.problems.iter().map(|p| format!("{}: {}", p.field, p.message)).collect()
        })
    };
    let topics =
        "topics = [\"arn:aws:sns:us-east-1:123456789012:orders\", \"arn:aws-cn:sns:cn-north-1:1:a.fifo\"]";
    assert_eq!(found(topics), "");
    for (fields, expected) in [
        ("", "sources.it.topics: missing; add topics = ["),
        ("topics = []", "sources.it.topics: empty; "),
        ("topics = [\"orders\"]", "sources.it.topics: \"orders\" is not the ARN of a topic; "),
        (&format!("{topics}\nsecrets = [\"A\"]"), "sources.it.secrets: unknown field; "),
    ] {
        assert!(found(fields).starts_with(expected), "{}", found(fields));
        assert_eq!(found(fields).matches("sources.it").count(), 1, "{}", found(fields));
    }
}

#[test]
fn what_it_may_not_say_is_named() {
    for (source, expected) in [
        ("scheme = \"github\"\nallow = []", "sources.it.allow: empty; nobody could send"),
        (
            "scheme = \"github\"\nallow = [\"192.0.2.0/40\"]",
            "sources.it.allow: \"192.0.2.0/40\" is no network",
        ),
        ("scheme = \"github\"\nallow = \"192.0.2.0/24\"", "sources.it.allow: invalid type"),
        ("scheme = \"github\"\nverify_token = \"A\"", "sources.it.verify_token: unknown field"),
        (
            "scheme = \"meta\"\nverify_token = \"a-token\"",
            "sources.it.verify_token: not the name of a secret",
        ),
        (
            "scheme = \"github\"\nevent_id = \"{{ evnt.id }}\"",
            "sources.it.event_id: evnt.id is not known here",
        ),
        ("scheme = \"github\"\nevent_type = \"{{ event\"", "sources.it.event_type: not a template"),
        ("scheme = \"github\"\njson_field = 1", "sources.it.json_field: invalid type"),
    ] {
        let found = problems(source, "");
        assert!(found.len() == 1 && found[0].starts_with(expected), "{expected}\n{found:?}");
    }
}
