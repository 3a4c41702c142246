//! The oldest transaction id that somebody may want to see the time before: what has died since then stays. Pure.

/// Counted modulo 2³², as PostgreSQL does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Horizon(pub(crate) u32);

impl Horizon {
    /// Whether a vacuum under this one could remove more than one under the other.
    pub(super) fn is_after(self, other: Self) -> bool {
        let ahead = self.0.wrapping_sub(other.0);
        (1..1 << 31).contains(&ahead)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_are_compared_around_the_corner() {
        for (one, other, is_after) in [
            (7, 7, false),
            (8, 7, true),
            (7, 8, false),
            (3, u32::MAX - 3, true),
        ] {
            assert_eq!(Horizon(one).is_after(Horizon(other)), is_after, "{one} {other}");
        }
    }
}
