/* Refuse calls of the system's file functions: preloaded into every process of a run by benchmarks/break_runs.py.

   Watched are calls that open for writing, write, sync, rename, make a folder or cut a file, below one of the folders in
   FAULTS_WATCH (separated by ':'), native code's too. Each is added to FAULTS_LOG as "function path". Of those whose
   function is FAULTS_FUNCTION (any, if unset) and whose path fits FAULTS_PATTERN (any, if unset), counted over all
   processes in the mapped file FAULTS_COUNT, number FAULTS_AT is refused with the error FAULTS_ERRNO; where FAULTS_FROM
   is set, every one from there on: a disk that stays full. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <fnmatch.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <time.h>
#include <unistd.h>

static _Atomic long *count;
static long at = -1;
static int from, code, ready, log_file = -1;
static const char *watch, *function_, *pattern;

static void begin(void) {
  if (ready) return;
  ready = 1;
  watch = getenv("FAULTS_WATCH");
  const char *counted = getenv("FAULTS_COUNT"), *named = getenv("FAULTS_AT"), *error = getenv("FAULTS_ERRNO"),
             *logged = getenv("FAULTS_LOG");
  if (!watch || !counted) { watch = NULL; return; }
  int file = syscall(SYS_openat, AT_FDCWD, counted, O_RDWR | O_CLOEXEC);
  if (file < 0) { watch = NULL; return; }
  count = mmap(NULL, sizeof *count, PROT_READ | PROT_WRITE, MAP_SHARED, file, 0);
  syscall(SYS_close, file);
  if (count == MAP_FAILED) { watch = NULL; return; }
  at = named ? atol(named) : -1;
  function_ = getenv("FAULTS_FUNCTION");
  pattern = getenv("FAULTS_PATTERN");
  from = getenv("FAULTS_FROM") != NULL;
  code = error ? atoi(error) : ENOSPC;
  if (logged) log_file = syscall(SYS_openat, AT_FDCWD, logged, O_WRONLY | O_APPEND | O_CLOEXEC);
}

/* For a process that was forked: read the variables again. */
void faults_begin(void) {
  ready = 0;
  begin();
}

static int watched(const char *path) {
  for (const char *place = watch; place && *place;) {
    const char *end = strchrnul(place, ':');
    size_t size = end - place;
    if (!strncmp(path, place, size) && (path[size] == '/' || path[size] == 0)) return 1;
    place = *end ? end + 1 : end;
  }
  return 0;
}

/* Return whether this call is to be refused. */
static int refuse(const char *function, const char *path) {
  if (log_file >= 0) {
    char line[4400];
    int size = snprintf(line, sizeof line, "%s %s\n", function, path);
    if (size > 0 && size < (int)sizeof line) (void)!syscall(SYS_write, log_file, line, size);
  }
  if (at < 0 || (function_ && strcmp(function, function_)) || (pattern && fnmatch(pattern, path, 0))) return 0;
  long number = atomic_fetch_add(count, 1);
  if (!(from ? number >= at : number == at)) return 0;
  errno = code;
  return 1;
}

static int refused(const char *function, int folder, const char *path) {
  begin();
  if (!watch || !path) return 0;
  char whole[4200], base[4100] = "";
  if (path[0] != '/') {
    if (folder == AT_FDCWD) { if (!getcwd(base, sizeof base)) return 0; }
    else {
      char link[64];
      snprintf(link, sizeof link, "/proc/self/fd/%d", folder);
      ssize_t size = readlink(link, base, sizeof base - 1);
      if (size < 0) return 0;
      base[size] = 0;
    }
    snprintf(whole, sizeof whole, "%.2000s/%.2000s", base, path);
    path = whole;
  }
  return watched(path) && refuse(function, path);
}

static int refused_file(const char *function, int file) {
  begin();
  if (!watch) return 0;
  char link[64], path[4100];
  snprintf(link, sizeof link, "/proc/self/fd/%d", file);
  int kept = errno;
  ssize_t size = readlink(link, path, sizeof path - 1);
  errno = kept;
  if (size < 0) return 0;
  path[size] = 0;
  return watched(path) && refuse(function, path);
}

#define NEXT(type, name, ...) \
  static type (*next)(__VA_ARGS__); \
  if (!next) next = dlsym(RTLD_NEXT, name)
#define WRITES(flags) (((flags) & O_ACCMODE) != O_RDONLY || ((flags) & O_CREAT))
#define MODE(flags) \
  mode_t mode = 0; \
  if ((flags) & (O_CREAT | O_TMPFILE)) { va_list list; va_start(list, flags); mode = va_arg(list, mode_t); va_end(list); }

