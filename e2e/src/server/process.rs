//! A child process that can be killed, stopped, paused and started again with
//! the same arguments, and that never outlives its test.

use std::ffi::{OsStr, OsString};
use std::fs::{self, File, OpenOptions};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::Duration;

use anyhow::Context as _;

use super::Ready;
use super::ready::read_log;
use crate::{logs, wait_for};

/// Longer than any server here needs on two busy cores.
const START: Duration = Duration::from_secs(60);
/// Lines of its log that a process leaves on standard error when its test fails.
const LAST_LINES: usize = 40;

/// A signal that a test sends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Signal {
    /// End in an orderly way.
    Term,
    /// As Ctrl-C does.
    Int,
    /// Stand still.
    Stop,
    /// Go on.
    Cont,
    /// Its terminal is gone, or its files are to be read again.
    Hup,
}

impl Signal {
    const fn name(self) -> &'static str {
        match self {
            Self::Term => "TERM",
            Self::Int => "INT",
            Self::Stop => "STOP",
            Self::Cont => "CONT",
            Self::Hup => "HUP",
        }
    }
}

/// How to start a process.
#[derive(Clone, Debug)]
pub struct Spec {
    /// For messages.
    pub name: String,
    /// What to run.
    pub program: PathBuf,
    /// With which arguments.
    pub args: Vec<OsString>,
    /// With which additional variables.
    pub env: Vec<(String, String)>,
    /// Where its output goes; appended to by every start.
    pub log: PathBuf,
    /// When it serves.
    pub ready: Ready,
    /// Whether its log may hold no warnings but those that the test has named.
    pub is_ours: bool,
}

impl Spec {
    /// Runs `program`, logging to `{name}.log` in `folder`.
    pub fn new(name: &str, program: impl AsRef<OsStr>, folder: &Path, ready: Ready) -> Self {
        Self {
            name: name.to_owned(),
            program: PathBuf::from(program.as_ref()),
            args: Vec::new(),
            env: Vec::new(),
            log: folder.join(format!("{name}.log")),
            ready,
            is_ours: false,
        }
    }

    /// Adds arguments.
    #[must_use]
    pub fn args<A: AsRef<OsStr>>(mut self, args: impl IntoIterator<Item = A>) -> Self {
        self.args.extend(args.into_iter().map(|arg| arg.as_ref().to_owned()));
        self
    }

    /// Adds a variable.
    #[must_use]
    pub fn env(mut self, name: &str, value: &str) -> Self {
        self.env.push((name.to_owned(), value.to_owned()));
        self
    }

    /// Runs the program with SIGXFSZ ignored, so that a test can limit the size
    /// of its files and have writes fail as on a full disk.
    #[must_use]
    pub fn survives_full_disk(mut self) -> Self {
        let program = std::mem::replace(&mut self.program, PathBuf::from("sh"));
        let through_shell =
            ["-c".into(), "trap '' XFSZ; exec \"$0\" \"$@\"".into(), program.into()];
        self.args.splice(0..0, through_shell);
        self
    }

    fn spawn(&self) -> anyhow::Result<Child> {
        let log = OpenOptions::new().create(true).append(true).open(&self.log)?;
        let mut command = Command::new(&self.program);
        // Settings of whoever runs the tests are not settings of the tests.
        for (name, _) in std::env::vars_os() {
            if name.to_string_lossy().starts_with("NEMESES_") {
                command.env_remove(name);
            }
        }
        command
            .args(&self.args)
            .envs(self.env.iter().map(|(name, value)| (name, value)))
            .stdin(Stdio::null())
            .stdout(log.try_clone()?)
            .stderr(log)
            .spawn()
            .with_context(|| {
                format!(
                    "starting {} ({}); `make setup` installs it",
                    self.name,
                    self.program.display()
                )
            })
    }
}

/// A process; killed when dropped.
#[derive(Debug)]
pub struct Process {
    spec: Spec,
    child: Option<Child>,
    /// Where in the log this life of it begins.
    log_from: usize,
}

impl Process {
    /// Starts it and waits until it serves.
    ///
    /// # Errors
    /// It cannot be started, ends at once, or does not serve in time.
    pub async fn start(spec: Spec) -> anyhow::Result<Self> {
        let mut process = Self::launch(spec)?;
        process.wait_ready(START).await?;
        Ok(process)
    }

    /// Starts it without waiting.
    ///
    /// # Errors
    /// It cannot be started.
    pub fn launch(spec: Spec) -> anyhow::Result<Self> {
        let child = spec.spawn()?;
        Ok(Self { spec, child: Some(child), log_from: 0 })
    }

    /// Waits until it serves.
    ///
    /// # Errors
    /// It ended, or the time passed; with the end of its log.
    pub async fn wait_ready(&mut self, within: Duration) -> anyhow::Result<()> {
        let (name, ready) = (self.spec.name.clone(), self.spec.ready.clone());
        let (log, log_from) = (self.spec.log.clone(), self.log_from);
        let child = self.child.as_mut().with_context(|| format!("{name} was not started"))?;
        let mut ended = None;
        let waited = wait_for(within, &format!("{name} serves"), async || {
            ended = child.try_wait()?;
            if ended.is_some() { Ok(()) } else { ready.check(&log, log_from).await }
        })
        .await;
        let problem = match (ended, waited) {
            (Some(status), _) => anyhow::anyhow!("{name} ended with {status} instead of serving"),
            (None, Err(problem)) => problem,
            (None, Ok(())) => return Ok(()),
        };
        Err(problem.context(format!("the log of {name} ends:\n{}", self.last_lines())))
    }

    /// SIGKILL: no time to say good-bye.
    ///
    /// # Errors
    /// The process is not ours any more.
    pub fn kill(&mut self) -> anyhow::Result<()> {
        if let Some(mut child) = self.child.take() {
            child.kill()?;
            child.wait()?;
        }
        Ok(())
    }

