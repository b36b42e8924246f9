//! Vector clocks over what actors did: how much of each other's somebody has seen.
//!
//! Whatever somebody must have seen is, of every actor, everything up to some moment: what an actor has seen only grows. So one number for each actor
//! says it for all keys at once. Clocks are shared until they differ; 4 bytes an actor.

use std::rc::Rc;

use crate::facts::NONE;

/// What somebody has seen.
#[derive(Clone, Debug)]
pub(super) struct View {
    /// By actor, up to which of its steps.
    clock: Rc<[u32]>,
    /// Who that is; [`NONE`] for what comes with writes alone.
    actor: u32,
    /// Up to which of its own steps, and of those that nobody else learns of.
    own: u32,
    private: u32,
}

/// What comes with a write.
#[derive(Clone, Debug)]
pub(super) struct Due {
    clock: Option<Rc<[u32]>>,
    actor: u32,
    own: u32,
}

impl View {
    /// Nothing, by `actor`. `clock` is a clock of zeros.
    pub(super) fn new(clock: Rc<[u32]>, actor: u32) -> View {
        View { clock, actor, own: 0, private: 0 }
    }

    /// Another step of its actor.
    pub(super) fn step(&mut self) -> u32 {
        self.own += 1;
        self.own
    }

    /// Another step of its actor that nobody else learns of.
    pub(super) fn private_step(&mut self) -> u32 {
        self.private += 1;
        self.private
    }

    /// Everything of this that others learn of; what its actor has read as well, if `reads` says so.
    pub(super) fn due(&self, reads: bool) -> Due {
        Due { clock: reads.then(|| self.clock.clone()), actor: self.actor, own: self.own }
    }

    /// Whether the step of that actor is among what was seen. Private steps have the number of actors added to their actor.
    #[inline]
    pub(super) fn shows(&self, actor: u32, step: u32) -> bool {
        let Some(&upto) = self.clock.get(actor as usize) else {
            return actor - self.clock.len() as u32 == self.actor && step <= self.private;
        };
        step <= upto || (actor == self.actor && step <= self.own)
    }

    /// Sees what comes with a write.
    #[inline]
    pub(super) fn join(&mut self, due: &Due) {
        if self.shows(due.actor, due.own) {
            return;
        }
        due.raise(Rc::make_mut(&mut self.clock));
    }

    /// Sees all that a clock says.
    pub(super) fn join_clock(&mut self, clock: &Rc<[u32]>) {
        if !Rc::ptr_eq(clock, &self.clock) {
            raise(Rc::make_mut(&mut self.clock), clock);
        }
    }

    /// As seen by nobody in particular.
    pub(super) fn of_nobody(clock: Rc<[u32]>) -> View {
        View::new(clock, NONE)
    }
}

impl Due {
    /// Raises a clock to all that this says.
    pub(super) fn raise(&self, clock: &mut [u32]) {
        if let Some(theirs) = &self.clock {
            raise(clock, theirs);
        }
        let own = &mut clock[self.actor as usize];
        *own = (*own).max(self.own);
    }
}

fn raise(clock: &mut [u32], theirs: &[u32]) {
    clock.iter_mut().zip(theirs).for_each(|(ours, &theirs)| *ours = (*ours).max(theirs));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_reads_a_write_has_seen_what_its_writer_had_seen() {
        let nothing: Rc<[u32]> = Rc::from(vec![0; 3]);
        let mut views: Vec<View> = (0..3).map(|actor| View::new(nothing.clone(), actor)).collect();
        views[0].step();
        let first = views[0].due(true);
        views[0].step();
        views[1].join(&first);
        views[1].step();
        let second = views[1].due(true);
        views[2].join(&second);
        assert!(views[2].shows(0, 1) && views[2].shows(1, 1));
        assert!(!views[2].shows(0, 2), "what came after the write that was read");
        assert!(!views[0].shows(1, 1), "nobody learns of those who read him");
    }

    #[test]
    fn private_steps_are_seen_by_their_actor_alone() {
        let nothing: Rc<[u32]> = Rc::from(vec![0; 2]);
        let (mut one, mut other) = (View::new(nothing.clone(), 0), View::new(nothing, 1));
        let step = one.private_step();
        other.join(&one.due(false));
        assert!(one.shows(2, step) && !other.shows(2, step));
    }
}
