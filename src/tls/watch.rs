//! Looks whether the files of TLS have changed. What has changed is taken as a whole, or not at all: then what is in
//! service stays, and it is said loudly.

use metrics::{counter, gauge};
use std::time::Duration;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::time::{Interval, MissedTickBehavior, interval};

use crate::config::Settings;
use crate::tls::material::{Files, Material};

/// How often the files are read.
const LOOK_EVERY: Duration = Duration::from_secs(2);

/// Watches the files.
pub struct Watch {
    settings: Settings,
    in_service: Material,
    /// What was there at the last look.
    seen: Option<Found>,
    /// What was looked into and not taken.
    refused: Option<Found>,
    tick: Interval,
    hangup: Signal,
}

/// What the files hold, or why they cannot be read.
type Found = Result<Files, String>;

impl Watch {
    /// Watches the files of what is in service. Call it on a runtime.
    ///
    /// # Errors
    /// When the system lets nobody wait for its signals.
    pub fn start(settings: &Settings, in_service: Material) -> std::io::Result<Self> {
        let mut tick = interval(LOOK_EVERY);
        tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
        gauge!("virtapi_tls_files_refused").set(0);
        for outcome in ["taken", "refused"] {
            counter!("virtapi_tls_reloads_total", "outcome" => outcome).increment(0);
        }
        let hangup = signal(SignalKind::hangup())?;
        Ok(Self { settings: settings.clone(), in_service, seen: None, refused: None, tick, hangup })
    }

    /// Waits for files that differ from those in service and are good.
    pub async fn changed(&mut self) -> Material {
        loop {
            let asked = tokio::select! {
                _ = self.tick.tick() => false,
                _ = self.hangup.recv() => true,
            };
            let found = self.read().await;
            if let Some(material) = self.judge(found, asked) {
                return material;
            }
        }
    }

    async fn read(&self) -> Found {
        let settings = self.settings.clone();
        let read = tokio::task::spawn_blocking(move || Files::read(&settings).map_err(|wrong| wrong.to_string()));
        match read.await {
            Ok(Ok(Some(files))) => Ok(files),
            Ok(Ok(None)) => Err("the settings name no files".to_owned()),
            Ok(Err(wrong)) => Err(wrong),
            Err(error) => Err(error.to_string()),
        }
    }

    /// Takes what was found, or says why not. Unless somebody has asked, files are looked into when they are the same
    /// at two looks: whoever writes them may be in the middle of it.
    fn judge(&mut self, found: Found, asked: bool) -> Option<Material> {
        if found.as_ref().is_ok_and(|files| files == self.in_service.files()) {
            self.seen = None;
            if self.refused.take().is_some() {
                gauge!("virtapi_tls_files_refused").set(0);
                tracing::info!("the TLS files are again those in service");
            } else if asked {
                tracing::info!("the TLS files have not changed");
            }
            return None;
        }
        let settled = self.seen.replace(found.clone()).is_some_and(|seen| seen == found);
        let known = self.refused.as_ref() == Some(&found);
        if !asked && (!settled || known) {
            return None;
        }
        match self.check(&found) {
            Ok(material) => {
                (self.seen, self.refused) = (None, None);
                self.in_service = material.clone();
                gauge!("virtapi_tls_files_refused").set(0);
                counter!("virtapi_tls_reloads_total", "outcome" => "taken").increment(1);
                Some(material)
            }
            Err(reason) => {
                gauge!("virtapi_tls_files_refused").set(1);
                counter!("virtapi_tls_reloads_total", "outcome" => "refused").increment(1);
                tracing::error!("the TLS files have changed and are not taken; those before stay in service: {reason}");
                self.refused = Some(found);
                None
            }
        }
    }

    fn check(&self, found: &Found) -> Result<Material, String> {
        let material = Material::check(found.clone()?).map_err(|wrong| wrong.to_string())?;
        match material.out_of_date() {
            // If what is in service is late, too, a new certificate need not wait for it.
            Some(late) if !material.has_lists_of(&self.in_service) => Err(format!("tls_crl: {late}")),
            _ => Ok(material),
        }
    }
}
