//! The registry of providers: one file per provider, and one line for each in [`ALL`].

mod convoy_advanced;
mod discord;
mod github;
mod gitlab;
mod hmac;
mod linear;
mod mailgun;
mod meta;
mod paddle;
mod sendgrid;
mod shopify;
mod slack;
mod square;
mod standard_webhooks;
mod stripe;
mod twilio;
mod zoom;

use super::provider::Provider;

/// In the order in which documentation and errors list them.
pub(super) static ALL: [&Provider; 17] = [
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
    &convoy_advanced::PROVIDER,
    &hmac::PROVIDER,
];
