/* keeper: the first process of a node's container. It starts the node's program as its child and keeps the pod, its
 * address and its data while the program is stopped, killed, paused, or started again with other arguments.
 *
 * Needs nothing of the image: no libc, no shell, no /tmp. `make keeper` builds it.
 *
 *   keeper run DIR [--file|--initial FROM TO MODE]... [--await SECONDS NAME...] -- PROGRAM ARG...
 *                                process 1; DIR is an empty writable folder; an initial file is copied only if there is
 *                                none; the program starts once the DNS knows every name, or when that time is over
 *   keeper ctl DIR stop SIGNAL MILLISECONDS | kill | pause | resume | state
 *   keeper ctl DIR wipe FOLDER     removes what is in FOLDER, unless the program runs
 *   keeper ctl DIR args            prints the arguments of the program, each ending in NUL, as the kernel has them
 *   keeper cat PATH                prints a file
 *   keeper count FOLDER            prints how many entries it has
 *   keeper ctl DIR start LENGTH    LENGTH bytes of stdin: PROGRAM and ARGs, an empty text, NAME=VALUEs; each ends in NUL
 *   keeper put PATH MODE LENGTH    LENGTH bytes of stdin become a file; put-missing: only if there is none
 *   keeper env                     the variables of the container, each ending in NUL
 *   keeper exec SECONDS -- PROGRAM ARG...                       killed with all that it started when its time is over
 *
 * A program that ends on its own takes the container with it, with the same status, so that Kubernetes sees and tells
 * it. The container that Kubernetes then starts holds still until it is told to start the program again.
 * Statuses: 124 time over, 125 keeper failed, 127 the program cannot be run.
 */
#include <asm/unistd.h>
#include <linux/fcntl.h>
#include <linux/poll.h>
#include <linux/signal.h>
#include <linux/time_types.h>
#include <linux/un.h>
#include <linux/wait.h>

typedef unsigned long ulong;
#define AF_UNIX_ 1
#define SOCK_STREAM_ 1
#define SOCK_CLOEXEC_ 02000000
#define AT_HERE (-100)
#define EINTR_ 4
#define LARGEST (768 * 1024)
#define WORDS 4096

#if defined(__x86_64__)
static long sys(long n, long a, long b, long c, long d, long e) {
  register long r10 __asm__("r10") = d;
  register long r8 __asm__("r8") = e;
  long r;
  __asm__ volatile("syscall" : "=a"(r) : "a"(n), "D"(a), "S"(b), "d"(c), "r"(r10), "r"(r8) : "rcx", "r11", "memory");
  return r;
}
__asm__(".globl _start\n_start: xor %rbp,%rbp; mov %rsp,%rdi; and $-16,%rsp; call entry");
#elif defined(__aarch64__)
static long sys(long n, long a, long b, long c, long d, long e) {
  register long x8 __asm__("x8") = n;
  register long x0 __asm__("x0") = a;
  register long x1 __asm__("x1") = b;
  register long x2 __asm__("x2") = c;
  register long x3 __asm__("x3") = d;
  register long x4 __asm__("x4") = e;
  __asm__ volatile("svc 0" : "+r"(x0) : "r"(x8), "r"(x1), "r"(x2), "r"(x3), "r"(x4) : "memory");
  return x0;
}
__asm__(".globl _start\n_start: mov x0, sp; bl entry");
#else
#error "write the system call of this machine"
#endif

void *memcpy(void *to, const void *from, ulong n) { char *t = to; const char *f = from; while (n--) *t++ = *f++; return to; }
void *memset(void *to, int c, ulong n) { char *t = to; while (n--) *t++ = (char)c; return to; }
static ulong length(const char *s) { ulong n = 0; while (s[n]) n++; return n; }
static int same(const char *a, const char *b) { while (*a && *a == *b) a++, b++; return *a == *b; }
static const char *tail_of(const char *s, const char *head) { while (*head) if (*s++ != *head++) return 0; return s; }
static long number(const char *s) { long n = 0; while (*s >= '0' && *s <= '9') n = n * 10 + (*s++ - '0'); return n; }
static long octal(const char *s) { long n = 0; while (*s >= '0' && *s <= '7') n = n * 8 + (*s++ - '0'); return n; }
static void leave(int status) { for (;;) sys(__NR_exit_group, status, 0, 0, 0, 0); }

