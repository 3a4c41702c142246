//! Writes the code of a job. Nothing is judged here.
//!
//! ```text
//! vis static my_job: &'static NamedJob = {
//!     static __SQLXMQ_JOB: NamedJob = {
//!         async fn __my_job(..) { the user's function }
//!         NamedJob::new_internal(name, defaults, how to run it, the context it needs)
//!     };
//!     submit! { the job to the list behind `registry()` }
//!     &__SQLXMQ_JOB
//! };
//! ```
//!
//! It is one item, so that a `#[cfg]` on it takes everything away, and all of it is inside the static, so that
//! the user's names cannot meet ours. Our local variables are of [`Span::mixed_site`] for the same reason, and begin
//! with underscores because a static of the same name, another job, say, could not be shadowed.

mod types;

use proc_macro2::{Ident, Span, TokenStream};
use quote::{ToTokens, format_ident, quote, quote_spanned};
use syn::ext::IdentExt;
use syn::spanned::Spanned;
use syn::{FnArg, ReturnType, Visibility};

use crate::args::{self, Function, Placed};
use crate::check::{self, Mistakes, Options, Shape};
use types::{at, is_nameable, with_static_lifetimes};

/// Expands `#[job(attribute)] item`.
pub fn job(attribute: TokenStream, item: TokenStream) -> TokenStream {
    let mut mistakes = Mistakes::default();
    let options = check::options(args::arguments(attribute), &mut mistakes);
    let function = match syn::parse2::<Function>(item.clone()) {
        Ok(function) => function,
        Err(error) => {
            // The item is kept: if it is half-typed the compiler says so, if it is no function it stays usable.
            mistakes.add(syn::Error::new(
                error.span(),
                format!("`#[job]` goes on a function: {error}"),
            ));
            let errors = mistakes.to_compile_errors();
            return quote!(#errors #item);
        }
    };
    let shape = check::signature(&function.signature, &mut mistakes);
    let errors = mistakes.to_compile_errors();
    match shape {
        Shape::Method => quote!(#errors #function),
        Shape::Callable => {
            let registered = mistakes.is_empty();
            let job = Job {
                options,
                function,
                callable: true,
                registered,
            }
            .expand();
            quote!(#errors #job)
        }
        Shape::Uncallable => {
            let job = Job {
                options,
                function,
                callable: false,
                registered: false,
            }
            .expand();
            quote!(#errors #job)
        }
    }
}

struct Job {
    options: Options,
    function: Function,
    /// Whether the signature is one that can be called.
    callable: bool,
    /// Whether the job goes into the list: not if there was a mistake.
    registered: bool,
}

impl Job {
    fn expand(mut self) -> TokenStream {
        let sqlxmq = match &self.options.crate_path {
            Some(path) => quote!(#path),
            None => quote!(::sqlxmq),
        };
        let private = quote!(#sqlxmq::__private);

        let name = self.function.signature.ident.clone();
        let inner = format_ident!("__{}", name.unraw(), span = name.span());
        let visibility = std::mem::replace(&mut self.function.visibility, Visibility::Inherited);
        let Placed {
            on_static,
            on_function,
        } = Placed::new(&self.function.attributes);

        let job_name = self.job_name(&name);
        let defaults = self.defaults(&private);
        let (run, needs) = match self.callable {
            true => (self.run(&private, &inner), self.needs(&private)),
            false => (quote!(|_, _| ::core::unreachable!()), TokenStream::new()),
        };
        let submit = match self.registered {
            true => self.submit(&private, &name, &inner),
            false => TokenStream::new(),
        };

        let mut signature = self.function.signature;
        signature.ident = inner;
        let body = self.function.body;

        quote! {
            #(#on_static)*
            // Registered by itself, a job need not be named anywhere else.
            #[allow(non_upper_case_globals, dead_code)]
            #visibility static #name: &'static #sqlxmq::NamedJob = {
                static __SQLXMQ_JOB: #sqlxmq::NamedJob = {
                    #(#on_function)*
                    #signature #body
                    #submit
                    #sqlxmq::NamedJob::new_internal(
                        #job_name,
                        #private::BuildFn(#defaults),
                        #private::RunFn(#run),
                        const { &[#needs] },
                    )
                };
                &__SQLXMQ_JOB
            };
        }
    }

    /// The name in the database. The default is that of 0.6 to the letter (`r#` included), whose jobs may be queued.
    fn job_name(&self, name: &Ident) -> TokenStream {
        match &self.options.name {
            Some(name) => quote!(#name),
            None => {
                let name = name.to_string();
                quote!(::core::concat!(::core::module_path!(), "::", #name))
            }
        }
    }

    /// The closure that sets the defaults; `proto` first, so that the explicit ones win.
    fn defaults(&self, private: &TokenStream) -> TokenStream {
        let builder = Ident::new("__builder", Span::mixed_site());
        let Options {
            proto,
            channel_name,
            retries,
            backoff,
            ordered,
            ..
        } = &self.options;
        let channel_name = channel_name.iter();
        let retries = retries.iter();
        let backoff = backoff.iter().map(|backoff| {
            let (seconds, nanoseconds) = (backoff.as_secs(), backoff.subsec_nanos());
            quote!(#private::Duration::new(#seconds, #nanoseconds))
        });
        let ordered = ordered.iter();
        let start = match proto {
            Some(proto) => quote!(#private::proto(#builder, #proto)),
            None => quote!(#builder),
        };
        quote! {
            |#builder| {
                #start
                    #(.set_channel_name(#channel_name))*
                    #(.set_retries(#retries))*
                    #(.set_retry_backoff(#backoff))*
                    #(.set_ordered(#ordered))*
            }
        }
    }

    /// The closure that fetches the context and calls the function. Each check of a type is made at that type.
    fn run(&self, private: &TokenStream, inner: &Ident) -> TokenStream {
        let registry = Ident::new("__registry", Span::mixed_site());
        let current_job = Ident::new("__current_job", Span::mixed_site());
        let first = self
            .types()
            .take(1)
            .map(|first| quote_spanned!(first.span()=> #private::first_argument::<#first>(#current_job)));
        let context = self
            .types()
            .skip(1)
            .map(|context| quote_spanned!(context.span()=> #private::context::<#context>(#registry)));
        let names: Vec<Ident> = (0..self.types().count())
            .map(|index| Ident::new(&format!("__argument_{index}"), Span::mixed_site()))
            .collect();
        let arguments = first.chain(context);
        let signature = &self.function.signature;
        let call = match &signature.output {
            ReturnType::Type(_, output)
                if signature.asyncness.is_some() && is_nameable(quote!(#output), &signature.generics) =>
            {
                let run = at(output.span(), quote!(#private::run));
                quote_spanned!(output.span()=> #run::<#output, _, _>(move || #inner(#(#names),*)))
            }
            ReturnType::Type(_, output) => {
                let run = at(output.span(), quote!(#private::run));
                quote_spanned!(output.span()=> #run(move || #inner(#(#names),*)))
            }
            ReturnType::Default => unreachable!("BUG: a job without a return type is reported by `check`"),
        };
        quote! {
            |#registry, #current_job| {
                let _ = #registry;
                #(let #names = #arguments;)*
                #call
            }
        }
    }

    /// The context types, for the check that is made when a runner starts.
    fn needs(&self, private: &TokenStream) -> TokenStream {
        let needs = self
            .types()
            .skip(1)
            .map(|context| quote_spanned!(context.span()=> #private::context_need::<#context>()));
        quote!(#(#needs),*)
    }

    /// The entry in the list behind `registry()`. If the job has its default name, the entry tells where its
    /// function stands, so that a job inside of another function can be left out.
    fn submit(&self, private: &TokenStream, name: &Ident, inner: &Ident) -> TokenStream {
        let nested = match self.options.name {
            Some(_) => quote!(|| false),
            None => {
                let tail = format!("::{}::__SQLXMQ_JOB::{inner}", name.unraw());
                quote!(|| #private::is_nested(&#inner, ::core::module_path!(), #tail))
            }
        };
        quote! {
            #private::inventory::submit! {
                #private::RegisteredJob::new(&__SQLXMQ_JOB, #nested)
            }
        }
    }

    /// The types of the arguments. The function's own lifetimes are `'static` for a job.
    fn types(&self) -> impl Iterator<Item = TokenStream> {
        let signature = &self.function.signature;
        signature.inputs.iter().filter_map(move |input| match input {
            FnArg::Typed(typed) => Some(with_static_lifetimes(
                typed.ty.to_token_stream(),
                &signature.generics,
            )),
            FnArg::Receiver(_) => None,
        })
    }
}
