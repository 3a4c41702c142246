//! Recompiles the crate when a migration is added: `sqlx::migrate!` alone would not notice a new file.

fn main() {
    println!("cargo:rerun-if-changed=migrations");
}
