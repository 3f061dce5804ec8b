//! Streams that break, garble or repeat. What had been received is finished, and the next stream brings the rest.

use local::{hook::Hook, http::Answer, proxy::Fault, third_party::Behaviour};

use super::{consumes, deliver_all, once_each, side_by_side, stack_of, tickets};
use crate::{
    setup::{Story, TICKETS, builder, config, table},
    table_trouble::hands_over,
};

/// Of two messages in one partition, the second is cut off. `€` has three bytes: e2 82 ac.
async fn cut_behind(bytes: &[u8]) -> Story {
    let stack = stack_of(1, "3s").await?;
    let cut = stack.broker_proxy.once(consumes, Fault::CutBehind(bytes.to_vec().into()));
    deliver_all(&stack, &["whole", "20€"]).await?;
    let run = stack.run_consumer().await?;
    assert_eq!((cut.count(), run.outcome.as_str(), run.done), (1, "drained", 2), "{run:?}");
    assert!(run.received > 2, "the next stream brings again what was not acked: {run:?}");
    assert_eq!(tickets(&stack), once_each(&["whole", "20€"]));
    assert_eq!(stack.third_party.ledger().attempts().len(), 2);
    Ok(stack.finish().await?)
}

#[tokio::test]
async fn a_stream_cut_inside_a_line_is_opened_again() -> Story {
    cut_behind("\"key\":\"20".as_bytes()).await
}

#[tokio::test]
async fn a_stream_cut_inside_a_character_is_opened_again() -> Story {
    cut_behind(b"\"key\":\"20\xe2\x82").await
}

#[tokio::test]
async fn a_line_that_no_message_makes_ends_the_stream_and_nothing_else() -> Story {
    let long = vec![b'x'; 25 * 1024 * 1024 + 1];
    let garbage = [long, b"{\"partition\":0}\n".to_vec(), b"<html></html>\n".to_vec(), vec![0xff, b'\n']];
    let stories = garbage.map(async |garbage| {
        let stack = stack_of(1, "4s").await?;
        let garbled =
            stack.broker_proxy.once(consumes, Fault::Answer(Answer::status(200).with_body(garbage)));
        deliver_all(&stack, &["one"]).await?;
        let run = stack.run_consumer().await?;
        assert_eq!((garbled.count(), run.outcome.as_str(), run.done), (1, "drained", 1), "{run:?}");
        assert_eq!(tickets(&stack), once_each(&["one"]));
        Ok(stack.finish().await?)
    });
    side_by_side(stories).await
}

#[tokio::test]
async fn a_message_delivered_again_while_it_is_worked_on_is_worked_on_once() -> Story {
    let mut config = config()?;
    table(config.step("open_ticket"), "call").insert("timeout".into(), "6s".into());
    let stack = builder(config)?.env("DRIFTQ_PARTITIONS", "1").start().await?;
    // A lease shorter than the call, which can't be handed over: the broker sends it again to the stream that works on it.
    stack.table_proxy()?.always(hands_over, Fault::Answer(Answer::throttled()));
    let stream = stack.broker_proxy.always(consumes, Fault::Query("lease_ms", "250".into()));
    let slow = Hook::new(async || tokio::time::sleep(std::time::Duration::from_secs(2)).await);
    stack.third_party.script(TICKETS, [Behaviour::apply().with_hook(slow)]);
    deliver_all(&stack, &["one"]).await?;
    let run = stack.run_consumer().await?;
    assert_eq!((run.done, run.duplicates, stream.count()), (1, 0, 1), "{run:?}");
    assert!(run.received > 2, "{run:?}");
    assert_eq!(stack.third_party.ledger().attempts().len(), 1);
    Ok(stack.finish().await?)
}
