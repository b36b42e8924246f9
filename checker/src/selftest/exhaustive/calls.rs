//! Every small history of calls on an object.

use super::structures::{Choices, Content, Placed};
use crate::objects::ModelName;
use crate::objects::calls::{Call, Calls, Function, NIL, Outcome, Step, pair};

/// What may be called, with every answer, but for times and keys.
pub struct Menu {
    items: Vec<Item>,
    steps: Vec<Step>,
    elements: Vec<u32>,
    keys: u32,
}

struct Item {
    f: Function,
    input: i64,
    output: i64,
    outcome: Outcome,
    /// The values in it, in the order in which one reads them.
    values: Vec<u32>,
}

/// Keys and values that have appeared so far: they are numbered in that order.
#[derive(Default)]
pub struct Names {
    keys: u32,
    values: u32,
}

impl Menu {
    /// Everything that can be done to such an object with so many keys and values (at most two), and that may have an unknown outcome.
    pub fn new(model: ModelName, keys: u32, values: u32) -> Menu {
        let mut menu = Menu { items: Vec::new(), steps: Vec::new(), elements: Vec::new(), keys };
        menu.fill(model, values.min(2));
        // Of an unknown outcome only the effect counts.
        let mut unknown: Vec<Item> = Vec::new();
        for item in &menu.items {
            let answerless = match item.f {
                Function::Contains => continue,
                Function::Txn => !menu.steps_of(item).iter().any(|step| !step.write && step.value != NIL as u32),
                _ => !unknown.iter().any(|known| known.f == item.f && known.input == item.input),
            };
            if answerless {
                let values = if item.input == NIL { Vec::new() } else { item.values.clone() };
                unknown.push(Item { f: item.f, input: item.input, output: NIL, outcome: Outcome::Info, values });
            }
        }
        menu.items.extend(unknown);
        menu
    }

    /// The next call. Keys and values are numbered as they appear.
    pub fn content(&self, choices: &mut Choices, names: &mut Names) -> Option<Content> {
        let key = choices.choose((names.keys + 1).min(self.keys));
        let at = choices.choose(self.items.len() as u32);
        let item = &self.items[at as usize];
        for &value in &item.values {
            if value > names.values + 1 {
                return None;
            }
            names.values = names.values.max(value);
        }
        names.keys = names.keys.max(key + 1);
        Some(Content { code: vec![key, at], completes: item.outcome == Outcome::Ok, weight: 1 })
    }

    /// Calls with their places.
    pub fn calls(&self, placed: &[Placed]) -> Calls {
        let call = |(source, it): (usize, &Placed)| {
            let Item { f, input, output, outcome, .. } = self.items[it.content.code[1] as usize];
            let (process, start, end, key) = (it.process, it.start, it.end, it.content.code[0]);
            Call { input, output, process, start, end, key, source: source as u32, f, outcome }
        };
        let all = placed.iter().enumerate().map(call).collect();
        Calls::new(all, self.steps.clone(), self.elements.clone()).expect("ranks rise and ranges are the menu's")
    }

    fn steps_of(&self, item: &Item) -> &[Step] {
        let (first, count) = crate::objects::calls::unpair(item.input);
        &self.steps[first as usize..(first + count) as usize]
    }

    fn item(&mut self, f: Function, input: i64, output: i64, values: &[u32]) {
        self.items.push(Item { f, input, output, outcome: Outcome::Ok, values: values.to_vec() });
    }

    /// With each value as input, and each of these outputs.
    fn each(&mut self, f: Function, of: u32, outputs: &[i64]) {
        for &output in outputs {
            (1..=of).for_each(|value| self.item(f, i64::from(value), output, &[value]));
        }
    }

    /// With nothing or a value as output.
    fn gives(&mut self, f: Function, of: u32) {
        self.item(f, NIL, NIL, &[]);
        (1..=of).for_each(|value| self.item(f, NIL, i64::from(value), &[value]));
    }

    fn lists(&mut self, of: u32, lists: &[&[u32]]) {
        for list in lists.iter().filter(|list| list.iter().all(|&value| value <= of)) {
            let first = self.elements.len() as u32;
            self.elements.extend_from_slice(list);
            self.item(Function::ReadAll, NIL, pair(first, list.len() as u32), list);
        }
    }

    fn fill(&mut self, model: ModelName, of: u32) {
        use Function as F;
        match model {
            ModelName::Register | ModelName::Map => {
                self.each(F::Write, of, &[NIL]);
                self.gives(F::Read, of);
            }
            ModelName::CasRegister => {
                self.each(F::Write, of, &[NIL]);
                self.gives(F::Read, of);
                for met in [0, 1] {
                    (1..=of).for_each(|to| self.item(F::Cas, pair(NIL as u32, to), met, &[to]));
                    for from in 1..=of {
                        (1..=of).for_each(|to| self.item(F::Cas, pair(from, to), met, &[from, to]));
                    }
                }
            }
            ModelName::MultiRegister => self.transactions(of),
            ModelName::Set => {
                self.each(F::Add, of, &[NIL, 0, 1]);
                self.each(F::Remove, of, &[NIL, 0, 1]);
                self.each(F::Contains, of, &[0, 1]);
                self.lists(of, &[&[], &[1], &[2], &[1, 2]]);
            }
            ModelName::Counter => {
                // Numbers are no names: 1 and 2 do not stand for each other.
                for number in 1..=i64::from(of) {
                    self.item(F::Add, number, NIL, &[]);
                }
                (0..=2 * i64::from(of)).for_each(|sum| self.item(F::Read, NIL, sum, &[]));
            }
            ModelName::Queue => {
                self.each(F::Enqueue, of, &[NIL]);
                self.gives(F::Dequeue, of);
            }
            ModelName::Stack => {
                self.each(F::Push, of, &[NIL]);
                self.gives(F::Pop, of);
            }
            ModelName::Mutex => {
                self.item(F::Acquire, NIL, NIL, &[]);
                self.item(F::Release, NIL, NIL, &[]);
            }
            ModelName::Ids => (1..=of).for_each(|id| self.item(F::Generate, NIL, i64::from(id), &[id])),
            ModelName::Log => {
                self.each(F::Append, of, &[NIL]);
                self.lists(of, &[&[], &[1], &[2], &[1, 1], &[1, 2], &[2, 1], &[2, 2]]);
            }
        }
    }

    /// One or two steps: on one register, or on both of two. What two steps on one register do together, the first or last does alone, or is
    /// a contradiction in itself.
    fn transactions(&mut self, of: u32) {
        let nothing = NIL as u32;
        let of_register = |register: u32| -> Vec<Step> {
            let read = [nothing].into_iter().chain(1..=of).map(move |value| Step { register, value, write: false });
            read.chain((1..=of).map(move |value| Step { register, value, write: true })).collect()
        };
        let mut each = |steps: &[Step]| {
            let first = self.steps.len() as u32;
            self.steps.extend_from_slice(steps);
            let values: Vec<u32> = steps.iter().map(|step| step.value).filter(|&value| value != nothing).collect();
            self.item(Function::Txn, pair(first, steps.len() as u32), NIL, &values);
        };
        for one in of_register(0) {
            each(&[one]);
            of_register(1).into_iter().for_each(|other| each(&[one, other]));
        }
        of_register(1).into_iter().for_each(|other| each(&[other]));
    }
}
