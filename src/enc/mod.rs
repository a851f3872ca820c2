//! The external node classifier: what `virtapi enc <certname>` does, which puppetserver runs for every catalog.
//!
//! It asks a virtapi server for the node's ENC document and prints it: the whole document or nothing. A server that
//! is away or in trouble (no connection, no answer in time, 5xx) is bridged by the last answer that it confirmed, if
//! that is young enough. Whatever else goes wrong stops the run: an unknown node, a refusal, an answer that is no
//! ENC document.
//!
//! Puppet shows of a failed classifier only what stands on **stdout**, so the reason goes there, in one line, and
//! exit status 1 keeps Puppet from reading it as a document. What does not stop the run goes to stderr.
//!
//! It refuses to know what the classes and parameters mean, and has nothing to do with the server's own settings.

mod document;
mod fetch;
mod last_good;
mod settings;
#[cfg(test)]
mod tests;

use std::io::Write as _;
use std::process::ExitCode;
use std::time::SystemTime;

use document::Document;
use fetch::{Failure, Reply};
use last_good::{Copies, LastGood};
use settings::Settings;
pub use settings::{EncArgs, EncOptions};

/// The file that is read when `--config` is not given and it exists.
pub const DEFAULT_CONFIG: &str = "/etc/virtapi/enc.toml";

/// Print the node's ENC document, or a one-line reason and fail.
///
/// Not `async`, for it brings a runtime of its own that it can leave behind: a name server that hangs in a blocking
/// call would otherwise hold the process beyond its timeout.
#[must_use]
pub fn run(args: &EncArgs) -> ExitCode {
    let answer = Settings::resolve(args, DEFAULT_CONFIG.as_ref())
        .map_err(|error| error.to_string())
        .and_then(|settings| classify(&settings, &args.certname, &mut |warning| eprintln!("virtapi enc: {warning}")));
    match answer {
        Ok(document) => print(&document, ExitCode::SUCCESS),
        Err(reason) => print(&one_line(&format!("virtapi enc {}: {reason}", args.certname)), ExitCode::FAILURE),
    }
}

/// Say in one line what is wrong with the arguments, where Puppet shows it.
#[must_use]
pub fn refuse(error: &clap::Error) -> ExitCode {
    let text = error.to_string();
    let reason = text.lines().next().unwrap_or_default();
    print(&one_line(&format!("virtapi enc: {reason}")), ExitCode::FAILURE)
}

fn print(text: &str, code: ExitCode) -> ExitCode {
    let mut out = std::io::stdout().lock();
    match writeln!(out, "{}", text.trim_end()).and_then(|()| out.flush()) {
        Ok(()) => code,
        Err(error) => {
            eprintln!("virtapi enc: stdout: {error}");
            ExitCode::FAILURE
        }
    }
}

/// The document to print for `certname`, or the reason why there is none.
fn classify(settings: &Settings, certname: &str, warn: &mut dyn FnMut(String)) -> Result<String, String> {
    let url = settings.document_url(certname).map_err(|error| error.to_string())?;
    let copies = settings.cache_dir.as_deref().map(|dir| Copies::new(dir, url.as_str()));
    let kept = copies.as_ref().and_then(|copies| {
        copies.load(certname).unwrap_or_else(|reason| {
            warn(format!("the last good copy is not usable: {reason}"));
            None
        })
    });
    // Taken before the question: the copy is never held to be younger than what the server said.
    let asked_at = SystemTime::now();
    let etag = kept.as_ref().and_then(|kept| kept.etag.clone());
    let good = match fetch::ask(settings, url.clone(), etag.as_deref()) {
        Ok(Reply::Changed { body, etag }) => {
            Document::parse(&body, certname)?;
            LastGood::new(body, etag, asked_at)
        }
        Ok(Reply::Unchanged) => match kept {
            Some(kept) => LastGood::new(kept.document, kept.etag, asked_at),
            None => return Err("the server answered 304 to a question that had no condition".into()),
        },
        Err(Failure::Away(reason)) => {
            let (document, age) =
                bridge(kept, settings.max_age, asked_at).map_err(|no_copy| format!("{reason}; {no_copy}"))?;
            warn(format!("{reason}; serving the copy that was confirmed {age} s ago"));
            return Document::parse(&document, certname)?.print(settings.no_environment);
        }
        Err(Failure::Unknown(reason)) => {
            // The node is gone by the server's word: an outage must not bring it back.
            if let Some(Err(error)) = copies.map(|copies| copies.forget()) {
                warn(format!("the last good copy of an unknown node stays: {error}"));
            }
            return Err(reason);
        }
        Err(Failure::Refused(reason)) => return Err(reason),
    };
    if let Some(Err(reason)) = copies.map(|copies| copies.save(&good)) {
        warn(format!("no copy is kept for an outage: {reason}"));
    }
    Document::parse(&good.document, certname)?.print(settings.no_environment)
}

/// The kept document and its age, if it may stand in for a server that is away.
fn bridge(kept: Option<LastGood>, max_age: u64, now: SystemTime) -> Result<(String, u64), String> {
    let kept = kept.ok_or("there is no copy to bridge it")?;
    match kept.age(now) {
        _ if max_age == 0 => Err("no copy may bridge it (max age 0)".into()),
        None => Err("the copy is dated in the future".into()),
        Some(age) if age > max_age => Err(format!("the copy is {age} s old, and {max_age} s are allowed")),
        Some(age) => Ok((kept.document, age)),
    }
}

/// The text without line breaks and other control characters: Puppet puts the reason into a log line.
fn one_line(text: &str) -> String {
    text.chars().map(|c| if c.is_control() || matches!(c, '\u{2028}' | '\u{2029}') { ' ' } else { c }).collect()
}
