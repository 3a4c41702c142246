//! Writes the code of a job. Nothing is judged here.
//!
//! ```text
//! vis static my_job: &'static NamedJob = {            // `&'static Job<P>` if the payload is an argument
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

mod run;
mod types;

use proc_macro2::{Ident, Span, TokenStream};
use quote::{ToTokens, format_ident, quote, quote_spanned};
use syn::ext::IdentExt;
use syn::spanned::Spanned;
use syn::{FnArg, Type, Visibility};

use crate::args::{self, Function, Placed};
use crate::check::{self, Growth, Kind, Mistakes, Options, Shape};
use types::{at, with_static_lifetimes};

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
    let (kinds, callable) = match shape {
        Shape::Method => {
            let errors = mistakes.to_compile_errors();
            return quote!(#errors #function);
        }
        Shape::Callable(kinds) => (kinds, true),
        Shape::Uncallable(kinds) => (kinds, false),
    };
    if let Some(place) = options.place("version")
        && !kinds.contains(&Kind::Json)
    {
        mistakes.push(
            place,
            "`version` is the version of a typed payload: take it as an argument, `Json(payload): Json<MyPayload>`",
        );
    }
    let errors = mistakes.to_compile_errors();
    let job = Job {
        options,
        function,
        kinds,
        callable,
        registered: mistakes.is_empty(),
    }
    .expand();
    quote!(#errors #job)
}

struct Job {
    options: Options,
    function: Function,
    /// What each argument is.
    kinds: Vec<Kind>,
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

        let defaults = self.defaults(&private);
        let job_name = self.job_name(&name, 1);
        let (run, needs) = match self.callable {
            true => (self.run(&private, &inner, &job_name), self.needs(&private)),
            false => (quote!(|_, _| ::core::unreachable!()), TokenStream::new()),
        };
        let submit = match self.registered {
            true => self.submit(&private, &name, &inner),
            false => TokenStream::new(),
        };
        let policy = self.policy(&private);
        let versions = self.versions(&name);
        let named = quote! {
            #sqlxmq::NamedJob::new_internal(
                #job_name,
                #private::BuildFn(#defaults),
                #private::RunFn(#run),
                const { &[#needs] },
            ) #policy #versions
        };
        let (job_type, job) = match self.payload() {
            Some(payload) => (
                quote!(#sqlxmq::Job<#payload>),
                quote!(#sqlxmq::Job::new_internal(#named)),
            ),
            None => (quote!(#sqlxmq::NamedJob), named),
        };

        let mut signature = self.function.signature;
        signature.ident = inner;
        let body = self.function.body;

        quote! {
            #(#on_static)*
            // Registered by itself, a job need not be named anywhere else.
            #[allow(non_upper_case_globals, dead_code)]
            #visibility static #name: &'static #job_type = {
                static __SQLXMQ_JOB: #job_type = {
                    #(#on_function)*
                    #signature #body
                    #submit
                    #job
                };
                &__SQLXMQ_JOB
            };
        }
    }

    /// The name in the database of a version. The default is that of 0.6 to the letter (`r#` included), whose jobs may be
    /// queued.
    fn job_name(&self, name: &Ident, version: u32) -> TokenStream {
        let suffix = match version {
            1 => String::new(),
            later => format!("@v{later}"),
        };
        match &self.options.name {
            Some(name) => {
                let name = format!("{name}{suffix}");
                quote!(#name)
            }
            None => {
                let name = format!("{name}{suffix}");
                quote!(::core::concat!(::core::module_path!(), "::", #name))
            }
        }
    }

    /// The names of the versions after the first.
    fn versions(&self, name: &Ident) -> TokenStream {
        let known = self.options.version.unwrap_or(1);
        if known == 1 {
            return TokenStream::new();
        }
        let names = (2..=known).map(|version| self.job_name(name, version));
        quote!(.with_versions(const { &[#(#names),*] }))
    }

    /// What the runner does about each attempt.
    fn policy(&self, private: &TokenStream) -> TokenStream {
        let Options {
            timeout,
            lease,
            growth,
            ..
        } = &self.options;
        let is_linear = *growth == Some(Growth::Linear);
        let is_constant = ["timeout", "lease"]
            .iter()
            .any(|key| self.options.constant(key).is_some());
        if timeout.is_none() && lease.is_none() && !is_linear && !is_constant {
            return TokenStream::new();
        }
        let option =
            |key: &str, duration: &Option<std::time::Duration>| match self.duration(private, key, duration) {
                Some(duration) => quote!(::core::option::Option::Some(#duration)),
                None => quote!(::core::option::Option::None),
            };
        let (timeout, lease) = (option("timeout", timeout), option("lease", lease));
        quote! {
            .with_policy(#private::Policy { timeout: #timeout, lease: #lease, has_linear_backoff: #is_linear })
        }
    }

    /// The type of the payload, if it is an argument.
    fn payload(&self) -> Option<TokenStream> {
        let of_kind = |wanted: Kind| {
            let mut arguments = self.types().zip(&self.kinds);
            arguments.find_map(|(argument, kind)| (*kind == wanted).then_some(argument))
        };
        match (of_kind(Kind::Json), of_kind(Kind::Bytes)) {
            (None, None) => None,
            (Some(json), None) => Some(json),
            (None, Some(bytes)) => Some(bytes),
            (Some(json), Some(bytes)) => Some(quote!((#json, #bytes))),
        }
    }

    /// The closure that sets the defaults; `proto` first, so that the explicit ones win.
    fn defaults(&self, private: &TokenStream) -> TokenStream {
        let builder = Ident::new("__builder", Span::mixed_site());
        let Options {
            proto,
            channel_name,
            channel_args,
            retries,
            backoff,
            growth,
            max_backoff,
            delay,
            commit_interval,
            ordered,
            ..
        } = &self.options;
        let duration = |key: &str, literal: &Option<std::time::Duration>| {
            self.duration(private, key, literal).into_iter()
        };
        let backoff = duration("backoff", backoff);
        let delay = duration("delay", delay);
        let commit_interval = duration("commit_interval", commit_interval);
        let max_backoff = match growth {
            // The maximum never cuts the first wait, so below it all waits are the same.
            Some(Growth::Fixed) => Some(quote!(#private::Duration::ZERO)),
            _ => self.duration(private, "max_backoff", max_backoff),
        };
        let max_backoff = max_backoff.iter();
        let given = |key: &str, check: &str, literal: Option<TokenStream>| {
            literal.or_else(|| self.constant(private, key, check)).into_iter()
        };
        let channel_name = given(
            "channel_name",
            "channel_name",
            channel_name.as_ref().map(|it| quote!(#it)),
        );
        let channel_args = given(
            "channel_args",
            "channel_args",
            channel_args.as_ref().map(|it| quote!(#it)),
        );
        let retries = given("retries", "retries", retries.as_ref().map(|it| quote!(#it)));
        let ordered = ordered.iter();
        let start = match proto {
            Some(proto) => quote!(#private::proto(#builder, #proto)),
            None => quote!(#builder),
        };
        quote! {
            |#builder| {
                #start
                    #(.set_channel_name(#channel_name))*
                    #(.set_channel_args(#channel_args))*
                    #(.set_retries(#retries))*
                    #(.set_retry_backoff(#backoff))*
                    #(.set_max_backoff(#max_backoff))*
                    #(.set_delay(#delay))*
                    #(.set_commit_interval(::core::option::Option::Some(#commit_interval)))*
                    #(.set_ordered(#ordered))*
            }
        }
    }

    /// A duration, written out or a constant's.
    fn duration(
        &self,
        private: &TokenStream,
        key: &str,
        written: &Option<std::time::Duration>,
    ) -> Option<TokenStream> {
        match written {
            Some(duration) => Some(literal(private, duration)),
            None => self.constant(private, key, "duration"),
        }
    }

    /// The value of a constant, in its bounds.
    fn constant(&self, private: &TokenStream, key: &str, check: &str) -> Option<TokenStream> {
        let path = self.options.constant(key)?;
        let takes = match check {
            "channel_name" => "a text of at most 1024 bytes without NUL",
            "channel_args" => "a text of at most 16384 bytes without NUL",
            "retries" => "a number from 0 to 1000000",
            _ => "a duration of at most 100 years of 360 days",
        };
        let message = format!("`{key}` takes {takes}");
        let check = Ident::new(check, Span::call_site());
        let check = at(path.span(), quote!(#private::#check));
        let value = Ident::new("__value", Span::mixed_site());
        Some(quote_spanned! {path.span()=>
            const {
                match #check(#path) {
                    ::core::option::Option::Some(#value) => #value,
                    ::core::option::Option::None => ::core::panic!(#message),
                }
            }
        })
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
                #private::RegisteredJob::new(__SQLXMQ_JOB.named(), #nested)
            }
        }
    }

    /// The types of the arguments; of what is lent, the type behind the reference. The function's own lifetimes are `'static`
    /// for a job.
    fn types(&self) -> impl Iterator<Item = TokenStream> {
        let signature = &self.function.signature;
        let types = signature.inputs.iter().filter_map(|input| match input {
            FnArg::Typed(typed) => Some(&*typed.ty),
            FnArg::Receiver(_) => None,
        });
        types.zip(&self.kinds).map(move |(argument, kind)| {
            let tokens = match (check::bare(argument), kind) {
                (Type::Reference(reference), Kind::Lent) => reference.elem.to_token_stream(),
                (bare, _) => bare.to_token_stream(),
            };
            with_static_lifetimes(tokens, &signature.generics)
        })
    }
}

fn literal(private: &TokenStream, duration: &std::time::Duration) -> TokenStream {
    let (seconds, nanoseconds) = (duration.as_secs(), duration.subsec_nanos());
    quote!(#private::Duration::new(#seconds, #nanoseconds))
}
