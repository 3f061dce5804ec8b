//! The guard against a real DynamoDB API, one state at a time. The fault proxy between them counts requests, and loses responses.

use std::{collections::BTreeMap, net::SocketAddr, time::Duration};

use aws_sdk_dynamodb::{
    Client,
    config::{Credentials, Region, retry::RetryConfig},
};
use driftq_webhooks::{
    clients,
    command::{Command, Input, InputHash, Payload},
    effect_id::{EffectId, RunId, StepId},
    effects::{
        self, How, StoreError,
        agenda::Agenda,
        claim_check::LargeInputs,
        decided::Unpublished,
        guard::{
            Claim, ClaimRequest, Deferral, Guard, Lease, Mismatch,
            decide::{Decided, Decision, Decisions, Said, Seen},
        },
        listing::Listing,
        record::{Receipt, Status},
        stream_lease::{Released, StreamLease, StreamLeases, Taken},
    },
};
use jiff::Timestamp;
use local::{
    dynamodb::DynamoDb,
    http::Answer,
    proxy::{Fault, FaultProxy},
};
use serde_json::json;
use uuid::Uuid;

const LEASE: Duration = Duration::from_secs(10);
const KEPT: Duration = Duration::from_secs(31 * 24 * 3600);

/// A table behind a fault proxy.
pub(crate) struct Table {
    pub(crate) roles: effects::Table,
    pub(crate) guard: Guard,
    pub(crate) agenda: Agenda,
    pub(crate) listing: Listing,
    decisions: Decisions,
    unpublished: Unpublished,
    large_inputs: LargeInputs,
    stream_leases: StreamLeases,
    proxy: FaultProxy,
    pub(crate) database: DynamoDb,
}

impl Table {
    pub(crate) async fn start() -> anyhow::Result<Self> {
        let database = DynamoDb::start(SocketAddr::from(([127, 0, 0, 1], 0)), None, "effects").await?;
        let proxy = FaultProxy::start(database.url()).await?;
        let roles = table_at(&proxy.url(), "effects").await?;
        Ok(Self {
            guard: roles.guard(),
            agenda: roles.agenda(),
            listing: roles.listing(),
            decisions: roles.decisions(),
            unpublished: roles.unpublished(),
            large_inputs: roles.large_inputs(),
            stream_leases: roles.stream_leases(),
            roles,
            proxy,
            database,
        })
    }

    /// The operations seen at the fault proxy since the last call.
    fn requests(&self) -> Vec<String> {
        let seen = self.proxy.seen().into_iter().map(|seen| seen.operation).collect();
        self.proxy.forget();
        seen
    }
}

/// The table of that name, at an endpoint of this machine.
pub(crate) async fn table_at(endpoint: &str, table: &str) -> anyhow::Result<effects::Table> {
    let aws = clients::aws(clients::http(&|_| None)?, |_| Some("local".to_owned()))?;
    let config = aws_sdk_dynamodb::config::Builder::from(&aws)
        .endpoint_url(endpoint)
        .region(Region::new("local"))
        .credentials_provider(Credentials::new("local", "local", None, None, "tests"))
        .retry_config(RetryConfig::standard().with_initial_backoff(Duration::from_millis(5)))
        .build();
    Ok(effects::Table::open(Client::from_conf(config), table.to_owned(), KEPT))
}

/// A command and how it is claimed.
pub(crate) struct Case {
    pub(crate) effect: EffectId,
    pub(crate) command: Command,
}

impl Case {
    pub(crate) fn new(input: serde_json::Value) -> Self {
        let run_id = RunId::escape("stripe.evt_1").unwrap();
        let step = StepId::try_from("open_ticket".to_owned()).unwrap();
        let input = Input::from([("it".to_owned(), input)]);
        let command = Command {
            run_id,
            step,
            business_key: "dp:1".into(),
            input_hash: InputHash::of(&input),
            payload: Payload::Input(input),
            attempt: 0,
            of: 1,
            received_at: now(),
            source: None,
            traceparent: None,
            flow: Default::default(),
            receipts: Default::default(),
            needs: Vec::new(),
            newer: Default::default(),
        };
        Self { effect: command.effect_id().unwrap(), command }
    }

