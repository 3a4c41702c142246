//! Reads the value of one key. A value with a mistake is reported and is none.

use std::time::Duration;

use proc_macro2::{Ident, TokenStream};
use syn::{Expr, ExprLit, ExprUnary, Lit, LitStr, Path, UnOp};

use super::options::Growth;
use super::{Mistakes, duration};

// The bounds of `sqlxmq_core::config`, which this crate cannot name; a test of `sqlxmq` holds the two together.
const MAX_NAME_BYTES: usize = 1024;
const MAX_CHANNEL_NAME_BYTES: usize = 1024;
const MAX_RETRIES: u32 = 1_000_000;
const MAX_CHANNEL_ARGS_BYTES: usize = 16 * 1024;
const MAX_SECS: f64 = 36_000.0 * 86_400.0;
/// Each version is a name that a runner looks for.
const MAX_VERSION: u32 = 100;

/// What is allowed as `proto`.
pub const PROTO: &str = "`proto` takes the path of a function that sets defaults: `proto(my_defaults)`, with \
                     `fn my_defaults<'a, 'b>(builder: &'a mut JobBuilder<'b>) -> &'a mut JobBuilder<'b>`";
/// What is allowed as `ordered`.
pub const ORDERED: &str = "`ordered` stands alone, or is `ordered = true` or `ordered = false`";

/// Reads the name of a job.
pub fn name(value: &TokenStream, mistakes: &mut Mistakes) -> Option<String> {
    let name = string(value).map(|text| text.value());
    let valid = name.filter(|name| (1..=MAX_NAME_BYTES).contains(&name.len()) && !name.contains('\0'));
    if valid.is_none() {
        mistakes.push(
            value,
            "`name` takes a string literal of 1 to 1024 bytes without NUL",
        );
    }
    valid
}

/// Reads a channel name.
pub fn channel_name(value: &TokenStream, mistakes: &mut Mistakes) -> Option<String> {
    let name = string(value).map(|text| text.value());
    let valid = name.filter(|name| name.len() <= MAX_CHANNEL_NAME_BYTES && !name.contains('\0'));
    if valid.is_none() {
        mistakes.push(
            value,
            "`channel_name` takes a string literal of at most 1024 bytes without NUL",
        );
    }
    valid
}

/// Reads a number of retries.
pub fn retries(value: &TokenStream, mistakes: &mut Mistakes) -> Option<u32> {
    let number = match literal(value) {
        Some((false, Lit::Int(number))) => number.base10_parse::<u32>().ok(),
        _ => None,
    };
    let valid = number.filter(|retries| *retries <= MAX_RETRIES);
    if valid.is_none() {
        mistakes.push(
            value,
            "`retries` takes a whole number from 0 to 1000000, such as `retries = 3`",
        );
    }
    valid
}

/// Reads the arguments of a channel.
pub fn channel_args(value: &TokenStream, mistakes: &mut Mistakes) -> Option<String> {
    let args = string(value).map(|text| text.value());
    let valid = args.filter(|args| args.len() <= MAX_CHANNEL_ARGS_BYTES && !args.contains('\0'));
    if valid.is_none() {
        mistakes.push(
            value,
            "`channel_args` takes a string literal of at most 16384 bytes without NUL",
        );
    }
    valid
}

/// Reads a version of the payload.
pub fn version(value: &TokenStream, mistakes: &mut Mistakes) -> Option<u32> {
    let number = match literal(value) {
        Some((false, Lit::Int(number))) => number.base10_parse::<u32>().ok(),
        _ => None,
    };
    let valid = number.filter(|version| (1..=MAX_VERSION).contains(version));
    if valid.is_none() {
        mistakes.push(
            value,
            "`version` takes a whole number from 1 to 100, such as `version = 2`",
        );
    }
    valid
}

/// Reads how a backoff grows.
pub fn growth(value: &TokenStream, mistakes: &mut Mistakes) -> Option<Growth> {
    match value.to_string().as_str() {
        "fixed" => Some(Growth::Fixed),
        "linear" => Some(Growth::Linear),
        "exponential" => Some(Growth::Exponential),
        _ => {
            mistakes.push(
                value,
                "`backoff` grows `fixed`, `linear` or `exponential`, or is a duration such as `backoff = \"1m 30s\"`",
            );
            None
        }
    }
}

/// Reads the path of a constant: one whose name is written as constants are, so that a misspelt word is not taken for one.
pub fn constant(value: &TokenStream) -> Option<Path> {
    let Ok(Expr::Path(path)) = syn::parse2::<Expr>(value.clone()).map(ungroup) else {
        return None;
    };
    let name = path.path.segments.last()?.ident.to_string();
    let is_constant = name.chars().any(char::is_uppercase) && !name.chars().any(char::is_lowercase);
    (is_constant && path.qself.is_none() && path.attrs.is_empty()).then_some(path.path)
}

