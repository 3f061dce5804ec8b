//! The whole configuration file, as a user writes it.

use minijinja::{Value as Jinja, value::Serde};
use serde_json::{Value, json};

use super::{call::Body, in_doubt::InDoubt, retry::Retry, *};

const MINIMAL: &str = r#"
[sources.stripe]
scheme = "stripe"
secrets = ["STRIPE_WEBHOOK_SECRET"]

[[steps]]
id = "open_ticket"
on = { source = "stripe", type = "charge.dispute.*" }
when = "event.amount > 0"
business_key = "{{ event.id }}"
input = { id = "{{ event.id }}", amount = "{{ event.amount }}", note = "of {{ event.amount }}", tags = ["{{ event.id }}", 1] }
call = { url = "https://tickets.example.com/api/{{ input.id }}?q={{ input.note }}", json = { amount = "{{ input.amount }}" } }
in_doubt = { policy = "park" }
"#;

fn parse(text: &str) -> Config {
    Config::parse("webhooks.toml", text).unwrap_or_else(|error| panic!("{error}"))
}

/// The problems of a file, as `field: message`.
fn problems(text: &str) -> Vec<String> {
    let error = Config::parse("webhooks.toml", text).expect_err("the file has mistakes");
    error.problems.iter().map(|problem| format!("{}: {}", problem.field, problem.message)).collect()
}

fn context(event: Value) -> Jinja {
    Jinja::from(Serde(json!({ "event": event })))
}

#[test]
fn the_shipped_example_is_right() {
    let config = parse(EMBEDDED);
    assert_eq!(config.sources.len(), 3);
    assert_eq!(config.steps.len(), 8);
}

#[test]
fn a_single_expression_keeps_its_type_and_text_is_text() {
    let config = parse(MINIMAL);
    let context = context(json!({ "id": "dp_1", "amount": 5 }));
    let input: Vec<Value> = config.steps[0]
        .input
        .iter()
        .map(|(_, template)| config.templates.json(template, &context).unwrap())
        .collect();
    assert_eq!(input, [json!(5), json!("dp_1"), json!("of 5"), json!(["dp_1", 1])]);
}

#[test]
fn a_missing_or_null_field_is_an_error_that_names_it() {
    let config = parse(MINIMAL);
    let key = &config.steps[0].business_key;
    for event in [json!({ "amount": 1 }), json!({ "id": null })] {
        let error = config.templates.text(key, &context(event)).unwrap_err();
        assert_eq!(error.to_string(), "steps.open_ticket.business_key: event.id is missing");
    }
    let when = config.steps[0].when.as_ref().unwrap();
    let error = config.templates.holds(when, &context(json!({}))).unwrap_err();
    assert_eq!(error.to_string(), "steps.open_ticket.when: event.amount is missing");
}

#[test]
fn what_is_filled_into_a_url_stays_one_part_of_it() {
    let config = parse(MINIMAL);
    let render = |id: &str| {
        let input = json!({ "input": { "id": id, "note": "a&b=ü c" } });
        config.steps[0]
            .call()
            .unwrap()
            .url
            .render(&config.templates, &Jinja::from(Serde(input)))
            .unwrap()
            .to_string()
    };
    assert_eq!(render("..x?y#z"), "https://tickets.example.com/api/..x%3Fy%23z?q=a%26b%3D%C3%BC%20c");
}

