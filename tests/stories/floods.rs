//! A flood from one source: it is limited, and other sources have their own limits.

use std::time::Duration;

use local::webhook::Webhook;

use crate::{
    printed::Printed,
    setup::{Story, builder, config, dispute_about, settle},
};

#[tokio::test]
async fn a_source_over_its_rate_is_told_to_come_again_and_no_other_is() -> Story {
    let mut config = config()?;
    let stripe = config.table()["sources"]["stripe"].as_table_mut().expect("the shipped source");
    stripe.insert("rate".into(), 1.into());
    stripe.insert("burst".into(), 3.into());
    let stack = builder(config)?.ingests(1).start().await?;
    let mut statuses = Vec::new();
    for number in 0..6 {
        // Forged webhooks do not count.
        let forged = dispute_about(&format!("dp_{number}"))?.with("stripe-signature", "t=1,v1=00");
        assert_eq!(stack.post_webhook(&forged).await?.status, 401);
        let answer = stack.deliver(&dispute_about(&format!("dp_{number}"))?).await?;
        if answer.status == 429 {
            assert_eq!(answer.header("retry-after"), Some("5"));
        }
        statuses.push(answer.status);
    }
    assert_eq!(statuses[..3], [202; 3]);
    assert!(statuses[3..].contains(&429), "{statuses:?}");
    assert_eq!(stack.deliver(&Webhook::sample("github.issues.opened")?).await?.status, 202);

    let over = statuses.iter().filter(|status| **status == 429).count();
    let printed = Printed::by_ingest(&stack, 13).await?;
    printed.assert(&[
        ("Refused{Reason=rate}", over as f64),
        ("Genuine{Source=stripe}", 6.0),
        ("Genuine{Source=github}", 1.0),
    ]);
    // A second later one more is accepted, also in a process that was frozen meanwhile.
    tokio::time::sleep(Duration::from_millis(1100)).await;
    assert_eq!(stack.deliver(&dispute_about("dp_later")?).await?.status, 202);
    settle(&stack).await?;
    Ok(stack.finish().await?)
}
