/* Lets a real xenstored run where there is no Xen: preloaded, it stands for the hypervisor's side of domain 0.
 *
 * Compiled and used by xenstored.py beside it. The daemon needs four things of Xen at its start: a privileged
 * control handle, an event channel descriptor to poll, a grant table handle, and domain 0's own ring page and port,
 * which it opens below /proc/xen. The handles are dummies, the descriptor never becomes readable, and files below
 * /proc/xen are looked for in $XENSTORED_RUNDIR instead. Clients of the unix socket get the daemon's own code:
 * transactions, watches, permissions. No domain but 0 exists, so no guest's ring is served.
 *
 * oxenstored takes no word on where its socket is: it is bound to $XENSTORED_PATH, and what it would make, write and
 * remove of the host's own xenstored is left alone. It wants more descriptors than root of a user namespace may have.
 */
#define _GNU_SOURCE
#include <fcntl.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <unistd.h>

#define XEN_FILES "/proc/xen/"
#define HOSTS_OWN "/var/run/xenstored"  /* as oxenstored is built */
#define PORT 1      /* any number that is not negative is a port */
#define DOMAIN_INFO 64  /* bytes at the front of xc_dominfo_t that say "alive" when they are zero */

static char dummy;

static int open_stand_in(const char *name, int flags)
{
    const char *directory = getenv("XENSTORED_RUNDIR");
    char path[4096];

    if (directory == NULL || snprintf(path, sizeof path, "%s/%s", directory, name) >= (int)sizeof path)
        return -1;
    return openat(AT_FDCWD, path, flags);
}

static int is_hosts_own(const char *path)
{
    return strncmp(path, HOSTS_OWN, strlen(HOSTS_OWN)) == 0;
}

int open(const char *path, int flags, ...)
{
    int mode = 0;

    if (strncmp(path, XEN_FILES, strlen(XEN_FILES)) == 0)
        return open_stand_in(path + strlen(XEN_FILES), flags);
    if (flags & (O_CREAT | O_TMPFILE)) {
        va_list arguments;
        va_start(arguments, flags);
        mode = va_arg(arguments, int);
        va_end(arguments);
    }
    if (is_hosts_own(path))
        path = "/dev/null";
    return openat(AT_FDCWD, path, flags, mode);
}

int open64(const char *path, int flags, ...) __attribute__((alias("open")));

int setrlimit64(__rlimit_resource_t resource, const struct rlimit64 *limit) { return 0; }
int setrlimit(__rlimit_resource_t resource, const struct rlimit *limit) { return 0; }

int mkdir(const char *path, mode_t mode)
{
    return is_hosts_own(path) ? 0 : mkdirat(AT_FDCWD, path, mode);
}

int unlink(const char *path)
{
    return is_hosts_own(path) ? 0 : unlinkat(AT_FDCWD, path, 0);
}

/* The socket's name appears only once connections are taken: who waits for the file need not try again. */
int bind(int fd, const struct sockaddr *address, socklen_t length)
{
    struct sockaddr_un quiet = { .sun_family = AF_UNIX };
    const char *path = ((const struct sockaddr_un *)address)->sun_path;

    if (address->sa_family == AF_UNIX && is_hosts_own(path))
        path = getenv("XENSTORED_PATH");
    if (address->sa_family != AF_UNIX || length > sizeof quiet)
        return (int)syscall(SYS_bind, fd, address, length);
    if (snprintf(quiet.sun_path, sizeof quiet.sun_path, "%s~", path) >= (int)sizeof quiet.sun_path)
        return -1;
    unlink(quiet.sun_path);
    if (syscall(SYS_bind, fd, &quiet, sizeof quiet) != 0 || listen(fd, 64) != 0)
        return -1;
    return rename(quiet.sun_path, path);
}

/* libxenctrl */
void *xc_interface_open(void *logger, void *debug, unsigned flags) { return &dummy; }
int xc_interface_close(void *control) { return 0; }

int xc_domain_getinfo(void *control, uint32_t domain, unsigned count, void *info)
{
    if (domain != 0 || count == 0)
        return 0;
    memset(info, 0, DOMAIN_INFO);
    return 1;
}

/* libxenevtchn */
void *xenevtchn_open(void *logger, unsigned flags) { return &dummy; }
void *xenevtchn_fdopen(void *logger, int fd, unsigned flags) { return &dummy; }
int xenevtchn_bind_virq(void *events, unsigned virq) { return PORT; }
int xenevtchn_bind_interdomain(void *events, unsigned domain, unsigned port) { return PORT; }
int xenevtchn_unbind(void *events, unsigned port) { return 0; }
int xenevtchn_unmask(void *events, unsigned port) { return 0; }
int xenevtchn_notify(void *events, unsigned port) { return 0; }

int xenevtchn_fd(void *events)
{
    static int quiet = -1;

    if (quiet < 0)
        quiet = eventfd(0, EFD_CLOEXEC);
    return quiet;
}

/* libxengnttab */
void *xengnttab_open(void *logger, unsigned flags) { return &dummy; }
int xengnttab_close(void *grants) { return 0; }
int xengnttab_set_max_grants(void *grants, unsigned count) { return 0; }
