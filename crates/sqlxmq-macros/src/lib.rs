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

/// Turns an async function into a job: a `static` of type `&'static NamedJob` with the function inside, or
/// `&'static Job<P>` if the payload is one of its arguments.
///
/// The job's defaults are the attribute's arguments, each optional, in any order, each at most once:
///
/// | argument | sets | default |
/// |---|---|---|
/// | `"name"` or `name = "name"` | the name under which the job is stored | `module_path!()`, `::`, the function's name |
/// | `channel_name = "mail"` | the channel name | `""` |
/// | `channel_args = "7"` | the channel arguments | `""` |
/// | `ordered` or `ordered = true` | strict order among the ordered jobs of its channel | `false` |
/// | `delay = "1h 30m"` | the time before the first attempt | none |
/// | `commit_interval = "10m"` | the time within which the job must be committed | needs no commit |
/// | `retries = 3` | how often it is tried again after the first attempt | 4 |
/// | `backoff_secs = 1.5` or `backoff = "1m 30s"` | the wait before the first retry | 1 s |
/// | `backoff = linear` | how the wait grows: `fixed`, `linear` (by its first step) or `exponential` (doubled) | `exponential` |
/// | `max_backoff = "30m"` | the longest wait | 1 h |
/// | `timeout = "90s"` | how long the function may take; then it is dropped, and the attempt has failed | none |
/// | `lease = "2m"` | a lease of the job's own, which its runner does not renew: see `CurrentJob::keep_alive` | the runner's |
/// | `version = 2` | the version of the payload's type | 1 |
/// | `upgrade = from_v1` | the function that makes a payload of this version from the last; `upgrade(from_v1, from_v2)` for more, the oldest first | |
/// | `proto(function)` | whatever `fn(&mut JobBuilder) -> &mut JobBuilder` sets; the other arguments win over it | |
/// | `crate = "path"` | where the generated code finds `sqlxmq` if it is renamed or re-exported | `"::sqlxmq"` |
///
/// A duration is a text of numbers with units (`d`, `h`, `m`, `s`, `ms`), or with `_secs` behind its key a number of seconds:
/// `delay_secs = 1.5`. `timeout`, `lease` and `backoff = linear` are the program's and not the job's: a change applies to jobs
/// that are queued already.
///
/// `channel_name`, `channel_args`, `retries` and the durations (without `_secs`) can be constants as well, of type `&str`, `u32` and
/// `Duration`: `channel_name = channels::MAIL`.
///
/// The name is what the database knows: a job that is moved or renamed in the code keeps finding its queued
/// jobs if it is named here.
///
/// # The function
///
/// It is `async` or returns a future. Its arguments come in any order, each of them one of these:
///
/// | argument | is |
/// |---|---|
/// | `job: CurrentJob` | the job. The function completes it |
/// | `job: &mut CurrentJob` | the job, lent: the runner completes it when the function returns Ok, as it does if there is no such argument |
/// | `tx: &mut JobTx` | a transaction, committed with the job's completion when the function returns Ok, and rolled back otherwise. Such a function can't own its job |
/// | `x: &mut T` for a `T` that is `LendToJob` | made from the job, lent, and finished after the function |
/// | `Json(payload): Json<T>` | the JSON payload; `T` is serde's `Serialize` and `DeserializeOwned` |
/// | `Bytes(payload): Bytes` | the binary payload |
/// | any type that is `FromJob` | made from the job, by that trait |
/// | any other type | context: a value of that type, `Clone + Send + Sync + 'static`, among what `JobRegistry::set_context` was given. What is missing is reported when the runner starts |
///
/// It returns nothing, an `Outcome`, `Result<(), E>` or `Result<Outcome, E>`, for any `E` that converts into
/// `Box<dyn Error + Send + Sync>`.
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
