//! Judges what the user wrote and collects every mistake, each at the token at fault, naming what is allowed.
//!
//! Types cannot be judged here: the generated code does that with the traits of `sqlxmq::__private`.

mod duration;
mod options;
mod signature;
mod value;

pub use options::{Growth, Options, options};
pub use signature::{Kind, Shape, bare, signature};

use proc_macro2::TokenStream;
use quote::ToTokens;
use syn::Error;

/// All the mistakes found so far.
#[derive(Default)]
pub struct Mistakes(Vec<Error>);

impl Mistakes {
    /// Adds a mistake, to be shown at `place`.
    pub fn push(&mut self, place: impl ToTokens, message: impl std::fmt::Display) {
        self.add(Error::new_spanned(place, message));
    }

    /// Adds a mistake.
    pub fn add(&mut self, error: Error) {
        self.0.push(error);
    }

    /// Returns whether there were none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Returns a `compile_error!` for each.
    pub fn to_compile_errors(&self) -> TokenStream {
        self.0.iter().map(Error::to_compile_error).collect()
    }
}
