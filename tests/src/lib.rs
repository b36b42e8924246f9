//! End to end: that the whole tells the truth.
//!
//! The program runs as a user would run it: started with arguments in a store of its own, watched from outside, judged by what it
//! leaves. Every wait has a limit, and nothing outlives a test: dropping a scene ends every process of its runs.

pub mod leftovers;
pub mod program;
pub mod scene;
