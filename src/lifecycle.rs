//! The life of a VM: its states and their words. What is wanted of a VM and what its agent has seen of it decide which one it is in,
//! and no timer that pretends; the view `vms_with_status` says so for lists as well: that nobody knows, or that it has failed, counts
//! most, then what was asked for and is not applied yet, then what was seen. Of one that was deleted the view `deleted_vms_with_status`
//! says it. It knows words, and neither requests nor agents.

/// A state of a VM.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Lifecycle {
    /// It has no hypervisor.
    Requested,
    /// Its agent has not seen it there yet.
    Scheduled,
    /// It is there, shall run, and does not yet.
    Starting,
    /// It runs, as was seen last.
    Started,
    /// It does not run, and shall not.
    Stopped,
    /// A restart was asked for, and its agent has not applied that yet; likewise the next ones.
    Rebooting,
    /// Another size.
    Resizing,
    /// A volume anew.
    Rebuilding,
    /// Its volumes as they were.
    Restoring,
    /// Another hypervisor.
    Migrating,
    /// The last run of its agent failed since it was changed, or the agent has done its work and it is not as it shall be.
    Failed,
    /// Its hypervisor has been silent for too long.
    Unknown,
    /// It was deleted, and not every hypervisor where it was has said that it is gone.
    Deleting,
    /// It was deleted, and is gone.
    Deleted,
}

/// The words for one that is there.
pub static WORDS: [&str; 12] = [
    Lifecycle::Requested.word(),
    Lifecycle::Scheduled.word(),
    Lifecycle::Starting.word(),
    Lifecycle::Started.word(),
    Lifecycle::Stopped.word(),
    Lifecycle::Rebooting.word(),
    Lifecycle::Resizing.word(),
    Lifecycle::Rebuilding.word(),
    Lifecycle::Restoring.word(),
    Lifecycle::Migrating.word(),
    Lifecycle::Failed.word(),
    Lifecycle::Unknown.word(),
];

/// The words for one that was deleted.
pub static LAST_WORDS: [&str; 2] = [Lifecycle::Deleting.word(), Lifecycle::Deleted.word()];

impl Lifecycle {
    /// As the API and the database call it.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Requested => "requested",
            Self::Scheduled => "scheduled",
            Self::Starting => "starting",
            Self::Started => "started",
            Self::Stopped => "stopped",
            Self::Rebooting => "rebooting",
            Self::Resizing => "resizing",
            Self::Rebuilding => "rebuilding",
            Self::Restoring => "restoring",
            Self::Migrating => "migrating",
            Self::Failed => "failed",
            Self::Unknown => "unknown",
            Self::Deleting => "deleting",
            Self::Deleted => "deleted",
        }
    }
}