static char *join(char *out, ulong room, const char *a, const char *b, const char *c) {
  const char *parts[3] = {a, b, c};
  ulong at = 0;
  for (int i = 0; i < 3; i++) for (const char *p = parts[i]; *p && at + 1 < room; p++) out[at++] = *p;
  out[at] = 0;
  return out;
}
static char *decimal(char *out, long n) {
  char digits[24];
  int count = 0;
  do digits[count++] = (char)('0' + n % 10); while ((n /= 10));
  for (int i = 0; i < count; i++) out[i] = digits[count - 1 - i];
  out[count] = 0;
  return out;
}
static int put_all(int fd, const char *data, ulong size) {
  while (size) {
    long n = sys(__NR_write, fd, (long)data, (long)size, 0, 0);
    if (n == -EINTR_) continue;
    if (n <= 0) return -1;
    data += n, size -= (ulong)n;
  }
  return 0;
}
static void say(int fd, const char *a, const char *b, const char *c) {
  char line[4200];
  join(line, sizeof line - 1, a, b, c);
  put_all(fd, line, length(line));
}
static void complain(const char *a, const char *b, const char *c) { say(2, "keeper: ", a, ""); say(2, b, c, "\n"); }
/* Exactly `size` bytes, or up to the end where `size` is LARGEST. */
static long take(int fd, char *into, ulong size) {
  ulong got = 0;
  while (got < size) {
    long n = sys(__NR_read, fd, (long)(into + got), (long)(size - got), 0, 0);
    if (n == -EINTR_) continue;
    if (n < 0) return n;
    if (n == 0) break;
    got += (ulong)n;
  }
  return (long)got;
}
static long now_ms(void) {
  struct __kernel_timespec t = {0, 0};
  sys(__NR_clock_gettime, 1, (long)&t, 0, 0, 0);
  return t.tv_sec * 1000 + t.tv_nsec / 1000000;
}
static void nap(long ms) {
  struct __kernel_timespec t = {ms / 1000, (ms % 1000) * 1000000};
  sys(__NR_nanosleep, (long)&t, 0, 0, 0, 0);
}
static long sigaction_mask(int how, ulong mask) { return sys(__NR_rt_sigprocmask, how, (long)&mask, 0, 8, 0); }
static long spawn(void) { return sys(__NR_clone, 17 /* SIGCHLD */, 0, 0, 0, 0); }

static char buffer[LARGEST + 1];
static char *words[WORDS + 2];
static char *variables[WORDS + 2];

/* ---- programs ---------------------------------------------------------------------------------------------------- */

static const char *value_of(char **env, const char *name) {
  const char *found;
  for (; *env; env++)
    if ((found = tail_of(*env, name)) && *found == '=') return found + 1;
  return 0;
}
static long try_run(const char *path, char **argv, char **env) {
  return sys(__NR_execve, (long)path, (long)argv, (long)env, 0, 0);
}
static void become(char **argv, char **env) {
  char path[4200];
  long error = -2;
  const char *name = argv[0], *dirs = value_of(env, "PATH");
  for (const char *p = name; *p; p++)
    if (*p == '/') { error = try_run(name, argv, env); goto failed; }
  if (!dirs) dirs = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";
  while (*dirs) {
    ulong n = 0;
    char dir[2048];
    while (dirs[n] && dirs[n] != ':') n++;
    if (n < sizeof dir) {
      memcpy(dir, dirs, n);
      dir[n] = 0;
      long tried = try_run(join(path, sizeof path, n ? dir : ".", "/", name), argv, env);
      if (tried != -2 && tried != -20) error = tried; /* no such file, no such folder */
    }
    dirs += n + (dirs[n] == ':');
  }
failed:
  complain(name, error == -2 ? " is not in the image" : error == -13 ? " may not be run" : " cannot be run", "");
  leave(127);
}
static long start_child(char **argv, char **env) {
  long pid = spawn();
  if (pid == 0) {
    sys(__NR_setpgid, 0, 0, 0, 0, 0);
    sigaction_mask(2 /* SIG_SETMASK */, 0);
    become(argv, env);
  }
  sys(__NR_setpgid, pid, pid, 0, 0, 0); /* in both, so that neither can be too early with a signal to the group */
  return pid;
}

