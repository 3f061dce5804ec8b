//! New records: the attributes that they start with.

use aws_sdk_dynamodb::types::AttributeValue;
use jiff::Timestamp;

use super::{
    attributes::{Item, attr, count, millis, string},
    expression::Condition,
    recent,
    record::Status,
};
use crate::{
    command::{Command, InputHash},
    effect_id::EffectId,
};

/// The attributes that every record starts with.
pub(super) fn new_item(effect: &EffectId, status: Status, input_hash: &InputHash, now: Timestamp) -> Item {
    Item::from([
        (attr::RUN_ID.into(), string(effect.run_id().as_str())),
        (attr::EFFECT_ID.into(), string(effect.to_string())),
        (attr::STATUS.into(), string(status.as_str())),
        (attr::STEP.into(), string(effect.step_id().as_str())),
        (attr::BUSINESS_KEY.into(), string(effect.business_key())),
        (attr::INPUT_HASH.into(), string(input_hash.as_str())),
        (attr::CREATED_AT.into(), millis(now)),
        (attr::UPDATED_AT.into(), millis(now)),
        (attr::DAY.into(), recent::partition(effect, now)),
    ])
}

/// A `pending` record, due at `due`.
pub(super) fn pending_item(effect: &EffectId, command: &Command, due: Timestamp, now: Timestamp) -> Item {
    let mut item = new_item(effect, Status::Pending, &command.input_hash, now);
    item.insert(attr::ATTEMPT.into(), count(0));
    item.insert(attr::COMMAND.into(), string(command.to_json()));
    item.insert(attr::LANE.into(), lane(effect));
    item.insert(attr::DUE_AT.into(), millis(due));
    item
}

/// The lane of an effect: its step's.
pub(super) fn lane(effect: &EffectId) -> AttributeValue {
    string(effect.step_id().as_str())
}

/// Holds only if there is no record.
pub(super) fn absent() -> Condition<'static> {
    Condition {
        expression: "attribute_not_exists(#effect_id)",
        names: &[attr::EFFECT_ID],
        values: Vec::new(),
    }
}
