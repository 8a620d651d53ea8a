// Threads and processes that wait for each other, and some that only look so: `locks` runs each of the scenarios below as a process of its own.
// gcc -g -O1 -pthread -o locks locks.c; gcc -g -O1 -static …; musl-gcc -g -O1 -static …
#define _GNU_SOURCE
#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <semaphore.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

static pthread_mutex_t a = PTHREAD_MUTEX_INITIALIZER, b = PTHREAD_MUTEX_INITIALIZER, c = PTHREAD_MUTEX_INITIALIZER;
static pthread_rwlock_t rw = PTHREAD_RWLOCK_INITIALIZER;
static pthread_cond_t cond = PTHREAD_COND_INITIALIZER;
static sem_t sem;
static pthread_barrier_t barrier;
static FILE *stream;
static int kinds[3];

static void *thread(void *(*body)(void *), void *argument) {
  pthread_t made;
  if (pthread_create(&made, NULL, body, argument)) abort();
  return (void *)made;
}

static void name(const char *text) { prctl(PR_SET_NAME, text); }
static void *forever(void *unused) { for (;;) pause(); }
static void moment(void) { usleep(200000); }

static void mutex(pthread_mutex_t *made, int kind, int protocol, int shared, int robust) {
  pthread_mutexattr_t attributes;
  pthread_mutexattr_init(&attributes);
  pthread_mutexattr_settype(&attributes, kind);
  if (protocol && pthread_mutexattr_setprotocol(&attributes, PTHREAD_PRIO_INHERIT)) _exit(9);
  if (shared) pthread_mutexattr_setpshared(&attributes, PTHREAD_PROCESS_SHARED);
  if (robust) pthread_mutexattr_setrobust(&attributes, PTHREAD_MUTEX_ROBUST);
  if (pthread_mutex_init(made, &attributes)) abort();
}

struct two { pthread_mutex_t *first, *second; };
static void *lock_two(void *argument) {
  struct two *two = argument;
  pthread_mutex_lock(two->first);
  moment();
  pthread_mutex_lock(two->second);
  return NULL;
}
static struct two ab = {&a, &b}, ba = {&b, &a}, bc = {&b, &c}, ca = {&c, &a};

static void cycle(void) { thread(lock_two, &ab); thread(lock_two, &ba); }
static void recursive(void) {
  mutex(&a, PTHREAD_MUTEX_RECURSIVE, 0, 0, 0);
  mutex(&b, PTHREAD_MUTEX_ERRORCHECK, 0, 0, 0);
  mutex(&c, PTHREAD_MUTEX_RECURSIVE, 0, 0, 1);
  thread(lock_two, &ab); thread(lock_two, &bc); thread(lock_two, &ca);
}
static void priority(void) {
  mutex(&a, PTHREAD_MUTEX_NORMAL, 1, 0, 0);
  mutex(&b, PTHREAD_MUTEX_NORMAL, 1, 0, 0);
  cycle();
}
static void *twice(void *unused) { pthread_mutex_lock(&a); pthread_mutex_lock(&a); return NULL; }
static void self(void) { thread(twice, NULL); }

static void *hold_a(void *unused) { pthread_mutex_lock(&a); return forever(NULL); }
static void inherited(void) {
  thread(hold_a, NULL);
  moment();
  if (fork() == 0) { name("fork-child"); pthread_mutex_lock(&a); }
}

static void *write_then_a(void *unused) { pthread_rwlock_wrlock(&rw); moment(); pthread_mutex_lock(&a); return NULL; }
static void *a_then_read(void *unused) { pthread_mutex_lock(&a); moment(); pthread_rwlock_rdlock(&rw); return NULL; }
static void rwlock(void) { thread(write_then_a, NULL); thread(a_then_read, NULL); }

static void *stream_then_a(void *unused) { flockfile(stream); moment(); pthread_mutex_lock(&a); return NULL; }
static void *a_then_stream(void *unused) { pthread_mutex_lock(&a); moment(); flockfile(stream); return NULL; }
static void file(void) { stream = fopen("/dev/null", "w"); thread(stream_then_a, NULL); thread(a_then_stream, NULL); }

static void *wait_a(void *unused) { moment(); pthread_mutex_lock(&a); return NULL; }
static void *join_other(void *other) { pthread_mutex_lock(&a); pthread_join((pthread_t)other, NULL); return NULL; }
static void join(void) { thread(join_other, thread(wait_a, NULL)); }

