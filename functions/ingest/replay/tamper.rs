//! Changes that an attacker without the secret can make to a signed request, and their effects. Shared with the fuzz target `replay`.

use std::collections::{BTreeMap, BTreeSet};

use super::{sample::*, *};

/// The number of kinds of changes of [`tampered`].
pub(crate) const CHANGES: u8 = 16;

/// Names from which a business key can be built. A key uses all values of its name.
const KEYS: [&str; 7] = ["event_id", "event_type", "event", "form", "digest", "headers", "source"];

/// For each scheme, one configuration per name from which a business key may be built. A token proves nothing about the content, so GitLab's and
/// Okta's schemes have no such property.
pub(crate) static CONFIGS: LazyLock<BTreeMap<&str, Vec<Config>>> = LazyLock::new(|| {
    let configs = |name| KEYS.into_iter().filter_map(|key| config(name, key).ok()).collect();
    let signs = |name| Scheme::named(name).is_ok_and(|scheme| !scheme.signed().is_empty());
    Scheme::names().map(|name| (name, if signs(name) { configs(name) } else { Vec::new() })).collect()
});

fn config(name: &str, key: &str) -> Result<Config, ConfigError> {
    let takes = |setting| Scheme::named(name).is_ok_and(|scheme| scheme.takes(setting));
    let settings = match name {
        "hmac" => {
            "header = \"x-signature\"\nprefix = \"sha512=\"\nalgorithm = \"sha512\"\nencoding = \"base64\""
        }
        _ if takes(Setting::Topics) => "topics = [\"arn:aws:sns:us-east-1:123456789012:orders\"]",
        _ if takes(Setting::PublicUrl) => "public_url = \"https://hooks.example.com/webhooks/it\"",
        _ => "",
    };
    let secrets = if takes(Setting::Topics) { "" } else { "secrets = [\"A\"]" };
    let text = format!(
        r#"
        [sources.it]
        scheme = "{name}"
        {secrets}
        tolerance = "5m"
        {settings}

        [[steps]]
        id = "do_it"
        on = {{ source = "it", type = "*" }}
        business_key = "{{{{ {key} }}}}-"
        call = {{ url = "https://example.com/" }}
        in_doubt = {{ policy = "park" }}
        "#
    );
    Config::parse("webhooks.toml", &text)
}

/// The effects of a request; empty if it is refused.
fn effects(config: &Config, sample: &Sample) -> BTreeSet<String> {
    let source = &config.sources["it"];
    let keys = [source.scheme.key(&secret(&source.scheme, 0)).expect("a secret")];
    let mut headers = HeaderMap::new();
    for (name, value) in &sample.headers {
        if let (Ok(name), Ok(value)) = (name.parse::<HeaderName>(), value.parse::<HeaderValue>()) {
            headers.append(name, value);
        }
    }
    let request = Request {
        method: Method::POST,
        path: "/webhooks/it".to_owned(),
        headers,
        query: Query::AsSent(sample.query.clone()),
        source_ip: None,
        caller: None,
        body: sample.body.clone(),
    };
    let now = Timestamp::from_second(NOW).expect("a time");
    let Ok(webhook) = (UnverifiedWebhook { source, request: &request }).verify(&keys, now) else {
        return BTreeSet::new();
    };
    let events = webhook.events(&config.templates);
    let origin = Origin { source: "it", trace: Traceparent::new(), now };
    let routed = events.and_then(|events| {
        events.iter().map(|event| route::commands(event, config, origin)).collect::<Result<Vec<_>, _>>()
    });
    let routed = routed.unwrap_or_default();
    routed.iter().flat_map(|(_, effects)| effects).map(|routed| routed.effect.to_string()).collect()
}

