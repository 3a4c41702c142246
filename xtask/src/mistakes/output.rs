//! What differs from machine to machine and from day to day, taken out. Pure but for the folders it is told to hide.

use crate::shell;

/// Paths, times and ids are left out, and so are lines that are only for information.
pub fn tidy(text: &str) -> String {
    let root = format!("{}/", shell::root().display());
    let mut tidied = String::new();
    let mut is_ours = false;
    for line in text.lines() {
        let line = without_time(line);
        if line.trim_start().starts_with("INFO ")
            || line.contains("full type name")
            || line.contains("name for the type")
        {
            continue;
        }
        // Where in our sources something is changes with each change to them.
        let line = &line.replace(&root, "");
        if line.trim_start().starts_with("--> ") {
            is_ours = line.contains("--> crates/");
        } else if line.is_empty() {
            is_ours = false;
        }
        let line = &if is_ours {
            without_line_numbers(line)
        } else {
            line.clone()
        };
        let line = without_registry(line);
        tidied.push_str(without_numbers(&without_ids(&line)).trim_end());
        tidied.push('\n');
    }
    tidied
}

/// `2026-01-01T00:00:00.000000Z  WARN` is `WARN`.
fn without_time(line: &str) -> &str {
    match line.split_once('Z') {
        Some((time, rest))
            if time.len() >= 19 && time.chars().all(|c| c.is_ascii_digit() || "-:.T".contains(c)) =>
        {
            rest.trim_start()
        }
        _ => line,
    }
}

/// `--> crates/a.rs:12:3` and `12 | pub fn` lose their numbers.
fn without_line_numbers(line: &str) -> String {
    if let Some((before, _)) = line.split_once(".rs:") {
        return format!("{before}.rs");
    }
    match line.split_once('|') {
        Some((gutter, rest)) if gutter.trim().chars().all(|c| c.is_ascii_digit()) => {
            format!("{}|{rest}", gutter.replace(|c: char| c.is_ascii_digit(), " "))
        }
        _ => line.to_owned(),
    }
}

fn without_registry(line: &str) -> String {
    let Some((before, rest)) = line.split_once("/registry/src/") else {
        return line.to_owned();
    };
    let start = before.rfind(' ').map_or(0, |at| at + 1);
    let rest = rest.split_once('/').map_or(rest, |(_, rest)| rest);
    format!("{}{rest}", &before[..start])
}

fn without_ids(line: &str) -> String {
    let is_id = |text: &str| {
        text.len() == 36
            && text.bytes().enumerate().all(|(at, byte)| match at {
                8 | 13 | 18 | 23 => byte == b'-',
                _ => byte.is_ascii_hexdigit(),
            })
    };
    let mut rest = line;
    let mut text = String::new();
    while let Some(first) = rest.chars().next() {
        match rest.get(..36).is_some_and(is_id) {
            true => {
                text.push('…');
                rest = &rest[36..];
            }
            false => {
                text.push(first);
                rest = &rest[first.len_utf8()..];
            }
        }
    }
    text
}

/// `held_ms=2003` is `held_ms=…`, and where in PostgreSQL's sources something was found is nothing to us.
fn without_numbers(line: &str) -> String {
    if let Some((before, _)) = line.split_once(", detail: None") {
        return format!("{before}, … }})");
    }
    if let Some((before, rest)) = line.split_once(" at line ")
        && let Some((_, code)) = rest.split_once(" (SQLSTATE")
    {
        return format!("{before} (SQLSTATE{code}");
    }
    match line.split_once("held_ms=") {
        Some((before, rest)) => format!(
            "{before}held_ms=…{}",
            rest.trim_start_matches(|c: char| c.is_ascii_digit())
        ),
        None => line.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::tidy;

    #[test]
    fn what_differs_from_day_to_day_is_left_out() {
        let id = "019a0000-0000-7000-8000-000000000001";
        let log = format!(
            "2026-01-01T00:00:00.123456Z  WARN job{{job.id={id}}}: held held_ms=2003\n2026-01-01T00:00:00.1Z  INFO x\n"
        );
        assert_eq!(tidy(&log), "WARN job{job.id=…}: held held_ms=…\n");
        assert_eq!(
            tidy("  --> /root/.cargo/registry/src/index-1/sqlx-0.9.0/src/lib.rs:1\n"),
            "  --> sqlx-0.9.0/src/lib.rs:1\n"
        );
    }
}
