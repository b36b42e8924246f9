//! Sleeping until something is to be done: an epoll of files, a timer for what is held, an event for new rules.

use std::io;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};
use std::time::{Duration, Instant};

/// How many events one wait returns.
const EVENTS: usize = 64;
/// The event numbers that are no file's.
const WAKE: u64 = u64::MAX;
const TIMER: u64 = u64::MAX - 1;

/// What is to be looked at.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Source {
    /// The file of this number can be read or written, or is broken.
    File(u64),
    /// Somebody rang.
    Wake,
    /// What was held is due.
    Timer,
}

/// What to wait for at a file.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Interest {
    /// That it can be read.
    pub(crate) read: bool,
    /// That it can be written.
    pub(crate) write: bool,
}

impl Interest {
    /// To read alone.
    pub(crate) const READ: Interest = Interest { read: true, write: false };
    /// Nothing: the file is not even watched for errors, which would wake the thread for ever.
    pub(crate) const NONE: Interest = Interest { read: false, write: false };

    fn bits(self) -> u32 {
        let read = if self.read { libc::EPOLLIN } else { 0 };
        let write = if self.write { libc::EPOLLOUT } else { 0 };
        (read | write) as u32
    }
}

/// An epoll with a timer that is set only when what is due next changes.
pub(crate) struct Waiter {
    epoll: OwnedFd,
    timer: OwnedFd,
    set_for: Option<Instant>,
}

impl Waiter {
    /// Waits for `wake` and the timer.
    pub(crate) fn new(wake: &OwnedFd) -> io::Result<Waiter> {
        // SAFETY: plain values; the descriptors are owned by nobody else.
        let epoll = unsafe { owned(libc::epoll_create1(libc::EPOLL_CLOEXEC)) }?;
        let flags = libc::TFD_CLOEXEC | libc::TFD_NONBLOCK;
        // SAFETY: as above.
        let timer = unsafe { owned(libc::timerfd_create(libc::CLOCK_MONOTONIC, flags)) }?;
        let waiter = Waiter { epoll, timer, set_for: None };
        waiter.control(libc::EPOLL_CTL_ADD, wake.as_raw_fd(), Interest::READ, WAKE)?;
        waiter.control(libc::EPOLL_CTL_ADD, waiter.timer.as_raw_fd(), Interest::READ, TIMER)?;
        Ok(waiter)
    }

    /// Changes what is waited for at `file` from `before` to `now`.
    pub(crate) fn change(&self, file: &impl AsRawFd, number: u64, before: Interest, now: Interest) -> io::Result<()> {
        let operation = match (before, now) {
            (before, now) if before == now => return Ok(()),
            (Interest::NONE, _) => libc::EPOLL_CTL_ADD,
            (_, Interest::NONE) => libc::EPOLL_CTL_DEL,
            _ => libc::EPOLL_CTL_MOD,
        };
        self.control(operation, file.as_raw_fd(), now, number)
    }

    fn control(&self, operation: i32, fd: i32, interest: Interest, number: u64) -> io::Result<()> {
        let mut event = libc::epoll_event { events: interest.bits(), u64: number };
        // SAFETY: the event outlives the call.
        match unsafe { libc::epoll_ctl(self.epoll.as_raw_fd(), operation, fd, &raw mut event) } {
            0 => Ok(()),
            _ => Err(io::Error::last_os_error()),
        }
    }

    /// Waits for an event, or until `due`.
    pub(crate) fn wait(&mut self, due: Option<Instant>, ready: &mut Vec<Source>) {
        if due != self.set_for {
            self.set_timer(due);
        }
        let mut events = [libc::epoll_event { events: 0, u64: 0 }; EVENTS];
        // SAFETY: room for as many events as is said.
        let count = unsafe { libc::epoll_wait(self.epoll.as_raw_fd(), events.as_mut_ptr(), EVENTS as i32, -1) };
        ready.extend(events.iter().take(count.max(0) as usize).map(|event| match event.u64 {
            WAKE => Source::Wake,
            TIMER => Source::Timer,
            file => Source::File(file),
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
        unsafe { libc::timerfd_settime(self.timer.as_raw_fd(), 0, &raw const setting, std::ptr::null_mut()) };
        self.set_for = due;
    }

    /// The timer has run out: it must be set anew whatever is due next.
    pub(crate) fn clear_timer(&mut self) {
        clear(&self.timer);
        self.set_for = None;
    }
}

/// Held packets leave within microseconds of their time: the default slack of a thread is 50.
pub(crate) fn sharpen_timers() {
    // SAFETY: plain values.
    unsafe { libc::prctl(libc::PR_SET_TIMERSLACK, 1, 0, 0, 0) };
}

/// An event to ring.
pub(crate) fn event() -> io::Result<OwnedFd> {
    // SAFETY: plain values; the descriptor is owned by nobody else.
    unsafe { owned(libc::eventfd(0, libc::EFD_CLOEXEC | libc::EFD_NONBLOCK)) }
}

/// Wakes whoever waits for `event`.
pub(crate) fn ring(event: &OwnedFd) {
    let one = 1_u64.to_ne_bytes();
    // SAFETY: eight bytes, as an event takes.
    unsafe { libc::write(event.as_raw_fd(), one.as_ptr().cast(), one.len()) };
}

/// Takes back what made an event or a timer readable.
pub(crate) fn clear(event: &OwnedFd) {
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
