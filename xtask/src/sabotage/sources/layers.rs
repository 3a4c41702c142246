//! Layers around every job.

use super::Source;

pub const ROWS: &[Source] = &[
    Source {
        name: "layers",
        without: "a job runs without what guards it, counts it, or provides its context",
        patch: &[(
            "runner/dispatch.rs",
            "Next::first(registry, named).run(job).await",
            "let _ = Next::first(Arc::clone(&registry), named);\n    run_function(named, registry, job).await",
        )],
        turns_red: &[
            "layers_see_the_job_and_every_way_an_attempt_can_end",
            "a_layer_ends_an_attempt_without_running_its_function",
            "a_layer_provides_context_for_one_attempt_ahead_of_the_registrys",
        ],
    },
    Source {
        name: "order of layers",
        without: "the layer that was to see everything is inside of those that end attempts",
        patch: &[(
            "registry/job_registry.rs",
            "self.layers.get(place)",
            "self.layers.iter().rev().nth(place)",
        )],
        turns_red: &[
            "the_layer_added_first_is_called_first_and_sees_the_end_last",
            "a_panic_of_an_inner_layer_is_an_end_for_the_outer_one",
        ],
    },
    Source {
        name: "timeout inside of layers",
        without: "a job that has run into its timeout goes on",
        patch: &[(
            "runner/dispatch.rs",
            "match named.policy().timeout {",
            "match named.policy().timeout.filter(|_| false) {",
        )],
        turns_red: &["layers_see_that_a_job_has_run_into_its_timeout"],
    },
    Source {
        name: "end that a layer gives",
        without: "an attempt that a layer has failed is completed",
        patch: &[(
            "job/layer.rs",
            "self.unwrap_or_else(|error| JobEnd::of_owner(Err(error.into())))",
            "self.unwrap_or_else(|_| JobEnd::of_owner(Ok(())))",
        )],
        turns_red: &["a_layer_ends_an_attempt_without_running_its_function"],
    },
];
