//! Headers that are repeated, missing or ambiguous.

use super::*;

/// Signs `{}`, applies `change` to the value of one header, and verifies the result.
fn changed(scheme: &Scheme, name: &str, change: impl Fn(&str) -> String) -> Result<Verified, Refused> {
    let mut sample = sample(scheme, b"{}");
    let (_, value) = sample.headers.iter_mut().find(|header| header.0 == name).unwrap();
    *value = change(value);
    check(scheme, &sample, NOW)
}

type Change = fn(&str) -> String;
type Cases<'a> = (&'a [(Scheme, &'static str)], &'a [Change]);

#[test]
fn headers_that_read_in_two_ways_are_refused() {
    let standard = named("standard-webhooks");
    let [stripe, convoy] =
        [(named("stripe"), "stripe-signature"), (named("convoy-advanced"), "x-convoy-signature")];
    let paddle = (named("paddle"), "paddle-signature");
    let calendly = (named("calendly"), "calendly-webhook-signature");
    let timestamps = [
        (named("slack"), "x-slack-request-timestamp"),
        (named("zoom"), "x-zm-request-timestamp"),
        (named("discord"), "x-signature-timestamp"),
        (named("sendgrid"), "x-twilio-email-event-webhook-timestamp"),
        (named("hubspot"), "x-hubspot-request-timestamp"),
        (named("zendesk"), "x-zendesk-webhook-signature-timestamp"),
        (standard.clone(), "webhook-timestamp"),
    ];
    let id = (standard.clone(), "webhook-id");
    let list = (standard, "webhook-signature");
    let prefixed = [
        (named("github"), "x-hub-signature-256"),
        (named("intercom"), "x-hub-signature"),
        (named("typeform"), "typeform-signature"),
        (named("slack"), "x-slack-signature"),
        (named("zoom"), "x-zm-signature"),
    ];
    let in_one: [Change; 9] = [
        |v| format!("{v},{v}"),
        |v| format!("{v}, {v}"),
        // Two times, no time, other notations.
        |v| format!("t=1700000000,{v}"),
        |v| v.replace("t=1700000000", "x=1"),
        |v| v.replace("t=", "t=+"),
        |v| v.replace("t=", "t=0"),
        |v| v.replace("t=", "t= "),
        |v| v.replace("t=1700000000", "t=99999999999999999999"),
        |v| format!("{v},v1"),
    ];
    let in_paddles: [Change; 5] = [
        |v| format!("{v},{v}"),
        |v| format!("{v}, {v}"),
        |v| format!("ts=1700000000;{v}"),
        |v| v.replace("ts=", "ts=0"),
        |v| format!("{v};"),
    ];
    let in_a_timestamp: [Change; 7] = [
        |v| format!("{v},{v}"),
        |_| String::new(),
        |v| format!("0{v}"),
        |v| format!("+{v}"),
        |v| format!("{v}.0"),
        |v| format!("{v} "),
        |v| v.replace('0', "０"),
    ];
    let in_a_prefix: [Change; 4] = [
        |v| v.to_uppercase(),
        |v| v.split_once('=').unwrap().1.to_owned(),
        |v| format!("{v} "),
        |v| format!("{v},{v}"),
    ];
    let in_an_id: [Change; 3] = [|_| String::new(), |v| format!("{v}.1"), |v| format!("{v},{v}")];
    let in_a_list: [Change; 4] =
        [|v| format!("{v},{v}"), |v| format!("{v}, {v}"), |v| format!("{v} "), |v| v.replace("v1,", "")];
    let cases: [Cases; 6] = [
        (&[stripe, convoy, calendly], &in_one),
        (&[paddle], &in_paddles),
        (&timestamps, &in_a_timestamp),
        (&prefixed, &in_a_prefix),
        (&[id], &in_an_id),
        (&[list], &in_a_list),
    ];
    for (headers, changes) in cases {
        for (scheme, name) in headers {
            for (index, change) in changes.iter().enumerate() {
                let refused = changed(scheme, name, change);
                assert_eq!(refused, Err(Refused::Malformed(name)), "{scheme}, case {index}");
            }
        }
    }
}

/// Truncated, padded, in another alphabet or case, or twice: in each header that contains one signature.
#[test]
fn signatures_are_read_strictly() {
    let changes: [Change; 7] = [
        |v| v[..v.len() - 1].to_owned(),
        |v| format!("{v}="),
        |v| format!("{v}0"),
        |v| format!(" {v}"),
        |v| format!("{v},{v}"),
        |v| format!("{}!", &v[..v.len() - 1]),
        |_| String::new(),
    ];
    // Mailgun's, Adyen's and SNS's signatures are in the body, GitLab has none, and our sample of Stripe's ends with another one.
    let others = ["mailgun", "adyen", "sns", "gitlab", "stripe"].map(named);
    for scheme in ALL.iter().filter(|scheme| !others.contains(scheme)) {
        let name = sample(scheme, b"{}").headers.swap_remove(0).0;
        for (index, change) in changes.iter().enumerate() {
            assert!(changed(scheme, &name, change).is_err(), "{scheme}, case {index}");
        }
    }
    for (scheme, name) in [(named("discord"), "x-signature-ed25519"), (named("linear"), "linear-signature")] {
        assert_eq!(changed(&scheme, name, str::to_uppercase), Err(Refused::Malformed(name)));
    }
}

#[test]
fn signatures_that_can_not_be_read_match_nothing_and_spoil_nothing() {
    let (stripe, standard) = (named("stripe"), named("standard-webhooks"));
    assert!(changed(&stripe, "stripe-signature", |v| v.replace("v1=", "v1=zz,v1=,v1=")).is_ok());
    assert!(changed(&stripe, "stripe-signature", |v| format!("x=1,{v}")).is_ok());
    assert!(changed(&named("paddle"), "paddle-signature", |v| v.replace("h1=", "h1=zz;h1=")).is_ok());
    for change in [|v: &str| v.replace("v1=", "v0="), |v: &str| v.replace("v1=", "V1=")] {
        assert_eq!(changed(&stripe, "stripe-signature", change), Err(Refused::Forged));
    }
    let list = "webhook-signature";
    assert!(
        changed(&standard, list, |v| format!("v1a,AAAA v2,{} v1,AAAA v1,!! {v}", "A".repeat(43))).is_ok()
    );
    for change in [
        |v: &str| v.replace("v1,", "v1a,"),
        |v: &str| v.replace("v1,", "V1,"),
        |v: &str| v.replace('=', ""),
        |v: &str| format!("{v}="),
        |v: &str| v[..v.len() - 5].to_owned(),
        |_: &str| "v1,".to_owned(),
    ] {
        assert_eq!(changed(&standard, list, change), Err(Refused::Forged));
    }
}

#[test]
fn more_signatures_than_any_provider_sends_are_refused() {
    for (name, header, separator) in [
        ("standard-webhooks", "webhook-signature", " "),
        ("stripe", "stripe-signature", ","),
        ("paddle", "paddle-signature", ";"),
    ] {
        let scheme = named(name);
        let filled = |count: usize| {
            changed(&scheme, header, |value| {
                let ed25519 = STANDARD.encode([7; 64]);
                let other = match separator {
                    " " => format!("v1a,{ed25519}"),
                    "," => format!("v1={}", "0".repeat(64)),
                    _ => format!("h1={}", "0".repeat(64)),
                };
                [vec![value.to_owned()], vec![other; count]].concat().join(separator)
            })
        };
        assert!(filled(header::MAX_SIGNATURES - 1).is_ok(), "{name}");
        assert_eq!(filled(header::MAX_SIGNATURES), Err(Refused::TooMany(header)), "{name}");
    }
}

#[test]
fn the_window_has_two_sides_and_no_edge_to_fall_off() {
    let dated = [
        "stripe",
        "standard-webhooks",
        "slack",
        "zoom",
        "discord",
        "mailgun",
        "sendgrid",
        "paddle",
        "calendly",
        "hubspot",
        "zendesk",
        "sns",
        "convoy-advanced",
    ];
    for scheme in ALL.iter().filter(|scheme| **scheme != named("linear")) {
        let sample = sample(scheme, b"{}");
        for inside in [NOW - 300, NOW, NOW + 300] {
            assert!(check(scheme, &sample, inside).is_ok(), "{scheme} at {inside}");
        }
        let has_a_window = dated.contains(&scheme.name());
        for outside in [NOW - 301, NOW + 301, i64::MIN, i64::MAX] {
            let refused = Err(Refused::OutsideWindow { signed_at: NOW });
            let expected = if has_a_window { refused } else { Ok(Verified { key_index: 0 }) };
            assert_eq!(
                check(scheme, &sample, outside),
                expected,
                "{scheme} at {outside}: the list `dated` in functions/webhook-verify/tests/headers.rs must have the \
                 schemes that sign a time, and no other"
            );
        }
    }
}

#[test]
fn missing_and_repeated_headers_are_named() {
    for scheme in ALL.iter() {
        let sample = sample(scheme, b"{}");
        for index in 0..sample.headers.len() {
            let mut without = sample.clone();
            let (name, _) = without.headers.remove(index);
            let name = if scheme.name() == "hmac" { "configured" } else { &name };
            let refused = check(scheme, &without, NOW).unwrap_err();
            assert_eq!(refused.to_string(), format!("the {name} header is missing"));
            let mut twice = sample.clone();
            twice.headers.push(sample.headers[index].clone());
            let refused = check(scheme, &twice, NOW).unwrap_err();
            assert_eq!(refused.to_string(), format!("the {name} header is repeated"));
        }
    }
}
