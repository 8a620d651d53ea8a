#define _GNU_SOURCE
#include <pthread.h>
#include <stdio.h>
#include <unistd.h>
#include <poll.h>
#include <sys/epoll.h>
#include <sys/syscall.h>
#include <linux/futex.h>
#include <time.h>
#include <errno.h>
#include <sys/prctl.h>
#include <sys/wait.h>
static void*ns(void*a){prctl(PR_SET_NAME,"t-nanosleep");struct timespec t={1000000,0};int r=nanosleep(&t,0);dprintf(1,"nanosleep %d %d\n",r,errno);pause();return 0;}
static void*po(void*a){prctl(PR_SET_NAME,"t-poll");struct pollfd p={0,0,0};int r=poll(&p,1,77777000);dprintf(1,"poll %d %d\n",r,errno);pause();return 0;}
static void*ep(void*a){prctl(PR_SET_NAME,"t-epoll");int e=epoll_create1(0);struct epoll_event v;int r=epoll_wait(e,&v,1,77777000);dprintf(1,"epoll_wait %d %d\n",r,errno);pause();return 0;}
static int w;
static void*fu(void*a){prctl(PR_SET_NAME,"t-futex");struct timespec t={1000000,0};long r=syscall(SYS_futex,&w,FUTEX_WAIT_PRIVATE,0,&t,0,0);dprintf(1,"futex %ld %d\n",r,errno);pause();return 0;}
static void*sp(void*a){prctl(PR_SET_NAME,"t-spin");for(volatile int i=0;;i++);return 0;}
static void*re(void*a){prctl(PR_SET_NAME,"t-read");int p[2];pipe(p);char c;read(p[0],&c,1);return 0;}
int main(){pthread_t t;void*(*f[])(void*)={ns,po,ep,fu,sp,re};
 if(fork()==0){prctl(PR_SET_NAME,"child");for(int i=0;i<3;i++)pthread_create(&t,0,f[i],0);ns(0);}
 if(fork()==0){_exit(3);}
 for(int i=0;i<6;i++)pthread_create(&t,0,f[i],0);
 for(;;)pause();}