    pub(crate) fn ask(&self) -> ClaimRequest<'_> {
        let Self { effect, command } = self;
        ClaimRequest {
            effect,
            command,
            attempt_id: Uuid::new_v4(),
            lease: LEASE,
            is_recorded: false,
            on_agenda: false,
        }
    }

    pub(crate) fn retry(&self, attempt: u32) -> Self {
        Self { effect: self.effect.clone(), command: Command { attempt, ..self.command.clone() } }
    }
}

pub(crate) fn now() -> Timestamp {
    Timestamp::from_second(1_800_000_000).unwrap()
}

pub(crate) fn later(seconds: u64) -> Timestamp {
    now() + Duration::from_secs(seconds)
}

fn receipt() -> Receipt {
    Receipt::new(201, "d".into(), serde_json::Map::from_iter([("id".into(), json!("tp_1"))]))
}

pub(crate) async fn win(table: &Table, case: &Case, at: Timestamp) -> anyhow::Result<Lease> {
    match table.guard.claim(&case.ask(), at).await? {
        Claim::Won(lease) => Ok(lease),
        other => anyhow::bail!("not won: {other:?}"),
    }
}

#[tokio::test]
async fn a_fresh_effect_costs_two_requests_and_a_duplicate_one() -> anyhow::Result<()> {
    let (table, case) = (Table::start().await?, Case::new(json!(1)));
    let lease = win(&table, &case, now()).await?;
    assert_eq!(lease.attempt(), 1);
    assert_eq!(table.guard.commit(lease, &receipt(), later(1)).await?.how(), How::Done);
    assert_eq!(table.requests(), ["PutItem", "UpdateItem"]);

    let Claim::Recorded(recorded) = table.guard.claim(&case.ask(), later(2)).await? else {
        panic!("claimed")
    };
    assert_eq!(recorded.status, Status::Done);
    assert_eq!(recorded.settled().how(), How::Duplicate);
    assert_eq!(table.requests(), ["PutItem"]);
    let records = table.listing.run("stripe.evt_1").await?;
    assert_eq!((records[0].status, records[0].receipt.clone()), (Status::Done, Some(receipt())));
    Ok(())
}

#[tokio::test]
async fn of_many_claims_at_once_exactly_one_wins() -> anyhow::Result<()> {
    let (table, case) = (Table::start().await?, Case::new(json!(1)));
    let claims = (0..64).map(|_| async { table.guard.claim(&case.ask(), now()).await });
    let mut won = 0;
    for claim in futures_util::future::join_all(claims).await {
        match claim? {
            Claim::Won(_) => won += 1,
            Claim::Held(held) => assert_eq!(held.until, now() + LEASE),
            other => panic!("{other:?}"),
        }
    }
    assert_eq!(won, 1);
    Ok(())
}

#[tokio::test]
async fn a_claim_whose_answer_is_lost_is_recognised_as_ours() -> anyhow::Result<()> {
    let (table, case) = (Table::start().await?, Case::new(json!(1)));
    table.proxy.once(|seen| seen.is("PutItem"), Fault::CutAfter);
    assert_eq!(win(&table, &case, now()).await?.attempt(), 1);
    assert_eq!(table.requests(), ["PutItem", "PutItem"]);
    Ok(())
}

#[tokio::test]
async fn a_commit_whose_answer_is_lost_is_recognised_as_ours() -> anyhow::Result<()> {
    let (table, case) = (Table::start().await?, Case::new(json!(1)));
    let lease = win(&table, &case, now()).await?;
    table.proxy.once(|seen| seen.is("UpdateItem"), Fault::CutAfter);
    assert_eq!(table.guard.commit(lease, &receipt(), now()).await?.how(), How::Done);
    Ok(())
}

#[tokio::test]
async fn an_expired_lease_is_in_doubt_and_its_owner_is_fenced_off() -> anyhow::Result<()> {
    let (table, case) = (Table::start().await?, Case::new(json!(1)));
    let stale = win(&table, &case, now()).await?;
    let Claim::InDoubt(doubt) = table.guard.claim(&case.ask(), later(11)).await? else {
        panic!("not in doubt")
    };
    assert_eq!((doubt.attempt(), doubt.first_attempt_at()), (2, now()));

    let fenced = table.guard.commit(stale, &receipt(), later(12)).await;
    assert!(matches!(fenced, Err(StoreError::Fenced)), "{fenced:?}");
    let settled = table.guard.park(doubt.unresolved(), &case.command, "in doubt", later(12)).await?;
    assert_eq!(settled.how(), How::Parked);
    let parked = table.listing.parked(10).await?;
    assert_eq!(parked[0].last_error.as_deref(), Some("in doubt"));
    assert!(parked[0].doubt.as_deref().unwrap().contains("attempt 1"));
    Ok(())
}