/// # Panics
/// The changed request has an effect that the authentic one does not have.
pub(crate) fn assert_no_other_effects(config: &Config, genuine: &Sample, changed: &Sample) {
    let allowed = effects(config, genuine);
    let found = effects(config, changed);
    let scheme = &config.sources["it"].scheme;
    assert!(found.is_subset(&allowed), "{scheme}: {found:?}, not {allowed:?}, of {changed:?}");
}

/// Applies one change. `a`, `b` and `bytes` are the kind's parameters.
pub(crate) fn tampered(mut sample: Sample, kind: u8, a: u8, b: u8, bytes: &[u8]) -> Sample {
    let text = || String::from_utf8_lossy(bytes).into_owned();
    let (a, b) = (usize::from(a), usize::from(b));
    let name = NAMES[a % NAMES.len()].clone();
    let count = sample.headers.len().max(1);
    match kind % CHANGES {
        0 => sample.headers.push((name, text())),
        1 => sample.headers.extend(sample.headers.get(b % count).cloned().map(|(_, value)| (name, value))),
        2 => sample.headers.extend(sample.headers.get(a % count).cloned()),
        3 if !sample.headers.is_empty() => drop(sample.headers.remove(a % count)),
        4 => sample.query = text(),
        5 => sample.query = format!("{}&{}", sample.query, text()),
        // Moves the boundaries between the query, each header, and the body, in both directions.
        6 => move_to_body(&mut sample.query, &mut sample.body, b % 16),
        7 => move_from_body(&mut sample.query, &mut sample.body, b % 16),
        8 if !sample.headers.is_empty() => {
            move_to_body(&mut sample.headers[a % count].1, &mut sample.body, b % 16);
        }
        9 if !sample.headers.is_empty() => {
            move_from_body(&mut sample.headers[a % count].1, &mut sample.body, b % 16);
        }
        10 => {
            let at = a.min(sample.body.len());
            sample.body.splice(at..(at + b % 4).min(sample.body.len()), bytes.iter().copied());
        }
        11.. => sample.body = reformed(&sample.body, kind, a, b),
        _ => {}
    }
    sample
}

fn move_to_body(from: &mut String, body: &mut Vec<u8>, length: usize) {
    let at = (0..=from.len().saturating_sub(length)).rev().find(|at| from.is_char_boundary(*at));
    let moved = from.split_off(at.unwrap_or_default());
    body.splice(0..0, moved.into_bytes());
}

fn move_from_body(to: &mut String, body: &mut Vec<u8>, length: usize) {
    let moved: Vec<u8> = body.drain(..length.min(body.len())).collect();
    to.push_str(&String::from_utf8_lossy(&moved));
}

/// A form in another order or encoding, with a repeated pair, or with the boundary between two pairs moved.
fn reformed(body: &[u8], kind: u8, a: usize, b: usize) -> Vec<u8> {
    let mut pairs: Vec<(String, String)> = form_urlencoded::parse(body).into_owned().collect();
    if pairs.is_empty() {
        return body.to_vec();
    }
    let at = a % pairs.len();
    match kind {
        11 => pairs.rotate_left(at),
        12 => pairs.push(pairs[at].clone()),
        13 => {
            let (name, value) = pairs.remove(at);
            match pairs.get_mut(b % (at + 1)) {
                Some((_, before)) => *before += &(name + &value),
                None => pairs.push((name + &value, String::new())),
            }
        }
        14 => {
            let (_, value) = &mut pairs[at];
            let cut = (0..=b % (value.len() + 1)).rev().find(|cut| value.is_char_boundary(*cut));
            let rest = value.split_off(cut.unwrap_or_default());
            pairs.push((rest, String::new()));
        }
        _ => {
            let escape = |text: &str| text.bytes().map(|byte| format!("%{byte:02x}")).collect::<String>();
            let escaped = pairs.iter().map(|(name, value)| format!("{}={}", escape(name), escape(value)));
            return escaped.collect::<Vec<_>>().join("&").into();
        }
    }
    form_urlencoded::Serializer::new(String::new()).extend_pairs(&pairs).finish().into()
}