    /// Sends a signal.
    ///
    /// # Errors
    /// It does not run.
    pub fn signal(&self, signal: Signal) -> anyhow::Result<()> {
        let pid = self.pid().with_context(|| format!("{} does not run", self.spec.name))?;
        let sent = Command::new("sh")
            .args(["-c", "kill -s \"$0\" \"$1\"", signal.name(), &pid.to_string()])
            .status()?;
        anyhow::ensure!(sent.success(), "{} cannot be sent {signal:?}", self.spec.name);
        Ok(())
    }

    /// Sends SIGTERM and waits for the end.
    ///
    /// # Errors
    /// It did not end in time.
    pub async fn stop(&mut self, within: Duration) -> anyhow::Result<ExitStatus> {
        self.signal(Signal::Term)?;
        self.wait_end(within).await
    }

    /// Waits for the process to end by itself.
    ///
    /// # Errors
    /// It did not end in time.
    pub async fn wait_end(&mut self, within: Duration) -> anyhow::Result<ExitStatus> {
        let name = self.spec.name.clone();
        let child = self.child.as_mut().with_context(|| format!("{name} does not run"))?;
        let status = wait_for(within, &format!("{name} ends"), async || {
            child.try_wait()?.context("it still runs")
        })
        .await?;
        self.child = None;
        Ok(status)
    }

    /// Starts it again with the same arguments, ports and data, and waits until
    /// it serves.
    ///
    /// # Errors
    /// As [`Process::start`].
    pub async fn start_again(&mut self) -> anyhow::Result<()> {
        self.kill()?;
        self.log_from = self.log()?.len();
        self.child = Some(self.spec.spawn()?);
        self.wait_ready(START).await
    }

    /// Whether it runs.
    pub fn is_running(&mut self) -> bool {
        self.child.as_mut().is_some_and(|child| matches!(child.try_wait(), Ok(None)))
    }

    /// Its process id, while it runs.
    pub fn pid(&self) -> Option<u32> {
        self.child.as_ref().map(Child::id)
    }

    /// Memory in use (resident set), KiB.
    ///
    /// # Errors
    /// It does not run.
    pub fn memory_kib(&self) -> anyhow::Result<u64> {
        let pid = self.pid().with_context(|| format!("{} does not run", self.spec.name))?;
        let status = fs::read_to_string(format!("/proc/{pid}/status"))?;
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
        let figure = line.and_then(|line| line.split_whitespace().next());
        Ok(figure.context("no VmRSS in its status")?.parse()?)
    }

    /// How it is started.
    pub const fn spec(&self) -> &Spec {
        &self.spec
    }

    /// Its way of being started, to be changed before it is started again.
    pub const fn spec_mut(&mut self) -> &mut Spec {
        &mut self.spec
    }

    /// All it has logged, over all its lives.
    ///
    /// # Errors
    /// The file cannot be read.
    pub fn log(&self) -> anyhow::Result<String> {
        Ok(read_log(&self.spec.log)?)
    }

    fn last_lines(&self) -> String {
        let log = self.log().unwrap_or_default();
        let lines: Vec<&str> = log.lines().collect();
        lines[lines.len().saturating_sub(LAST_LINES)..].join("\n")
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let pid = self.pid();
        if let Err(error) = self.kill() {
            complain(&format!("{} (pid {pid:?}) could not be killed: {error}", self.spec.name));
        }
        if std::thread::panicking() {
            complain(&format!("--- log of {} ends:\n{}", self.spec.name, self.last_lines()));
        } else if self.spec.is_ours {
            logs::judge(&self.spec.name, &self.log().unwrap_or_default());
        }
    }
}

#[expect(clippy::print_stderr, reason = "speaks to whoever reads a failed test")]
pub(super) fn complain(text: &str) {
    eprintln!("{text}");
}

/// Creates an empty file, for logs that a server itself appends to.
pub(super) fn touch(path: &Path) -> anyhow::Result<()> {
    File::create(path).with_context(|| format!("creating {}", path.display()))?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shell(folder: &Path, script: &str) -> Spec {
        Spec::new("shell", "sh", folder, Ready::LogHas("up".to_owned())).args(["-c", script])
    }

    #[tokio::test]
    async fn is_paused_killed_and_started_again() {
        let folder = tempfile::tempdir().unwrap();
        let mut process = Process::start(shell(folder.path(), "echo up; sleep 60")).await.unwrap();
        let first = process.pid().unwrap();
        process.signal(Signal::Stop).unwrap();
        process.signal(Signal::Cont).unwrap();
        assert!(process.is_running());
        assert!(process.memory_kib().unwrap() > 0);
        process.kill().unwrap();
        assert!(!process.is_running());
        process.start_again().await.unwrap();
        assert_ne!(process.pid().unwrap(), first);
        assert_eq!(process.log().unwrap(), "up\nup\n");
    }

    #[tokio::test]
    async fn a_process_that_ends_at_once_is_told_with_its_log() {
        let folder = tempfile::tempdir().unwrap();
        let error = Process::start(shell(folder.path(), "echo no luck; exit 3")).await.unwrap_err();
        let text = format!("{error:#}");
        assert!(text.contains("no luck") && text.contains("exit status: 3"), "{text}");
    }

    #[tokio::test]
    async fn stops_in_an_orderly_way() {
        let folder = tempfile::tempdir().unwrap();
        let script = "trap 'exit 0' TERM; echo up; while :; do sleep 0.01; done";
        let mut process = Process::start(shell(folder.path(), script)).await.unwrap();
        let status = process.stop(Duration::from_secs(10)).await.unwrap();
        assert!(status.success(), "{status}");
    }
}
