//! `cargo xtask sabotage`: takes one mechanism away at a time and expects named tests to turn red.
//!
//! A test that stays green without the mechanism it was written for proves nothing. The mechanism is removed from the
//! template that test databases are cloned from (`DEVPG_TEMPLATE_SQL`, read by devpg alone): shipped code has no hook. What
//! Rust holds is removed from a copy of the checkout.

mod copy;
mod functions;
mod sources;

use crate::{report::Report, shell};
use anyhow::{Context, Result, bail};
use copy::Copy;
pub use functions::Mechanism;
use sources::Source;
use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    os::unix::process::CommandExt,
    path::{Path, PathBuf},
    process::{Command, Stdio},
    thread,
    time::{Duration, Instant},
};

/// The tests of the core, and those that run jobs of `#[job]`.
const TESTS: &str = "test --package sqlxmq_core --package sqlxmq --lib --test it";
/// A test that waits for ever is red too. libtest names it after 60 seconds; then it is killed, late enough for a busy machine.
const TIMEOUT: Duration = Duration::from_secs(120);
/// All of the tests of all rows take longer.
const TIMEOUT_OF_ALL: Duration = Duration::from_secs(600);
const GREEN: &str = "ok";
const RED: &str = "FAILED";
const HUNG: &str = "hung";

/// Take one mechanism away at a time and expect named tests to turn red
#[derive(clap::Args)]
pub struct Arguments {
    /// List the mechanisms.
    #[arg(long)]
    list: bool,
    /// Run all tests for each and list those that turn red, to choose from.
    #[arg(long)]
    find: bool,
    /// Which ones. Default: all.
    names: Vec<String>,
}

pub fn run(arguments: &Arguments) -> Result<()> {
    let is_chosen = |name: &str| arguments.names.is_empty() || arguments.names.iter().any(|n| n == name);
    let chosen: Vec<&Mechanism> = functions::all().filter(|row| is_chosen(row.name)).collect();
    let sources: Vec<&Source> = sources::all().filter(|row| is_chosen(row.name)).collect();
    if chosen.len() + sources.len() < arguments.names.len() {
        bail!("there is no such mechanism; see --list");
    }
    if arguments.list {
        for mechanism in chosen {
            println!("{:<28} {}", mechanism.name, mechanism.without);
        }
        for source in sources {
            println!("{:<28} {}", source.name, source.without);
        }
        return Ok(());
    }
    let mut report = Report::default();
    report.command(
        "build the tests",
        &mut shell::cargo(&format!("{TESTS} --no-run --quiet")),
    );
    if arguments.find {
        for mechanism in chosen {
            report.step(mechanism.name, || find(mechanism));
        }
        if !sources.is_empty() {
            let copy = Copy::make()?;
            for source in sources {
                report.step(source.name, || {
                    let _patched = copy.without(source)?;
                    list_red(run_tests(&BTreeSet::new(), None, Some(&copy))?);
                    Ok(())
                });
            }
        }
        return report.finish();
    }
    let all: BTreeSet<&str> = chosen
        .iter()
        .flat_map(|mechanism| mechanism.turns_red)
        .chain(sources.iter().flat_map(|source| source.turns_red))
        .copied()
        .collect();
    report.step("all of the tests are green before", || {
        expect(&all, &run_tests(&all, None, None)?, GREEN)
    });
    if report.has_failures() {
        return report.finish();
    }
    for mechanism in chosen {
        report.step(mechanism.name, || without(mechanism));
    }
    if !sources.is_empty() {
        let copy = Copy::make()?;
        for source in sources {
            report.step(source.name, || without_source(source, &copy));
        }
    }
    report.finish()
}

/// Expects the tests that are named for a mechanism to turn red without it.
fn without(mechanism: &Mechanism) -> Result<()> {
    if mechanism.turns_red.is_empty() {
        bail!("no test is named for it");
    }
    let tests: BTreeSet<&str> = mechanism.turns_red.iter().copied().collect();
    expect(
        &tests,
        &run_tests(&tests, Some(&template_sql(mechanism)?), None)?,
        RED,
    )
}

/// Expects the tests that are named for a mechanism of the sources to turn red without it.
fn without_source(source: &Source, copy: &Copy) -> Result<()> {
    let tests: BTreeSet<&str> = source.turns_red.iter().copied().collect();
    let _patched = copy.without(source)?;
    // First of all it has to compile, which is not to count against the time of the tests.
    shell::stdout_of(in_copy(copy, &format!("{TESTS} --no-run --quiet")).env_remove("RUST_BACKTRACE"))?;
    expect(&tests, &run_tests(&tests, None, Some(copy))?, RED)
}

