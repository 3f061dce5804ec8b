//! The same work by functions with Powertools for AWS Lambda, in Python and in Node (`bench/powertools`): how long they take to start,
//! their processor time for a webhook and for a command, and their memory, with the same broker, table and third party.
//!
//! Theirs get commands in batches from SQS, which Lambda polls for them. Ours polls the broker and acks within its own time.

use std::{env, time::Duration};

use anyhow::{Context, Result, ensure};
use local::{
    command,
    functions::workspace,
    runtime_api::{Function, Program},
};
use serde_json::{Value, json};

use super::{
    super::measure::{cpu_time, memory, mib},
    drain,
    ingest::event,
    plain,
    report::Report,
    site::Site,
    startup::{LIMIT, start},
};

/// How many webhooks, and how many commands, each function gets in a round. It gets as many before the first round, so that all code
/// that is compiled at run time has been compiled.
const COUNT: usize = 400;
/// The batch size of an SQS trigger, unless it is set.
const BATCH: usize = 10;
const TABLE: &str = "idempotency";
const LANGUAGES: [&str; 2] = ["python", "node"];

/// Measures both languages; ours in turns with each.
pub(super) async fn measure(report: &mut Report, site: &Site, rounds: u16) -> Result<()> {
    for language in LANGUAGES {
        if workspace().join("target/powertools").join(language).join("run").exists() {
            report.next(&format!("{language} with Powertools"));
            Theirs::start(language, site).await?.measure(report, site, rounds).await?;
        } else {
            report.left_out(format!("{language} with Powertools"), "run bench/powertools/install first");
        }
    }
    Ok(())
}

/// The functions in one language.
struct Theirs {
    language: &'static str,
    ingest: Function,
    consumer: Function,
}

/// What one round of the same work took.
#[derive(Default)]
struct Took {
    webhook_ms: Vec<f64>,
    command_ms: Vec<f64>,
}

impl Theirs {
    async fn start(language: &'static str, site: &Site) -> Result<Self> {
        let table = site.stack.table()?;
        table.make_table(TABLE, &["id".to_owned()]).await?;
        let secrets = site.stack.config.secrets();
        let secret = |name: &str| secrets.get(name).cloned().with_context(|| format!("no {name}"));
        let settings = [
            ("PATH", env::var("PATH")?),
            ("STRIPE_SECRET", secret("STRIPE_WEBHOOK_SECRET")?),
            (command::KEY.0, command::KEY.1.to_owned()),
            ("DRIFTQ_HTTP_URL", site.stack.broker.url().to_owned()),
            ("DRIFTQ_TOPIC", site.stack.topic.clone()),
            ("THIRD_PARTY_URL", site.third_party.url()),
            ("IDEMPOTENCY_TABLE", TABLE.to_owned()),
            ("AWS_ENDPOINT_URL_DYNAMODB", table.url().to_owned()),
            ("AWS_REGION", "us-east-1".to_owned()),
            ("AWS_DEFAULT_REGION", "us-east-1".to_owned()),
            ("AWS_ACCESS_KEY_ID", "local".to_owned()),
            ("AWS_SECRET_ACCESS_KEY", "local".to_owned()),
        ];
        let function = |module: &str| {
            let own = [("MODULE", module.to_owned())].into_iter();
            Function::new(Program {
                name: format!("{language}_{module}"),
                binary: workspace().join("target/powertools").join(language).join("run"),
                env: settings
                    .iter()
                    .cloned()
                    .chain(own)
                    .map(|(name, value)| (name.to_owned(), value))
                    .collect(),
                sandboxes: 1,
            })
        };
        Ok(Self { language, ingest: function("ingest"), consumer: function("consumer") })
    }

