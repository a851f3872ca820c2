//! The words that several resources have in common.

use crate::value_type::Word;

/// The name of a network interface, as the Linux kernel allows it: at most 15 characters.
pub static INTERFACE_NAME: Word = Word { punctuation: "_.-", capitals: true, max: 15, prefix: "" };

/// A label such as the short name of a host.
pub static HOST_LABEL: Word = Word { punctuation: "_.-", capitals: true, max: 63, prefix: "" };
