//! A step that comes after others: its input from their receipts, its condition, and its successors.

use std::sync::Arc;

use jiff::Timestamp;
use minijinja::{Value as Jinja, context, value::Serde};
use tracing::Instrument as _;

use super::{Worker, plan::Plan, task::Task, verdict::Verdict};
use crate::{
    command::{
        Command, Input,
        flow::{Flow, Next},
    },
    config::{after::After, step::Step, template::RenderError},
    effects::{StoreError, record::Receipt},
};

/// A command's input, and its later steps with theirs. Fetched once per attempt, before any call, so that after the call only the table's
/// writes can fail.
#[derive(Debug)]
pub(super) struct Given {
    /// The input that ingest has filled in.
    input: Input,
    flow: Flow,
}

impl Worker {
    /// Fetches input that is too large for the command.
    pub(super) async fn given(&self, task: &Task) -> Result<Given, StoreError> {
        let (input, flow) = self.large_inputs.input_and_flow(&task.effect, &task.command).await?;
        Ok(Given { input, flow })
    }

    /// A step's whole input: what ingest has filled in, and what depends on receipts.
    pub(super) fn input(&self, task: &Task, step: &Step, given: &Given) -> Result<Input, RenderError> {
        let mut input = given.input.clone();
        let Some(After { input: late, .. }) = &step.after else { return Ok(input) };
        let context = late_context(task, given);
        for (name, template) in late {
            input.insert(name.clone(), self.config.templates.json(template, &context)?);
        }
        Ok(input)
    }

    /// The verdict on a step whose condition does not hold. None: it is wanted.
    pub(super) fn unwanted(&self, task: &Task, step: &Step, given: &Given) -> Option<Verdict> {
        let when = step.after.as_ref()?.when.as_ref()?;
        match self.config.templates.holds(when, &late_context(task, given)) {
            Ok(true) => None,
            Ok(false) => Some(Verdict::Skip(format!("{} does not hold", when.field()))),
            Err(error) => Some(Verdict::Park(error.to_string())),
        }
    }

    /// Works on the commands that have begun. They are on the agenda as well, in case the destination has no call slot now, or this process dies.
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

impl Given {
    /// The direct successors of an effect that is done.
    pub(super) fn next(
        &self,
        task: &Task,
        receipt: &Receipt,
        now: Timestamp,
    ) -> Result<Vec<Next>, StoreError> {
        let next = self.flow.next(&task.command, &receipt.fields, now);
        next.map_err(|_| StoreError::Malformed("command"))
    }

    /// Everything that comes after an effect that is skipped.
    pub(super) fn skipped(&self, task: &Task, now: Timestamp) -> Result<Vec<Next>, StoreError> {
        self.flow.skipped(&task.command, now).map_err(|_| StoreError::Malformed("command"))
    }
}

/// The template context of a step that comes after others.
fn late_context(task: &Task, given: &Given) -> Jinja {
    context! {
        receipts => Jinja::from(Serde(&task.command.receipts)),
        input => Jinja::from(Serde(&given.input)),
    }
}
