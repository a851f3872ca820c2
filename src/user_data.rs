//! What cloud-init is given by whoever orders a VM: whether a guest will understand it. It knows the formats, and nothing of VMs.
//! <https://cloudinit.readthedocs.io/en/latest/explanation/format.html>

use validator::ValidationError;

/// Whether it is a script, or YAML with the mark of cloud-init: what is neither does nothing in the guest, without a word.
///
/// # Errors
/// What is wrong with it.
pub fn valid(text: &str) -> Result<(), ValidationError> {
    let wrong = |rule: String| Err(ValidationError::new("user_data").with_message(rule.into()));
    if text.starts_with("#!") {
        return Ok(());
    }
    let first = text.lines().next().unwrap_or_default().trim_end();
    if first != "#cloud-config" {
        return wrong("must begin with #cloud-config, or be a script that begins with #!".into());
    }
    match serde_yaml::from_str::<serde_yaml::Value>(text) {
        Ok(serde_yaml::Value::Mapping(_) | serde_yaml::Value::Null) => Ok(()),
        Ok(_) => wrong("must hold the names and values of cloud-config".into()),
        Err(error) => wrong(format!("is not YAML: {error}")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_guest_understands_is_taken() {
        for text in
            ["#!/bin/sh\necho\n", "#cloud-config\n", "#cloud-config\npackages: [nginx]\n", "#cloud-config\r\na: 1\r\n"]
        {
            assert!(valid(text).is_ok(), "{text}");
        }
        for text in [
            "",
            "packages: [nginx]",
            "#cloud-configs\n",
            "#cloud-config\n- a\n",
            "#cloud-config\na: [\n",
            " #!/bin/sh\n",
        ] {
            assert!(valid(text).is_err(), "{text}");
        }
    }
}