/* ---- files ------------------------------------------------------------------------------------------------------- */

static int write_file(char *path, long mode, const char *data, ulong size) {
  char draft[4200];
  for (char *p = path + 1; *p; p++)
    if (*p == '/') {
      *p = 0;
      sys(__NR_mkdirat, AT_HERE, (long)path, 0700, 0, 0);
      *p = '/';
    }
  join(draft, sizeof draft, path, ".draft", "");
  sys(__NR_unlinkat, AT_HERE, (long)draft, 0, 0, 0);
  long fd = sys(__NR_openat, AT_HERE, (long)draft, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, mode, 0);
  if (fd < 0) return -1;
  int bad = put_all((int)fd, data, size);
  sys(__NR_close, fd, 0, 0, 0, 0);
  if (bad) return -1;
#ifdef __NR_renameat
  return (int)sys(__NR_renameat, AT_HERE, (long)draft, AT_HERE, (long)path, 0);
#else
  return (int)sys(__NR_renameat2, AT_HERE, (long)draft, AT_HERE, (long)path, 0);
#endif
}
static int exists(const char *path) {
  long fd = sys(__NR_openat, AT_HERE, (long)path, O_RDONLY | O_CLOEXEC, 0, 0);
  if (fd >= 0) sys(__NR_close, fd, 0, 0, 0, 0);
  return fd >= 0;
}
static int copy_file(const char *from, char *to, long mode) {
  long fd = sys(__NR_openat, AT_HERE, (long)from, O_RDONLY | O_CLOEXEC, 0, 0);
  if (fd < 0) return -1;
  long size = take((int)fd, buffer, LARGEST);
  sys(__NR_close, fd, 0, 0, 0, 0);
  return size < 0 || size == LARGEST ? -1 : write_file(to, mode, buffer, (ulong)size);
}

struct entry64 { unsigned long long inode; long long next; unsigned short size; unsigned char type; char name[]; };
static int is_dots(const char *name) { return same(name, ".") || same(name, ".."); }
/* Calls `act` with each entry's path, over and over while that takes any away; how many there are at last, or -1. */
static long each_in(const char *folder, int (*act)(char *path, int is_folder)) {
  char listed[4096], path[4200];
  long count = 0, before = -1;
  for (;;) {
    long fd = sys(__NR_openat, AT_HERE, (long)folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW, 0, 0), n;
    if (fd < 0) return -1;
    count = 0;
    while ((n = sys(__NR_getdents64, fd, (long)listed, sizeof listed, 0, 0)) > 0)
      for (long at = 0; at < n;) {
        struct entry64 *found = (struct entry64 *)(listed + at);
        at += found->size;
        if (is_dots(found->name)) continue;
        if (act && !act(join(path, sizeof path, folder, "/", found->name), found->type == 4)) continue;
        count++;
      }
    sys(__NR_close, fd, 0, 0, 0, 0);
    if (n < 0) return -1;
    if (!act || !count || count == before) return count;
    before = count; /* removing moves entries about, so that a pass may miss some */
  }
}
/* Whether it is still there. */
static int remove_all(char *path, int is_folder) {
  if (is_folder) {
    sys(__NR_fchmodat, AT_HERE, (long)path, 0700, 0, 0);
    each_in(path, remove_all);
  }
  return sys(__NR_unlinkat, AT_HERE, (long)path, is_folder ? 0x200 : 0, 0, 0) != 0;
}

