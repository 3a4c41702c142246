//! Where the server binaries are. Looks only; starts nothing but `pg_config`.

use std::{
    env, fs,
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

/// Folders that hold one installation per major version: (parent, prefix of the version's folder).
const USUAL_PLACES: [(&str, &str); 7] = [
    ("/usr/lib/postgresql", ""),                      // Debian, Ubuntu
    ("/usr", "pgsql-"),                               // rpms of postgresql.org
    ("/opt/homebrew/opt", "postgresql"),              // Homebrew on arm64
    ("/usr/local/opt", "postgresql"),                 // Homebrew on x86_64
    ("/home/linuxbrew/.linuxbrew/opt", "postgresql"), // Homebrew on Linux
    ("/Applications/Postgres.app/Contents/Versions", ""),
    ("/Library/PostgreSQL", ""), // installer of EDB
];

/// Returns the folder that holds `initdb` and `postgres`.
///
/// Looks at `$PG_BIN` (nothing else, if it is set), `$PATH`, `pg_config --bindir` and then the usual install
/// folders, of which the newest major wins.
pub fn find_bin_dir() -> Option<PathBuf> {
    if let Some(named) = env::var_os("PG_BIN") {
        return has_server(Path::new(&named)).then(|| named.into());
    }
    from_path().or_else(from_pg_config).or_else(from_usual_places)
}

/// Whether `dir` holds a server, and not only a client.
pub(crate) fn has_server(dir: &Path) -> bool {
    ["initdb", "postgres"]
        .iter()
        .all(|program| dir.join(program).is_file())
}

fn from_path() -> Option<PathBuf> {
    env::split_paths(&env::var_os("PATH")?).find_map(|dir| {
        // Resolved, because `initdb` on the path may be a link and looks for `postgres` beside its real self.
        let initdb = fs::canonicalize(dir.join("initdb")).ok()?;
        initdb.parent().filter(|dir| has_server(dir)).map(Path::to_owned)
    })
}

fn from_pg_config() -> Option<PathBuf> {
    let output = Command::new("pg_config")
        .arg("--bindir")
        .stderr(Stdio::null())
        .output()
        .ok()?;
    let dir = PathBuf::from(String::from_utf8_lossy(&output.stdout).trim());
    // Debian's `libpq-dev` has a `pg_config` that points at a folder without a server.
    has_server(&dir).then_some(dir)
}

fn from_usual_places() -> Option<PathBuf> {
    let mut found = Vec::new();
    for (parent, prefix) in USUAL_PLACES {
        for entry in fs::read_dir(parent).into_iter().flatten().flatten() {
            let dir = entry.path().join("bin");
            if let Some(major) = major_in(&entry.file_name().to_string_lossy(), prefix)
                && has_server(&dir)
            {
                found.push((major, dir));
            }
        }
    }
    found.into_iter().max().map(|(_, dir)| dir)
}

/// The major version in a folder's name: `postgresql@17` → 17; 0 where none is given, `None` for other folders.
fn major_in(folder: &str, prefix: &str) -> Option<u32> {
    let rest = folder
        .strip_prefix(prefix)?
        .trim_start_matches(|first: char| !first.is_ascii_digit());
    let digits = rest
        .split(|c: char| !c.is_ascii_digit())
        .next()
        .unwrap_or_default();
    Some(digits.parse().unwrap_or(0))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_major_is_read_from_the_name_of_its_folder() {
        assert_eq!(major_in("15", ""), Some(15));
        assert_eq!(major_in("pgsql-17", "pgsql-"), Some(17));
        assert_eq!(major_in("postgresql@16", "postgresql"), Some(16));
        assert_eq!(major_in("postgresql", "postgresql"), Some(0));
        assert_eq!(major_in("9.6", ""), Some(9));
        assert_eq!(major_in("openssl@3", "postgresql"), None);
    }
}
