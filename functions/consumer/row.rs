//! A step that writes an item of a table instead of calling: the item, and the outcomes of its transaction.
//!
//! | class | then |
//! |---|---|
//! | applied | it is recorded by the same transaction |
//! | its condition does not hold, or DynamoDB rejects the item | park |
//! | no such table, no permission, throttled, no response | defer |
//!
//! Without a response the effect is not in doubt either: if the transaction was applied, the effect is done, and the deferral is refused.

use std::time::Instant;

use minijinja::Value as Jinja;
use ring::digest::{SHA256, digest};
use serde_json::{Map, Value};

use super::{
    Worker,
    call::request_context,
    destinations::{Health, Place},
    events::Kind,
    report::Conclusion,
    sequel::Given,
    task::Task,
    verdict::{Ended, PreparedRow, Verdict},
};
use crate::{
    command::Input,
    config::{
        row::{ChangeTemplate, Fields, RowTemplate},
        template::{RenderError, Templates},
    },
    effect_id::EffectId,
    effects::{
        StoreError,
        guard::{Lease, NotWritten, Written},
        record::Receipt,
        row::{Row, RowChange, RowCondition},
    },
    outcome::NotApplied,
};

/// Fills in an item's templates.
///
/// # Errors
/// A template does not fit the input.
pub fn render(
    row: &RowTemplate,
    templates: &Templates,
    input: &Input,
    (effect, attempt): (&EffectId, u32),
) -> Result<Row, RenderError> {
    let context = request_context(input, effect, attempt);
    let render = |fields: &Fields| fields_of(fields, templates, &context);
    let change = match &row.change {
        ChangeTemplate::Put { item } => RowChange::Put(render(item)?),
        ChangeTemplate::Delete { key } => RowChange::Delete(render(key)?),
        ChangeTemplate::Update { key, set, add, remove } => RowChange::Update {
            key: render(key)?,
            set: render(set)?,
            add: render(add)?,
            remove: remove.clone(),
        },
    };
    let condition = row.condition.as_ref().map(|condition| {
        let (expression, names) = (condition.expression.clone(), condition.names.clone());
        Ok(RowCondition { expression, names, values: render(&condition.values)? })
    });
    Ok(Row { table: row.table.clone(), change, condition: condition.transpose()? })
}

fn fields_of(
    fields: &Fields,
    templates: &Templates,
    context: &Jinja,
) -> Result<Map<String, Value>, RenderError> {
    fields.iter().map(|(name, template)| Ok((name.clone(), templates.json(template, context)?))).collect()
}

impl Worker {
    /// Prepares the item of one attempt.
    pub(super) fn prepare_row(
        &self,
        task: &Task,
        (row, input): (&RowTemplate, &Input),
        lease: &Lease,
        place: Place,
    ) -> Verdict {
        let templates = &self.config.templates;
        let rendered = render(row, templates, input, (&task.effect, lease.attempt()));
        let kept = fields_of(&row.receipt, templates, &request_context(input, &task.effect, lease.attempt()));
        match (rendered, kept) {
            (Ok(row), Ok(kept)) => {
                let digest = hex::encode(digest(&SHA256, row.json().to_string().as_bytes()));
                Verdict::Write(Box::new(PreparedRow { row, receipt: Receipt::new(200, digest, kept), place }))
            }
            (Err(error), _) | (_, Err(error)) => Verdict::Park(error.to_string()),
        }
    }

    /// Writes the item and the effect's end, in one transaction.
    pub(super) async fn write(
        &self,
        task: &Task,
        lease: Lease,
        prepared: PreparedRow,
        given: &Given,
    ) -> Result<Ended, StoreError> {
        let PreparedRow { row, receipt, mut place } = prepared;
        let (attempt, now, began) = (lease.attempt(), self.now(), Instant::now());
        self.events.tell(Kind::Started, &task.command, &task.effect, attempt);
        let next = given.next(task, &receipt, now)?;
        let written = self.guard.commit_with_row(lease, &row, &receipt, self.kept(task), &next, now).await?;
        self.called(task, began);
        match written {
            Written::Done { settled, begun } => {
                place.report(Health::Well);
                self.report(task, attempt, &Conclusion::Done { status: receipt.status, at: now });
                self.discard_input(task).await;
                Ok(Ended { settled, begun })
            }
            Written::Not { lease, why: NotWritten::Refused(why) } => {
                place.report(Health::Well);
                Ok(self.park(task, *lease, &format!("{}: {why}", row.table)).await?.into())
            }
            Written::Not { lease, why: NotWritten::Unavailable(why) } => {
                place.report(Health::Failing);
                Ok(self.not_applied(task, *lease, NotApplied::NotSent(why)).await?.into())
            }
        }
    }
}
