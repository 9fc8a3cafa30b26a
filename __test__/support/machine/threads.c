/* A machine without threads to spare, preloaded into a Node process: while the file $HOLDFAST_TEST_NO_THREADS is there, the engine's thread can start no other.
 * What it wanted one for panics there: a resolver's thread is one that its runtime takes for granted. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <unistd.h>

typedef int (*create)(pthread_t *, const pthread_attr_t *, void *(*)(void *), void *);

int pthread_create(pthread_t *thread, const pthread_attr_t *attributes, void *(*run)(void *), void *argument) {
  char name[16] = "";
  prctl(PR_GET_NAME, name);
  const char *none = getenv("HOLDFAST_TEST_NO_THREADS");
  if (none && access(none, F_OK) == 0 && strcmp(name, "holdfast") == 0) return EAGAIN;
  return ((create)dlsym(RTLD_NEXT, "pthread_create"))(thread, attributes, run, argument);
}
