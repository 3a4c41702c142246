//! Which plots there are, and their files.

use super::{
    axis::Scale,
    chart::Chart,
    lines::{Stroke, rates_by_case, rates_over_time},
    measured::Measured,
};
use anyhow::{Context, Result};
use std::{fs, io, path::Path};

/// Draws what is in a folder's `results.json` into SVG files beside it.
///
/// A plot without data is not written, and if there is one of an earlier run it is removed: it would be taken
/// for one of these results.
pub fn draw(folder: &Path) -> Result<()> {
    for (name, chart) in charts(&Measured::read(folder)?)? {
        let path = folder.join(format!("{name}.svg"));
        let written = if chart.lines.is_empty() {
            fs::remove_file(&path).or_else(|error| match error.kind() {
                io::ErrorKind::NotFound => Ok(()),
                _ => Err(error),
            })
        } else {
            let svg = chart
                .svg()
                .with_context(|| format!("failed to draw the plot `{name}`"))?;
            println!("drawn: {}", path.display());
            fs::write(&path, svg)
        };
        written.with_context(|| format!("failed to write {}", path.display()))?;
    }
    Ok(())
}

fn charts(measured: &Measured) -> Result<[(&'static str, Chart); 4]> {
    let sizes = measured.sizes()?;
    // One channel is one in a small run too.
    let scaled = |number| if number == 1 { 1 } else { sizes.scaled(number) };
    let how = format!(
        "median; rounds: {}; sizes: {}",
        measured.about("rounds")?,
        measured.about("sizes")?
    );
    let by_case = |scenario, x_label, measured_at: &dyn Fn(usize) -> usize| Chart {
        caption: format!("Drain rate by {scenario} ({how})"),
        x_label,
        scale: Scale::Logarithmic,
        lines: rates_by_case(measured, scenario, measured_at),
    };
    let pins = [("not pinned", Stroke::Faint), ("pinned", Stroke::Full)];
    let over_time = Chart {
        caption: format!("Rate with and without a pin ({how})"),
        x_label: "seconds",
        scale: Scale::Linear,
        lines: rates_over_time(measured, "pin", &pins),
    };
    Ok([
        ("backlog", by_case("backlog", "jobs", &scaled)),
        ("channels", by_case("channels", "channels", &scaled)),
        (
            "processes",
            by_case("processes", "processes", &|processes| processes),
        ),
        ("pin", over_time),
    ])
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;
    use std::{env, process};

    #[test]
    fn a_plot_names_its_systems_and_one_without_data_is_not_written() {
        let folder = env::temp_dir().join(format!("sqlxmq-plots-{}", process::id()));
        fs::create_dir_all(&folder).expect("a folder");
        let sample = |case, system, rate| {
            json!({ "scenario": "backlog", "case": case, "system": system, "round": 1,
                "figures": { "rate": rate }, "series": [] })
        };
        let results = json!({
            "about": { "rounds": "1", "sizes": "full", "jobs per run": "100000" },
            "samples": [
                sample("100k", "sqlxmq", 90_000.0),
                sample("1M", "sqlxmq", 80_000.0),
                sample("100k", "graphile_worker", 60_000.0),
            ],
            "failures": [],
        });
        fs::write(folder.join("results.json"), results.to_string()).expect("results");
        fs::write(folder.join("pin.svg"), "of an earlier run").expect("a plot");

        draw(&folder).expect("plots");

        let mut files: Vec<_> = fs::read_dir(&folder)
            .expect("the folder")
            .map(|file| file.expect("a file").file_name())
            .collect();
        files.sort();
        let svg = fs::read_to_string(folder.join("backlog.svg")).expect("the plot");
        fs::remove_dir_all(&folder).expect("the folder");
        assert_eq!(files, ["backlog.svg", "results.json"]);
        for text in [
            "sqlxmq",
            "graphile_worker",
            "jobs a second",
            "100k",
            "1M",
            "</svg>",
        ] {
            assert!(svg.contains(text), "there is no {text} in {svg}");
        }
    }
}
