/* Records what a program does to the files below a folder, and what it answers, in the order of both.
 *
 * Preloaded into a program: RECORDER_ROOT is the folder, RECORDER_LOG the file that is appended to. A record is its kind
 * (1 byte), two numbers (u64, u64), the length of what follows (u32), all little-endian, and what follows:
 *
 *   o  a file or folder was opened or made      handle, 1 made | 2 emptied, path
 *   w  bytes were written                       handle, offset, the bytes
 *   t  a file has another size                  handle, size
 *   f  a file has at least this size            handle, size
 *   s  a sync of a file or folder begins        handle, its number
 *   S  it has ended well                        handle, its number
 *   r  a name was changed                       -, -, from NUL to
 *   l  a name was added to a file               -, -, from NUL to
 *   u  a name was removed                       -, -, path
 *   m  a folder was made                        -, -, path
 *   a  bytes are about to be sent: on a socket, or on standard output where that is a pipe
 *
 * Each change is made and recorded under one lock; a sync is not, so that writes go on meanwhile as they do. What is sent
 * is recorded before it is sent: whatever it acknowledges has to be durable by what was recorded before. */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

#define FDS 65536

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_once_t once = PTHREAD_ONCE_INIT;
static int log_fd = -1;
static char root[PATH_MAX];
static uint64_t handles[FDS];
static uint64_t next_handle;
static uint64_t next_sync;

