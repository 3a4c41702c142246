//! [`Process`]: a child that ends as abruptly as we like, and never outlives us.

use std::io;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

/// Between two looks whether a process has ended.
const LOOK_EVERY: Duration = Duration::from_millis(10);

/// A child process. It is killed with the value.
///
/// Its standard input is a pipe that nothing is written to: it ends with us, however we die, and a child that reads it
/// can end too.
#[derive(Debug)]
pub struct Process {
    child: Child,
}

impl Process {
    /// Starts a process.
    ///
    /// # Errors
    ///
    /// If the program can't be run.
    pub fn start(command: &mut Command) -> io::Result<Self> {
        let child = command.stdin(Stdio::piped()).spawn()?;
        Ok(Self { child })
    }

    /// Returns the process id.
    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// `kill -9`, also of one that is paused. Returns when it is gone.
    ///
    /// # Errors
    ///
    /// If the system refuses.
    pub fn kill(&mut self) -> io::Result<()> {
        self.child.kill()?;
        self.child.wait().map(drop)
    }

    /// Pauses it with SIGSTOP, and lets it go on with SIGCONT after `duration`, whatever becomes of us meanwhile.
    /// Returns when it goes on, so call it on a thread that may block.
    ///
    /// # Errors
    ///
    /// If `sh` can't be run, or the process is gone.
    pub fn pause(id: u32, duration: Duration) -> io::Result<()> {
        let script = r#"kill -s STOP "$0" || exit 1; sleep "$1"; kill -s CONT "$0""#;
        let status = Command::new("sh")
            .args(["-c", script, &id.to_string(), &duration.as_secs_f64().to_string()])
            .stderr(Stdio::null())
            .status()?;
        match status.success() {
            true => Ok(()),
            false => Err(io::Error::other(format!("process {id} is gone"))),
        }
    }

    /// Closes its standard input, which asks it to end.
    pub fn let_go(&mut self) {
        drop(self.child.stdin.take());
    }

    /// Returns how it ended, if it has.
    ///
    /// # Errors
    ///
    /// If the system does not say.
    pub fn try_wait(&mut self) -> io::Result<Option<ExitStatus>> {
        self.child.try_wait()
    }

    /// Waits for its end, at most for `patience`. `None`: it still runs.
    ///
    /// # Errors
    ///
    /// If the system does not say.
    pub fn wait(&mut self, patience: Duration) -> io::Result<Option<ExitStatus>> {
        let since = Instant::now();
        loop {
            let ended = self.try_wait()?;
            if ended.is_some() || since.elapsed() >= patience {
                return Ok(ended);
            }
            std::thread::sleep(LOOK_EVERY);
        }
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // One that has ended is not there to be killed.
        let _ = self.kill();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cat() -> Process {
        Process::start(Command::new("cat").stdout(Stdio::null())).expect("a process")
    }

    #[test]
    fn a_process_that_is_let_go_ends_by_itself() {
        let mut process = cat();
        assert!(process.try_wait().unwrap().is_none());
        process.let_go();
        let status = process.wait(Duration::from_secs(10)).unwrap();
        assert!(status.expect("an end").success());
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn a_paused_process_does_nothing_until_it_goes_on() {
        let mut process = cat();
        let id = process.id();
        let pause = std::thread::spawn(move || Process::pause(id, Duration::from_millis(600)));
        let state = || {
            let status = std::fs::read_to_string(format!("/proc/{id}/stat")).unwrap_or_default();
            status.split_whitespace().nth(2).unwrap_or_default().to_owned()
        };
        let since = Instant::now();
        while state() != "T" && since.elapsed() < Duration::from_secs(10) {
            std::thread::sleep(LOOK_EVERY);
        }
        process.let_go();
        assert!(process.try_wait().unwrap().is_none());
        pause.join().unwrap().unwrap();
        assert!(process.wait(Duration::from_secs(10)).unwrap().is_some());
    }

    #[test]
    fn a_process_is_gone_when_it_has_been_killed() {
        let mut process = cat();
        process.kill().unwrap();
        assert!(!process.try_wait().unwrap().expect("an end").success());
        assert!(Process::pause(process.id(), Duration::ZERO).is_err());
    }
}
