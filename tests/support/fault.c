/* A library to preload: one process of a job meets an error, or a signal, at its n-th call of a kind; and calls are counted, or written down.

   FAULT        what happens: an errno's name (ENOSPC: the call isn't made), a signal's (SIGKILL, SIGSTOP: raised before the call),
                HANG: the call never returns, or SHORT: it reads or writes a part of what it was asked for, as it may
   FAULT_CALL   the calls that it happens to, with commas: open close read write fsync rename unlink truncate allocate mkdir list stat lock
                (fcntl's) flock mmap. "read" is every call that reads (pread, readv, preadv, aio_read, …), and likewise the others
   FAULT_PATH   only where the path has this in it: the words of an open, the system's own name of a file that is open
   FAULT_NTH    which of these calls, from 1 on: "3", or "3+" for the third and all behind it (default "1+")
   FAULT_RANK   only in this rank of MPI's; without it in each one, but not in mpirun
   FAULT_MET    this file is there as soon as it has happened to some process
   NO_LOCKS     if set: fcntl says that there are none (ENOLCK), whatever else happens
   COUNT_FILE   where the counts are written when a process ends, with ".RANK" behind it: a line "call count bytes path" a file
   COUNT_PATH   only files with this in their path
   TRACE_FILE   where the calls that matter for what is on the disk are written down in their order, those of all processes: a line
                "rank thread call path" for each write, rename (path: the new name), unlink and fsync as it begins, and "fsynced" as it ends
   TRACE_PATH   only files with this in their path */
#define _GNU_SOURCE
#include <aio.h>
#include <dirent.h>
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

struct count {
  const char* call;
  char* path;
  long calls, bytes;
  struct count* next;
};

static struct count* counts[1024];
static long met;   /* calls that FAULT_CALL and FAULT_PATH name, so far */
static int at_work;
static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
static __thread char name[4096];
static __thread int to_shorten;   /* the call that fails() has just looked at is to move less than it was asked to */

static const char* setting(const char* key, const char* otherwise) {
  const char* value = getenv(key);
  return value != NULL ? value : otherwise;
}

static const char* rank(void) { return setting("OMPI_COMM_WORLD_RANK", "0"); }

__attribute__((constructor)) static void begin(void) { at_work = strncmp(program_invocation_short_name, "mpirun", 6) != 0; }

/* The path of an open file. */
static const char* path_of(int file) {
  char link[64];
  snprintf(link, sizeof link, "/proc/self/fd/%d", file);
  const ssize_t size = readlink(link, name, sizeof name - 1);
  name[size > 0 ? size : 0] = 0;
  return name;
}

static void count(const char* call, const char* path, long calls, long bytes) {
  if (!at_work || getenv("COUNT_FILE") == NULL || strstr(path, setting("COUNT_PATH", "")) == NULL) return;
  const int error = errno;
  unsigned key = 5381;
  for (const char* c = path; *c != 0; ++c) key = 33 * key + (unsigned char)*c;
  pthread_mutex_lock(&mutex);
  struct count** place = &counts[key % 1024];
  while (*place != NULL && ((*place)->call != call || strcmp((*place)->path, path) != 0)) place = &(*place)->next;
  if (*place == NULL) {
    *place = calloc(1, sizeof **place);
    (*place)->call = call;
    (*place)->path = strdup(path);
  }
  (*place)->calls += calls;
  (*place)->bytes += bytes > 0 ? bytes : 0;
  pthread_mutex_unlock(&mutex);
  errno = error;
}

__attribute__((destructor)) static void end(void) {
  if (!at_work || getenv("COUNT_FILE") == NULL) return;
  char path[4096];
  snprintf(path, sizeof path, "%s.%s", getenv("COUNT_FILE"), rank());
  at_work = 0;
  FILE* out = fopen(path, "w");
  if (out == NULL) return;
  for (int i = 0; i < 1024; ++i)
    for (struct count* c = counts[i]; c != NULL; c = c->next) fprintf(out, "%s %ld %ld %s\n", c->call, c->calls, c->bytes, c->path);
  fclose(out);
}

