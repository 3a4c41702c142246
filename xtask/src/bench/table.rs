//! The results as Markdown: what is asked of us first, then every figure.

use super::{
    case::{Scenario, Target, Which},
    programs::System,
    results::Results,
    statistics::Summary,
};
use std::{collections::BTreeSet, fmt::Write};

pub fn render(results: &Results, scenarios: &[Scenario]) -> String {
    let mut text = String::from("# Results of `cargo xtask bench`\n\n| | |\n|---|---|\n");
    for (name, value) in &results.about {
        line(&mut text, &[(*name).to_owned(), value.clone()]);
    }
    text.push_str("\nEach figure is the median of the rounds, with the lowest and the highest; ratios are taken round by round.\n");
    targets(&mut text, results, scenarios);
    for scenario in scenarios {
        table(&mut text, results, scenario);
    }
    if !results.failures.is_empty() {
        text.push_str("\n## Failed\n\n");
        for failure in &results.failures {
            let _ = writeln!(text, "- {failure}");
        }
    }
    text
}

fn targets(text: &mut String, results: &Results, scenarios: &[Scenario]) {
    text.push_str(
        "\n## Targets\n\n| scenario | what | target | measured | spread | |\n|---|---|---|---|---|---|\n",
    );
    for scenario in scenarios {
        for target in &scenario.targets {
            let (what, wanted, measured) = match target {
                Target::Ratio { of, to, at_least } => (
                    format!("{} / {}", spelled(of), spelled(to)),
                    format!("≥ {at_least}"),
                    results.ratio(scenario.name, of, to),
                ),
                Target::AtMost { of, bound } => (
                    spelled(of),
                    format!("≤ {bound}"),
                    results.summary(scenario.name, of),
                ),
            };
            let is_met = measured.map(|measured| match target {
                Target::Ratio { at_least, .. } => measured.median >= *at_least,
                Target::AtMost { bound, .. } => measured.median <= *bound,
            });
            let verdict = match is_met {
                Some(true) => "met",
                Some(false) => "**missed**",
                None => "not measured",
            };
            line(
                text,
                &[
                    scenario.name.to_owned(),
                    what,
                    wanted,
                    measured.map_or_else(String::new, |summary| number(summary.median)),
                    spread(measured),
                    verdict.to_owned(),
                ],
            );
        }
    }
}

fn spelled((case, system, figure): &Which) -> String {
    match system {
        System::Sqlxmq => format!("{case}: {figure}"),
        other => format!("{other}, {case}: {figure}"),
    }
}

/// One row per case and system, one column per figure that any of them has.
fn table(text: &mut String, results: &Results, scenario: &Scenario) {
    let samples = || {
        results
            .samples
            .iter()
            .filter(|sample| sample.scenario == scenario.name)
    };
    let figures: BTreeSet<&'static str> = samples()
        .flat_map(|sample| sample.figures.figures.keys().copied())
        .collect();
    if figures.is_empty() {
        return;
    }
    let mut figures: Vec<_> = figures.into_iter().collect();
    figures.sort_by_key(|figure| (*figure != "rate", *figure));
    let _ = write!(
        text,
        "\n## {}: {}\n\n| case | system |",
        scenario.name, scenario.about
    );
    for figure in &figures {
        let _ = write!(text, " {figure} |");
    }
    let has_rates = figures.contains(&"rate");
    if has_rates {
        text.push_str(" ours / theirs |");
    }
    let _ = writeln!(
        text,
        "\n|---|---|{}",
        "---|".repeat(figures.len() + usize::from(has_rates))
    );
    for case in &scenario.cases {
        let which = |system, figure: &'static str| (case.name.clone(), system, figure);
        let summaries: Vec<_> = figures
            .iter()
            .map(|&figure| results.summary(scenario.name, &which(case.system, figure)))
            .collect();
        if summaries.iter().all(Option::is_none) {
            continue;
        }
        let mut cells = vec![case.name.clone(), case.system.to_string()];
        cells.extend(summaries.into_iter().map(|summary| match summary {
            Some(summary) => format!("{} ({})", number(summary.median), spread(Some(summary))),
            None => String::new(),
        }));
        if has_rates {
            let ratio = results.ratio(
                scenario.name,
                &which(System::Sqlxmq, "rate"),
                &which(case.system, "rate"),
            );
            cells.push(match ratio {
                Some(ratio) if case.system != System::Sqlxmq => {
                    format!("{} ({})", number(ratio.median), spread(Some(ratio)))
                }
                _ => String::new(),
            });
        }
        line(text, &cells);
    }
}

fn line(text: &mut String, cells: &[String]) {
    let _ = writeln!(text, "| {} |", cells.join(" | "));
}

fn spread(summary: Option<Summary>) -> String {
    summary.map_or_else(String::new, |summary| {
        format!("{} to {}", number(summary.lowest), number(summary.highest))
    })
}

/// Three digits that say something, and thousands apart.
fn number(figure: f64) -> String {
    match figure.abs() {
        size if size >= 10_000.0 => format!("{:.0}k", figure / 1e3),
        size if size >= 1_000.0 => format!("{:.1}k", figure / 1e3),
        size if size >= 100.0 => format!("{figure:.0}"),
        size if size >= 10.0 => format!("{figure:.1}"),
        _ => format!("{figure:.2}"),
    }
}

#[cfg(test)]
mod tests {
    use super::number;

    #[test]
    fn numbers_have_the_digits_that_say_something() {
        let numbers = [123_456.0, 1_234.0, 123.4, 12.34, 1.234, 0.0].map(number);
        assert_eq!(numbers, ["123k", "1.2k", "123", "12.3", "1.23", "0.00"]);
    }
}
