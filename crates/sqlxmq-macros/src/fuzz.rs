//! Fuzzing of what the attribute reads: whatever is written there, the macro answers with code or with its mistakes.
//!
//! With proptest and not with a coverage-guided fuzzer: those want a nightly or a cargo plugin, and the input is a tree of
//! few shapes, which a grammar reaches at once. `PROPTEST_CASES=1000000` runs for longer.

use std::str::FromStr;
use std::time::Duration;

use proc_macro2::{Literal, TokenStream};
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::select;
use quote::quote;

use crate::args;
use crate::check::{self, Mistakes, Options};
use crate::expand;

fn options(arguments: TokenStream) -> (Options, bool) {
    let mut mistakes = Mistakes::default();
    let options = check::options(args::arguments(arguments), &mut mistakes);
    (options, mistakes.is_empty())
}

/// Words of an attribute, right and wrong, in any order.
fn attribute() -> impl Strategy<Value = String> {
    let word = prop_oneof![
        4 => select(vec![
            "name", "channel_name", "retries", "backoff_secs", "ordered", "proto", "crate", "channel_args", "backoff",
            "max_backoff_secs", "delay", "lease_secs", "timeout", "version", "upgrade", "linear", "fixed", "nonsense", "r#ordered", "async",
        ])
        .prop_map(str::to_owned),
        4 => select(vec![
            "=", ",", ",", "(", ")", "[", "]", "{", "}", "-", "::", "<", ">", "#", "!", "'", ";", "..", "@",
        ])
        .prop_map(str::to_owned),
        2 => select(vec![
            "true", "false", "0", "3", "\"1h 30m\"", "\"1.h\"", "a::b", "-1", "1.5", "1e400", "4294967296", "0xff", "1_0.0_1f32", "b\"x\"", "c\"x\"", "'x'", "1u8",
        ])
        .prop_map(str::to_owned),
        1 => any::<String>().prop_map(|text| Literal::string(&text).to_string()),
        1 => number(),
    ];
    let tidy = prop_oneof![
        (
            select(vec![
                "name",
                "channel_name",
                "retries",
                "backoff_secs",
                "ordered",
                "crate"
            ]),
            word.clone()
        )
            .prop_map(|(key, value)| format!("{key} = {value}")),
        word.clone().prop_map(|list| format!("proto({list})")),
    ];
    prop_oneof![
        vec(word, 0..16).prop_map(|words| words.join(" ")),
        vec(tidy, 0..6).prop_map(|arguments| arguments.join(", ")),
    ]
}

/// Items, from what is a job to what is half-typed.
fn item() -> impl Strategy<Value = String> {
    let front = select(vec![
        "",
        "pub",
        "pub(crate)",
        "#[doc = \"x\"]",
        "#[cfg_attr(test, doc = \"x\", inline, unsafe(no_mangle))]",
        "#[cfg_attr(]",
        "#[cfg_attr()]",
        "#[allow(unused)] pub",
        "const",
        "unsafe extern \"C\"",
    ]);
    let function = select(vec![
        "async fn",
        "fn",
        "struct",
        "static",
        "impl X",
        "macro_rules!",
        "",
    ]);
    let name = select(vec!["job", "r#fn", "r#job", "_", "self", "__job", "1"]);
    let generics = select(vec!["", "<T>", "<'a>", "<const N: usize>", "<"]);
    let argument = select(vec![
        "job: CurrentJob",
        "mut job: CurrentJob",
        "self",
        "&mut self",
        "_: &'static str",
        "(a, b): (u8, u8)",
        "x: impl Fn()",
        "&mut job: &mut CurrentJob",
        "job: &CurrentJob",
        "Json(x): Json<T>",
        "x: a::Json<&str>",
        "x: &Bytes",
        "tx: &mut JobTx",
        "&mut tx: &'a mut a::JobTx",
        "tx: JobTx",
        "x: &mut [T]",
        "Bytes(x): Bytes",
        "...",
        "x: [u8; { fn f() {} 3 }]",
        "",
        ":",
    ]);
    let output = select(vec![
        "",
        "-> Result<(), E>",
        "-> impl Future<Output = Result<(), E>>",
        "-> !",
        "->",
        "-> Result<(), E> where T: X",
    ]);
    let body = select(vec!["{ Ok(()) }", "{", "}", ";", "", "{ let x = ; }", "= 1;"]);
    (front, function, name, generics, vec(argument, 0..4), output, body).prop_map(
        |(front, function, name, generics, arguments, output, body)| {
            let arguments = arguments.join(", ");
            format!("{front} {function} {name}{generics}({arguments}) {output} {body}")
        },
    )
}

