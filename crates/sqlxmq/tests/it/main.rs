//! What `#[job]` makes of a function, as the rest of the program sees it. What the compiler says is in `../ui.rs`.

mod context;
mod defaults;
mod registration;
