//! The physical log, `--log wal`: what travels are the pages that each commit wrote (DDIA, chapter 5, "Write-ahead log (WAL) shipping"; like:
//! PostgreSQL's streaming replication, whose base backup is the copy here and whose `wal_keep_size` is [`KEPT`]).
//!
//! | | entries | pages |
//! |---|---|---|
//! | leave | with the commit that wrote them | after it: only then it is known which pages it wrote |
//! | unit | an entry | a commit, which holds the entries of every request that shared it; positions are counted in entries all the same |
//! | a tail that a failover discards | is taken back | cannot be: the follower gets a copy of the file; the tail is kept for the post-mortem as well |
//! | a follower that begins | begins anywhere | begins with a copy: its file must have come from a leader |
//! | another page size or format | is no matter | is refused, so nodes of two formats cannot run together: an upgrade needs downtime |
//!
//! Elections, acknowledgement, tokens and lag see positions only and are the same. Commits are kept in memory: after a restart a leader has none, and a follower that lacks some
//! gets a copy.
//!
//! Left out, though production would have it: an archive of commits on disk, a copy that is streamed instead of held in memory, pages in binary form on the wire, and
//! readers of a follower that do not hold up its writes.

use std::collections::VecDeque;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use super::replication::Load;
use super::{Incoming, Message, Node, Position, Role};
use crate::mode::Output;
use crate::store::physical::segment::{Form, Segment};
use crate::store::physical::{copy_file, frames};
use crate::store::{Store, StoreError};

/// So many bytes of commits are kept in memory for followers that are nearly up to date.
const KEPT: usize = 64 << 20;
/// A message carries no further commit once it has so many bytes.
const MESSAGE: usize = 4 << 20;
/// A commit of more bytes than this travels only as part of a copy: a message has an end.
const LONGEST: usize = 32 << 20;
/// Bytes of a copy in one message.
const PART: usize = 1 << 20;

/// The newest commits, each following the one before, the last ending with the log.
pub struct Kept {
    segments: VecDeque<Arc<Segment>>,
    weight: usize,
    /// The last entry whose pages are known here or are in the file for good.
    covered: u64,
    written: u64,
}

impl Kept {
    /// Nothing is kept of a log that ends with entry `last`.
    pub fn after(last: u64) -> Kept {
        Kept { segments: VecDeque::new(), weight: 0, covered: last, written: 0 }
    }

    /// How many pages this node's commits have written.
    pub fn written(&self) -> u64 {
        self.written
    }

    fn forget(&mut self, last: u64) {
        *self = Kept { written: self.written, ..Kept::after(last) };
    }

    fn push(&mut self, segment: Arc<Segment>) {
        if segment.first != self.covered + 1 {
            self.forget(segment.first - 1);
        }
        // Whoever has nothing needs the file that the first commit was made in.
        if segment.first == 1 || segment.weight() > LONGEST {
            self.forget(segment.last);
            return;
        }
        self.covered = segment.last;
        self.weight += segment.weight();
        self.segments.push_back(segment);
        while self.weight > KEPT
            && let Some(oldest) = self.segments.pop_front()
        {
            self.weight -= oldest.weight();
        }
    }

    /// The first entry that can be sent, where the log ends with `last`.
    pub fn oldest(&self, last: u64) -> u64 {
        self.segments.front().map_or(last + 1, |segment| segment.first)
    }

    fn at(&self, first: u64) -> Option<usize> {
        self.segments.binary_search_by_key(&first, |segment| segment.first).ok()
    }

    /// Whether a commit begins with this entry.
    pub fn begins(&self, first: u64) -> bool {
        self.at(first).is_some()
    }

    /// How many entries the commits from `first` on have that fit a message: about `limit`, at least one commit; 0 where none begins there.
    pub fn reach(&self, first: u64, limit: usize) -> usize {
        let (mut entries, mut weight) = (0, 0);
        for segment in self.at(first).into_iter().flat_map(|at| self.segments.range(at..)) {
            entries += (segment.last - segment.first + 1) as usize;
            weight += segment.weight();
            if entries >= limit || weight >= MESSAGE {
                break;
            }
        }
        entries
    }

    /// The commits that hold `count` entries from `first` on.
    pub fn of(&self, first: u64, count: usize) -> Vec<Arc<Segment>> {
        let within = |segment: &&Arc<Segment>| segment.last < first + count as u64;
        let from = self.at(first).into_iter().flat_map(|at| self.segments.range(at..));
        from.take_while(within).cloned().collect()
    }
}

