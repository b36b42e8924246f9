//! End to end: that the whole tells the truth.
