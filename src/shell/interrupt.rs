//! Ctrl-C ends a statement and not the shell: what both threads know of it.

use std::sync::atomic::{AtomicBool, Ordering};
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::Notify;

/// Whether somebody has pressed Ctrl-C since the statement began.
#[derive(Default)]
pub struct Interrupt {
    is_pressed: AtomicBool,
    pressed: Notify,
}

impl Interrupt {
    /// Takes note of each Ctrl-C, for ever. From its first poll on, the signal does not end the program.
    ///
    /// # Errors
    /// When there can be no such signal.
    pub async fn listen(&self) -> std::io::Result<()> {
        let mut signal = signal(SignalKind::interrupt())?;
        while signal.recv().await.is_some() {
            self.is_pressed.store(true, Ordering::SeqCst);
            self.pressed.notify_waiters();
        }
        Ok(())
    }

    /// A statement begins: what was pressed before is not meant for it.
    pub fn begin(&self) {
        self.is_pressed.store(false, Ordering::SeqCst);
    }

    /// Whether it is to end.
    pub fn is_pressed(&self) -> bool {
        self.is_pressed.load(Ordering::SeqCst)
    }

    /// Waits until it is to end.
    pub async fn pressed(&self) {
        let notified = self.pressed.notified();
        tokio::pin!(notified);
        // Before the look, so that nothing between the two is missed.
        notified.as_mut().enable();
        if !self.is_pressed() {
            notified.await;
        }
    }
}
