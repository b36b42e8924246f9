//! Sleeping until something is to be done: an epoll of devices, a timer for held packets, an event for new rules.

use std::io;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};
use std::time::{Duration, Instant};

use super::raw;

/// How many events one wait returns.
const EVENTS: usize = 64;
/// The event numbers that are no side's.
const WAKE: u64 = u64::MAX;
const TIMER: u64 = u64::MAX - 1;

/// What is to be looked at.
pub(super) enum Source {
    /// A side has sent.
    Side(usize),
    /// Somebody rang.
    Wake,
    /// A held packet is due.
    Timer,
}

/// An epoll with a timer that is set only when the next due packet changes.
pub(super) struct Waiter {
    epoll: OwnedFd,
    timer: OwnedFd,
    set_for: Option<Instant>,
}

impl Waiter {
    pub(super) fn new(sides: &[OwnedFd], wake: &OwnedFd) -> io::Result<Waiter> {
        // SAFETY: plain values; the descriptors are owned by nobody else.
        let epoll = unsafe { owned(libc::epoll_create1(libc::EPOLL_CLOEXEC)) }?;
        let flags = libc::TFD_CLOEXEC | libc::TFD_NONBLOCK;
        // SAFETY: as above.
        let timer = unsafe { owned(libc::timerfd_create(libc::CLOCK_MONOTONIC, flags)) }?;
        let waiter = Waiter { epoll, timer, set_for: None };
        for (index, side) in sides.iter().enumerate() {
            waiter.add(side, index as u64)?;
        }
        waiter.add(wake, WAKE)?;
        waiter.add(&waiter.timer, TIMER)?;
        Ok(waiter)
    }

    fn add(&self, file: &OwnedFd, number: u64) -> io::Result<()> {
        let mut event = libc::epoll_event { events: libc::EPOLLIN as u32, u64: number };
        // SAFETY: the event outlives the call.
        let done = unsafe { libc::epoll_ctl(raw(&self.epoll), libc::EPOLL_CTL_ADD, raw(file), &raw mut event) };
        if done == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
    }

    /// Waits for an event, or until `due`.
    pub(super) fn wait(&mut self, due: Option<Instant>, ready: &mut Vec<Source>) {
        if due != self.set_for {
            self.set_timer(due);
        }
        let mut events = [libc::epoll_event { events: 0, u64: 0 }; EVENTS];
        // SAFETY: room for as many events as is said.
        let count = unsafe { libc::epoll_wait(raw(&self.epoll), events.as_mut_ptr(), EVENTS as i32, -1) };
        ready.extend(events.iter().take(count.max(0) as usize).map(|event| match event.u64 {
            WAKE => Source::Wake,
            TIMER => Source::Timer,
            side => Source::Side(side as usize),
        }));
    }

    fn set_timer(&mut self, due: Option<Instant>) {
        // Zero would disarm the timer, so what is overdue is due in a nanosecond.
        let left = due
            .map_or(Duration::ZERO, |due| due.saturating_duration_since(Instant::now()).max(Duration::from_nanos(1)));
        let setting = libc::itimerspec {
            it_interval: libc::timespec { tv_sec: 0, tv_nsec: 0 },
            it_value: libc::timespec {
                tv_sec: left.as_secs() as libc::time_t,
                tv_nsec: i64::from(left.subsec_nanos()),
            },
        };
        // SAFETY: the setting outlives the call.
        unsafe { libc::timerfd_settime(raw(&self.timer), 0, &raw const setting, std::ptr::null_mut()) };
        self.set_for = due;
    }

    /// The timer has run out: it must be set anew whatever is due next.
    pub(super) fn clear_timer(&mut self) {
        clear(&self.timer);
        self.set_for = None;
    }
}

/// Held packets leave within microseconds of their time: the default slack of a thread is 50.
pub(super) fn sharpen_timers() {
    // SAFETY: plain values.
    unsafe { libc::prctl(libc::PR_SET_TIMERSLACK, 1, 0, 0, 0) };
}

/// An event to ring.
pub(super) fn event() -> io::Result<OwnedFd> {
    // SAFETY: plain values; the descriptor is owned by nobody else.
    unsafe { owned(libc::eventfd(0, libc::EFD_CLOEXEC | libc::EFD_NONBLOCK)) }
}

/// Wakes whoever waits for `event`.
pub(super) fn ring(event: &OwnedFd) {
    let one = 1_u64.to_ne_bytes();
    // SAFETY: eight bytes, as an event takes.
    unsafe { libc::write(event.as_raw_fd(), one.as_ptr().cast(), one.len()) };
}

/// Takes back what made an event or a timer readable.
pub(super) fn clear(event: &OwnedFd) {
    let mut count = [0_u8; 8];
    // SAFETY: eight bytes of room, as an event and a timer give.
    unsafe { libc::read(event.as_raw_fd(), count.as_mut_ptr().cast(), count.len()) };
}

/// # Safety
///
/// A descriptor that is not negative is owned by nobody else.
unsafe fn owned(fd: i32) -> io::Result<OwnedFd> {
    if fd < 0 {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: the caller's promise.
    Ok(unsafe { OwnedFd::from_raw_fd(fd) })
}
