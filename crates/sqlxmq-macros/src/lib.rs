//! The `#[job]` attribute of sqlxmq. Use it through the `sqlxmq` crate.
//!
//! The attribute is read in three steps, one file each: `args` takes apart what the user wrote, `check`
//! judges all of it and collects every mistake, `expand` writes the code.

mod args;
mod check;
mod expand;
#[cfg(test)]
mod fuzz;

use proc_macro::TokenStream;

/// Turns an async function into a job: a `static` of type `&'static NamedJob` with the function inside.
///
/// The job's defaults are the attribute's arguments, each optional, in any order, each at most once:
///
/// | argument | sets | default |
/// |---|---|---|
/// | `"name"` or `name = "name"` | the name under which the job is stored | `module_path!()`, `::`, the function's name |
/// | `channel_name = "mail"` | the channel name | `""` |
/// | `retries = 3` | how often it is tried again after the first attempt | 4 |
/// | `backoff_secs = 1.5` | the wait before the first retry in seconds; doubled for each further one | 1 |
/// | `ordered` or `ordered = true` | strict order among the ordered jobs of its channel | `false` |
/// | `proto(function)` | whatever `fn(&mut JobBuilder) -> &mut JobBuilder` sets; the other arguments win over it | |
/// | `crate = "path"` | where the generated code finds `sqlxmq` if it is renamed or re-exported | `"::sqlxmq"` |
///
/// The name is what the database knows: a job that is moved or renamed in the code keeps finding its queued
/// jobs if it is named here.
///
/// # The function
///
/// It is `async` or returns a future. Its first argument is the `CurrentJob`, by value. Each further argument
/// is context: a value of any type that is `Clone + Send + Sync + 'static`, found by its type among what
/// `JobRegistry::set_context` was given; what is missing is reported when the runner starts. It returns
/// `Result<(), E>` for any `E` that converts into `Box<dyn Error + Send + Sync>`.
///
/// Documentation, visibility, `#[cfg]` and lint levels apply to the static; every other attribute stays with
/// the function. Inside the function its own name is the job, so it can spawn itself again.
///
/// # Registration
///
/// Each job enters itself into the list that `sqlxmq::registry()` returns. A job defined inside of another
/// function does so only if it is named: its default name would not contain the surrounding function, and two
/// tests may well have a job of the same name.
///
/// # Examples
///
/// See the crate documentation of `sqlxmq`; this crate cannot run a job by itself.
#[proc_macro_attribute]
pub fn job(attribute: TokenStream, item: TokenStream) -> TokenStream {
    expand::job(attribute.into(), item.into()).into()
}
