//! One run of the command. No shell is involved: its words are given to it as they are.

use std::process::Stdio;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process_group};
use tokio::process::{Child, Command};

/// A command that runs.
pub struct Run {
    child: Child,
    begun: Instant,
}

/// How it ended.
pub struct Ended {
    /// Its exit code, if no signal has ended it.
    pub code: Option<i32>,
    /// How long it took.
    pub took: Duration,
}

impl Run {
    /// Starts it, in a process group of its own: Ctrl-C at a terminal does not reach it before we do.
    pub fn start(words: &[String]) -> Result<Self, String> {
        let (program, arguments) = words.split_first().ok_or("there is no command to run")?;
        let child = Command::new(program).args(arguments).stdin(Stdio::null()).process_group(0).spawn();
        let child = child.map_err(|error| format!("{program} cannot be run: {error}"))?;
        Ok(Self { child, begun: Instant::now() })
    }

    /// Waits until it has ended. May be given up and asked again.
    pub async fn ended(&mut self) -> std::io::Result<Ended> {
        let status = self.child.wait().await?;
        Ok(Ended { code: status.code(), took: self.begun.elapsed() })
    }

    /// Asks it, and what it has started, to end.
    pub fn terminate(&self) {
        // Without an id it has ended already.
        let group = self.child.id().and_then(|id| i32::try_from(id).ok()).and_then(Pid::from_raw);
        if let Some(Err(error)) = group.map(|group| kill_process_group(group, Signal::TERM)) {
            tracing::warn!("the command cannot be told to end: {error}");
        } else {
            tracing::info!("the command is told to end");
        }
    }
}
