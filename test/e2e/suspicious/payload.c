// Waits for ever, without a library. By the first letter of its argument it has a page that is writable and executable (w), one that is only
// executable (a), an executable stack (s), or maps itself as code once more under the name of its second argument (m).
// gcc -Os -static -nostdlib -fno-stack-protector -fno-asynchronous-unwind-tables -Wl,--build-id=none -Wl,-z,noexecstack -s payload.c
static long call(long n, long a, long b, long c, long d, long e, long f) {
  register long r10 __asm__("r10") = d, r8 __asm__("r8") = e, r9 __asm__("r9") = f;
  long result;
  __asm__ volatile("syscall" : "=a"(result) : "a"(n), "D"(a), "S"(b), "d"(c), "r"(r10), "r"(r8), "r"(r9) : "rcx", "r11", "memory");
  return result;
}
__attribute__((used)) void begin(long *stack) {
  char **argv = (char **)(stack + 1);
  char what = stack[0] > 1 ? argv[1][0] : 0;
  if (what == 'w' || what == 'a') {
    char *page = (char *)call(9, 0, 4096, what == 'w' ? 7 : 3, 0x22, -1, 0);
    page[0] = (char)0xc3;
    if (what == 'a') call(10, (long)page, 4096, 5, 0, 0, 0);
  }
  if (what == 's') call(10, (long)stack & -4096, 4096, 7, 0, 0, 0);
  if (what == 'm') call(9, 0, 4096, 5, 2, call(2, (long)argv[2], 0, 0, 0, 0, 0), 0);
  for (;;) call(34, 0, 0, 0, 0, 0, 0);
}
__asm__(".globl _start\n_start: mov %rsp,%rdi\nand $-16,%rsp\ncall begin\n");
