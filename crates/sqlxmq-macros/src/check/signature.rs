//! Checks the signature of the function, and finds out what each argument is.

use proc_macro2::{TokenStream, TokenTree};
use quote::ToTokens;
use syn::{FnArg, GenericParam, ReturnType, Safety, Signature, Type};

use super::Mistakes;

/// What the generated code may do with the function.
pub enum Shape {
    /// Call it with these arguments.
    Callable(Vec<Kind>),
    /// Only keep it, so that its body is still checked.
    Uncallable(Vec<Kind>),
    /// Leave it where it stands: it is a method, and a static cannot stand there.
    Method,
}

/// What an argument is, as far as its type's name tells.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// `&mut CurrentJob`, or `&CurrentJob`: the runner keeps the job.
    Borrowed { mutable: bool },
    /// `&mut T` of anything else: lent, and finished after the function.
    Lent,
    /// `Json<T>`
    Json,
    /// `Bytes`
    Bytes,
    /// The job by value, an extractor or context: the compiler finds out which, by the type.
    Other,
}

/// Checks the signature.
pub fn signature(signature: &Signature, mistakes: &mut Mistakes) -> Shape {
    if let Some(receiver) = signature.receiver() {
        mistakes.push(
            receiver.self_token,
            "a job is a free function: move it out of the `impl`, and pass what it needs as context",
        );
        return Shape::Method;
    }
    let mistakes_before = mistakes.0.len();
    let mut is_generic = false;
    // A lifetime is no choice: whatever a job is given is `'static`.
    for parameter in signature
        .generics
        .params
        .iter()
        .filter(|it| !matches!(it, GenericParam::Lifetime(_)))
    {
        is_generic = true;
        mistakes.push(
            parameter,
            "a job cannot be generic: one function runs every job of its name",
        );
    }
    if let Safety::Unsafe(token) = &signature.safety {
        mistakes.push(
            token,
            "a job cannot be `unsafe`: the runner has no way to keep its promises",
        );
    }
    output(signature, mistakes);
    let kinds = inputs(signature, mistakes);
    match mistakes.0.len() == mistakes_before {
        true => Shape::Callable(kinds),
        // A payload whose type names a parameter can't be the type of a static. Others can: their builders are used.
        false if is_generic => Shape::Uncallable(without_parameters(kinds, signature)),
        false => Shape::Uncallable(kinds),
    }
}

fn without_parameters(kinds: Vec<Kind>, signature: &Signature) -> Vec<Kind> {
    let parameters: Vec<String> = signature
        .generics
        .params
        .iter()
        .filter_map(|parameter| match parameter {
            GenericParam::Type(parameter) => Some(parameter.ident.to_string()),
            GenericParam::Const(parameter) => Some(parameter.ident.to_string()),
            GenericParam::Lifetime(_) => None,
        })
        .collect();
    let is_free = |argument: &FnArg| match argument {
        FnArg::Typed(typed) => !names_one_of(&typed.ty.to_token_stream(), &parameters),
        FnArg::Receiver(_) => false,
    };
    let arguments = kinds.into_iter().zip(&signature.inputs);
    arguments
        .map(|(kind, argument)| if is_free(argument) { kind } else { Kind::Other })
        .collect()
}

fn names_one_of(tokens: &TokenStream, names: &[String]) -> bool {
    tokens.clone().into_iter().any(|token| match token {
        TokenTree::Ident(ident) => names.iter().any(|name| ident == name),
        TokenTree::Group(group) => names_one_of(&group.stream(), names),
        _ => false,
    })
}

fn output(signature: &Signature, mistakes: &mut Mistakes) {
    const ASYNC: &str = "a job is an `async fn`, or a function that returns a future: write `async fn`";
    if signature.asyncness.is_some() {
        return;
    }
    match &signature.output {
        ReturnType::Default => mistakes.push(signature.fn_token, ASYNC),
        ReturnType::Type(_, output) if is_named(output, "Result") || is_named(output, "Outcome") => {
            mistakes.push(signature.fn_token, ASYNC);
        }
        ReturnType::Type(..) => {}
    }
}

fn inputs(signature: &Signature, mistakes: &mut Mistakes) -> Vec<Kind> {
    let mut seen: Vec<&str> = Vec::new();
    let types = signature.inputs.iter().filter_map(|input| match input {
        FnArg::Typed(typed) => Some(&*typed.ty),
        FnArg::Receiver(_) => None,
    });
    arguments_switched_off(signature, mistakes);
    let mut kinds = Vec::new();
    let mut owned_job = None;
    for argument in types {
        let (kind, named) = kind(argument, mistakes);
        if let Some(named) = named {
            if seen.contains(&named) {
                mistakes.push(argument, once(named));
            }
            seen.push(named);
        }
        if kind == Kind::Other && named == Some("CurrentJob") {
            owned_job = Some(argument);
        }
        kinds.push(kind);
    }
    if let Some(owned) = owned_job
        && seen.contains(&"JobTx")
    {
        mistakes.push(
            owned,
            "a job with a `JobTx` is completed with it, when its function returns Ok: borrow the job as `&mut CurrentJob`, or remove it",
        );
    }
    kinds
}