/// Cargo in the copy, with artifacts of its own.
fn in_copy(copy: &Copy, words: &str) -> Command {
    let mut cargo = shell::cargo(words);
    cargo
        .current_dir(copy.root())
        .env("CARGO_TARGET_DIR", shell::target_dir().join("sabotage/target"));
    cargo
}

/// Lists the tests that turn red without a mechanism.
fn find(mechanism: &Mechanism) -> Result<()> {
    list_red(run_tests(
        &BTreeSet::new(),
        Some(&template_sql(mechanism)?),
        None,
    )?);
    Ok(())
}

fn list_red(outcomes: BTreeMap<String, String>) {
    for (name, outcome) in outcomes {
        if outcome == RED || outcome == HUNG {
            println!("{outcome:<6}  {name}");
        }
    }
}

/// A file of the statements that take a mechanism away.
fn template_sql(mechanism: &Mechanism) -> Result<PathBuf> {
    let name = mechanism.name.replace([' ', '\''], "-");
    let path = shell::target_dir().join(format!("sabotage-{name}.sql"));
    fs::write(&path, sql(mechanism))?;
    Ok(path)
}

/// The statements that take a mechanism away.
pub fn sql(mechanism: &Mechanism) -> String {
    let Mechanism {
        without,
        function,
        patch,
        ..
    } = mechanism;
    let quoted = |text| format!("$text${text}$text$");
    let patch: Vec<String> = patch
        .iter()
        .map(|(from, to)| format!("[{}, {}]", quoted(from), quoted(to)))
        .collect();
    format!(
        r#"-- {without}
do $sabotage$
declare
  patch constant text[] := array[{}];
  original text;
  patched text;
  patched_functions integer := 0;
begin
  for original in
    select pg_get_functiondef(p.oid) from pg_proc as p
    where p.pronamespace = current_schema()::regnamespace and p.proname = '{function}'
    union all
    select format('create or replace view %I as %s', c.relname, pg_get_viewdef(c.oid)) from pg_class as c
    where c.relnamespace = current_schema()::regnamespace and c.relname = '{function}' and c.relkind = 'v'
  loop
    patched := original;
    for nth in 1 .. array_length(patch, 1) loop
      if position(patch[nth][1] in patched) > 0 then
        patched := replace(patched, patch[nth][1], patch[nth][2]);
      else
        patched := original;
        exit;
      end if;
    end loop;
    continue when patched = original;
    execute patched;
    patched_functions := patched_functions + 1;
  end loop;
  if patched_functions = 0 then
    raise exception 'sabotage: {function} no longer has the text to be replaced';
  end if;
end
$sabotage$;
"#,
        patch.join(", ")
    )
}

/// Runs the tests whose names contain one of these (none: all of them), of a copy if there is one; returns the outcome
/// of each that ran, by the last part of its path.
fn run_tests(
    names: &BTreeSet<&str>,
    template_sql: Option<&Path>,
    copy: Option<&Copy>,
) -> Result<BTreeMap<String, String>> {
    let words = format!("{TESTS} --no-fail-fast --");
    let mut tests = match copy {
        Some(copy) => in_copy(copy, &words),
        None => shell::cargo(&words),
    };
    tests.args(names).env_remove("RUST_BACKTRACE");
    if let Some(path) = template_sql {
        tests.env("DEVPG_TEMPLATE_SQL", path);
    }
    let path = shell::target_dir().join("sabotage-tests.txt");
    let mut child = tests
        .stdout(fs::File::create(&path)?)
        .stderr(Stdio::null())
        .process_group(0)
        .spawn()
        .context("failed to run the tests")?;
    let started = Instant::now();
    let is_green = template_sql.is_none() && copy.is_none();
    let timeout = if is_green { TIMEOUT_OF_ALL } else { TIMEOUT };
    while child.try_wait()?.is_none() {
        if started.elapsed() > timeout {
            // A mechanism may be what keeps a test from waiting for ever.
            let group = format!("-{}", child.id());
            Command::new("kill").args(["-s", "KILL", "--", &group]).status()?;
        }
        thread::sleep(Duration::from_millis(50));
    }
    let text = fs::read_to_string(&path)?;
    if text.contains("sabotage: ") {
        bail!("the patch does not apply:\n{text}");
    }
    Ok(outcomes(&text))
}

