//! What the database has answered, as numbers and texts.

use super::model::JobNo;
use sqlx::{AssertSqlSafe, Column, PgConnection, Row, ValueRef, postgres::PgRow, raw_sql};
use std::collections::BTreeSet;

/// Rows of texts; null is `None`.
pub struct Answer(Vec<Vec<Option<String>>>);

/// The code of an error.
pub type Code = String;

/// Sends one statement.
pub async fn ask(connection: &mut PgConnection, statement: &str) -> Result<Answer, Code> {
    let rows = raw_sql(AssertSqlSafe(statement.to_owned()))
        .fetch_all(connection)
        .await;
    let rows = rows.map_err(|error| match error.as_database_error().and_then(|e| e.code()) {
        Some(code) => format!("{code}: {error}"),
        None => error.to_string(),
    })?;
    Ok(Answer(rows.iter().map(texts).collect()))
}

fn texts(row: &PgRow) -> Vec<Option<String>> {
    let text = |column: &sqlx::postgres::PgColumn| {
        let value = row.try_get_raw(column.ordinal()).expect("a column");
        if value.is_null() {
            None
        } else {
            Some(value.as_str().expect("a text").to_owned())
        }
    };
    row.columns().iter().map(text).collect()
}

impl Answer {
    /// All rows, with `-` for null.
    pub fn rows(&self) -> Vec<String> {
        let line = |row: &Vec<Option<String>>| {
            let texts: Vec<&str> = row.iter().map(|t| t.as_deref().unwrap_or("-")).collect();
            texts.join(" | ")
        };
        self.0.iter().map(line).collect()
    }

    /// A column of the only row.
    pub fn text(&self, column: usize) -> &str {
        self.0[0][column].as_deref().unwrap_or("-")
    }

    /// Job numbers in a column that is an array of ids.
    pub fn jobs(&self, column: usize) -> Vec<JobNo> {
        elements(self.text(column)).map(number_of).collect()
    }

    /// As [`Answer::jobs`], where the order means nothing; twice the same is an error.
    pub fn set(&self, column: usize) -> Result<BTreeSet<JobNo>, String> {
        let jobs = self.jobs(column);
        let set: BTreeSet<JobNo> = jobs.iter().copied().collect();
        if set.len() == jobs.len() {
            Ok(set)
        } else {
            Err(format!("a job is named twice: {jobs:?}"))
        }
    }

    /// Numbers in a column that is an array of them.
    pub fn numbers(&self, column: usize) -> Vec<i32> {
        elements(self.text(column))
            .map(|n| n.parse().expect("a number"))
            .collect()
    }
}

fn elements(array: &str) -> impl Iterator<Item = &str> {
    array
        .trim_matches(['{', '}'])
        .split(',')
        .filter(|element| !element.is_empty())
}

/// The number of `job(n)`.
fn number_of(id: &str) -> JobNo {
    id[id.len() - 12..].parse().expect("the id of a job of ours")
}
