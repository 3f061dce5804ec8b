//! What a source may say, and what it may not.

use crate::{
    config::{Config, allow::Allow},
    ingest::signature::{Scheme, identity},
};

/// The problems of a source and its step, as `field: message`.
fn problems(source: &str, step: &str) -> Vec<String> {
    let text = format!(
        r#"
        [sources.it]
        secrets = ["A"]
        {source}

        [[steps]]
        id = "do_it"
        on = {{ source = "it", type = "*" }}
        business_key = "{{{{ source }}}}"
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

#[test]
fn a_run_id_is_made_of_what_is_signed() {
    let accepted = |scheme: &str, run_id: &str, event_id: &str| {
        let source = format!("scheme = \"{scheme}\"\n{event_id}");
        let own = problems(&format!("{source}\nrun_id = \"{run_id}\""), "");
        let of_step = problems(&source, &format!("run_id = \"{run_id}\""));
        assert_eq!(own.len(), of_step.len(), "{own:?} {of_step:?}");
        assert!(own.iter().all(|problem| problem.starts_with("sources.it.run_id: ")), "{own:?}");
        assert!(of_step.iter().all(|problem| problem.starts_with("steps.do_it.run_id: ")), "{of_step:?}");
        own.is_empty()
    };
    for scheme in ["github", "stripe"] {
        assert!(accepted(scheme, "{{ event.id }}-{{ form.id }}-{{ source }}", ""));
        assert!(!accepted(scheme, "{{ headers['x-id'] }}", ""));
    }
    for name in ["{{ event_id }}", "{{ event_type }}"] {
        assert!(accepted("stripe", name, ""));
        assert!(!accepted("github", name, ""));
    }
    assert!(accepted("github", "{{ event_id }}", "event_id = \"{{ event.id }}\""));
    assert!(!accepted("github", "{{ event_id }}", "event_id = \"{{ headers['x-id'] }}\""));
    assert!(!accepted("stripe", "{{ event_id }}", "event_id = \"{{ headers['x-id'] }}\""));
    assert!(
        !accepted("mailgun", "{{ event_id }}", "event_id = \"{{ event.id }}\""),
        "its body is not signed"
    );
    assert!(accepted("mailgun", "{{ event_id }}", ""), "its token is");
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

#[test]
fn a_scheme_and_its_identities_agree_on_what_is_signed() {
    for scheme in Scheme::PLAIN {
        let identity = identity(&scheme, &http::HeaderMap::new(), None);
        assert_eq!(identity.authenticated, scheme.signs_id(), "{scheme}");
    }
}