/* ---- process 1 --------------------------------------------------------------------------------------------------- */

static char **inherited;
static long child, status, starts;
static int paused;

static void address(struct sockaddr_un *at, const char *dir) {
  memset(at, 0, sizeof *at);
  at->sun_family = AF_UNIX_;
  join(at->sun_path, sizeof at->sun_path, dir, "/ctl", "");
}
static int signal_group(int number) { return (int)sys(__NR_kill, -child, number, 0, 0, 0); }
/* Collects everything that ended. Whether the program is among it. */
static int collect(void) {
  int how, ended = 0;
  long pid;
  while ((pid = sys(__NR_wait4, -1, (long)&how, WNOHANG, 0, 0)) > 0)
    if (pid == child) {
      status = (how & 0x7f) ? 128 + (how & 0x7f) : (how >> 8) & 0xff;
      ended = 1;
    }
  if (ended) {
    signal_group(9); /* what it started goes with it */
    child = 0, paused = 0;
  }
  return ended;
}
static int ended_within(int signals, long ms) {
  long until = now_ms() + ms;
  char drained[128];
  while (child) {
    long left = until - now_ms();
    if (left < 0) return 0;
    struct __kernel_timespec t = {left / 1000, (left % 1000) * 1000000};
    struct pollfd p = {signals, POLLIN, 0};
    if (sys(__NR_ppoll, (long)&p, 1, (long)&t, 0, 8) > 0) take(signals, drained, sizeof drained);
    collect();
  }
  return 1;
}
/* The state letter of the program: the first one behind the last bracket of its stat. */
static char letter(void) {
  char path[64], digits[24], text[512];
  long fd = sys(__NR_openat, AT_HERE, (long)join(path, sizeof path, "/proc/", decimal(digits, child), "/stat"), O_RDONLY | O_CLOEXEC, 0, 0);
  if (fd < 0) return 0;
  long n = sys(__NR_read, fd, (long)text, sizeof text - 1, 0, 0);
  sys(__NR_close, fd, 0, 0, 0, 0);
  char found = 0;
  for (long i = 0; i + 2 < n; i++) if (text[i] == ')') found = text[i + 2];
  return found;
}
static int until_stopped(int wanted) {
  for (int i = 0; i < 5000 && child; i++) {
    if ((letter() == 'T') == wanted) return 1;
    nap(1);
    if (collect()) leave((int)status);
  }
  return 0;
}
static void tell_state(int to) {
  char count[24], code[24], line[64];
  join(line, sizeof line, child ? (paused ? "paused " : "running ") : "stopped ", decimal(count, starts), " ");
  say(to, line, decimal(code, status), "\n");
}
static void note_started(const char *dir) {
  char path[200];
  write_file(join(path, sizeof path, dir, "/started", ""), 0600, "", 0);
}
/* Cuts `size` bytes of NUL-ended words into two lists that an empty one divides. */
static int cut(char *data, ulong size) {
  char **list = words;
  int at = 0;
  ulong i = 0;
  if (!size || data[size - 1]) return -1;
  variables[0] = 0;
  while (i < size) {
    if (!data[i] && list == words) { list[at] = 0; list = variables; at = 0; i++; continue; }
    if (at >= WORDS) return -1;
    list[at++] = data + i;
    while (data[i]) i++;
    i++;
  }
  list[at] = 0;
  return words[0] ? 0 : -1;
}
static void serve(const char *dir, int client, int signals) {
  long n = take(client, buffer, LARGEST);
  if (n <= 0) return;
  buffer[n] = 0;
  if (collect()) leave((int)status); /* it ended before it could be told to */
  char *verb = buffer, *first = buffer + length(verb) + 1;
  if (same(verb, "start")) {
    if (child) { tell_state(client); return; }
    if (cut(first, (ulong)n - (ulong)(first - buffer))) { say(client, "error what was sent is no program\n", "", ""); return; }
    status = 0;
    child = start_child(words, variables[0] ? variables : inherited);
    starts++;
    note_started(dir);
  } else if (same(verb, "stop")) {
    if (child) {
      signal_group((int)number(first));
      signal_group(18); /* a frozen process takes the signal only when it goes on */
      if (!ended_within(signals, number(first + length(first) + 1))) {
        signal_group(9);
        ended_within(signals, 10000);
      }
    }
  } else if (same(verb, "kill")) {
    if (child) { signal_group(9); ended_within(signals, 10000); }
  } else if (same(verb, "args")) {
    char path[64], digits[24];
    long fd = child ? sys(__NR_openat, AT_HERE, (long)join(path, sizeof path, "/proc/", decimal(digits, child), "/cmdline"), O_RDONLY | O_CLOEXEC, 0, 0) : -1;
    if (fd >= 0) {
      n = take((int)fd, buffer, LARGEST);
      sys(__NR_close, fd, 0, 0, 0, 0);
      if (n > 0) put_all(client, buffer, (ulong)n);
    }
    say(client, "", "", "\n"); /* so that no arguments are not no reply */
    return;
  } else if (same(verb, "wipe")) {
    if (child) { say(client, "error it runs\n", "", ""); return; }
    if (each_in(first, remove_all)) { say(client, "error not everything could be removed\n", "", ""); return; }
  } else if (same(verb, "pause") || same(verb, "resume")) {
    int wanted = same(verb, "pause");
    if (!child) { say(client, "error it does not run\n", "", ""); return; }
    signal_group(wanted ? 19 : 18);
    if (!until_stopped(wanted)) { say(client, "error it would not ", verb, "\n"); return; }
    paused = wanted;
  }
  tell_state(client);
}