/// Returns whether it is one identifier.
pub fn is_word(value: &TokenStream) -> bool {
    syn::parse2::<Ident>(value.clone()).is_ok()
}

/// Reads a duration: seconds as a number if the key says so, or a text.
pub fn duration(
    key: &str,
    in_seconds: bool,
    value: &TokenStream,
    mistakes: &mut Mistakes,
) -> Option<Duration> {
    let given = match literal(value) {
        Some((false, Lit::Int(number))) if in_seconds => number.base10_parse::<f64>().ok().and_then(seconds),
        Some((false, Lit::Float(number))) if in_seconds => {
            number.base10_parse::<f64>().ok().and_then(seconds)
        }
        Some((false, Lit::Str(text))) => duration::parse(&text.value()),
        _ => None,
    };
    let valid = given.filter(|duration| duration.as_secs_f64() <= MAX_SECS);
    if valid.is_none() {
        let form = duration::FORM;
        mistakes.push(
            value,
            match in_seconds {
                true => format!(
                    "`{key}` takes a number of seconds from 0 to 3110400000 (100 years of 360 days), such as `{key} = 1.5`"
                ),
                false => format!(
                    "`{key}` takes a text of {form}, up to 100 years of 360 days; for a number of seconds write `{key}_secs = 1.5`{}",
                    match key {
                        "backoff" => "; how it grows is a word, `backoff = linear`",
                        _ => "",
                    }
                ),
            },
        );
    }
    valid
}

fn seconds(number: f64) -> Option<Duration> {
    Duration::try_from_secs_f64(number).ok()
}

/// Reads the functions that upgrade payloads, the oldest version's first.
pub fn upgrades(key: &Ident, list: TokenStream, mistakes: &mut Mistakes) -> Vec<Path> {
    const FORM: &str = "`upgrade` takes the path of a function from the payload of the last version to that of this one, \
                        `upgrade = from_v1`, or one for each version, the oldest first: `upgrade(from_v1, from_v2)`";
    let parser = syn::punctuated::Punctuated::<Path, syn::Token![,]>::parse_terminated;
    match syn::parse::Parser::parse2(parser, list.clone()) {
        Ok(paths) if !paths.is_empty() => paths.into_iter().collect(),
        _ if list.is_empty() => {
            mistakes.push(key, FORM);
            Vec::new()
        }
        _ => {
            mistakes.push(list, FORM);
            Vec::new()
        }
    }
}

/// Reads what is behind `ordered =`.
pub fn ordered(key: &Ident, value: &TokenStream, mistakes: &mut Mistakes) -> Option<bool> {
    match literal(value) {
        Some((false, Lit::Bool(ordered))) => Some(ordered.value),
        _ => {
            if value.is_empty() {
                mistakes.push(key, ORDERED)
            } else {
                mistakes.push(value, ORDERED)
            }
            None
        }
    }
}

/// Reads what is in the parentheses of `proto`.
pub fn proto(key: &Ident, list: TokenStream, mistakes: &mut Mistakes) -> Option<Path> {
    match syn::parse2::<Expr>(list.clone()).map(ungroup) {
        Ok(Expr::Path(path)) if path.qself.is_none() && path.attrs.is_empty() => Some(path.path),
        _ => {
            if list.is_empty() {
                mistakes.push(key, PROTO)
            } else {
                mistakes.push(list, PROTO)
            }
            None
        }
    }
}

/// Reads the path to this crate's facade.
pub fn crate_path(value: &TokenStream, mistakes: &mut Mistakes) -> Option<Path> {
    let path = string(value).and_then(|text| text.parse_with(Path::parse_mod_style).ok());
    if path.is_none() {
        mistakes.push(
            value,
            "`crate` takes a path in a string literal: `crate = \"my_crate::sqlxmq\"`",
        );
    }
    path
}

/// Returns the string literal, if it is one.
pub fn string(tokens: &TokenStream) -> Option<LitStr> {
    match literal(tokens) {
        Some((false, Lit::Str(text))) => Some(text),
        _ => None,
    }
}

/// Reads a literal and whether a minus stands before it.
fn literal(tokens: &TokenStream) -> Option<(bool, Lit)> {
    match ungroup(syn::parse2(tokens.clone()).ok()?) {
        Expr::Lit(ExprLit { lit, .. }) => Some((false, lit)),
        Expr::Unary(ExprUnary {
            op: UnOp::Neg(_),
            expr,
            ..
        }) => match ungroup(*expr) {
            Expr::Lit(ExprLit { lit, .. }) => Some((true, lit)),
            _ => None,
        },
        _ => None,
    }
}

/// Removes the invisible group around what a `macro_rules!` macro handed on.
fn ungroup(mut expression: Expr) -> Expr {
    while let Expr::Group(group) = expression {
        expression = *group.expr;
    }
    expression
}
