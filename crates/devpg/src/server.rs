//! [`DevPg`]: a server owned by one value, gone with it.

use crate::error::{StartError, failed_to};
use crate::launch::{Installation, temp_dir, url};
use std::{
    fs, io,
    os::{fd::AsFd, unix::process::CommandExt},
    path::{Path, PathBuf},
    process::{Child, ChildStdin, Command, Stdio},
    sync::atomic::{AtomicU32, Ordering},
    time::{SystemTime, UNIX_EPOCH},
};

/// Waits for the end of its standard input, which comes however its owner dies (the kernel closes the pipe),
/// then kills the process group it was last told of and removes the folder. Each process tells it of itself.
const WATCHDOG: &str = r#"
while read -r line; do group=$line; done
[ -n "$group" ] && kill -s QUIT -- "-$group" 2>/dev/null
tries=0
while [ -e "$1/data/postmaster.pid" ] && [ $tries -lt 100 ]; do sleep 0.05; tries=$((tries + 1)); done
rm -rf "$1"
# An initdb that was just killed may still have made a file.
[ -e "$1" ] && sleep 0.2 && rm -rf "$1"
:
"#;

/// A PostgreSQL server of one's own, reached through a unix socket in a temporary folder.
///
/// Dropping it stops the server and removes its data. So does the end of the process, by panic, `exit`, Ctrl-C,
/// SIGTERM or `kill -9` (tests: `a_server_is_gone_after_*`).
#[derive(Debug)]
pub struct DevPg {
    root: PathBuf,
    installation: Installation,
    watchdog: Child,
    pipe: Option<ChildStdin>,
    server: Child,
}

/// Settings for a [`DevPg`]. Made by [`DevPg::builder`].
#[derive(Clone, Debug, Default)]
#[must_use]
pub struct DevPgBuilder {
    bin_dir: Option<PathBuf>,
    settings: Vec<(String, String)>,
}

impl DevPgBuilder {
    /// Uses the `initdb` and `postgres` in `dir`. Default: [`find_bin_dir`](crate::find_bin_dir).
    pub fn bin_dir(mut self, dir: impl Into<PathBuf>) -> Self {
        self.bin_dir = Some(dir.into());
        self
    }

    /// Sets a server setting (`fsync`, `on`). Default: whatever makes the server fast; its data is not durable.
    pub fn setting(mut self, name: impl Into<String>, value: impl Into<String>) -> Self {
        self.settings.push((name.into(), value.into()));
        self
    }

    /// Makes commits as durable as those of a server in production, and a [standby](DevPg::standby) possible.
    /// Default: off. For measurements, and for tests of what survives.
    pub fn durable(self) -> Self {
        self.setting("fsync", "on")
            .setting("synchronous_commit", "on")
            .setting("full_page_writes", "on")
            .setting("wal_level", "replica")
            .setting("max_wal_senders", "10")
    }

    /// Starts the server; returns when it accepts connections, about a second later.
    ///
    /// # Errors
    ///
    /// [`StartError`]; nothing is left behind.
    pub fn start(self) -> Result<DevPg, StartError> {
        let installation = Installation::find(self.bin_dir, self.settings)?;
        let init = installation.clone();
        DevPg::make(installation, |root, watchdog| init.init(root, watchdog))
    }
}

impl DevPg {
    /// Starts a server with default settings; returns when it accepts connections, about a second later.
    ///
    /// # Errors
    ///
    /// [`StartError`]; nothing is left behind. No binaries on this machine: [`StartError::NotFound`], whose text
    /// says how to install them.
    pub fn start() -> Result<DevPg, StartError> {
        DevPg::builder().start()
    }

    /// Returns a builder, for a server with settings or binaries of one's own choice.
    pub fn builder() -> DevPgBuilder {
        DevPgBuilder::default()
    }

    /// Returns the URL of a database on this server. A new server has one that is called `postgres`.
    pub fn url(&self, database: &str) -> String {
        url(&self.root, database)
    }

    /// Returns the folder that holds the data, the socket and `server.log`.
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// Ends the server as `pg_ctl stop -m immediate` and a crash would (no checkpoint; commits not yet flushed are lost)
    /// and starts it again. A server that has already ended is only started.
    ///
    /// # Errors
    ///
    /// [`StartError`], if it does not come back; the log is in the error.
    pub fn restart_immediately(&mut self) -> Result<(), StartError> {
        // SIGKILL would leave backends behind that keep the shared memory busy; SIGQUIT takes them along, and is
        // a crash all the same: no checkpoint is written.
        if failed_to("ask after postgres", self.server.try_wait())?.is_none() {
            let quit = Command::new("kill")
                .args(["-QUIT", &self.server.id().to_string()])
                .status();
            failed_to("send SIGQUIT to postgres", quit)?;
            failed_to("wait for postgres", self.server.wait())?;
        }
        let watchdog = failed_to("share the watchdog's pipe", share(self.pipe.as_ref()))?;
        self.server = self.installation.start(&self.root, watchdog)?;
        Ok(())
    }

    /// What the server was started from, for another one like it.
    pub(crate) fn installation(&self) -> &Installation {
        &self.installation
    }

    /// Starts a server on the cluster that `prepare` makes in a folder that is not there yet. `prepare` is given the
    /// folder, and the watchdog's pipe for a program that it starts.
    pub(crate) fn make(
        installation: Installation,
        prepare: impl FnOnce(&Path, Stdio) -> Result<(), StartError>,
    ) -> Result<DevPg, StartError> {
        let root = temp_dir().join(unique_name());
        // First of all the watchdog, so that there is no moment at which our death leaves anything behind.
        let mut watchdog = Command::new("sh");
        watchdog
            .args(["-c", WATCHDOG, "devpg-watchdog"])
            .arg(&root)
            .current_dir("/")
            .process_group(0);
        watchdog
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::null());
        let mut watchdog = failed_to("run sh", watchdog.spawn())?;
        let pipe = watchdog.stdin.take();

        let shared = || failed_to("share the watchdog's pipe", share(pipe.as_ref()));
        let started = shared()
            .and_then(|watchdog| prepare(&root, watchdog))
            .and_then(|()| installation.start(&root, shared()?));
        match started {
            Ok(server) => Ok(DevPg {
                root,
                installation,
                watchdog,
                pipe,
                server,
            }),
            Err(error) => {
                drop(pipe);
                let _ = watchdog.wait();
                Err(error)
            }
        }
    }
}

impl Drop for DevPg {
    fn drop(&mut self) {
        drop(self.pipe.take()); // the watchdog now does what it would do at our death
        let _ = self.watchdog.wait();
        if !matches!(self.server.try_wait(), Ok(Some(_))) && self.root.exists() {
            // Somebody killed the watchdog.
            let _ = self.server.kill();
            let _ = fs::remove_dir_all(&self.root);
        }
        let _ = self.server.wait();
    }
}

/// Another end of the watchdog's pipe, for a program that is to write its process id there.
fn share(pipe: Option<&ChildStdin>) -> io::Result<Stdio> {
    match pipe {
        Some(pipe) => Ok(pipe.as_fd().try_clone_to_owned()?.into()),
        None => Ok(Stdio::null()),
    }
}

fn unique_name() -> String {
    static STARTED: AtomicU32 = AtomicU32::new(0);
    let nanos = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .map_or(0, |now| now.subsec_nanos());
    let number = STARTED.fetch_add(1, Ordering::Relaxed);
    format!("devpg-{}-{nanos:x}-{number}", std::process::id())
}