#[tokio::test]
async fn of_many_that_find_an_expired_lease_exactly_one_takes_it_over() -> anyhow::Result<()> {
    let (table, case) = (Table::start().await?, Case::new(json!(1)));
    // Its process has died without an outcome.
    drop(win(&table, &case, now()).await?);
    let claims = (0..16).map(|_| async { table.guard.claim(&case.ask(), later(11)).await });
    let mut taken = 0;
    for claim in futures_util::future::join_all(claims).await {
        match claim? {
            Claim::InDoubt(_) => taken += 1,
            Claim::Held(_) => {}
            other => panic!("{other:?}"),
        }
    }
    assert_eq!(taken, 1);
    Ok(())
}

#[tokio::test]
async fn a_deferral_counts_the_attempt_and_outdates_older_copies_of_the_command() -> anyhow::Result<()> {
    let (table, case) = (Table::start().await?, Case::new(json!(1)));
    refuse_for_now(&table, &case, later(30)).await?;

    let Claim::Recorded(older) = table.guard.claim(&case.ask(), later(2)).await? else { panic!("claimed") };
    assert_eq!(older.status, Status::Waiting);

    assert!(due(&table, later(29)).await?.is_empty());
    assert_eq!(due(&table, later(30)).await?[0].attempt, 1);
    let second = win(&table, &case.retry(1), later(30)).await?;
    assert_eq!(second.attempt(), 2);
    assert!(due(&table, later(39)).await?.is_empty(), "not due before the new lease ends");
    Ok(())
}

#[tokio::test]
async fn a_doubt_outlives_the_deferral() -> anyhow::Result<()> {
    let (table, case) = (Table::start().await?, Case::new(json!(1)));
    let lease = win(&table, &case, now()).await?;
    let deferral =
        Deferral { command: &case.command, due: later(5), why: "no answer in time", in_doubt: true };
    assert_eq!(table.guard.defer(lease, deferral, later(1)).await?.how(), How::Deferred);
    let Claim::InDoubt(doubt) = table.guard.claim(&case.retry(1).ask(), later(5)).await? else {
        panic!("forgotten")
    };
    assert_eq!((doubt.why(), doubt.first_attempt_at()), ("no answer in time", now()));
    Ok(())
}

#[tokio::test]
async fn the_same_effect_with_other_input_is_parked_beside_it_with_both_digests() -> anyhow::Result<()> {
    let (table, case, other) = (Table::start().await?, Case::new(json!(1)), Case::new(json!(2)));
    refuse_for_now(&table, &case, later(30)).await?;
    let Claim::Mismatch(mismatch) = table.guard.claim(&other.ask(), later(1)).await? else { panic!("taken") };
    assert_eq!(mismatch, Mismatch::OtherInput { recorded: case.command.input_hash.clone() });
    let settled = table.guard.park_mismatch(&other.effect, &other.command, &mismatch, later(1)).await?;
    assert_eq!(settled.how(), How::Parked);

    let statuses: Vec<_> =
        table.listing.run("stripe.evt_1").await?.iter().map(|record| record.status).collect();
    assert_eq!(statuses, [Status::Parked, Status::Waiting], "the effect itself stays as it is");
    let why = table.listing.parked(10).await?[0].last_error.clone().unwrap();
    assert!(
        why.contains(case.command.input_hash.as_str()) && why.contains(other.command.input_hash.as_str()),
        "{why}"
    );
    Ok(())
}

