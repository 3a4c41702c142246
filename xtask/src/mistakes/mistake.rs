//! What a mistake is: what of the program is changed, how it ends then, and what is told.

use std::fmt::Write;
use std::time::Duration;

/// A mistake.
pub struct Mistake {
    pub title: &'static str,
    /// What of the program is replaced by what.
    pub changes: &'static [(&'static str, &'static str)],
    pub end: End,
    /// What its author must get to see.
    pub tells: &'static [&'static str],
    /// When it is noticed.
    pub when: &'static str,
    /// Whether that tells the fix, as read by a person.
    pub verdict: &'static str,
}

/// How the program ends.
#[derive(PartialEq)]
pub enum End {
    DoesNotCompile,
    Exits,
    /// Likewise, with this address of a database.
    ExitsWithout(&'static str),
    /// Likewise, with this name of a database that is not there.
    ExitsWithoutDatabase(&'static str),
    /// It says this, and is told to end.
    Says(&'static str),
    /// It says nothing about it, for so long at least.
    SaysNothingFor(Duration),
}

impl Mistake {
    /// The changes as a reviewer sees them.
    pub fn difference(&self) -> String {
        let mut text = String::new();
        if let End::ExitsWithout(url) = self.end {
            let _ = writeln!(text, "+DATABASE_URL={url}");
        }
        if let End::ExitsWithoutDatabase(name) = self.end {
            let _ = writeln!(text, "+DATABASE_URL=postgres://localhost/{name}");
        }
        for (old, new) in self.changes {
            let lines = |text: &'static str| text.trim_end_matches('\n').lines();
            let common: Vec<&str> = lines(old)
                .filter(|line| lines(new).any(|other| other == *line))
                .collect();
            for (sign, side) in [('-', old), ('+', new)] {
                for line in lines(side).filter(|line| !common.contains(line)) {
                    let _ = writeln!(text, "{sign}{line}");
                }
            }
        }
        text
    }
}
