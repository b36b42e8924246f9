//! What becomes of a history on its way: bytes that flip, lines that are lost, doubled or exchanged, numbers out of every range.

/// The largest that an input grows to.
const MOST: usize = 12_000;

/// Numbers at which something tends to end.
const EDGES: [&str; 24] = [
    "0",
    "-1",
    "1",
    "127",
    "256",
    "65536",
    "2147483647",
    "2147483648",
    "-2147483649",
    "4294967279",
    "4294967280",
    "4294967295",
    "4294967296",
    "9007199254740993",
    "9223372036854775807",
    "-9223372036854775808",
    "9223372036854775808",
    "18446744073709551615",
    "18446744073709551616",
    "123456789012345678901234567890N",
    "-0",
    "1e999",
    "0.1M",
    "1/3",
];

/// What means something to one reader or another.
const WORDS: [&str; 40] = [
    "[",
    "]",
    "{",
    "}",
    "(",
    ")",
    "\"",
    "\\",
    "#",
    "#_",
    "#{",
    ":",
    ";",
    ",",
    "\n",
    "\r\n",
    "nil",
    "null",
    "true",
    "\\u",
    "\\ud800",
    "\u{e9}",
    "\u{1f600}",
    "\0",
    "\u{feff}",
    ":type",
    ":value",
    ":invoke",
    ":ok",
    ":info",
    ":nemesis",
    ":f :read",
    "\"process\":",
    "-----\n",
    "=====\n",
    "r(",
    ":txn",
    ":append",
    "[1 2]",
    "#uuid ",
];

/// The drawing lots.
pub struct Dice(pub u64);

impl Dice {
    fn roll(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let it = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let it = (it ^ (it >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        it ^ (it >> 31)
    }

    /// A number below `n`; 0 where there is none.
    pub fn below(&mut self, n: usize) -> usize {
        (self.roll() % n.max(1) as u64) as usize
    }

    fn of<'t>(&mut self, all: &[&'t str]) -> &'t str {
        all[self.below(all.len())]
    }
}

/// Some changes to `text`; `other` gives lines of another history.
pub fn mutated(dice: &mut Dice, text: &[u8], other: &[u8]) -> Vec<u8> {
    let mut text = text.to_vec();
    for _ in 0..1 + dice.below(4) {
        match dice.below(10) {
            0 => flip(dice, &mut text),
            1 => number(dice, &mut text),
            2 | 3 => number_of_same(dice, &mut text),
            4 => insert(dice, &mut text),
            5 => text.truncate(dice.below(text.len() + 1)),
            6 => chunk(dice, &mut text),
            _ => lines(dice, &mut text, other),
        }
        text.truncate(MOST);
    }
    text
}

fn flip(dice: &mut Dice, text: &mut [u8]) {
    for _ in 0..1 + dice.below(3) {
        let at = dice.below(text.len());
        if let Some(byte) = text.get_mut(at) {
            *byte ^= 1 << dice.below(8);
        }
    }
}

/// Where the numbers are.
fn numbers(text: &[u8]) -> Vec<std::ops::Range<usize>> {
    let mut all = Vec::new();
    let mut at = 0;
    while at < text.len() {
        let length = text[at..].iter().take_while(|byte| byte.is_ascii_digit()).count();
        if length > 0 {
            all.push(at..at + length);
        }
        at += length.max(1);
    }
    all
}

fn number(dice: &mut Dice, text: &mut Vec<u8>) {
    let all = numbers(text);
    if let Some(range) = all.get(dice.below(all.len())) {
        text.splice(range.clone(), dice.of(&EDGES).bytes());
    }
}

/// A number becomes one that is elsewhere in the history: what is read well and means something else.
fn number_of_same(dice: &mut Dice, text: &mut Vec<u8>) {
    let all = numbers(text);
    let (to, from) = (all.get(dice.below(all.len())), all.get(dice.below(all.len())));
    if let (Some(to), Some(from)) = (to, from) {
        let new = text[from.clone()].to_vec();
        text.splice(to.clone(), new);
    }
}

fn insert(dice: &mut Dice, text: &mut Vec<u8>) {
    let at = dice.below(text.len() + 1);
    text.splice(at..at, dice.of(&WORDS).bytes());
}

/// A piece is lost, or is there twice.
fn chunk(dice: &mut Dice, text: &mut Vec<u8>) {
    let from = dice.below(text.len());
    let to = (from + 1 + dice.below(40)).min(text.len());
    if dice.below(2) == 0 {
        text.drain(from..to);
    } else {
        let piece = text[from..to].to_vec();
        let at = dice.below(text.len());
        text.splice(at..at, piece);
    }
}

/// A line is lost, doubled, exchanged or taken from elsewhere.
fn lines(dice: &mut Dice, text: &mut Vec<u8>, other: &[u8]) {
    let mut all: Vec<Vec<u8>> = text.split_inclusive(|&byte| byte == b'\n').map(<[u8]>::to_vec).collect();
    if all.is_empty() {
        return;
    }
    let (one, two) = (dice.below(all.len()), dice.below(all.len()));
    match dice.below(5) {
        0 | 1 => drop(all.remove(one)),
        2 => all.insert(one, all[two].clone()),
        3 => all.swap(one, two),
        _ => {
            let others: Vec<&[u8]> = other.split_inclusive(|&byte| byte == b'\n').collect();
            all.insert(one, others.get(dice.below(others.len())).map_or(Vec::new(), |line| line.to_vec()));
        }
    }
    *text = all.concat();
}

/// Brackets within brackets, closed and not, alone and where a value belongs.
pub fn deep(levels: usize) -> Vec<Vec<u8>> {
    let mut all = Vec::new();
    for (open, close) in [
        ("[", "]"),
        ("(", ")"),
        ("{", "}"),
        ("#{", "}"),
        ("{:a ", "}"),
        ("{\"a\":", "}"),
        ("#a ", ""),
        ("#_", ""),
        ("#_[", "]"),
        ("[#_", "1]"),
    ] {
        let nested = |closed: bool| {
            let mut text = open.repeat(levels);
            text.push('1');
            if closed {
                text.push_str(&close.repeat(levels));
            }
            text
        };
        for text in [nested(false), nested(true)] {
            all.push(format!("{{:process 0, :type :invoke, :f :read, :value {text}}}\n").into_bytes());
            all.push(format!("{{:process 0, :type :ok, :f :txn, :value [[:r 1 {text}]]}}\n").into_bytes());
            all.push(format!("{{:error {text}, :process 0, :type :invoke, :f :read, :value 1}}\n").into_bytes());
            let json = r#"{"process":0,"type":"invoke","f":"read","value":"#;
            all.push(format!("{json}{text}}}\n").into_bytes());
            all.push(text.into_bytes());
        }
    }
    all
}