#[tokio::test]
async fn a_done_effect_answers_for_other_input_as_well() -> anyhow::Result<()> {
    let (table, case, other) = (Table::start().await?, Case::new(json!(1)), Case::new(json!(2)));
    let lease = win(&table, &case, now()).await?;
    assert_eq!(table.guard.commit(lease, &receipt(), now()).await?.how(), How::Done);
    let Claim::Recorded(recorded) = table.guard.claim(&other.ask(), later(1)).await? else {
        panic!("not recorded")
    };
    assert_eq!((recorded.status, recorded.settled().how()), (Status::Done, How::Duplicate));
    let kept = table.agenda.enqueue(&other.effect, &other.command, later(2), later(2)).await?;
    assert_eq!((kept.how(), table.listing.run("stripe.evt_1").await?.len()), (How::Duplicate, 1));
    Ok(())
}

#[tokio::test]
async fn a_retry_without_a_record_is_never_taken_for_fresh() -> anyhow::Result<()> {
    let (table, case) = (Table::start().await?, Case::new(json!(1)));
    let claim = table.guard.claim(&case.retry(3).ask(), now()).await?;
    assert!(matches!(claim, Claim::Mismatch(Mismatch::NoRecord)), "{claim:?}");
    Ok(())
}

/// Within an hour of the retention period, a record may have expired.
#[tokio::test]
async fn a_first_attempt_that_may_have_outlived_its_record_needs_one() -> anyhow::Result<()> {
    let (table, case) = (Table::start().await?, Case::new(json!(1)));
    let old = now() + KEPT - Duration::from_secs(3599);
    let claim = table.guard.claim(&case.ask(), old).await?;
    assert!(matches!(claim, Claim::Mismatch(Mismatch::Outlived)), "{claim:?}");
    assert_eq!(table.requests(), ["UpdateItem"], "nothing is looked up first");
    assert!(table.listing.run("stripe.evt_1").await?.is_empty());
    // Ingest stored it because the broker refused it, and the consumer runs only now.
    drop(table.agenda.enqueue(&case.effect, &case.command, now(), now()).await?);
    assert_eq!(win(&table, &case, old).await?.attempt(), 1);
    Ok(())
}

#[tokio::test]
async fn a_held_effect_comes_due_when_the_other_attempts_lease_ends_unless_it_reports_back()
-> anyhow::Result<()> {
    let (table, case) = (Table::start().await?, Case::new(json!(1)));
    let lease = win(&table, &case, now()).await?;
    let Claim::Held(held) = table.guard.claim(&case.ask(), later(1)).await? else { panic!("not held") };
    assert_eq!(table.guard.watch(held, &case.command, later(1)).await?.how(), How::Held);
    assert!(due(&table, later(9)).await?.is_empty());
    assert_eq!(due(&table, later(10)).await?.len(), 1);

    assert_eq!(table.guard.commit(lease, &receipt(), later(2)).await?.how(), How::Done);
    assert!(due(&table, later(10)).await?.is_empty(), "done needs no attention");
    Ok(())
}

/// Two messages of one effect, of which one was acked because the record is on the agenda: an attempt that takes the effect over and then dies leaves
/// it there.
#[tokio::test]
async fn a_held_effect_that_is_taken_over_stays_on_the_agenda() -> anyhow::Result<()> {
    let (table, case) = (Table::start().await?, Case::new(json!(1)));
    assert_eq!(win(&table, &case, now()).await?.attempt(), 1);
    let Claim::Held(held) = table.guard.claim(&case.ask(), later(1)).await? else { panic!("not held") };
    assert_eq!(table.guard.watch(held, &case.command, later(1)).await?.how(), How::Held);
    let Claim::InDoubt(_dies) = table.guard.claim(&case.ask(), later(11)).await? else {
        panic!("not in doubt")
    };
    assert_eq!(due(&table, later(21)).await?, std::slice::from_ref(&case.command));
    Ok(())
}

#[tokio::test]
async fn what_is_put_on_the_agenda_twice_is_there_once_until_it_is_claimed() -> anyhow::Result<()> {
    let (table, case) = (Table::start().await?, Case::new(json!(1)));
    let enqueue = |at| table.agenda.enqueue(&case.effect, &case.command, at, at);
    assert_eq!(enqueue(now()).await?.how(), How::Deferred);
    assert_eq!(enqueue(later(1)).await?.how(), How::Duplicate);
    assert_eq!(due(&table, now()).await?, std::slice::from_ref(&case.command));
    assert_eq!(table.listing.lanes().await?, ["open_ticket"]);
    let lease = win(&table, &case, later(2)).await?;
    assert_eq!(lease.attempt(), 1);
    assert!(due(&table, later(11)).await?.is_empty());
    assert_eq!(due(&table, later(12)).await?.len(), 1, "claimed as a message, it stays there as well");
    Ok(())
}

