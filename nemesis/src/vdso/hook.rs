//! The code that a redirected process runs instead of the vDSO's clock functions.
//!
//! It is assembled into our own read-only data, copied from there, and finds what it needs (the originals, the shared
//! page) in three slots at its start. It uses only registers that a called function may change. Clocks other than the
//! two real-time ones are handed on by a jump.

use super::elf::Clock;

// CLOCK_REALTIME is 0 and CLOCK_REALTIME_COARSE is 5; the offset is seconds << 30 | nanoseconds.
core::arch::global_asm!(
    ".pushsection .rodata.gainsay_hook, \"a\", @progbits",
    ".balign 16",
    ".globl gainsay_hook_start",
    ".hidden gainsay_hook_start",
    "gainsay_hook_start:",
    "2: .quad 0", // the original clock_gettime
    "3: .quad 0", // the original gettimeofday
    "4: .quad 0", // the shared page
    ".balign 16",
    ".globl gainsay_hook_clock_gettime",
    ".hidden gainsay_hook_clock_gettime",
    "gainsay_hook_clock_gettime:",
    "endbr64",
    "test edi, edi",
    "je 5f",
    "cmp edi, 5",
    "je 5f",
    "jmp qword ptr [rip + 2b]",
    "5: push rsi",
    "call qword ptr [rip + 2b]",
    "pop rsi",
    "test eax, eax",
    "jne 7f",
    "mov rcx, qword ptr [rip + 4b]",
    "mov rcx, qword ptr [rcx]",
    "test rcx, rcx",
    "je 7f",
    "mov edx, ecx",
    "sar rcx, 30",
    "and edx, 0x3fffffff",
    "add rcx, qword ptr [rsi]",
    "add rdx, qword ptr [rsi + 8]",
    "cmp rdx, 1000000000",
    "jl 6f",
    "sub rdx, 1000000000",
    "inc rcx",
    "6: mov qword ptr [rsi], rcx",
    "mov qword ptr [rsi + 8], rdx",
    "7: ret",
    ".balign 16",
    ".globl gainsay_hook_gettimeofday",
    ".hidden gainsay_hook_gettimeofday",
    "gainsay_hook_gettimeofday:",
    "endbr64",
    "push rdi",
    "call qword ptr [rip + 3b]",
    "pop rsi",
    "test eax, eax",
    "jne 7f",
    "test rsi, rsi",
    "je 7f",
    "mov rcx, qword ptr [rip + 4b]",
    "mov rcx, qword ptr [rcx]",
    "test rcx, rcx",
    "je 7f",
    "mov edx, ecx",
    "sar rcx, 30",
    "and edx, 0x3fffffff",
    // Nanoseconds to microseconds: a multiplication by 2^38 / 1000, exact for all 30 bits.
    "imul rdx, rdx, 274877907",
    "shr rdx, 38",
    "add rcx, qword ptr [rsi]",
    "add rdx, qword ptr [rsi + 8]",
    "cmp rdx, 1000000",
    "jl 6f",
    "sub rdx, 1000000",
    "inc rcx",
    "6: mov qword ptr [rsi], rcx",
    "mov qword ptr [rsi + 8], rdx",
    "7: ret",
    ".balign 16",
    ".globl gainsay_hook_time",
    ".hidden gainsay_hook_time",
    "gainsay_hook_time:",
    "endbr64",
    "push rdi",
    "sub rsp, 16",
    // The coarse clock, as the original does; its nanoseconds decide about the carry.
    "mov edi, 5",
    "mov rsi, rsp",
    "call gainsay_hook_clock_gettime",
    "mov rax, qword ptr [rsp]",
    "add rsp, 16",
    "pop rdi",
    "test rdi, rdi",
    "je 7f",
    "mov qword ptr [rdi], rax",
    "7: ret",
    ".globl gainsay_hook_end",
    ".hidden gainsay_hook_end",
    "gainsay_hook_end:",
    ".popsection",
);

unsafe extern "C" {
    static gainsay_hook_start: u8;
    static gainsay_hook_clock_gettime: u8;
    static gainsay_hook_gettimeofday: u8;
    static gainsay_hook_time: u8;
    static gainsay_hook_end: u8;
}

/// The code for one process, to be copied anywhere in it.
pub struct Hook {
    /// The slots and the code.
    pub bytes: Vec<u8>,
}

impl Hook {
    /// Where, from the start of the bytes, the function begins.
    pub fn entry(&self, clock: Clock) -> u64 {
        let label = match clock {
            Clock::Precise => &raw const gainsay_hook_clock_gettime,
            Clock::Micro => &raw const gainsay_hook_gettimeofday,
            Clock::Seconds => &raw const gainsay_hook_time,
        };
        (label as usize - (&raw const gainsay_hook_start) as usize) as u64
    }
}

/// Fills the slots: the addresses, in the process, of the original functions and of the shared page.
pub fn build(clock_gettime: u64, gettimeofday: u64, page: u64) -> Hook {
    let start = &raw const gainsay_hook_start;
    let length = (&raw const gainsay_hook_end) as usize - start as usize;
    // SAFETY: the two labels enclose one run of read-only bytes.
    let mut bytes = unsafe { std::slice::from_raw_parts(start, length) }.to_vec();
    for (slot, address) in [clock_gettime, gettimeofday, page].into_iter().enumerate() {
        bytes[8 * slot..8 * slot + 8].copy_from_slice(&address.to_le_bytes());
    }
    Hook { bytes }
}
