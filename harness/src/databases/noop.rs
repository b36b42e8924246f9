//! A database that answers at once and stores nothing, to measure the harness itself.
//!
//! It has no processes, promises nothing and is never judged: a history of it says how fast the harness can generate, pace and
//! record.

use std::net::IpAddr;

use gainsay_checker::{Action, Atom, Kind, Reading};
use gainsay_workloads::{Capabilities, Draft};

use crate::database::{Answer, Client, Completion, Database, Held, NodePlace, NodeStatus, Program};

/// The database.
pub struct Noop;

struct NoopClient;

impl Client for NoopClient {
    fn call<'a>(&'a mut self, draft: &'a Draft) -> Answer<'a, Completion> {
        let mut steps = draft.steps.clone();
        for step in &mut steps {
            if let Action::Read(seen) = &mut step.action {
                *seen = Some(Reading::Nil);
            }
        }
        let completion =
            Completion { kind: Kind::Ok, steps, node: None, version: None, error: None, session_over: false };
        Box::pin(std::future::ready(completion))
    }

    fn renew(&mut self, _: u64) {}
}

impl Database for Noop {
    fn capabilities(&self) -> Capabilities {
        Capabilities { cas: true, lists: true, sets: true, deletes: true, atomic_reads: true }
    }

    fn label(&self) -> String {
        "noop".to_string()
    }

    fn promises(&self) -> Vec<String> {
        Vec::new()
    }

    fn stores(&self) -> bool {
        false
    }

    fn has_leader(&self) -> bool {
        false
    }

    fn ports(&self) -> Vec<u16> {
        Vec::new()
    }

    fn program(&self, _: &NodePlace) -> Option<Program> {
        None
    }

    fn connect(&self, _: &[(String, IpAddr)]) -> anyhow::Result<()> {
        Ok(())
    }

    fn healthy<'a>(&'a self, _: &'a str) -> Answer<'a, Result<(), String>> {
        Box::pin(std::future::ready(Ok(())))
    }

    fn client(&self, _: usize, _: u64, _: u64) -> anyhow::Result<Box<dyn Client>> {
        Ok(Box::new(NoopClient))
    }

    fn status<'a>(&'a self, _: &'a str) -> Answer<'a, Option<NodeStatus>> {
        Box::pin(std::future::ready(None))
    }

    fn final_reads<'a>(&'a self, _: &'a str, _: &'a [Atom]) -> Answer<'a, Result<Vec<Held>, String>> {
        Box::pin(std::future::ready(Ok(Vec::new())))
    }

    fn settled<'a>(&'a self, _: &'a [String]) -> Answer<'a, Result<(), String>> {
        Box::pin(std::future::ready(Ok(())))
    }

    fn curl(&self, _: &str) -> Option<String> {
        None
    }
}
