//! Finds the migrations that the published crate carries.

use std::env::var;
use std::path::Path;
use std::process::Command;

fn main() {
    let output = Command::new(var("CARGO").expect("cargo runs this"))
        .args(["metadata", "--format-version", "1", "--offline"])
        // Without the other platforms' packages: nobody has downloaded them.
        .args([
            "--filter-platform",
            &var("TARGET").expect("cargo sets it"),
            "--manifest-path",
        ])
        .arg(Path::new(&var("CARGO_MANIFEST_DIR").expect("cargo sets it")).join("Cargo.toml"))
        .output()
        .expect("cargo metadata runs");
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    let metadata: serde_json::Value = serde_json::from_slice(&output.stdout).expect("cargo metadata is JSON");
    let packages = metadata["packages"].as_array().expect("there are packages");
    let package = packages
        .iter()
        .find(|package| package["name"] == "sqlxmq")
        .expect("sqlxmq is one");
    let manifest = Path::new(package["manifest_path"].as_str().expect("it has a manifest"));
    println!(
        "cargo:rustc-env=SQLXMQ_MIGRATIONS={}",
        manifest.with_file_name("migrations").display()
    );
    println!("cargo:rerun-if-changed=Cargo.lock");
}