impl Node {
    /// After a commit: what it wrote is what travels.
    pub fn keep_pages(&mut self, store: &mut Store) -> Result<(), StoreError> {
        let Some(frames::Written { size, pages }) = store.written()? else { return Ok(()) };
        let Some(kept) = self.pages.as_mut().filter(|kept| kept.covered < self.last.1) else { return Ok(()) };
        kept.written += pages.len() as u64;
        let pages = pages.into_iter().map(|(number, page)| (number, page.as_slice().into())).collect();
        let (first, (term, last)) = (kept.covered + 1, self.last);
        kept.push(Arc::new(Segment::new((first, last), term, self.wall, size, pages)));
        Ok(())
    }

    /// Why what a leader sends does not fit this node, if it does not.
    pub fn misfit(&self, store: &Store, from: &str, load: &Load) -> Option<String> {
        match load {
            Load::Pages(form, _) if store.is_physical() => self.of_another_form(store, from, *form),
            Load::Entries(_) if !store.is_physical() => None,
            Load::Pages(..) => {
                Some(format!("refused: {from} sends pages, as with --log wal, which this node was not started with"))
            }
            Load::Entries(_) => Some(format!(
                "refused: {from} sends entries, not pages as with --log wal, which this node was started with"
            )),
        }
    }

    fn of_another_form(&self, store: &Store, from: &str, form: Form) -> Option<String> {
        let ours = store.form();
        (form != ours).then(|| {
            format!(
                "refused: {from} sends {form}, and the file here has {ours}; a physical log needs the same on all nodes: \
                 stop them, and begin here with an empty directory"
            )
        })
    }

    /// Takes commits that follow entry `index`. Answers up to where the log equals the leader's; `Err(hint)` where only a copy helps.
    pub fn take_pages(
        &mut self,
        store: &mut Store,
        index: u64,
        segments: Vec<Arc<Segment>>,
    ) -> Result<Result<u64, u64>, StoreError> {
        let (page_size, mut end, mut news) = (store.form().page_size, self.last.1, Vec::new());
        let matching = segments.last().map_or(index, |segment| segment.last);
        for segment in segments {
            let here = segment.last <= self.last.1 && self.term_at(segment.last) == segment.term;
            if here && news.is_empty() {
                continue;
            }
            if segment.first != end + 1 || !segment.fits(page_size) {
                return Ok(Err(0));
            }
            end = segment.last;
            news.push(segment);
        }
        if !news.is_empty() {
            store.write_segments(&news)?;
            self.cache.clear();
            for segment in news {
                // Only a new term is read from the file: with each commit it would cost more than the pages.
                if segment.term != self.last.0 {
                    self.terms = store.terms()?;
                }
                self.last = (segment.term, segment.last);
                self.wall = self.wall.max(segment.wall);
                if let Some(kept) = &mut self.pages {
                    kept.push(segment);
                }
            }
        }
        Ok(Ok(matching))
    }

    /// The leader before has shortened the log that is in the file.
    pub fn find_oldest(&mut self, store: &Store) -> Result<(), StoreError> {
        if store.is_physical() {
            self.oldest = store.oldest()?.unwrap_or(1);
        }
        Ok(())
    }

    /// A follower cannot use what it is sent. It follows all the same, and is spoken to.
    pub fn found_unfit(
        &mut self,
        now: Duration,
        from: &str,
        (term, sent): (u64, Duration),
        why: &str,
        out: &mut Vec<Output>,
    ) {
        let mine = self.term;
        let Role::Leader(leading) = &mut self.role else { return };
        let Some(follower) = leading.followers.get_mut(from).filter(|_| term == mine) else { return };
        follower.spoke(now, sent);
        if !std::mem::replace(&mut follower.unfit, true) {
            out.push(Output::Say(format!("{from} applies nothing: {why}")));
        }
    }

    /// A copy of the leader's file begins to arrive.
    pub fn copy_begins(&mut self, store: &Store, now: Duration, from: &str, (term, last, form): (u64, Position, Form)) {
        if store.is_physical() && form == store.form() {
            self.snapshot_begins(now, from, (term, last), Vec::new());
        }
    }

    /// Some of it.
    pub fn copy_goes_on(&mut self, now: Duration, from: &str, term: u64, bytes: &[u8]) {
        if let Some(incoming) = self.incoming.as_mut().filter(|incoming| incoming.is_of(from, term)) {
            self.heard = now;
            incoming.file.extend_from_slice(bytes);
        }
    }

