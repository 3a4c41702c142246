//! What the compiler says about each mistake in a `#[job]`, and that what is allowed compiles.

#[test]
fn each_mistake_is_reported_at_its_token() {
    trybuild::TestCases::new().compile_fail("tests/ui/fail/*.rs");
}

#[test]
fn what_is_allowed_compiles() {
    trybuild::TestCases::new().pass("tests/ui/pass/*.rs");
}