    async fn measure(&self, report: &mut Report, site: &Site, rounds: u16) -> Result<()> {
        let (mut ours, mut theirs) = (Took::default(), Took::default());
        let beside = format!("{} with Powertools", self.language);
        // Ours is measured with its own configuration, in `startup`.
        let mut starts = Vec::new();
        for _ in 0..rounds {
            starts.push(start(&self.ingest).await?);
        }
        report.alone(format!("start-up of ingest in {beside}"), "ms", starts)?;
        webhooks(&site.stack.ingest, site).await?;
        webhooks(&self.ingest, site).await?;
        drain::drained(site, COUNT).await?;
        self.commands(site).await?;
        for _ in 0..rounds {
            ours.webhook_ms.push(webhooks(&site.stack.ingest, site).await?);
            theirs.webhook_ms.push(webhooks(&self.ingest, site).await?);
            ours.command_ms.push(drain::drained(site, COUNT).await?.cpu_ms);
            theirs.command_ms.push(self.commands(site).await?);
        }
        for (what, ours, theirs) in [
            ("CPU time of ingest a webhook", ours.webhook_ms, theirs.webhook_ms),
            ("CPU time of the consumer a command", ours.command_ms, theirs.command_ms),
        ] {
            report.beside(what.to_owned(), "ms", ours, beside.clone(), theirs, None)?;
        }
        for (ours, theirs) in [(&site.stack.ingest, &self.ingest), (&site.stack.consumer, &self.consumer)] {
            let peak = |function| anyhow::Ok(vec![mib(memory(function, "VmHWM:")?)]);
            let what = format!("peak memory of {}", ours.name());
            report.beside(what, "MiB", peak(ours)?, beside.clone(), peak(theirs)?, None)?;
        }
        Ok(())
    }

    /// The processor time of a command, in milliseconds, when the consumer gets batches of them.
    async fn commands(&self, site: &Site) -> Result<f64> {
        let mut bodies = Vec::new();
        for _ in 0..COUNT {
            bodies.push(command::of(&site.recorded.produce(&site.id(), &site.stack.topic)?)?.to_string());
        }
        drop(site.third_party.take_calls());
        self.consumer.warm().await?;
        let before = cpu_time(&self.consumer)?;
        for batch in bodies.chunks(BATCH) {
            let answer = self.consumer.invoke(&from_sqs(batch), LIMIT).await?;
            ensure!(answer["batchItemFailures"] == json!([]), "the consumer answered {answer}");
        }
        let took = each(cpu_time(&self.consumer)? - before);
        let calls = site.third_party.take_calls().len();
        ensure!(calls == COUNT, "{calls} calls for {COUNT} commands");
        took
    }
}

/// The processor time of a webhook, in milliseconds.
async fn webhooks(ingest: &Function, site: &Site) -> Result<f64> {
    let events = (0..COUNT).map(|_| event(&site.stack.config, &site.id())).collect::<Result<Vec<_>>>()?;
    ingest.warm().await?;
    let before = cpu_time(ingest)?;
    for event in events {
        let answer = ingest.invoke_bytes(event, LIMIT).await?;
        ensure!(answer["statusCode"] == 202, "ingest answered {answer}");
    }
    let took = each(cpu_time(ingest)? - before);
    plain::empty(site, COUNT).await?;
    took
}

fn each(time: Duration) -> Result<f64> {
    Ok(time.as_secs_f64() * 1e3 / f64::from(u32::try_from(COUNT)?))
}

fn from_sqs(bodies: &[String]) -> Value {
    let records = bodies.iter().enumerate().map(|(number, body)| {
        json!({
            "messageId": format!("message-{number}"), "receiptHandle": "local", "body": body,
            "attributes": {
                "ApproximateReceiveCount": "1", "SentTimestamp": "1780000000000", "SenderId": "local",
                "ApproximateFirstReceiveTimestamp": "1780000000000",
            },
            "messageAttributes": {}, "md5OfBody": "", "eventSource": "aws:sqs",
            "eventSourceARN": "arn:aws:sqs:us-east-1:000000000000:commands", "awsRegion": "us-east-1",
        })
    });
    json!({ "Records": records.collect::<Vec<_>>() })
}