static void begin(void) {
    const char *folder = getenv("RECORDER_ROOT"), *log = getenv("RECORDER_LOG");
    if (folder == NULL || log == NULL)
        return;
    snprintf(root, sizeof root, "%s", folder);
    /* Of this process alone, over several that use one log. */
    next_handle = next_sync = (uint64_t)getpid() << 32;
    int fd = (int)syscall(SYS_openat, AT_FDCWD, log, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
    /* Out of the way of those that the program opens and closes. */
    log_fd = (int)syscall(SYS_fcntl, fd, F_DUPFD_CLOEXEC, 60000);
    if (log_fd < 0)
        log_fd = (int)syscall(SYS_fcntl, fd, F_DUPFD_CLOEXEC, 900);
    syscall(SYS_close, fd);
}

static int is_on(void) {
    pthread_once(&once, begin);
    return log_fd >= 0;
}

static void record(char kind, uint64_t a, uint64_t b, const struct iovec *parts, int count, size_t length) {
    unsigned char head[21];
    uint32_t n = (uint32_t)length;
    head[0] = (unsigned char)kind;
    memcpy(head + 1, &a, 8);
    memcpy(head + 9, &b, 8);
    memcpy(head + 17, &n, 4);
    struct iovec all[64] = {{head, sizeof head}};
    int used = 1;
    size_t left = length;
    for (int at = 0; at < count && left > 0 && used < 64; at++) {
        size_t some = parts[at].iov_len < left ? parts[at].iov_len : left;
        all[used].iov_base = parts[at].iov_base;
        all[used++].iov_len = some;
        left -= some;
    }
    ssize_t written = syscall(SYS_writev, log_fd, all, used);
    if (left > 0 || written != (ssize_t)(sizeof head + length)) {
        static const char cause[] = "the recorder cannot record\n";
        syscall(SYS_write, 2, cause, sizeof cause - 1);
        _exit(86);
    }
}

static void record_one(char kind, uint64_t a, uint64_t b, const void *bytes, size_t length) {
    struct iovec part = {(void *)bytes, length};
    record(kind, a, b, &part, 1, length);
}

/* The whole path of a name, where it is below the folder or the folder itself. */
static int path_of(int folder, const char *name, char *whole) {
    if (name == NULL || !is_on())
        return 0;
    if (name[0] == '/') {
        snprintf(whole, PATH_MAX, "%s", name);
    } else {
        char base[PATH_MAX], link[64];
        ssize_t length;
        if (folder == AT_FDCWD) {
            length = syscall(SYS_getcwd, base, sizeof base) < 0 ? -1 : (ssize_t)strlen(base);
        } else {
            snprintf(link, sizeof link, "/proc/self/fd/%d", folder);
            length = readlink(link, base, sizeof base - 1);
        }
        if (length < 0)
            return 0;
        base[length] = 0;
        snprintf(whole, PATH_MAX, "%.2000s/%.2000s", base, name);
    }
    size_t length = strlen(root), end = strlen(whole);
    while (end > 1 && whole[end - 1] == '/')
        whole[--end] = 0;
    return strncmp(whole, root, length) == 0 && (whole[length] == 0 || whole[length] == '/');
}

static uint64_t handle_of(int fd) { return fd >= 0 && fd < FDS && is_on() ? handles[fd] : 0; }

/* Files and folders are opened. */

static int open_recorded(int folder, const char *name, int flags, mode_t mode) {
    char whole[PATH_MAX];
    int is_ours = path_of(folder, name, whole) && !(flags & O_PATH);
    if (!is_ours)
        return (int)syscall(SYS_openat, folder, name, flags | O_LARGEFILE, mode);
    pthread_mutex_lock(&lock);
    int was_there = syscall(SYS_faccessat, folder, name, F_OK) == 0;
    int fd = (int)syscall(SYS_openat, folder, name, flags | O_LARGEFILE, mode);
    int cause = errno;
    if (fd >= 0 && fd < FDS) {
        uint64_t what = (was_there ? 0 : 1) | ((flags & O_TRUNC) && was_there ? 2 : 0);
        handles[fd] = ++next_handle;
        record_one('o', handles[fd], what, whole, strlen(whole));
    }
    pthread_mutex_unlock(&lock);
    errno = cause;
    return fd;
}

static mode_t mode_of(int flags, va_list rest) {
    return flags & (O_CREAT | (O_TMPFILE & ~O_DIRECTORY)) ? (mode_t)va_arg(rest, int) : 0;
}

#define OPEN(name)                                                                                                     \
    int name(const char *path, int flags, ...) {                                                                       \
        va_list rest;                                                                                                  \
        va_start(rest, flags);                                                                                         \
        mode_t mode = mode_of(flags, rest);                                                                            \
        va_end(rest);                                                                                                  \
        return open_recorded(AT_FDCWD, path, flags, mode);                                                             \
    }
#define OPENAT(name)                                                                                                   \
    int name(int folder, const char *path, int flags, ...) {                                                           \
        va_list rest;                                                                                                  \
        va_start(rest, flags);                                                                                         \
        mode_t mode = mode_of(flags, rest);                                                                            \
        va_end(rest);                                                                                                  \
        return open_recorded(folder, path, flags, mode);                                                               \
    }
OPEN(open)
OPEN(open64)
OPENAT(openat)
OPENAT(openat64)

int close(int fd) {
    if (handle_of(fd) == 0)
        return (int)syscall(SYS_close, fd);
    pthread_mutex_lock(&lock);
    handles[fd] = 0;
    int done = (int)syscall(SYS_close, fd);
    pthread_mutex_unlock(&lock);
    return done;
}

int fcntl64(int fd, int command, ...) {
    va_list rest;
    va_start(rest, command);
    long argument = va_arg(rest, long);
    va_end(rest);
    int done = (int)syscall(SYS_fcntl, fd, command, argument);
    if ((command == F_DUPFD || command == F_DUPFD_CLOEXEC) && done >= 0 && done < FDS && handle_of(fd) != 0)
        handles[done] = handles[fd];
    return done;
}

int fcntl(int fd, int command, ...) {
    va_list rest;
    va_start(rest, command);
    long argument = va_arg(rest, long);
    va_end(rest);
    return fcntl64(fd, command, argument);
}

/* Bytes are written, or sent. */

static int is_sent_on(int fd) {
    struct stat known;
    if (!is_on() || fstat(fd, &known) != 0)
        return 0;
    return S_ISSOCK(known.st_mode) || (fd == 1 && S_ISFIFO(known.st_mode));
}

static size_t length_of(const struct iovec *parts, int count) {
    size_t length = 0;
    for (int at = 0; at < count; at++)
        length += parts[at].iov_len;
    return length;
}

static void record_sent(const struct iovec *parts, int count) {
    int cause = errno;
    pthread_mutex_lock(&lock);
    record('a', 0, 0, parts, count, length_of(parts, count));
    pthread_mutex_unlock(&lock);
    errno = cause;
}

static ssize_t written(int fd, const struct iovec *parts, int count, off64_t offset) {
    uint64_t handle = handle_of(fd);
    if (handle == 0 && offset < 0 && is_sent_on(fd))
        record_sent(parts, count);
    if (handle != 0)
        pthread_mutex_lock(&lock);
    ssize_t done = offset < 0 ? syscall(SYS_writev, fd, parts, count)
                              : syscall(SYS_pwritev, fd, parts, count, offset, 0);
    if (handle != 0) {
        int cause = errno;
        if (done > 0) {
            off64_t at = offset < 0 ? syscall(SYS_lseek, fd, 0, SEEK_CUR) - done : offset;
            record('w', handle, (uint64_t)at, parts, count, (size_t)done);
        }
        pthread_mutex_unlock(&lock);
        errno = cause;
    }
    return done;
}

ssize_t write(int fd, const void *bytes, size_t length) {
    struct iovec part = {(void *)bytes, length};
    return written(fd, &part, 1, -1);
}

ssize_t writev(int fd, const struct iovec *parts, int count) { return written(fd, parts, count, -1); }

ssize_t pwrite64(int fd, const void *bytes, size_t length, off64_t offset) {
    struct iovec part = {(void *)bytes, length};
    return written(fd, &part, 1, offset);
}

ssize_t pwrite(int fd, const void *bytes, size_t length, off_t offset) { return pwrite64(fd, bytes, length, offset); }

ssize_t pwritev64(int fd, const struct iovec *parts, int count, off64_t offset) {
    return written(fd, parts, count, offset);
}

ssize_t pwritev(int fd, const struct iovec *parts, int count, off_t offset) { return written(fd, parts, count, offset); }

ssize_t send(int fd, const void *bytes, size_t length, int flags) {
    struct iovec part = {(void *)bytes, length};
    if (is_sent_on(fd))
        record_sent(&part, 1);
    return syscall(SYS_sendto, fd, bytes, length, flags, NULL, 0);
}

ssize_t sendmsg(int fd, const struct msghdr *message, int flags) {
    if (is_sent_on(fd))
        record_sent(message->msg_iov, (int)message->msg_iovlen);
    return syscall(SYS_sendmsg, fd, message, flags);
}

/* Copies within the kernel are refused, so that what they write is seen: the program copies in another way then. */

ssize_t copy_file_range(int from, off64_t *from_at, int to, off64_t *to_at, size_t length, unsigned flags) {
    if (handle_of(to) != 0) {
        errno = ENOSYS;
        return -1;
    }
    return syscall(SYS_copy_file_range, from, from_at, to, to_at, length, flags);
}

ssize_t sendfile64(int to, int from, off64_t *at, size_t length) {
    if (handle_of(to) != 0) {
        errno = ENOSYS;
        return -1;
    }
    return syscall(SYS_sendfile, to, from, at, length);
}

ssize_t sendfile(int to, int from, off_t *at, size_t length) { return sendfile64(to, from, at, length); }

/* Sizes. */

int ftruncate64(int fd, off64_t size) {
    uint64_t handle = handle_of(fd);
    if (handle == 0)
        return (int)syscall(SYS_ftruncate, fd, size);
    pthread_mutex_lock(&lock);
    int done = (int)syscall(SYS_ftruncate, fd, size);
    if (done == 0)
        record('t', handle, (uint64_t)size, NULL, 0, 0);
    pthread_mutex_unlock(&lock);
    return done;
}

int ftruncate(int fd, off_t size) { return ftruncate64(fd, size); }

int fallocate64(int fd, int mode, off64_t offset, off64_t length) {
    uint64_t handle = handle_of(fd);
    if (handle != 0 && mode != 0) {
        errno = EOPNOTSUPP;
        return -1;
    }
    if (handle == 0)
        return (int)syscall(SYS_fallocate, fd, mode, offset, length);
    pthread_mutex_lock(&lock);
    int done = (int)syscall(SYS_fallocate, fd, mode, offset, length);
    if (done == 0)
        record('f', handle, (uint64_t)(offset + length), NULL, 0, 0);
    pthread_mutex_unlock(&lock);
    return done;
}

int fallocate(int fd, int mode, off_t offset, off_t length) { return fallocate64(fd, mode, offset, length); }

int posix_fallocate64(int fd, off64_t offset, off64_t length) {
    return fallocate64(fd, 0, offset, length) == 0 ? 0 : errno;
}

int posix_fallocate(int fd, off_t offset, off_t length) { return posix_fallocate64(fd, offset, length); }

/* Syncs. That of a range promises nothing about what a power cut leaves, and is not recorded. */

static int synced(int fd, long call) {
    uint64_t handle = handle_of(fd), number = 0;
    if (handle != 0) {
        pthread_mutex_lock(&lock);
        number = ++next_sync;
        record('s', handle, number, NULL, 0, 0);
        pthread_mutex_unlock(&lock);
    }
    int done = (int)syscall(call, fd);
    if (handle != 0 && done == 0) {
        pthread_mutex_lock(&lock);
        record('S', handle, number, NULL, 0, 0);
        pthread_mutex_unlock(&lock);
    }
    return done;
}

int fsync(int fd) { return synced(fd, SYS_fsync); }

int fdatasync(int fd) { return synced(fd, SYS_fdatasync); }

/* Names. */

static int two_names(char kind, long call, int from_folder, const char *from, int to_folder, const char *to,
                     unsigned flags) {
    char both[2 * PATH_MAX], second[PATH_MAX];
    int from_ours = path_of(from_folder, from, both), to_ours = path_of(to_folder, to, second);
    if (from_ours || to_ours)
        pthread_mutex_lock(&lock);
    int done = (int)syscall(call, from_folder, from, to_folder, to, flags);
    int cause = errno;
    if (from_ours || to_ours) {
        if (done == 0) {
            size_t length = strlen(both) + 1;
            memcpy(both + length, second, strlen(second));
            record_one(kind, 0, 0, both, length + strlen(second));
        }
        pthread_mutex_unlock(&lock);
    }
    errno = cause;
    return done;
}

int rename(const char *from, const char *to) {
    return two_names('r', SYS_renameat2, AT_FDCWD, from, AT_FDCWD, to, 0);
}

int renameat(int from_folder, const char *from, int to_folder, const char *to) {
    return two_names('r', SYS_renameat2, from_folder, from, to_folder, to, 0);
}

int link(const char *from, const char *to) { return two_names('l', SYS_linkat, AT_FDCWD, from, AT_FDCWD, to, 0); }

int linkat(int from_folder, const char *from, int to_folder, const char *to, int flags) {
    return two_names('l', SYS_linkat, from_folder, from, to_folder, to, (unsigned)flags);
}

static int one_name(char kind, long call, int folder, const char *name, unsigned argument) {
    char whole[PATH_MAX];
    if (!path_of(folder, name, whole))
        return (int)syscall(call, folder, name, argument);
    pthread_mutex_lock(&lock);
    int done = (int)syscall(call, folder, name, argument);
    int cause = errno;
    if (done == 0)
        record_one(kind, 0, 0, whole, strlen(whole));
    pthread_mutex_unlock(&lock);
    errno = cause;
    return done;
}

int unlink(const char *name) { return one_name('u', SYS_unlinkat, AT_FDCWD, name, 0); }

int rmdir(const char *name) { return one_name('u', SYS_unlinkat, AT_FDCWD, name, AT_REMOVEDIR); }

int unlinkat(int folder, const char *name, int flags) {
    return one_name('u', SYS_unlinkat, folder, name, (unsigned)flags);
}

int mkdir(const char *name, mode_t mode) { return one_name('m', SYS_mkdirat, AT_FDCWD, name, mode); }

int mkdirat(int folder, const char *name, mode_t mode) { return one_name('m', SYS_mkdirat, folder, name, mode); }