/// A record in progress may belong to a dead consumer: if the message were settled as a duplicate, the effect would never be tried again.
#[tokio::test]
async fn a_message_that_is_put_on_the_agenda_beside_an_attempt_comes_due_when_that_ends() -> anyhow::Result<()>
{
    let (table, case) = (Table::start().await?, Case::new(json!(1)));
    drop(win(&table, &case, now()).await?);
    let enqueued = table.agenda.enqueue(&case.effect, &case.command, later(1), later(1)).await?;
    assert_eq!(enqueued.how(), How::Held);
    assert!(due(&table, later(9)).await?.is_empty());
    assert_eq!(due(&table, later(10)).await?.len(), 1);
    Ok(())
}

/// No message is left that would bring back a record that was removed from the agenda.
#[tokio::test]
async fn what_is_claimed_from_the_agenda_stays_on_it() -> anyhow::Result<()> {
    let (table, case) = (Table::start().await?, Case::new(json!(1)));
    drop(table.agenda.enqueue(&case.effect, &case.command, now(), now()).await?);
    let ask = ClaimRequest { is_recorded: true, on_agenda: true, ..case.ask() };
    let Claim::Won(lease) = table.guard.claim(&ask, now()).await? else { panic!("not won") };
    assert_eq!(lease.handed_over().map(|settled| settled.how()), Some(How::HandedOver));
    assert!(due(&table, later(9)).await?.is_empty());
    assert_eq!(due(&table, later(10)).await?.len(), 1, "when its lease ends");
    drop(table.guard.commit(lease, &receipt(), later(1)).await?);
    assert!(due(&table, later(999)).await?.is_empty());
    Ok(())
}

#[tokio::test]
async fn a_slow_attempt_is_handed_over_for_when_its_lease_ends() -> anyhow::Result<()> {
    let (table, case) = (Table::start().await?, Case::new(json!(1)));
    let lease = win(&table, &case, now()).await?;
    assert!(lease.handed_over().is_none(), "its message is all there is");
    let handed_over = table.guard.hand_over(lease.held(), &case.command, later(1)).await?;
    assert_eq!(handed_over.how(), How::HandedOver);
    assert_eq!(due(&table, later(10)).await?.len(), 1);
    let held = lease.held();
    drop(table.guard.commit(lease, &receipt(), later(2)).await?);
    let late = table.guard.hand_over(held, &case.command, later(3)).await;
    assert!(matches!(late, Err(StoreError::Fenced)), "{late:?}");
    assert!(due(&table, later(999)).await?.is_empty());
    Ok(())
}

#[tokio::test]
async fn large_input_comes_back_whole_and_a_lost_chunk_is_noticed() -> anyhow::Result<()> {
    let (table, case) = (Table::start().await?, Case::new(json!(1)));
    // Random letters do not compress, so this takes several items.
    let text: String = (0..30_000).map(|_| Uuid::new_v4().to_string()).collect();
    let input = Input::from([("text".to_owned(), json!(text))]);
    let hash = InputHash::of(&input);
    let check = table.large_inputs.check_in(&case.effect, &hash, &input).await?;
    assert!(check.chunks > 1, "{check:?}");
    assert_eq!(table.large_inputs.check_out(&case.effect, &hash, &check).await?, input);
    assert!(table.listing.run("stripe.evt_1").await?.is_empty(), "a run's Query does not read it");
    table.large_inputs.discard(&case.effect, &hash, &check).await?;
    let lost = table.large_inputs.check_out(&case.effect, &hash, &check).await;
    assert!(matches!(lost, Err(StoreError::Malformed(_))), "{lost:?}");
    Ok(())
}

async fn take_stream(table: &Table, owner: &str, at: Timestamp) -> anyhow::Result<Taken> {
    Ok(table.stream_leases.take("t:g:http://broker", owner, LEASE, at).await?)
}

