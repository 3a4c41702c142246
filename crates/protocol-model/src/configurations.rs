//! The configurations that are checked. One that had everything in it would be too large, so each has what one kind of fault
//! can be mixed up with.

use crate::config::{Config, Faults};

const NO_FAULTS: Faults = Config::new("", 0, 0).which;

/// Processes crash, answers get lost.
const ANSWERS: Config = Config {
    failures: true,
    which: Faults {
        crashes: true,
        lost_answers: true,
        ..NO_FAULTS
    },
    ..Config::new("answers", 0, 0)
};

/// Leases end, processes stand still, renewals come late.
const LEASES: Config = Config {
    which: Faults {
        leases: true,
        pauses: true,
        late_renewals: true,
        ..NO_FAULTS
    },
    ..Config::new("leases", 0, 0)
};

/// A runner has two jobs, answers get lost, audits come late.
const AUDITS: Config = Config {
    slots: 2,
    which: Faults {
        lost_answers: true,
        late_audits: true,
        ..NO_FAULTS
    },
    ..Config::new("audits", 0, 0)
};

/// The database crashes and forgets claims.
const DATABASE: Config = Config {
    failures: true,
    which: Faults {
        database_crashes: true,
        lost_answers: true,
        ..NO_FAULTS
    },
    ..Config::new("database", 0, 0)
};

/// The database's clock jumps, processes stand still.
const CLOCK: Config = Config {
    which: Faults {
        clock_jumps: true,
        pauses: true,
        ..NO_FAULTS
    },
    ..Config::new("clock", 0, 0)
};

/// Jobs have leases of their own, and check-point.
const OWN_LEASES: Config = Config {
    failures: true,
    checkpoints: true,
    which: Faults {
        own_leases: true,
        lost_answers: true,
        ..NO_FAULTS
    },
    ..Config::new("own leases", 0, 0)
};

/// One runner claims a job again while its older attempt still runs.
const SAME_RUNNER: Config = Config {
    name: "same runner",
    slots: 2,
    ..OWN_LEASES
};

/// Runners shut down, answers get lost.
const STOPS: Config = Config {
    which: Faults {
        stops: true,
        lost_answers: true,
        ..NO_FAULTS
    },
    ..Config::new("stops", 0, 0)
};

/// Jobs are cancelled in every state, die, are requeued and discarded.
const CANCEL: Config = Config {
    max_attempts: 1,
    failures: true,
    cancels: true,
    operators: true,
    which: Faults {
        leases: true,
        ..NO_FAULTS
    },
    ..Config::new("cancel", 0, 0)
};

/// Two-phase jobs, which may be cancelled.
const HELD: Config = Config {
    held: 0b011,
    max_attempts: 1,
    cancels: true,
    ..Config::new("held", 0, 0)
};

/// Ordered spawns overlap, leases end.
const ORDER: Config = Config {
    ordered: true,
    spawns: true,
    which: Faults {
        leases: true,
        pauses: true,
        ..NO_FAULTS
    },
    ..Config::new("order", 0, 0)
};

/// Ordered jobs fail and die, are requeued and discarded, and the database crashes.
const ORDER_RETRIES: Config = Config {
    ordered: true,
    failures: true,
    operators: true,
    which: Faults {
        database_crashes: true,
        ..NO_FAULTS
    },
    ..Config::new("order, retries", 0, 0)
};

/// Ordered jobs are cancelled, held and spawned at once.
const ORDER_CANCEL: Config = Config {
    ordered: true,
    spawns: true,
    max_attempts: 1,
    held: 0b001,
    cancels: true,
    ..Config::new("order, cancel", 0, 0)
};

/// One channel has jobs of two names, and no runner knows both.
const ORDER_NAMES: Config = Config {
    ordered: true,
    spawns: true,
    names: [0, 1, 0],
    known: [0b01, 0b10, 0b01],
    which: Faults {
        crashes: true,
        ..NO_FAULTS
    },
    ..Config::new("order, names", 0, 0)
};

/// The test suite's: two jobs, two runners.
pub const SUITE: &[Config] = &[
    ANSWERS.of(2, 2, 1),
    LEASES.of(2, 2, 2),
    AUDITS.of(2, 2, 1),
    DATABASE.of(2, 2, 1),
    CLOCK.of(2, 2, 1),
    OWN_LEASES.of(2, 2, 1),
    SAME_RUNNER.of(2, 1, 1),
    STOPS.of(2, 2, 1),
    CANCEL.of(2, 2, 0),
    HELD.of(2, 2, 0),
    ORDER.of(2, 2, 1),
    ORDER_RETRIES.of(2, 2, 1),
    ORDER_CANCEL.of(2, 2, 0),
    ORDER_NAMES.of(2, 2, 1),
];

/// `cargo xtask model`'s: three jobs and three runners, or more faults.
pub const LARGE: &[Config] = &[
    STOPS.of(3, 3, 1),
    ORDER.of(3, 3, 0),
    ORDER_NAMES.of(3, 3, 0),
    SAME_RUNNER.of(3, 1, 1),
    DATABASE.of(2, 2, 2),
    CLOCK.of(2, 2, 2),
    OWN_LEASES.of(2, 2, 2),
    STOPS.of(2, 2, 3),
    ORDER.of(2, 2, 2),
    LEASES.of(3, 3, 1),
    LEASES.of(2, 2, 3),
    ANSWERS.of(2, 2, 2),
    ANSWERS.of(3, 3, 1),
    AUDITS.of(3, 3, 1),
];
