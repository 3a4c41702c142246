//! Writes how a job's function is called: its arguments are made, it is run, and what it returns is judged.
//!
//! ```text
//! |registry, job| boxed(async move {
//!     let mut call = Call::new(registry, job);
//!     let a = payload, extractor, context or the job, by type      // each in a `match` that ends the attempt on an error
//!     let a = lent argument                                          // the last to be made, so that a transaction is short
//!     let a = a.finish(&mut call)                                    // now the function takes the job, if it owns it
//!     let returned = run(move || inner(a, ..)).await;
//!     let end = call.end(verdict on what it returned)
//!     a.finish(&mut end).await                                       // of a lent argument
//!     end
//! })
//! ```
//!
//! Each check of a type is made at that type: the macro can't know more about it than its name.

use proc_macro2::{Ident, Span, TokenStream};
use quote::{ToTokens, format_ident, quote, quote_spanned};
use syn::ReturnType;
use syn::spanned::Spanned;

use super::Job;
use super::types::{at, is_nameable};
use crate::check::Kind;

impl Job {
    /// The closure behind `RunFn`.
    pub(super) fn run(&self, private: &TokenStream, inner: &Ident, job_name: &TokenStream) -> TokenStream {
        let [registry, current_job, call, kept, returned, end] = [
            "__registry",
            "__current_job",
            "__call",
            "__kept",
            "__returned",
            "__end",
        ]
        .map(|name| Ident::new(name, Span::mixed_site()));
        let names: Vec<Ident> = (0..self.kinds.len())
            .map(|index| Ident::new(&format!("__argument_{index}"), Span::mixed_site()))
            .collect();
        let arguments = || names.iter().zip(self.types()).zip(&self.kinds);

        // The payload first: what is dead by it must not ask anybody else.
        let payloads = arguments().filter_map(|((name, argument), kind)| {
            let value = match kind {
                Kind::Json => self.json(private, &argument, &call, job_name),
                Kind::Bytes => {
                    let bytes = at(argument.span(), quote!(#private::bytes));
                    quote_spanned!(argument.span()=> #bytes::<#argument>(&mut #call))
                }
                Kind::Borrowed { .. } | Kind::Lent | Kind::Other => return None,
            };
            Some(checked(name, &call, value))
        });
        let begun = arguments()
            .filter(|(_, kind)| **kind == Kind::Other)
            .map(|((name, argument), _)| {
                let kind = argument_kind(private, &argument);
                let check = at(argument.span(), quote!(#private::check));
                let value = quote_spanned!(argument.span()=> #kind.begin::<#argument>(&#call).await);
                let value = checked(name, &call, value);
                quote_spanned!(argument.span()=> #check::<#argument, _>(#kind); #value)
            });
        let lent: Vec<_> = names
            .iter()
            .zip(&self.kinds)
            .filter_map(|(name, kind)| (*kind == Kind::Lent).then_some(name))
            .collect();
        let handles: Vec<_> = lent.iter().map(|name| format_ident!("{name}_lent")).collect();
        let lending = arguments()
            .filter(|(_, kind)| **kind == Kind::Lent)
            .zip(&handles)
            .map(|(((_, argument), _), handle)| {
                let lend = at(argument.span(), quote!(#private::lend));
                let value = quote_spanned!(argument.span()=> #lend::<#argument>(&#call).await);
                let value = checked(handle, &call, value);
                quote!(#value let mut #handle = #handle;)
            });
        let values = lent
            .iter()
            .zip(&handles)
            .map(|(name, handle)| quote!(let #name = #handle.value();));
        let finishing = handles
            .iter()
            .rev()
            .map(|handle| quote!(#handle.finish(&mut #end).await;));
        let ending = match handles.is_empty() {
            true => quote!(#call.end(#returned)),
            false => quote! {
                let mut #end = #call.end(#returned);
                #(#finishing)*
                #end
            },
        };
        let finished = arguments()
            .filter(|(_, kind)| **kind == Kind::Other)
            .map(|((name, _), _)| quote!(let #name = #name.finish(&mut #call);));
        let keeps = self
            .kinds
            .iter()
            .any(|kind| matches!(kind, Kind::Borrowed { .. }));
        let keep = keeps.then(|| quote!(let #kept = #call.lend();));
        let given = names.iter().zip(&self.kinds).map(|(name, kind)| match kind {
            Kind::Borrowed { mutable: true } => quote!(#kept),
            Kind::Borrowed { mutable: false } => quote!(&*#kept),
            Kind::Json | Kind::Bytes | Kind::Lent | Kind::Other => quote!(#name),
        });

        let signature = &self.function.signature;
        let place = match &signature.output {
            ReturnType::Type(_, output) => output.span(),
            ReturnType::Default => signature.ident.span(),
        };
        let run = at(place, quote!(#private::run));
        let judge = at(place, quote!(#private::judge));
        // Errors are shown at the types that are written out.
        let (run, judge) = match &signature.output {
            ReturnType::Type(_, output)
                if signature.asyncness.is_some()
                    && is_nameable(output.to_token_stream(), &signature.generics) =>
            {
                (
                    quote_spanned!(place=> #run::<#output, _, _>),
                    quote_spanned!(place=> #judge::<#output, _>),
                )
            }
            _ => (run, judge),
        };
        let call_function = match self.kinds.is_empty() {
            // A closure around nothing is what clippy warns about in the user's name.
            true => quote_spanned!(place=> #run(#inner)),
            false => quote_spanned!(place=> #run(move || #inner(#(#given),*))),
        };
        let kind = result_kind(private, &returned, place);
        let verdict = quote_spanned!(place=> #judge(#kind, #returned));
        quote! {
            |#registry, #current_job| #private::boxed(async move {
                #[allow(unused_imports)]
                use #private::{IsContext as _, IsExtractor as _, IsJob as _, IsOpen as _, IsPlain as _, IsTold as _};
                let mut #call = #private::Call::new(#registry, #current_job);
                #(#payloads)*
                #(#begun)*
                #(#lending)*
                #(#finished)*
                #(#values)*
                #keep
                let #returned = #call_function.await;
                let #returned = #verdict;
                #ending
            })
        }
    }

    /// The context that the arguments ask for, for the check that is made when a runner starts.
    pub(super) fn needs(&self, private: &TokenStream) -> TokenStream {
        let registry = Ident::new("__registry", Span::mixed_site());
        let needs = self
            .types()
            .zip(&self.kinds)
            .filter(|(_, kind)| matches!(kind, Kind::Other | Kind::Lent))
            .map(|(argument, kind)| {
                if *kind == Kind::Lent {
                    return quote! {
                        #private::ContextNeed(|#registry| {
                            #[allow(unused_imports)]
                            use #private::{IsLent as _, IsNotLent as _};
                            (&&#private::Argument::<#argument>::NEW).missing(#registry)
                        })
                    };
                }
                let kind = argument_kind(private, &argument);
                quote! {
                    #private::ContextNeed(|#registry| {
                        #[allow(unused_imports)]
                        use #private::{IsContext as _, IsExtractor as _, IsJob as _};
                        #kind.missing::<#argument>(#registry)
                    })
                }
            });
        quote!(#(#needs),*)
    }

    /// Decodes the JSON payload, of whatever version.
    fn json(
        &self,
        private: &TokenStream,
        argument: &TokenStream,
        call: &Ident,
        job_name: &TokenStream,
    ) -> TokenStream {
        let known = self.options.version.unwrap_or(1);
        let upgrades = &self.options.upgrades;
        let count = u32::try_from(upgrades.len()).unwrap_or(u32::MAX);
        let oldest = known.saturating_sub(count).max(1);
        let place = argument.span();
        let version = quote!(#private::Version { name: #job_name, known: #known, oldest: #oldest });
        if upgrades.is_empty() {
            let json = at(place, quote!(#private::json));
            return quote_spanned!(place=> #json::<#argument>(&mut #call, #version));
        }
        let [from, job, payload] =
            ["__from", "__job", "__payload"].map(|name| Ident::new(name, Span::mixed_site()));
        let current = quote!(<#argument as #private::JsonPayload>);
        let arms = (oldest..known).zip(0..).map(|(version, first): (u32, usize)| {
            let steps = (oldest..known).zip(upgrades).skip(first).map(|(step, path)| {
                let upgrade = at(path.span(), quote!(#private::upgrade));
                let next = match step + 1 == known {
                    true => quote!(#current::Value),
                    false => quote!(_),
                };
                quote_spanned!(path.span()=> let #payload = #upgrade::<#next, _, _>(#step, #path, #payload)?;)
            });
            quote! {
                #version => {
                    let #payload = #private::decode(#job)?;
                    #(#steps)*
                    ::core::result::Result::Ok(#payload)
                }
            }
        });
        let upgraded = at(place, quote!(#private::upgraded));
        quote_spanned! {place=>
            #upgraded::<#argument>(&mut #call, #version, |#from, #job| match #from {
                #(#arms)*
                _ => #current::decode(#job),
            })
        }
    }
}

/// Binds the value of an argument, or ends the attempt.
fn checked(name: &Ident, call: &Ident, value: TokenStream) -> TokenStream {
    let verdict = Ident::new("__verdict", Span::mixed_site());
    quote! {
        let #name = match #value {
            ::core::result::Result::Ok(#name) => #name,
            ::core::result::Result::Err(#verdict) => return #call.end(#verdict),
        };
    }
}

/// What an argument is by its type: the first trait in a row of references that it has.
fn argument_kind(private: &TokenStream, argument: &TokenStream) -> TokenStream {
    let place = argument.span();
    let private = at(place, private.clone());
    quote_spanned!(place=> (&&&#private::Argument::<#argument>::NEW).argument_kind())
}

/// What was returned by its type, in the same way.
fn result_kind(private: &TokenStream, returned: &Ident, place: Span) -> TokenStream {
    let private = at(place, private.clone());
    quote_spanned!(place=> (&&&#private::Returned::of(&#returned)).result_kind())
}