/* ---- names of peers ---------------------------------------------------------------------------------------------- */

#define ROUNDS 3    /* each from a port of its own: behind one address there may be several servers, not equally quick */
#define ANSWER 1000 /* milliseconds until a question counts as lost */
#define AGAIN 100   /* milliseconds between a question and the next after a name was not there: a DNS tells no changes */

struct dns { unsigned char server[16]; char domain[256]; };
/* The word behind `key` in the first line of `text` that begins with it. */
static const char *setting(const char *text, const char *key) {
  for (;;) {
    const char *found = tail_of(text, key);
    if (found && (*found == ' ' || *found == '\t')) { while (*found == ' ' || *found == '\t') found++; return found; }
    while (*text && *text != '\n') text++;
    if (!*text++) return 0;
  }
}
/* The first server and the first search domain, which in a pod is that of its namespace. */
static int read_dns(struct dns *dns) {
  long fd = sys(__NR_openat, AT_HERE, (long)"/etc/resolv.conf", O_RDONLY | O_CLOEXEC, 0, 0);
  if (fd < 0) return -1;
  long n = take((int)fd, buffer, LARGEST);
  sys(__NR_close, fd, 0, 0, 0, 0);
  if (n <= 0) return -1;
  buffer[n] = 0;
  const char *p = setting(buffer, "nameserver"), *domain = setting(buffer, "search");
  memset(dns, 0, sizeof *dns);
  dns->server[0] = 2, dns->server[3] = 53; /* AF_INET in the order of both machines; the port in the network's */
  for (int i = 0; p && i < 4; i++) {
    if (*p < '0' || *p > '9') return -1;
    dns->server[4 + i] = (unsigned char)number(p);
    while (*p >= '0' && *p <= '9') p++;
    if (i < 3 && *p++ != '.') return -1;
  }
  for (ulong i = 0; domain && *domain > ' ' && i + 1 < sizeof dns->domain; i++) dns->domain[i] = *domain++;
  return p ? 0 : -1;
}
/* A question for the IPv4 addresses of NAME.DOMAIN; its size, or -1 where that is no name. */
static long question(unsigned char *out, long id, const char *name, const char *domain) {
  char whole[512];
  long at = 12;
  join(whole, sizeof whole, name, *domain ? "." : "", domain);
  memset(out, 0, 12);
  out[0] = (unsigned char)(id >> 8), out[1] = (unsigned char)id, out[2] = 1, out[5] = 1;
  for (const char *p = whole; *p; p += *p == '.') {
    long n = 0;
    while (p[n] && p[n] != '.') n++;
    if (n == 0 || n > 63 || at + n > 255) return -1;
    out[at++] = (unsigned char)n;
    while (n--) out[at++] = (unsigned char)*p++;
  }
  memset(out + at, 0, 5);
  out[at + 2] = out[at + 4] = 1;
  return at + 5;
}
/* Whether a signal that ends the keeper came within this time; what `other` gets ends the wait, too. */
static int told_to_end(int signals, int other, long ms) {
  unsigned int info[32];
  struct __kernel_timespec t = {ms / 1000, (ms % 1000) * 1000000};
  struct pollfd p[2] = {{signals, POLLIN, 0}, {other, POLLIN, 0}};
  if (ms < 0 || sys(__NR_ppoll, (long)p, other < 0 ? 1 : 2, (long)&t, 0, 8) <= 0 || !p[0].revents) return 0;
  take(signals, (char *)info, sizeof info);
  return info[0] != 17;
}
/* 1: the name has an address, 0: not now, -1: the keeper is to end. */
static int resolves(const struct dns *dns, const char *name, int signals, long until) {
  static long id;
  unsigned char packet[1024];
  int found = 0;
  int asking = (int)sys(__NR_socket, 2, 2 | SOCK_CLOEXEC_, 0, 0, 0); /* AF_INET, SOCK_DGRAM */
  id = (id + 1 + now_ms()) & 0xffff;
  long size = question(packet, id, name, dns->domain);
  if (asking >= 0 && size > 0 && !sys(__NR_connect, asking, (long)dns->server, sizeof dns->server, 0, 0) &&
      sys(__NR_write, asking, (long)packet, size, 0, 0) == size) {
    long left = until - now_ms();
    if (told_to_end(signals, asking, left < ANSWER ? left : ANSWER)) found = -1;
    else {
      struct pollfd p = {asking, POLLIN, 0};
      struct __kernel_timespec none = {0, 0};
      if (sys(__NR_ppoll, (long)&p, 1, (long)&none, 0, 8) > 0) {
        long n = sys(__NR_read, asking, (long)packet, sizeof packet, 0, 0);
        found = n > 12 && packet[0] == id >> 8 && packet[1] == (id & 0xff) && packet[2] & 0x80 && !(packet[3] & 15) && (packet[6] | packet[7]);
      }
    }
  }
  if (asking >= 0) sys(__NR_close, asking, 0, 0, 0, 0);
  return found;
}
/* Returns when every name has an address in each round, or the time is over, which is told; -1: the keeper is to end. */
static int await_names(char **names, char **end, long seconds, int signals) {
  struct dns dns;
  long until = now_ms() + seconds * 1000;
  if (read_dns(&dns)) { complain("/etc/resolv.conf names no IPv4 server, so names are not waited for", "", ""); return 0; }
  for (int round = 0; round < ROUNDS; round++)
    for (char **name = names; name < end; name++) {
      int found = resolves(&dns, *name, signals, until);
      if (found < 0) return -1;
      if (found) continue;
      if (now_ms() >= until) { complain(*name, " has no address in time; does the DNS of the cluster work?", ""); return 0; }
      if (told_to_end(signals, -1, AGAIN)) return -1;
      round = 0, name = names - 1;
    }
  return 0;
}

