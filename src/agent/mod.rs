//! `virtapi agent`: runs a command on a node (a run of Puppet or Salt) as soon as the node's document may have changed,
//! and by a timer whatever is heard. It reads no document: what is to be done is the command's to find out.
//!
//! One run at a time. What is heard while one is under way means one more, however often it is heard. A stop ends the
//! waiting at once, and lets a run finish; a second one is passed on to the run.

mod command;
mod events;
mod listen;
mod settings;
mod timer;

use std::sync::Arc;
use std::time::Duration;

use futures_util::FutureExt;
use tokio::sync::{Notify, watch};
use tokio::time::sleep;

use crate::stop::Stop;
use command::Run;
use listen::Listener;
use settings::Settings;
pub use settings::{AgentArgs, SettingsError};
use timer::Timer;

/// The file that is read when `--config` is not given and it exists.
const DEFAULT_CONFIG: &str = "/etc/virtapi/agent.toml";

type Failure = Box<dyn std::error::Error + Send + Sync>;

/// Waits and runs, until it is told to stop.
///
/// # Errors
/// [`SettingsError`]; or why the command cannot be run at all.
pub fn run(args: &AgentArgs) -> Result<(), Failure> {
    let settings = Settings::resolve(args, DEFAULT_CONFIG.as_ref())?;
    crate::telemetry::init(settings.log_format, settings.log_level)?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let done = runtime.block_on(work(Arc::new(settings)));
    // A name server that hangs does not hold the end up.
    runtime.shutdown_background();
    done
}

async fn work(settings: Arc<Settings>) -> Result<(), Failure> {
    let mut stop = Stop::listen()?;
    let wanted = Arc::new(Notify::new());
    let (tell, mut tried) = watch::channel(false);
    tokio::spawn(Listener::new(settings.clone(), wanted.clone(), tell).listen());
    // First it is tried to listen, so that nothing is missed between the first run and that.
    tokio::select! {
        () = stop.asked() => return Ok(()),
        tried = tried.wait_for(|tried| *tried) => drop(tried?),
    }
    let (mut why, mut timer) = ("start", Timer::new(settings.interval));
    loop {
        tokio::select! {
            () = stop.asked() => return Ok(()),
            () = sleep(spread(settings.splay)) => {}
        }
        // Whatever was heard until now, this run sees it.
        if wanted.notified().now_or_never().is_some() {
            tracing::debug!("what was heard before the run begins is part of it");
        }
        let Some(went_well) = settings.run(why, &mut stop).await? else { return Ok(()) };
        why = tokio::select! {
            () = stop.asked() => return Ok(()),
            () = wanted.notified() => "event",
            () = sleep(timer.after(went_well)) => "timer",
        };
    }
}

impl Settings {
    /// Runs the command once; returns whether that went well, or nothing if somebody has asked to stop meanwhile.
    async fn run(&self, why: &str, stop: &mut Stop) -> Result<Option<bool>, Failure> {
        let mut run = Run::start(&self.command)?;
        tracing::info!(why, "the command runs: {}", self.command.join(" "));
        let mut asked = 0;
        let ended = loop {
            tokio::select! {
                ended = run.ended() => break ended?,
                () = stop.asked() => {
                    asked += 1;
                    if asked == 1 {
                        tracing::info!("stopping when the command has ended; a second signal is passed on to it");
                    } else {
                        run.terminate();
                    }
                }
            }
        };
        let took = ended.took;
        let went_well = ended.code.is_some_and(|code| self.success.contains(&code));
        match ended.code {
            Some(code) if went_well => tracing::info!(code, ?took, "the command has ended"),
            Some(code) => tracing::warn!(code, ?took, "the command has failed"),
            None => tracing::warn!(?took, "the command was ended by a signal"),
        }
        Ok((asked == 0).then_some(went_well))
    }
}

/// A part of this time, by chance: not everybody runs at the same moment.
fn spread(most: Duration) -> Duration {
    most.mul_f64(fastrand::f64())
}