#[test]
fn all_mistakes_are_reported_together_each_with_its_place_and_remedy() {
    let found = problems(
        r#"
        [sources.stripe]
        scheme = "stripes"
        secrets = []
        tolerance = "5 parsecs"
        colour = "red"

        [sources.api]
        scheme = "github"
        secrets = ["whsec_actual-secret"]

        [[steps]]
        id = "open ticket"
        business_key = "{{ evnt.id }}"
        on = { source = "strip", type = "*" }
        call = { url = "https://{{ event.host }}/", timeout = "0s" }
        in_doubt = { policy = "same-key" }

        [[steps]]
        business_key = "{{ event.id "
        call = { url = "ftp://x/", json = { a = "{{ input.nope }}" }, auth = { bearer = "A", basic = "B" } }
        retry = { max_attempts = 0 }
        "#,
    );
    let expected = [
        ("sources.api.name", "not \"api\""),
        ("sources.api.secrets", "value itself never stands here"),
        ("sources.stripe.scheme", "stripe"),
        ("sources.stripe.secrets", "empty"),
        ("sources.stripe.tolerance", "not a time"),
        ("sources.stripe.colour", "unknown field"),
        ("steps[0].id", "may not hold ' '"),
        ("steps[0].business_key", "evnt.id is not known here"),
        ("steps[0].call.url", "must be literal"),
        ("steps[0].call.timeout", "over 0"),
        ("steps[0].in_doubt.window", "how long"),
        ("steps[1].id", "missing"),
        ("steps[1].business_key", "not a template"),
        ("steps[1].call.url", "only http and https"),
        ("steps[1].call.json.a", "input.nope is not known here"),
        ("steps[1].call.auth", "write one of"),
        ("steps[1].in_doubt", "no safe default"),
        ("steps[1].retry.max_attempts", "1 or more"),
    ];
    for (field, message) in expected {
        let named = found
            .iter()
            .any(|problem| problem.starts_with(&format!("{field}: ")) && problem.contains(message));
        assert!(named, "{field}: …{message}… is not among\n{}", found.join("\n"));
    }
    assert_eq!(found.len(), expected.len(), "{}", found.join("\n"));
    assert!(!found.join("\n").contains("actual-secret"), "a secret is never repeated");
}

#[test]
fn a_problem_is_on_the_line_of_its_field_and_the_first_line_comes_first() {
    let text = MINIMAL.replace("event.amount > 0", "event.amount >").replace("url = ", "URL = ");
    let error = Config::parse("webhooks.toml", &format!("{text}\ncolour = \"red\"")).unwrap_err();
    let found: Vec<_> = error.problems.iter().map(|p| (p.line, p.field.as_str())).collect();
    assert_eq!(
        found,
        [
            (Some(9), "steps.open_ticket.when"),
            (Some(12), "steps.open_ticket.call.url"),
            (Some(12), "steps.open_ticket.call.URL"),
            (Some(15), "steps.open_ticket.colour"),
        ]
    );
}

#[test]
fn a_filter_or_a_test_that_is_not_there_is_named() {
    let found = problems(&MINIMAL.replace("{{ event.id }}\"\ninput", "{{ event.id | upcase }}\"\ninput"));
    assert_eq!(found.len(), 1, "{found:?}");
    assert!(
        found[0].starts_with("steps.open_ticket.business_key: no filter is named \"upcase\""),
        "{found:?}"
    );
    let found = problems(&MINIMAL.replace("event.amount > 0", "event.amount is numeric"));
    assert!(found[0].starts_with("steps.open_ticket.when: no test is named \"numeric\""), "{found:?}");
    parse(&MINIMAL.replace("event.amount > 0", "event.amount is not number and event.id | length > 2"));
}

#[test]
fn a_window_in_which_no_key_can_be_used_again_is_named() {
    let step = |window: &str| {
        format!(
            "[[steps]]\nid = \"s\"\nbusiness_key = \"k\"\nin_doubt = {{ policy = \"same-key\", window = \"{window}\" }}\n\
             call = {{ method = \"POST\", url = \"https://a.example.com/\", timeout = \"10s\" }}"
        )
    };
    let found = problems(&step("16s"));
    assert_eq!(found.len(), 1, "{found:?}");
    assert!(
        found[0].starts_with("steps.s.in_doubt.window: too short") && found[0].contains("16 s"),
        "{found:?}"
    );
    parse(&step("17s"));
}

