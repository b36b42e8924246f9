//! The ledger against a model that keeps every file twice, as it is and as it was synced: random operations and crashes, the same seed the same
//! run. Then the whole disk, mounted, against the same model.
