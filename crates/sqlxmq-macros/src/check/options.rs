//! Checks the arguments of the attribute: which keys there are, each once, each with its value.

use std::time::Duration;

use proc_macro2::{Ident, TokenStream};
use quote::ToTokens;
use syn::{Error, Path};

use super::{Mistakes, value};
use crate::args::Argument;

const KEYS: &str = "`#[job]` takes a name (`\"..\"` or `name = \"..\"`), `channel_name`, `retries`, `backoff_secs`, \
                    `ordered`, `proto(..)` and `crate`";

/// The attribute's arguments, each in its bounds.
#[derive(Default)]
pub struct Options {
    pub name: Option<String>,
    pub channel_name: Option<String>,
    pub retries: Option<u32>,
    pub backoff: Option<Duration>,
    pub ordered: Option<bool>,
    pub proto: Option<Path>,
    pub crate_path: Option<Path>,
}

/// Checks the attribute's arguments. An argument with a mistake is left out of the options.
pub fn options(arguments: Vec<Argument>, mistakes: &mut Mistakes) -> Options {
    let mut options = Options::default();
    let mut seen: Vec<&'static str> = Vec::new();
    for argument in arguments {
        match argument {
            Argument::Empty(span) => {
                mistakes.add(Error::new(span, format!("an argument is missing; {KEYS}")))
            }
            Argument::Positional(tokens) => {
                if value::string(&tokens).is_none() {
                    mistakes.push(tokens, format!("unexpected argument; {KEYS}"));
                } else if first_time("name", &tokens, &mut seen, mistakes) {
                    options.name = value::name(&tokens, mistakes);
                }
            }
            Argument::Flag(key) => keyed(key, Given::Nothing, &mut options, &mut seen, mistakes),
            Argument::Value(key, tokens) => {
                keyed(key, Given::Value(tokens), &mut options, &mut seen, mistakes)
            }
            Argument::List(key, list) => keyed(key, Given::List(list), &mut options, &mut seen, mistakes),
        }
    }
    options
}

/// What stands behind a key.
enum Given {
    Nothing,
    Value(TokenStream),
    List(TokenStream),
}

fn keyed(
    key: Ident,
    given: Given,
    options: &mut Options,
    seen: &mut Vec<&'static str>,
    mistakes: &mut Mistakes,
) {
    const KNOWN: [&str; 7] = [
        "name",
        "channel_name",
        "retries",
        "backoff_secs",
        "ordered",
        "proto",
        "crate",
    ];
    let Some(known) = KNOWN.into_iter().find(|known| key == known) else {
        return mistakes.push(&key, format!("unknown key `{key}`; {KEYS}"));
    };
    if !first_time(known, &key, seen, mistakes) {
        return;
    }
    match (known, given) {
        ("proto", Given::List(list)) => options.proto = value::proto(&key, list, mistakes),
        ("proto", _) => mistakes.push(key, value::PROTO),
        ("ordered", Given::Nothing) => options.ordered = Some(true),
        ("ordered", Given::Value(tokens)) => options.ordered = value::ordered(&key, &tokens, mistakes),
        ("ordered", Given::List(_)) => mistakes.push(key, value::ORDERED),
        (_, Given::Nothing | Given::List(_)) => {
            mistakes.push(
                &key,
                format!("`{key}` takes a value: `{key} = {}`", sample(known)),
            );
        }
        (_, Given::Value(tokens)) if tokens.is_empty() => {
            mistakes.push(
                &key,
                format!("`{key}` takes a value: `{key} = {}`", sample(known)),
            );
        }
        ("name", Given::Value(tokens)) => options.name = value::name(&tokens, mistakes),
        ("channel_name", Given::Value(tokens)) => {
            options.channel_name = value::channel_name(&tokens, mistakes)
        }
        ("retries", Given::Value(tokens)) => options.retries = value::retries(&tokens, mistakes),
        ("backoff_secs", Given::Value(tokens)) => options.backoff = value::backoff(&tokens, mistakes),
        ("crate", Given::Value(tokens)) => options.crate_path = value::crate_path(&tokens, mistakes),
        (other, Given::Value(_)) => unreachable!("BUG: key `{other}` is known but not read"),
    }
}

fn first_time(
    key: &'static str,
    place: impl ToTokens,
    seen: &mut Vec<&'static str>,
    mistakes: &mut Mistakes,
) -> bool {
    if !seen.contains(&key) {
        seen.push(key);
        return true;
    }
    match key {
        "name" => mistakes.push(
            place,
            "the name is given twice; give it once, as `\"..\"` or as `name = \"..\"`",
        ),
        _ => mistakes.push(place, format!("`{key}` is given twice")),
    }
    false
}

fn sample(key: &str) -> &'static str {
    match key {
        "retries" => "3",
        "backoff_secs" => "1.5",
        "crate" => "\"my_crate::sqlxmq\"",
        _ => "\"..\"",
    }
}
