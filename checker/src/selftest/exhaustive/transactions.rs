//! Every small history of transactions.

use super::structures::{Choices, Content, Placed};
use crate::history::Outcome;
use crate::txn::Shape;
use crate::txn::brute::sketch::{Move, Sketched};

/// Keys at most, values of each at most.
const MOST: u32 = 2;

/// Steps of one transaction at most.
const STEPS: u32 = 2;

/// Keys, and the values of each, that have appeared so far: they are numbered in that order. No value is written twice.
#[derive(Default)]
pub struct Names {
    keys: u32,
    values: [u32; MOST as usize],
    written: [[bool; MOST as usize]; MOST as usize],
}

const OUTCOMES: [Outcome; 3] = [Outcome::Ok, Outcome::Info, Outcome::Fail];

/// What a step may read, besides a single value.
const READS: [&[u32]; 5] = [&[], &[1], &[2], &[1, 2], &[2, 1]];

/// The next transaction, of at most `left` steps. Where the outcome is not ok nothing that was read counts: it only writes.
pub fn content(shape: Shape, choices: &mut Choices, left: u32, names: &mut Names) -> Option<Content> {
    let outcome = choices.choose(OUTCOMES.len() as u32);
    let steps = 1 + choices.choose(left.min(STEPS));
    let mut code = vec![outcome];
    for _ in 0..steps {
        let key = choices.choose((names.keys + 1).min(MOST));
        names.keys = names.keys.max(key + 1);
        code.push(key);
        if outcome != 0 || choices.choose(2) == 1 {
            let value = 1 + choices.choose(MOST);
            let written = &mut names.written[key as usize][value as usize - 1];
            if *written {
                return None;
            }
            *written = true;
            names.appears(key, value)?;
            code.push(READS.len() as u32 + value);
        } else {
            let read = choices.choose(if shape == Shape::Lists { READS.len() as u32 } else { 1 + MOST });
            READS[read as usize].iter().try_for_each(|&value| names.appears(key, value))?;
            code.push(read);
        }
    }
    Some(Content { code, completes: OUTCOMES[outcome as usize] != Outcome::Info, weight: steps })
}

impl Names {
    fn appears(&mut self, key: u32, value: u32) -> Option<()> {
        let known = &mut self.values[key as usize];
        let next = value <= *known + 1;
        *known = (*known).max(value);
        next.then_some(())
    }
}

/// Transactions with their places, as clients see them.
pub fn sketch(placed: &[Placed]) -> Vec<Sketched> {
    let one = |it: &Placed| {
        let step = |pair: &[u32]| match pair[1] as usize {
            read if read < READS.len() => Move::Read(pair[0], Some(READS[read].to_vec())),
            write => Move::Write(pair[0], (write - READS.len()) as u32),
        };
        let moves = it.content.code[1..].chunks(2).map(step).collect();
        let outcome = OUTCOMES[it.content.code[0] as usize];
        Sketched { process: it.process, start: it.start, end: it.end, outcome, moves }
    };
    placed.iter().map(one).collect()
}
