//! The columns of what agents make true: what they have in common.

use crate::column::Column;
use crate::reports::STATUSES;
use crate::value_type::Type;

/// Where it is between what it shall be and what it is.
pub const STATUS: Column = Column::derived("status", Type::Choice(&STATUSES)).required().about(
    "`in_sync`: as it shall be; `pending`: the agent has not applied the last change; `failed`: its last run failed, or \
     what should run does not; `stale`: it has not reported for too long; `unmanaged`: it never has.",
);

/// What the agent has applied.
pub const APPLIED_GENERATION: Column =
    Column::derived("applied_generation", Type::Int).about("The generation of the document that was applied last.");

/// When the agent was last heard of.
pub const LAST_REPORT: Column = Column::derived("last_report", Type::Time).about("When the agent last reported.");
