#ifndef SHUNT_CUV_SHIM_H
#define SHUNT_CUV_SHIM_H

#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include <pthread.h>
#include <sys/socket.h>
#include <uv.h>

// GNU extensions that Swift's Glibc module leaves out.

static inline int shunt_accept(int descriptor) {
    return accept4(descriptor, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
}

static inline void shunt_name_thread(const char *name) {
    pthread_setname_np(pthread_self(), name);
}

#endif
