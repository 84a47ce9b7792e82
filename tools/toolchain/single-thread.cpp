// SPDX-License-Identifier: Apache-2.0
// Linked into the unit tests' Wasm program and nothing else. libc++'s streams reach std::call_once, which wants these
// four; with -sWASM_WORKERS and without -pthread Emscripten has none. A program of one thread needs no locking, and
// can only reach a wait by a mistake, which ends it.
#include <pthread.h>

extern "C" {

int pthread_mutex_lock(pthread_mutex_t*) { return 0; }

int pthread_mutex_unlock(pthread_mutex_t*) { return 0; }

int pthread_cond_broadcast(pthread_cond_t*) { return 0; }

int pthread_cond_wait(pthread_cond_t*, pthread_mutex_t*) { __builtin_trap(); }

}  // extern "C"
