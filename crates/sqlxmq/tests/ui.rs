//! What the compiler says about each mistake in a `#[job]`, and that what is allowed compiles.

/// One set of cases for both: two would build every dependency twice, once to check and once to run.
#[test]
fn each_mistake_is_reported_at_its_token_and_what_is_allowed_compiles() {
    let cases = trybuild::TestCases::new();
    cases.compile_fail("tests/ui/fail/*.rs");
    cases.pass("tests/ui/pass/*.rs");
}
