//! A replicated key-value database with every mode of replication.
