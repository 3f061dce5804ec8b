use super::{
    super::{Config, checked::Check, in_doubt::InDoubt},
    *,
};

const FILE: &str = r#"
[hosts]
CRM_HOST = ["crm.example.com", "crm.staging.example.com"]

[[steps]]
id = "tell_crm"
business_key = "{{ event.id }}"
input = { id = "{{ event.id }}" }
in_doubt = { policy = "park" }
[steps.call]
url = "https://{{ env.CRM_HOST }}:8443/contacts/{{ input.id }}"
json = { url = "{{ input.id }}" }

[destinations."{{ env.CRM_HOST }}:8443"]
in_flight = 3
"#;

fn parsed(text: &str, stage: Stage<'_>) -> Result<Config, Vec<String>> {
    let told = |problem: &crate::config::Problem| format!("{}: {}", problem.field, problem.message);
    Config::parse_of("webhooks.toml", text, stage, Check::All)
        .map_err(|error| error.problems.iter().map(told).collect())
}

fn destination(text: &str, stage: Stage<'_>) -> Result<String, Vec<String>> {
    Ok(parsed(text, stage)?.steps[0].call().unwrap().destination())
}

#[test]
fn each_stage_calls_its_own_host_and_none_the_first() {
    assert_eq!(destination(FILE, Stage::None).unwrap(), "crm.example.com:8443");
    let stage = Stage::Of("SHOP_HOST=shop.example.com, CRM_HOST=crm.staging.example.com");
    assert_eq!(destination(FILE, stage).unwrap(), "crm.staging.example.com:8443");
}

#[test]
fn what_is_not_listed_or_not_said_is_an_error() {
    let file = FILE.split("[destinations").next().unwrap();
    for (stage, expected) in [
        ("", "steps.tell_crm.call.url: STAGE_HOSTS does not say which host CRM_HOST is"),
        (
            "CRM_HOST=evil.example.com",
            "hosts.CRM_HOST: STAGE_HOSTS says evil.example.com, which is not listed here",
        ),
        ("crm.example.com", "hosts: STAGE_HOSTS has \"crm.example.com\", and must be NAME=HOST"),
    ] {
        let problems = parsed(file, Stage::Of(stage)).unwrap_err();
        assert!(problems.iter().any(|problem| problem.starts_with(expected)), "{stage}: {problems:?}");
    }
    let unlisted = file.replace("CRM_HOST = [", "OTHER = [");
    let problems = parsed(&unlisted, Stage::None).unwrap_err();
    assert!(
        problems.len() == 1 && problems[0].starts_with("steps.tell_crm.call.url: no host CRM_HOST is listed"),
        "{problems:?}"
    );
}

#[test]
fn a_host_is_a_host_and_stands_alone() {
    let file = FILE.split("[destinations").next().unwrap();
    for host in [
        "",
        "crm.example.com/x",
        "crm.example.com:80",
        "a@b.example.com",
        "{{ input.id }}",
        "crm.example.com#",
    ] {
        let problems = parsed(&file.replace("crm.staging.example.com", host), Stage::None).unwrap_err();
        assert!(problems[0].starts_with("hosts.CRM_HOST: not a list of hosts"), "{host}: {problems:?}");
    }
    // Not allowed: part of a host, a path or body, a key, an input.
    for (from, to) in [
        ("{{ env.CRM_HOST }}:8443", "{{ env.CRM_HOST }}.example.com"),
        ("{{ env.CRM_HOST }}:8443", "api.{{ env.CRM_HOST }}"),
        ("https://{{ env.CRM_HOST }}:8443", "{{ env.CRM_HOST }}://example.com"),
        ("contacts/{{ input.id }}", "contacts/{{ env.CRM_HOST }}"),
        (r#"json = { url = "{{ input.id }}""#, r#"json = { url = "https://{{ env.CRM_HOST }}/""#),
        (r#"business_key = "{{ event.id }}""#, r#"business_key = "{{ env.CRM_HOST }}""#),
        (r#"id = "{{ event.id }}" }"#, r#"id = "{{ env.CRM_HOST }}" }"#),
    ] {
        assert!(file.contains(from));
        assert!(parsed(&file.replace(from, to), Stage::None).is_err(), "{to}");
    }
}

#[test]
fn a_look_up_asks_the_stages_own_host_too() {
    let look_up = r#"in_doubt = { policy = "look-up", url = "https://{{ env.CRM_HOST }}/contacts/{{ input.id }}", found = "response.status == 200", not_found = "response.status == 404" }"#;
    let file = FILE.replace(r#"in_doubt = { policy = "park" }"#, look_up);
    let config = parsed(&file, Stage::Of("CRM_HOST=crm.staging.example.com")).unwrap();
    let InDoubt::LookUp(look_up) = &config.steps[0].in_doubt else {
        panic!("{:?}", config.steps[0].in_doubt)
    };
    assert_eq!(look_up.url.destination(), "crm.staging.example.com");
}

#[test]
fn a_function_is_told_by_its_environment() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("webhooks.toml");
    std::fs::write(&path, FILE).unwrap();
    let load = |hosts: Option<&str>| {
        crate::config::environment::load_config(&|name| match name {
            "WEBHOOKS_CONFIG" => Some(path.display().to_string()),
            "STAGE_HOSTS" => hosts.map(str::to_owned),
            _ => None,
        })
    };
    let config = load(Some("CRM_HOST=crm.staging.example.com")).unwrap();
    assert_eq!(config.steps[0].call().unwrap().destination(), "crm.staging.example.com:8443");
    assert!(load(None).unwrap_err().to_string().contains("STAGE_HOSTS does not say"), "no stage by accident");
    let embedded = crate::config::environment::load_config(&|name| {
        (name == "STAGE_HOSTS").then(|| "nonsense".to_owned())
    });
    assert!(embedded.unwrap_err().to_string().contains("must be NAME=HOST"), "of the embedded file as well");
}
