//! Start-up: from the spawn to the first poll, and the first invocation after it; measured in turns, so that all have the same
//! conditions.

use std::{
    path::Path,
    time::{Duration, Instant},
};

use anyhow::{Context, Result};
use local::{
    functions::Functions,
    runtime_api::{Function, Program},
    stack::Stack,
};

use super::{
    ingest::event,
    report::{Report, Target},
};

pub(super) const LIMIT: Duration = Duration::from_secs(10);
const ECHOES: usize = 200;

pub(super) async fn measure(
    report: &mut Report,
    functions: &Functions,
    bare: &Path,
    starts: u16,
) -> Result<()> {
    report.next("start-up");
    let builder = Stack::builder().functions(functions.clone()).own_names().direct();
    // As deployed: with the embedded configuration, and not with a file of the stack's.
    let stack = builder.env("WEBHOOKS_CONFIG", "").start().await?;
    let program = Program { name: "bare".into(), binary: bare.to_owned(), env: Vec::new(), sandboxes: 1 };
    let bare = Function::new(program);
    let [mut ingest_ms, mut consumer_ms, mut bare_ms] = [(); 3].map(|()| Vec::new());
    let [mut first_ms, mut bare_first_ms] = [(); 2].map(|()| Vec::new());
    for number in 0..starts {
        ingest_ms.push(start(&stack.ingest).await?);
        first_ms.push(invocation(&stack.ingest, event(&stack.config, &format!("start{number}"))?).await?);
        consumer_ms.push(start(&stack.consumer).await?);
        bare_ms.push(start(&bare).await?);
        bare_first_ms.push(invocation(&bare, event(&stack.config, "bare")?).await?);
    }
    for (name, ours) in [("ingest", ingest_ms), ("consumer", consumer_ms)] {
        let what = format!("start-up of {name}: exec to the first poll");
        report.beside(what, "ms", ours, "bare function", bare_ms.clone(), Some(Target::AtMost(1.3)))?;
    }
    let mut echoes = Vec::new();
    for _ in 0..ECHOES {
        echoes.push(invocation(&bare, event(&stack.config, "bare")?).await?);
    }
    report.alone("an echo through this Runtime API, warm".to_owned(), "ms", echoes)?;
    let what = "first invocation of ingest: a webhook to its 202".to_owned();
    report.beside(what, "ms", first_ms, "bare function, an echo", bare_first_ms, None)
}

pub(super) async fn start(function: &Function) -> Result<f64> {
    function.recycle();
    function.warm().await?;
    let started = function.starts().last().copied().context("it has started")?;
    Ok(started.as_secs_f64() * 1e3)
}

async fn invocation(function: &Function, event: bytes::Bytes) -> Result<f64> {
    let since = Instant::now();
    function.invoke_bytes(event, LIMIT).await?;
    Ok(since.elapsed().as_secs_f64() * 1e3)
}
