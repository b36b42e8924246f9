//! A stopped process in which we read, write and make system calls.

use std::ffi::c_void;
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::FileExt as _;
use std::path::Path;

use nix::sys::ptrace;
use nix::sys::signal::Signal;
use nix::sys::wait::{WaitPidFlag, WaitStatus, waitpid};
use nix::unistd::Pid;

use crate::Error;

/// The instruction `syscall`.
const SYSCALL: [u8; 2] = [0x0f, 0x05];
/// What we write below the stack pointer starts this far below it: beyond the red zone, within the mapped stack.
const BELOW_STACK: u64 = 16 * 1024;
/// The longest path of a shared page.
const LONGEST_PATH: usize = 4_000;
/// No vDSO is larger.
const LARGEST_VDSO: u64 = 1 << 20;
/// A word of memory.
const WORD: usize = 8;

/// See the module.
pub struct Tracee {
    pid: Pid,
    registers: libc::user_regs_struct,
    memory: std::fs::File,
}

impl Tracee {
    /// Takes a process that is stopped and traced by this thread.
    pub fn stopped(pid: Pid) -> Result<Tracee, Error> {
        let registers = ptrace::getregs(pid).map_err(|e| Error::new(format!("reading the registers of {pid}"), e))?;
        let path = format!("/proc/{pid}/mem");
        let memory = std::fs::File::open(&path).map_err(|e| Error::new(format!("opening {path}"), e))?;
        Ok(Tracee { pid, registers, memory })
    }

    /// The address and the bytes of the vDSO.
    pub fn vdso(&self) -> Result<(u64, Vec<u8>), Error> {
        let path = format!("/proc/{}/maps", self.pid);
        let maps = std::fs::read_to_string(&path).map_err(|e| Error::new(format!("reading {path}"), e))?;
        let line = maps.lines().find(|line| line.ends_with("[vdso]"));
        let line = line.ok_or_else(|| Error::new(format!("reading {path}"), "the process has no vDSO"))?;
        let range = line.split_whitespace().next().and_then(|range| range.split_once('-'));
        let hex = |text: &str| u64::from_str_radix(text, 16).ok();
        let range = range.and_then(|(from, to)| hex(from).zip(hex(to)));
        let (from, to) = range.ok_or_else(|| Error::new(format!("reading {path}"), format!("no range in {line:?}")))?;
        let mut image = vec![0; to.saturating_sub(from).min(LARGEST_VDSO) as usize];
        self.read(from, &mut image)?;
        Ok((from, image))
    }

    /// Maps a shared file for reading; returns its address.
    pub fn map_file(&mut self, path: &Path, length: usize) -> Result<u64, Error> {
        let mut name = path.as_os_str().as_bytes().to_vec();
        name.push(0);
        if name.len() > LONGEST_PATH {
            return Err(Error::new("mapping the clock page", format!("the path {} is too long", path.display())));
        }
        let at = (self.registers.rsp - BELOW_STACK) & !0xf;
        self.write(at, &name)?;
        let what = format!("opening the clock page {} in process {}", path.display(), self.pid);
        let flags = (libc::O_RDONLY | libc::O_CLOEXEC) as u64;
        let fd = self.call(&what, libc::SYS_openat, [libc::AT_FDCWD as u64, at, flags, 0, 0, 0])?;
        let mapping = [0, length as u64, libc::PROT_READ as u64, libc::MAP_SHARED as u64, fd, 0];
        let address = self.call("mapping the clock page", libc::SYS_mmap, mapping)?;
        self.call("closing the clock page", libc::SYS_close, [fd, 0, 0, 0, 0, 0])?;
        self.write(at, &vec![0; name.len()])?;
        Ok(address)
    }

    /// Maps memory of its own that can be executed but not written (by the process itself); returns its address.
    pub fn map_code(&mut self, length: usize) -> Result<u64, Error> {
        let access = (libc::PROT_READ | libc::PROT_EXEC) as u64;
        let kind = (libc::MAP_PRIVATE | libc::MAP_ANONYMOUS) as u64;
        self.call("mapping a page of code", libc::SYS_mmap, [0, length as u64, access, kind, u64::MAX, 0])
    }

    /// Gives the process its registers back.
    pub fn restore(self) -> Result<(), Error> {
        let what = format!("restoring the registers of {}", self.pid);
        ptrace::setregs(self.pid, self.registers).map_err(|e| Error::new(what, e))
    }

    fn read(&self, at: u64, into: &mut [u8]) -> Result<(), Error> {
        let what = || format!("reading the memory of {} at {at:#x}", self.pid);
        self.memory.read_exact_at(into, at).map_err(|e| Error::new(what(), e))
    }

    /// Writes wherever the process may read, also where it may not write.
    pub fn write(&self, at: u64, bytes: &[u8]) -> Result<(), Error> {
        for (nth, chunk) in bytes.chunks(WORD).enumerate() {
            let address = at + (nth * WORD) as u64;
            let mut word = [0; WORD];
            if chunk.len() < WORD {
                self.read(address, &mut word)?;
            }
            word[..chunk.len()].copy_from_slice(chunk);
            ptrace::write(self.pid, address as *mut c_void, i64::from_le_bytes(word))
                .map_err(|e| Error::new(format!("writing to the memory of {} at {address:#x}", self.pid), e))?;
        }
        Ok(())
    }

    /// Makes the process perform a system call, at its current instruction, which is put back afterwards.
    fn call(&mut self, what: &str, number: i64, arguments: [u64; 6]) -> Result<u64, Error> {
        let failed = |e: nix::Error| Error::new(what, e);
        let at = self.registers.rip;
        let mut kept = [0; SYSCALL.len()];
        self.read(at, &mut kept)?;
        self.write(at, &SYSCALL)?;
        let mut registers = self.registers;
        registers.rax = number as u64;
        // Otherwise the kernel could take this for an interrupted call and go back.
        registers.orig_rax = u64::MAX;
        [registers.rdi, registers.rsi, registers.rdx, registers.r10, registers.r8, registers.r9] = arguments;
        ptrace::setregs(self.pid, registers).map_err(failed)?;
        ptrace::step(self.pid, None).map_err(failed)?;
        match waitpid(self.pid, Some(WaitPidFlag::__WALL)).map_err(failed)? {
            WaitStatus::Stopped(_, Signal::SIGTRAP) => {}
            other => return Err(Error::new(what, format!("the process did something else: {other:?}"))),
        }
        let result = ptrace::getregs(self.pid).map_err(failed)?.rax as i64;
        self.write(at, &kept)?;
        match u64::try_from(result) {
            Ok(result) => Ok(result),
            Err(_) => Err(Error::new(what, nix::Error::from_raw(-result as i32))),
        }
    }
}