static void two_processes(void) {
  pthread_mutex_t *shared = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
  mutex(&shared[0], PTHREAD_MUTEX_RECURSIVE, 0, 1, 0);
  mutex(&shared[1], PTHREAD_MUTEX_RECURSIVE, 0, 1, 0);
  int other = fork() == 0;
  name(other ? "shared-2" : "shared-1");
  struct two two = {&shared[other], &shared[!other]};
  lock_two(&two);
}

static void pipes(void) {
  int there[2], back[2];
  char byte;
  if (pipe(there) || pipe(back)) abort();
  int child = fork() == 0;
  name(child ? "pipe-2" : "pipe-1");
  close(child ? there[1] : there[0]);
  close(child ? back[0] : back[1]);
  if (read(child ? there[0] : back[0], &byte, 1) < 0) perror("read");
}

// None of these is a deadlock.
static void *timed(void *unused) {
  struct timespec until;
  clock_gettime(CLOCK_REALTIME, &until);
  until.tv_sec += 100000;
  pthread_mutex_timedlock(&a, &until);
  return NULL;
}
static void *wait_cond(void *unused) { pthread_mutex_lock(&b); for (;;) pthread_cond_wait(&cond, &b); }
static void *wait_sem(void *unused) { for (;;) sem_wait(&sem); }
static void *wait_barrier(void *unused) { pthread_barrier_wait(&barrier); return NULL; }
static void *wait_write(void *unused) { moment(); pthread_rwlock_wrlock(&rw); return NULL; }
static void *hold_read(void *unused) { pthread_rwlock_rdlock(&rw); return forever(NULL); }
static void *sleeping(void *unused) { pthread_mutex_lock(&c); for (;;) sleep(100000); }
static void *wait_c(void *unused) { moment(); pthread_mutex_lock(&c); return NULL; }
static void *spin(void *unused) { for (volatile int n = 0;; n++); }
static void harmless(void) {
  sem_init(&sem, 0, 0);
  pthread_barrier_init(&barrier, NULL, 2);
  thread(hold_a, NULL); moment(); thread(timed, NULL);
  thread(wait_cond, NULL); thread(wait_sem, NULL); thread(wait_barrier, NULL);
  thread(hold_read, NULL); thread(wait_write, NULL); thread(sleeping, NULL); thread(wait_c, NULL); thread(spin, NULL);
}

static int ends[2], pair[2];
static void *poller(void *unused) { struct pollfd all[2] = {{ends[0], POLLIN}, {pair[0], POLLIN | POLLPRI}}; poll(all, 2, 77777000); return NULL; }
static void *selecter(void *unused) { fd_set in; FD_ZERO(&in); FD_SET(ends[0], &in); struct timeval time = {88888, 500000}; select(ends[0] + 1, &in, NULL, NULL, &time); return NULL; }
static void *epoller(void *unused) { struct epoll_event event = {EPOLLIN}; int all = epoll_create1(0); epoll_ctl(all, EPOLL_CTL_ADD, pair[0], &event); epoll_wait(all, &event, 1, -1); return NULL; }
static void *receiver(void *unused) { char byte; recv(pair[1], &byte, 1, 0); return NULL; }
static void *reader(void *unused) { char byte; if (read(ends[0], &byte, 1)) {} return NULL; }
static void *absolute(void *unused) { struct timespec until = {4000000000, 0}; clock_nanosleep(CLOCK_REALTIME, TIMER_ABSTIME, &until, NULL); return NULL; }
static void calls(void) {
  if (pipe(ends) || socketpair(AF_UNIX, SOCK_STREAM, 0, pair)) abort();
  thread(poller, NULL); thread(selecter, NULL); thread(epoller, NULL); thread(receiver, NULL); thread(reader, NULL); thread(absolute, NULL);
}

static const struct { const char *name; void (*run)(void); } all[] = {
  {"cycle", cycle}, {"recursive", recursive}, {"priority", priority}, {"self", self}, {"fork", inherited}, {"rwlock", rwlock}, {"stream", file},
  {"join", join}, {"shared", two_processes}, {"pipes", pipes}, {"harmless", harmless}, {"calls", calls},
};

int main(int count, char **words) {
  for (unsigned at = 0; at < sizeof all / sizeof *all; at++) {
    if (count > 2 && strcmp(words[2], all[at].name)) continue;
    if (fork()) continue;
    name(all[at].name);
    all[at].run();
    forever(NULL);
  }
  sleep(2);
  if (count > 1) { FILE *ready = fopen(words[1], "w"); fclose(ready); }
  forever(NULL);
}