int open(const char *path, int flags, ...) {
  NEXT(int, "open", const char *, int, ...);
  MODE(flags)
  return WRITES(flags) && refused("open", AT_FDCWD, path) ? -1 : next(path, flags, mode);
}
int open64(const char *path, int flags, ...) {
  NEXT(int, "open64", const char *, int, ...);
  MODE(flags)
  return WRITES(flags) && refused("open", AT_FDCWD, path) ? -1 : next(path, flags, mode);
}
int openat(int folder, const char *path, int flags, ...) {
  NEXT(int, "openat", int, const char *, int, ...);
  MODE(flags)
  return WRITES(flags) && refused("open", folder, path) ? -1 : next(folder, path, flags, mode);
}
int openat64(int folder, const char *path, int flags, ...) {
  NEXT(int, "openat64", int, const char *, int, ...);
  MODE(flags)
  return WRITES(flags) && refused("open", folder, path) ? -1 : next(folder, path, flags, mode);
}
FILE *fopen(const char *path, const char *mode) {
  NEXT(FILE *, "fopen", const char *, const char *);
  return strpbrk(mode, "wa+") && refused("open", AT_FDCWD, path) ? NULL : next(path, mode);
}
FILE *fopen64(const char *path, const char *mode) {
  NEXT(FILE *, "fopen64", const char *, const char *);
  return strpbrk(mode, "wa+") && refused("open", AT_FDCWD, path) ? NULL : next(path, mode);
}
ssize_t write(int file, const void *data, size_t size) {
  NEXT(ssize_t, "write", int, const void *, size_t);
  return refused_file("write", file) ? -1 : next(file, data, size);
}
ssize_t pwrite(int file, const void *data, size_t size, off_t offset) {
  NEXT(ssize_t, "pwrite", int, const void *, size_t, off_t);
  return refused_file("write", file) ? -1 : next(file, data, size, offset);
}
ssize_t pwrite64(int file, const void *data, size_t size, off64_t offset) {
  NEXT(ssize_t, "pwrite64", int, const void *, size_t, off64_t);
  return refused_file("write", file) ? -1 : next(file, data, size, offset);
}
ssize_t writev(int file, const struct iovec *data, int parts) {
  NEXT(ssize_t, "writev", int, const struct iovec *, int);
  return refused_file("write", file) ? -1 : next(file, data, parts);
}
size_t fwrite(const void *data, size_t size, size_t items, FILE *file) {
  NEXT(size_t, "fwrite", const void *, size_t, size_t, FILE *);
  return refused_file("write", fileno(file)) ? 0 : next(data, size, items, file);
}
ssize_t copy_file_range(int in, off64_t *from_, int out, off64_t *to, size_t size, unsigned flags) {
  NEXT(ssize_t, "copy_file_range", int, off64_t *, int, off64_t *, size_t, unsigned);
  return refused_file("write", out) ? -1 : next(in, from_, out, to, size, flags);
}
ssize_t sendfile(int out, int in, off_t *offset, size_t size) {
  NEXT(ssize_t, "sendfile", int, int, off_t *, size_t);
  return refused_file("write", out) ? -1 : next(out, in, offset, size);
}
ssize_t sendfile64(int out, int in, off64_t *offset, size_t size) {
  NEXT(ssize_t, "sendfile64", int, int, off64_t *, size_t);
  return refused_file("write", out) ? -1 : next(out, in, offset, size);
}
int fsync(int file) {
  NEXT(int, "fsync", int);
  return refused_file("sync", file) ? -1 : next(file);
}
int fdatasync(int file) {
  NEXT(int, "fdatasync", int);
  return refused_file("sync", file) ? -1 : next(file);
}
int ftruncate(int file, off_t size) {
  NEXT(int, "ftruncate", int, off_t);
  return refused_file("cut", file) ? -1 : next(file, size);
}
int ftruncate64(int file, off64_t size) {
  NEXT(int, "ftruncate64", int, off64_t);
  return refused_file("cut", file) ? -1 : next(file, size);
}
int rename(const char *from_, const char *to) {
  NEXT(int, "rename", const char *, const char *);
  return refused("rename", AT_FDCWD, to) ? -1 : next(from_, to);
}
int renameat(int first, const char *from_, int second, const char *to) {
  NEXT(int, "renameat", int, const char *, int, const char *);
  return refused("rename", second, to) ? -1 : next(first, from_, second, to);
}
/* A clock that jumps: every hundredth reading of the date moves it by FAULTS_CLOCK seconds, to and fro. */
int clock_gettime(clockid_t clock, struct timespec *now) {
  NEXT(int, "clock_gettime", clockid_t, struct timespec *);
  static _Atomic long readings;
  int result = next(clock, now);
  const char *jump = clock == CLOCK_REALTIME ? getenv("FAULTS_CLOCK") : NULL;
  if (jump && (atomic_fetch_add(&readings, 1) / 100) % 2) now->tv_sec += atol(jump);
  return result;
}
int mkdir(const char *path, mode_t mode) {
  NEXT(int, "mkdir", const char *, mode_t);
  return refused("mkdir", AT_FDCWD, path) ? -1 : next(path, mode);
}