fn number() -> impl Strategy<Value = String> {
    "[0-9][0-9_]{0,12}(\\.[0-9][0-9_]{0,9})?([eE][+-]?[0-9]{1,4})?(f32|f64|u8|i64|x)?"
}

proptest! {
    #[test]
    fn whatever_is_written_the_macro_does_not_panic(attribute in attribute(), item in item()) {
        // What has no tokens never reaches a macro.
        if let (Ok(attribute), Ok(item)) = (TokenStream::from_str(&attribute), TokenStream::from_str(&item)) {
            let _ = expand::job(attribute, item);
        }
    }

    #[test]
    fn a_mistake_in_the_attribute_leaves_code_that_parses(attribute in attribute()) {
        let Ok(attribute) = TokenStream::from_str(&attribute) else { return Ok(()) };
        let item = quote!(pub async fn job(mut job: CurrentJob, context: &'static str) -> Result<(), E> { Ok(()) });
        let (_, is_right) = options(attribute.clone());
        let code = expand::job(attribute, item);
        let shown = code.to_string();
        prop_assert!(syn::parse2::<syn::File>(code).is_ok(), "{}", shown);
        prop_assert_eq!(shown.contains("compile_error"), !is_right, "{}", shown);
        // One mistake is one error: the static is there, and whoever names it finds it.
        prop_assert!(shown.contains("static job"), "{}", shown);
    }

    #[test]
    fn retries_are_taken_up_to_a_million(retries in prop_oneof![0..2_000_000_u64, any::<u64>()]) {
        let literal = Literal::u64_unsuffixed(retries);
        let (options, is_right) = options(quote!(retries = #literal));
        prop_assert_eq!(is_right, retries <= 1_000_000);
        prop_assert_eq!(options.retries, u32::try_from(retries).ok().filter(|_| is_right));
    }

    #[test]
    fn a_backoff_is_the_number_that_is_written(
        seconds in prop_oneof![0.0..10.0_f64, 3_110_399_999.0..3_110_400_001.0_f64, proptest::num::f64::POSITIVE]
    ) {
        let literal = Literal::f64_unsuffixed(seconds);
        let (options, is_right) = options(quote!(backoff_secs = #literal));
        prop_assert_eq!(is_right, seconds <= 3_110_400_000.0);
        prop_assert_eq!(options.backoff, is_right.then(|| Duration::from_secs_f64(seconds)));
    }

    #[test]
    fn any_number_is_a_backoff_in_bounds_or_a_mistake(number in number()) {
        let Ok(literal) = TokenStream::from_str(&number) else { return Ok(()) };
        let (options, is_right) = options(quote!(backoff_secs = #literal));
        prop_assert_eq!(options.backoff.is_some(), is_right);
        prop_assert!(options.backoff.is_none_or(|backoff| backoff <= Duration::from_secs(3_110_400_000)));
    }

    #[test]
    fn names_are_taken_to_the_letter_or_refused(
        name in prop_oneof![4 => any::<String>(), 1 => (1_020..1_030_usize).prop_map(|bytes| "x".repeat(bytes))]
    ) {
        let fits = name.len() <= 1_024 && !name.contains('\0');
        for (key, may_be_empty) in [(quote!(name), false), (quote!(channel_name), true)] {
            let (options, is_right) = options(quote!(#key = #name));
            prop_assert_eq!(is_right, fits && (may_be_empty || !name.is_empty()));
            let seen = options.name.or(options.channel_name);
            prop_assert_eq!(seen, is_right.then(|| name.clone()));
        }
    }
}
