//! What a history is, which guarantees it satisfies, and the proof when it does not.
