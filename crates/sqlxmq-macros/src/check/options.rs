//! Checks the arguments of the attribute: which keys there are, each once, each with its value.

use std::time::Duration;

use proc_macro2::{Ident, TokenStream};
use quote::ToTokens;
use syn::{Error, Path};

use super::{Mistakes, value};
use crate::args::Argument;

const KEYS: &str = "`#[job]` takes a name (`\"..\"` or `name = \"..\"`), `channel_name`, `channel_args`, `ordered`, `retries`, \
                    `backoff`, `backoff_secs`, `max_backoff`, `delay`, `commit_interval`, `lease`, `timeout`, `version`, \
                    `upgrade`, `proto(..)` and `crate`";

/// Every key. A duration's can have `_secs` behind it, and takes a number of seconds then.
const KNOWN: [&str; 15] = [
    "name",
    "channel_name",
    "channel_args",
    "retries",
    "backoff",
    "max_backoff",
    "delay",
    "commit_interval",
    "lease",
    "timeout",
    "ordered",
    "version",
    "upgrade",
    "proto",
    "crate",
];
const DURATIONS: [&str; 6] = [
    "backoff",
    "max_backoff",
    "delay",
    "commit_interval",
    "lease",
    "timeout",
];

/// Those whose value can be a constant's. (A name is part of another constant, and `_secs` are written out.)
const CONSTANTS: [&str; 9] = [
    "channel_name",
    "channel_args",
    "retries",
    "backoff",
    "max_backoff",
    "delay",
    "commit_interval",
    "lease",
    "timeout",
];

/// How the wait grows from one retry to the next.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Growth {
    Fixed,
    Linear,
    Exponential,
}

