//! The gallery shows what it says, tells it, and leaves nothing.

use super::scene;

/// The scenarios of `docs/GALLERY.md`, in its order.
fn documented() -> Vec<String> {
    let text =
        std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/GALLERY.md")).expect("the gallery");
    let rows = text.lines().filter_map(|line| line.strip_prefix("| `"));
    rows.filter_map(|row| row.split('`').next()).map(str::to_string).collect()
}

#[test]
fn the_list_and_the_document_have_the_same_scenarios() {
    let ended = scene().run("gallery --color never");
    assert_eq!(ended.code, Some(0), "{}", ended.stderr);
    let documented = documented();
    assert!(documented.len() >= 15, "{documented:?}");
    let listed: Vec<&str> = ended
        .stdout
        .lines()
        .filter(|line| line.starts_with(|first: char| first.is_ascii_lowercase()))
        .filter_map(|line| line.split_whitespace().next())
        .collect();
    assert_eq!(listed, documented);
}

#[test]
fn an_unknown_scenario_is_answered_with_the_nearest() {
    let ended = scene().run("gallery lost-tial");
    assert_eq!(ended.code, Some(254));
    assert!(ended.stderr.contains("lost-tail"), "{}", ended.stderr);
}

#[test]
fn a_scenario_shows_both_sides_and_proves_what_broke() {
    let scene = scene();
    let ended = scene.run("gallery lost-tail --time-limit 7s --seed 3 --color never");
    assert_eq!(ended.code, Some(0), "{ended:?}");
    for part in
        ["broke, as expected lost-writes", "held lost-writes", "served by n", "position", "meanwhile", "prevented by: "]
    {
        assert!(ended.stdout.contains(part), "{part}: {}", ended.stdout);
    }
    let page = ended.stdout.lines().last().expect("the page's path").to_string();
    let html = std::fs::read_to_string(&page).expect("the page");
    assert!(html.contains("ack=async") && html.contains("ack=semi-sync"));
    assert_eq!(scene.run_dirs().len(), 2);
    scene.nothing_left();
}

#[test]
fn both_sides_meet_the_same_faults() {
    let scene = scene();
    let ended = scene.run("gallery priority --time-limit 6s --seed 2");
    assert!(matches!(ended.code, Some(0 | 2)), "{ended:?}");
    let schedules: Vec<String> = scene
        .run_dirs()
        .iter()
        .map(|dir| std::fs::read_to_string(dir.join("schedule.json")).expect("the schedule"))
        .collect();
    assert!(schedules.len() == 2 && schedules[0] == schedules[1], "{schedules:?}");
}

#[test]
fn an_interrupt_ends_the_gallery_and_leaves_nothing() {
    let scene = scene();
    let gallery = scene.program("gallery --all --time-limit 10s".split_whitespace()).start();
    gallery.says("load and faults");
    gallery.signal(libc::SIGINT);
    let ended = gallery.wait();
    assert_eq!(ended.code, Some(2), "{ended:?}");
    assert!(ended.stdout.contains("interrupted"), "{}", ended.stdout);
    assert_eq!(scene.run_dirs().len(), 1, "no further side was begun");
    scene.nothing_left();
}