static int is_in(const char* word, const char* list) {
  const size_t size = strlen(word);
  for (const char* at = list; (at = strstr(at, word)) != NULL; at += size)
    if ((at == list || at[-1] == ',') && (at[size] == ',' || at[size] == 0)) return 1;
  return 0;
}

static int number_of(const char* word, const char* (*name_of)(int), size_t skipped) {
  for (int number = 1; number < 200; ++number) {
    const char* known = name_of(number);
    if (known != NULL && strcmp(known, word + skipped) == 0) return number;
  }
  fprintf(stderr, "fault.c: FAULT=%s is neither an errno nor a signal\n", word);
  _exit(99);
}

static void trace(const char* call, const char* path) {
  if (!at_work || getenv("TRACE_FILE") == NULL || strstr(path, setting("TRACE_PATH", "")) == NULL || !is_in(call, "write,rename,unlink,fsync,fsynced"))
    return;
  const int error = errno;
  char line[4300];
  const int size = snprintf(line, sizeof line, "%s %ld %s %s\n", rank(), syscall(SYS_gettid), call, path);
  const long file = syscall(SYS_openat, AT_FDCWD, getenv("TRACE_FILE"), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0644);
  if (file >= 0 && syscall(SYS_write, file, line, (size_t)size) == size) syscall(SYS_close, file);
  else _exit(98);
  errno = error;
}

static void note_fault(void) {
  const char* const path = getenv("FAULT_MET");
  const long file = path == NULL ? -1 : syscall(SYS_openat, AT_FDCWD, path, O_WRONLY | O_CREAT | O_CLOEXEC, 0644);
  if (file >= 0) syscall(SYS_close, file);
}

/* Counts the call; true, with errno set, where it is to fail. */
static int fails(const char* call, const char* path) {
  to_shorten = 0;
  count(call, path, 1, 0);
  trace(call, path);
  const char* const fault = getenv("FAULT");
  if (!at_work || fault == NULL || !is_in(call, setting("FAULT_CALL", "")) || strstr(path, setting("FAULT_PATH", "")) == NULL) return 0;
  if (strcmp(setting("FAULT_RANK", rank()), rank()) != 0) return 0;
  const char* const nth = setting("FAULT_NTH", "1+");
  const long now = __atomic_add_fetch(&met, 1, __ATOMIC_SEQ_CST), wanted = atol(nth);
  if (now < wanted || (now > wanted && strchr(nth, '+') == NULL)) return 0;
  note_fault();
  if (strncmp(fault, "SIG", 3) == 0) {
    const int error = errno;
    raise(number_of(fault, sigabbrev_np, 3));
    errno = error;
    return 0;
  }
  while (strcmp(fault, "HANG") == 0) pause();
  if (strcmp(fault, "SHORT") == 0) return to_shorten = 1, 0;
  errno = number_of(fault, strerrorname_np, 0);
  return 1;
}

