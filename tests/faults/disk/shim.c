/* A disk that fails when told, and one that remembers what it was asked to write.
 *
 * Preloaded into a program by the tests, and into nothing else. What is done to files
 * below DISK_ROOT goes through here:
 *
 *   DISK_CONTROL  a file, shared with the test, that says which call is to fail, and how
 *   DISK_LOG      where each change is written down, in order, for whoever plays a power
 *                 cut afterwards; what goes to standard output stands in it as well, so
 *                 that it is known what had been acknowledged when
 *
 * Both may be absent. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/types.h>
#include <unistd.h>

enum { WRITE = 1, SYNC = 2, TRUNCATE = 4, OPEN = 8, UNLINK = 16 };
enum { FAIL = 0, SHORT = 1, LIE = 2 };

/* The same in shim.py. */
struct control {
    int32_t calls;   /* which: WRITE | SYNC | ... */
    int32_t how;     /* FAIL, SHORT: a part is written first, LIE: done, but said so */
    int32_t error;   /* errno */
    int32_t skip;    /* so many go well before */
    int32_t times;   /* so many fail; -1: all from then on */
    int32_t hits;    /* so many have failed */
    char match[104]; /* of files whose path ends so */
};

#define FILES 65536
#define REAL(name) ((__typeof__(&name))real(#name))

static pthread_mutex_t lock = PTHREAD_RECURSIVE_MUTEX_INITIALIZER_NP;
static volatile struct control *control;
static const char *root;
static int record = -1;
static char *paths[FILES]; /* of open files below the root */

static void *real(const char *name) {
    return dlsym(RTLD_NEXT, name);
}

