//! What the user wrote, taken apart: the arguments of the attribute and the function under it.
//!
//! Nothing is judged here. An argument that makes no sense is still an [`Argument`], so that `check` can report
//! all of them at once, each at its own place.

use proc_macro2::{Delimiter, Span, TokenStream, TokenTree};
use quote::ToTokens;
use syn::ext::IdentExt;
use syn::parse::{Parse, ParseStream};
use syn::{Attribute, Ident, Signature, Token, Visibility};

/// One argument of the attribute, between two commas.
pub enum Argument {
    /// Nothing between two commas; the span is the second one's.
    Empty(Span),
    /// `key`
    Flag(Ident),
    /// `key = value`; the value may be missing.
    Value(Ident, TokenStream),
    /// `key(..)`
    List(Ident, TokenStream),
    /// Anything else: a literal, most likely.
    Positional(TokenStream),
}

/// Splits the attribute's tokens at its commas. A trailing comma is no argument.
pub fn arguments(tokens: TokenStream) -> Vec<Argument> {
    let mut arguments = Vec::new();
    let mut current = Vec::new();
    for token in tokens {
        match &token {
            TokenTree::Punct(punct) if punct.as_char() == ',' => {
                let span = punct.span();
                arguments.push(argument(std::mem::take(&mut current)).unwrap_or(Argument::Empty(span)));
            }
            _ => current.push(token),
        }
    }
    arguments.extend(argument(current));
    arguments
}

fn argument(tokens: Vec<TokenTree>) -> Option<Argument> {
    Some(match tokens.as_slice() {
        [] => return None,
        [TokenTree::Ident(key)] => Argument::Flag(key.clone()),
        [TokenTree::Ident(key), TokenTree::Punct(equals), value @ ..] if equals.as_char() == '=' => {
            Argument::Value(key.clone(), value.iter().cloned().collect())
        }
        [TokenTree::Ident(key), TokenTree::Group(list)] if list.delimiter() == Delimiter::Parenthesis => {
            Argument::List(key.clone(), list.stream())
        }
        _ => Argument::Positional(tokens.into_iter().collect()),
    })
}

/// A function whose body was not parsed: that is the compiler's affair, and a half-typed body must not take
/// the rest of the job away from the editor.
pub struct Function {
    pub attributes: Vec<Attribute>,
    pub visibility: Visibility,
    pub signature: Signature,
    pub body: TokenStream,
}

impl Parse for Function {
    fn parse(input: ParseStream<'_>) -> syn::Result<Self> {
        Ok(Self {
            attributes: input.call(Attribute::parse_outer)?,
            visibility: input.parse()?,
            signature: input.parse()?,
            body: input.parse()?,
        })
    }
}

impl ToTokens for Function {
    fn to_tokens(&self, tokens: &mut TokenStream) {
        for attribute in &self.attributes {
            attribute.to_tokens(tokens);
        }
        self.visibility.to_tokens(tokens);
        self.signature.to_tokens(tokens);
        self.body.to_tokens(tokens);
    }
}

/// The attributes of one function, parted between the static and the function inside it.
#[derive(Default)]
pub struct Placed {
    pub on_static: Vec<TokenStream>,
    pub on_function: Vec<TokenStream>,
}

impl Placed {
    /// Parts the attributes: what describes or guards the item goes to the static, what changes the function's
    /// code stays with it. Lint levels on the static reach the function, because it stands inside.
    pub fn new(attributes: &[Attribute]) -> Self {
        let mut placed = Self::default();
        for attribute in attributes {
            if attribute.path().is_ident("cfg_attr") {
                placed.split_cfg_attr(attribute);
            } else if belongs_to_static(attribute.path()) {
                placed.on_static.push(attribute.to_token_stream());
            } else {
                placed.on_function.push(attribute.to_token_stream());
            }
        }
        placed
    }

    /// `#[cfg_attr(predicate, a, b)]` is `#[cfg_attr(predicate, a)] #[cfg_attr(predicate, b)]`.
    fn split_cfg_attr(&mut self, attribute: &Attribute) {
        let Ok((predicate, conditional)) = attribute.parse_args_with(cfg_attr) else {
            // Whatever is wrong with it, the compiler says it better.
            return self.on_static.push(attribute.to_token_stream());
        };
        for (path, tokens) in conditional {
            let part = quote::quote!(#[cfg_attr(#predicate, #tokens)]);
            if belongs_to_static(&path) {
                &mut self.on_static
            } else {
                &mut self.on_function
            }
            .push(part);
        }
    }
}

fn belongs_to_static(path: &syn::Path) -> bool {
    [
        "doc",
        "cfg",
        "allow",
        "expect",
        "warn",
        "deny",
        "forbid",
        "deprecated",
    ]
    .iter()
    .any(|name| path.is_ident(name))
}

fn cfg_attr(input: ParseStream<'_>) -> syn::Result<(TokenStream, Vec<(syn::Path, TokenStream)>)> {
    let predicate = until_comma(input)?;
    let mut conditional = Vec::new();
    while !input.is_empty() {
        let path = input.fork().call(attribute_path)?;
        conditional.push((path, until_comma(input)?));
    }
    Ok((predicate, conditional))
}

fn attribute_path(input: ParseStream<'_>) -> syn::Result<syn::Path> {
    // `unsafe(no_mangle)` is no path; it is nothing that a static could carry for the function either.
    if input.peek(Token![unsafe]) {
        return Ok(input.call(Ident::parse_any)?.into());
    }
    input.call(syn::Path::parse_mod_style)
}

fn until_comma(input: ParseStream<'_>) -> syn::Result<TokenStream> {
    let mut tokens = TokenStream::new();
    while !input.is_empty() && !input.peek(Token![,]) {
        tokens.extend([input.parse::<TokenTree>()?]);
    }
    input.parse::<Option<Token![,]>>()?;
    Ok(tokens)
}
