//! The whole protocol: two jobs and two runners, every order of every step.

use protocol_model::{SUITE, check};

#[test]
fn no_order_of_steps_and_faults_breaks_a_promise() {
    for config in SUITE {
        let outcome = check(*config);
        println!(
            "{:<16} {:>9} states, {:>3} steps deep, {:?}",
            config.name, outcome.states, outcome.depth, outcome.took
        );
        if let Some(violation) = outcome.violations.first() {
            panic!(
                "`{}` breaks `{}`:\n{:#?}",
                config.name, violation.property, violation.steps
            );
        }
        // A model in which nothing happens has no violation either.
        assert!(
            outcome.states > 1000 && outcome.depth > 20,
            "`{}` explores too little",
            config.name
        );
    }
}
