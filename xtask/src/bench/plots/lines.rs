//! From samples to the lines of a chart: medians over the rounds. No drawing here.

use super::measured::Measured;
use crate::bench::{series::rates_by_second, statistics::Summary};
use std::collections::BTreeMap;

/// What a line looks like beside the others of its system.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Stroke {
    Full,
    Faint,
}

/// One line of a chart.
#[derive(Clone, Debug, PartialEq)]
pub struct Line {
    pub name: String,
    /// The place of its system among all systems.
    pub system: usize,
    pub stroke: Stroke,
    /// (x, jobs a second), x ascending.
    pub points: Vec<(f64, f64)>,
}

/// The rate by the number that a case is named after, one line per system. `measured_at` makes of it the one
/// that was measured: a small run has the cases of a full one, scaled down.
pub fn rates_by_case(measured: &Measured, scenario: &str, measured_at: impl Fn(usize) -> usize) -> Vec<Line> {
    let line = |(place, system): (usize, &str)| {
        let mut rates: BTreeMap<usize, Vec<f64>> = BTreeMap::new();
        for sample in measured.samples_of(scenario, system) {
            if let (Some(number), Some(rate)) = (number_of(&sample.case), sample.figures.get("rate")) {
                rates.entry(measured_at(number)).or_default().push(*rate);
            }
        }
        Line {
            name: system.to_owned(),
            system: place,
            stroke: Stroke::Full,
            points: medians(rates.into_iter().map(|(x, rates)| (x as f64, rates))),
        }
    };
    let lines = measured.systems().into_iter().enumerate().map(line);
    lines.filter(|line| !line.points.is_empty()).collect()
}

/// The rate of each second, one line per system and case.
pub fn rates_over_time(measured: &Measured, scenario: &str, cases: &[(&str, Stroke)]) -> Vec<Line> {
    let mut lines = Vec::new();
    for (place, system) in measured.systems().into_iter().enumerate() {
        for (case, stroke) in cases {
            let samples = measured.samples_of(scenario, system);
            let rounds: Vec<Vec<f64>> = samples
                .filter(|sample| sample.case == *case)
                .map(|sample| rates_by_second(&sample.series))
                .collect();
            let seconds = rounds.iter().map(Vec::len).max().unwrap_or(0);
            // A round that was a little shorter than the others says nothing of their last second.
            let of_second = |second: usize| rounds.iter().filter_map(move |rates| rates.get(second).copied());
            let points = medians((0..seconds).map(|second| (second as f64 + 0.5, of_second(second))));
            if !points.is_empty() {
                lines.push(Line {
                    name: format!("{system}, {case}"),
                    system: place,
                    stroke: *stroke,
                    points,
                });
            }
        }
    }
    lines
}

fn medians<Rates: IntoIterator<Item = f64>>(by_x: impl Iterator<Item = (f64, Rates)>) -> Vec<(f64, f64)> {
    by_x.filter_map(|(x, rates)| Some((x, Summary::of(rates)?.median)))
        .collect()
}

/// `300k` is 300,000. `None` if a case has another name than a number.
fn number_of(case: &str) -> Option<usize> {
    let (digits, unit) = match case.strip_suffix('k') {
        Some(digits) => (digits, 1_000),
        None => case
            .strip_suffix('M')
            .map_or((case, 1), |digits| (digits, 1_000_000)),
    };
    Some(digits.parse::<usize>().ok()? * unit)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};

    fn measured(samples: &[Value]) -> Measured {
        serde_json::from_value(json!({ "about": {}, "samples": samples, "failures": [] })).expect("results")
    }

    fn drained(case: &str, system: &str, rate: f64) -> Value {
        json!({ "scenario": "backlog", "case": case, "system": system, "round": 1,
            "figures": { "rate": rate }, "series": [] })
    }

    fn produced(case: &str, series: &[(f64, f64)]) -> Value {
        json!({ "scenario": "pin", "case": case, "system": "sqlxmq", "round": 1,
            "figures": {}, "series": series })
    }

    #[test]
    fn a_point_is_the_median_of_its_rounds_at_the_number_of_its_case() {
        let measured = measured(&[
            drained("1M", "sqlxmq", 7.0),
            drained("300k", "sqlxmq", 1.0),
            drained("300k", "sqlxmq", 9.0),
            drained("300k", "sqlxmq", 5.0),
            drained("1M", "pgmq", 3.0),
        ]);
        let lines = rates_by_case(&measured, "backlog", |jobs| jobs / 10);
        let points: Vec<_> = lines
            .iter()
            .map(|line| (line.name.as_str(), line.points.as_slice()))
            .collect();
        assert_eq!(
            points,
            [
                ("sqlxmq", [(30_000.0, 5.0), (100_000.0, 7.0)].as_slice()),
                ("pgmq", [(100_000.0, 3.0)].as_slice()),
            ]
        );
    }

    #[test]
    fn a_system_that_has_no_part_in_a_scenario_has_no_line_and_keeps_its_place() {
        let elsewhere = json!({ "scenario": "drain", "case": "1 process", "system": "River", "round": 1,
            "figures": { "rate": 1.0 }, "series": [] });
        let lines = rates_by_case(
            &measured(&[elsewhere, drained("100k", "sqlxmq", 1.0)]),
            "backlog",
            |jobs| jobs,
        );
        let places: Vec<_> = lines
            .iter()
            .map(|line| (line.name.as_str(), line.system))
            .collect();
        assert_eq!(places, [("sqlxmq", 1)]);
    }

    #[test]
    fn the_rate_of_a_second_is_the_median_of_the_rounds_that_lasted_so_long() {
        let measured = measured(&[
            produced("pinned", &[(0.0, 0.0), (1.0, 10.0), (2.0, 30.0)]),
            produced("pinned", &[(0.0, 0.0), (1.0, 20.0), (1.9, 30.0)]),
            produced("other", &[(0.0, 0.0), (1.0, 99.0)]),
        ]);
        let lines = rates_over_time(
            &measured,
            "pin",
            &[("not pinned", Stroke::Faint), ("pinned", Stroke::Full)],
        );
        assert_eq!(
            lines,
            [Line {
                name: "sqlxmq, pinned".to_owned(),
                system: 0,
                stroke: Stroke::Full,
                points: vec![(0.5, 15.0), (1.5, 20.0)],
            }]
        );
    }

    #[test]
    fn cases_are_named_in_thousands_and_millions() {
        let numbers = ["1", "100", "1k", "300k", "1M", "half load"].map(number_of);
        assert_eq!(
            numbers,
            [
                Some(1),
                Some(100),
                Some(1_000),
                Some(300_000),
                Some(1_000_000),
                None
            ]
        );
    }
}
