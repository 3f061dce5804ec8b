//! Counts the requests per command at the fault proxy, and records them.

use std::time::Duration;

use anyhow::{Result, ensure};
use local::{
    config::Config,
    functions::Functions,
    http::Answer,
    proxy::{Fault, FaultProxy, Seen},
    stack::Stack,
    third_party::Behaviour,
};
use toml::{Table, toml};

use super::{
    ingest::webhook,
    recorded::Recorded,
    report::{NO_PROXY, Report, Target},
    site::Ids,
};

const PATIENCE: Duration = Duration::from_secs(30);

pub(super) async fn measure(report: &mut Report, functions: &Functions) -> Result<Recorded> {
    report.next("requests of a command");
    let mut config = Config::from_env()?;
    let soon: Table = toml! {
        max_attempts = 8
        backoff = "50ms"
        max_backoff = "50ms"
    };
    config.step("open_ticket").insert("retry".into(), soon.into());
    let builder = Stack::builder().functions(functions.clone()).config(config).own_names();
    let stack = builder.env("IDLE_EXIT", "300ms").start().await?;
    let ids = Ids::new();
    let [first, mark, retried, refused] = [(); 4].map(|()| ids.next());
    // The very first webhook finds no topic.
    stack.deliver(&webhook(&first)?).await?;
    stack.run_until_settled(PATIENCE).await?;
    count(report, &stack, &mark, "fresh", (2, 2)).await?;
    let recorded = Recorded::of(&stack, &mark)?;
    count(report, &stack, &mark, "duplicate", (1, 2)).await?;
    stack.third_party.script("/api/tickets", [Behaviour::refuse(503)]);
    // The failed try is two writes more, and no request to the broker.
    count(report, &stack, &retried, "tried twice", (4, 2)).await?;
    // Recorded last: what is deferred is due, and has to be settled.
    let full = Fault::Answer(Answer::partition_full());
    stack.broker_proxy.once(|seen| seen.path.ends_with("/produce"), full);
    stack.deliver(&webhook(&refused)?).await?;
    stack.run_until_settled(PATIENCE).await?;
    let recorded = recorded.with_deferred(&stack, &refused)?;
    stack.finish().await?;
    Ok(recorded)
}

fn is_of_a_run(seen: &Seen) -> bool {
    [":stream", ":lanes", ":runs", ":pause"].iter().any(|run| seen.mentions(run)) || seen.is("Query")
}

/// Counts the requests for one webhook until it is settled, beside the expected number. Left out are the requests that a run makes
/// however many commands it has: for the stream lease, the lanes, the pause, the run's record, the agenda, and the broker's metrics and
/// streams.
async fn count(report: &mut Report, stack: &Stack, id: &str, kind: &str, expected: (u32, u32)) -> Result<()> {
    stack.table_proxy.iter().for_each(FaultProxy::forget);
    stack.broker_proxy.forget();
    let answer = stack.deliver(&webhook(id)?).await?;
    ensure!(answer.status == 202, "ingest answered {}", answer.status);
    stack.run_until_settled(PATIENCE).await?;
    let writes = stack.table_proxy.as_ref().map(|table| table.seen_where(|seen| !is_of_a_run(seen)));
    let broker =
        stack.broker_proxy.seen_where(|seen| seen.method == "POST" && !seen.path.ends_with("/topics"));
    for (what, seen, expected) in [("DynamoDB", writes, expected.0), ("broker", Some(broker), expected.1)] {
        let what = format!("{what} requests of a command, {kind}");
        let Some(seen) = seen else {
            report.left_out(what, NO_PROXY);
            continue;
        };
        let (ours, should) = (vec![u32::try_from(seen.len())?.into()], vec![expected.into()]);
        report.beside(what, "", ours, "as it should be", should, Some(Target::AtMost(1.0)))?;
    }
    Ok(())
}
