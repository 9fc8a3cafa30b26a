/* Clocks that the test sets, preloaded into a Node process. $HOLDFAST_TEST_CLOCK is a file of eight bytes: the seconds by which the system's clock is wrong; the
 * monotonic clock is left alone then, as it is when somebody sets the time of a machine. With $HOLDFAST_TEST_CLOCK_SPEED all clocks run so many times as
 * fast, and what waits for events waits that much shorter: minutes of timers in seconds. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/mman.h>
#include <sys/time.h>
#include <time.h>

typedef int (*clock_reader)(clockid_t, struct timespec *);

static clock_reader real_clock;
static volatile int64_t *wrong_by;
static int64_t speed = 1;
static struct timespec began[CLOCK_BOOTTIME + 1];

__attribute__((constructor)) static void prepare(void) {
  real_clock = (clock_reader)dlsym(RTLD_NEXT, "clock_gettime");
  const char *faster = getenv("HOLDFAST_TEST_CLOCK_SPEED");
  if (faster) speed = atoll(faster);
  for (clockid_t clock = 0; clock <= CLOCK_BOOTTIME; clock++) real_clock(clock, &began[clock]);
  const char *name = getenv("HOLDFAST_TEST_CLOCK");
  int file = name ? open(name, O_RDONLY) : -1;
  if (file < 0) return;
  void *memory = mmap(NULL, sizeof *wrong_by, PROT_READ, MAP_SHARED, file, 0);
  if (memory != MAP_FAILED) wrong_by = memory;
}

static int is_processor_time(clockid_t clock) {
  return clock == CLOCK_PROCESS_CPUTIME_ID || clock == CLOCK_THREAD_CPUTIME_ID;
}

int clock_gettime(clockid_t clock, struct timespec *now) {
  if (!real_clock) prepare();
  int result = real_clock(clock, now);
  if (result != 0 || clock < 0 || clock > CLOCK_BOOTTIME || is_processor_time(clock)) return result;
  if (speed > 1) {
    const struct timespec *start = &began[clock];
    int64_t passed = ((now->tv_sec - start->tv_sec) * 1000000000LL + now->tv_nsec - start->tv_nsec) * speed;
    int64_t nanos = start->tv_nsec + passed;
    now->tv_sec = start->tv_sec + nanos / 1000000000LL;
    now->tv_nsec = nanos % 1000000000LL;
  }
  if (wrong_by && (clock == CLOCK_REALTIME || clock == CLOCK_REALTIME_COARSE)) now->tv_sec += *wrong_by;
  return result;
}

int gettimeofday(struct timeval *restrict now, void *restrict zone) {
  (void)zone;
  struct timespec exact;
  int result = clock_gettime(CLOCK_REALTIME, &exact);
  now->tv_sec = exact.tv_sec;
  now->tv_usec = exact.tv_nsec / 1000;
  return result;
}

time_t time(time_t *result) {
  struct timespec now;
  clock_gettime(CLOCK_REALTIME, &now);
  if (result) *result = now.tv_sec;
  return now.tv_sec;
}

/* Rounded up: what would be no time at all would spin. */
static int shorter(int timeout) { return timeout <= 0 ? timeout : (int)((timeout + speed - 1) / speed); }

int epoll_wait(int epoll, struct epoll_event *events, int most, int timeout) {
  typedef int (*waiter)(int, struct epoll_event *, int, int);
  static waiter real;
  if (!real) real = (waiter)dlsym(RTLD_NEXT, "epoll_wait");
  return real(epoll, events, most, shorter(timeout));
}

int epoll_pwait(int epoll, struct epoll_event *events, int most, int timeout, const sigset_t *mask) {
  typedef int (*waiter)(int, struct epoll_event *, int, int, const sigset_t *);
  static waiter real;
  if (!real) real = (waiter)dlsym(RTLD_NEXT, "epoll_pwait");
  return real(epoll, events, most, shorter(timeout), mask);
}
