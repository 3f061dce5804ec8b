//! Access to the operator API: callers that the gateway has authenticated. For others, these paths do not exist.

use anyhow::Result;
use local::{
    gateway::{Authorizer, FrontEnd},
    http::Answer,
    stack::Stack,
    third_party::Behaviour,
};
use serde_json::{Value, json};

use crate::setup::{Story, TICKETS, builder, config, deliver, dispute, only_effect, settle, stack};

/// All requests of operators and clients.
async fn asked(stack: &Stack) -> Result<Vec<Answer>> {
    let decision =
        json!({ "effect_id": "r:s:k", "attempt": 1, "decision": "discard", "note": "Ada: not wanted" });
    Ok(vec![
        stack.post_json("/runs", &[], &run()).await?,
        stack.get("/runs/stripe.evt_1").await?,
        stack.get("/parked").await?,
        stack.post_json("/runs/stripe.evt_1/decide", &[], &decision).await?,
    ])
}

fn run() -> Value {
    json!({
        "step": "open_ticket", "business_key": "dp_1",
        "input": { "dispute": "dp_1", "charge": "ch_1", "amount": 5, "reason": "fraudulent" },
    })
}

#[tokio::test]
async fn without_authentication_operator_paths_do_not_exist() -> Story {
    let stack = stack().await?;
    let nowhere = stack.get("/nowhere").await?;
    let unauthenticated = FrontEnd::ALL.map(|front_end| (front_end, Authorizer::Nobody));
    // A load balancer passes its users in headers, which anyone can send.
    let lists =
        [FrontEnd::LoadBalancer, FrontEnd::LoadBalancerLists].map(|front_end| (front_end, Authorizer::Iam));
    for (front_end, authorizer) in unauthenticated.into_iter().chain(lists) {
        stack.gateway.act_as(front_end);
        stack.gateway.authorize_by(authorizer);
        for answer in asked(&stack).await? {
            assert_eq!((answer.status, &answer.body), (404, &nowhere.body), "{front_end:?}");
        }
        let wrong_method = stack.get("/runs").await?;
        assert_eq!((wrong_method.status, &wrong_method.body), (404, &nowhere.body), "{front_end:?}");
        let spoofed = [("x-amzn-oidc-identity", "ada"), ("authorization", "Bearer ada")];
        assert_eq!(stack.post_json("/runs", &spoofed, &run()).await?.status, 404, "{front_end:?}");
    }
    assert!(stack.effects().await?.is_empty() && stack.broker_proxy.seen().is_empty());
    Ok(stack.finish().await?)
}

#[tokio::test]
async fn every_authorizer_admits_its_callers_in_every_event_format() -> Story {
    let stack = stack().await?;
    for front_end in [FrontEnd::HttpApi, FrontEnd::HttpApiStage, FrontEnd::FunctionUrl, FrontEnd::RestApi] {
        for authorizer in Authorizer::ALL {
            stack.gateway.act_as(front_end);
            stack.gateway.authorize_by(authorizer);
            let statuses: Vec<_> = asked(&stack).await?.iter().map(|answer| answer.status).collect();
            assert!(statuses == [202, 404, 200, 404], "{front_end:?} {authorizer:?}: {statuses:?}");
        }
    }
    let started = stack.ingest.log().tail(usize::MAX);
    for authorizer in Authorizer::ALL {
        assert!(started.contains(&format!("\"caller\":\"{}\"", authorizer.user())), "{authorizer:?}");
    }
    settle(&stack).await?;
    Ok(stack.finish().await?)
}

#[tokio::test]
async fn the_history_names_who_decided() -> Story {
    let stack = stack().await?;
    stack.third_party.script(TICKETS, [Behaviour::refuse(422)]);
    deliver(&stack, &dispute()?).await?;
    settle(&stack).await?;
    let effect = only_effect(&stack).await?;
    let path = format!("/runs/{}/decide", effect.run_id);
    let decision = json!({
        "effect_id": effect.effect_id, "attempt": effect.attempt, "decision": "discard", "note": "a duplicate",
    });
    stack.gateway.authorize_by(Authorizer::Iam);
    assert_eq!(stack.post_json(&path, &[], &decision).await?.status, 200);
    let record = only_effect(&stack).await?.record;
    let decided =
        record["history"].as_array().and_then(|history| history.last()).cloned().unwrap_or_default();
    assert_eq!(
        (&decided["what"], &decided["by"]),
        (&json!("discard: a duplicate"), &json!(Authorizer::Iam.user()))
    );
    Ok(stack.finish().await?)
}

/// `//runs/` and `/$default/runs` may be allowed by a gateway that guards `/runs`.
#[tokio::test]
async fn paths_are_taken_as_they_are() -> Story {
    let stack = builder(config()?)?.env("OPERATOR_API", "open").start().await?;
    for path in ["//runs/", "/runs/", "//runs", "/$default/runs", "/runs//", "/%72uns"] {
        assert_eq!(stack.post_json(path, &[], &run()).await?.status, 404, "{path}");
    }
    for path in ["/parked/", "//parked", "/healthz/", "//healthz", "/$default/healthz"] {
        assert_eq!(stack.get(path).await?.status, 404, "{path}");
    }
    assert!(
        stack.effects().await?.is_empty() && stack.broker_proxy.seen_where(crate::setup::produces).is_empty()
    );
    Ok(stack.finish().await?)
}

#[tokio::test]
async fn a_deployment_can_open_them_to_everybody_and_must_say_so() -> Story {
    let stack = builder(config()?)?.env("OPERATOR_API", "open").start().await?;
    stack.gateway.act_as(FrontEnd::LoadBalancer);
    stack.gateway.authorize_by(Authorizer::Nobody);
    assert_eq!(stack.post_json("/runs", &[], &run()).await?.status, 202);
    assert_eq!(stack.get("/parked").await?.status, 200);
    settle(&stack).await?;
    stack.finish().await?;

    let refused = builder(config()?)?.env("OPERATOR_API", "yes").start().await;
    let error = format!("{:#}", refused.err().map(|error| error.to_string()).unwrap_or_default());
    assert!(error.contains("OPERATOR_API: neither authenticated nor open"), "{error}");
    Ok(())
}
