//! Every scene of `examples/scenario` in a process of its own, by each backend that this machine has.

use std::path::PathBuf;
use std::process::Command;

fn example(name: &str) -> PathBuf {
    let test = std::env::current_exe().expect("this program");
    let profile = test.parent().and_then(|deps| deps.parent()).expect("a target directory");
    profile.join("examples").join(name)
}

/// Plays a scene; a machine that refuses the backend is said so, loudly.
fn play(network: &str, processes: &str, scene: &str) {
    let output =
        Command::new(example("scenario")).args([network, processes, scene]).output().expect("the example is built");
    let said = String::from_utf8_lossy(&output.stderr);
    if output.status.code() == Some(99) {
        eprintln!("SKIPPED {scene} by {network} in {processes}: {said}");
        return;
    }
    assert!(output.status.success(), "{scene} by {network} in {processes}: {said}");
}

macro_rules! scenes {
    ($($fact:ident: $scene:literal by $($network:literal in $processes:literal),+;)+) => {
        $(#[test]
        fn $fact() {
            $(play($network, $processes, $scene);)+
        })+
    };
}

scenes! {
    a_cut_link_holds_and_hangs_and_heals: "cut" by "switch" in "pidns", "proxy" in "shepherd";
    a_link_is_cut_in_one_direction_alone: "oneway" by "switch" in "pidns";
    a_delay_is_seen_by_probe_and_program: "delay" by "switch" in "pidns", "proxy" in "shepherd";
    loss_duplication_and_corruption_come_out_as_asked: "loss" by "switch" in "shepherd";
    a_slow_link_is_as_slow_as_asked: "rate" by "switch" in "pidns", "proxy" in "pidns";
    a_node_that_is_down_refuses: "down" by "switch" in "pidns", "proxy" in "shepherd";
    a_paused_node_is_seen_to_stand: "pause" by "switch" in "pidns", "proxy" in "shepherd";
    a_killed_node_leaves_no_process: "kill" by "switch" in "pidns", "switch" in "shepherd", "proxy" in "shepherd";
    a_node_starts_clean_and_ends_with_its_own_status: "exit" by "switch" in "pidns", "proxy" in "shepherd";
    a_hook_sees_the_program_at_its_exec: "hook" by "switch" in "pidns";
    a_proxy_refuses_what_takes_packets: "unsupported" by "proxy" in "auto";
    a_network_without_traffic_costs_nothing: "idle" by "switch" in "pidns", "proxy" in "pidns";
}