async fn have_stream(table: &Table, owner: &str, at: Timestamp) -> anyhow::Result<StreamLease> {
    match take_stream(table, owner, at).await? {
        Taken::Ours(lease) => Ok(lease),
        Taken::Held(until) => anyhow::bail!("held until {until}"),
    }
}

#[tokio::test]
async fn one_stream_at_a_time_and_a_late_owner_is_fenced_off() -> anyhow::Result<()> {
    let table = Table::start().await?;
    let first = have_stream(&table, "a", now()).await?;
    assert!(matches!(take_stream(&table, "b", later(5)).await?, Taken::Held(until) if until == later(10)));
    table.stream_leases.renew(&first, later(5)).await?;
    assert!(matches!(take_stream(&table, "b", later(11)).await?, Taken::Held(until) if until == later(15)));

    let second = have_stream(&table, "b", later(16)).await?;
    let renewed = table.stream_leases.renew(&first, later(16)).await;
    assert!(matches!(renewed, Err(StoreError::Fenced)), "{renewed:?}");
    assert_eq!(table.stream_leases.release(second).await?, Released::Quietly);
    let _third = have_stream(&table, "c", later(17)).await?;
    let released = table.stream_leases.release(first).await;
    assert!(matches!(released, Err(StoreError::Fenced)), "{released:?}");
    Ok(())
}

#[tokio::test]
async fn releasing_a_stream_shows_that_it_was_requested() -> anyhow::Result<()> {
    let table = Table::start().await?;
    let first = have_stream(&table, "a", now()).await?;
    assert!(matches!(take_stream(&table, "b", later(1)).await?, Taken::Held(_)));
    table.stream_leases.renew(&first, later(3)).await?;
    assert_eq!(table.stream_leases.release(first).await?, Released::Requested);
    let again = have_stream(&table, "a", later(4)).await?;
    assert_eq!(table.stream_leases.release(again).await?, Released::Quietly, "it has been seen");
    Ok(())
}

#[tokio::test]
async fn a_malformed_record_is_an_error_and_not_a_claim() -> anyhow::Result<()> {
    let (table, case) = (Table::start().await?, Case::new(json!(1)));
    let spoilt = BTreeMap::from([("run_id", "stripe.evt_1"), ("effect_id", "stripe.evt_1:open_ticket:dp:1")]);
    table.database.put(&json!(spoilt)).await?;
    let claim = table.guard.claim(&case.ask(), now()).await;
    assert!(matches!(claim, Err(StoreError::Malformed("status"))), "{claim:?}");
    Ok(())
}

/// A first attempt that the third party refuses for now.
pub(crate) async fn refuse_for_now(table: &Table, case: &Case, due: Timestamp) -> anyhow::Result<()> {
    let lease = win(table, case, now()).await?;
    let deferral = Deferral { command: &case.command, due, why: "answered 429", in_doubt: false };
    assert_eq!(table.guard.defer(lease, deferral, later(1)).await?.how(), How::Deferred);
    Ok(())
}

/// The commands that are due at a time.
async fn due(table: &Table, at: Timestamp) -> anyhow::Result<Vec<Command>> {
    let page = table.agenda.due("open_ticket", at, 10, None).await?;
    Ok(page.due.into_iter().map(|due| due.command).collect())
}

/// The window in which the third party remembers a key counts from the next call: it has no earlier calls to remember.
#[tokio::test]
async fn an_effect_decided_as_not_applied_starts_again() -> anyhow::Result<()> {
    let (table, case) = (Table::start().await?, Case::new(json!(1)));
    let lease = win(&table, &case, now()).await?;
    assert_eq!(
        table.guard.park(lease.doubted(), &case.command, "in doubt", later(1)).await?.how(),
        How::Parked
    );
    let seen = Seen {
        run_id: "stripe.evt_1",
        effect_id: &case.effect.to_string(),
        attempt: 1,
        policy_resolves: true,
    };
    let said = Said { decision: Decision::NotApplied, by: "arn:aws:iam::123456789012:user/ada", note: "Ann" };
    let decided = table.decisions.decide(seen, said, later(100)).await?;
    assert!(matches!(decided, Decided::Taken(_)), "{decided:?}");

    assert_eq!(due(&table, later(100)).await?[0].attempt, 1);
    let second = win(&table, &case.retry(1), later(100)).await?;
    assert_eq!((second.attempt(), second.tries()), (2, 1));
    let Claim::InDoubt(doubt) = table.guard.claim(&case.retry(1).ask(), later(111)).await? else {
        panic!("not in doubt")
    };
    assert_eq!(doubt.first_attempt_at(), later(100));
    Ok(())
}

