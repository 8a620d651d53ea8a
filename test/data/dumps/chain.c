// Memory in three ages: written before the first pre-dump, between, and after the last. Says when by SIGUSR1 steps.
#define _GNU_SOURCE
#include <stdio.h>
#include <string.h>
#include <unistd.h>
#include <sys/mman.h>
#include <stdlib.h>
int main(){
  char*m=mmap(0,64*4096,3,MAP_PRIVATE|MAP_ANONYMOUS,-1,0);
  char*s=mmap(0,16*4096,3,MAP_SHARED|MAP_ANONYMOUS,-1,0);
  for(int i=0;i<64;i++)sprintf(m+i*4096,"age-one page %d",i);
  for(int i=0;i<16;i++)sprintf(s+i*4096,"shared-one page %d",i);
  for(int n=0;;n++){ char f[32]; sprintf(f,"/tmp/step%d",n); while(access(f,0))usleep(20000);
    if(n==0) for(int i=16;i<32;i++)sprintf(m+i*4096,"age-two page %d",i),sprintf(s+(i%8)*4096,"shared-two page %d",i%8);
    if(n==1) for(int i=24;i<28;i++)sprintf(m+i*4096,"age-three page %d",i),sprintf(s+(i-24)*4096,"shared-three page %d",i-24);
    unlink(f);
  }
}
