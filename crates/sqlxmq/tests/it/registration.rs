//! Which jobs `registry()` finds.

use std::fmt::Error;

use sqlxmq::{CurrentJob, NamedJob, job, registry};

#[job]
async fn at_the_top(_job: CurrentJob) -> Result<(), Error> {
    Ok(())
}

mod inside {
    use super::*;

    #[job]
    async fn in_a_module(_job: CurrentJob) -> Result<(), Error> {
        Ok(())
    }

    #[job]
    #[cfg(any())]
    async fn switched_off(_job: CurrentJob) -> Result<(), Error> {
        Ok(())
    }
}

#[job]
async fn r#loop(_job: CurrentJob) -> Result<(), Error> {
    Ok(())
}

fn is_registered(name: &str) -> bool {
    registry().resolve_job(name).is_some()
}

#[test]
fn jobs_that_nobody_names_are_registered() {
    assert!(is_registered(concat!(module_path!(), "::at_the_top")));
    assert!(is_registered(concat!(module_path!(), "::inside::in_a_module")));
    assert!(is_registered(concat!(module_path!(), "::r#loop")));
}

#[test]
fn a_job_that_is_configured_away_is_not_registered() {
    assert!(!is_registered(concat!(module_path!(), "::inside::switched_off")));
}

#[test]
fn the_registered_job_is_the_static() {
    let found = registry()
        .resolve_job(at_the_top.name())
        .expect("it is registered");
    assert!(std::ptr::eq(found, at_the_top));
}

#[test]
fn jobs_of_another_crate_are_registered() {
    assert!(is_registered("other_crate::public"));
    assert!(is_registered("other_crate::hidden::private"));
    let jobs: Vec<&'static NamedJob> = vec![other_crate::public, at_the_top];
    assert_eq!(jobs[0].name(), "other_crate::public");
}

#[test]
fn a_job_inside_of_a_function_is_registered_if_it_is_named() {
    #[job]
    async fn nested(_job: CurrentJob) -> Result<(), Error> {
        Ok(())
    }
    #[job("nested and named")]
    async fn nested_and_named(_job: CurrentJob) -> Result<(), Error> {
        Ok(())
    }
    assert_eq!(nested.name(), concat!(module_path!(), "::nested"));
    assert!(!is_registered(nested.name()));
    assert!(is_registered("nested and named"));
}

#[tokio::test]
async fn jobs_of_two_functions_may_have_one_name() {
    #[job]
    async fn nested(_job: CurrentJob, _context: u128) -> Result<(), Error> {
        Ok(())
    }
    assert_eq!(nested.name(), concat!(module_path!(), "::nested"));
    assert!(!is_registered(nested.name()));
}
