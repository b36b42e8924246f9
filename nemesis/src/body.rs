//! The hosts of a run as the bodies that faults harm.

use std::time::Duration;

use crate::Error;
use crate::disk::Lost;
use crate::hosts::{Endpoint, Hosts, LinkProbe, LinkRule, NodeState};
use crate::target::Body;
use crate::vdso;

impl Body for Hosts {
    fn kill(&self, node: &str) -> Result<(), Error> {
        Hosts::kill(self, node)
    }

    fn restart(&self, node: &str) -> Result<(), Error> {
        Hosts::restart(self, node)
    }

    fn pause(&self, node: &str) -> Result<(), Error> {
        Hosts::pause(self, node)
    }

    fn resume(&self, node: &str) -> Result<(), Error> {
        Hosts::resume(self, node)
    }

    fn state(&self, node: &str) -> NodeState {
        Hosts::state(self, node)
    }

    fn set_link(&self, from: &Endpoint, to: &Endpoint, rule: LinkRule) -> Result<(), Error> {
        Hosts::set_link(self, from, to, rule)
    }

    fn clear_links(&self) {
        Hosts::clear_links(self);
    }

    fn link_unsupported(&self, rule: &LinkRule) -> Option<String> {
        Hosts::link_unsupported(self, rule)
    }

    fn probe_link(&self, from: &Endpoint, to: &str, port: u16, timeout: Duration) -> LinkProbe {
        Hosts::probe_link(self, from, to, port, timeout)
    }

    fn clock_unsupported(&self) -> Option<String> {
        let any = self.names().next()?;
        self.clock_page(any)
            .is_none()
            .then(|| "clocks can't be set: --clock none, or ptrace is refused here".to_string())
    }

    fn set_clock_offset(&self, node: &str, offset_ns: i64) -> Result<(), Error> {
        let page = self
            .clock_page(node)
            .ok_or_else(|| Error::new(format!("setting the clock of {node}"), "its clock is not redirected"))?;
        page.set(offset_ns);
        Ok(())
    }

    fn clock_offset(&self, node: &str) -> i64 {
        self.clock_page(node).map_or(0, vdso::ClockPage::get)
    }

    fn probe_clock(&self, node: &str) -> Result<i64, Error> {
        let page = self
            .clock_page(node)
            .ok_or_else(|| Error::new(format!("reading the clock of {node}"), "its clock is not redirected"))?;
        vdso::probe(page)
    }

    fn disk_unsupported(&self) -> Option<String> {
        Hosts::disk_unsupported(self)
    }

    fn lose_power(&self, node: &str, seed: u64) -> Result<Lost, Error> {
        Hosts::lose_power(self, node, seed)
    }

    fn lost(&self, node: &str) -> Option<Lost> {
        Hosts::lost(self, node)
    }

    fn delay_fsync(&self, node: &str, delay: Duration) -> Result<(), Error> {
        self.disk(node).map(|disk| disk.delay_fsync(delay))
    }

    fn fail_fsync(&self, node: &str, fails: bool) -> Result<(), Error> {
        self.disk(node).map(|disk| disk.fail_fsync(fails))
    }

    fn troubled_fsyncs(&self, node: &str) -> u64 {
        self.disk(node).map_or(0, |disk| disk.troubled_fsyncs())
    }

    fn copy_data(&self, node: &str) -> Result<u64, Error> {
        Hosts::copy_data(self, node)
    }

    fn end(&self, node: &str) -> Result<(), Error> {
        Hosts::end(self, node)
    }

    fn wipe_data(&self, node: &str) -> Result<u64, Error> {
        Hosts::wipe_data(self, node)
    }

    fn wiped(&self, node: &str) -> Option<u64> {
        Hosts::wiped(self, node)
    }

    fn restored(&self, node: &str) -> Option<u64> {
        Hosts::restored(self, node)
    }

    fn restore_data(&self, node: &str) -> Result<u64, Error> {
        Hosts::restore_data(self, node)
    }
}
