//! The identity of events, and which of two sets of headers it is taken from.

use super::*;

fn svix() -> Sample {
    let mut sample = sample(&named("standard-webhooks"), b"{}");
    for (name, _) in &mut sample.headers {
        *name = name.replace("webhook-", "svix-");
    }
    sample
}

fn check_both(headers: &[(String, String)]) -> (Result<Verified, Refused>, Option<String>) {
    let event_id = identity(&named("standard-webhooks"), &map(headers), None).event_id;
    let sample = Sample { headers: headers.to_vec(), ..svix() };
    (check(&named("standard-webhooks"), &sample, NOW), event_id)
}

#[test]
fn either_set_of_headers_will_do_and_so_will_both() {
    let (verified, id) = check_both(&svix().headers);
    assert!(verified.is_ok() && id.as_deref() == Some("msg_1"));
    let both = [sample(&named("standard-webhooks"), b"{}").headers, svix().headers].concat();
    let (verified, id) = check_both(&both);
    assert!(verified.is_ok() && id.as_deref() == Some("msg_1"));
}

#[test]
fn the_sets_are_never_mixed() {
    let standard = sample(&named("standard-webhooks"), b"{}").headers;
    let branded = svix().headers;
    for picks in 1..7 {
        let pick = |index: usize| {
            if picks >> index & 1 == 0 { branded[index].clone() } else { standard[index].clone() }
        };
        let (verified, _) = check_both(&[pick(0), pick(1), pick(2)]);
        assert!(matches!(verified, Err(Refused::Missing(_))), "{picks:03b}");
    }
}

#[test]
fn sets_that_differ_are_refused() {
    let both = [sample(&named("standard-webhooks"), b"{}").headers, svix().headers].concat();
    for (index, (name, _)) in both.iter().enumerate() {
        let standard = ["webhook-id", "webhook-timestamp", "webhook-signature"];
        let contradicted =
            standard.iter().find(|standard| standard.ends_with(name.split_once('-').unwrap().1));
        let mut differing = both.clone();
        differing[index].1 += "1";
        assert_eq!(check_both(&differing).0, Err(Refused::Contradicted(contradicted.unwrap())), "{name}");
    }
}

fn headers() -> HeaderMap {
    let lines = [
        ("webhook-id", "msg_1"),
        ("x-github-delivery", "72d3162e"),
        ("x-github-event", "issues"),
        ("x-shopify-webhook-id", "b54557e4"),
        ("x-shopify-topic", "orders/create"),
        ("i-twilio-idempotency-token", "c9b93c46"),
        ("linear-delivery", "234d1a4e"),
        ("idempotency-key", "f5e57ebe"),
        ("x-gitlab-event-uuid", "13792a34"),
        ("x-gitlab-event", "Push Hook"),
        ("request-id", "aec0b9d5"),
        ("sentry-hook-resource", "issue"),
    ];
    map(&lines.map(|(name, value)| (name.to_owned(), value.to_owned())))
}

#[test]
fn the_event_is_named_where_each_provider_names_it() {
    let body = json!({
        "id": "evt_1", "event_id": "ev_2", "sg_event_id": "sg_3", "signature": { "token": "a8ce0e" },
        "type": "Comment", "Type": "Notification", "MessageId": "m-1", "action": "create", "event_type": "transaction.paid", "event": "meeting.started",
        "pspReference": "8836", "eventCode": "CAPTURE", "success": "true", "topic": "user.created", "uuid": "7f2c",
        "eventCategory": "INVOICE", "eventType": "UPDATE", "subscriptionType": "contact.creation",
        "event-data": { "event": "delivered" }, "object": "page", "MessageStatus": "sent",
    });
    let expected = |scheme: &Scheme| match scheme.name() {
        "stripe" => (Some("evt_1"), "Comment"),
        "github" => (Some("72d3162e"), "issues.create"),
        "standard-webhooks" => (Some("msg_1"), "Comment"),
        "slack" => (Some("ev_2"), "Comment"),
        "shopify" => (Some("b54557e4"), "orders/create"),
        "twilio" => (Some("c9b93c46"), "sent"),
        "square" => (Some("ev_2"), "Comment"),
        "zoom" => (None, "meeting.started"),
        "meta" => (None, "page"),
        "discord" => (Some("evt_1"), ""),
        "linear" => (Some("234d1a4e"), "Comment.create"),
        "mailgun" => (Some("a8ce0e"), "delivered"),
        "sendgrid" => (Some("sg_3"), "meeting.started"),
        "paddle" => (Some("ev_2"), "transaction.paid"),
        "gitlab" => (Some("f5e57ebe"), "Push Hook"),
        "sns" => (Some("m-1"), "Notification"),
        "adyen" => (Some("8836.CAPTURE.true"), "CAPTURE"),
        "intercom" => (Some("evt_1"), "user.created"),
        "hubspot" => (None, "contact.creation"),
        "docusign" | "calendly" => (None, "meeting.started"),
        "zendesk" | "vercel" => (Some("evt_1"), "Comment"),
        "okta" => (Some("7f2c"), "UPDATE"),
        "xero" => (None, "INVOICE.UPDATE"),
        "typeform" => (Some("ev_2"), "transaction.paid"),
        "sentry" => (Some("aec0b9d5"), "issue.create"),
        "convoy-advanced" | "hmac" => (None, "Comment"),
        other => panic!(
            "no id and type of {other}: add an arm for it to `expected` in functions/webhook-verify/tests/identity.rs"
        ),
    };
    for scheme in ALL.iter() {
        let Identity { event_id, event_type } = identity(scheme, &headers(), Some(&body));
        assert_eq!((event_id.as_deref(), &*event_type), expected(scheme), "{scheme}");
    }
    let slack = json!({ "type": "event_callback", "event": { "type": "app_mention" } });
    assert_eq!(identity(&named("slack"), &headers(), Some(&slack)).event_type, "app_mention");
    assert_eq!(identity(&named("discord"), &headers(), Some(&json!({ "type": 2 }))).event_type, "2");
}

#[test]
fn what_is_not_there_is_not_made_up() {
    let other = json!({ "id": 7, "type": ["x"], "action": null, "event": {}, "signature": "", "object": "" });
    for scheme in ALL.iter() {
        for body in [None, Some(&other)] {
            let Identity { event_id, event_type } = identity(scheme, &HeaderMap::new(), body);
            assert_eq!((event_id, &*event_type), (None, ""), "{scheme}");
        }
    }
    let unnamed = map(&[("x-gitlab-event-uuid".to_owned(), "13792a34".to_owned())]);
    assert_eq!(identity(&named("gitlab"), &unnamed, None).event_id.as_deref(), Some("13792a34"));
}