/// Two consumers that read the same list publish a decision once.
#[tokio::test]
async fn a_decision_is_published_once() -> anyhow::Result<()> {
    let (table, case) = (Table::start().await?, Case::new(json!(1)));
    let lease = win(&table, &case, now()).await?;
    let parked = table.guard.park(lease, &case.command, "refused", now()).await?;
    assert_eq!(parked.how(), How::Parked);
    assert_eq!(table.unpublished.first(9).await?, [], "it is not decided");
    let seen = Seen {
        run_id: "stripe.evt_1",
        effect_id: &case.effect.to_string(),
        attempt: 1,
        policy_resolves: true,
    };
    let said = Said { decision: Decision::Discard, by: "ada", note: "not wanted" };
    table.decisions.decide(seen, said, later(1)).await?;
    let unpublished = table.unpublished.first(9).await?;
    let [one] = &unpublished[..] else { panic!("{unpublished:?}") };
    assert_eq!((one.record.status, one.record.due_at, one.of), (Status::Discarded, None, case.command.of));
    let both = tokio::join!(table.unpublished.take(one), table.unpublished.take(one));
    assert_eq!(u8::from(both.0?) + u8::from(both.1?), 1);
    assert_eq!(table.unpublished.first(9).await?, []);
    Ok(())
}

/// The lease is a call of 4 s and a margin of 6 s. Clocks of successive invocations may differ by less than the margin.
#[tokio::test]
async fn a_clock_that_is_ahead_by_less_than_the_margin_takes_nothing_over() -> anyhow::Result<()> {
    let (table, case) = (Table::start().await?, Case::new(json!(1)));
    let lease = win(&table, &case, now()).await?;
    let (call_ends, ahead) = (4, 5);
    let other = table.guard.claim(&case.ask(), later(call_ends + ahead)).await?;
    assert!(matches!(other, Claim::Held(_)), "{other:?}");
    assert_eq!(table.guard.commit(lease, &receipt(), later(call_ends)).await?.how(), How::Done);
    Ok(())
}

/// A clock difference beyond the lease's margin: the effect is taken over too early, but as in doubt. It is not called as if it were fresh, and the
/// first attempt can't overwrite the second.
#[tokio::test]
async fn a_clock_that_is_ahead_by_more_than_the_margin_finds_a_doubt_and_never_a_fresh_effect()
-> anyhow::Result<()> {
    let (table, case) = (Table::start().await?, Case::new(json!(1)));
    let lease = win(&table, &case, now()).await?;
    let (call_ends, ahead) = (4, 7);
    let other = table.guard.claim(&case.ask(), later(call_ends + ahead)).await?;
    assert!(matches!(other, Claim::InDoubt(_)), "{other:?}");
    let fenced = table.guard.commit(lease, &receipt(), later(call_ends)).await;
    assert!(matches!(fenced, Err(StoreError::Fenced)), "{fenced:?}");
    Ok(())
}

/// Another attempt's transaction locks the record for a moment: DynamoDB refuses every other write to it meanwhile.
#[tokio::test]
async fn a_write_that_meets_a_transaction_is_sent_again() -> anyhow::Result<()> {
    let (table, case) = (Table::start().await?, Case::new(json!(1)));
    let conflict = json!({ "__type": "com.amazonaws.dynamodb.v20120810#TransactionConflictException" });
    let conflict = || Fault::Answer(Answer::of_json(400, &conflict));
    table.proxy.times(2, |seen| seen.is("PutItem"), conflict());
    let lease = win(&table, &case, now()).await?;
    table.proxy.times(2, |seen| seen.is("UpdateItem"), conflict());
    assert_eq!(table.guard.commit(lease, &receipt(), later(1)).await?.how(), How::Done);
    assert_eq!(table.requests(), ["PutItem", "PutItem", "PutItem", "UpdateItem", "UpdateItem", "UpdateItem"]);
    Ok(())
}
