//! Input that is too large for the broker: stored in the table, compressed and in chunks, and fetched when the step needs it.

use std::io::{Read, Write as _};

use aws_sdk_dynamodb::{primitives::Blob, types::AttributeValue};
use flate2::{Compression, read::GzDecoder, write::GzEncoder};
use jiff::Timestamp;

use super::{
    attributes::{attr, string},
    error::StoreError,
    expression::{Change, Condition},
    store::Store,
};
use crate::{
    command::{ClaimCheck, Command, Input, InputHash, Payload, flow::Flow},
    effect_id::EffectId,
};

/// A DynamoDB item holds 400 KB with its names and keys.
const CHUNK: usize = 350 * 1024;
const DATA: &str = "data";
/// The field for later steps' inputs. No template can name such a field.
const LATER: &str = ":later";
const OPERATION: &str = "PutItem";

/// Stores and fetches large input.
#[derive(Debug, Clone)]
pub struct LargeInputs {
    pub(super) store: Store,
}

impl LargeInputs {
    /// Stores input. Storing the same input of an effect again changes nothing.
    ///
    /// # Errors
    /// DynamoDB could not be asked; a part may be stored.
    pub async fn check_in(
        &self,
        effect: &EffectId,
        hash: &InputHash,
        input: &Input,
    ) -> Result<ClaimCheck, StoreError> {
        let json = serde_json::to_vec(input).map_err(|_| StoreError::Malformed(DATA))?;
        let packed = pack(&json).map_err(|_| StoreError::Malformed(DATA))?;
        let mut chunks = 0;
        for chunk in packed.chunks(CHUNK) {
            let put = self.store.client.put_item().table_name(&*self.store.table);
            let put = put
                .item(attr::RUN_ID, string(partition(effect)))
                .item(attr::EFFECT_ID, string(sort(hash, chunks)))
                .item(DATA, AttributeValue::B(Blob::new(chunk)));
            Box::pin(put.send()).await.map_err(|error| StoreError::unavailable(OPERATION, &error))?;
            chunks += 1;
        }
        Ok(ClaimCheck { chunks, bytes: json.len() as u64, of: None })
    }

    /// Stores a command's input, and with it the inputs of later steps.
    ///
    /// # Errors
    /// As [`LargeInputs::check_in`].
    pub async fn leave_input(&self, effect: &EffectId, command: Command) -> Result<Command, StoreError> {
        let Payload::Input(input) = &command.payload else { return Ok(command) };
        if command.flow.is_empty() {
            let check = self.check_in(effect, &command.input_hash, input).await?;
            return Ok(Command { payload: Payload::ClaimCheck(check), ..command });
        }
        let (flow, later) = command.flow.without_inputs();
        let mut all = input.clone();
        all.insert(LATER.to_owned(), serde_json::to_value(later).map_err(|_| StoreError::Malformed(DATA))?);
        let of = InputHash::of(&all);
        let check = ClaimCheck { of: Some(of.clone()), ..self.check_in(effect, &of, &all).await? };
        Ok(Command { payload: Payload::ClaimCheck(check), flow, ..command })
    }

    /// A command's input, and the later steps with theirs.
    ///
    /// # Errors
    /// As [`LargeInputs::check_out`].
    pub async fn input_and_flow(
        &self,
        effect: &EffectId,
        command: &Command,
    ) -> Result<(Input, Flow), StoreError> {
        let flow = command.flow.clone();
        let check = match &command.payload {
            Payload::Input(input) => return Ok((input.clone(), flow)),
            Payload::ClaimCheck(check) => check,
        };
        let mut input = self.check_out(effect, &command.input_hash, check).await?;
        if check.of.is_none() {
            return Ok((input, flow));
        }
        let later = input.remove(LATER).and_then(|later| serde_json::from_value(later).ok());
        let later = later.ok_or(StoreError::Malformed(DATA))?;
        Ok((input, flow.with_inputs(later)))
    }

