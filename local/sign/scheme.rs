//! The ways to sign, by the names and with the settings that `webhooks.toml` has for them.

use anyhow::{Context, Result, bail};
use toml::Value;

/// A way to sign.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Scheme {
    /// <https://docs.stripe.com/webhooks#verify-manually>: the whole `whsec_...` text is the key.
    Stripe,
    /// <https://docs.github.com/en/webhooks/using-webhooks/validating-webhook-deliveries>
    Github,
    /// <https://github.com/standard-webhooks/standard-webhooks/blob/main/spec/standard-webhooks.md>
    StandardWebhooks,
    /// <https://docs.slack.dev/authentication/verifying-requests-from-slack>
    Slack,
    /// <https://shopify.dev/docs/apps/build/webhooks/subscribe/https>
    Shopify,
    /// <https://www.twilio.com/docs/usage/webhooks/webhooks-security>: forms only.
    Twilio {
        /// As it stands at Twilio.
        public_url: String,
    },
    /// <https://developer.squareup.com/docs/webhooks/step3validate>
    Square {
        /// As it stands at Square.
        public_url: String,
    },
    /// <https://developers.zoom.us/docs/api/webhooks/#verify-webhook-events>
    Zoom,
    /// <https://developers.facebook.com/docs/graph-api/webhooks/getting-started>
    Meta,
    /// <https://docs.discord.com/developers/interactions/overview>
    Discord,
    /// <https://linear.app/developers/webhooks#securing-webhooks>
    Linear,
    /// <https://documentation.mailgun.com/docs/mailgun/user-manual/webhooks/securing-webhooks>
    Mailgun,
    /// <https://www.twilio.com/docs/sendgrid/for-developers/tracking-events/getting-started-event-webhook-security-features>
    Sendgrid,
    /// <https://developer.paddle.com/webhooks/signature-verification>
    Paddle,
    /// <https://docs.gitlab.com/user/project/integrations/webhooks/>: nothing is signed.
    Gitlab,
    /// <https://docs.getconvoy.io/product-manual/signatures>
    ConvoyAdvanced,
    /// Any other HMAC of the body.
    Hmac(Custom),
}

/// How a sender of one's own signs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Custom {
    pub(super) header: String,
    pub(super) prefix: String,
    pub(super) base64: bool,
    pub(super) sha512: bool,
}

impl Scheme {
    /// Of a source in `webhooks.toml`.
    ///
    /// # Errors
    /// It has none, or none that is known here.
    pub fn of(source: &Value) -> Result<Self> {
        let setting = |name: &str| source.get(name).and_then(Value::as_str);
        let needed = |name| setting(name).with_context(|| format!("this scheme needs {name}"));
        let public_url = || needed("public_url").map(str::to_owned);
        Ok(match needed("scheme")? {
            "stripe" => Self::Stripe,
            "github" => Self::Github,
            "standard-webhooks" => Self::StandardWebhooks,
            "slack" => Self::Slack,
            "shopify" => Self::Shopify,
            "twilio" => Self::Twilio { public_url: public_url()? },
            "square" => Self::Square { public_url: public_url()? },
            "zoom" => Self::Zoom,
            "meta" => Self::Meta,
            "discord" => Self::Discord,
            "linear" => Self::Linear,
            "mailgun" => Self::Mailgun,
            "sendgrid" => Self::Sendgrid,
            "paddle" => Self::Paddle,
            "gitlab" => Self::Gitlab,
            "convoy-advanced" => Self::ConvoyAdvanced,
            "hmac" => Self::Hmac(Custom {
                header: needed("header")?.to_lowercase(),
                prefix: setting("prefix").unwrap_or_default().to_owned(),
                base64: setting("encoding") == Some("base64"),
                sha512: setting("algorithm") == Some("sha512"),
            }),
            other => bail!("there is no scheme {other:?}"),
        })
    }
}
