/* What C cannot express, in assembly of each target that has SFrame: signal
   frames, the outermost frame, two levels of remembered state. */

#if defined(__x86_64__)
#define NOTHING "nop\n"
#define RETURN "ret\n"
#define PUSH16 ".cfi_adjust_cfa_offset 16\n"
#define RA "%rip"
#define FUNCTION "@function"
#elif defined(__aarch64__)
#define NOTHING "nop\n"
#define RETURN "ret\n"
#define PUSH16 ".cfi_adjust_cfa_offset 16\n"
#define RA "x30"
#define FUNCTION "%function"
#elif defined(__s390x__)
#define NOTHING "nopr\n"
#define RETURN "br %r14\n"
#define PUSH16 ".cfi_adjust_cfa_offset 16\n"
#define RA "%r14"
#define FUNCTION "@function"
#endif

#ifdef NOTHING
#define DEFINE(name, body)                                                                                     \
  __asm__(".text\n.globl " #name "\n.type " #name ", " FUNCTION "\n" #name ":\n.cfi_startproc\n" body RETURN   \
          ".cfi_endproc\n.size " #name ", .-" #name "\n")

DEFINE(outermost, ".cfi_undefined " RA "\n" NOTHING);
DEFINE(signal_frame, ".cfi_signal_frame\n" NOTHING PUSH16 NOTHING);
DEFINE(remembered, NOTHING PUSH16 NOTHING ".cfi_remember_state\n" PUSH16 NOTHING ".cfi_restore_state\n" NOTHING);
#ifdef NESTED
DEFINE(nested, NOTHING PUSH16 NOTHING ".cfi_remember_state\n" PUSH16 NOTHING ".cfi_remember_state\n" PUSH16 NOTHING
               ".cfi_restore_state\n" NOTHING ".cfi_restore_state\n" NOTHING);
#endif
#endif

int not_empty;
