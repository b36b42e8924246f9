//! Which harm is done, when, and how it is undone.
