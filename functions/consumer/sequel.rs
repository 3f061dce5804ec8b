//! A step that comes after others: its input from their receipts, its condition, and its own successors.

use jiff::Timestamp;
use minijinja::{Value as Jinja, context, value::Serde};

use super::{Worker, task::Task, verdict::Verdict};
use crate::{
    command::{
        Input,
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
