//! A step that comes after others: the input that depends on their receipts, whether it is wanted, and what comes after it.

use std::sync::Arc;

use jiff::Timestamp;
use minijinja::{Value as Jinja, context, value::Serde};
use tracing::Instrument as _;

use super::{
    Worker,
    attempt::{Plan, Verdict},
    task::Task,
};
use crate::{
    command::{
        Command, Input,
        flow::{Flow, Next},
    },
    config::{after::After, step::Step, template::RenderError},
    effects::{StoreError, record::Receipt},
};

/// What a command was given: its input, and the steps that come after it with theirs. Fetched once per attempt, before anything
/// is called, so that nothing but the table's writes can fail after the call.
#[derive(Debug)]
pub(super) struct Given {
    /// What ingest has filled in.
    input: Input,
    flow: Flow,
}

impl Worker {
    /// Fetches what is too large to travel with the command.
    pub(super) async fn given(&self, task: &Task) -> Result<Given, StoreError> {
        let (input, flow) = self.effects.input_and_flow(&task.effect, &task.command).await?;
        Ok(Given { input, flow })
    }

    /// All of a step's input: what ingest has filled in, and what depends on receipts.
    pub(super) fn input(&self, task: &Task, step: &Step, given: &Given) -> Result<Input, RenderError> {
        let mut input = given.input.clone();
        let Some(After { input: late, .. }) = &step.after else { return Ok(input) };
        let context = late_context(task, given);
        for (name, template) in late {
            input.insert(name.clone(), self.config.templates.json(template, &context)?);
        }
        Ok(input)
    }

    /// The verdict on a step that is not to be done. None: it is wanted.
    pub(super) fn unwanted(&self, task: &Task, step: &Step, given: &Given) -> Option<Verdict> {
        let when = step.after.as_ref()?.when.as_ref()?;
        match self.config.templates.holds(when, &late_context(task, given)) {
            Ok(true) => None,
            Ok(false) => Some(Verdict::Skip(format!("{} does not hold", when.field()))),
            Err(error) => Some(Verdict::Park(error.to_string())),
        }
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

impl Given {
    /// What comes directly after an effect that is done.
    pub(super) fn next(
        &self,
        task: &Task,
        receipt: &Receipt,
        now: Timestamp,
    ) -> Result<Vec<Next>, StoreError> {
        let next = self.flow.next(&task.command, &receipt.fields, now);
        next.map_err(|_| StoreError::Malformed("command"))
    }

    /// All that comes after an effect that is skipped.
    pub(super) fn skipped(&self, task: &Task, now: Timestamp) -> Result<Vec<Next>, StoreError> {
        self.flow.skipped(&task.command, now).map_err(|_| StoreError::Malformed("command"))
    }
}

/// What is known when a step begins that comes after others.
fn late_context(task: &Task, given: &Given) -> Jinja {
    context! {
        receipts => Jinja::from(Serde(&task.command.receipts)),
        input => Jinja::from(Serde(&given.input)),
    }
}
