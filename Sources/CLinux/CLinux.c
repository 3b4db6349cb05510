#define _GNU_SOURCE
#include "CLinux.h"

#include <errno.h>
#include <fcntl.h>
#include <link.h>
#include <malloc.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <pthread.h>
#include <signal.h>
#include <stddef.h>
#include <stdint.h>
#include <linux/sockios.h>
#include <stdio.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <unistd.h>

// What each function does stands in CLinux.h.

int linux_accept(int descriptor) {
    return accept4(descriptor, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
}

void linux_keep_alive(int descriptor, unsigned seconds) {
    int on = 1;
    setsockopt(descriptor, SOL_SOCKET, SO_KEEPALIVE, &on, sizeof on);
    if (seconds == 0) return;
    // Half of the time in silence, then two questions that have no answer.
    int idle = seconds / 2 > 0 ? (int)(seconds / 2) : 1, interval = seconds / 4 > 0 ? (int)(seconds / 4) : 1, count = 2;
    setsockopt(descriptor, IPPROTO_TCP, TCP_KEEPIDLE, &idle, sizeof idle);
    setsockopt(descriptor, IPPROTO_TCP, TCP_KEEPINTVL, &interval, sizeof interval);
    setsockopt(descriptor, IPPROTO_TCP, TCP_KEEPCNT, &count, sizeof count);
}

int linux_read_acknowledgements(int descriptor, linux_acknowledgements *found) {
    struct tcp_info info = {0};
    socklen_t size = sizeof info;
    int unsent = 0;
    if (getsockopt(descriptor, IPPROTO_TCP, TCP_INFO, &info, &size) != 0) return -1;
    if (ioctl(descriptor, SIOCOUTQ, &unsent) != 0) return -1;
    unsigned probes = info.tcpi_probes, retransmits = info.tcpi_retransmits;
    *found = (linux_acknowledgements){unsent > 0, unsent, probes > retransmits ? probes : retransmits, info.tcpi_last_ack_recv};
    return 0;
}

void linux_name_thread(const char *name) { pthread_setname_np(pthread_self(), name); }

void linux_forbid_dump(void) { prctl(PR_SET_DUMPABLE, 0, 0, 0, 0); }

// Only segments without write permission are dropped: those with relocations are writable at first, and these writes are stored nowhere
// else.
static int settle_object(struct dl_phdr_info *info, size_t size, void *data) {
    (void)size;
    (void)data;
    uintptr_t page = (uintptr_t)sysconf(_SC_PAGESIZE);
    for (int i = 0; i < info->dlpi_phnum; i++) {
        const ElfW(Phdr) *header = &info->dlpi_phdr[i];
        if (header->p_type != PT_LOAD || (header->p_flags & PF_W) != 0) continue;
        uintptr_t start = (info->dlpi_addr + header->p_vaddr + page - 1) & ~(page - 1);
        uintptr_t end = (info->dlpi_addr + header->p_vaddr + header->p_memsz) & ~(page - 1);
        if (end > start) madvise((void *)start, end - start, MADV_DONTNEED);
    }
    return 0;
}

void linux_return_large_blocks(void) {
    mallopt(M_MMAP_THRESHOLD, 2 << 20);
    mallopt(M_TRIM_THRESHOLD, 4 << 20);
}

void linux_trim_memory(void) { malloc_trim(0); }

void linux_settle_memory(void) {
    malloc_trim(0);
    dl_iterate_phdr(settle_object, NULL);
}

int linux_flush_output(void) {
    errno = 0;
    if (fflush(stdout) == 0 && !ferror(stdout)) return 0;
    return errno != 0 ? errno : EIO;
}

void linux_forget_output_errors(void) { clearerr(stdout); }

/// Signals wait in a pipe, a byte each.
static int caught[2] = {-1, -1};
static pthread_once_t caught_once = PTHREAD_ONCE_INIT;

static void open_caught(void) {
    if (pipe2(caught, O_CLOEXEC | O_NONBLOCK) != 0) caught[0] = caught[1] = -1;
}

static void keep_signal(int number) {
    int error = errno;
    unsigned char byte = (unsigned char)number;
    ssize_t written = write(caught[1], &byte, 1);
    (void)written;
    errno = error;
}

int linux_catch_signal(int number) {
    pthread_once(&caught_once, open_caught);
    struct sigaction action = {.sa_handler = keep_signal, .sa_flags = SA_RESTART};
    sigemptyset(&action.sa_mask);
    return caught[0] < 0 || sigaction(number, &action, NULL) != 0 ? -1 : caught[0];
}

int linux_caught_signal(void) {
    unsigned char byte;
    return read(caught[0], &byte, 1) == 1 ? byte : 0;
}
