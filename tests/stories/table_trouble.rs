//! DynamoDB failures, at each request of the protocol and of each kind: throttling, errors, lost requests and responses, responses that never arrive.
//! Nothing is lost, and nothing is applied twice.

use std::time::Duration;

use anyhow::{Context, Result, ensure};
use futures_util::{StreamExt, TryStreamExt, stream};
use local::{
    hook::Hook,
    http::Answer,
    proxy::{End, Fault, Seen},
    stack::Stack,
    third_party::Behaviour,
};

use crate::setup::{
    PATIENCE, Story, TICKETS, deliver, deliver_until_taken, dispute, only_effect, produces, settle,
    stack_with, table, tell,
};

type Matches = fn(&Seen) -> bool;

/// An update that sets this status.
fn sets(seen: &Seen, status: &str) -> bool {
    seen.is("UpdateItem") && seen.json()["ExpressionAttributeValues"][":status"]["S"] == status
}

/// An update that takes an effect over from an attempt without an outcome.
fn takes_over(seen: &Seen) -> bool {
    sets(seen, "in_progress") && seen.mentions("#doubt = ")
}

/// An update that puts an attempt in progress on the agenda.
pub(crate) fn hands_over(seen: &Seen) -> bool {
    let update = seen.json();
    seen.is("UpdateItem")
        && seen.mentions("#lane = ")
        && update["ExpressionAttributeValues"][":status"].is_null()
}

/// The duration of a slow call: longer than a message waits for its call, and shorter than the call may take.
const SLOW: Duration = Duration::from_millis(600);

/// The setup that causes a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Plot {
    /// The call is refused once and then applied.
    Retry,
    /// The call takes so long that it is handed over.
    Slow,
    /// The call is refused for good.
    Refusal,
    /// The broker does not accept the command.
    BrokerFull,
    /// The consumer is killed before the call is answered.
    Death,
}

const REQUESTS: [(&str, Plot, Matches); 9] = [
    ("claim", Plot::Retry, |seen| seen.is("PutItem")),
    ("defer", Plot::Retry, |seen| sets(seen, "waiting")),
    ("hand over", Plot::Slow, hands_over),
    ("claim again", Plot::Retry, |seen| sets(seen, "in_progress")),
    ("commit", Plot::Retry, |seen| sets(seen, "done")),
    ("agenda", Plot::Retry, |seen| seen.is("Query")),
    ("park", Plot::Refusal, |seen| sets(seen, "parked")),
    ("enqueue", Plot::BrokerFull, |seen| seen.is("PutItem") && seen.mentions("\"pending\"")),
    ("take over", Plot::Death, takes_over),
];

/// A write whose response is lost is sent again by the SDK, and its condition fails because our own first write was applied.
const LOST: [&str; 2] = ["lost answer", "no answer"];

