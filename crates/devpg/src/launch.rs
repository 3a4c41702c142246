//! `initdb` and `postgres`: how both are run. Knows nothing about who owns the server or when it ends.

use crate::error::NotFound;
use crate::error::{StartError, failed_to};
use crate::find::{find_bin_dir, has_server};
use std::{
    env, fs, io,
    os::unix::{fs::PermissionsExt, process::CommandExt},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    thread,
    time::{Duration, Instant},
};

/// Settings of every server started here. Fast rather than durable: its data is not worth a disk's time.
const SETTINGS: [(&str, &str); 12] = [
    ("listen_addresses", ""), // unix socket only
    ("fsync", "off"),
    ("synchronous_commit", "off"),
    ("full_page_writes", "off"),
    ("wal_level", "minimal"),
    ("max_wal_senders", "0"),
    ("max_wal_size", "4GB"),
    // Several test processes share one server, each with a few pools.
    ("max_connections", "300"),
    // Tests prepare transactions; the default of 0 forbids it.
    ("max_prepared_transactions", "32"),
    // Times in a kept log are read beside the tests' own.
    ("log_line_prefix", "%m [%p] %d "),
    ("logging_collector", "off"),
    ("max_locks_per_transaction", "256"),
];

/// How long a server may take to accept connections. Generous: crash recovery on a busy machine is slow.
const START_TIMEOUT: Duration = Duration::from_secs(60);

/// What to start, and as whom.
#[derive(Clone, Debug)]
pub(crate) struct Installation {
    bin_dir: PathBuf,
    settings: Vec<(String, String)>,
    user: Option<User>,
}

/// Whom the server runs as when we are root, since PostgreSQL refuses to run as root.
#[derive(Clone, Debug)]
struct User {
    name: String,
    uid: u32,
    gid: u32,
}

impl Installation {
    /// Finds the binaries (in `bin_dir`, if given) and the user for them.
    pub(crate) fn find(
        bin_dir: Option<PathBuf>,
        settings: Vec<(String, String)>,
    ) -> Result<Installation, StartError> {
        let named = bin_dir.or_else(|| env::var_os("PG_BIN").map(PathBuf::from));
        let bin_dir = match named {
            Some(bin_dir) if has_server(&bin_dir) => bin_dir,
            Some(bin_dir) => return Err(StartError::NotABinDir { bin_dir }),
            None => find_bin_dir().ok_or(NotFound)?,
        };
        let user = if own_uid()? == 0 {
            Some(unprivileged_user().ok_or(StartError::NoUser)?)
        } else {
            None
        };
        let found = Installation {
            bin_dir,
            settings,
            user,
        };
        found.check_readable()?;
        Ok(found)
    }

    /// Everything that makes one server differ from another, as text.
    pub(crate) fn identity(&self) -> String {
        format!("{self:?}")
    }

    /// Makes `root` (which must not exist yet) and a new cluster in `root/data`. `watchdog` reads the
    /// process id of `initdb`, which leads a process group of its own.
    pub(crate) fn init(&self, root: &Path, watchdog: Stdio) -> Result<(), StartError> {
        self.make_dir(root)?;
        let mut initdb = self.announced("initdb", watchdog);
        initdb.args([
            "-U",
            "postgres",
            "-A",
            "trust",
            "-E",
            "UTF8",
            "--no-locale",
            "-N",
            "-D",
        ]);
        initdb.arg(root.join("data")).stderr(Stdio::piped());
        let child = failed_to("run initdb", initdb.spawn())?;
        let output = failed_to("wait for initdb", child.wait_with_output())?;
        if output.status.success() {
            return Ok(());
        }
        Err(StartError::Program {
            program: "initdb",
            log: String::from_utf8_lossy(&output.stderr).into_owned(),
        })
    }

    /// Makes a folder that only the server's user may open.
    pub(crate) fn make_dir(&self, dir: &Path) -> Result<(), StartError> {
        failed_to(format!("make {}", dir.display()), fs::create_dir(dir))?;
        self.give(dir)?;
        let closed = fs::set_permissions(dir, fs::Permissions::from_mode(0o700));
        failed_to(format!("close {}", dir.display()), closed)
    }

    /// Gives a file or folder to the server's user.
    pub(crate) fn give(&self, path: &Path) -> Result<(), StartError> {
        let Some(user) = &self.user else { return Ok(()) };
        let chowned = std::os::unix::fs::chown(path, Some(user.uid), Some(user.gid));
        failed_to(format!("give {} to `{}`", path.display(), user.name), chowned)
    }

