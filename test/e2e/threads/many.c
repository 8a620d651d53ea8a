// 65 threads, each as deep in its stack as its number says.
#include <pthread.h>
#include <stdio.h>
#include <unistd.h>

static double deeper(int depth, double value) {
  if (depth == 0)
    for (;;) pause();
  return 1 + deeper(depth - 1, value * 2);
}

static void *body(void *number) {
  deeper((int)(long)number % 16, 1.5 + (double)(long)number);
  return NULL;
}

int main(void) {
  pthread_t thread;
  for (long number = 1; number <= 64; number++) pthread_create(&thread, NULL, body, (void *)number);
  sleep(1);
  fclose(fopen("/tmp/ready", "w"));
  for (;;) pause();
}
