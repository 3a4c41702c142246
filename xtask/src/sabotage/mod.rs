//! `cargo xtask sabotage`: takes one mechanism away at a time and expects named tests to turn red.
//!
//! A test that stays green without the mechanism it was written for proves nothing. The mechanism is removed from the
//! template that test databases are cloned from (`DEVPG_TEMPLATE_SQL`, read by devpg alone): shipped code has no hook.

mod table;

use crate::{report::Report, shell};
use anyhow::{Context, Result, bail};
use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::Path,
    process::Command,
};
use table::{MECHANISMS, Mechanism, Patch};

/// Take one mechanism away at a time and expect named tests to turn red
#[derive(clap::Args)]
pub struct Arguments {
    /// List the mechanisms.
    #[arg(long)]
    list: bool,
    /// Which ones. Default: all.
    names: Vec<String>,
}

pub fn run(arguments: &Arguments) -> Result<()> {
    let chosen: Vec<&Mechanism> = MECHANISMS
        .iter()
        .filter(|mechanism| {
            arguments.names.is_empty() || arguments.names.iter().any(|name| name == mechanism.name)
        })
        .collect();
    if chosen.len() < arguments.names.len() {
        bail!("there is no such mechanism; see --list");
    }
    if arguments.list {
        for mechanism in chosen {
            println!("{:<28} {}", mechanism.name, mechanism.without);
        }
        return Ok(());
    }
    let mut report = Report::default();
    report.command(
        "build the tests",
        &mut shell::cargo("test --workspace --no-run --quiet"),
    );
    let all: BTreeSet<&str> = chosen
        .iter()
        .flat_map(|mechanism| mechanism.turns_red)
        .copied()
        .collect();
    report.step("all of the tests are green before", || {
        let outcomes = run_tests(&all, None)?;
        expect(&all, &outcomes, "ok")
    });
    for mechanism in chosen {
        report.step(mechanism.name, || {
            let path = shell::target_dir().join(format!("sabotage-{}.sql", mechanism.name.replace(' ', "-")));
            fs::write(&path, sql(mechanism))?;
            let tests: BTreeSet<&str> = mechanism.turns_red.iter().copied().collect();
            let outcomes = run_tests(&tests, Some(&path))?;
            expect(&tests, &outcomes, "FAILED")
        });
    }
    report.finish()
}

/// The statements that take a mechanism away.
fn sql(mechanism: &Mechanism) -> String {
    let Patch { function, from, to } = mechanism.patch;
    let (from, to) = (quoted(from), quoted(to));
    format!(
        r#"-- {}
do $sabotage$
declare
  definitions text[] := array(
    select pg_get_functiondef(p.oid) from pg_proc as p
    where p.pronamespace = current_schema()::regnamespace and p.proname = '{function}');
  definition text;
  patched integer := 0;
begin
  foreach definition in array definitions loop
    continue when position({from} in definition) = 0;
    execute replace(definition, {from}, {to});
    patched := patched + 1;
  end loop;
  if patched = 0 then
    raise exception 'sabotage: {function} no longer has the text to be replaced';
  end if;
end
$sabotage$;
"#,
        mechanism.without
    )
}

fn quoted(text: &str) -> String {
    format!("$text${text}$text$")
}

/// Runs the tests by these names; returns the outcome of each that ran, by the last part of its path.
fn run_tests(names: &BTreeSet<&str>, template_sql: Option<&Path>) -> Result<BTreeMap<String, String>> {
    let mut tests: Command = shell::cargo("test --workspace --no-fail-fast --tests --");
    tests.args(names).env_remove("RUST_BACKTRACE");
    if let Some(path) = template_sql {
        tests.env("DEVPG_TEMPLATE_SQL", path);
    }
    let output = tests.output().context("failed to run the tests")?;
    let text = String::from_utf8_lossy(&output.stdout);
    if text.contains("sabotage: ") {
        bail!("the patch does not apply:\n{text}");
    }
    Ok(outcomes(&text))
}

/// Lines of libtest: `test module::name ... ok`. A test that prints has its outcome on a later line.
fn outcomes(text: &str) -> BTreeMap<String, String> {
    let mut outcomes = BTreeMap::new();
    for line in text.lines() {
        let Some((path, outcome)) = line
            .strip_prefix("test ")
            .and_then(|line| line.split_once(" ... "))
        else {
            continue;
        };
        let name = path.rsplit("::").next().unwrap_or(path);
        outcomes.insert(name.to_owned(), outcome.trim().to_owned());
    }
    outcomes
}

fn expect(names: &BTreeSet<&str>, outcomes: &BTreeMap<String, String>, wanted: &str) -> Result<()> {
    let mut complaints = Vec::new();
    for name in names {
        match outcomes.get(*name) {
            Some(outcome) if outcome == wanted => {}
            Some(outcome) => complaints.push(format!("{name} is {outcome}, not {wanted}")),
            None => complaints.push(format!("there is no test {name}")),
        }
    }
    if names.is_empty() {
        complaints.push("no test is named for it".to_owned());
    }
    if !complaints.is_empty() {
        bail!("{}", complaints.join("\n"));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::migrations;
    use devpg::TestDb;
    use sqlx::{AssertSqlSafe, Executor};

    #[test]
    fn outcomes_are_read_from_what_libtest_prints() {
        let text = "running 2 tests\ntest lease::a_b ... FAILED\ntest c ... ok\ntest result: FAILED.\n";
        let outcomes = outcomes(text);
        assert_eq!(outcomes["a_b"], "FAILED");
        assert_eq!(outcomes["c"], "ok");
        assert!(expect(&["a_b"].into(), &outcomes, "FAILED").is_ok());
        assert!(expect(&["a_b", "gone"].into(), &outcomes, "FAILED").is_err());
    }

    #[tokio::test]
    async fn every_patch_still_applies_to_the_migrations() {
        for mechanism in MECHANISMS {
            let database = TestDb::create(&migrations::migrator().await.expect("the migrations")).await;
            let applied = database.pool().execute(AssertSqlSafe(sql(mechanism))).await;
            assert!(applied.is_ok(), "{}: {applied:?}", mechanism.name);
        }
    }
}
