// SPDX-License-Identifier: Apache-2.0
// The test binary in Wasm has one thread, and the build for Wasm workers has no pthreads; libc++'s call_once, which
// GoogleTest's streams use, still names these. With one thread there is nobody to exclude and nobody to wake.
int pthread_mutex_lock(void* mutex) { return (void)mutex, 0; }
int pthread_mutex_unlock(void* mutex) { return (void)mutex, 0; }
int pthread_cond_wait(void* condition, void* mutex) { return (void)condition, (void)mutex, 0; }
int pthread_cond_broadcast(void* condition) { return (void)condition, 0; }
