//! A stack with a step for each policy, in which a schedule is run, and its history.

use std::{
    fmt::Write as _,
    sync::{Mutex, PoisonError},
    time::{Duration, Instant},
};

use anyhow::{Context, Result, bail, ensure};
use futures_util::future::try_join_all;
use local::{
    broker::Profile,
    hook::Hook,
    proxy::{Fault, FaultProxy},
    stack::{BrokerControl, Stack},
    third_party::Behaviour,
    webhook::Webhook,
};
use tokio::time::{sleep, sleep_until};
use toml::{Value, toml};

use super::plan::{Manner, On, Plan, RequestFault, Setting, Trouble};
use crate::setup::{
    SLACK, TICKETS, accepted, add_steps, builder, config, dispute_about, issue, retry, table,
};

const CHARGES: &str = "/v1/payment_intents";
const LOOK_UP: &str = "/v1/payment_intents/by-key";
const MODEL: &str = "/v1/chat/completions";
const EMAILS: &str = "/v1/emails";
const LABELS: &str = "/v1/labels";
pub(super) const PATHS: [&str; 7] = [TICKETS, CHARGES, LOOK_UP, SLACK, MODEL, EMAILS, LABELS];
/// The table to which a step writes.
pub(super) const TABLE: &str = "invoices";
/// Steps that come after the shipped ones: a call, an item, and a step that waits for two.
const LATER: &str = r#"
[[steps]]
id = "email_customer"
after = "open_ticket"
business_key = "{{ event.data.object.id }}"
input = { ticket = "{{ receipts.open_ticket.ticket }}" }
call = { url = "https://email.example.com/v1/emails", json = { ticket = "{{ input.ticket }}" }, timeout = "1s" }
in_doubt = { policy = "same-key", window = "24h" }

[[steps]]
id = "count_charge"
after = "charge_card"
business_key = "{{ event.data.invoice_id }}"
input = { invoice = "{{ event.data.invoice_id }}" }
update = { table = "invoices", key = { id = "{{ input.invoice }}" }, add = { count = 1 } }

[[steps]]
id = "label_issue"
after = ["tell_slack", "triage_issue"]
business_key = "{{ event.repository.full_name }}#{{ event.issue.number }}"
input = { completion = "{{ receipts.triage_issue.completion }}" }
call = { url = "https://labels.example.com/v1/labels", json = { completion = "{{ input.completion }}" }, timeout = "1s" }
in_doubt = { policy = "same-key", window = "24h" }
"#;
/// The successor of a step that ingest starts.
const NEXT: [(&str, &str); 3] =
    [("open_ticket", "email_customer"), ("charge_card", "count_charge"), ("triage_issue", "label_issue")];
/// The interval of the consumer's schedule: long where ingest wakes the consumer as well.
const OFTEN: Duration = Duration::from_millis(500);
const SELDOM: Duration = Duration::from_secs(4);
/// How long a provider retries a webhook.
const DELIVERED_WITHIN: Duration = Duration::from_secs(60);

pub(super) struct Scenario {
    pub(super) stack: Stack,
    started: Instant,
    history: Mutex<String>,
}

impl Scenario {
    /// `open_ticket` and `triage_issue` use `same_key`, `charge_card` is looked up, `tell_slack` parks.
    pub(super) async fn build(setting: Setting) -> Result<Self> {
        let mut config = config()?;
        add_steps(&mut config, LATER);
        config.table().insert("journal".into(), setting.has_journal.into());
        let times = table(config.table(), "consumer");
        // A claim may take as long as the table's client waits, 5 s, and its call begins only then.
        times.insert("settle".into(), "6s".into());
        // A run's lease outlasts the longest delay; otherwise no run would last until its first acks are sent.
        times.insert("stream_lease".into(), "3s".into());
        // Calls with late responses are handed over.
        times.insert("slow_call".into(), "250ms".into());
        for step in config.steps() {
            // Retry budgets must not end an effect here.
            step.insert("retry".into(), Value::Table(retry(1000)));
        }
        let look_up = toml! {
            policy = "look-up"
            url = "https://payments.example.com/v1/payment_intents/by-key?key={{ idempotency_key }}"
            timeout = "1s"
            found = "response.status == 200"
            not_found = "response.status == 404"
        };
        config.step("charge_card").insert("in_doubt".into(), look_up.into());
        let mut builder = builder(config)?.brokers(setting.brokers).consumers(2);
        if setting.is_newer {
            builder = builder.broker_profile(Profile::G3);
        }
        if setting.has_wake_ups {
            builder = builder.wake_ups();
        }
        // A schedule that failed is reported with its seed, after the others have run: no panic at a drop.
        let stack = builder.must_settle(false).start().await?;
        stack.third_party.forget_keys(CHARGES);
        stack.third_party.forget_keys(SLACK);
        stack.third_party.always(LOOK_UP, Behaviour::look_up());
        Ok(Self { stack, started: Instant::now(), history: Mutex::default() })
    }

    /// Runs the schedule, and returns the expected effects.
    pub(super) async fn suffer(&self, plan: &Plan) -> Result<Vec<String>> {
        let every = if plan.setting.has_wake_ups { SELDOM } else { OFTEN };
        let schedule = self.stack.schedule(every);
        let began = tokio::time::Instant::now();
        let deliveries = plan.deliveries.iter().map(async |(at, number)| {
            sleep_until(began + *at).await;
            self.deliver(&webhook(*number)?).await
        });
        let troubles = plan.troubles.iter().map(async |(at, trouble)| {
            sleep_until(began + *at).await;
            self.strike(*trouble).await.with_context(|| format!("{trouble:?}"))
        });
        let (effects, _) = tokio::try_join!(try_join_all(deliveries), try_join_all(troubles))?;
        drop(schedule);
        self.heal()?;
        let mut effects = effects.concat();
        let later = effects.iter().filter_map(|id| next(id)).collect::<Vec<_>>();
        effects.extend(later);
        effects.sort();
        effects.dedup();
        Ok(effects)
    }

