//! Valid and invalid `reconcile` tables.

use super::*;
use crate::config::Config;

/// The problems of a source's `reconcile` and its step's key, as `field: message`.
fn problems(scheme: &str, reconcile: &str, key: &str) -> Vec<String> {
    match parse(scheme, reconcile, key) {
        Ok(_) => Vec::new(),
        Err(error) => error.problems.iter().map(|p| format!("{}: {}", p.field, p.message)).collect(),
    }
}

fn parse(scheme: &str, reconcile: &str, key: &str) -> Result<Config, crate::config::ConfigError> {
    let text = format!(
        r#"
        [sources.it]
        scheme = "{scheme}"
        secrets = ["A"]
        {public_url}
        reconcile = {{ {reconcile} }}

        [[steps]]
        id = "do_it"
        on = {{ source = "it", type = "*" }}
        business_key = "{key}"
        call = {{ url = "https://example.com/" }}
        in_doubt = {{ policy = "park" }}
        "#,
        public_url = if scheme == "square" { "public_url = \"https://example.com/webhooks/it\"" } else { "" },
    );
    Config::parse("webhooks.toml", &text)
}

fn of(scheme: &str, reconcile: &str) -> Vec<String> {
    problems(scheme, reconcile, "{{ event.id }}")
}

#[test]
fn each_provider_says_whom_to_ask() {
    let provider = |scheme: &str, rest: &str| {
        let config = parse(scheme, &format!("every = \"15m\", key = \"K\"{rest}"), "{{ event.id }}").unwrap();
        let reconcile = config.sources["it"].reconcile.clone().unwrap();
        (reconcile.base.to_string(), reconcile.provider)
    };
    let github = "https://api.github.com/".to_owned();
    let hook = Hook::Repository("octo/hello.rs".to_owned(), 7);
    let told = provider("github", ", repository = \"octo/hello.rs\", hook = 7");
    assert_eq!(told, (github.clone(), Provider::GitHub(hook)));
    let told = provider("github", ", organization = \"octo\", hook = 7");
    assert_eq!(told.1, Provider::GitHub(Hook::Organization("octo".to_owned(), 7)));
    assert_eq!(provider("github", ", app = \"Iv23\"").1, Provider::GitHub(Hook::App("Iv23".to_owned())));
    let failed = Provider::Stripe { events: Events::Failed, account: None };
    assert_eq!(provider("stripe", ""), ("https://api.stripe.com/".to_owned(), failed));
    let all = Provider::Stripe { events: Events::All, account: Some("acct_1".to_owned()) };
    assert_eq!(provider("stripe", ", events = \"all\", account = \"acct_1\"").1, all);
    let hook = GitLabHook::Project("octo/sub/hello".to_owned(), 7);
    let told = provider("standard-webhooks", ", project = \"octo/sub/hello\", hook = 7");
    assert_eq!(told, ("https://gitlab.com/api/v4".to_owned(), Provider::GitLab(hook)));
    let told = provider("standard-webhooks", ", group = \"octo\", hook = 7");
    assert_eq!(told.1, Provider::GitLab(GitLabHook::Group("octo".to_owned(), 7)));
    assert_eq!(provider("paddle", "").1, Provider::Paddle);
    assert_eq!(provider("square", "").1, Provider::Square);
}

#[test]
fn every_mistake_is_named() {
    let well = "every = \"15m\", key = \"K\"";
    let one = |scheme: &str, reconcile: &str| {
        let problems = of(scheme, reconcile);
        assert_eq!(problems.len(), 1, "{problems:?}");
        problems[0].clone()
    };
    assert_eq!(one("stripe", "key = \"K\""), "sources.it.reconcile.every: missing; add every = \"15m\"");
    assert!(one("stripe", "every = \"15m\"").starts_with("sources.it.reconcile.key: missing"));
    assert!(
        one("stripe", "every = \"15m\", key = \"sk_live_x\"")
            .starts_with("sources.it.reconcile.key: not the name")
    );
    assert!(one("stripe", "every = \"1s\", key = \"K\"").ends_with("must be from 1m to 24h; 15m is usual"));
    assert!(one("slack", well).starts_with("sources.it.reconcile: slack has no list"));
    assert!(one("stripe", &format!("{well}, hook = 1")).contains("unknown field"));
    assert!(one("stripe", &format!("{well}, account = \"a/b\"")).contains("not the id of an account"));
    for hook in [
        "",
        ", repository = \"octo/hello\"",
        ", repository = \"octo\", hook = 1",
        ", repository = \"octo/../x\", hook = 1",
        ", organization = \"a/b\", hook = 1",
        ", app = \"Iv23\", hook = 1",
        ", app = \"Iv23\", organization = \"octo\", hook = 1",
    ] {
        assert!(one("github", &format!("{well}{hook}")).contains("not one webhook of GitHub's"), "{hook}");
    }
    for hook in [
        "",
        ", project = \"octo/hello\"",
        ", project = \"hello\", hook = 1",
        ", project = \"octo/../hello\", hook = 1",
        ", project = \"octo/hello\", group = \"octo\", hook = 1",
        ", group = \"octo?\", hook = 1",
    ] {
        let problem = one("standard-webhooks", &format!("{well}{hook}"));
        assert!(problem.contains("not one webhook of GitLab's"), "{hook}");
    }
    let unsigned = of("gitlab", well);
    assert!(unsigned[0].contains("use its signing token"), "{unsigned:?}");
}

#[test]
fn the_key_goes_to_a_literal_host_by_https() {
    let of = |url: &str| of("stripe", &format!("every = \"15m\", key = \"K\", url = \"{url}\""));
    assert!(of("http://127.0.0.1:9").is_empty() && of("https://github.example.com/api/v3").is_empty());
    assert!(of("http://api.stripe.com")[0].contains("would show the key to others"));
    assert!(!of("https://{{ source }}.example.com").is_empty());
    assert!(of("https://10.0.0.5/")[0].contains("a private address"));
}

#[test]
fn a_fetched_event_is_not_named_by_what_differs_from_a_delivered_one() {
    let well = "every = \"15m\", key = \"K\"";
    assert!(problems("stripe", well, "{{ digest }}")[0].contains("digest of a fetched event differs"));
    let hook = format!("{well}, app = \"Iv23\"");
    assert!(problems("github", &hook, "{{ digest }}").is_empty(), "it arrives as a webhook");
}
