//! Fake providers: they deliver webhooks, and their API lists what they have sent. They keep it for a limited time, list it late, refuse a wrong key
//! and too many requests, and report wrong results if configured. For outages, put a [fault proxy](crate::proxy::FaultProxy) in front of them.
//!
//! [`github`] and [`gitlab`] have [`deliveries`], which they repeat on request · [`stripe`], [`paddle`] and [`square`] have [`events`]. Each
//! file cites the provider's pages that it follows.

pub mod deliveries;
pub mod events;
pub mod github;
pub mod gitlab;
pub mod paddle;
pub mod square;
pub mod stripe;

use std::{
    sync::{Mutex, PoisonError},
    time::Duration,
};

use anyhow::Result;
use axum::http::{HeaderMap, header};
use jiff::{SignedDuration, Timestamp};
use serde_json::json;

use crate::{config::API_KEY, http, http::Answer, sign::Source, webhook::Webhook};

/// How long a provider waits for a response.
const PATIENCE: Duration = Duration::from_secs(10);

/// A provider's settings.
#[derive(Debug, Clone, Copy)]
pub struct Manners {
    /// How far its clock is ahead of ours.
    pub ahead: SignedDuration,
    /// How long it keeps what it has sent.
    pub keeps: SignedDuration,
    /// The delay until its lists show something.
    pub shows_after: SignedDuration,
    /// The maximum page size.
    pub per_page: usize,
    /// Whether it reports that everything was delivered, or accepts a redelivery request and does not redeliver.
    pub lies: bool,
    /// For Stripe: the connected account of the events; none for its own.
    pub account: Option<&'static str>,
    /// Until then, by our clock, every request exceeds the rate limit.
    pub limited_until: Timestamp,
}

/// A provider's clock, and the URL and secret of its webhook.
#[derive(Debug)]
struct Sender {
    manners: Mutex<Manners>,
    receiver: Mutex<Option<(String, Source)>>,
    client: reqwest::Client,
}

impl Sender {
    fn new(keeps: SignedDuration) -> Result<Self> {
        let manners = Manners {
            ahead: SignedDuration::ZERO,
            keeps,
            shows_after: SignedDuration::ZERO,
            per_page: 100,
            lies: false,
            account: None,
            limited_until: Timestamp::UNIX_EPOCH,
        };
        let client = http::client_for("http://")?;
        Ok(Self { manners: Mutex::new(manners), receiver: Mutex::default(), client })
    }

    fn manners(&self) -> Manners {
        *self.manners.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn change(&self, change: impl FnOnce(&mut Manners)) {
        change(&mut self.manners.lock().unwrap_or_else(PoisonError::into_inner));
    }

    fn send_to(&self, url: &str, source: Source) {
        *self.receiver.lock().unwrap_or_else(PoisonError::into_inner) = Some((url.to_owned(), source));
    }

    /// The time by its own clock.
    fn now(&self) -> Timestamp {
        Timestamp::now() + self.manners().ahead
    }

    /// For how many more seconds every request exceeds the rate limit.
    fn limited(&self) -> Option<i64> {
        let left = self.manners().limited_until.duration_since(Timestamp::now()).as_millis();
        i64::try_from(left).ok().filter(|left| *left > 0).map(|left| (left + 999) / 1000)
    }

    /// Whether its lists show something of that time.
    fn shows(&self, at: Timestamp) -> bool {
        let Manners { keeps, shows_after, .. } = self.manners();
        (shows_after..keeps).contains(&self.now().duration_since(at))
    }

    /// The webhook's URL.
    fn url(&self) -> String {
        let receiver = self.receiver.lock().unwrap_or_else(PoisonError::into_inner);
        receiver.as_ref().map(|(url, _)| url.clone()).unwrap_or_default()
    }

    /// Delivers a webhook, and returns the status and body of the response; none if there was none.
    async fn deliver(&self, webhook: Webhook) -> Option<(u16, String)> {
        let (url, source) = self.receiver.lock().unwrap_or_else(PoisonError::into_inner).clone()?;
        // Signed with our clock: clock differences in signatures are tested elsewhere.
        let webhook = webhook.signed(&source, Timestamp::now()).ok()?;
        let mut request = self.client.post(format!("{url}/webhooks/{}", webhook.source)).body(webhook.body);
        for (name, value) in &webhook.headers {
            request = request.header(name, value);
        }
        let answer = request.timeout(PATIENCE).send().await.ok()?;
        Some((answer.status().as_u16(), answer.text().await.ok()?))
    }
}

/// The response to a request without the right key.
fn refused(headers: &HeaderMap) -> Option<Answer> {
    let key = headers.get(header::AUTHORIZATION).and_then(|value| value.to_str().ok());
    let is_right = key == Some(&format!("Bearer {API_KEY}"));
    (!is_right).then(|| Answer::of_json(401, &json!({ "message": "Bad credentials" })))
}

fn missing() -> Answer {
    Answer::of_json(404, &json!({ "message": "Not Found" }))
}
