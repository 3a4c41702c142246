//! Types as tokens: what the generated code has to change about those of the signature.

use proc_macro2::{Group, Ident, Span, TokenStream, TokenTree};
use syn::Generics;

/// Moves a path to another place, for errors to be shown there; what its names mean is unchanged.
pub fn at(place: Span, path: TokenStream) -> TokenStream {
    let moved = path.into_iter().map(|mut token| {
        token.set_span(token.span().located_at(place));
        token
    });
    moved.collect()
}

/// Replaces the function's own lifetimes in a type by `'static`, which they are for a job.
pub fn with_static_lifetimes(tokens: TokenStream, generics: &Generics) -> TokenStream {
    if generics.params.is_empty() {
        return tokens;
    }
    let mut after_quote = false;
    let replaced = tokens.into_iter().map(|token| {
        let is_lifetime = std::mem::replace(&mut after_quote, is_quote(&token));
        match token {
            TokenTree::Ident(name)
                if is_lifetime && generics.lifetimes().any(|it| it.lifetime.ident == name) =>
            {
                TokenTree::Ident(Ident::new("static", name.span()))
            }
            TokenTree::Group(group) => {
                let inside = with_static_lifetimes(group.stream(), generics);
                let mut replaced = Group::new(group.delimiter(), inside);
                replaced.set_span(group.span());
                TokenTree::Group(replaced)
            }
            token => token,
        }
    });
    replaced.collect()
}

fn is_quote(token: &TokenTree) -> bool {
    matches!(token, TokenTree::Punct(punct) if punct.as_char() == '\'')
}

/// Returns whether the output can be written as a generic argument: `impl Trait` and a lifetime of the function
/// cannot.
pub fn is_nameable(output: TokenStream, generics: &Generics) -> bool {
    let mut after_quote = false;
    output.into_iter().all(|token| {
        let is_lifetime = std::mem::replace(&mut after_quote, is_quote(&token));
        match token {
            TokenTree::Ident(name) if is_lifetime => generics.lifetimes().all(|it| it.lifetime.ident != name),
            TokenTree::Ident(name) => name != "impl",
            TokenTree::Group(group) => is_nameable(group.stream(), generics),
            _ => true,
        }
    })
}
