//! `dialogue`: questions, answers by those who have read them, and readers who look at both.
//!
//! A dialogue is two lists, `n/question` and `n/answer`. One client asks once; some of those who have read the question answer; everybody reads both,
//! the answer first. A database may do such a read in two steps: an answer that was there before the question was looked for must have its
//! question, whatever happened in between, and since nobody asks twice nothing else that a reader sees depends on an answer. So no order of
//! writes is demanded that two reads one after the other could miss. like: "Mr. Poons and Mrs. Cake" (DDIA, chapter 5, "Consistent Prefix Reads").

use std::collections::BTreeSet;
use std::sync::Arc;

use gainsay_checker::{Action, Atom, Function, Kind, OpEvent, Reading, Step};
use rand::RngExt as _;
use rand_chacha::ChaCha8Rng;
use smallvec::smallvec;

use crate::generator::{Context, Draft, Generator, Next};
use crate::window::{UniqueValues, Window};
use crate::workload::{ORDER_AND_SESSIONS, Params, Workload};

/// How many dialogues are going on at once.
const ACTIVE: u64 = 6;
/// One client in so many answers a question.
const ANSWERS: u64 = 3;

/// The table's line.
pub const WORKLOAD: Workload = Workload {
    name: "dialogue",
    about: "questions, answers by clients who have read them, reads of both",
    exercises: ORDER_AND_SESSIONS,
    ops_per_key: 10,
    refuses: |can| if can.lists { None } else { Some("it has no lists") },
    user: |_| None,
    build: |params| Box::new(Dialogue::new(params)),
};

struct Dialogue {
    values: UniqueValues,
    window: Window,
    client: u64,
    clients: u64,
    several: bool,
    /// Without reads of several keys: the dialogue whose answers were read last, and whose question is read next.
    then: Option<u64>,
    done: u64,
    /// The next dialogue that this client begins.
    own: u64,
    /// Dialogues whose question was read and waits for this client's answer.
    heard: BTreeSet<u64>,
    /// Active dialogues that this client has answered.
    answered: BTreeSet<u64>,
}

impl Dialogue {
    fn new(params: &Params) -> Self {
        Dialogue {
            values: UniqueValues::of(params.client, params.clients),
            window: Window { active: ACTIVE, ops_per_key: params.ops_per_key },
            client: params.client as u64,
            clients: params.clients.max(1) as u64,
            several: params.can.atomic_reads,
            then: None,
            done: 0,
            own: params.client as u64,
            heard: BTreeSet::new(),
            answered: BTreeSet::new(),
        }
    }
}

fn key(dialogue: u64, part: &str) -> Atom {
    Atom::Text(Arc::from(format!("{dialogue}/{part}")))
}

fn append(dialogue: u64, part: &str, value: Atom) -> Draft {
    let step = Step { key: key(dialogue, part), action: Action::Append(value) };
    Draft { function: Function::Append, steps: smallvec![step] }
}

impl Generator for Dialogue {
    fn next(&mut self, context: &Context, rng: &mut ChaCha8Rng) -> Next {
        let base = self.window.base(self.done, context.clients);
        let dialogue = self.window.draw(self.done, context.clients, rng) as u64;
        let roll = rng.random_range(0..100);
        self.done += 1;
        self.answered = self.answered.split_off(&base);
        // A client that was stalled begins no dialogue that the others have left.
        while self.own < base {
            self.own += context.clients.max(1) as u64;
        }
        if let Some(dialogue) = self.then.take() {
            let question = Step { key: key(dialogue, "question"), action: Action::Read(None) };
            return Next::Op(Draft { function: Function::Read, steps: smallvec![question] });
        }
        if self.own < base + ACTIVE {
            let begun = self.own;
            self.own += context.clients.max(1) as u64;
            return Next::Op(append(begun, "question", self.values.draw()));
        }
        if let Some(heard) = self.heard.pop_first() {
            self.answered.insert(heard);
            return Next::Op(append(heard, "answer", self.values.draw()));
        }
        let read = |part: &str| Step { key: key(dialogue, part), action: Action::Read(None) };
        Next::Op(match roll {
            0..40 => Draft { function: Function::Read, steps: smallvec![read("question")] },
            _ if !self.several => {
                self.then = Some(dialogue);
                Draft { function: Function::Read, steps: smallvec![read("answer")] }
            }
            _ => Draft { function: Function::Txn, steps: smallvec![read("answer"), read("question")] },
        })
    }

    fn observe(&mut self, _: &Context, completion: &OpEvent) {
        if completion.kind != Kind::Ok {
            return;
        }
        for step in &completion.steps {
            let (Atom::Text(key), Action::Read(Some(Reading::Many(seen)))) = (&step.key, &step.action) else {
                continue;
            };
            let number = key.strip_suffix("/question").and_then(|number| number.parse::<u64>().ok());
            let Some(dialogue) = number else { continue };
            // Nobody answers himself: what a session wrote comes before what it writes later anyway.
            let asked = dialogue % self.clients == self.client;
            let mine = (dialogue + self.client).is_multiple_of(ANSWERS) && !asked && !self.answered.contains(&dialogue);
            if mine && !seen.is_empty() {
                self.heard.insert(dialogue);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::workload::Capabilities;
    use gainsay_checker::Process;
    use rand::SeedableRng as _;

    const EVERYTHING: Capabilities =
        Capabilities { cas: true, lists: true, sets: true, deletes: true, atomic_reads: true };

    #[test]
    fn only_who_has_read_a_question_answers_it_and_only_once() {
        let params = Params { client: 0, clients: 4, can: EVERYTHING, ops_per_key: 10 };
        let mut client = Dialogue::new(&params);
        let mut rng = ChaCha8Rng::seed_from_u64(1);
        let context = Context { now: std::time::Duration::ZERO, client: 0, clients: 4 };
        let (mut read, mut answered) = (BTreeSet::new(), Vec::new());
        for index in 0..2_000 {
            let Next::Op(mut draft) = client.next(&context, &mut rng) else { panic!("it always has something to do") };
            for step in &mut draft.steps {
                let Atom::Text(key) = &step.key else { panic!("{step}") };
                match &mut step.action {
                    Action::Read(seen) if key.ends_with("/question") => {
                        *seen = Some(Reading::Many([Atom::Int(1)].into_iter().collect()));
                        read.insert(key.replace("question", "answer"));
                    }
                    Action::Append(_) if key.ends_with("/answer") => {
                        assert!(read.contains(&**key), "{key} before its question");
                        answered.push(key.to_string());
                    }
                    _ => {}
                }
            }
            let completion = OpEvent {
                index,
                time: index,
                intended: None,
                kind: Kind::Ok,
                process: Process(0),
                function: draft.function,
                steps: draft.steps,
                session: None,
                user: None,
                node: None,
                version: None,
                error: None,
                last: false,
            };
            client.observe(&context, &completion);
        }
        let distinct: BTreeSet<&String> = answered.iter().collect();
        assert_eq!(distinct.len(), answered.len(), "nobody answers twice");
        assert!(answered.len() > 100, "{}", answered.len());
    }
}
