//! What `results.json` says. Read as far as it is drawn; the rest of it is skipped.

use crate::bench::case::Sizes;
use anyhow::{Context, Result};
use serde::Deserialize;
use std::{collections::BTreeMap, fs, path::Path};

/// A whole run, as it was written.
#[derive(Deserialize)]
pub struct Measured {
    about: BTreeMap<String, String>,
    pub samples: Vec<Sample>,
}

/// One case, once.
#[derive(Deserialize)]
pub struct Sample {
    pub scenario: String,
    pub case: String,
    pub system: String,
    pub figures: BTreeMap<String, f64>,
    pub series: Vec<(f64, f64)>,
}

impl Measured {
    pub fn read(folder: &Path) -> Result<Self> {
        let path = folder.join("results.json");
        let text = fs::read_to_string(&path).with_context(|| format!("failed to read {}", path.display()))?;
        serde_json::from_str(&text).with_context(|| format!("failed to understand {}", path.display()))
    }

    /// How it was measured, by the names of the table's head.
    pub fn about(&self, what: &str) -> Result<&str> {
        let text = self.about.get(what);
        text.map(String::as_str)
            .with_context(|| format!("the results do not say their {what}"))
    }

    /// The sizes of the run. Cases bear the names of a full one.
    pub fn sizes(&self) -> Result<Sizes> {
        let jobs = self.about("jobs per run")?.parse();
        let jobs = jobs.context("the jobs per run are no number")?;
        Ok(Sizes::new(false, Some(jobs), None))
    }

    /// All systems. A system has the same place in every plot, and so the same colour.
    pub fn systems(&self) -> Vec<&str> {
        let mut systems = Vec::new();
        for sample in &self.samples {
            if !systems.contains(&sample.system.as_str()) {
                systems.push(&sample.system);
            }
        }
        systems
    }

    /// What a system has shown in a scenario.
    pub fn samples_of<'a>(&'a self, scenario: &'a str, system: &'a str) -> impl Iterator<Item = &'a Sample> {
        self.samples
            .iter()
            .filter(move |sample| sample.scenario == scenario && sample.system == system)
    }
}
