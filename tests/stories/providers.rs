//! Every provider's sample, signed as the provider does, through the whole stack.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
};

use anyhow::{Context, Result};
use local::{
    config::Config,
    functions::workspace,
    stack::Stack,
    webhook::{Webhook, samples},
};
use serde_json::json;
use webhook_verify::Scheme;

use crate::setup::{Story, builder, settle};

/// The samples whose source has a step for them, that step, and the number of calls.
const CALLS: &[(&str, &str, usize)] = &[
    ("stripe.charge.dispute.created", "stripe", 1),
    ("github.issues.opened", "github", 1),
    ("billing.user.created", "billing", 1),
    ("resend.email.delivered", "resend", 1),
    ("vendor.contact.created", "vendor", 1),
    ("slack.app_mention", "slack", 1),
    ("slack.command", "slack_command", 1),
    ("shopify.orders.create", "shopify", 1),
    ("twilio.message.delivered", "twilio", 1),
    ("square.payment.created", "square", 1),
    ("zoom.meeting.started", "zoom", 1),
    ("meta.whatsapp.message", "meta", 1),
    ("discord.command", "discord", 1),
    ("linear.comment.create", "linear", 1),
    ("mailgun.delivered", "mailgun", 1),
    ("sendgrid.events", "sendgrid", 3),
    ("paddle.transaction.completed", "paddle", 1),
    ("gitlab.push", "gitlab", 1),
    ("convoy.charge.success", "convoy", 1),
    ("partner.order.paid", "partner", 1),
    ("sns.notification", "sns", 1),
    ("adyen.authorisation", "adyen", 1),
    ("intercom.contact.created", "intercom", 1),
    ("hubspot.contact.creation", "hubspot", 2),
    ("docusign.envelope.completed", "docusign", 1),
    ("zendesk.ticket.created", "zendesk", 1),
    ("okta.user.created", "okta", 1),
    ("xero.invoice.update", "xero", 1),
    ("typeform.form_response", "typeform", 1),
    ("calendly.invitee.created", "calendly", 1),
    ("sentry.issue.resolved", "sentry", 1),
    ("vercel.deployment.succeeded", "vercel", 1),
];

async fn stack() -> Result<Stack> {
    builder(Config::read(&workspace().join("tests/providers.toml"))?)?.start().await
}

#[tokio::test]
async fn every_providers_event_becomes_its_calls_once_however_often_it_is_delivered() -> Story {
    let stack = stack().await?;
    for (sample, ..) in CALLS {
        let webhook = Webhook::sample(sample)?;
        for _ in 0..2 {
            let answer = stack.deliver(&webhook).await?;
            assert!((200..300).contains(&answer.status), "{sample}: {} {}", answer.status, answer.json());
        }
    }
    settle(&stack).await?;
    let expected: BTreeMap<_, _> =
        CALLS.iter().map(|(_, step, calls)| (format!("/{step}"), *calls)).collect();
    assert_eq!(stack.third_party.ledger().applied_by(|call| call.path.clone()), expected);
    Ok(stack.finish().await?)
}

#[tokio::test]
async fn every_provider_gets_the_response_it_expects() -> Story {
    let stack = stack().await?;
    let answer = async |sample| {
        let answer = stack.deliver(&Webhook::sample(sample)?).await?;
        anyhow::Ok((answer.status, String::from_utf8(answer.body.to_vec())?))
    };
    let challenge = "3eZbrw1aBm2rZgRNFdxV2595E9CY3gmdALWMmHkvFXO7tYXAYM8P".to_owned();
    assert_eq!(answer("slack.url_verification").await?, (200, challenge));
    assert_eq!(answer("slack.command").await?, (200, String::new()));
    assert_eq!(answer("twilio.message.delivered").await?, (204, String::new()));
    assert_eq!(answer("discord.ping").await?, (200, json!({ "type": 1 }).to_string()));
    let (status, zoom) = answer("zoom.endpoint.url_validation").await?;
    // printf qgg8vlvZRS6UYooatFL8Aw | openssl dgst -sha256 -hmac local-zoom-secret-token
    let encrypted = "276ddb789f1e1f492541315eb095e2492e77562393fd2a3849318c500d90130c";
    let expected = json!({ "plainToken": "qgg8vlvZRS6UYooatFL8Aw", "encryptedToken": encrypted });
    assert_eq!((status, serde_json::from_str(&zoom)?), (200, expected));

    let ask = |token: &str| {
        format!("/webhooks/meta?hub.mode=subscribe&hub.challenge=1158201444&hub.verify_token={token}")
    };
    let genuine = stack.get(&ask("local-meta-verify-token")).await?;
    assert_eq!((genuine.status, &genuine.body[..]), (200, &b"1158201444"[..]));
    assert_eq!(stack.get(&ask("guessed")).await?.status, 403);
    settle(&stack).await?;
    assert_eq!(
        stack.third_party.ledger().attempts().len(),
        2,
        "a command and a status; the rest are no events"
    );
    Ok(stack.finish().await?)
}

