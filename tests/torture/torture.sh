#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# In the guest: runs one torture suite and prints what it said, and what the kernel said. Who started it judges
# (suites.mjs); the exit status is only that of this script's own work.
#
#   torture SUITE SECONDS
#
# The kernel's torture modules are loaded, left alone and unloaded, which is when they give their verdict, in the
# kernel's log. stress-ng prints its own. Both are told to use as many threads as there are harts, or more.
suite=$1
seconds=$2
harts=$(nproc)

# On the console and in the kernel's log, so that what lies between two of these belongs together in both.
say() {
    echo "torture: $*"
    echo "torture: $*" >/dev/kmsg
}

# module SECONDS NAME TYPE PARAMETER=VALUE...
module() {
    length=$1 name=$2 type=$3
    shift 3
    say "begin $name $type $length s: $*"
    insmod "/root/modules/$name.ko" "torture_type=$type" "$@" || exit 1
    sleep "$length"
    rmmod "$name" || exit 1
    say "end $name $type"
}

stress() {
    say "begin stress-ng $seconds s: $*"
    stress-ng --timeout "$seconds" --verify --metrics --temp-path /tmp "$@"
    say "end stress-ng, exit status $?"
}

each() {
    count=$#
    length=$(((seconds + count - 1) / count))
}

dmesg -n 1
say "suite $suite, $harts harts"
case $suite in
    rcutorture | locktorture | broken) insmod /root/modules/torture.ko || exit 1 ;;
esac
case $suite in
    rcutorture)
        # Harts go and come back every second or two (intervals are in ticks of 10 ms here).
        set -- rcu srcu
        each "$@"
        for type; do
            module "$length" rcutorture "$type" nreaders=$((2 * harts)) stat_interval=10 onoff_interval=150 \
                fwd_progress_holdoff=5 n_barrier_cbs=4
        done
        ;;
    locktorture)
        set -- spin_lock_irq raw_spin_lock rw_lock_irq mutex_lock ww_mutex_lock rtmutex_lock rwsem_lock \
            percpu_rwsem_lock
        each "$@"
        for type; do module "$length" locktorture "$type" stat_interval=5 onoff_interval=1; done
        ;;
    broken)
        # Where nothing protects anything: the modules must notice.
        module 5 locktorture lock_busted stat_interval=5
        module "$((seconds - 5))" rcutorture busted nreaders=$((4 * harts)) stat_interval=5 stutter=0
        ;;
    cpu) stress --cpu "$harts" --cpu-method all ;;
    vm) stress --vm "$harts" --vm-bytes 64m --vm-method all ;;
    fork) stress --fork "$harts" --vfork 1 --clone 1 ;;
    signal) stress --signal "$harts" --sigq 1 --sigsegv 1 --kill 1 ;;
    futex) stress --futex "$harts" ;;
    pipe) stress --pipe "$harts" ;;
    switch) stress --switch "$harts" ;;
    timer) stress --timer "$harts" --timerfd 1 --itimer 1 ;;
    *)
        echo "torture: no such suite: $suite"
        exit 2
        ;;
esac
echo "torture: kernel log"
dmesg
echo "torture: done"
