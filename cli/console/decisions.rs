//! The bulk decisions that this console has begun.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use driftq_webhooks::effects::{
    bulk::{Bulk, Filter, Policy, Tally},
    guard::decide::{Decision, Said},
};
use jiff::Timestamp;
use maud::{Markup, html};
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use super::{App, show::to};

/// A bulk decision that the operator has confirmed.
pub(super) struct Order {
    pub(super) about: String,
    pub(super) name: &'static str,
    pub(super) filter: Filter,
    pub(super) decision: Decision,
    pub(super) note: String,
}

/// The progress of a decision.
#[derive(Debug, Clone)]
pub(super) enum Stage {
    Running,
    Ended,
    Stopped,
    Failed(String),
}

/// A decision for display.
#[derive(Debug, Clone)]
pub(super) struct Standing {
    pub(super) about: String,
    pub(super) name: &'static str,
    pub(super) note: String,
    pub(super) stage: Stage,
    pub(super) tally: Tally,
}

/// The decisions since the start of the console.
#[derive(Debug, Default)]
pub(super) struct Decisions(Arc<Mutex<BTreeMap<Uuid, (Standing, CancellationToken)>>>);

impl Decisions {
    fn lock(&self) -> MutexGuard<'_, BTreeMap<Uuid, (Standing, CancellationToken)>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Begins a decision. It continues without the browser, and ends with the console.
    pub(super) fn begin(&self, app: &Arc<App>, order: Order) -> Uuid {
        let (id, stop) = (Uuid::now_v7(), CancellationToken::new());
        let Order { about, name, note, .. } = &order;
        let (stage, tally) = (Stage::Running, Tally::default());
        let standing = Standing { about: about.clone(), name, note: note.clone(), stage, tally };
        self.lock().insert(id, (standing, stop.clone()));
        tokio::spawn(carry_out(Arc::clone(app), id, order, stop));
        id
    }

    /// Stops a decision; what has been decided stays decided.
    pub(super) fn stop(&self, id: Uuid) {
        if let Some((_, stop)) = self.lock().get(&id) {
            stop.cancel();
        }
    }

    /// The progress of one decision.
    pub(super) fn standing(&self, id: Uuid) -> Option<Standing> {
        self.lock().get(&id).map(|(standing, _)| standing.clone())
    }

    /// The ids of all decisions, the newest first.
    pub(super) fn links(&self) -> Markup {
        let all = self.lock();
        html! {
            @for (id, (standing, _)) in all.iter().rev().take(5) {
                p { a href=(to("decision", &[("id", &id.to_string())])) { (standing.name) " — " (standing.about) } }
            }
        }
    }

    fn set(&self, id: Uuid, change: impl FnOnce(&mut Standing)) {
        if let Some((standing, _)) = self.lock().get_mut(&id) {
            change(standing);
        }
    }
}

async fn carry_out(app: Arc<App>, id: Uuid, order: Order, stop: CancellationToken) {
    let by = format!("{} in the console", app.about.who);
    let said = Said { decision: order.decision, by: &by, note: &order.note };
    let bulk = Bulk { id, filter: &order.filter, said };
    let policy = |step: &str| Policy::of(&app.config, step);
    let progress = |tally: &Tally| app.decisions.set(id, |standing| standing.tally = tally.clone());
    let deciding = app.decide.decide_all(bulk, policy, u64::MAX, Timestamp::now(), progress);
    let stage = match stop.run_until_cancelled(deciding).await {
        None => Stage::Stopped,
        Some(Ok(tally)) => {
            app.decisions.set(id, |standing| standing.tally = tally);
            Stage::Ended
        }
        Some(Err(error)) => Stage::Failed(error.to_string()),
    };
    app.decisions.set(id, |standing| standing.stage = stage);
}
