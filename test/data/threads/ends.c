// Processes that wait for each other by poll, select and epoll, and some that only look so: each scenario below is a process of its own.
// gcc -g -O1 -pthread -o ends ends.c
#define _GNU_SOURCE
#include <poll.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/prctl.h>
#include <sys/select.h>
#include <sys/socket.h>
#include <unistd.h>

static void name(const char *text) { prctl(PR_SET_NAME, text); }
static void *forever(void *unused) { for (;;) pause(); }
static void take(int fd) { char byte; if (read(fd, &byte, 1) < 0) perror("read"); forever(NULL); }
static void poll_for(const struct pollfd *all, int count, int ms) { if (poll((struct pollfd *)all, count, ms) < 0) perror("poll"); forever(NULL); }
static void ppoll_for(const struct pollfd *all, int count) { if (ppoll((struct pollfd *)all, count, NULL, NULL) < 0) perror("ppoll"); forever(NULL); }
static void watch(const int *fds, int count, unsigned events) {
  int all = epoll_create1(0);
  struct epoll_event event = {events};
  for (int at = 0; at < count; at++) if (epoll_ctl(all, EPOLL_CTL_ADD, fds[at], &event)) abort();
  if (epoll_wait(all, &event, 1, -1) < 0) perror("epoll_wait");
  forever(NULL);
}

// A child that only reads what the parent would write: answers to the parent with the end to read from.
static int there[2], back[2];
static int reader(const char *text) {
  if (pipe(there) || pipe(back)) abort();
  if (fork() == 0) { name(text); close(there[1]); close(back[0]); take(there[0]); }
  close(there[0]); close(back[1]);
  return back[0];
}

static void polls(void) { ppoll_for((struct pollfd[]){{reader("ppoll-2"), POLLIN}}, 1); }
static void old_polls(void) { poll_for((struct pollfd[]){{reader("poll-2"), POLLIN}, {-1, POLLIN}}, 2, -1); }
static void epolls(void) { watch((int[]){reader("epoll-2")}, 1, EPOLLIN); }
static void selects(void) {
  int pair[2];
  if (socketpair(AF_UNIX, SOCK_STREAM, 0, pair)) abort();
  int child = fork() == 0, own = pair[child];
  close(pair[!child]);
  if (child) { name("select-2"); take(own); }
  fd_set in; FD_ZERO(&in); FD_SET(own, &in);
  if (select(own + 1, &in, NULL, NULL, NULL) < 0) perror("select");
  forever(NULL);
}
static void star(void) { int one = reader("star-2"), two = reader("star-3"); ppoll_for((struct pollfd[]){{one, POLLIN}, {two, POLLIN}}, 2); }

// A lock with priority inheritance and one without: the kernel sees no ring.
static pthread_mutex_t giving, usual = PTHREAD_MUTEX_INITIALIZER;
static void *lock_both(void *giving_first) {
  pthread_mutex_lock(giving_first ? &giving : &usual);
  usleep(200000);
  pthread_mutex_lock(giving_first ? &usual : &giving);
  return NULL;
}
static void mixed(void) {
  pthread_mutexattr_t attributes;
  pthread_t made;
  pthread_mutexattr_init(&attributes);
  pthread_mutexattr_setprotocol(&attributes, PTHREAD_PRIO_INHERIT);
  pthread_mutex_init(&giving, &attributes);
  pthread_create(&made, NULL, lock_both, &giving);
  pthread_create(&made, NULL, lock_both, NULL);
}

// None of these is a deadlock.
static void timed(void) { poll_for((struct pollfd[]){{reader("timed-2"), POLLIN}}, 1, 100000000); }
static void awake(void) {
  int one = reader("awake-2"), from[2];
  if (pipe(from)) abort();
  if (fork() == 0) { name("awake-3"); close(from[0]); forever(NULL); }
  close(from[1]);
  ppoll_for((struct pollfd[]){{one, POLLIN}, {from[0], POLLIN}}, 2);
}
static void own_end(void) { int one = reader("own-2"), own[2]; if (pipe(own)) abort(); ppoll_for((struct pollfd[]){{one, POLLIN}, {own[0], POLLIN}}, 2); }
static void event(void) { watch((int[]){reader("event-2"), eventfd(0, 0)}, 2, EPOLLIN); }
static void edge(void) { watch((int[]){reader("edge-2")}, 1, EPOLLIN | EPOLLET); }
static void helped(void) {
  int one = reader("helped-2");
  pthread_t made;
  pthread_create(&made, NULL, forever, NULL);
  watch(&one, 1, EPOLLIN);
}

static const struct { const char *name; void (*run)(void); } all[] = {
  {"ppoll-1", polls}, {"poll-1", old_polls}, {"epoll-1", epolls}, {"select-1", selects}, {"star-1", star}, {"mixed", mixed},
  {"timed-1", timed}, {"awake-1", awake}, {"own-1", own_end}, {"event-1", event}, {"edge-1", edge}, {"helped-1", helped},
};

int main(int count, char **words) {
  for (unsigned at = 0; at < sizeof all / sizeof *all; at++) {
    if (fork()) continue;
    name(all[at].name);
    all[at].run();
    forever(NULL);
  }
  sleep(2);
  if (count > 1) { FILE *ready = fopen(words[1], "w"); fclose(ready); }
  forever(NULL);
}
