//! How many jobs had been handled by when, and how fast that makes it. A series begins with (0, 0).

/// Jobs handled by then, between the two looks next to it.
pub fn handled_at(series: &[(f64, f64)], seconds: f64) -> f64 {
    let after = series.partition_point(|(at, _)| *at < seconds);
    let Some(&(at, handled)) = series.get(after) else {
        return series.last().map_or(0.0, |(_, handled)| *handled);
    };
    match after.checked_sub(1).map(|before| series[before]) {
        Some((before, least)) => least + (handled - least) * (seconds - before) / (at - before),
        None => handled,
    }
}

/// Jobs handled in each whole second, the first from 0 to 1. A part of a second at the end is left out: it
/// would look like a drop.
pub fn rates_by_second(series: &[(f64, f64)]) -> Vec<f64> {
    let seconds = series.last().map_or(0.0, |(seconds, _)| seconds.floor());
    (0..seconds as usize)
        .map(|second| second as f64)
        .map(|second| handled_at(series, second + 1.0) - handled_at(series, second))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn jobs_between_two_looks_are_handled_evenly() {
        let series = [(0.0, 0.0), (1.0, 100.0), (3.0, 500.0)];
        let handled = [0.0, 0.5, 1.0, 2.0, 3.0, 9.0].map(|seconds| handled_at(&series, seconds));
        assert_eq!(handled, [0.0, 50.0, 100.0, 300.0, 500.0, 500.0]);
    }

    #[test]
    fn a_rate_is_the_jobs_of_a_whole_second() {
        let series = [(0.0, 0.0), (0.5, 10.0), (1.5, 30.0), (2.5, 100.0)];
        assert_eq!(rates_by_second(&series), [20.0, 45.0]);
        assert_eq!(rates_by_second(&series[..2]), [0.0; 0]);
        assert_eq!(rates_by_second(&[]), [0.0; 0]);
    }
}
