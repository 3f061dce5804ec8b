//! Model.
mod action;
mod broker;
mod checker;
mod consumer;
mod guard;
mod state;
mod time;
mod try_it;
mod world;

use world::{Faults, Policy, World};

#[test]
fn model_try() {
    for policy in [Policy::Park, Policy::SameKey, Policy::LookUp] {
        for faults in [
            Faults::default(),
            Faults { crashes: 1, ..Faults::default() },
            Faults { crashes: 1, restarts: 1, ..Faults::default() },
            Faults { crashes: 1, restarts: 1, cuts: 1, ..Faults::default() },
            Faults { crashes: 1, restarts: 1, unanswered: 1, ..Faults::default() },
            Faults { crashes: 2, restarts: 1, ..Faults::default() },
        ] {
            let world = World { faults, ..World::new(policy) };
            let checked = checker::check(&world);
            println!(
                "{policy:?} {faults:?}: {} states {} steps depth {} {:?}",
                checked.states, checked.steps, checked.depth, checked.time
            );
            if let Some((what, way)) = checked.counterexample {
                println!("  {what}");
                for action in way {
                    println!("    {action:?}");
                }
            }
        }
    }
}