    /// It has arrived whole: it replaces the file. What the leader never had is kept for the post-mortem.
    pub fn install_copy(
        &mut self,
        store: &mut Store,
        now: Duration,
        from: &str,
        (term, sum): (u64, [u32; 2]),
        out: &mut Vec<Output>,
    ) -> Result<(), StoreError> {
        let Some(Incoming { file, .. }) = self.arrived(from, term) else { return Ok(()) };
        let whole = store.is_physical() && !file.is_empty() && frames::checksum([0; 2], &file, false) == sum;
        if !whole {
            return Ok(());
        }
        let ours = self.last.1;
        self.find_oldest(store)?;
        let (tail, terms) = (
            store.entries(self.oldest, (ours + 1).saturating_sub(self.oldest) as usize)?,
            std::mem::take(&mut self.terms),
        );
        store.install_file(&file)?;
        self.last = store.newest()?.unwrap_or((0, 0));
        self.cache.clear();
        self.find_oldest(store)?;
        self.terms = store.terms()?;
        let common = common(&terms, ours, &self.terms, self.last.1);
        if let Some(kept) = &mut self.pages {
            kept.forget(self.last.1);
        }
        self.wall = store.entries(self.last.1, 1)?.first().map_or(i64::MIN, |entry| entry.wall);
        self.committed = self.committed.min(self.last.1);
        self.suspect = false;
        self.heard = now;
        out.push(Output::Say(format!("installed a copy of {} bytes as of {:?}", file.len(), self.last)));
        self.keep_tail(&tail[tail.partition_point(|entry| entry.index <= common)..], out)?;
        out.push(self.send(from, Message::Appended { term: self.term, matching: self.last.1, sent: Duration::ZERO }));
        Ok(())
    }
}

/// The last entry that two logs have in common, each given by where its terms begin and by its last entry.
fn common(ours: &[(u64, u64)], our_last: u64, theirs: &[(u64, u64)], their_last: u64) -> u64 {
    let ends = |terms: &[(u64, u64)], at: usize, last: u64| terms.get(at + 1).map_or(last, |(_, next)| next - 1);
    let mut common = 0;
    for (at, begins) in ours.iter().enumerate() {
        if let Some(other) = theirs.iter().position(|theirs| theirs == begins) {
            common = common.max(ends(ours, at, our_last).min(ends(theirs, other, their_last)));
        }
    }
    common
}

/// The messages that carry a copy of the file at `path` to a follower.
///
/// # Errors
/// The disk's.
pub fn copy(path: &Path, form: Form, term: u64) -> Result<Vec<Message>, StoreError> {
    let copy = copy_file(path)?;
    let mut messages = vec![Message::CopyBegin { term, last: copy.last, form }];
    messages.extend(copy.bytes.chunks(PART).map(|part| Message::CopyPart { term, bytes: part.into() }));
    messages.push(Message::CopyEnd { term, sum: frames::checksum([0; 2], &copy.bytes, false) });
    Ok(messages)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn kept(ends: &[u64]) -> Kept {
        let mut kept = Kept::after(4);
        let mut first = 5;
        for last in ends {
            kept.push(Arc::new(Segment::new((first, *last), 1, 0, 1, Vec::new())));
            first = last + 1;
        }
        kept
    }

    #[test]
    fn commits_are_sent_whole_from_where_one_begins() {
        let kept = kept(&[5, 9, 10, 30]);
        assert_eq!((kept.oldest(30), kept.begins(6), kept.begins(7)), (5, true, false));
        assert_eq!((kept.reach(6, 2), kept.reach(6, 5), kept.reach(7, 5), kept.reach(31, 5)), (4, 5, 0, 0));
        let firsts = |from, count| kept.of(from, count).iter().map(|segment| segment.first).collect::<Vec<_>>();
        assert_eq!((firsts(6, 5), firsts(5, 0), firsts(7, 9)), (vec![6, 10], vec![], vec![]));
    }

    #[test]
    fn a_gap_or_the_very_first_commit_forgets_what_came_before() {
        let mut kept = kept(&[5, 9]);
        kept.push(Arc::new(Segment::new((12, 12), 2, 0, 1, Vec::new())));
        assert_eq!(kept.oldest(12), 12);
        let mut kept = Kept::after(0);
        kept.push(Arc::new(Segment::new((1, 3), 1, 0, 1, Vec::new())));
        assert_eq!(kept.oldest(3), 4, "nobody begins with pages");
    }

    #[test]
    fn two_logs_part_where_a_term_of_one_is_unknown_to_the_other() {
        assert_eq!(common(&[(1, 1)], 10, &[(1, 1), (2, 8)], 20), 7);
        assert_eq!(common(&[(1, 1), (3, 5)], 10, &[(1, 1), (2, 8)], 20), 4);
        assert_eq!(common(&[(1, 1), (2, 8)], 9, &[(1, 1), (2, 8)], 20), 9);
        assert_eq!(common(&[], 0, &[(1, 1)], 20), 0);
    }
}
