//! A newer broker acks cumulatively, and checks each ack itself: a refused ack is sent again. (`answers` has the same tests for a
//! broker that acks one by one.)

use anyhow::Result;
use local::{
    broker::Profile,
    http::Answer,
    proxy::{Fault, Seen},
    stack::{Settling, Stack},
};
use serde_json::json;

use super::{deliver_all, side_by_side};
use crate::setup::{Story, builder, config, settle};

fn acks_through(seen: &Seen) -> bool {
    seen.goes_to("POST", "/v1/ack-cumulative")
}

fn answer(status: u16, code: &str, message: &str) -> Fault {
    Fault::Answer(Answer::of_json(status, &json!({ "error": code, "message": message })))
}

/// One effect, whose first ack meets the fault. None: the broker is external, so its generation can't be chosen.
async fn first_ack_meets(fault: &Fault) -> Result<Option<(Stack, Settling)>> {
    let stack = builder(config()?)?.broker_profile(Profile::G3).start().await?;
    if stack.broker.is_external() {
        println!("skipped: the broker of DRIFTQ_HTTP_URL is of the generation that it is");
        stack.finish().await?;
        return Ok(None);
    }
    let hit = stack.broker_proxy.once(acks_through, fault.clone());
    deliver_all(&stack, &["one"]).await?;
    let settling = settle(&stack).await?;
    assert_eq!((hit.count(), stack.third_party.ledger().attempts().len()), (1, 1), "{fault:?}");
    Ok(Some((stack, settling)))
}

#[tokio::test]
async fn what_the_broker_will_not_ack_yet_is_asked_for_again() -> Story {
    let faults = [
        answer(409, "FAILED_PRECONDITION", "not owner"),
        answer(400, "INVALID_ARGUMENT", "message is not in-flight"),
        answer(500, "INTERNAL", "disk full"),
        Fault::Answer(Answer::html(502)),
        Fault::CutBefore,
        Fault::HangBefore,
    ];
    let stories = faults.map(async |fault| {
        let Some((stack, settling)) = first_ack_meets(&fault).await? else { return Ok(()) };
        let totals = [settling.total(|run| run.received), settling.total(|run| run.unacked)];
        assert_eq!((totals, settling.failures.len()), ([1, 0], 0), "{fault:?}: {settling:?}");
        let acks = stack.broker_proxy.seen_where(acks_through);
        assert_eq!((acks.len(), &acks[0].body), (2, &acks[1].body), "{fault:?}");
        Ok(stack.finish().await?)
    });
    side_by_side(stories).await
}

/// To the second ack the broker answers that the message is not in flight, and nothing may wait for it.
#[tokio::test]
async fn what_was_acked_without_an_answer_holds_nothing_up() -> Story {
    let stories = [Fault::HangAfter, Fault::CutAfter].map(async |fault| {
        let Some((stack, settling)) = first_ack_meets(&fault).await? else { return Ok(()) };
        assert_eq!((settling.runs.len(), settling.runs[0].received), (1, 1), "{fault:?}: {settling:?}");
        deliver_all(&stack, &["one again"]).await?;
        assert_eq!(settle(&stack).await?.total(|run| run.done), 1, "{fault:?}");
        Ok(stack.finish().await?)
    });
    side_by_side(stories).await
}
