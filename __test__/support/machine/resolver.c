/* What the tests' resolver does, preloaded into a Node process: names that end in `.test` come from the file
 * $HOLDFAST_TEST_HOSTS, read anew at each look-up, one name a line: `name.test [slow=SECONDS] address...`. A name without
 * a line does not exist. All other names are left to the system. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <netdb.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

typedef int (*lookup)(const char *, const char *, const struct addrinfo *, struct addrinfo **);

int getaddrinfo(const char *node, const char *service, const struct addrinfo *hints, struct addrinfo **result) {
  lookup real = (lookup)dlsym(RTLD_NEXT, "getaddrinfo");
  size_t length = node ? strlen(node) : 0;
  const char *hosts = getenv("HOLDFAST_TEST_HOSTS");
  if (!hosts || length < 5 || strcmp(node + length - 5, ".test") != 0) return real(node, service, hints, result);

  FILE *file = fopen(hosts, "r");
  if (!file) return EAI_NONAME;
  struct addrinfo *first = NULL, *last = NULL;
  char line[1024];
  while (fgets(line, sizeof line, file)) {
    char *rest, *word = strtok_r(line, " \n", &rest);
    if (!word || strcmp(word, node) != 0) continue;
    while ((word = strtok_r(NULL, " \n", &rest))) {
      if (strncmp(word, "slow=", 5) == 0) {
        sleep(atoi(word + 5));
        continue;
      }
      struct addrinfo *found = NULL;
      if (real(word, service, hints, &found) != 0) continue;
      if (last) last->ai_next = found;
      else first = found;
      for (last = found; last->ai_next;) last = last->ai_next;
    }
  }
  fclose(file);
  *result = first;
  return first ? 0 : EAI_NONAME;
}
