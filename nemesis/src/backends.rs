//! Which of the ways to do harm this machine allows, and which one a run takes.
//!
//! A uid or a kernel version says little: containers mask `/proc`, distributions hand out user namespaces without
//! capabilities, administrators set limits of zero. So every ability is found by *doing* it in a forked child
//! ([`probe()`]), and the choice ([`choose`]) names each thing that was refused together with what to change. What
//! was demanded by name and does not work is an error, never a silent fall-back: the backends differ in what they
//! can prove.

mod probe;

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

pub use crate::container::enter;
pub use probe::{Ability, Probe, probe};

use crate::Error;

/// An enum of lower-case words: one spelling for the command line, the record and the reader.
macro_rules! words {
    ($(#[$meta:meta])* $name:ident, $what:literal, { $($(#[$doc:meta])* $variant:ident = $word:literal),+ $(,)? }) => {
        $(#[$meta])*
        #[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
        #[serde(rename_all = "lowercase")]
        pub enum $name {
            $($(#[$doc])* $variant),+
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.pad(match self { $($name::$variant => $word),+ })
            }
        }

        impl FromStr for $name {
            type Err = Error;

            fn from_str(word: &str) -> Result<$name, Error> {
                match word {
                    $($word => Ok($name::$variant),)+
                    other => Err(Error(format!(
                        concat!("{:?} is no ", $what, ": it is one of {}"),
                        other,
                        [$($word),+].join(", "),
                    ))),
                }
            }
        }
    };
}

words!(
    /// What the user asks of the network.
    NetworkChoice, "choice of network", {
    /// The most faithful one that works.
    Auto = "auto",
    /// A namespace per node and a packet switch in user space.
    Switch = "switch",
    /// A TCP proxy per directed link.
    Proxy = "proxy",
});

words!(
    /// What the user asks of the container of processes.
    ProcessChoice, "choice of processes", {
    /// The strongest one that works.
    Auto = "auto",
    /// A PID namespace: the kernel leaves nothing behind.
    Pidns = "pidns",
    /// Two subreapers that kill the whole tree.
    Shepherd = "shepherd",
});

words!(
    /// What the user asks of the clocks.
    ClockChoice, "choice of clock", {
    /// The vDSO if it can be redirected.
    Auto = "auto",
    /// Redirect each node's vDSO.
    Vdso = "vdso",
    /// Clock faults are refused.
    None = "none",
});

words!(
    /// What the user asks of the nodes' disks.
    DiskChoice, "choice of disk", {
    /// A FUSE mount if there can be one.
    Auto = "auto",
    /// A FUSE mount that keeps what the last fsync left.
    Fuse = "fuse",
    /// Faults of disks are refused.
    None = "none",
});

words!(
    /// The network a run has.
    Network, "network", {
    /// A namespace per node and a packet switch in user space.
    Switch = "switch",
    /// A TCP proxy per directed link.
    Proxy = "proxy",
});

words!(
    /// The container of processes a run has.
    Processes, "container of processes", {
    /// A PID namespace.
    Pidns = "pidns",
    /// Two subreapers.
    Shepherd = "shepherd",
});

words!(
    /// The clocks a run has.
    Clock, "clock", {
    /// Each node's vDSO is redirected.
    Vdso = "vdso",
    /// Nodes see the true time.
    None = "none",
});

words!(
    /// The disks a run can give its nodes.
    Disks, "disk", {
    /// A FUSE mount, for runs whose faults need one.
    Fuse = "fuse",
    /// The directory as it is.
    None = "none",
});

/// What the user asked for, dimension by dimension.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Wanted {
    /// The network.
    pub network: NetworkChoice,
    /// The container of processes.
    pub processes: ProcessChoice,
    /// The clocks.
    pub clock: ClockChoice,
    /// The disks.
    pub disk: DiskChoice,
}

impl Default for Wanted {
    fn default() -> Wanted {
        Wanted {
            network: NetworkChoice::Auto,
            processes: ProcessChoice::Auto,
            clock: ClockChoice::Auto,
            disk: DiskChoice::Auto,
        }
    }
}

/// Whether namespaces are made directly or within a user namespace of one's own.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Privilege {
    /// This process may make namespaces as it is.
    Own,
    /// A user namespace must be made first.
    UserNamespace,
}

/// The backends of a run: printed, recorded, and the same from its first node to its last.
#[derive(Clone, Debug, Serialize)]
pub struct Chosen {
    /// The network.
    pub network: Network,
    /// The container of processes.
    pub processes: Processes,
    /// The clocks.
    pub clock: Clock,
    /// The disks.
    pub disk: Disks,
    /// A line for every fall-back: what was refused, and what to change.
    pub notes: Vec<String>,
    /// How namespaces are made, if any are.
    pub(crate) privilege: Privilege,
    /// Whether proxies redirect the nodes' own connects, so that addresses which nodes tell each other lead through them too.
    pub(crate) redirect: bool,
}

/// Picks a backend per dimension.
///
/// # Errors
///
/// Something was demanded by name and does not work here; the sentence says why and what to do.
pub fn choose(wanted: Wanted, probe: &Probe) -> Result<Chosen, Error> {
    let mut notes = Vec::new();
    let processes = choose_processes(wanted.processes, probe, &mut notes)?;
    let network = choose_network(wanted.network, probe, &mut notes)?;
    let clock = choose_clock(wanted.clock, probe, &mut notes)?;
    let disk = choose_disk(wanted.disk, probe, &mut notes)?;
    let redirect = network == Network::Proxy && probe.seccomp_listener.is_ok();
    if network == Network::Proxy
        && let Err(why) = &probe.seccomp_listener
    {
        notes.push(format!("network: nodes that tell each other their addresses may bypass the proxies: {why}"));
    }
    Ok(Chosen { network, processes, clock, disk, notes, privilege: probe.privilege, redirect })
}

fn choose_processes(wanted: ProcessChoice, probe: &Probe, notes: &mut Vec<String>) -> Result<Processes, Error> {
    let works = probe.all([&probe.pid_namespace, &probe.fresh_proc]).map_err(|refusal| probe.advise(&refusal));
    match (wanted, works) {
        (ProcessChoice::Shepherd, _) => Ok(Processes::Shepherd),
        (_, Ok(())) => Ok(Processes::Pidns),
        (ProcessChoice::Pidns, Err(why)) => {
            Err(Error(format!("processes=pidns does not work here: {why}; or take processes=shepherd")))
        }
        (ProcessChoice::Auto, Err(why)) => {
            notes.push(format!("processes: shepherd instead of pidns: {why}"));
            Ok(Processes::Shepherd)
        }
    }
}

fn choose_network(wanted: NetworkChoice, probe: &Probe, notes: &mut Vec<String>) -> Result<Network, Error> {
    let works = probe.all([&probe.network_namespace, &probe.tun_device]).map_err(|refusal| probe.advise(&refusal));
    match (wanted, works) {
        (NetworkChoice::Proxy, _) => Ok(Network::Proxy),
        (_, Ok(())) => Ok(Network::Switch),
        (NetworkChoice::Switch, Err(why)) => Err(Error(format!(
            "network=switch does not work here: {why}; or take network=proxy, which can cut, delay and slow links only"
        ))),
        (NetworkChoice::Auto, Err(why)) => {
            notes.push(format!(
                "network: proxy instead of switch (no loss, reordering, duplication or corruption): {why}"
            ));
            Ok(Network::Proxy)
        }
    }
}

fn choose_clock(wanted: ClockChoice, probe: &Probe, notes: &mut Vec<String>) -> Result<Clock, Error> {
    let works = probe.all([&probe.ptrace]).map_err(|refusal| probe.advise(&refusal));
    match (wanted, works) {
        (ClockChoice::None, _) => Ok(Clock::None),
        (_, Ok(())) => Ok(Clock::Vdso),
        (ClockChoice::Vdso, Err(why)) => {
            Err(Error(format!("clock=vdso does not work here: {why}; or take clock=none")))
        }
        (ClockChoice::Auto, Err(why)) => {
            notes.push(format!("clock: none instead of vdso (no clock faults): {why}"));
            Ok(Clock::None)
        }
    }
}

fn choose_disk(wanted: DiskChoice, probe: &Probe, notes: &mut Vec<String>) -> Result<Disks, Error> {
    let works = probe.all([&probe.fuse_mount]).map_err(|refusal| probe.advise(&refusal));
    match (wanted, works) {
        (DiskChoice::None, _) => Ok(Disks::None),
        (_, Ok(())) => Ok(Disks::Fuse),
        (DiskChoice::Fuse, Err(why)) => Err(Error(format!("disk=fuse does not work here: {why}; or take disk=none"))),
        (DiskChoice::Auto, Err(why)) => {
            notes.push(format!("disk: none instead of fuse (no loss of power, no late or failing fsync): {why}"));
            Ok(Disks::None)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(why: &str) -> Ability {
        Err(why.to_owned())
    }

    fn all_works() -> Probe {
        Probe {
            privilege: Privilege::Own,
            user_namespace: Ok(()),
            network_namespace: Ok(()),
            tun_device: Ok(()),
            fresh_proc: Ok(()),
            pid_namespace: Ok(()),
            ptrace: Ok(()),
            seccomp_listener: Ok(()),
            fuse_mount: Ok(()),
        }
    }

    #[test]
    fn where_everything_works_the_most_faithful_is_taken_without_a_note() {
        let chosen = choose(Wanted::default(), &all_works()).expect("all works");
        assert_eq!(chosen.network, Network::Switch);
        assert_eq!(chosen.processes, Processes::Pidns);
        assert_eq!(chosen.clock, Clock::Vdso);
        assert!(chosen.notes.is_empty());
    }

    #[test]
    fn each_refusal_falls_back_with_a_note_of_its_own() {
        let probe = Probe {
            tun_device: refused("no /dev/net/tun"),
            fresh_proc: refused("masked"),
            ptrace: refused("forbidden"),
            fuse_mount: refused("no /dev/fuse"),
            ..all_works()
        };
        let chosen = choose(Wanted::default(), &probe).expect("falls back");
        assert_eq!(chosen.network, Network::Proxy);
        assert_eq!(chosen.processes, Processes::Shepherd);
        assert_eq!(chosen.clock, Clock::None);
        assert_eq!(chosen.disk, Disks::None);
        assert_eq!(chosen.notes.len(), 4);
        assert!(chosen.notes.iter().any(|note| note.contains("masked")));
    }

    #[test]
    fn what_is_demanded_by_name_and_refused_is_an_error() {
        let probe = Probe { network_namespace: refused("operation not permitted"), ..all_works() };
        let wanted = Wanted { network: NetworkChoice::Switch, ..Wanted::default() };
        let error = choose(wanted, &probe).expect_err("demanded").to_string();
        assert!(error.contains("network=switch") && error.contains("operation not permitted"));
    }

    #[test]
    fn words_read_back_and_an_unknown_one_names_the_allowed() {
        assert_eq!("proxy".parse::<NetworkChoice>().expect("a word"), NetworkChoice::Proxy);
        let error = "veth".parse::<NetworkChoice>().expect_err("no word");
        assert!(error.to_string().contains("auto, switch, proxy"));
        assert_eq!(serde_json::to_string(&Processes::Pidns).expect("json"), "\"pidns\"");
    }
}
