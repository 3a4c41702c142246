//! One server for all test processes of this checkout that run now: it outlives each of them and stops some
//! seconds after the last one has gone.
//!
//! Who uses it holds the writing end of a FIFO open, which the kernel closes however a process dies; a watchdog
//! reads. Beginnings are serialised by a file lock, and the watchdog takes the FIFO away before it stops
//! the server, so nobody joins a server that is about to go (test: `many_processes_share_one_server`).

use crate::error::{StartError, failed_to};
use crate::launch::{Installation, own_uid, temp_dir, url};
use std::{
    env, fs,
    io::{self, Write},
    os::unix::{
        fs::{MetadataExt, OpenOptionsExt},
        net::UnixStream,
        process::CommandExt,
    },
    path::{Path, PathBuf},
    process::{Command, Stdio},
    thread,
    time::{Duration, Instant},
};

/// Seconds from the last user's end to the server's, unless `DEVPG_IDLE` says otherwise: time enough for
/// `cargo test` to begin its next binary.
const IDLE_SECONDS: &str = "10";
/// How long the watchdog may take to stop the server before we believe that it is dead.
const STOP_TIMEOUT: Duration = Duration::from_secs(30);
/// `O_NONBLOCK`: opening the FIFO fails with `ENXIO` instead of waiting when no watchdog reads it.
const O_NONBLOCK: i32 = if cfg!(any(target_os = "linux", target_os = "android")) {
    0o4000
} else {
    0x4
};

/// Arguments: seconds to wait. Works in the server's folder.
const WATCHDOG: &str = r#"
exec 3<users
while :; do
  cat <&3 >/dev/null          # ends when the last user is gone
  sleep "$1"
  if read -r _ <&3; then continue; fi
  mv users closing            # from here on nobody can join
  if read -r _ <&3; then mv closing users; continue; fi
  pid=$(head -n 1 server/data/postmaster.pid 2>/dev/null)
  [ -n "$pid" ] && kill -s INT "$pid" 2>/dev/null
  tries=0
  while [ -e server/data/postmaster.pid ] && [ $tries -lt 400 ]; do sleep 0.05; tries=$((tries + 1)); done
  rm -rf server new-*
  rm -f closing
  exit 0
done
"#;

/// A use of the shared server. The server stays at least as long as this value.
#[derive(Debug)]
pub(crate) struct SharedServer {
    root: PathBuf,
    _user: fs::File,
}

impl SharedServer {
    /// Joins the server, starting it if this is the first use.
    pub(crate) fn join() -> Result<SharedServer, StartError> {
        let installation = Installation::find(None, Vec::new())?;
        let uid = own_uid()?;
        // Of this checkout: another one may run other code of this file at the same time.
        let identity = format!("{} {uid} {}", installation.identity(), env!("CARGO_MANIFEST_DIR"));
        let home = temp_dir().join(format!("devpg-{:016x}", fnv(&[identity.as_bytes()])));
        failed_to(format!("make {}", home.display()), make_home(&home, uid))?;

        let lock = failed_to(
            "open the lock of the shared server",
            fs::File::create(home.join("lock")),
        )?;
        failed_to("lock the shared server", lock.lock())?; // released by drop, and by death
        let user = failed_to("join the shared server", join_or_watch(&home))?;
        let root = home.join("server");
        // The socket is asked, and no process id: those are reused, and zombies answer.
        if UnixStream::connect(root.join(".s.PGSQL.5432")).is_err() {
            launch(&installation, &home, &root)?;
        }
        Ok(SharedServer { root, _user: user })
    }

    /// The URL of a database on the shared server.
    pub(crate) fn url(&self, database: &str) -> String {
        url(&self.root, database)
    }
}

fn make_home(home: &Path, uid: u32) -> io::Result<()> {
    fs::create_dir_all(home)?;
    // /tmp is open to all: somebody else may have made a folder by this name.
    if fs::metadata(home)?.uid() != uid {
        return Err(io::Error::other("it belongs to somebody else"));
    }
    Ok(())
}

/// Opens the FIFO of a living watchdog, or makes both. Called under the lock.
fn join_or_watch(home: &Path) -> io::Result<fs::File> {
    let (fifo, closing) = (home.join("users"), home.join("closing"));
    let since = Instant::now();
    loop {
        match open_fifo(&fifo) {
            Ok(user) => return Ok(user),
            // The watchdog is looking for the last time, or stopping the server: wait for either to end.
            Err(error) if error.kind() == io::ErrorKind::NotFound && closing.exists() => {
                if since.elapsed() > STOP_TIMEOUT {
                    fs::remove_file(&closing)?;
                }
                thread::sleep(Duration::from_millis(10));
            }
            // Nobody has been here, or the watchdog was killed.
            Err(_) => break,
        }
    }
    if fifo.exists() {
        fs::remove_file(&fifo)?;
    }
    let made = Command::new("mkfifo").arg("-m").arg("600").arg(&fifo).status()?;
    if !made.success() {
        return Err(io::Error::other("mkfifo failed"));
    }
    let idle = env::var("DEVPG_IDLE").unwrap_or_else(|_| IDLE_SECONDS.to_owned());
    let mut watchdog = Command::new("sh");
    watchdog
        .args(["-c", WATCHDOG, "devpg-watchdog", &idle])
        .current_dir(home)
        .process_group(0);
    watchdog
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()?;
    let since = Instant::now();
    loop {
        match open_fifo(&fifo) {
            Ok(user) => return Ok(user),
            Err(error) if since.elapsed() > STOP_TIMEOUT => return Err(error),
            Err(_) => thread::sleep(Duration::from_millis(1)),
        }
    }
}

fn open_fifo(fifo: &Path) -> io::Result<fs::File> {
    let mut user = fs::OpenOptions::new()
        .write(true)
        .custom_flags(O_NONBLOCK)
        .open(fifo)?;
    // Tells the watchdog that somebody came, even if we are gone again before it looks.
    user.write_all(b"\n")?;
    Ok(user)
}

/// Starts the server under the lock. A new cluster is made aside and renamed when it is whole.
fn launch(installation: &Installation, home: &Path, root: &Path) -> Result<(), StartError> {
    let restarted = root.join("data/PG_VERSION").exists() && installation.start(root, Stdio::null()).is_ok();
    if restarted {
        return Ok(());
    }
    for entry in fs::read_dir(home).into_iter().flatten().flatten() {
        if entry.file_name() == "server" || entry.file_name().to_string_lossy().starts_with("new-") {
            let _ = fs::remove_dir_all(entry.path());
        }
    }
    let fresh = home.join(format!("new-{}", std::process::id()));
    installation.init(&fresh, Stdio::null())?;
    failed_to("move the new cluster into place", fs::rename(&fresh, root))?;
    // Detached on purpose: it serves other processes after this one.
    installation.start(root, Stdio::null())?;
    Ok(())
}

/// FNV-1a over length-prefixed parts: names that change with what they stand for, and nothing secret.
pub(crate) fn fnv(parts: &[&[u8]]) -> u64 {
    let lengths = parts.iter().map(|part| (part.len() as u64).to_le_bytes());
    let mut hash = 0xcbf2_9ce4_8422_2325_u64;
    for (length, part) in lengths.zip(parts) {
        for byte in length.iter().chain(*part) {
            hash = (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3);
        }
    }
    hash
}