static int keep(const char *dir, char **names, char **argv, char **env) {
  struct sockaddr_un at;
  char path[200];
  int ending = 0;
  inherited = env;
  sigaction_mask(2, (1ul << (17 - 1)) | (1ul << (15 - 1)) | (1ul << (2 - 1)) | (1ul << (1 - 1)) | (1ul << (3 - 1)));
  ulong watched = (1ul << (17 - 1)) | (1ul << (15 - 1)) | (1ul << (2 - 1)) | (1ul << (1 - 1)) | (1ul << (3 - 1));
  int signals = (int)sys(__NR_signalfd4, -1, (long)&watched, 8, O_CLOEXEC, 0);
  int door = (int)sys(__NR_socket, AF_UNIX_, SOCK_STREAM_ | SOCK_CLOEXEC_, 0, 0, 0);
  address(&at, dir);
  sys(__NR_unlinkat, AT_HERE, (long)at.sun_path, 0, 0, 0);
  if (signals < 0 || door < 0 || sys(__NR_bind, door, (long)&at, sizeof at, 0, 0) || sys(__NR_listen, door, 16, 0, 0, 0)) {
    complain("cannot listen in ", dir, "");
    return 125;
  }
  /* In a second container the program ended in the first, and stays down until asked. */
  if (!exists(join(path, sizeof path, dir, "/started", ""))) {
    /* Orders meanwhile wait at the door. */
    if (names && await_names(names + 2, argv - 1, number(names[1]), signals)) return 0;
    note_started(dir);
    child = start_child(argv, env);
    starts++;
  }
  for (;;) {
    struct pollfd p[2] = {{signals, POLLIN, 0}, {door, POLLIN, 0}};
    if (sys(__NR_ppoll, (long)p, 2, 0, 0, 8) <= 0) continue;
    if (p[0].revents) {
      unsigned int info[32];
      take(signals, (char *)info, sizeof info);
      if (info[0] != 17) {
        if (!child) return 0;
        ending = 1;
        signal_group((int)info[0]);
        signal_group(18);
      }
      if (collect() || (ending && !child)) return (int)status;
    }
    if (p[1].revents) {
      int client = (int)sys(__NR_accept4, door, 0, 0, SOCK_CLOEXEC_, 0);
      if (client < 0) continue;
      serve(dir, client, signals);
      sys(__NR_close, client, 0, 0, 0, 0);
    }
  }
}

