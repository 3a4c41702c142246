//! Signatures as text: as rustfmt has left them, on one line.

use quote::ToTokens;
use syn::spanned::Spanned;
use syn::{Attribute, Field, Fields, Generics, ImplItem, TraitItem, Variant, Visibility};

/// The source of a piece of syntax, on one line.
pub fn text(of: &(impl Spanned + ToTokens)) -> String {
    let source = of
        .span()
        .source_text()
        .unwrap_or_else(|| of.to_token_stream().to_string());
    let words: Vec<&str> = source.split_whitespace().collect();
    words
        .join(" ")
        .replace("( ", "(")
        .replace(", )", ")")
        .trim_end_matches(',')
        .to_owned()
}

/// A type's parameters and its bounds.
pub fn generics(generics: &Generics) -> String {
    let bounds = generics
        .where_clause
        .as_ref()
        .map(|bounds| format!(" {}", text(bounds)));
    let parameters = match generics.params.is_empty() {
        true => String::new(),
        false => text(generics),
    };
    parameters + bounds.unwrap_or_default().trim_end_matches(',')
}

/// What is visible of the fields of a struct. `..`: there are others.
pub fn fields(fields: &Fields) -> String {
    let is_visible = |field: &&Field| matches!(field.vis, Visibility::Public(_));
    let mut shown: Vec<String> = fields.iter().filter(is_visible).map(field).collect();
    if shown.len() < fields.len() {
        shown.push("..".to_owned());
    }
    bracketed(fields, &shown)
}

/// A variant with its fields.
pub fn variant(variant: &Variant) -> String {
    let shown: Vec<String> = variant.fields.iter().map(field).collect();
    variant.ident.to_string() + &bracketed(&variant.fields, &shown)
}

fn field(field: &Field) -> String {
    match &field.ident {
        Some(name) => format!("{name}: {}", text(&field.ty)),
        None => text(&field.ty),
    }
}

fn bracketed(fields: &Fields, shown: &[String]) -> String {
    match fields {
        Fields::Unit => String::new(),
        Fields::Named(_) => format!(" {{ {} }}", shown.join(", ")),
        Fields::Unnamed(_) => format!("({})", shown.join(", ")),
    }
}

/// What a user may see of a member of an `impl` block.
pub fn member(item: &ImplItem) -> Option<(Vec<Attribute>, String)> {
    match item {
        ImplItem::Fn(item) if is_public(&item.vis) => Some((item.attrs.clone(), text(&item.sig))),
        ImplItem::Const(item) if is_public(&item.vis) => Some((
            item.attrs.clone(),
            format!("const {}: {}", item.ident, text(&item.ty)),
        )),
        _ => None,
    }
}

/// A member of a trait; one with a body need not be implemented.
pub fn demand(item: &TraitItem) -> Option<(Vec<Attribute>, String)> {
    Some(match item {
        TraitItem::Fn(item) => {
            let provided = if item.default.is_some() { " { .. }" } else { "" };
            (item.attrs.clone(), text(&item.sig) + provided)
        }
        TraitItem::Type(item) => (item.attrs.clone(), text(item).trim_end_matches(';').to_owned()),
        TraitItem::Const(item) => (
            item.attrs.clone(),
            format!("const {}: {}", item.ident, text(&item.ty)),
        ),
        _ => return None,
    })
}

pub fn is_public(visibility: &Visibility) -> bool {
    matches!(visibility, Visibility::Public(_))
}

/// Attributes that are part of the interface.
pub fn attributes(attributes: &[Attribute]) -> String {
    let mut shown = String::new();
    for attribute in attributes {
        if ["cfg", "derive", "non_exhaustive", "must_use"]
            .iter()
            .any(|name| attribute.path().is_ident(name))
        {
            shown += &format!(" {}", text(attribute));
        }
    }
    shown
}
