//! Whatever a peer or a client sends, a node goes on: requests and messages as they really are, with numbers, names and brackets changed by chance.

#[path = "any_input/entries.rs"]
mod entries;

use rand::{RngExt as _, SeedableRng as _};
use rand_chacha::ChaCha8Rng;
use refdb::mode::Input;

/// Replaces a number by an extreme one, or a stretch of the text by another, or drops a byte.
fn spoilt(rng: &mut ChaCha8Rng, text: &[u8]) -> Vec<u8> {
    let mut text = text.to_vec();
    for _ in 0..rng.random_range(1..=3) {
        if text.is_empty() {
            break;
        }
        let at = rng.random_range(0..text.len());
        let digit = (at..text.len()).find(|&at| text[at].is_ascii_digit());
        match (rng.random_range(0..10), digit) {
            (0..7, Some(from)) => {
                let to = (from..text.len()).find(|&at| !text[at].is_ascii_digit()).unwrap_or(text.len());
                let extremes: [&[u8]; 6] = [b"0", b"1", b"2", b"9", b"4294967295", b"9007199254740991"];
                text.splice(from..to, extremes[rng.random_range(0..extremes.len())].iter().copied());
            }
            (7, _) => drop(text.remove(at)),
            (8, _) => {
                let (from, to) = (at, (at + rng.random_range(1..12)).min(text.len()));
                let copy = text[from..to].to_vec();
                let into = rng.random_range(0..=text.len());
                text.splice(into..into, copy);
            }
            _ => text[at] = rng.random_range(32..127),
        }
    }
    text
}

#[test]
fn requests_of_any_bytes_are_read_or_refused() {
    let mut rng = ChaCha8Rng::seed_from_u64(1);
    let seeds: [&[u8]; 4] = [
        br#"{"ops":[{"op":"write","key":"k","value":1},{"op":"cas","key":"k","old":1,"value":"x"}],"leader":true,"token":[3,9],"wait_ms":20}"#,
        br#"{"ops":[{"op":"append","key":"k","value":-4}],"context":{"k":{"n1":3}}}"#,
        br#"{"put":"k","row":{"lww":{"timestamp":5,"writer":"n1"}},"home":"n2"}"#,
        br#"{"get":"k"}"#,
    ];
    for round in 0..20_000 {
        let bytes = spoilt(&mut rng, seeds[round % seeds.len()]);
        entries::run("request", &bytes);
        entries::run("replica", &bytes);
    }
}

#[test]
fn messages_of_any_content_end_no_node() {
    let mut rng = ChaCha8Rng::seed_from_u64(2);
    for flags in entries::MODES {
        let (sent, mut machine) = entries::conversation(flags);
        assert!(sent.len() > 50, "{flags}: {} messages", sent.len());
        let texts: Vec<(String, Vec<u8>)> =
            sent.into_iter().map(|(from, message)| (from, serde_json::to_vec(&message).expect("JSON"))).collect();
        let mut heard = 0;
        for _ in 0..4_000 {
            let (from, text) = &texts[rng.random_range(0..texts.len())];
            let Ok(message) = serde_json::from_slice(&spoilt(&mut rng, text)) else { continue };
            heard += 1;
            machine.step(vec![Input::Peer { from: from.clone(), message }, Input::Tick]);
        }
        assert!(heard > 500, "{flags}: only {heard} were messages");
    }
}
