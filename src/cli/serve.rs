//! `virtapi serve`: from settings to a server that listens, and from a signal to one that has stopped in good order.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::time::Duration;

use super::database::{Database, runtime};
use super::{Result, print};
use crate::auth::Secret;
use crate::config::{Flags, Settings};
use crate::db::Db;
use crate::listener::{CUT_OFF, Listener};
use crate::server::Server;
use crate::sightings::Sightings;
use crate::stop::Stop;
use crate::tls::{Material, Watch};
use crate::{bootstrap, connections};

/// How often a stopping server looks whether it is done. The first connections to look at need this time, too.
const GLANCE: Duration = Duration::from_millis(50);

/// How long the record of what was seen last gets.
const LAST_RECORD: Duration = Duration::from_secs(5);

/// How long what is left on the runtime gets after the last request.
const LEFTOVERS: Duration = Duration::from_secs(1);

/// Three commands that show something on the demo fleet.
const TO_TRY: &str = "
Open {at}/v1/ in a browser: any user name will do, the password is the token. Or try:

  curl{options} -H \"Authorization: Bearer {token}\" '{at}/v1/vms?cores__gte=4&sort=-cores&fields=name,cores,hypervisor'
  curl{options} -H \"Authorization: Bearer {token}\" {at}/puppet/enc/hv01.example.com
  curl{options} -H \"Authorization: Bearer {token}\" {at}/salt/pillar/st01.example.com
";

#[derive(clap::Args)]
pub(super) struct Args {
    /// Load a small demo fleet first, if the database is empty
    #[arg(long)]
    demo: bool,
    #[command(flatten)]
    flags: Flags,
}

pub(super) fn run(args: &Args) -> Result<()> {
    let loaded = super::settings(&args.flags)?;
    let tls = super::checked_tls(&loaded)?;
    if let Some(late) = tls.as_ref().and_then(Material::out_of_date) {
        tracing::error!("client certificates are refused until tls_crl is replaced: {late}");
    }
    let settings = loaded.settings;
    let runtime = runtime(&settings)?;
    // Before anything is started: a signal that comes meanwhile is kept for later.
    let stop = runtime.block_on(async { Stop::listen() })?;
    let database = Database::open(&settings)?;
    let outcome = runtime.block_on(serve(&settings, tls, &database, args.demo, stop));
    runtime.shutdown_timeout(LEFTOVERS);
    database.close(outcome)
}

async fn serve(
    settings: &Settings,
    tls: Option<Material>,
    database: &Database,
    demo: bool,
    mut stop: Stop,
) -> Result<()> {
    let first = tokio::select! {
        biased;
        () = stop.asked() => return Ok(()),
        ready = prepare(database, demo) => ready?,
    };
    let server = Server::new(settings, database.url())?;
    server.keep_house();
    let sightings = server.sightings();
    let outcome = listen(settings, tls, database, (demo, first.as_ref()), stop, server).await;
    record_last(&sightings).await;
    outcome
}

/// Writes what was only counted, so that a server that stops loses nothing of it.
async fn record_last(sightings: &Sightings) {
    match tokio::time::timeout(LAST_RECORD, sightings.record_all()).await {
        Ok(Ok(())) => {}
        Ok(Err(error)) => tracing::error!("what was seen last is not recorded: {error}"),
        Err(late) => tracing::error!("what was seen last is not recorded: {late}"),
    }
}

async fn listen(
    settings: &Settings,
    tls: Option<Material>,
    database: &Database,
    (demo, first): (bool, Option<&Secret>),
    mut stop: Stop,
    server: Server,
) -> Result<()> {
    let mut watch = tls.clone().map(|tls| Watch::start(settings, tls)).transpose()?;
    let mut listener = Listener::start(server, settings, tls).await?;
    let at = listener.at();
    announce(at, watch.is_some(), &database.describe(), demo.then(|| database.token_in_shell()).as_deref());
    // After the address, which is what a program that starts this looks for.
    if let Some(secret) = first {
        database.show_kept(secret)?;
    }
    loop {
        tokio::select! {
            ended = listener.ended() => return ended,
            () = stop.asked() => break,
            tls = changed(watch.as_mut()) => listener.go_on_with(tls).await?,
        }
    }
    tracing::info!("stopping when the requests under way are answered");
    listener.stop();
    let grace = Duration::from_secs(settings.shutdown_grace.into());
    tokio::select! {
        biased;
        () = tokio::time::sleep(grace) => Err(CUT_OFF.into()),
        ended = listener.all_ended() => ended,
        () = unused(at.port()) => Ok(()),
        () = stop.asked() => Err("stopped at once by a second signal; requests under way were cut off".into()),
    }
}

/// Waits for other TLS files: for ever, where there is no TLS.
async fn changed(watch: Option<&mut Watch>) -> Material {
    match watch {
        Some(watch) => watch.changed().await,
        None => std::future::pending().await,
    }
}

/// Waits until the server has no connections left. Where that cannot be known, Rocket's own grace period ends the wait.
async fn unused(port: u16) {
    loop {
        tokio::time::sleep(GLANCE).await;
        match connections::open_on(port) {
            Ok(0) => return,
            Ok(_) => {}
            Err(error) => {
                tracing::warn!("the open connections cannot be counted, so this takes the whole grace period: {error}");
                return std::future::pending().await;
            }
        }
    }
}

/// Brings the database to where the server can use it; returns the secret of the first administrator, if there was
/// none.
async fn prepare(database: &Database, demo: bool) -> Result<Option<Secret>> {
    database.migrate().await?;
    let first = bootstrap::first_administrator(&Db::new(database.url(), 1)?).await?;
    if let Some(secret) = &first {
        database.keep(secret)?;
    }
    if demo {
        crate::demo::load(database.url()).await?;
    }
    Ok(first)
}

/// Says where the server is; with the demo fleet, also what to try on it with this token.
fn announce(at: SocketAddr, secure: bool, database: &str, token: Option<&str>) {
    let at = SocketAddr::new(reachable(at.ip()), at.port());
    let at = format!("{}://{at}", if secure { "https" } else { "http" });
    let to_try = token.map_or_else(String::new, |token| {
        // The demo is tried on the machine itself, whose address is in no certificate.
        let options = if secure { " --insecure" } else { "" };
        TO_TRY.replace("{at}", &at).replace("{options}", options).replace("{token}", token)
    });
    if let Err(error) = print(&format!("virtapi listens on {at}/ ({database})\n{to_try}")) {
        tracing::warn!("cannot say where the server is: {error}");
    }
}

/// An address that a client on this machine can use.
fn reachable(address: IpAddr) -> IpAddr {
    match address {
        IpAddr::V4(Ipv4Addr::UNSPECIFIED) => Ipv4Addr::LOCALHOST.into(),
        IpAddr::V6(Ipv6Addr::UNSPECIFIED) => Ipv6Addr::LOCALHOST.into(),
        address => address,
    }
}
