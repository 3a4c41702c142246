//! Checks the signature of the function.

use syn::{Error, FnArg, GenericParam, ReturnType, Safety, Signature, Type};

use super::Mistakes;

/// What the generated code may do with the function.
pub enum Shape {
    /// Call it with the job and the context.
    Callable,
    /// Only keep it, so that its body is still checked.
    Uncallable,
    /// Leave it where it stands: it is a method, and a static cannot stand there.
    Method,
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
    // A lifetime is no choice: whatever a job is given is `'static`.
    for parameter in signature
        .generics
        .params
        .iter()
        .filter(|it| !matches!(it, GenericParam::Lifetime(_)))
    {
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
    inputs(signature, mistakes);
    match mistakes.0.len() == mistakes_before {
        true => Shape::Callable,
        false => Shape::Uncallable,
    }
}

fn output(signature: &Signature, mistakes: &mut Mistakes) {
    const ASYNC: &str = "a job is an `async fn`, or a function that returns a future";
    match &signature.output {
        ReturnType::Default if signature.asyncness.is_none() => mistakes.push(signature.fn_token, ASYNC),
        ReturnType::Default => mistakes.push(
            &signature.ident,
            "a job returns `Result<(), E>`, where `E` converts into `Box<dyn Error + Send + Sync>`",
        ),
        ReturnType::Type(_, output) if signature.asyncness.is_none() && is_named(output, "Result") => {
            mistakes.push(signature.fn_token, ASYNC);
        }
        ReturnType::Type(..) => {}
    }
}

fn inputs(signature: &Signature, mistakes: &mut Mistakes) {
    let mut types = signature.inputs.iter().filter_map(|input| match input {
        FnArg::Typed(typed) => Some(&*typed.ty),
        FnArg::Receiver(_) => None,
    });
    let Some(first) = types.next() else {
        return mistakes.add(Error::new(
            signature.paren_token.span.join(),
            "a job takes its `CurrentJob` as the first argument: `(mut current_job: CurrentJob)`",
        ));
    };
    match first {
        Type::Reference(reference) => mistakes.push(
            reference,
            "a job owns its `CurrentJob`: take it by value, `mut current_job: CurrentJob`",
        ),
        Type::ImplTrait(first) => mistakes.push(first, "the first argument of a job is the `CurrentJob`"),
        _ => {}
    }
    for context in types {
        match context {
            Type::Reference(reference) if reference.mutability.is_some() => mistakes.push(
                reference,
                "context is shared by jobs that run at the same time: take it by value, or behind `Arc<Mutex<_>>`",
            ),
            Type::ImplTrait(context) => {
                mistakes.push(context, "context is found by its type, which must be named here");
            }
            context if is_named(context, "CurrentJob") => {
                mistakes.push(context, "the `CurrentJob` is the first argument of a job, and given once");
            }
            _ => {}
        }
    }
}

/// Returns whether the type's path ends with that name. A renamed import escapes it: a hint, not a proof.
fn is_named(named: &Type, name: &str) -> bool {
    matches!(named, Type::Path(path) if path.path.segments.last().is_some_and(|last| last.ident == name))
}