/* A function of the C library, with this one before it. `moved` are the bytes that it has read or written. */
#define REPLACE(type, function, parameters, arguments, call, path, failed, moved)    \
  type function parameters {                                                         \
    if (fails(call, path)) return failed;                                            \
    type result = ((type(*) parameters)dlsym(RTLD_NEXT, #function)) arguments; \
    if (moved > 0) count(call, path, 0, moved);                                      \
    return result;                                                                   \
  }
#define BY_PATH(type, function, parameters, arguments, call, path, failed) REPLACE(type, function, parameters, arguments, call, path, failed, 0)
#define BY_FILE(type, function, parameters, arguments, call) REPLACE(type, function, parameters, arguments, call, path_of(file), -1, 0)
#define TRANSFER(function, parameters, arguments, call)                                   \
  ssize_t function parameters {                                                           \
    if (fails(call, path_of(file))) return -1;                                            \
    if (to_shorten) size = (size + 1) / 2;                                                \
    const ssize_t result = ((ssize_t(*) parameters)dlsym(RTLD_NEXT, #function)) arguments; \
    if (result > 0) count(call, path_of(file), 0, (long)result);                          \
    return result;                                                                        \
  }
/* Of several parts the last one is shortened. */
#define VECTORED(function, parameters, arguments, call)                                   \
  ssize_t function parameters {                                                           \
    if (fails(call, path_of(file))) return -1;                                            \
    struct iovec shorter[size > 0 ? size : 1];                                            \
    if (to_shorten && size > 0) {                                                         \
      memcpy(shorter, parts, sizeof shorter);                                             \
      shorter[size - 1].iov_len = (shorter[size - 1].iov_len + 1) / 2;                    \
      parts = shorter;                                                                    \
    }                                                                                     \
    const ssize_t result = ((ssize_t(*) parameters)dlsym(RTLD_NEXT, #function)) arguments; \
    if (result > 0) count(call, path_of(file), 0, (long)result);                          \
    return result;                                                                        \
  }
#define SYNCHRONISE(function, parameters, arguments)                                       \
  int function parameters {                                                               \
    if (fails("fsync", path_of(file))) return -1;                                         \
    const int result = ((int(*) parameters)dlsym(RTLD_NEXT, #function)) arguments;         \
    if (result == 0) trace("fsynced", path_of(file));                                     \
    return result;                                                                        \
  }
#define ASYNCHRONOUS(function, control, call)                                                                        \
  REPLACE(int, function, (struct control * block), (block), call, path_of(block->aio_fildes), -1, (long)block->aio_nbytes)

#define OPEN(function)                                                                        \
  int function(const char* path, int flags, ...) {                                            \
    va_list rest;                                                                             \
    va_start(rest, flags);                                                                    \
    const mode_t mode = va_arg(rest, mode_t);                                                 \
    va_end(rest);                                                                             \
    if (fails("open", path)) return -1;                                                       \
    return ((int (*)(const char*, int, ...))dlsym(RTLD_NEXT, #function))(path, flags, mode);  \
  }
OPEN(open)
OPEN(open64)
#define OPENAT(function)                                                                                \
  int function(int folder, const char* path, int flags, ...) {                                          \
    va_list rest;                                                                                       \
    va_start(rest, flags);                                                                              \
    const mode_t mode = va_arg(rest, mode_t);                                                           \
    va_end(rest);                                                                                       \
    if (fails("open", path)) return -1;                                                                 \
    return ((int (*)(int, const char*, int, ...))dlsym(RTLD_NEXT, #function))(folder, path, flags, mode); \
  }
OPENAT(openat)
OPENAT(openat64)
BY_PATH(int, __open_2, (const char* path, int flags), (path, flags), "open", path, -1)
BY_PATH(int, __open64_2, (const char* path, int flags), (path, flags), "open", path, -1)
BY_PATH(int, creat, (const char* path, mode_t mode), (path, mode), "open", path, -1)
BY_PATH(FILE*, fopen, (const char* path, const char* mode), (path, mode), "open", path, NULL)
BY_PATH(FILE*, fopen64, (const char* path, const char* mode), (path, mode), "open", path, NULL)
BY_FILE(int, close, (int file), (file), "close")

TRANSFER(read, (int file, void* to, size_t size), (file, to, size), "read")
TRANSFER(pread, (int file, void* to, size_t size, off_t at), (file, to, size, at), "read")
TRANSFER(pread64, (int file, void* to, size_t size, off64_t at), (file, to, size, at), "read")
VECTORED(readv, (int file, const struct iovec* parts, int size), (file, parts, size), "read")
VECTORED(preadv, (int file, const struct iovec* parts, int size, off_t at), (file, parts, size, at), "read")
VECTORED(preadv64, (int file, const struct iovec* parts, int size, off64_t at), (file, parts, size, at), "read")
TRANSFER(__read_chk, (int file, void* to, size_t size, size_t room), (file, to, size, room), "read")
TRANSFER(__pread_chk, (int file, void* to, size_t size, off_t at, size_t room), (file, to, size, at, room), "read")
TRANSFER(__pread64_chk, (int file, void* to, size_t size, off64_t at, size_t room), (file, to, size, at, room), "read")
TRANSFER(write, (int file, const void* from, size_t size), (file, from, size), "write")
TRANSFER(pwrite, (int file, const void* from, size_t size, off_t at), (file, from, size, at), "write")
TRANSFER(pwrite64, (int file, const void* from, size_t size, off64_t at), (file, from, size, at), "write")
VECTORED(writev, (int file, const struct iovec* parts, int size), (file, parts, size), "write")
VECTORED(pwritev, (int file, const struct iovec* parts, int size, off_t at), (file, parts, size, at), "write")
VECTORED(pwritev64, (int file, const struct iovec* parts, int size, off64_t at), (file, parts, size, at), "write")
ASYNCHRONOUS(aio_read, aiocb, "read")
ASYNCHRONOUS(aio_read64, aiocb64, "read")
ASYNCHRONOUS(aio_write, aiocb, "write")
ASYNCHRONOUS(aio_write64, aiocb64, "write")

SYNCHRONISE(fsync, (int file), (file))
SYNCHRONISE(fdatasync, (int file), (file))
BY_FILE(int, sync_file_range, (int file, off64_t at, off64_t size, unsigned flags), (file, at, size, flags), "fsync")
BY_FILE(int, ftruncate, (int file, off_t size), (file, size), "truncate")
BY_FILE(int, ftruncate64, (int file, off64_t size), (file, size), "truncate")
BY_FILE(int, fallocate, (int file, int mode, off_t at, off_t size), (file, mode, at, size), "allocate")
BY_FILE(int, fallocate64, (int file, int mode, off64_t at, off64_t size), (file, mode, at, size), "allocate")
BY_FILE(int, flock, (int file, int operation), (file, operation), "flock")
BY_PATH(int, rename, (const char* from, const char* to), (from, to), "rename", to, -1)
BY_PATH(int, unlink, (const char* path), (path), "unlink", path, -1)
BY_PATH(int, remove, (const char* path), (path), "unlink", path, -1)
BY_PATH(int, mkdir, (const char* path, mode_t mode), (path, mode), "mkdir", path, -1)
BY_PATH(DIR*, opendir, (const char* path), (path), "list", path, NULL)
BY_PATH(int, stat, (const char* path, struct stat* out), (path, out), "stat", path, -1)
BY_PATH(int, lstat, (const char* path, struct stat* out), (path, out), "stat", path, -1)
BY_FILE(int, fstat, (int file, struct stat* out), (file, out), "stat")
BY_PATH(int, stat64, (const char* path, struct stat64* out), (path, out), "stat", path, -1)
BY_PATH(int, lstat64, (const char* path, struct stat64* out), (path, out), "stat", path, -1)
BY_FILE(int, fstat64, (int file, struct stat64* out), (file, out), "stat")

/* A map of no file is nobody's business: the allocator makes them. */
#define MAP(function, place)                                                                                           \
  void* function(void* at, size_t size, int protection, int flags, int file, place offset) {                           \
    if (file >= 0 && fails("mmap", path_of(file))) return MAP_FAILED;                                                  \
    return ((void* (*)(void*, size_t, int, int, int, place))dlsym(RTLD_NEXT, #function))(at, size, protection, flags, file, offset); \
  }
MAP(mmap, off_t)
MAP(mmap64, off64_t)

static int is_lock(int command) {
  return command == F_SETLK || command == F_SETLKW || command == F_GETLK || command == F_OFD_SETLK || command == F_OFD_SETLKW ||
         command == F_OFD_GETLK;
}
#define FCNTL(function)                                                                            \
  int function(int file, int command, ...) {                                                       \
    va_list rest;                                                                                  \
    va_start(rest, command);                                                                       \
    void* argument = va_arg(rest, void*);                                                          \
    va_end(rest);                                                                                  \
    if (is_lock(command) && getenv("NO_LOCKS") != NULL) return errno = ENOLCK, -1;                  \
    if (is_lock(command) && fails("lock", path_of(file))) return -1;                               \
    return ((int (*)(int, int, ...))dlsym(RTLD_NEXT, #function))(file, command, argument);         \
  }
FCNTL(fcntl)
FCNTL(fcntl64)
