//! The signature schemes, with their names and settings in `webhooks.toml`. A provider with a common scheme is one line in [`Scheme::of`].

use anyhow::{Context, Result, bail};
use toml::Value;

/// A signature scheme.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Scheme {
    /// An HMAC of the body in a header.
    Body(Mac),
    /// An HMAC of time, border and body, in a header with the time: `t=…,v1=…`.
    Timed(Timed),
    /// `v0=<hex>` of `v0:time:body`.
    V0 {
        /// The header with the signature.
        signature: &'static str,
        /// The header with the time.
        timestamp: &'static str,
    },
    /// The secret itself in a header.
    Token(String),
    /// <https://github.com/standard-webhooks/standard-webhooks/blob/main/spec/standard-webhooks.md>
    StandardWebhooks,
    /// <https://www.twilio.com/docs/usage/webhooks/webhooks-security>: forms only.
    Twilio {
        /// The configured URL.
        public_url: String,
    },
    /// <https://developer.squareup.com/docs/webhooks/step3validate>
    Square {
        /// The configured URL.
        public_url: String,
    },
    /// <https://developers.hubspot.com/docs/apps/developer-platform/build-apps/authentication/request-validation>
    Hubspot {
        /// The configured URL.
        public_url: String,
    },
    /// <https://docs.discord.com/developers/interactions/overview>
    Discord,
    /// <https://linear.app/developers/webhooks#securing-webhooks>
    Linear,
    /// <https://documentation.mailgun.com/docs/mailgun/user-manual/webhooks/securing-webhooks>
    Mailgun,
    /// <https://www.twilio.com/docs/sendgrid/for-developers/tracking-events/getting-started-event-webhook-security-features>
    Sendgrid,
    /// <https://developer.zendesk.com/documentation/webhooks/verifying/>
    Zendesk,
    /// <https://docs.aws.amazon.com/sns/latest/dg/sns-verify-signature-of-message.html>: version 2.
    Sns,
    /// <https://docs.adyen.com/development-resources/webhooks/secure-webhooks/verify-hmac-signatures>
    Adyen,
}

/// An HMAC in a header.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mac {
    pub(super) header: String,
    pub(super) prefix: String,
    pub(super) hash: Hash,
    pub(super) base64: bool,
}

/// The hash of an HMAC.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Hash {
    /// SHA-1.
    Sha1,
    /// SHA-256.
    Sha256,
    /// SHA-512.
    Sha512,
}

/// A header such as `t=1700000000,v1=<hex>`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Timed {
    pub(super) header: &'static str,
    pub(super) time: &'static str,
    pub(super) before_signature: &'static str,
    pub(super) border: &'static str,
    pub(super) hash: Hash,
    pub(super) base64: bool,
}

impl Scheme {
    /// The scheme of a source in `webhooks.toml`.
    ///
    /// # Errors
    /// It has none, or an unknown one.
    pub fn of(source: &Value) -> Result<Self> {
        let setting = |name: &str| source.get(name).and_then(Value::as_str);
        let needed = |name| setting(name).with_context(|| format!("this scheme needs {name}"));
        let public_url = || needed("public_url").map(str::to_owned);
        let base64 = setting("encoding") == Some("base64");
        let hash = if setting("algorithm") == Some("sha512") { Hash::Sha512 } else { Hash::Sha256 };
        let body = |header: &str, prefix: &str, hash, base64| {
            Self::Body(Mac { header: header.to_lowercase(), prefix: prefix.to_owned(), hash, base64 })
        };
        let timed = |header, time, before_signature, border, hash, base64| {
            Self::Timed(Timed { header, time, before_signature, border, hash, base64 })
        };
        let (sha1, sha256) = (Hash::Sha1, Hash::Sha256);
        Ok(match needed("scheme")? {
            // https://docs.stripe.com/webhooks#verify-manually: the whole `whsec_...` text is the key.
            "stripe" => timed("stripe-signature", "t=", ",v1=", ".", sha256, false),
            // https://developer.paddle.com/webhooks/signature-verification
            "paddle" => timed("paddle-signature", "ts=", ";h1=", ":", sha256, false),
            // https://developer.calendly.com/api-docs/overview/webhooks/webhook-signatures
            "calendly" => timed("calendly-webhook-signature", "t=", ",v1=", ".", sha256, false),
            // https://www.getconvoy.io/docs/product-manual/signatures
            "convoy-advanced" => timed("x-convoy-signature", "t=", ",v1=", ",", hash, base64),
            // https://docs.slack.dev/authentication/verifying-requests-from-slack
            "slack" => Self::V0 { signature: "x-slack-signature", timestamp: "x-slack-request-timestamp" },
            // https://developers.zoom.us/docs/api/webhooks/#verify-webhook-events
            "zoom" => Self::V0 { signature: "x-zm-signature", timestamp: "x-zm-request-timestamp" },
            // https://docs.github.com/en/webhooks/using-webhooks/validating-webhook-deliveries
            // https://developers.facebook.com/docs/graph-api/webhooks/getting-started
            "github" | "meta" => body("x-hub-signature-256", "sha256=", sha256, false),
            // https://shopify.dev/docs/apps/build/webhooks/subscribe/https
            "shopify" => body("x-shopify-hmac-sha256", "", sha256, true),
            // https://developers.intercom.com/docs/webhooks
            "intercom" => body("x-hub-signature", "sha1=", sha1, false),
            // https://developers.docusign.com/platform/webhooks/connect/validate/
            "docusign" => body("x-docusign-signature-1", "", sha256, true),
            // https://developer.xero.com/documentation/guides/webhooks/configuring-your-server/
            "xero" => body("x-xero-signature", "", sha256, true),
            // https://www.typeform.com/developers/webhooks/secure-your-webhooks/
            "typeform" => body("typeform-signature", "sha256=", sha256, true),
            // https://docs.sentry.io/organization/integrations/integration-platform/webhooks/
            "sentry" => body("sentry-hook-signature", "", sha256, false),
            // https://vercel.com/docs/webhooks/webhooks-api#securing-webhooks
            "vercel" => body("x-vercel-signature", "", sha1, false),
            "hmac" => body(needed("header")?, setting("prefix").unwrap_or_default(), hash, base64),
            // https://docs.gitlab.com/user/project/integrations/webhooks/
            "gitlab" => Self::Token("x-gitlab-token".to_owned()),
            // https://developer.okta.com/docs/concepts/event-hooks/
            "okta" => Self::Token(setting("header").unwrap_or("authorization").to_lowercase()),
            "standard-webhooks" => Self::StandardWebhooks,
            "twilio" => Self::Twilio { public_url: public_url()? },
            "square" => Self::Square { public_url: public_url()? },
            "hubspot" => Self::Hubspot { public_url: public_url()? },
            "discord" => Self::Discord,
            "linear" => Self::Linear,
            "mailgun" => Self::Mailgun,
            "sendgrid" => Self::Sendgrid,
            "zendesk" => Self::Zendesk,
            "adyen" => Self::Adyen,
            "sns" => Self::Sns,
            other => bail!("there is no scheme {other:?}"),
        })
    }
}
