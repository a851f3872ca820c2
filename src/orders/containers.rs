//! What no container of LXC can be ordered with: agents would refuse it at its hypervisor (docs/convergence.md, Containers), and so it
//! is refused before. It knows what an order says, and neither hypervisors nor documents.

use serde_json::Value;

use crate::error::{Error, Result};
use crate::row::Row;

/// The virt method that is a container.
const METHOD: &str = "LXC";
/// The storage type of a volume that is a copy of an image, as a root is.
const ROOT: &str = "raw";

/// What an order of one is made of.
pub(super) struct Wanted<'o> {
    pub virt_method: &'o str,
    pub storage_type: &'o str,
    pub flavor: &'o Row,
    pub has_image: bool,
    pub has_volume: bool,
    /// The VM's own fields.
    pub body: &'o Value,
}

impl Wanted<'_> {
    /// # Errors
    /// [`Error::Invalid`] with all that a container cannot have.
    pub fn check(&self) -> Result<()> {
        if self.virt_method != METHOD {
            return Ok(());
        }
        let mut wrong: Vec<(&str, String)> = Vec::new();
        let of_flavor = self.of_flavor();
        if !of_flavor.is_empty() {
            wrong.push(("flavor", format!("is of containers (LXC), which cannot have {}", of_flavor.join(", "))));
        }
        if self.has_volume {
            wrong.push(("volume", "cannot be the root of a container (LXC)".to_owned()));
        } else if !self.has_image {
            wrong.push(("image", "is required: the root of a container (LXC) is made from it".to_owned()));
        }
        if self.body["firewall"] == "on" {
            wrong.push(("firewall", "must be off: a container (LXC) has no packet filter".to_owned()));
        }
        if self.body["security_rules"].as_array().is_some_and(|rules| !rules.is_empty()) {
            wrong.push(("security_rules", "must be none: a container (LXC) has no packet filter".to_owned()));
        }
        let wrong: Vec<_> = wrong.into_iter().map(|(field, detail)| (field.to_owned(), detail)).collect();
        if wrong.is_empty() { Ok(()) } else { Err(Error::Invalid(wrong)) }
    }

    fn of_flavor(&self) -> Vec<String> {
        let mut found = Vec::new();
        if self.storage_type != ROOT {
            found.push(format!("a root of type {} from an image", self.storage_type));
        }
        let limits = ["iops", "disk_bps"].into_iter().filter(|limit| !self.flavor[*limit].is_null());
        found.extend(limits.map(|limit| format!("{limit} of a volume")));
        if !self.flavor["gpu_model"].is_null() {
            found.push("devices that are passed through".to_owned());
        }
        found
    }
}
