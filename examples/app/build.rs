//! `sqlx::migrate!` reads the migrations when the program is compiled: a new one is a reason to compile again.

fn main() {
    println!("cargo:rerun-if-changed=migrations");
}
