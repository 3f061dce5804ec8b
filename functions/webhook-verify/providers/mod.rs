//! The registry of providers: one file per provider, and two lines for each here, its `mod` and its place in [`ALL`].

mod adyen;
mod calendly;
mod convoy_advanced;
mod discord;
mod docusign;
mod github;
mod gitlab;
mod hmac;
mod hubspot;
mod intercom;
mod linear;
mod mailgun;
mod meta;
mod okta;
mod paddle;
mod sendgrid;
mod sentry;
mod shopify;
mod slack;
mod sns;
mod square;
mod standard_webhooks;
mod stripe;
mod twilio;
mod typeform;
mod vercel;
mod xero;
mod zendesk;
mod zoom;

use super::provider::Provider;

/// In the order in which documentation and errors list them. A new provider goes before `convoy_advanced`: the formats that any sender
/// may use are last.
pub(super) static ALL: &[&Provider] = &[
    &stripe::PROVIDER,
    &github::PROVIDER,
    &standard_webhooks::PROVIDER,
    &slack::PROVIDER,
    &shopify::PROVIDER,
    &twilio::PROVIDER,
    &square::PROVIDER,
    &zoom::PROVIDER,
    &meta::PROVIDER,
    &discord::PROVIDER,
    &linear::PROVIDER,
    &mailgun::PROVIDER,
    &sendgrid::PROVIDER,
    &paddle::PROVIDER,
    &gitlab::PROVIDER,
    &sns::PROVIDER,
    &adyen::PROVIDER,
    &intercom::PROVIDER,
    &hubspot::PROVIDER,
    &docusign::PROVIDER,
    &zendesk::PROVIDER,
    &okta::PROVIDER,
    &xero::PROVIDER,
    &typeform::PROVIDER,
    &calendly::PROVIDER,
    &sentry::PROVIDER,
    &vercel::PROVIDER,
    &convoy_advanced::PROVIDER,
    &hmac::PROVIDER,
];
