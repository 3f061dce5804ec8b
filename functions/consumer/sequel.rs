//! A step that comes after others: the input that depends on their receipts, whether it is wanted, and what comes after it.

use std::sync::Arc;

use jiff::Timestamp;
use minijinja::{Value as Jinja, context, value::Serde};
use tracing::Instrument as _;

use super::{
    Worker,
    attempt::{Plan, Verdict},
    outcome::NotApplied,
    task::Task,
};
use crate::{
    command::{Command, Input, flow::Next},
    config::{after::After, step::Step, template::RenderError},
    effects::{StoreError, record::Receipt},
};

/// Why a step has no input. Nothing was sent.
#[derive(Debug, thiserror::Error)]
pub(super) enum NoInput {
    /// It was too large to travel, and can't be fetched.
    #[error("its input could not be fetched: {0}")]
    Away(#[from] StoreError),
    /// The receipts of the steps before it are not what its templates expect.
    #[error(transparent)]
    Unfit(#[from] RenderError),
}

impl NoInput {
    /// What that means for an attempt.
    pub(super) fn verdict(&self) -> Verdict {
        match self {
            Self::Away(_) => Verdict::NotApplied(NotApplied::NotSent(self.to_string())),
            Self::Unfit(_) => Verdict::Park(self.to_string()),
        }
    }
}

impl Worker {
    /// All of a step's input: what ingest has filled in, and what depends on receipts.
    pub(super) async fn input(&self, task: &Task, step: &Step) -> Result<Input, NoInput> {
        let (mut input, _) = self.effects.input_and_flow(&task.effect, &task.command).await?;
        let Some(After { input: late, .. }) = &step.after else { return Ok(input) };
        let context = late_context(task, &input);
        for (name, template) in late {
            input.insert(name.clone(), self.config.templates.json(template, &context)?);
        }
        Ok(input)
    }

    /// What becomes of a step that is not to be done. None: it is wanted.
    pub(super) async fn unwanted(&self, task: &Task, step: &Step) -> Option<Verdict> {
        let when = step.after.as_ref()?.when.as_ref()?;
        let input = match self.effects.input_and_flow(&task.effect, &task.command).await {
            Ok((input, _)) => input,
            Err(error) => return Some(NoInput::Away(error).verdict()),
        };
        match self.config.templates.holds(when, &late_context(task, &input)) {
            Ok(true) => None,
            Ok(false) => Some(Verdict::Skip(format!("{} does not hold", when.field()))),
            Err(error) => Some(NoInput::Unfit(error).verdict()),
        }
    }

    /// What comes directly after an effect that is done.
    pub(super) async fn next(
        &self,
        task: &Task,
        receipt: &Receipt,
        now: Timestamp,
    ) -> Result<Vec<Next>, StoreError> {
        if task.command.flow.is_empty() {
            return Ok(Vec::new());
        }
        let (_, flow) = self.effects.input_and_flow(&task.effect, &task.command).await?;
        flow.next(&task.command, &receipt.fields, now).map_err(|_| StoreError::Malformed("command"))
    }

    /// Goes on with what has begun. It is on the agenda as well, which brings it if its destination has no place for it now, or
    /// if this process dies.
    pub(super) fn go_on(self: &Arc<Self>, begun: Vec<Command>) {
        for command in begun {
            let Ok(task) = Task::new(command, &self.spans) else { continue };
            let span = task.span();
            self.background.spawn(Arc::clone(self).begin_next(task).instrument(span));
        }
    }

    async fn begin_next(self: Arc<Self>, task: Task) {
        let Some(step) = task.step(&self.config) else { return };
        let lease = step.longest() + self.config.consumer.settle;
        if !self.deadline.leaves(lease) {
            return;
        }
        if let Ok(place) = self.destinations.of(step).place_for_message().await {
            self.due(task, Plan::Call(place), lease).await;
        }
    }
}

/// What is known when a step begins that comes after others.
fn late_context(task: &Task, input: &Input) -> Jinja {
    context! {
        receipts => Jinja::from(Serde(&task.command.receipts)),
        input => Jinja::from(Serde(input)),
    }
}
