//! Reads the value of one key. A value with a mistake is reported and is none.

use std::time::Duration;

use proc_macro2::{Ident, TokenStream};
use syn::{Expr, ExprLit, ExprUnary, Lit, LitStr, Path, UnOp};

use super::Mistakes;

// The bounds of `sqlxmq_core::config`, which this crate cannot name; a test of `sqlxmq` holds the two together.
const MAX_NAME_BYTES: usize = 1024;
const MAX_CHANNEL_NAME_BYTES: usize = 1024;
const MAX_RETRIES: u32 = 1_000_000;
const MAX_BACKOFF_SECS: f64 = 36_000.0 * 86_400.0;

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

/// Reads a number of seconds.
pub fn backoff(value: &TokenStream, mistakes: &mut Mistakes) -> Option<Duration> {
    let seconds = match literal(value) {
        Some((false, Lit::Int(number))) => number.base10_parse::<f64>().ok(),
        Some((false, Lit::Float(number))) => number.base10_parse::<f64>().ok(),
        _ => None,
    };
    let valid = seconds.filter(|seconds| (0.0..=MAX_BACKOFF_SECS).contains(seconds));
    if valid.is_none() {
        mistakes.push(
            value,
            "`backoff_secs` takes a number of seconds from 0 to 3110400000 (100 years of 360 days), such as `backoff_secs = 1.5`",
        );
    }
    valid.map(Duration::from_secs_f64)
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
