//! How calls are written: as somebody would type them into psql.

use super::model::{JobNo, NewJob, SECOND, Time, Token, What};

/// Ids of jobs.
pub fn jobs(ids: &[JobNo]) -> String {
    if ids.is_empty() {
        return "'{}'::uuid[]".to_owned();
    }
    format!("those({})", list(ids))
}

/// Ids and claims of tokens, as two arguments.
pub fn tokens(tokens: &[Token]) -> String {
    let ids: Vec<JobNo> = tokens.iter().map(|(id, _)| *id).collect();
    let claims: Vec<i64> = tokens.iter().map(|(_, claim)| *claim).collect();
    format!("{}, array[{}]::bigint[]", jobs(&ids), list(&claims))
}

pub fn list<T: ToString>(values: &[T]) -> String {
    let texts: Vec<String> = values.iter().map(ToString::to_string).collect();
    texts.join(", ")
}

pub fn quoted(value: &str) -> String {
    format!("'{}'", value.replace('\'', "''"))
}

pub fn quoted_or_null(value: Option<&String>) -> String {
    value.map_or("null".to_owned(), |value| quoted(value))
}

pub fn seconds(time: Time) -> String {
    format!("'{} s'", time / SECOND)
}

/// Keys of names; null if there are none to choose from.
pub fn keys(names: Option<&[&str]>) -> String {
    match names {
        None => "null".to_owned(),
        Some(names) => {
            let keys: Vec<String> = names
                .iter()
                .map(|name| format!("mq_key({})", quoted(name)))
                .collect();
            format!("array[{}]", list(&keys))
        }
    }
}

/// A call of `mq_spawn_all`.
pub fn spawn_all(new: &[NewJob]) -> String {
    let array = |of: &dyn Fn(&NewJob) -> String, kind: &str| {
        let values: Vec<String> = new.iter().map(of).collect();
        format!("array[{}]::{kind}[]", list(&values))
    };
    let ids: Vec<JobNo> = new.iter().map(|(id, ..)| *id).collect();
    let arguments = [
        jobs(&ids),
        array(&|(_, what, ..)| quoted(what.name), "text"),
        array(&|(_, what, ..)| quoted(what.channel.0), "text"),
        array(&|(_, what, ..)| quoted(what.channel.1), "text"),
        array(&|(_, what, ..)| what.ordered.to_string(), "boolean"),
        array(&|(_, what, ..)| (what.max_attempts - 1).to_string(), "integer"),
        array(&|(_, what, ..)| what.backoff.to_string(), "bigint"),
        array(&|(_, what, ..)| what.max_backoff.to_string(), "bigint"),
        array(&|(_, _, delay, _)| delay.to_string(), "bigint"),
        array(
            &|(.., interval)| interval.map_or("null".to_owned(), |i| i.to_string()),
            "bigint",
        ),
        array(&|(_, what, ..)| quoted_or_null(what.json.as_ref()), "text"),
        array(&|(_, what, ..)| quoted_or_null(what.bytes.as_ref()), "bytea"),
    ];
    format!("select mq_spawn_all({})", list(&arguments))
}

/// A call of `mq_spawn`.
pub fn spawn(id: JobNo, what: &What, delay: Time, commit_interval: Option<Time>) -> String {
    format!(
        "select mq_spawn({}, {}, {}, {}, {}, {}, {}, {}, {}, {}, {}, job({id}))",
        quoted(what.name),
        quoted_or_null(what.json.as_ref()),
        quoted_or_null(what.bytes.as_ref()),
        quoted(what.channel.0),
        quoted(what.channel.1),
        seconds(delay),
        what.max_attempts - 1,
        seconds(what.backoff),
        seconds(what.max_backoff),
        what.ordered,
        commit_interval.map_or("null".to_owned(), seconds)
    )
}
