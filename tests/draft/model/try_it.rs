use super::{checker::check, world::*};

fn go(name: &str, world: World) {
    let c = check(&world);
    println!("== {name}: {} states {} steps depth {} {:?}", c.states, c.steps, c.depth, c.time);
    if let Some((what, way)) = c.counterexample {
        println!("  !! {what} ({})", way.len());
        for action in way {
            println!("    {action:?}");
        }
    }
}

#[test]
fn explore() {
    let f = Faults::default();
    let r = Rules::AS_BUILT;
    let w = World::new(Policy::Park);
    go(
        "acks_in_order",
        World {
            faults: Faults { crashes: 1, restarts: 1, ..f },
            rules: Rules { acks_in_order: false, ..r },
            ..w
        },
    );
    go(
        "first_acks_held",
        World {
            faults: Faults { crashes: 1, restarts: 1, ..f },
            rules: Rules { first_acks_held: false, ..r },
            ..w
        },
    );
    go(
        "writes_fenced",
        World {
            faults: Faults { renewals_fail: 1, ..f },
            rules: Rules { writes_fenced: false, ..r },
            topic: &[0, 0],
            ..w
        },
    );
    go(
        "expired_is_in_doubt",
        World {
            faults: Faults { crashes: 1, ..f },
            rules: Rules { expired_is_in_doubt: false, ..r },
            topic: &[0, 0],
            ..w
        },
    );
    go(
        "one_stream",
        World {
            faults: Faults { restarts: 1, ..f },
            rules: Rules { one_stream: false, ..r },
            topic: &[0, 1],
            ..w
        },
    );
    go(
        "acks_end_with_stream",
        World {
            faults: Faults { crashes: 1, restarts: 1, cuts: 1, ..f },
            rules: Rules { acks_end_with_stream: false, ..r },
            topic: &[0, 1],
            ..w
        },
    );
    go(
        "held_is_watched",
        World {
            faults: Faults { unanswered: 1, ..f },
            rules: Rules { held_is_watched: false, ..r },
            topic: &[0, 0],
            ..w
        },
    );
    let s = World {
        policy: Policy::SameKey,
        topic: &[0, 0],
        window: Some((3, 4)),
        faults: Faults { crashes: 1, unanswered: 1, ..f },
        ..w
    };
    go("window ok", s);
    go("window_kept", World { rules: Rules { window_kept: false, ..r }, ..s });
    go("window no slack", World { window: Some((3, 3)), ..s });
    let two =
        World { topic: &[0, 0], max_attempts: 2, faults: Faults { renewals_fail: 1, crashes: 1, ..f }, ..w };
    let three = World { faults: Faults { renewals_fail: 1, crashes: 1, unanswered: 1, ..f }, ..two };
    let closed = Rules { stream_given_up_in_time: true, ..r };
    go("three as built", three);
    go("three closed", World { rules: closed, ..three });
    go("three closed, due", World { rules: Rules { claims_stay_due: true, ..closed }, ..three });
    go("three due", World { rules: Rules { claims_stay_due: true, ..r }, ..three });

    for policy in [Policy::Park, Policy::SameKey, Policy::LookUp] {
        go(&format!("two at work {policy:?}"), World { policy, ..two });
        go(&format!("two at work, skew 2 {policy:?}"), World { policy, skew: LEASE, ..two });
        go(&format!("late {policy:?}"), World { policy, lands_late: true, ..two });
    }
    go(
        "late rests",
        World { policy: Policy::LookUp, lands_late: true, rules: Rules { doubt_rests: true, ..r }, ..two },
    );
    go("stream skew 3", World { skew: 3, faults: Faults { restarts: 1, ..f }, topic: &[0, 1], ..w });
    let f1 =
        World { faults: Faults { renewals_fail: 1, unanswered: 1, restarts: 1, ..f }, topic: &[0, 1], ..w };
    go("F1 as built", f1);
    go(
        "F1 crash as built",
        World { faults: Faults { renewals_fail: 1, crashes: 1, restarts: 1, ..f }, ..f1 },
    );
    go("F1 fixed", World { rules: Rules { stream_given_up_in_time: true, ..r }, ..f1 });
    go(
        "F1 fixed crash",
        World {
            faults: Faults { renewals_fail: 1, crashes: 1, restarts: 1, ..f },
            rules: Rules { stream_given_up_in_time: true, ..r },
            ..f1
        },
    );
    let f3 = World { faults: Faults { half_open: 1, restarts: 1, ..f }, topic: &[0, 1], ..w };
    go("half open", f3);
    let j = Rules { journal: true, ..r };
    go("half open journal", World { rules: j, ..f3 });
    let f4 = World { faults: Faults { wipes: 1, crashes: 1, ..f }, topic: &[0, 0], ..w };
    go("wipe", f4);
    go("wipe journal", World { rules: j, ..f4 });
    go("wipe journal 3", World { rules: j, topic: &[0, 1, 0], ..f4 });
    go(
        "journal, no order",
        World {
            rules: Rules { acks_in_order: false, first_acks_held: false, one_stream: false, ..j },
            faults: Faults { restarts: 1, ..f },
            topic: &[0, 1],
            ..f4
        },
    );
}
