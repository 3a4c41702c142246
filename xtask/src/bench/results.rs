//! What was measured, and its two files: a table to read and the samples for programs.

use super::{
    case::{Sizes, Which},
    programs::System,
    site::Site,
    statistics::Summary,
};
use crate::shell;
use anyhow::{Context, Result};
use serde_json::{Value, json};
use std::{collections::BTreeMap, fs, path::Path};

/// What one case has shown, by name. `rate` counts jobs a second; `*_us`, `*_ms` and `*_b` are microseconds, milliseconds and bytes, per job
/// where a job can have them.
#[derive(Clone, Debug, Default)]
pub struct Figures {
    pub figures: BTreeMap<&'static str, f64>,
    /// Jobs handled by then: (seconds, jobs).
    pub series: Vec<(f64, f64)>,
}

impl Figures {
    pub fn set(&mut self, name: &'static str, figure: f64) {
        if figure.is_finite() {
            self.figures.insert(name, figure);
        }
    }

    /// A figure that a program has told, under our name.
    pub fn set_from(&mut self, name: &'static str, told: &Value, its_name: &str) {
        if let Some(figure) = told[its_name].as_f64() {
            self.set(name, figure);
        }
    }

    pub fn line(&self) -> String {
        let figures = self
            .figures
            .iter()
            .map(|(name, figure)| format!("{name} {figure:.4}"));
        figures.collect::<Vec<_>>().join(", ")
    }
}

/// One case, once.
pub struct Sample {
    pub scenario: &'static str,
    pub case: String,
    pub system: System,
    pub round: usize,
    pub figures: Figures,
}

/// A whole run.
pub struct Results {
    /// Where and how it was measured, line by line.
    pub about: Vec<(&'static str, String)>,
    pub samples: Vec<Sample>,
    pub failures: Vec<String>,
}

impl Results {
    pub fn new(site: &Site, rounds: usize, sizes: &Sizes) -> Result<Self> {
        let commit = shell::stdout_of(&mut shell::program("git", &["describe", "--always", "--dirty"]))?;
        let processors = fs::read_to_string("/proc/cpuinfo")?;
        let processor = processors
            .lines()
            .find_map(|line| line.strip_prefix("model name")?.split_once(": "))
            .map_or("an unknown processor", |(_, name)| name);
        let cores = processors
            .lines()
            .filter(|line| line.starts_with("processor"))
            .count();
        Ok(Self {
            about: vec![
                ("commit", commit.trim().to_owned()),
                ("PostgreSQL", site.version()?),
                ("settings", Site::settings()),
                (
                    "machine",
                    format!("{cores} × {processor}, client and server on the same cores"),
                ),
                ("rounds", rounds.to_string()),
                ("jobs per run", sizes.jobs.to_string()),
                (
                    "sizes",
                    if sizes.quick {
                        "quick: these are no measurements"
                    } else {
                        "full"
                    }
                    .to_owned(),
                ),
                ("on", chrono::Utc::now().format("%Y-%m-%d %H:%M UTC").to_string()),
            ],
            samples: Vec::new(),
            failures: Vec::new(),
        })
    }

    /// A figure over all rounds.
    pub fn summary(&self, scenario: &str, which: &Which) -> Option<Summary> {
        Summary::of(self.rounds(scenario, which).into_values())
    }

    /// The ratio of two figures of the same round, over all rounds.
    pub fn ratio(&self, scenario: &str, of: &Which, to: &Which) -> Option<Summary> {
        let to = self.rounds(scenario, to);
        let of = self.rounds(scenario, of);
        Summary::of(
            of.iter()
                .filter_map(|(round, figure)| Some(figure / to.get(round)?)),
        )
    }

    fn rounds(&self, scenario: &str, (case, system, figure): &Which) -> BTreeMap<usize, f64> {
        let is_meant = |sample: &&Sample| {
            sample.scenario == scenario && sample.case == *case && sample.system == *system
        };
        let figures = self.samples.iter().filter(is_meant);
        figures
            .filter_map(|sample| Some((sample.round, *sample.figures.figures.get(figure)?)))
            .collect()
    }

    /// Writes `results.md` and `results.json`.
    pub fn write(&self, folder: &Path, text: &str) -> Result<()> {
        fs::create_dir_all(folder).with_context(|| format!("failed to make {}", folder.display()))?;
        fs::write(folder.join("results.md"), text)?;
        let samples: Vec<Value> = self.samples.iter().map(Sample::json).collect();
        let about: Value = self
            .about
            .iter()
            .map(|(name, value)| ((*name).to_owned(), json!(value)))
            .collect();
        let all = json!({ "about": about, "samples": samples, "failures": self.failures });
        fs::write(folder.join("results.json"), serde_json::to_string_pretty(&all)?)?;
        println!("written to {}", folder.display());
        Ok(())
    }
}

impl Sample {
    fn json(&self) -> Value {
        json!({
            "scenario": self.scenario,
            "case": self.case,
            "system": self.system.to_string(),
            "round": self.round + 1,
            "figures": self.figures.figures,
            "series": self.figures.series,
        })
    }
}
