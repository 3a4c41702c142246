//! Reads durations: a number of seconds, or a text as people write them.

use std::time::Duration;

const UNITS: [(&str, f64); 6] = [
    ("ms", 1e-3),
    ("s", 1.0),
    ("m", 60.0),
    ("min", 60.0),
    ("h", 3600.0),
    ("d", 86_400.0),
];

/// What a text must look like.
pub const FORM: &str = "numbers with units (`d`, `h`, `m`, `s`, `ms`), each unit once, such as `\"1h 30m\"`";

/// Reads a text such as `1h 30m`. `None`: it is no duration.
pub fn parse(text: &str) -> Option<Duration> {
    let mut seconds = 0.0;
    let mut last_unit = f64::INFINITY;
    let mut rest = text.trim();
    if rest.is_empty() {
        return None;
    }
    while !rest.is_empty() {
        let number = rest.find(|c: char| !c.is_ascii_digit() && c != '.')?;
        let amount: f64 = rest[..number].parse().ok()?;
        rest = rest[number..].trim_start();
        let unit = rest
            .find(|c: char| !c.is_ascii_alphabetic())
            .unwrap_or(rest.len());
        let (_, of_unit) = UNITS.iter().find(|(name, _)| *name == &rest[..unit])?;
        // From the largest to the smallest, so that none is there twice.
        if *of_unit >= last_unit {
            return None;
        }
        last_unit = *of_unit;
        seconds += amount * of_unit;
        rest = rest[unit..].trim_start();
    }
    Duration::try_from_secs_f64(seconds).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_are_read_as_people_write_them() {
        for (text, milliseconds) in [
            ("1h 30m", 5_400_000),
            ("1h30m", 5_400_000),
            ("90s", 90_000),
            (" 1.5h ", 5_400_000),
            ("2 d 1 min", 172_860_000),
            ("250ms", 250),
            ("1s 5ms", 1_005),
            ("0s", 0),
        ] {
            assert_eq!(parse(text), Some(Duration::from_millis(milliseconds)), "{text}");
        }
    }

    #[test]
    fn anything_else_is_none() {
        for text in [
            "",
            " ",
            "5",
            "h",
            "1x",
            "1h 2h",
            "30m 1h",
            "-1s",
            "1,5h",
            "1h and 3m",
            "1..5s",
            "1m 1min",
        ] {
            assert_eq!(parse(text), None, "{text}");
        }
    }
}