fn faults() -> [(&'static str, usize, Fault); 7] {
    [
        ("throttled twice", 2, Fault::Answer(Answer::throttled())),
        ("500", 1, Fault::Answer(Answer::status(500))),
        ("lost request", 1, Fault::CutBefore),
        (LOST[0], 1, Fault::CutAfter),
        ("never taken", 1, Fault::HangBefore),
        (LOST[1], 1, Fault::HangAfter),
        // More often than the SDK retries: the operation fails, and another run, or the provider, has to repeat it.
        ("throttled for long", 6, Fault::Answer(Answer::throttled())),
    ]
}

/// A stack with a stream lease that outlasts every wait for a response: retries must not be cut short.
async fn stack() -> Result<Stack> {
    stack_with(|config| {
        let times = table(config.table(), "consumer");
        times.insert("stream_lease".into(), "3s".into());
        times.insert("slow_call".into(), "250ms".into());
    })
    .await
}

async fn story(
    plot: Plot,
    matches: Matches,
    (name, times, fault): (&str, usize, Fault),
    stack: &Stack,
) -> Result<()> {
    set(stack, plot);
    let proxy = stack.table_proxy()?;
    let struck = proxy.times(times, matches, fault);
    deliver_until_taken(stack, &dispute()?).await?;
    settle(stack).await?;
    ensure!(struck.count() > 0, "the request was never made");
    // A second hand-over is not refused: the attempt still owns the effect.
    if LOST.contains(&name) && plot != Plot::Slow {
        let requests = proxy.seen_where(matches);
        let refused =
            requests.get(1).is_some_and(|again| again.is("Query") || again.end == End::Upstream(400));
        ensure!(refused, "not refused on account of its own first write: {requests:?}");
    }
    let (ledger, effect) = (stack.third_party.ledger(), only_effect(stack).await?);
    let applied = usize::from(plot != Plot::Refusal);
    ensure!(effect.is_done() == (applied == 1) && effect.is_settled(), "{effect:?}");
    ensure!(ledger.applied().len() == applied, "applied {} times", ledger.applied().len());
    Ok(())
}

fn set(stack: &Stack, plot: Plot) {
    match plot {
        Plot::Retry => stack.third_party.script(TICKETS, [Behaviour::refuse(429)]),
        Plot::Slow => {
            let slow = Hook::new(async || tokio::time::sleep(SLOW).await);
            stack.third_party.script(TICKETS, [Behaviour::apply().with_hook(slow)]);
        }
        Plot::Refusal => stack.third_party.always(TICKETS, Behaviour::refuse(422)),
        Plot::BrokerFull => {
            stack.broker_proxy.once(produces, Fault::Answer(Answer::partition_full()));
        }
        Plot::Death => {
            let kill = stack.consumer.killer().hook();
            stack.third_party.script(TICKETS, [Behaviour::apply().with_hook(kill)]);
        }
    }
}

#[tokio::test]
async fn every_request_survives_every_fault() -> Story {
    let stories = REQUESTS.into_iter().flat_map(|request| faults().map(|fault| (request, fault)));
    let told = stream::iter(stories).map(|((request, plot, matches), fault)| async move {
        let name = format!("{request}: {}", fault.0);
        tell(stack().await?, async |stack| story(plot, matches, fault, stack).await).await.context(name)
    });
    let told: Vec<()> = told.buffer_unordered(12).try_collect().await?;
    println!("{} stories", told.len());
    Ok(())
}

/// This holds for a message that was handed over, and for one that is redelivered.
#[tokio::test]
async fn an_end_that_can_not_be_recorded_leaves_the_effect_in_doubt() -> Story {
    let ends = [
        ("done", Behaviour::apply()),
        ("waiting", Behaviour::refuse(429)),
        ("parked", Behaviour::refuse(422)),
    ];
    let told = ends.map(|(status, behaviour)| async move {
        tell(stack().await?, async |stack| unrecorded(status, behaviour, stack).await).await.context(status)
    });
    futures_util::future::try_join_all(told).await?;
    Ok(())
}

async fn unrecorded(status: &'static str, behaviour: Behaviour, stack: &Stack) -> Result<()> {
    stack.third_party.script(TICKETS, [behaviour]);
    let unrecorded =
        stack.table_proxy()?.always(move |seen| sets(seen, status), Fault::Answer(Answer::throttled()));
    deliver(stack, &dispute()?).await?;
    let (_, struck) =
        tokio::join!(stack.run_consumer_within(Duration::from_secs(4)), unrecorded.within(PATIENCE));
    struck?;
    ensure!(only_effect(stack).await?.status == "in_progress", "it was recorded");
    stack.table_proxy()?.heal();
    settle(stack).await?;
    let ledger = stack.third_party.ledger();
    ensure!((ledger.attempts().len(), ledger.applied().len()) == (2, 1), "called again with the same key");
    let effect = only_effect(stack).await?;
    ensure!(
        effect.is_done() && effect.record["history"].to_string().contains("did not report back"),
        "{effect:?}"
    );
    Ok(())
}