/// The attribute's arguments, each in its bounds.
#[derive(Default)]
pub struct Options {
    pub name: Option<String>,
    pub channel_name: Option<String>,
    pub channel_args: Option<String>,
    pub retries: Option<u32>,
    pub backoff: Option<Duration>,
    pub growth: Option<Growth>,
    pub max_backoff: Option<Duration>,
    pub delay: Option<Duration>,
    pub commit_interval: Option<Duration>,
    pub lease: Option<Duration>,
    pub timeout: Option<Duration>,
    pub ordered: Option<bool>,
    pub version: Option<u32>,
    pub upgrades: Vec<Path>,
    pub proto: Option<Path>,
    pub crate_path: Option<Path>,
    /// The values that are paths of constants; what is here is `None` above.
    pub constants: Vec<(&'static str, Path)>,
    /// Where the keys stand that are judged together.
    pub places: Vec<(&'static str, Ident)>,
}

impl Options {
    /// Returns the constant that a key was given.
    pub fn constant(&self, key: &str) -> Option<&Path> {
        let mut constants = self.constants.iter();
        constants.find_map(|(known, path)| (*known == key).then_some(path))
    }

    /// Returns where the key stands.
    pub fn place(&self, key: &str) -> Option<&Ident> {
        let mut places = self.places.iter();
        places.find_map(|(known, place)| (*known == key).then_some(place))
    }
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
    together(&options, mistakes);
    options
}

/// What contradicts each other.
fn together(options: &Options, mistakes: &mut Mistakes) {
    if let (Some(Growth::Fixed), Some(place)) = (options.growth, options.place("max_backoff")) {
        mistakes.push(
            place,
            "a fixed backoff has no maximum: remove `max_backoff`, or write `backoff = exponential`",
        );
    }
    let version = options.version.unwrap_or(1);
    if let Some(place) = options.place("upgrade") {
        if options.place("version").is_none() {
            mistakes.push(
                place,
                "`upgrade` needs to know to which version: add `version = 2`, or what follows the last one",
            );
        } else if options.version.is_some() && options.upgrades.len() >= version as usize {
            mistakes.push(
                place,
                format!(
                    "version {version} has {} before it: `upgrade` takes at most as many functions",
                    version - 1
                ),
            );
        }
    }
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
    let spelled = key.to_string();
    let bare = spelled
        .strip_suffix("_secs")
        .filter(|bare| DURATIONS.contains(bare));
    let name = bare.unwrap_or(&spelled);
    let Some(known) = KNOWN.into_iter().find(|known| name == *known) else {
        return mistakes.push(&key, format!("unknown key `{key}`; {KEYS}"));
    };
    // `backoff = linear, backoff_secs = 2` is not the same twice.
    let slot = match (known, &given) {
        ("backoff", Given::Value(tokens))
            if bare.is_none() && value::is_word(tokens) && value::constant(tokens).is_none() =>
        {
            "backoff = .."
        }
        _ => known,
    };
    if !first_time(slot, &key, seen, mistakes) {
        return;
    }
    options.places.push((slot, key.clone()));
    if let Given::Value(tokens) = &given
        && bare.is_none()
        && let Some(key) = CONSTANTS.into_iter().find(|key| *key == slot)
        && let Some(path) = value::constant(tokens)
    {
        options.constants.push((key, path));
        return;
    }
    let takes_a_value = || format!("`{key}` takes a value: `{key} = {}`", sample(&spelled));
    match (known, given) {
        ("proto", Given::List(list)) => options.proto = value::proto(&key, list, mistakes),
        ("proto", _) => mistakes.push(key, value::PROTO),
        ("ordered", Given::Nothing) => options.ordered = Some(true),
        ("ordered", Given::Value(tokens)) => options.ordered = value::ordered(&key, &tokens, mistakes),
        ("ordered", Given::List(_)) => mistakes.push(key, value::ORDERED),
        ("upgrade", Given::List(list)) => options.upgrades = value::upgrades(&key, list, mistakes),
        (_, Given::Nothing | Given::List(_)) => mistakes.push(&key, takes_a_value()),
        (_, Given::Value(tokens)) if tokens.is_empty() => mistakes.push(&key, takes_a_value()),
        ("upgrade", Given::Value(tokens)) => options.upgrades = value::upgrades(&key, tokens, mistakes),
        ("name", Given::Value(tokens)) => options.name = value::name(&tokens, mistakes),
        ("channel_name", Given::Value(tokens)) => {
            options.channel_name = value::channel_name(&tokens, mistakes)
        }
        ("channel_args", Given::Value(tokens)) => {
            options.channel_args = value::channel_args(&tokens, mistakes)
        }
        ("retries", Given::Value(tokens)) => options.retries = value::retries(&tokens, mistakes),
        ("version", Given::Value(tokens)) => options.version = value::version(&tokens, mistakes),
        ("backoff", Given::Value(tokens)) if slot != known => {
            options.growth = value::growth(&tokens, mistakes)
        }
        ("crate", Given::Value(tokens)) => options.crate_path = value::crate_path(&tokens, mistakes),
        (duration, Given::Value(tokens)) => {
            let place = match duration {
                "backoff" => &mut options.backoff,
                "max_backoff" => &mut options.max_backoff,
                "delay" => &mut options.delay,
                "commit_interval" => &mut options.commit_interval,
                "lease" => &mut options.lease,
                "timeout" => &mut options.timeout,
                other => unreachable!("BUG: key `{other}` is known but not read"),
            };
            *place = value::duration(&spelled, bare.is_some(), &tokens, mistakes);
        }
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
        "backoff = .." => mistakes.push(place, "the growth of the backoff is given twice"),
        _ if DURATIONS.contains(&key) => {
            mistakes.push(
                place,
                format!("`{key}` is given twice; give it once, as `{key}` or as `{key}_secs`"),
            );
        }
        _ => mistakes.push(place, format!("`{key}` is given twice")),
    }
    false
}

fn sample(key: &str) -> &'static str {
    match key {
        "retries" => "3",
        "version" => "2",
        "upgrade" => "from_v1",
        "crate" => "\"my_crate::sqlxmq\"",
        "backoff" => "linear` or `backoff = \"1m 30s\"",
        "commit_interval" | "delay" | "max_backoff" | "lease" | "timeout" => "\"1m 30s\"",
        secs if secs.ends_with("_secs") => "1.5",
        _ => "\"..\"",
    }
}
