/* Other libraries doing the same work, each in a process of its own that stays loaded and computes only when it is asked.
 *
 * A directory lists them in peers.txt: lines "NAME DRIVER ARGUMENT", # begins a comment. A driver is run as
 * `PYTHON DIRECTORY/DRIVER ARGUMENT`, with CLATTN_BENCH_THREADS = the number of threads to compute with, and answers lines
 * on its standard output to lines on its standard input:
 *
 *     (start)             ready VERSION
 *     prepare DIRECTORY   ok                       the directory holds the file `case` and NAME.npy of each input;
 *                                                  the answer leaves a result there as out.NAME.npy of outputs
 *     run N               times S S S ...          seconds of each of N runs, after an unmeasured
 *                                                  one unless runs are slow
 *     forget              ok                       frees what was prepared
 *
 * or "unsupported REASON" or "error REASON" instead. A driver that dies, is silent too long or answers something else is
 * killed, reported, and started anew for the next case. */
#ifndef CLATTN_BENCH_PEERS_H
#define CLATTN_BENCH_PEERS_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

typedef enum peer_state {
    PEER_ABSENT, /* it said that it cannot work here (not installed), or failed too often */
    PEER_READY,
    PEER_LOST    /* died, silent or senseless: it may be started again */
} peer_state;

typedef enum peer_answer { PEER_OK, PEER_UNSUPPORTED, PEER_FAILED } peer_answer;

/* The longest line of an answer, and so the most runs in one question. */
enum { PEER_LINE = 4096, PEER_MOST_RUNS = 200 };

typedef struct peer_process {
    char name[32], driver[64], argument[64];
    char version[128];
    char message[256]; /* why it is absent, lost, or does not do the last thing asked */
    peer_state state;
    int failures;
    pid_t process;
    int input, output;
    char pending[PEER_LINE]; /* read from it, not a whole line yet */
    size_t pending_size;
} peer_process;

typedef struct peer_list {
    peer_process *peers;
    int count;
    const char *directory, *python;
    unsigned threads;
    double patience; /* seconds that a peer may take for an answer */
} peer_list;

/* Reads peers.txt of CLATTN_BENCH_PEERS, or of where clattn was built; the Python is CLATTN_BENCH_PYTHON, else the one that
 * bench/peers/setup.sh made, else python3; the patience is CLATTN_BENCH_PATIENCE or 300 s. False with a message on failure.
 * Nothing is started yet. */
bool peers_read(peer_list *list, unsigned threads, char *message, size_t message_size);
/* Ends those that run. */
void peers_close(peer_list *list);

/* Starts it unless it runs or is absent; true when it is ready. */
bool peer_start(const peer_list *list, peer_process *p);
peer_answer peer_prepare(const peer_list *list, peer_process *p, const char *directory);
/* The times of `runs` runs. */
peer_answer peer_run(const peer_list *list, peer_process *p, long runs, double *seconds);
void peer_forget(const peer_list *list, peer_process *p);

#endif