/// The compiler takes such arguments away after us.
fn arguments_switched_off(signature: &Signature, mistakes: &mut Mistakes) {
    let arguments = signature.inputs.iter().filter_map(|input| match input {
        FnArg::Typed(typed) => Some(&typed.attrs),
        FnArg::Receiver(_) => None,
    });
    for attribute in arguments.flatten().filter(|it| it.path().is_ident("cfg")) {
        mistakes.push(
            attribute,
            "an argument of a job cannot have a `#[cfg]`: put it on the function, and write one function for each case",
        );
    }
}

const LEND_TX: &str =
    "the transaction is lent, for the runner commits it with the job: take it as `tx: &mut JobTx`";

fn once(named: &str) -> String {
    match named {
        "CurrentJob" => "a job is given its `CurrentJob` once: remove one of the two arguments".to_owned(),
        "Json" => {
            "a job has one JSON payload: put both values into one type, `Json<MyPayload>`, or take one as context".to_owned()
        }
        "JobTx" => "a job has one `JobTx`: remove one of the two arguments".to_owned(),
        _ => "a job has one binary payload: remove one of the two arguments".to_owned(),
    }
}

/// Returns what the argument is, and the name that may be given once.
fn kind(argument: &Type, mistakes: &mut Mistakes) -> (Kind, Option<&'static str>) {
    match bare(argument) {
        Type::Reference(reference) => {
            let mutable = reference.mutability.is_some();
            if is_named(&reference.elem, "CurrentJob") {
                return (Kind::Borrowed { mutable }, Some("CurrentJob"));
            }
            if is_named(&reference.elem, "Json") || is_named(&reference.elem, "Bytes") {
                mistakes.push(
                    reference,
                    "the payload is the function's own: take it by value, `Json(payload): Json<MyPayload>` or `Bytes(payload): Bytes`",
                );
            } else if is_named(&reference.elem, "JobTx") && !mutable {
                mistakes.push(reference, LEND_TX);
            } else if mutable {
                let named = is_named(&reference.elem, "JobTx").then_some("JobTx");
                return (Kind::Lent, named);
            }
            (Kind::Other, None)
        }
        Type::ImplTrait(argument) => {
            mistakes.push(
                argument,
                "an argument is found by its type, which must be named here",
            );
            (Kind::Other, None)
        }
        argument if is_named(argument, "CurrentJob") => (Kind::Other, Some("CurrentJob")),
        argument if is_named(argument, "Json") => {
            let tokens = argument.to_token_stream();
            if let Some(advice) = borrows(&tokens) {
                mistakes.push(
                    tokens,
                    format!("the payload is the function's own and can't borrow: {advice}"),
                );
            }
            (Kind::Json, Some("Json"))
        }
        argument if is_named(argument, "JobTx") => {
            mistakes.push(argument, LEND_TX);
            (Kind::Other, Some("JobTx"))
        }
        argument if is_named(argument, "Bytes") => (Kind::Bytes, Some("Bytes")),
        _ => (Kind::Other, None),
    }
}

/// Returns what to write instead, if there is a reference in the type, or a lifetime that is not `'static`.
fn borrows(tokens: &TokenStream) -> Option<&'static str> {
    let mut tokens = tokens.clone().into_iter();
    while let Some(token) = tokens.next() {
        let advice = match token {
            TokenTree::Punct(punct) if punct.as_char() == '&' => {
                Some("write `String` for `&str`, `Vec<T>` for `&[T]`")
            }
            // A type that could borrow and does not, `Cow<'static, str>`.
            TokenTree::Punct(punct) if punct.as_char() == '\'' => match tokens.next() {
                Some(TokenTree::Ident(name)) if name == "static" => None,
                _ => Some(
                    "write `String` for what it borrows, or `'static` for its lifetime if it need not borrow, as a `Cow`",
                ),
            },
            TokenTree::Group(group) => borrows(&group.stream()),
            _ => None,
        };
        if advice.is_some() {
            return advice;
        }
    }
    None
}

/// Returns whether the type's path ends with that name. A renamed import escapes it: a hint, not a proof.
fn is_named(named: &Type, name: &str) -> bool {
    matches!(bare(named), Type::Path(path) if path.path.segments.last().is_some_and(|last| last.ident == name))
}

/// Takes off parentheses, and what a `$argument:ty` of somebody's `macro_rules!` is wrapped in.
pub fn bare(wrapped: &Type) -> &Type {
    match wrapped {
        Type::Group(group) => bare(&group.elem),
        Type::Paren(group) => bare(&group.elem),
        bare => bare,
    }
}
