//! Bounds and defaults. The schema's CHECKs hold the same bounds; a value changed here is changed there too.

use std::time::Duration;

/// How many times a failed job is tried again unless its builder says otherwise: 4, as in sqlxmq 0.6.
pub const DEFAULT_RETRIES: u32 = 4;

/// The wait before the first retry unless the builder says otherwise: 1 s. It doubles with each retry.
pub const DEFAULT_RETRY_BACKOFF: Duration = Duration::from_secs(1);

/// The longest wait between two attempts unless the builder says otherwise: 1 h, so that a fixed bug is noticed
/// within the hour.
pub const DEFAULT_MAX_BACKOFF: Duration = Duration::from_secs(60 * 60);

/// The bytes a job's payload may have (JSON and binary together) unless the builder says otherwise: 1 MiB. A
/// larger thing belongs in a table of its own, with its key in the payload.
pub const DEFAULT_PAYLOAD_LIMIT: usize = 1024 * 1024;

/// The bytes a job's payload may have whatever its builder says: 256 MiB. PostgreSQL refuses values of 1 GiB, and
/// needs room for several copies of one on its way in and out.
pub const MAX_PAYLOAD_BYTES: usize = 256 * 1024 * 1024;

/// The bytes all jobs of one [`spawn_all`](crate::spawn_all) may have together: 512 MiB. They travel as one message,
/// which PostgreSQL refuses from 1 GiB on.
pub const MAX_BATCH_BYTES: usize = 512 * 1024 * 1024;

/// The bytes a job's name may have: 1024. It may not be empty.
pub const MAX_NAME_BYTES: usize = 1024;

/// The bytes a channel's name may have: 1024.
pub const MAX_CHANNEL_NAME_BYTES: usize = 1024;

/// The bytes a channel's arguments may have: 16 KiB.
pub const MAX_CHANNEL_ARGS_BYTES: usize = 16 * 1024;

/// How many retries a job may have: 1,000,000. "For ever" is spelled by a number that ends.
pub const MAX_RETRIES: u32 = 1_000_000;

/// The longest delay, backoff or commit interval: 100 years of 360 days, which is what PostgreSQL takes
/// `interval '100 years'` for when it compares. Added to any clock of today it is still a timestamp.
pub const MAX_DURATION: Duration = Duration::from_secs(100 * 360 * 24 * 60 * 60);
