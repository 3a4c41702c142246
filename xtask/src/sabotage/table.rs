//! Which mechanism holds what: each row takes one away, and names the tests that must notice.

/// A mechanism, how it is taken away, and what must turn red then.
pub struct Mechanism {
    /// Two or three words for the report.
    pub name: &'static str,
    /// What goes wrong without it.
    pub without: &'static str,
    /// How it is taken away.
    pub patch: Patch,
    /// The tests that must fail, by the last part of their path.
    pub turns_red: &'static [&'static str],
}

/// A piece of a function's text replaced by another. It is an error if the function no longer has it.
pub struct Patch {
    /// The function, all of whose overloads are looked at.
    pub function: &'static str,
    /// What its definition contains, as `pg_get_functiondef` prints it.
    pub from: &'static str,
    /// What it contains then.
    pub to: &'static str,
}

/// All of them.
pub const MECHANISMS: &[Mechanism] = &[
    Mechanism {
        name: "skip locked",
        without: "claims wait for each other's rows",
        patch: Patch {
            function: "mq_pick_by_name",
            from: "for update skip locked",
            to: "for update",
        },
        turns_red: &[],
    },
    Mechanism {
        name: "ordered channel lock",
        without: "two claimers start two jobs of one ordered channel",
        patch: Patch {
            function: "mq_take_turns",
            from: "where pg_try_advisory_xact_lock(mq_lock_base() # c.channel_key)",
            to: "where true",
        },
        turns_red: &[],
    },
];
