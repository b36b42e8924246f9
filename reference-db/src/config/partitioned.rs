//! The partitioned mode's flags.
