//! Listens on one port, with one instance of Rocket after the other: Rocket keeps the certificate that it began with,
//! so another certificate needs another instance. It takes the port over as soon as the one before has let go of it;
//! what is under way there is finished, or cut off when its grace period ends.

use rocket::error::ErrorKind;
use rocket::fairing::AdHoc;
use rocket::{Ignite, Rocket};
use std::net::SocketAddr;
use std::pin::pin;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::sync::{Notify, oneshot};
use tokio::task::{JoinError, JoinHandle, JoinSet};

use crate::config::Settings;
use crate::db::Failure;
use crate::server::Server;
use crate::tls::Material;

/// What is said of requests that were not finished in time.
pub const CUT_OFF: &str = "the grace period ended; requests still under way were cut off";

/// How long a port may take to become free.
const PATIENCE: Duration = Duration::from_secs(10);

/// How an instance of Rocket ends.
type Ended = Result<Rocket<Ignite>, rocket::Error>;

/// A port that is listened on.
pub struct Listener {
    server: Server,
    tls: Option<Material>,
    current: Instance,
    /// Those before it that have requests under way.
    leaving: JoinSet<Result<(), Failure>>,
}

impl Listener {
    /// Listens.
    ///
    /// # Errors
    /// Why it cannot.
    pub async fn start(server: Server, settings: &Settings, tls: Option<Material>) -> Result<Self, Failure> {
        server.authorities().replace(tls.as_ref());
        let at = SocketAddr::new(settings.address, settings.port);
        let current = Ready::prepare(&server, at, tls.as_ref()).await?.launch().await?;
        Ok(Self { server, tls, current, leaving: JoinSet::new() })
    }

    /// Where it is.
    #[must_use]
    pub fn at(&self) -> SocketAddr {
        self.current.at
    }

    /// Goes on with this. What it says of clients holds from the next request on, on whatever connection.
    ///
    /// # Errors
    /// Why it cannot listen any more.
    pub async fn go_on_with(&mut self, tls: Material) -> Result<(), Failure> {
        self.server.authorities().replace(Some(&tls));
        if self.tls.as_ref().is_some_and(|before| before.listens_like(&tls)) {
            tracing::info!("the lists of what is revoked have changed");
        } else {
            let next = self.take_over(&tls).await?;
            let before = std::mem::replace(&mut self.current, next);
            self.leaving.spawn(before.ended());
        }
        self.tls = Some(tls);
        Ok(())
    }

    /// Stops the current instance and starts another one on its port. All that can be done before is done before, for
    /// meanwhile connections are refused.
    async fn take_over(&self, tls: &Material) -> Result<Instance, Failure> {
        let at = self.at();
        let mut next = Ready::prepare(&self.server, at, Some(tls)).await?;
        self.stop();
        let begun = Instant::now();
        loop {
            match next.launch().await {
                Ok(instance) => {
                    tracing::info!(took = ?begun.elapsed(), "the TLS files have changed, and are taken");
                    return Ok(instance);
                }
                Err(error) if begun.elapsed() > PATIENCE => return Err(error),
                Err(error) => tracing::debug!(error, "the port is not free yet"),
            }
            tokio::task::yield_now().await;
            next = Ready::prepare(&self.server, at, Some(tls)).await?;
        }
    }

    /// Takes no more connections, and closes those that it has when they are idle.
    pub fn stop(&self) {
        self.current.stop.notify_one();
    }

    /// Waits until the current instance has ended. Once it has, do not ask again.
    ///
    /// # Errors
    /// Why it has ended, if nobody has stopped it; that it was cut off, if somebody has.
    pub async fn ended(&mut self) -> Result<(), Failure> {
        loop {
            tokio::select! {
                ended = &mut self.current.task => return explain(self.current.at, ended),
                Some(left) = self.leaving.join_next() => say_how(left),
            }
        }
    }

    /// Waits until all that was stopped has ended.
    ///
    /// # Errors
    /// That it was cut off.
    pub async fn all_ended(&mut self) -> Result<(), Failure> {
        let ended = self.ended().await;
        while let Some(left) = self.leaving.join_next().await {
            say_how(left);
        }
        ended
    }
}

/// Says of an instance that was replaced if it had to be cut off.
fn say_how(left: Result<Result<(), Failure>, JoinError>) {
    if let Err(error) = left.map_err(Failure::from).flatten() {
        tracing::warn!("of the connections from before the TLS files changed: {error}");
    }
}

/// An instance of Rocket that does not listen yet.
struct Ready {
    rocket: Rocket<Ignite>,
    at: SocketAddr,
    lifted_off: oneshot::Receiver<SocketAddr>,
}

impl Ready {
    async fn prepare(server: &Server, at: SocketAddr, tls: Option<&Material>) -> Result<Self, Failure> {
        let (tell, lifted_off) = oneshot::channel();
        let liftoff = AdHoc::on_liftoff("tell where it listens", move |rocket| {
            let at = SocketAddr::new(rocket.config().address, rocket.config().port);
            Box::pin(async move {
                if tell.send(at).is_err() {
                    tracing::error!("the server listens, but nobody waits for it");
                }
            })
        });
        match server.listener(at.port(), tls).attach(liftoff).ignite().await {
            Ok(rocket) => Ok(Self { rocket, at, lifted_off }),
            Err(error) => Err(describe(at, &error)),
        }
    }

    async fn launch(self) -> Result<Instance, Failure> {
        let stop = Arc::new(Notify::new());
        let mut task = tokio::spawn(run(self.rocket, stop.clone()));
        tokio::select! {
            Ok(at) = self.lifted_off => Ok(Instance { at, stop, task }),
            ended = &mut task => Err(explain(self.at, ended).err().unwrap_or_else(|| "the server has ended".into())),
        }
    }
}

/// Runs until it is stopped. Rocket is told to stop by the task that runs it: told by another one between two of its
/// own steps, it takes its listener's end for a failure, and cuts off what is under way.
async fn run(rocket: Rocket<Ignite>, stop: Arc<Notify>) -> Ended {
    let shutdown = rocket.shutdown();
    let mut running = pin!(rocket.launch());
    tokio::select! {
        ended = &mut running => return ended,
        () = stop.notified() => shutdown.notify(),
    }
    running.await
}

/// An instance of Rocket that listens, or has requests under way.
struct Instance {
    at: SocketAddr,
    stop: Arc<Notify>,
    task: JoinHandle<Ended>,
}

impl Instance {
    async fn ended(self) -> Result<(), Failure> {
        explain(self.at, self.task.await)
    }
}

fn explain(at: SocketAddr, ended: Result<Ended, JoinError>) -> Result<(), Failure> {
    match ended {
        Ok(Ok(_)) => Ok(()),
        Ok(Err(error)) => Err(describe(at, &error)),
        Err(error) => Err(error.into()),
    }
}

/// Rocket's errors say little on their own.
fn describe(at: SocketAddr, error: &rocket::Error) -> Failure {
    match error.kind() {
        ErrorKind::Bind(cause) => format!("cannot listen on {at}: {cause}").into(),
        ErrorKind::Shutdown(..) => CUT_OFF.into(),
        _ => error.to_string().into(),
    }
}
