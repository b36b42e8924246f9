//! Who did what before whom, up to symmetry: every shape of a small history, with contents that the caller chooses.
//!
//! A walk over sequences of choices, like an odometer, so that there is one description of what a history is and no recursion. Two
//! kinds of shapes cover all that a question can ask about. In *time*, a history is an alternation of blocks of starts and blocks of
//! ends: that is one form for each order "over before it began" (Fishburn: what intervals can be). By *processes* it is a few sequences.
//!
//! Contents carry codes. What is interchangeable (starts of a block, processes) stands in the order of its codes, and names are
//! numbered by their first appearance: the smallest writing of a history has both, so nothing is left out, and little shows up twice.

use std::ops::Range;

/// What is chosen, choice after choice.
#[derive(Default)]
pub struct Choices {
    wheels: Vec<(u32, u32)>,
    at: usize,
}

impl Choices {
    /// A number below `of`, which is at least 1.
    pub fn choose(&mut self, of: u32) -> u32 {
        if self.at == self.wheels.len() {
            self.wheels.push((0, of));
        }
        self.at += 1;
        self.wheels[self.at - 1].0
    }

    fn advance(&mut self) -> bool {
        self.wheels.truncate(self.at);
        self.at = 0;
        while let Some((value, of)) = self.wheels.last_mut() {
            *value += 1;
            if *value < *of {
                return true;
            }
            self.wheels.pop();
        }
        false
    }
}

/// Makes something of every sequence of choices, and shows what it is. Nothing is made of choices that make no sense or repeat others.
pub fn each<T>(mut make: impl FnMut(&mut Choices) -> Option<T>, mut visit: impl FnMut(T)) {
    let mut choices = Choices::default();
    loop {
        if let Some(made) = make(&mut choices) {
            visit(made);
        }
        if !choices.advance() {
            return;
        }
    }
}

/// The content of one operation: a call, or a transaction.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Content {
    /// What tells it from others.
    pub code: Vec<u32>,
    /// Whether it completes; else its outcome is unknown.
    pub completes: bool,
    /// How much of the size it uses up.
    pub weight: u32,
}

/// An operation with its place.
#[derive(Clone, Debug)]
pub struct Placed {
    /// What it does.
    pub content: Content,
    /// Who.
    pub process: u32,
    /// Rank of its start.
    pub start: u32,
    /// Rank of its end; `u32::MAX` where its outcome is unknown.
    pub end: u32,
}

/// How large.
#[derive(Clone, Copy, Debug)]
pub struct Size {
    /// The weight of all operations together.
    pub total: u32,
    /// How many are open at once, or how many processes there are.
    pub processes: u32,
}

/// Operations in time. An operation whose outcome is unknown holds no process back.
pub fn timed(
    choices: &mut Choices,
    size: Size,
    mut content: impl FnMut(&mut Choices, u32) -> Option<Content>,
) -> Option<Vec<Placed>> {
    let mut all: Vec<Placed> = Vec::new();
    let mut open: Vec<usize> = Vec::new();
    let (mut left, mut rank) = (size.total, 0);
    loop {
        let block = starts(choices, size, &mut left, &mut all, &mut open, &mut rank, &mut content)?;
        let ends = if left == 0 { (1 << open.len()) - 1 } else { some_of(choices, &all, &open, &block)? };
        for (at, &of) in open.iter().enumerate().filter(|(at, _)| ends >> at & 1 == 1) {
            all[of].end = rank + at as u32;
        }
        rank += open.len() as u32;
        open = open.iter().enumerate().filter(|(at, _)| ends >> at & 1 == 0).map(|(_, &of)| of).collect();
        if left == 0 {
            return Some(all);
        }
    }
}

#[allow(clippy::too_many_arguments)] // One block is nothing without all that came before it.
fn starts(
    choices: &mut Choices,
    size: Size,
    left: &mut u32,
    all: &mut Vec<Placed>,
    open: &mut Vec<usize>,
    rank: &mut u32,
    content: &mut impl FnMut(&mut Choices, u32) -> Option<Content>,
) -> Option<Range<usize>> {
    let first = all.len();
    loop {
        let content = content(choices, *left)?;
        if all.len() > first && all.last().is_some_and(|last| last.content > content) {
            return None;
        }
        *left -= content.weight;
        let free = (0..).find(|process| open.iter().all(|&of| all[of].process != *process)).unwrap_or(0);
        // After an unknown outcome a client goes on as another process.
        let process = if content.completes { free } else { size.processes + all.len() as u32 };
        if content.completes {
            open.push(all.len());
        }
        all.push(Placed { content, process, start: *rank, end: u32::MAX });
        *rank += 1;
        let may_go_on = *left > 0 && open.len() < size.processes as usize;
        if !may_go_on || choices.choose(2) == 1 {
            return Some(first..all.len());
        }
    }
}

/// Those of the open ones that end before the next starts: at least one. Twins of the last block end in their order.
fn some_of(choices: &mut Choices, all: &[Placed], open: &[usize], block: &Range<usize>) -> Option<u32> {
    if open.is_empty() {
        return None;
    }
    let ends = 1 + choices.choose((1 << open.len()) - 1);
    let swapped = open.windows(2).enumerate().any(|(at, pair)| {
        block.contains(&pair[0]) && all[pair[0]].content == all[pair[1]].content && ends >> at & 3 == 2
    });
    (!swapped).then_some(ends)
}

/// Operations of processes, each in its order. In time, one process runs after the other.
pub fn by_process(
    choices: &mut Choices,
    size: Size,
    mut content: impl FnMut(&mut Choices, u32) -> Option<Content>,
) -> Option<Vec<Placed>> {
    let mut all: Vec<Placed> = Vec::new();
    let mut left = size.total;
    let (mut last, mut first) = (0..0, 0);
    for process in 0..size.processes {
        loop {
            let content = content(choices, left)?;
            left -= content.weight;
            let start = 2 * all.len() as u32;
            let end = if content.completes { start + 1 } else { u32::MAX };
            all.push(Placed { content, process, start, end });
            if left == 0 || process + 1 < size.processes && choices.choose(2) == 1 {
                break;
            }
        }
        let now = first..all.len();
        let contents = |range: &Range<usize>| all[range.clone()].iter().map(|placed| &placed.content);
        let longer = now.len() > last.len();
        if process > 0 && (longer || now.len() == last.len() && contents(&last).gt(contents(&now))) {
            return None;
        }
        if left == 0 {
            return Some(all);
        }
        (last, first) = (now.clone(), all.len());
    }
    None
}
