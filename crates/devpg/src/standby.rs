//! [`Standby`]: a server that follows another one, commit by commit, and can take its place.
//!
//! Made of a copy of the files, since `pg_basebackup` is not part of every distribution of the binaries.

use crate::error::{StartError, failed_to};
use crate::launch::Installation;
use crate::server::DevPg;
use sqlx::{Connection, PgConnection};
use std::{
    fs, io,
    io::Write,
    path::Path,
    time::{Duration, Instant},
};

/// Folders of a cluster whose content belongs to the running server and is made anew by each start.
const NOT_COPIED: [&str; 8] = [
    "pg_wal", // streamed from the primary
    "pg_replslot",
    "pg_dynshmem",
    "pg_notify",
    "pg_serial",
    "pg_snapshots",
    "pg_stat_tmp",
    "pg_subtrans",
];
/// How long the standby may take to stream. Generous: it has a checkpoint and a copy behind it.
const FOLLOW_TIMEOUT: Duration = Duration::from_secs(60);

/// A synchronous standby: the primary answers a commit once it is durable here too. Ends as [`DevPg`] does.
#[derive(Debug)]
pub struct Standby {
    server: DevPg,
}

impl DevPg {
    /// Makes a standby of this server; returns when commits wait for it. A second one replaces nobody: either may answer.
    ///
    /// The server must be [`durable`](crate::DevPgBuilder::durable), or have its settings of `wal_level` and
    /// `max_wal_senders`.
    ///
    /// # Errors
    ///
    /// [`StartError`]. The server may then be left in a state in which no commit returns.
    ///
    /// # Cancel safety
    ///
    /// Not cancel safe, for the same reason.
    pub async fn standby(&self) -> Result<Standby, StartError> {
        let mut connection = connect(self, "connect to the primary").await?;
        let version: i32 = sqlx::query_scalar("select current_setting('server_version_num')::int")
            .fetch_one(&mut connection)
            .await
            .map_err(refused("ask for the version"))?;
        let (start, stop) = if version >= 150_000 {
            (
                "select pg_backup_start('standby', fast => true)",
                "select labelfile from pg_backup_stop(wait_for_archive => false)",
            )
        } else {
            (
                "select pg_start_backup('standby', true, false)",
                "select labelfile from pg_stop_backup(false, false)",
            )
        };
        // Keeps the WAL from here on for the standby.
        let slot = "select 'standby_' || count(*) from pg_replication_slots";
        let slot: String = sqlx::query_scalar(slot)
            .fetch_one(&mut connection)
            .await
            .map_err(refused("count the slots"))?;
        sqlx::query("select pg_create_physical_replication_slot($1, true)")
            .bind(&slot)
            .execute(&mut connection)
            .await
            .map_err(refused("make a replication slot"))?;

        sqlx::query(start)
            .execute(&mut connection)
            .await
            .map_err(refused("start a backup"))?;
        let (installation, data) = (self.installation().clone(), self.root().join("data"));
        let copy = installation.clone();
        let conninfo = format!(
            "primary_conninfo = 'host={} user=postgres application_name={slot}'\nprimary_slot_name = '{slot}'\n",
            self.root().display()
        );
        // The label has to be in the copy before the server starts, and the copy be made before there is a label.
        let (copied, is_copied) = tokio::sync::oneshot::channel();
        let (give_label, label) = std::sync::mpsc::channel::<String>();
        let starting = tokio::task::spawn_blocking(move || {
            DevPg::make(installation, |root, _watchdog| {
                copy.make_dir(root)?;
                copy_cluster(&copy, &data, &root.join("data"))?;
                let _ = copied.send(());
                let no_label = || io::Error::other("the backup did not end");
                let label = failed_to("label the copy", label.recv().map_err(|_| no_label()))?;
                follow(&copy, &root.join("data"), &label, &conninfo)
            })
        });
        // An error of the copy comes out of `starting`.
        if is_copied.await.is_ok() {
            let label: String = sqlx::query_scalar(stop)
                .fetch_one(&mut connection)
                .await
                .map_err(refused("end the backup"))?;
            let _ = give_label.send(label);
        }
        let started = starting.await.map_err(io::Error::other);
        let server = failed_to("start the standby", started)??;

        for setting in [
            "alter system set synchronous_standby_names = '*'",
            "select pg_reload_conf()",
        ] {
            sqlx::query(setting)
                .execute(&mut connection)
                .await
                .map_err(refused("make the standby synchronous"))?;
        }
        wait_for_sync(&mut connection, &slot, &server).await?;
        let _ = connection.close().await;
        Ok(Standby { server })
    }
}

