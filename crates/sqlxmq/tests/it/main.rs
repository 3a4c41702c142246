//! What `#[job]` makes of a function, as the rest of the program sees it. What the compiler says is in `../ui.rs`.

mod completion;
mod context;
mod defaults;
mod extractors;
mod layers;
mod outcomes;
mod payloads;
mod policies;
mod registration;
mod support;
mod transactions;
mod versions;