#[tokio::test]
async fn a_sample_for_another_provider_is_refused() -> Story {
    let stack = stack().await?;
    for (sample, ..) in CALLS {
        let webhook = Webhook::sample(sample)?;
        let signed =
            webhook.clone().signed(&stack.config.source(&webhook.source)?, jiff::Timestamp::now())?;
        for (other, ..) in CALLS {
            let source = Webhook::sample(other)?.source;
            if source != webhook.source {
                let stray = Webhook { source: source.clone(), ..signed.clone() };
                assert_eq!(stack.post_webhook(&stray).await?.status, 401, "{sample} at {source}");
            }
        }
    }
    Ok(stack.finish().await?)
}

#[test]
fn there_is_a_sample_for_every_scheme_and_each_is_sent_here() -> Result<()> {
    let mut config = Config::read(&workspace().join("tests/providers.toml"))?;
    let sources = config.table()["sources"].as_table().context("sources")?.clone();
    let schemes: BTreeSet<_> = sources.values().filter_map(|source| source["scheme"].as_str()).collect();
    let unused: Vec<_> = Scheme::names().filter(|name| !schemes.contains(name)).collect();
    assert!(unused.is_empty(), "tests/providers.toml has no source with scheme {unused:?}");
    let sampled: BTreeSet<_> = fs::read_dir(samples())?
        .map(|entry| Ok(Webhook::read(&entry?.path())?.source))
        .collect::<Result<_>>()?;
    let sent: BTreeSet<_> =
        CALLS.iter().map(|(sample, ..)| Ok(Webhook::sample(sample)?.source)).collect::<Result<_>>()?;
    let without = |has: &BTreeSet<String>| {
        sources.keys().filter(|name| !has.contains(*name)).cloned().collect::<Vec<_>>()
    };
    let (unsampled, unsent) = (without(&sampled), without(&sent));
    assert!(unsampled.is_empty(), "events/ingest has no sample for the sources {unsampled:?}");
    assert!(
        unsent.is_empty(),
        "`CALLS` in tests/stories/providers.rs has no sample of the sources {unsent:?}"
    );
    let stray: Vec<_> = sampled.iter().filter(|name| !sources.contains_key(*name)).collect();
    assert!(stray.is_empty(), "tests/providers.toml has no sources {stray:?}, which samples are for");
    Ok(())
}

/// The settings in `docs/providers.md` are valid, for every scheme.
#[test]
fn the_documentation_has_a_source_for_every_scheme_that_can_be_used_as_it_is() -> Result<()> {
    let text = fs::read_to_string(workspace().join("docs/providers.md"))?;
    let blocks = text.split("```toml\n").skip(1).filter_map(|rest| rest.split("```").next());
    let mut schemes = BTreeSet::new();
    for block in blocks {
        let config = driftq_webhooks::config::Config::parse("docs/providers.md", block)?;
        schemes.extend(config.sources.values().map(|source| source.scheme.name()));
    }
    let missing: Vec<_> = Scheme::names().filter(|name| !schemes.contains(name)).collect();
    assert!(missing.is_empty(), "docs/providers.md has no `toml` block with a source of {missing:?}");
    let overview = fs::read_to_string(workspace().join("docs/configuration.md"))?;
    let unlisted: Vec<_> = schemes.iter().filter(|name| !overview.contains(&format!("`{name}`"))).collect();
    assert!(unlisted.is_empty(), "docs/configuration.md does not list {unlisted:?}");
    Ok(())
}
