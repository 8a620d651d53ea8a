// A process tree with one of everything that a checkpoint can hold, for test/data/archives/containerd-zoo.tar.gz.
// gcc -O1 -static -pthread -o zoo zoo.c; runs as the only program of a container with NET_RAW.
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/capability.h>
#include <linux/if_packet.h>
#include <linux/netlink.h>
#include <net/ethernet.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/inotify.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/shm.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/timerfd.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <time.h>
#include <grp.h>
#include <unistd.h>

#define TRY(call) ({ long r_ = (long)(call); if (r_ == -1) { fprintf(stderr, "%s: %s\n", #call, strerror(errno)); } r_; })

static void *worker(void *name) {
  prctl(PR_SET_NAME, name);
  for (;;) pause();
}

static struct sockaddr_in at(int port) {
  struct sockaddr_in a = {.sin_family = AF_INET, .sin_port = htons(port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
  return a;
}

static void files(void) {
  mkdir("/data", 0755);
  int log = TRY(open("/data/log.txt", O_CREAT | O_RDWR | O_APPEND, 0644));
  TRY(write(log, "twelve bytes", 12));
  int ghost = TRY(open("/tmp/ghost", O_CREAT | O_RDWR, 0600));
  TRY(write(ghost, "ghost-bytes\n", 12));
  TRY(unlink("/tmp/ghost"));
  TRY(mkfifo("/data/fifo", 0600));
  int fifo = TRY(open("/data/fifo", O_RDWR | O_NONBLOCK));
  TRY(write(fifo, "in-the-fifo", 11));
  int ends[2];
  TRY(pipe(ends));
  TRY(write(ends[1], "in-the-pipe", 11));
}

static void sockets(void) {
  int one = 1;
  struct sockaddr_in a = at(9000);
  int listener = TRY(socket(AF_INET, SOCK_STREAM, 0));
  TRY(setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one));
  TRY(bind(listener, (struct sockaddr *)&a, sizeof a));
  TRY(listen(listener, 5));
  if (getenv("ZOO_TCP")) {
    int client = TRY(socket(AF_INET, SOCK_STREAM, 0));
    TRY(connect(client, (struct sockaddr *)&a, sizeof a));
    TRY(accept(listener, NULL, NULL));
    TRY(write(client, "tcp-in-flight", 13));
  }
  struct sockaddr_in6 any = {.sin6_family = AF_INET6, .sin6_port = htons(8080)};
  int six = TRY(socket(AF_INET6, SOCK_STREAM, 0));
  TRY(bind(six, (struct sockaddr *)&any, sizeof any));
  TRY(listen(six, 9));
  struct sockaddr_in6 mapped = {.sin6_family = AF_INET6, .sin6_port = htons(5300)};
  inet_pton(AF_INET6, "::ffff:127.0.0.1", &mapped.sin6_addr);
  int udp6 = TRY(socket(AF_INET6, SOCK_DGRAM, 0));
  TRY(bind(udp6, (struct sockaddr *)&mapped, sizeof mapped));
  int udp = TRY(socket(AF_INET, SOCK_DGRAM, 0));
  struct sockaddr_in u = at(5353);
  TRY(bind(udp, (struct sockaddr *)&u, sizeof u));
  u = at(53);
  TRY(connect(udp, (struct sockaddr *)&u, sizeof u));

  int pair[2];
  TRY(socketpair(AF_UNIX, SOCK_STREAM, 0, pair));
  TRY(write(pair[0], "unix-in-flight", 14));
  struct sockaddr_un path = {.sun_family = AF_UNIX, .sun_path = "/data/zoo.sock"};
  int named = TRY(socket(AF_UNIX, SOCK_STREAM, 0));
  unlink(path.sun_path);
  TRY(bind(named, (struct sockaddr *)&path, sizeof path));
  TRY(listen(named, 3));
  struct sockaddr_un abstract = {.sun_family = AF_UNIX, .sun_path = "\0zoo-abstract"};
  int hidden = TRY(socket(AF_UNIX, SOCK_DGRAM, 0));
  TRY(bind(hidden, (struct sockaddr *)&abstract, sizeof(sa_family_t) + 13));