impl Standby {
    /// Returns the URL of a database on the standby, where everything can be read and nothing written.
    pub fn url(&self, database: &str) -> String {
        self.server.url(database)
    }

    /// Makes it a primary; returns when it can be written to, as a server of its own.
    ///
    /// The old primary, if it still runs, answers no commit any more: it waits for a standby that is gone.
    ///
    /// # Errors
    ///
    /// [`StartError`], if it can't be promoted.
    ///
    /// # Cancel safety
    ///
    /// Cancelled, it drops the standby.
    pub async fn promote(self) -> Result<DevPg, StartError> {
        let mut connection = connect(&self.server, "connect to the standby").await?;
        let promoted: bool = sqlx::query_scalar("select pg_promote(true, 60)")
            .fetch_one(&mut connection)
            .await
            .map_err(refused("promote the standby"))?;
        let _ = connection.close().await;
        if promoted {
            return Ok(self.server);
        }
        Err(StartError::Program {
            program: "postgres",
            log: log_of(&self.server),
        })
    }
}

async fn connect(server: &DevPg, what: &'static str) -> Result<PgConnection, StartError> {
    let url = server.url("postgres");
    PgConnection::connect(&url).await.map_err(refused(what))
}

fn refused(what: &'static str) -> impl Fn(sqlx::Error) -> StartError {
    move |source| StartError::Sql { what, source }
}

fn log_of(server: &DevPg) -> String {
    fs::read_to_string(server.root().join("server.log")).unwrap_or_default()
}

/// Copies the files of a running server that is in a backup.
fn copy_cluster(installation: &Installation, from: &Path, to: &Path) -> Result<(), StartError> {
    installation.make_dir(to)?;
    let entries = failed_to(format!("read {}", from.display()), fs::read_dir(from))?;
    for entry in entries.flatten() {
        let (source, name) = (entry.path(), entry.file_name());
        let target = to.join(&name);
        let name = name.to_string_lossy();
        if NOT_COPIED.contains(&&*name) {
            installation.make_dir(&target)?;
            if name == "pg_wal" {
                installation.make_dir(&target.join("archive_status"))?;
            }
        } else if source.is_dir() {
            copy_cluster(installation, &source, &target)?;
        } else if !name.starts_with("postmaster.") {
            match fs::copy(&source, &target) {
                // Dropped meanwhile; the WAL says so.
                Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                copied => {
                    failed_to(format!("copy {}", source.display()), copied)?;
                    installation.give(&target)?;
                }
            }
        }
    }
    Ok(())
}

/// Turns a copy into a standby.
fn follow(installation: &Installation, data: &Path, label: &str, conninfo: &str) -> Result<(), StartError> {
    for (name, content) in [
        ("backup_label", label),
        ("standby.signal", ""),
        ("postgresql.auto.conf", conninfo),
    ] {
        let path = data.join(name);
        let file = fs::OpenOptions::new().create(true).append(true).open(&path);
        let written = file.and_then(|mut file| file.write_all(content.as_bytes()));
        failed_to(format!("write {}", path.display()), written)?;
        installation.give(&path)?;
    }
    Ok(())
}

async fn wait_for_sync(connection: &mut PgConnection, name: &str, standby: &DevPg) -> Result<(), StartError> {
    let since = Instant::now();
    let following = "select exists (select from pg_stat_replication where application_name = $1 and sync_state in ('sync', 'potential', 'quorum'))";
    while since.elapsed() < FOLLOW_TIMEOUT {
        let follows: bool = sqlx::query_scalar(following)
            .bind(name)
            .fetch_one(&mut *connection)
            .await
            .map_err(refused("look for the standby"))?;
        if follows {
            return Ok(());
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    Err(StartError::NotFollowing { log: log_of(standby) })
}