    /// Delivers until the webhook is accepted.
    async fn deliver(&self, webhook: &Webhook) -> Result<Vec<String>> {
        let started = Instant::now();
        loop {
            let answer = self.stack.deliver(webhook).await?;
            if answer.status < 500 {
                return accepted(&answer);
            }
            ensure!(started.elapsed() < DELIVERED_WITHIN, "a webhook is refused for ever: {}", answer.status);
            sleep(Duration::from_millis(100)).await;
        }
    }

    async fn strike(&self, trouble: Trouble) -> Result<()> {
        self.note(&format!("{trouble:?}"));
        let stack = &self.stack;
        match trouble {
            Trouble::KillConsumer => drop(stack.consumer.killer().kill().await),
            Trouble::KillIngest => drop(stack.ingest.killer().kill().await),
            Trouble::RestartBroker(number) => match self.broker(number)? {
                broker if broker.is_external() => self.note("it is not ours to kill"),
                broker => broker.restart().await?,
            },
            Trouble::Sever(on) => self.proxy(on)?.into_iter().for_each(FaultProxy::cut_all),
            Trouble::Requests(on, fault, times) => {
                if let Some(proxy) = self.proxy(on)? {
                    proxy.times(times, |_| true, self.fault(on, fault));
                }
            }
            Trouble::ThirdParty(path, manner) => {
                stack.third_party.script(PATHS[path], [self.behaviour(PATHS[path], manner)]);
            }
            Trouble::SecondConsumer => {
                let run = stack.run_consumer().await;
                self.note(&format!("the second consumer: {:?}", run.map(|run| run.outcome)));
            }
        }
        Ok(())
    }

    fn fault(&self, on: On, fault: RequestFault) -> Fault {
        match fault {
            RequestFault::CutBefore => Fault::CutBefore,
            RequestFault::CutAfter => Fault::CutAfter,
            RequestFault::AnsweredLate(time) => Fault::HookAfter(Hook::new(move || sleep(time))),
            RequestFault::Late(time) => Fault::Delay(time),
            RequestFault::Kill(moment) => moment.fault(self.stack.consumer.killer().hook()),
            RequestFault::Busy | RequestFault::Status(_) => {
                fault.answer(on).map_or(Fault::Pass, Fault::Answer)
            }
        }
    }

    fn behaviour(&self, path: &str, manner: Manner) -> Behaviour {
        let (apply, kill) = (Behaviour::apply(), self.stack.consumer.killer().hook());
        match manner {
            Manner::Refuse(status) => Behaviour::refuse(status),
            Manner::Pause => Behaviour::too_many("1"),
            // A look-up applies nothing.
            Manner::Cut | Manner::CutOnceApplied if path == LOOK_UP => Behaviour::cut(),
            Manner::Kill if path == LOOK_UP => Behaviour::look_up().with_hook(kill),
            _ if path == LOOK_UP => Behaviour::refuse(500),
            Manner::Lie(status) => Behaviour::refuse(status).after_applying(),
            Manner::Cut => Behaviour::cut(),
            Manner::CutOnceApplied => Behaviour::cut().after_applying(),
            Manner::HangOnceApplied => Behaviour::hang().after_applying(),
            Manner::AnswerLate(time) => apply.with_hook(Hook::new(move || sleep(time))),
            Manner::Kill => apply.with_hook(kill),
        }
    }

    fn broker(&self, number: usize) -> Result<&BrokerControl> {
        self.stack.brokers().nth(number).context("a broker of that number")
    }

    /// None: ingest does not wake the consumer.
    fn proxy(&self, on: On) -> Result<Option<&FaultProxy>> {
        Ok(match on {
            On::Broker(number) => Some(self.broker(number)?.proxy()),
            On::Table => Some(self.stack.table_proxy()?),
            On::Lambda => self.stack.lambda.as_ref().map(|lambda| &lambda.proxy),
        })
    }

    fn heal(&self) -> Result<()> {
        self.note("from here on, nothing goes wrong");
        self.stack.brokers().for_each(|broker| broker.proxy().heal());
        for on in [On::Table, On::Lambda] {
            self.proxy(on)?.into_iter().for_each(FaultProxy::heal);
        }
        Ok(())
    }

    fn note(&self, what: &str) {
        let mut history = self.history.lock().unwrap_or_else(PoisonError::into_inner);
        // Writing to a String does not fail.
        let _ = writeln!(history, "{:>6} ms  {what}", self.started.elapsed().as_millis());
    }

    pub(super) fn history(&self) -> String {
        self.history.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

/// The successor of an effect.
fn next(effect_id: &str) -> Option<String> {
    let mut parts = effect_id.splitn(3, ':');
    let (run, step, key) = (parts.next()?, parts.next()?, parts.next()?);
    let (_, later) = NEXT.iter().find(|(before, _)| *before == step)?;
    Some(format!("{run}:{later}:{key}"))
}

/// The webhook with that number: a dispute, an invoice or an issue, with its own business key.
fn webhook(number: usize) -> Result<Webhook> {
    match number % 3 {
        0 => dispute_about(&format!("dp_{number}")),
        1 => Ok(Webhook::sample("billing.invoice.issued")?
            .edited(|event| event["data"]["invoice_id"] = format!("inv_{number}").into())),
        2 => Ok(issue()?
            .with("x-github-delivery", &format!("delivery-{number}"))
            .edited(|event| event["issue"]["number"] = number.into())),
        _ => bail!("a remainder of 3"),
    }
}
