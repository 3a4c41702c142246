//! When a table is worth a vacuum, and when a rewrite. Pure.

use crate::store::compact::TableSeen;

/// When a table is worth a vacuum, and when a rewrite.
#[derive(Debug, Clone)]
pub(crate) struct Bounds {
    /// So many dead rows are worth a vacuum, if they are more than the live ones: then it costs less than writing them did.
    dead_rows: i64,
    /// Below this a table is small, whatever is in it.
    small_bytes: i64,
    /// How many times as large as what is in it a table may be.
    spare: i64,
    /// What a rewrite has to copy: some 100,000 jobs, half a second.
    copied_bytes: i64,
}

impl Default for Bounds {
    fn default() -> Self {
        Self {
            dead_rows: 50_000,
            small_bytes: 64 << 20,
            spare: 4,
            copied_bytes: 128 << 20,
        }
    }
}

/// More than a row takes with its index entries, whose pages may be half full: what is larger than some 2 kB is in the TOAST table. So
/// no table is oversized after a rewrite, and none is rewritten again and again.
const ROW_BYTES: i64 = 1024;

/// As much as a row of a TOAST table has at most.
const TOAST_ROW_BYTES: i64 = 2048;

impl Bounds {
    /// Whether most of its rows are dead, and many.
    pub(crate) fn is_littered(&self, table: &TableSeen) -> bool {
        let is_littered = |live, dead| dead >= self.dead_rows && dead > live;
        is_littered(table.live, table.dead) || is_littered(table.toast_live, table.toast_dead)
    }

    /// Whether it is far larger than what is in it, which can be rewritten in a moment.
    ///
    /// Dead rows count: those that a vacuum had to leave are copied as well.
    pub(crate) fn is_oversized(&self, table: &TableSeen) -> bool {
        let needed = (table.live + table.dead)
            .saturating_mul(ROW_BYTES)
            .saturating_add((table.toast_live + table.toast_dead).saturating_mul(TOAST_ROW_BYTES));
        table.bytes >= self.small_bytes && table.bytes / self.spare > needed && needed <= self.copied_bytes
    }

    /// Whether there is anything to do that this role may do.
    pub(crate) fn is_due(&self, table: &TableSeen) -> bool {
        table.is_ours && (self.is_littered(table) || self.is_oversized(table))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MB: i64 = 1 << 20;

    fn table() -> TableSeen {
        TableSeen {
            name: "mq_jobs".to_owned(),
            is_ours: true,
            live: 1000,
            dead: 0,
            toast_live: 0,
            toast_dead: 0,
            vacuums: 0,
            bytes: 200 * MB,
        }
    }

    #[test]
    fn a_table_is_vacuumed_when_most_of_its_rows_are_dead_and_many() {
        let bounds = Bounds::default();
        let littered = |live, dead| {
            bounds.is_littered(&TableSeen {
                live,
                dead,
                ..table()
            })
        };
        assert!(littered(1000, 50_000));
        assert!(!littered(1000, 49_999));
        assert!(!littered(50_000, 50_000));
        let toast = TableSeen {
            toast_dead: 50_000,
            ..table()
        };
        assert!(bounds.is_littered(&toast));
    }

    #[test]
    fn a_table_is_rewritten_when_it_is_large_and_what_is_in_it_little() {
        let bounds = Bounds::default();
        assert!(bounds.is_oversized(&table()));
        let well = [
            // Small anyway.
            TableSeen {
                live: 0,
                bytes: 63 * MB,
                ..table()
            },
            // A quarter full.
            TableSeen {
                live: 50 * 1024,
                ..table()
            },
            // Its dead rows are still needed by somebody.
            TableSeen {
                dead: 50 * 1024,
                ..table()
            },
            TableSeen {
                toast_live: 25 * 1024,
                ..table()
            },
        ];
        for table in well {
            assert!(!bounds.is_oversized(&table), "{table:?}");
        }
    }

    #[test]
    fn a_table_is_not_rewritten_if_that_would_take_long() {
        let bounds = Bounds::default();
        let huge = TableSeen {
            bytes: 4096 * MB,
            ..table()
        };
        assert!(bounds.is_oversized(&huge));
        assert!(!bounds.is_oversized(&TableSeen {
            live: 129 * 1024,
            ..huge
        }));
    }

    #[test]
    fn a_table_of_somebody_else_is_left_alone() {
        let bounds = Bounds::default();
        assert!(bounds.is_due(&table()));
        assert!(!bounds.is_due(&TableSeen {
            is_ours: false,
            ..table()
        }));
    }
}