__attribute__((constructor)) static void begin(void) {
    int fd;
    const char *path = getenv("DISK_CONTROL");
    root = getenv("DISK_ROOT");
    if (path && (fd = REAL(open)(path, O_RDWR | O_CLOEXEC)) >= 0) {
        control = mmap(NULL, sizeof *control, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
        REAL(close)(fd);
        if (control == MAP_FAILED) control = NULL;
    }
    if ((path = getenv("DISK_LOG")))
        record = REAL(open)(path, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0600);
}

static int below(const char *path) {
    size_t length;
    return root && path && strncmp(path, root, length = strlen(root)) == 0 &&
           (path[length] == '/' || path[length] == 0);
}

/* One record: what, path, another path or the content, and a number. */
static void note(char what, const char *path, const void *more, size_t size,
                 int64_t number) {
    struct { uint32_t path, more; int64_t number; char what, pad[7]; } head;
    struct iovec { void *base; size_t size; };
    char *all;
    if (record < 0) return;
    memset(&head, 0, sizeof head);
    head.what = what;
    head.path = strlen(path);
    head.more = size;
    head.number = number;
    if (!(all = malloc(sizeof head + head.path + size))) abort();
    memcpy(all, &head, sizeof head);
    memcpy(all + sizeof head, path, head.path);
    if (size) memcpy(all + sizeof head + head.path, more, size);
    size += sizeof head + head.path;
    if (REAL(write)(record, all, size) != (ssize_t)size) abort();
    free(all);
}

static int ends(const char *path, const char *with) {
    size_t a = strlen(path), b = strlen(with);
    return a >= b && memcmp(path + a - b, with, b) == 0;
}

static int fails(int call, const char *path) {
    volatile struct control *c = control;
    if (!c || !(c->calls & call) || !ends(path, (const char *)c->match)) return 0;
    if (c->skip > 0) { c->skip--; return 0; }
    if (c->times == 0) return 0;
    if (c->times > 0) c->times--;
    c->hits++;
    return 1;
}

static const char *path_of(int fd) {
    return fd >= 0 && fd < FILES ? paths[fd] : NULL;
}

/* --- opening and closing */

static int opened(int fd, const char *path, int flags, int existed) {
    if (fd >= 0 && fd < FILES) {
        free(paths[fd]);
        paths[fd] = strdup(path);
        if (!existed) note('C', path, NULL, 0, 0);
        else if (flags & O_TRUNC) note('T', path, NULL, 0, 0);
    }
    return fd;
}

#define OPENS(name)                                                            \
    int name(const char *path, int flags, ...) {                               \
        va_list rest;                                                          \
        mode_t mode;                                                           \
        int fd, existed;                                                       \
        va_start(rest, flags);                                                 \
        mode = va_arg(rest, mode_t);                                           \
        va_end(rest);                                                          \
        if (!below(path)) return REAL(name)(path, flags, mode);                \
        pthread_mutex_lock(&lock);                                             \
        existed = access(path, F_OK) == 0;                                     \
        if ((flags & (O_WRONLY | O_RDWR)) && fails(OPEN, path)) {              \
            errno = control->error;                                            \
            fd = -1;                                                           \
        } else                                                                 \
            fd = opened(REAL(name)(path, flags, mode), path, flags, existed);  \
        pthread_mutex_unlock(&lock);                                           \
        return fd;                                                             \
    }
OPENS(open)
OPENS(open64)

int openat64(int folder, const char *path, int flags, ...) {
    va_list rest;
    va_start(rest, flags);
    mode_t mode = va_arg(rest, mode_t);
    va_end(rest);
    if (path[0] == '/') return open64(path, flags, mode);
    return REAL(openat64)(folder, path, flags, mode);
}

int openat(int folder, const char *path, int flags, ...) {
    va_list rest;
    va_start(rest, flags);
    mode_t mode = va_arg(rest, mode_t);
    va_end(rest);
    if (path[0] == '/') return open(path, flags, mode);
    return REAL(openat)(folder, path, flags, mode);
}

int close(int fd) {
    if (path_of(fd)) {
        pthread_mutex_lock(&lock);
        free(paths[fd]);
        paths[fd] = NULL;
        pthread_mutex_unlock(&lock);
    }
    return REAL(close)(fd);
}

/* --- changing */

static ssize_t put(int fd, const void *data, size_t size, off64_t at) {
    const char *path = paths[fd];
    ssize_t done;
    pthread_mutex_lock(&lock);
    if (fails(WRITE, path)) {
        if (control->how == SHORT && size > 1) {
            done = REAL(pwrite64)(fd, data, size / 2, at);
            if (done > 0) note('W', path, data, done, at);
        } else {
            errno = control->error;
            done = -1;
        }
    } else {
        done = REAL(pwrite64)(fd, data, size, at);
        if (done > 0) note('W', path, data, done, at);
    }
    pthread_mutex_unlock(&lock);
    return done;
}

ssize_t pwrite64(int fd, const void *data, size_t size, off64_t at) {
    return path_of(fd) ? put(fd, data, size, at) : REAL(pwrite64)(fd, data, size, at);
}

ssize_t pwrite(int fd, const void *data, size_t size, off_t at) {
    return path_of(fd) ? put(fd, data, size, at) : REAL(pwrite)(fd, data, size, at);
}

ssize_t write(int fd, const void *data, size_t size) {
    ssize_t done;
    if (path_of(fd)) {
        off64_t at = lseek64(fd, 0, SEEK_CUR);
        done = put(fd, data, size, at);
        if (done > 0) lseek64(fd, at + done, SEEK_SET);
        return done;
    }
    if (fd != 1 || record < 0) return REAL(write)(fd, data, size);
    /* Under the lock: what it says was true before it is said. */
    pthread_mutex_lock(&lock);
    note('A', "", data, size, 0);
    pthread_mutex_unlock(&lock);
    return REAL(write)(fd, data, size);
}

static int sync_to_disk(int fd) {
    const char *path = paths[fd];
    int failed = 0;
    pthread_mutex_lock(&lock);
    if (fails(SYNC, path)) {
        if (control->how != LIE) {
            note('F', path, NULL, 0, 0);
            errno = control->error;
            failed = -1;
        }
    } else if (record < 0) /* who plays the power cut needs no real disk */
        failed = REAL(fdatasync)(fd);
    else
        note('S', path, NULL, 0, 0);
    pthread_mutex_unlock(&lock);
    return failed;
}

int fsync(int fd) {
    return path_of(fd) ? sync_to_disk(fd) : REAL(fsync)(fd);
}

int fdatasync(int fd) {
    return path_of(fd) ? sync_to_disk(fd) : REAL(fdatasync)(fd);
}

static int cut(int fd, off64_t size) {
    const char *path = paths[fd];
    int failed;
    pthread_mutex_lock(&lock);
    if (fails(TRUNCATE, path)) {
        errno = control->error;
        failed = -1;
    } else if ((failed = REAL(ftruncate64)(fd, size)) == 0)
        note('T', path, NULL, 0, size);
    pthread_mutex_unlock(&lock);
    return failed;
}

int ftruncate64(int fd, off64_t size) {
    return path_of(fd) ? cut(fd, size) : REAL(ftruncate64)(fd, size);
}

int ftruncate(int fd, off_t size) {
    return path_of(fd) ? cut(fd, size) : REAL(ftruncate)(fd, size);
}

/* --- names */

int unlink(const char *path) {
    int failed;
    if (!below(path)) return REAL(unlink)(path);
    pthread_mutex_lock(&lock);
    if (fails(UNLINK, path)) {
        errno = control->error;
        failed = -1;
    } else if ((failed = REAL(unlink)(path)) == 0)
        note('U', path, NULL, 0, 0);
    pthread_mutex_unlock(&lock);
    return failed;
}

int rename(const char *path, const char *name) {
    int failed;
    if (!below(path)) return REAL(rename)(path, name);
    pthread_mutex_lock(&lock);
    if ((failed = REAL(rename)(path, name)) == 0)
        note('R', path, name, strlen(name), 0);
    pthread_mutex_unlock(&lock);
    return failed;
}

int link(const char *path, const char *name) {
    int failed;
    if (!below(path)) return REAL(link)(path, name);
    pthread_mutex_lock(&lock);
    if ((failed = REAL(link)(path, name)) == 0)
        note('L', path, name, strlen(name), 0);
    pthread_mutex_unlock(&lock);
    return failed;
}

int mkdir(const char *path, mode_t mode) {
    int failed;
    if (!below(path)) return REAL(mkdir)(path, mode);
    pthread_mutex_lock(&lock);
    if ((failed = REAL(mkdir)(path, mode)) == 0) note('M', path, NULL, 0, 0);
    pthread_mutex_unlock(&lock);
    return failed;
}