#[test]
fn a_budget_that_makes_no_sense_is_named() {
    let step = |retry: &str| MINIMAL.replace("in_doubt =", &format!("retry = {{ {retry} }}\nin_doubt ="));
    for (retry, expected) in [
        (
            r#"give_up_after = "9s""#,
            "steps.open_ticket.retry.give_up_after: shorter than one attempt, which may take 10s",
        ),
        (r#"backoff = "0s""#, "steps.open_ticket.retry.backoff: must be over 0"),
        (r#"backoff = "2h""#, "steps.open_ticket.retry.max_backoff: 1h is less than backoff, which is 2h"),
        ("max_attempts = 0", "steps.open_ticket.retry.max_attempts: 0 would never call"),
        ("attempts = 3", "steps.open_ticket.retry.attempts: unknown field; known are give_up_after"),
    ] {
        let found = problems(&step(retry));
        assert!(found.len() == 1 && found[0].starts_with(expected), "{retry}: {found:?}");
    }
    let counted = parse(&step("max_attempts = 3")).steps[0].retry;
    assert_eq!(
        (counted.max_attempts, counted.give_up_after),
        (Some(3), None),
        "a count alone has no time beside it"
    );
    let both = parse(&step("max_attempts = 3, give_up_after = \"10s\"")).steps[0].retry;
    assert_eq!((both.max_attempts, both.give_up_after), (Some(3), Some(Duration::from_secs(10))));
}

#[test]
fn times_that_would_break_a_promise_are_named() {
    let times = |times: &str| format!("{MINIMAL}\n[consumer]\n{times}");
    let found = problems(&times("settle = \"999ms\"\nkeep_done = \"743h\"\nstream_lease = \"0s\""));
    let expected = [
        "consumer.settle: must be 1s",
        "consumer.keep_done: must be 744h",
        "consumer.stream_lease: must be 1s",
    ];
    for (problem, expected) in found.iter().zip(expected) {
        assert!(problem.starts_with(expected), "{problem}");
    }
    assert_eq!(found.len(), 3, "{found:?}");
    parse(&times("settle = \"1s\"\nkeep_done = \"744h\""));
}

#[test]
fn the_docs_say_how_long_each_step_goes_on() {
    for step in parse(EMBEDDED).steps {
        let row = format!("| `{}` | {} |", step.id, step.retry);
        assert!(include_str!("../../docs/operate.md").contains(&row), "docs/operate.md lacks {row}");
    }
}

#[test]
fn each_scheme_is_read_with_the_settings_that_it_needs() {
    use webhook_verify::{Algorithm, Encoding, MacFormat, Scheme, Setting, Settings};
    let source = |scheme: &str, settings: &str| {
        let secrets = if scheme == "sns" { "" } else { "secrets = [\"A\"]" };
        let text = format!("[sources.it]\nscheme = \"{scheme}\"\n{secrets}\n{settings}");
        parse(&text).sources.remove("it").unwrap()
    };
    for name in Scheme::names() {
        let takes = |setting| Scheme::named(name).unwrap().takes(setting);
        let settings = if takes(Setting::PublicUrl) {
            "public_url = \"https://hooks.example.com/webhooks/it\""
        } else if takes(Setting::Topics) {
            "topics = [\"arn:aws:sns:us-east-1:123456789012:orders\"]"
        } else if takes(Setting::Header) {
            "header = \"X-Signature\""
        } else {
            ""
        };
        let source = source(name, settings);
        assert_eq!(source.scheme.name(), name);
        let seconds = match name {
            "paddle" => 5,
            "linear" => 60,
            "calendly" => 180,
            "sns" => 7200,
            _ => 300,
        };
        assert_eq!(source.tolerance, Duration::from_secs(seconds), "{name}");
    }
    let settings =
        "header = \"X-Signature\"\nprefix = \"sha512=\"\nencoding = \"base64\"\nalgorithm = \"sha512\"";
    let expected = Settings {
        header: Some("x-signature".parse().unwrap()),
        prefix: "sha512=".to_owned(),
        mac: MacFormat { encoding: Encoding::Base64, algorithm: Algorithm::Sha512 },
        ..Settings::default()
    };
    assert_eq!(source("hmac", settings).scheme, Scheme::named("hmac").unwrap().with(expected));
}

#[test]
fn settings_that_a_scheme_lacks_or_does_not_take_are_named() {
    let found = problems(
        r#"
        [sources.a]
        scheme = "twilio"
        secrets = ["A"]

        [sources.b]
        scheme = "square"
        secrets = ["A"]
        public_url = "hooks.example.com"

        [sources.c]
        scheme = "hmac"
        secrets = ["A"]
        prefix = 7
        encoding = "base32"
        algorithm = "md5"

        [sources.d]
        scheme = "hmac"
        secrets = ["A"]
        header = "X Signature"

        [sources.e]
        scheme = "github"
        secrets = ["A"]
        header = "X-Signature"
        "#,
    );
    let expected = [
        "sources.a.public_url: missing; add public_url = ",
        "sources.b.public_url: not a URL that a provider could send to; write it as it stands there",
        "sources.c.header: missing; add header = ",
        "sources.c.prefix: invalid type: integer `7`, expected a string; expected a text",
        "sources.c.encoding: unknown variant `base32`",
        "sources.c.algorithm: unknown variant `md5`",
        "sources.d.header: invalid HTTP header name",
        "sources.e.header: unknown field; known are scheme, secrets",
    ];
    for (problem, expected) in found.iter().zip(expected) {
        assert!(problem.starts_with(expected), "{expected}\n{problem}");
    }
    assert_eq!(found.len(), expected.len(), "{}", found.join("\n"));
}

#[test]
fn a_step_can_not_have_the_name_of_the_list_of_what_is_parked() {
    let id = MINIMAL.split("id = \"").nth(1).and_then(|rest| rest.split('"').next()).unwrap();
    let found = problems(&MINIMAL.replace(&format!("id = \"{id}\""), "id = \"parked\""));
    assert!(found.iter().any(|problem| problem.contains("is reserved")), "{found:?}");
}

#[test]
fn references_are_checked() {
    let twice = MINIMAL.replace("source = \"stripe\"", "source = \"stripy\"");
    let twice = format!("{twice}{}", &twice[twice.find("[[steps]]").unwrap()..]);
    let found = problems(&twice);
    assert!(found.iter().any(|problem| problem.contains("two steps have this id")), "{found:?}");
    assert!(
        found.iter().any(|problem| problem.contains("no source is named \"stripy\"; known are stripe")),
        "{found:?}"
    );
}

#[test]
fn a_file_that_is_no_toml_says_where() {
    let error = Config::parse("webhooks.toml", "a = 1\n[sources.stripe\nscheme = '1'").unwrap_err();
    let expected = "webhooks.toml: 1 problem\n  line 2, toml: unclosed table, expected `]`";
    assert_eq!(error.to_string(), expected);
}

#[test]
fn defaults_are_as_documented() {
    let config = parse(MINIMAL);
    let step = &config.steps[0];
    assert_eq!(step.call().unwrap().method, "POST");
    assert_eq!(step.call().unwrap().timeout, Duration::from_secs(10));
    assert!(matches!(step.in_doubt, InDoubt::Park));
    assert!(matches!(step.call().unwrap().body, Body::Json(_)));
    assert_eq!(config.sources["stripe"].tolerance, Duration::from_secs(300));
    assert_eq!(config.sources["stripe"].max_body, 1024 * 1024);
    assert_eq!(config.consumer, ConsumerSettings::default());
    assert_eq!(step.retry, Retry::default());
}

#[test]
fn the_environment_names_what_is_missing_or_malformed() {
    use environment::Environment;
    let get = |name: &str| match name {
        "DRIFTQ_DRAIN_URL" => Some("http://old,".to_owned()),
        "DRIFTQ_PARTITIONS" => Some("0".to_owned()),
        "IDLE_EXIT" => Some("soon".to_owned()),
        "CONSUMER_FUNCTION" => Some("../functions".to_owned()),
        "EFFECTS_TABLE" => Some(" ".to_owned()),
        _ => None,
    };
    let error = Environment::read(&get).unwrap_err().to_string();
    for name in [
        "DRIFTQ_HTTP_URL: missing",
        "DRIFTQ_DRAIN_URL: entry 2: empty",
        "EFFECTS_TABLE: missing",
        "DRIFTQ_PARTITIONS: not",
        "IDLE_EXIT: \"soon\"",
        "CONSUMER_FUNCTION: not",
    ] {
        assert!(error.contains(name), "{name} is not in\n{error}");
    }
    let get = |name: &str| matches!(name, "DRIFTQ_HTTP_URL" | "EFFECTS_TABLE").then(|| "http://x".to_owned());
    let environment = Environment::read(&get).unwrap();
    assert_eq!(environment.brokers.first.name(), "http://x");
    assert_eq!(
        (environment.topic.as_str(), environment.group.as_str()),
        ("sidefx.commands", "sidefx-worker")
    );
    assert_eq!((environment.partitions, environment.idle_exit), (8, Duration::from_secs(1)));
}

#[test]
fn a_private_address_in_a_url_is_named_unless_its_destination_allows_it() {
    let look_up = r#"in_doubt = { policy = "look-up", url = "https://10.1.2.3:8443/x", found = "true", not_found = "false" }"#;
    let text = MINIMAL.replace("tickets.example.com", "169.254.169.254");
    let text = text.replace("in_doubt = { policy = \"park\" }", look_up);
    let remedy = |host| {
        format!(
            "and a third party is on the internet; write its name, or allow_private = true in [destinations.\"{host}\"]"
        )
    };
    assert_eq!(
        problems(&text),
        [
            format!("steps.open_ticket.call.url: a link-local address, {}", remedy("169.254.169.254")),
            format!("steps.open_ticket.in_doubt.url: a private address, {}", remedy("10.1.2.3:8443")),
        ]
    );
    let allowed = "[destinations.\"169.254.169.254\"]\nallow_private = true\n\
                   [destinations.\"10.1.2.3:8443\"]\nallow_private = true\n";
    parse(&format!("{text}\n{allowed}"));
    for host in ["127.0.0.1:8080", "[::1]:8080", "localhost", "1.1.1.1"] {
        parse(&MINIMAL.replace("tickets.example.com", host));
    }
    // Other notations of a private address.
    for host in ["0xa9fea9fe", "169.254.43518", "[::ffff:169.254.169.254]", "0"] {
        let found = problems(&MINIMAL.replace("tickets.example.com", host));
        assert!(
            found.len() == 1 && found[0].contains("a third party is on the internet"),
            "{host}: {found:?}"
        );
    }
}

#[test]
fn credentials_go_to_another_machine_by_https_only() {
    let text = MINIMAL.replace(
        "in_doubt = { policy = \"park\" }",
        r#"in_doubt = { policy = "look-up", url = "URL/x", found = "true", not_found = "false" AUTH }"#,
    );
    let text = text.replace("https://tickets.example.com", "URL").replace("json = {", "AUTH json = {");
    let with = |url: &str, call: &str, look_up: &str| {
        let text = text.replace("URL", url).replacen("AUTH", call, 1);
        text.replace("AUTH", look_up)
    };
    let (call, look_up) = ("auth = { bearer = \"A_TOKEN\" },", ", auth = { basic = \"A_LOGIN\" }");
    for host in ["http://tickets.example.com", "http://localhost.", "http://1.1.1.1:8080"] {
        let why = "http:// would send the credentials of auth unencrypted; write https://";
        let found = problems(&with(host, call, look_up));
        assert_eq!(
            found,
            [format!("steps.open_ticket.call.url: {why}"), format!("steps.open_ticket.in_doubt.url: {why}")]
        );
        parse(&with(host, "", ""));
    }
    for host in ["https://tickets.example.com", "http://localhost", "http://127.0.0.1:8080", "http://[::1]"] {
        parse(&with(host, call, look_up));
    }
}

#[test]
fn only_calls_are_signed_and_the_headers_of_a_signature_are_ours() {
    let text = MINIMAL.replace(
        "json = {",
        r#"auth = { standard_webhooks = "A_SECRET" }, headers = { Webhook-Id = "x" }, json = {"#,
    );
    assert_eq!(
        problems(&text),
        ["steps.open_ticket.call.headers.Webhook-Id: is set by the consumer; remove it"]
    );
    let look_up = r#"in_doubt = { policy = "look-up", url = "https://a.example/", auth = { standard_webhooks = "A_SECRET" }, found = "true", not_found = "false" }"#;
    let found = problems(&MINIMAL.replace("in_doubt = { policy = \"park\" }", look_up));
    let place = "steps.open_ticket.in_doubt.auth: a look-up is no webhook";
    assert!(found.len() == 1 && found[0].starts_with(place), "{found:?}");
    parse(&MINIMAL.replace("json = {", "headers = { Webhook-Id = \"x\" }, json = {"));
}

#[test]
fn a_client_certificate_is_a_secret_that_is_shown_by_https() {
    let text = MINIMAL.replace("https://tickets.example.com", "http://tickets.example.com");
    let destination =
        |name: &str| format!("[destinations.\"tickets.example.com\"]\nclient_certificate = {name:?}\n");
    assert_eq!(
        problems(&format!("{text}\n{}", destination("A_CERTIFICATE"))),
        ["steps.open_ticket.call.url: a client_certificate is shown by https:// only; write https://"]
    );
    let config = parse(&format!("{MINIMAL}\n{}", destination("A_CERTIFICATE")));
    assert!(crate::secrets::of_steps(&config).contains("A_CERTIFICATE"));
    let found = problems(&format!("{MINIMAL}\n{}", destination("-----BEGIN CERTIFICATE-----")));
    let place = "destinations.\"tickets.example.com\".client_certificate: ";
    assert!(found.len() == 1 && found[0].starts_with(place), "{found:?}");
}