/// Reads the lines of libtest: `test module::name ... ok`, `test module::name has been running for over 60 seconds`.
fn outcomes(text: &str) -> BTreeMap<String, String> {
    let mut outcomes = BTreeMap::new();
    for line in text.lines().filter_map(|line| line.strip_prefix("test ")) {
        let (path, outcome) = match (line.split_once(" ... "), line.split_once(" has been running")) {
            (Some((path, outcome)), _) => (path, outcome.trim()),
            (None, Some((path, _))) => (path, HUNG),
            (None, None) => continue,
        };
        let name = path.rsplit("::").next().unwrap_or(path);
        outcomes.insert(name.to_owned(), outcome.to_owned());
    }
    outcomes
}

fn expect(names: &BTreeSet<&str>, outcomes: &BTreeMap<String, String>, wanted: &str) -> Result<()> {
    let mut complaints = Vec::new();
    for name in names {
        match outcomes.get(*name) {
            Some(outcome) if outcome == wanted || (wanted == RED && outcome == HUNG) => {}
            Some(outcome) => complaints.push(format!("{name} is {outcome}, not {wanted}")),
            None => complaints.push(format!("{name} does not exist, or did not run")),
        }
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
        let text = "running 3 tests\ntest lease::a_b ... FAILED\ntest c ... ok\n\
                    test d has been running for over 60 seconds\ntest result: FAILED.\n";
        let outcomes = outcomes(text);
        assert!(expect(&["a_b", "d"].into(), &outcomes, RED).is_ok());
        assert!(expect(&["d"].into(), &outcomes, GREEN).is_err());
        assert_eq!(outcomes["a_b"], "FAILED");
        assert_eq!(outcomes["c"], "ok");
        assert!(expect(&["a_b"].into(), &outcomes, "FAILED").is_ok());
        assert!(expect(&["a_b", "gone"].into(), &outcomes, "FAILED").is_err());
    }

    #[test]
    fn every_patch_still_applies_to_the_sources() {
        for source in sources::all() {
            let sources = shell::root().join("crates/sqlxmq-core/src");
            let patched = copy::patched(source, &sources);
            let files = patched.unwrap_or_else(|error| panic!("{}: {error}", source.name));
            for (file, text) in files {
                assert!(
                    fs::read_to_string(sources.join(file)).is_ok_and(|original| text != original),
                    "{}: {file}",
                    source.name
                );
            }
        }
    }

    fn guarantees() -> String {
        fs::read_to_string(shell::root().join("docs/guarantees.md")).expect("the guarantees")
    }

    #[test]
    fn the_guarantees_list_every_row() {
        let text = guarantees();
        let mechanisms = functions::all().map(|row| (row.name, row.function, row.without));
        // The first of its files stands for all.
        let sources = sources::all().map(|row| (row.name, row.patch[0].0, row.without));
        let missing: Vec<String> = mechanisms
            .chain(sources)
            .map(|(name, place, without)| format!("| {name} | `{place}` | {without} |\n"))
            .filter(|line| !text.contains(line))
            .collect();
        assert!(missing.is_empty(), "{}", missing.concat());
    }

    #[test]
    fn the_tests_that_the_guarantees_name_exist() {
        let listed =
            shell::stdout_of(&mut shell::program("git", &["ls-files", "*.rs"])).expect("the sources");
        let sources: String = listed
            .lines()
            .filter_map(|name| fs::read_to_string(shell::root().join(name)).ok())
            .collect();
        let text = guarantees();
        // Between backquotes, with a module, and as long as a sentence.
        let missing: Vec<&str> = text
            .split('`')
            .skip(1)
            .step_by(2)
            .filter_map(|code| code.rsplit_once("::"))
            .map(|(_, name)| name)
            .filter(|name| name.matches('_').count() >= 2 && !sources.contains(&format!("fn {name}(")))
            .collect();
        assert!(missing.is_empty(), "{missing:?}");
    }

    #[tokio::test]
    async fn every_patch_still_applies_to_the_migrations() {
        for mechanism in functions::all() {
            let database = TestDb::create(&migrations::migrator().await.expect("the migrations")).await;
            let applied = database.pool().execute(AssertSqlSafe(sql(mechanism))).await;
            assert!(applied.is_ok(), "{}: {applied:?}", mechanism.name);
        }
    }
}