    /// Fetches a command's large input.
    ///
    /// # Errors
    /// DynamoDB could not be asked; [`StoreError::Malformed`] if a part is missing.
    pub async fn check_out(
        &self,
        effect: &EffectId,
        hash: &InputHash,
        check: &ClaimCheck,
    ) -> Result<Input, StoreError> {
        let mut packed = Vec::new();
        for chunk in 0..check.chunks {
            let get = self.store.client.get_item().table_name(&*self.store.table);
            let get = get
                .key(attr::RUN_ID, string(partition(effect)))
                .key(attr::EFFECT_ID, string(sort(check.of.as_ref().unwrap_or(hash), chunk)))
                .consistent_read(true);
            let output =
                Box::pin(get.send()).await.map_err(|error| StoreError::unavailable("GetItem", &error))?;
            let item = output.item.unwrap_or_default();
            let data = item.get(DATA).and_then(|data| data.as_b().ok()).ok_or(StoreError::Malformed(DATA))?;
            packed.extend_from_slice(data.as_ref());
        }
        let json = unpack(&packed, check.bytes).map_err(|_| StoreError::Malformed(DATA))?;
        serde_json::from_slice(&json).map_err(|_| StoreError::Malformed(DATA))
    }

    /// Sets the expiry of a finished effect's large input, if there is any.
    ///
    /// # Errors
    /// DynamoDB could not be asked. Input that is left costs storage and nothing else.
    pub(super) async fn expire(&self, command: &Command, now: Timestamp) -> Result<(), StoreError> {
        let Payload::ClaimCheck(check) = &command.payload else { return Ok(()) };
        let effect = command.effect_id().map_err(|_| StoreError::Malformed(attr::COMMAND))?;
        for chunk in 0..check.chunks {
            let key = (partition(&effect), sort(check.of.as_ref().unwrap_or(&command.input_hash), chunk));
            let change = Change::default().set(attr::EXPIRES_AT, self.store.expiry(now));
            // Refused: the item is already deleted, and an update must not recreate it empty.
            self.store.update((&key.0, &key.1), change, present()).await?;
        }
        Ok(())
    }

    /// Deletes input once its effect is done.
    ///
    /// # Errors
    /// DynamoDB could not be asked; what is left costs storage and nothing else.
    pub async fn discard(
        &self,
        effect: &EffectId,
        hash: &InputHash,
        check: &ClaimCheck,
    ) -> Result<(), StoreError> {
        for chunk in 0..check.chunks {
            let delete = self.store.client.delete_item().table_name(&*self.store.table);
            let delete = delete
                .key(attr::RUN_ID, string(partition(effect)))
                .key(attr::EFFECT_ID, string(sort(check.of.as_ref().unwrap_or(hash), chunk)));
            Box::pin(delete.send()).await.map_err(|error| StoreError::unavailable("DeleteItem", &error))?;
        }
        Ok(())
    }
}

/// A partition key of its own, so that the Query of a run does not read it.
fn partition(effect: &EffectId) -> String {
    format!(":claimcheck:{effect}")
}

fn sort(hash: &InputHash, chunk: u32) -> String {
    format!("{}:{chunk:04}", hash.as_str())
}

/// Holds only if the item exists.
fn present() -> Condition<'static> {
    let expression = "attribute_exists(#effect_id)";
    Condition { expression, names: &[attr::EFFECT_ID], values: Vec::new() }
}

fn pack(json: &[u8]) -> std::io::Result<Vec<u8>> {
    let mut packer = GzEncoder::new(Vec::new(), Compression::default());
    packer.write_all(json)?;
    packer.finish()
}

/// Unpacks at most as many bytes as were packed.
fn unpack(packed: &[u8], bytes: u64) -> std::io::Result<Vec<u8>> {
    let mut json = Vec::new();
    GzDecoder::new(packed).take(bytes).read_to_end(&mut json)?;
    Ok(json)
}
