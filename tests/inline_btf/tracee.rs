//! A program that runs under ptrace and stops at breakpoints.

use crossmill::debuginfo::btf::flags;
use nix::sys::ptrace;
use nix::sys::signal::Signal;
use nix::sys::wait::{WaitStatus, waitpid};
use nix::unistd::Pid;
use std::collections::BTreeMap;
use std::os::unix::process::CommandExt as _;
use std::path::Path;
use std::process::Command;

pub fn register(regs: &nix::libc::user_regs_struct, number: u32) -> u64 {
    match number {
        0 => regs.rax,
        1 => regs.rdx,
        2 => regs.rcx,
        3 => regs.rbx,
        4 => regs.rsi,
        5 => regs.rdi,
        6 => regs.rbp,
        7 => regs.rsp,
        8 => regs.r8,
        9 => regs.r9,
        10 => regs.r10,
        11 => regs.r11,
        12 => regs.r12,
        13 => regs.r13,
        14 => regs.r14,
        15 => regs.r15,
        // With a frame pointer, past the prologue.
        flags::FRAME_BASE => regs.rbp + 16,
        _ => panic!("register {number} is not read here"),
    }
}

pub fn peek(pid: Pid, address: u64) -> u64 {
    ptrace::read(pid, address as ptrace::AddressType).unwrap().cast_unsigned()
}

pub struct Tracee {
    pub pid: Pid,
    saved: BTreeMap<u64, u64>,
}

impl Tracee {
    #[expect(clippy::zombie_processes, reason = "it is waited for by its id, stop by stop")]
    pub fn start(program: &Path) -> Self {
        let mut command = Command::new(program);
        // SAFETY: between fork and exec only this system call is made.
        unsafe { command.pre_exec(|| ptrace::traceme().map_err(std::io::Error::from)) };
        let child = command.spawn().unwrap();
        let pid = Pid::from_raw(child.id() as i32);
        assert!(matches!(waitpid(pid, None).unwrap(), WaitStatus::Stopped(_, Signal::SIGTRAP)));
        Self { pid, saved: BTreeMap::new() }
    }

    fn put(&mut self, address: u64, word: u64) {
        ptrace::write(self.pid, address as ptrace::AddressType, word.cast_signed()).unwrap();
    }

    pub fn set(&mut self, address: u64) {
        let word = peek(self.pid, address);
        self.saved.insert(address, word & 0xff);
        self.put(address, word & !0xff | 0xcc);
    }

    // Goes on to the next breakpoint; nothing when the program has ended.
    pub fn next(&mut self) -> Option<(u64, nix::libc::user_regs_struct)> {
        ptrace::cont(self.pid, None).unwrap();
        match waitpid(self.pid, None).unwrap() {
            WaitStatus::Exited(_, 0) => return None,
            WaitStatus::Stopped(_, Signal::SIGTRAP) => {}
            other => panic!("{other:?}"),
        }
        let mut regs = ptrace::getregs(self.pid).unwrap();
        regs.rip -= 1;
        ptrace::setregs(self.pid, regs).unwrap();
        Some((regs.rip, regs))
    }

    // Over the instruction under the breakpoint. What it reads is its own again meanwhile.
    pub fn step(&mut self, address: u64) {
        let byte = self.saved[&address];
        let word = peek(self.pid, address);
        self.put(address, word & !0xff | byte);
        ptrace::step(self.pid, None).unwrap();
        assert!(matches!(waitpid(self.pid, None).unwrap(), WaitStatus::Stopped(_, Signal::SIGTRAP)));
        let word = peek(self.pid, address);
        self.put(address, word & !0xff | 0xcc);
    }
}
