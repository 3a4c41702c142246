//! The x axis of a chart: where a number lies on it, and which are written below it.

use plotters::coord::{
    ranged1d::{BoldPoints, KeyPointHint, NoDefaultFormatting, Ranged, ValueFormatter},
    types::RangedCoordf64,
};
use std::ops::Range;

/// How numbers are spread over an axis.
#[derive(Clone, Copy)]
pub enum Scale {
    /// From zero, with round numbers below it.
    Linear,
    /// With the numbers below it that were measured.
    Logarithmic,
}

/// An axis of numbers, whole or not.
pub struct XAxis {
    scale: Scale,
    range: Range<f64>,
    ticks: Vec<f64>,
}

impl XAxis {
    /// One on which there is room for all `numbers`.
    pub fn of(scale: Scale, numbers: impl Iterator<Item = f64>) -> Self {
        let mut ticks: Vec<f64> = numbers.collect();
        ticks.sort_by(f64::total_cmp);
        ticks.dedup();
        let lowest = ticks.first().copied().unwrap_or(1.0);
        let highest = ticks.last().copied().unwrap_or(1.0);
        match scale {
            Scale::Linear => Self {
                scale,
                range: 0.0..highest,
                ticks: RangedCoordf64::from(0.0..highest).key_points(BoldPoints(10)),
            },
            Scale::Logarithmic => {
                // Beside the first and the last point, also if that is one and the same.
                let room = (highest / lowest).powf(0.05).max(1.1);
                Self {
                    scale,
                    range: lowest / room..highest * room,
                    ticks,
                }
            }
        }
    }

    /// How far a number is on the way from one end to the other.
    fn share(&self, number: f64) -> f64 {
        let Range { start, end } = self.range;
        match self.scale {
            Scale::Linear => (number - start) / (end - start),
            Scale::Logarithmic => (number / start).ln() / (end / start).ln(),
        }
    }
}

impl Ranged for XAxis {
    type FormatOption = NoDefaultFormatting;
    type ValueType = f64;

    fn map(&self, number: &f64, (left, right): (i32, i32)) -> i32 {
        left + (self.share(*number) * f64::from(right - left)).round() as i32
    }

    fn key_points<Hint: KeyPointHint>(&self, _: Hint) -> Vec<f64> {
        self.ticks.clone()
    }

    fn range(&self) -> Range<f64> {
        self.range.clone()
    }
}

impl ValueFormatter<f64> for XAxis {
    fn format_ext(&self, number: &f64) -> String {
        short(*number)
    }
}

/// A number as it stands at an axis: `1.5k`.
pub fn short(number: f64) -> String {
    let (unit, name) = match number {
        number if number >= 1e6 => (1e6, "M"),
        number if number >= 1e3 => (1e3, "k"),
        _ => (1.0, ""),
    };
    format!("{}{name}", (number / unit * 100.0).round() / 100.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_axis_has_short_numbers() {
        let numbers = [0.0, 8.0, 250.0, 1_000.0, 1_500.0, 300_000.0, 1_000_000.0].map(short);
        assert_eq!(numbers, ["0", "8", "250", "1k", "1.5k", "300k", "1M"]);
    }

    #[test]
    fn doublings_are_equally_far_apart_on_a_logarithmic_axis() {
        let axis = XAxis::of(Scale::Logarithmic, [1.0, 8.0, 2.0, 4.0, 1.0].into_iter());
        assert_eq!(axis.key_points(BoldPoints(2)), [1.0, 2.0, 4.0, 8.0]);
        let places = [1.0, 2.0, 4.0, 8.0].map(|number| axis.map(&number, (0, 330)));
        assert_eq!(places, [15, 115, 215, 315]);
    }

    #[test]
    fn a_single_number_lies_in_the_middle_of_a_logarithmic_axis() {
        let axis = XAxis::of(Scale::Logarithmic, [1_000.0].into_iter());
        assert_eq!(axis.map(&1_000.0, (0, 100)), 50);
    }

    #[test]
    fn a_linear_axis_begins_at_zero() {
        let axis = XAxis::of(Scale::Linear, [0.5, 59.5].into_iter());
        assert_eq!(axis.map(&0.0, (10, 110)), 10);
        assert_eq!(axis.map(&59.5, (10, 110)), 110);
    }
}