    /// Starts `postgres` on `root/data` with its socket in `root`, and returns when it accepts connections.
    /// `watchdog` as in [`init`](Self::init).
    pub(crate) fn start(&self, root: &Path, watchdog: Stdio) -> Result<Child, StartError> {
        let log_path = root.join("server.log");
        let log = fs::OpenOptions::new().create(true).append(true).open(&log_path);
        let log = failed_to(format!("open {}", log_path.display()), log)?;

        let mut postgres = self.announced("postgres", watchdog);
        postgres.arg("-D").arg(root.join("data")).arg("-k").arg(root);
        let own = self
            .settings
            .iter()
            .map(|(name, value)| (name.as_str(), value.as_str()));
        for (name, value) in SETTINGS.into_iter().chain(own) {
            postgres.arg("-c").arg(format!("{name}={value}"));
        }
        let mut server = failed_to("run postgres", postgres.stderr(log).spawn())?;

        let since = Instant::now();
        loop {
            if is_ready(root, server.id()) {
                return Ok(server);
            }
            let ended = failed_to("ask after postgres", server.try_wait())?.is_some();
            if ended || since.elapsed() > START_TIMEOUT {
                let _ = server.kill();
                let _ = server.wait();
                let log = fs::read_to_string(&log_path).unwrap_or_default();
                return Err(StartError::Program {
                    program: "postgres",
                    log,
                });
            }
            thread::sleep(Duration::from_millis(5));
        }
    }

    /// A program of this installation that writes its process id to `watchdog` before it does anything else. If we
    /// told it, we could die between starting the program and telling.
    fn announced(&self, program: &str, watchdog: Stdio) -> Command {
        // A watchdog that is gone kills the subshell only. `exec` closes the pipe, whose end is ours again to bring about.
        const ANNOUNCE: &str = r#"(echo "$$") 2>/dev/null; exec "$0" "$@" >/dev/null"#;
        let mut command = self.command("sh".as_ref());
        command
            .args(["-c", ANNOUNCE])
            .arg(self.bin_dir.join(program))
            .stdout(watchdog);
        command
    }

    /// A program: as the right user, in a process group of its own (Ctrl-C in a terminal must not reach the
    /// server before us), and blind to the caller's `PGDATA`, `PGPORT` and locale.
    fn command(&self, program: &Path) -> Command {
        let mut command = Command::new(program);
        command.current_dir("/").stdin(Stdio::null()).process_group(0);
        for (name, _) in env::vars_os() {
            if name.to_string_lossy().starts_with("PG") {
                command.env_remove(name);
            }
        }
        command.env("LC_ALL", "C");
        if let Some(user) = &self.user {
            command.uid(user.uid).gid(user.gid);
        }
        command
    }

    /// Binaries unpacked under root's home can't be run by the server's user: say so before `initdb` does.
    fn check_readable(&self) -> Result<(), StartError> {
        let Some(user) = &self.user else { return Ok(()) };
        let ran = self
            .command(&self.bin_dir.join("postgres"))
            .arg("--version")
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .status();
        if ran.is_ok_and(|status| status.success()) {
            return Ok(());
        }
        Err(StartError::NotReadable {
            bin_dir: self.bin_dir.clone(),
            user: user.name.clone(),
        })
    }
}

/// Whether `postgres` with this process id says in `postmaster.pid` that it accepts connections (line 8, since
/// PostgreSQL 10). The file of a server that crashed has another process id, or none.
fn is_ready(root: &Path, server: u32) -> bool {
    let file = fs::read_to_string(root.join("data/postmaster.pid")).unwrap_or_default();
    let mut lines = file.lines();
    let pid = lines.next().and_then(|line| line.trim().parse().ok());
    pid == Some(server) && lines.nth(6).is_some_and(|line| line.trim() == "ready")
}

/// The URL of `database` on the server whose socket is in `root`.
pub(crate) fn url(root: &Path, database: &str) -> String {
    format!("postgres://postgres@localhost/{database}?host={}", root.display())
}

/// A short folder for servers: the path of a unix socket ends at 103 bytes (macOS), ours adds up to 55.
pub(crate) fn temp_dir() -> PathBuf {
    let dir = env::temp_dir();
    if dir.as_os_str().len() <= 48 {
        dir
    } else {
        "/tmp".into()
    }
}

/// Our user id (there is no safe `geteuid`, and a file made to look at its owner would outlive a `kill -9`).
pub(crate) fn own_uid() -> Result<u32, StartError> {
    let output = failed_to("run `id -u`", Command::new("id").arg("-u").output())?;
    let uid = String::from_utf8_lossy(&output.stdout).trim().parse();
    failed_to("read what `id -u` wrote", uid.map_err(io::Error::other))
}

fn unprivileged_user() -> Option<User> {
    let passwd = fs::read_to_string("/etc/passwd").ok()?;
    ["postgres", "nobody"].iter().find_map(|wanted| {
        passwd.lines().find_map(|line| {
            let fields: Vec<&str> = line.split(':').collect();
            let [name, _, uid, gid, ..] = fields[..] else {
                return None;
            };
            if name != *wanted {
                return None;
            }
            Some(User {
                name: name.to_owned(),
                uid: uid.parse().ok()?,
                gid: gid.parse().ok()?,
            })
        })
    })
}