/* ---- the other verbs --------------------------------------------------------------------------------------------- */

static int ask(const char *dir, char **argv) {
  struct sockaddr_un at;
  ulong used = 0;
  long payload = 0;
  int door = (int)sys(__NR_socket, AF_UNIX_, SOCK_STREAM_ | SOCK_CLOEXEC_, 0, 0, 0);
  address(&at, dir);
  if (door < 0 || sys(__NR_connect, door, (long)&at, sizeof at, 0, 0)) { complain("nobody listens in ", dir, ""); return 125; }
  if (same(argv[0], "start") && argv[1]) {
    payload = number(argv[1]);
    argv[1] = 0;
  }
  for (; *argv; argv++) {
    ulong n = length(*argv) + 1;
    if (used + n >= LARGEST) return 125;
    memcpy(buffer + used, *argv, n);
    used += n;
  }
  if ((ulong)payload + used >= LARGEST || (payload && take(0, buffer + used, (ulong)payload) != payload)) { complain("not all of it came", "", ""); return 125; }
  put_all(door, buffer, used + (ulong)payload);
  sys(__NR_shutdown, door, 1, 0, 0, 0);
  long n = take(door, buffer, LARGEST);
  if (n <= 0) { complain("the keeper ended", "", ""); return 125; }
  put_all(1, buffer, (ulong)n);
  buffer[n] = 0;
  return tail_of(buffer, "error ") ? 1 : 0;
}
static int run_for(long seconds, char **argv, char **env) {
  long until = now_ms() + seconds * 1000;
  int how;
  sigaction_mask(2, 1ul << (17 - 1));
  ulong watched = 1ul << (17 - 1);
  int signals = (int)sys(__NR_signalfd4, -1, (long)&watched, 8, O_CLOEXEC, 0);
  long pid = start_child(argv, env);
  for (;;) {
    if (sys(__NR_wait4, pid, (long)&how, WNOHANG, 0, 0) == pid) return (how & 0x7f) ? 128 + (how & 0x7f) : (how >> 8) & 0xff;
    long left = until - now_ms();
    if (left <= 0) break;
    struct __kernel_timespec t = {left / 1000, (left % 1000) * 1000000};
    struct pollfd p = {signals, POLLIN, 0};
    char drained[128];
    if (sys(__NR_ppoll, (long)&p, 1, (long)&t, 0, 8) > 0) take(signals, drained, sizeof drained);
  }
  sys(__NR_kill, -pid, 9, 0, 0, 0);
  return 124;
}
static char **behind_dashes(char **argv) {
  while (*argv && !same(*argv, "--")) argv++;
  return *argv && argv[1] ? argv + 1 : 0;
}
static int usage(void) {
  complain("run DIR [--file FROM TO MODE]... [--await SECONDS NAME...] -- PROGRAM ARG... | ctl DIR VERB ... | put PATH MODE LENGTH | exec SECONDS -- PROGRAM ARG...", "", "");
  return 125;
}
static int act(int argc, char **argv, char **env) {
  if (argc >= 3 && same(argv[1], "run")) {
    char **program = behind_dashes(argv);
    if (!program) return usage();
    char **word = argv + 3;
    for (; word + 4 < program && (same(*word, "--file") || same(*word, "--initial")); word += 4)
      if (!(same(*word, "--initial") && exists(word[2])) && copy_file(word[1], word[2], octal(word[3]))) { complain(word[2], " cannot be written from ", word[1]); return 125; }
    int awaits = same(*word, "--await") && word + 2 < program;
    return keep(argv[2], awaits ? word : 0, program, env);
  }
  if (argc >= 4 && same(argv[1], "ctl")) return ask(argv[2], argv + 3);
  if (argc == 5 && (same(argv[1], "put") || same(argv[1], "put-missing"))) {
    long size = number(argv[4]);
    if (size >= LARGEST || take(0, buffer, (ulong)size) != size) { complain("not all of it came", "", ""); return 125; }
    if (same(argv[1], "put-missing") && exists(argv[2])) return 0;
    if (write_file(argv[2], octal(argv[3]), buffer, (ulong)size)) { complain(argv[2], " cannot be written", ""); return 125; }
    return 0;
  }
  if (argc == 3 && same(argv[1], "cat")) {
    long fd = sys(__NR_openat, AT_HERE, (long)argv[2], O_RDONLY | O_CLOEXEC, 0, 0), n;
    if (fd < 0) { complain(argv[2], " cannot be read", ""); return 125; }
    while ((n = take((int)fd, buffer, LARGEST)) > 0) put_all(1, buffer, (ulong)n);
    return 0;
  }
  if (argc == 3 && same(argv[1], "count")) {
    char count[24];
    long found = each_in(argv[2], 0);
    if (found < 0) { complain(argv[2], " cannot be read", ""); return 125; }
    say(1, decimal(count, found), "\n", "");
    return 0;
  }
  if (argc == 2 && same(argv[1], "env")) {
    for (char **variable = env; *variable; variable++) put_all(1, *variable, length(*variable) + 1);
    return 0;
  }
  if (argc >= 5 && same(argv[1], "exec") && behind_dashes(argv)) return run_for(number(argv[2]), behind_dashes(argv), env);
  return usage();
}
__attribute__((used)) void entry(long *stack) {
  int argc = (int)stack[0];
  char **argv = (char **)(stack + 1);
  leave(act(argc, argv, argv + argc + 1));
}