  int netlink = TRY(socket(AF_NETLINK, SOCK_RAW, NETLINK_ROUTE));
  struct sockaddr_nl n = {.nl_family = AF_NETLINK, .nl_groups = 1};
  TRY(bind(netlink, (struct sockaddr *)&n, sizeof n));
  TRY(socket(AF_PACKET, SOCK_DGRAM, htons(ETH_P_ARP)));
}

static void events(void) {
  int counter = TRY(eventfd(7, 0));
  int timer = TRY(timerfd_create(CLOCK_MONOTONIC, 0));
  struct itimerspec every = {.it_interval = {3600, 0}, .it_value = {3600, 0}};
  TRY(timerfd_settime(timer, 0, &every, NULL));
  sigset_t set;
  sigemptyset(&set);
  sigaddset(&set, SIGUSR1);
  sigaddset(&set, SIGTERM);
  int signals = TRY(signalfd(-1, &set, 0));
  int watch = TRY(inotify_init1(0));
  TRY(inotify_add_watch(watch, "/dev/shm", IN_CREATE | IN_DELETE));
  int epoll = TRY(epoll_create1(0));
  for (int *fd = (int[]){counter, timer, signals, watch, -1}; *fd >= 0; fd++) {
    struct epoll_event e = {.events = EPOLLIN, .data.u64 = *fd};
    TRY(epoll_ctl(epoll, EPOLL_CTL_ADD, *fd, &e));
  }
  if (getenv("ZOO_PIDFD")) TRY(syscall(SYS_pidfd_open, getpid(), 0));
}

static void memory(void) {
  char *heap = malloc(100000);
  sprintf(heap + 50000, "needle-in-the-zoo-heap");
  char *across = mmap(NULL, 8192, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  memcpy(across + 4090, "needle-across-pages", 20);
  char *shared = mmap(NULL, 16384, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
  strcpy(shared + 4096, "needle-in-shared-memory");
  int memfd = TRY(memfd_create("zoo-memfd", 0));
  TRY(ftruncate(memfd, 8192));
  char *mapped = mmap(NULL, 8192, PROT_READ | PROT_WRITE, MAP_SHARED, memfd, 0);
  strcpy(mapped, "needle-in-mapped-memfd");
  int only = TRY(memfd_create("zoo-unmapped", 0));
  TRY(write(only, "needle-in-unmapped-memfd", 24));
  if (getenv("ZOO_SHM")) {
    int id = TRY(shmget(0x5a00, 4096, IPC_CREAT | 0600));
    char *segment = shmat(id, NULL, 0);
    if (segment != (void *)-1) strcpy(segment, "needle-in-sysv-shm");
  }
  int data = TRY(open("/data/log.txt", O_RDWR));
  char *file = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE, data, 0);
  strcpy(file + 2000, "needle-in-private-file-page");
}

int main(void) {
  sigset_t block;
  sigemptyset(&block);
  sigaddset(&block, SIGUSR1);
  sigprocmask(SIG_BLOCK, &block, NULL);
  files();
  sockets();
  events();
  memory();
  pthread_t threads[2];
  pthread_create(&threads[0], NULL, worker, "worker-1");
  pthread_create(&threads[1], NULL, worker, "evil\033[31mred");
  if (fork() == 0) { // another session, other groups, fewer rights
    prctl(PR_SET_NAME, "fewer-rights");
    setsid();
    gid_t groups[] = {2000, 3000};
    TRY(setgroups(2, groups));
    TRY(prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0));
    struct __user_cap_header_struct head = {.version = _LINUX_CAPABILITY_VERSION_3};
    struct __user_cap_data_struct rights[2] = {{.effective = 1 << CAP_NET_BIND_SERVICE, .permitted = 1 << CAP_NET_BIND_SERVICE | 1 << CAP_KILL}};
    TRY(syscall(SYS_capset, &head, rights));
    TRY(chdir("/data"));
    for (;;) pause();
  }
  if (fork() == 0) {
    prctl(PR_SET_NAME, "child");
    if (fork() == 0) {
      prctl(PR_SET_NAME, "grandchild");
      for (;;) pause();
    }
    for (;;) pause();
  }
  pid_t zombie = fork();
  if (zombie == 0) {
    prctl(PR_SET_NAME, "zombie");
    _exit(3);
  }
  usleep(200000);
  TRY(kill(getpid(), SIGUSR1));
  puts("ready");
  fflush(stdout);
  for (;;) pause();
}
