//! Histories as they ought to be, of every kind that is read: what the mutations begin with.

use gainsay_checker::drawn;
use gainsay_checker::event::Kind;
use gainsay_checker::generate::{Generator, Kinds, Plan, Written, write_edn, write_json};
use gainsay_checker::history::Outcome;
use gainsay_checker::jepsen::{draw, plain};
use gainsay_checker::log::Log;

const DRAWINGS: [&str; 3] = [
    "p0  [x+1 y+1]   [x:1,2 y:1]\np1       [x:1 y:]   [x+2!\np2  [x+3           ?",
    "p0  [x=1 y=1]   [x:2 y:1]\np1       [x:1 y:]   [x=2]\np2  [x=3           ?",
    "p0  [x:1 x=2]\np1  [x:2 x=1]",
];

/// A line of each: what a client may call on an object, one call a line: `f value answer`.
const CALLS: [&str; 9] = [
    "write 1 1;read nil 1;cas [1 2] [1 2];read nil 2;write 3 3",
    "write [:x 1] [:x 1];read [:x nil] [:x 1];cas [:x [1 2]] [:x [1 2]];delete [:x nil] [:x nil]",
    "add 1 1;contains 1 true;remove 1 true;read nil [];add 2 2;read nil #{2}",
    "add 3 3;read nil 3;add -2 -2;read nil 1",
    "enqueue 1 1;enqueue 2 2;dequeue nil 1;dequeue nil 2;dequeue nil nil",
    "push 1 1;push 2 2;pop nil 2;pop nil 1;pop nil nil",
    "acquire nil nil;release nil nil;acquire nil nil",
    "generate nil 1;generate nil 2;generate nil 3",
    "txn [[:w :x 1] [:r :y nil]] [[:w :x 1] [:r :y nil]];append 1 1;append 2 2;read nil [1 2]",
];

const OTHERS: [&str; 6] = [
    "r(1,2,0,0)\nw(1,3,0,1)\nr(1,3,1,2)\nw(2,4,1,2)\nr(2,0,2,3)\n",
    "w 0 1\n-----\nr 0 1\nw 1 2\n=====\nr 1 2\n-----\nr 0 0\n=====\n",
    r#"{"params":{"id":0,"n_node":2,"n_variable":2,"n_transaction":2,"n_event":2},"info":"","start":"","end":"","data":[[{"events":[{"Write":{"variable":0,"version":1}},{"Read":{"variable":1,"version":null}}],"committed":true}],[{"events":[{"Read":{"variable":0,"version":1}}],"committed":true}]]}"#,
    "INFO  jepsen.util - 0\t:invoke\t:write\t4\nINFO  jepsen.util - 1\t:invoke\t:read\tnil\nINFO  jepsen.util - 0\t:ok\t:write\t4\nINFO  jepsen.util - 1\t:fail\t:read\t:timed-out\n",
    "{:type :invoke, :f :txn, :value [[:r 1 nil] [:append 1 -5]], :process 0, :time 9, :index 0}\n; said\n{:type :ok, :f :txn, :value [[:r 1 [1 #_2 3]] [:append 1 -5]], :process 0, :time 11, :index 1, :error #foo [\\a \"b\\u00e9\\n\"]}\n#jepsen.history.Op{:index 2, :time 12, :type :info, :process :nemesis, :f :start, :value {:a #{1 2}}}\n",
    "{\"type\":\"invoke\",\"process\":0,\"f\":\"txn\",\"value\":[[\"r\",\"x\",null]],\"time\":1.5e3,\"index\":0}\n{\"type\":\"ok\",\"process\":0,\"f\":\"txn\",\"value\":[[\"r\",\"x\",[1,2,\"\\ud83d\\ude00\"]]],\"index\":1}\n",
];

/// All of them, about four kilobytes each.
pub fn all() -> Vec<Vec<u8>> {
    let mut all: Vec<Vec<u8>> = OTHERS.iter().map(|text| text.as_bytes().to_vec()).collect();
    all.extend(DRAWINGS.iter().map(|drawing| drawing.as_bytes().to_vec()));
    all.extend(DRAWINGS.iter().map(|drawing| drawn::edn(drawing).expect("they are drawings")));
    all.extend(CALLS.iter().map(|calls| called(calls)));
    for kinds in [Kinds::ListAppend, Kinds::RwRegister, Kinds::Register, Kinds::CasRegister] {
        let plan = Plan { kinds, ops: 20, processes: 4, keys: 3, info: 0.1, fail: 0.1, ..Plan::default() };
        for write in [write_edn, write_json] {
            let mut out = Vec::new();
            Generator::new(plan.clone()).for_each(|event| write(&mut out, &event));
            all.push(out);
        }
    }
    for (seed, name) in plain::NAMES.iter().enumerate() {
        let log = draw(name, seed as u64, 20, seed % 2 == 0).expect("every one of them is drawn");
        all.extend([write_edn, write_json].map(|write| written(&log, write)));
    }
    all
}

/// Calls that overlap by one.
fn called(calls: &str) -> Vec<u8> {
    let mut lines: Vec<(usize, String)> = Vec::new();
    for (at, call) in calls.split(';').enumerate() {
        let (f, rest) = call.split_once(' ').expect("a call has a name");
        // The answer is as many words as the value or, for what is read, the rest.
        let words: Vec<&str> = rest.split(' ').collect();
        let half = if words[0] == "nil" { 1 } else { words.len() / 2 };
        let process = at % 3;
        let line = |kind: &str, value: &[&str]| {
            format!("{{:process {process}, :type :{kind}, :f :{f}, :value {}}}\n", value.join(" "))
        };
        lines.push((2 * at, line("invoke", &words[..half])));
        lines.push((2 * at + 3, line("ok", &words[half..])));
    }
    lines.sort();
    lines.into_iter().flat_map(|(_, line)| line.into_bytes()).collect()
}

fn written(log: &Log, write: fn(&mut Vec<u8>, &Written)) -> Vec<u8> {
    let mut events = Vec::new();
    for call in &log.calls {
        let f: &'static str = plain_name(&call.f);
        let event = |index, time, kind, value: &_| Written {
            index,
            time,
            kind,
            process: call.process,
            f,
            value: Clone::clone(value),
        };
        events.push(event(call.index, call.invoked, Kind::Invoke, &call.asked));
        let kind = match call.outcome {
            Outcome::Ok => Kind::Ok,
            Outcome::Fail => Kind::Fail,
            Outcome::Info => Kind::Info,
        };
        if let Some(index) = call.completion {
            events.push(event(index, call.completed, kind, &call.value));
        }
    }
    events.sort_by_key(|event| event.index);
    let mut out = Vec::new();
    events.iter().for_each(|event| write(&mut out, event));
    out
}

/// The names that drawn histories use, as they have to live.
fn plain_name(f: &str) -> &'static str {
    const ALL: [&str; 12] = [
        "add",
        "read",
        "enqueue",
        "dequeue",
        "drain",
        "transfer",
        "generate",
        "write",
        "insert",
        "txn",
        "read-init",
        "init",
    ];
    ALL.into_iter().find(|name| *name == f).unwrap_or("read")
}
