#define _DEFAULT_SOURCE
/* Drivers compile behind one lock a process (PoCL), so that several processes share the operations: each is handed the next when it
 * has finished one. This process opens no device itself, so that it can fork. */
#include "cache_build.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "guard.h"
#include "progress.h"

#define COMMAND "cache"

enum { MOST_UNASKED = 8 }; /* processes: a compiler takes some 300 MB */

/* What a worker tells: that its device is open, then what became of each operation. `code` is an exit code. */
typedef struct report {
    int code;
    bool is_cpu;
    char device[256];
    size_t examples;
} report;

typedef struct worker {
    pid_t process;
    int orders, reports; /* ends of pipes; -1 once closed */
    size_t at;           /* the operation it has */
    bool ready;
} worker;

typedef struct building {
    const cli_device_options *device;
    const char *const *names;
    size_t count, handed, done, examples;
    worker workers[CACHE_BUILD_MOST];
    size_t started;
    int code;
    char on[256];
} building;

/* ---- A worker ---- */

static bool count_examples(void *user, size_t done, size_t total, const char *what) {
    (void)done;
    (void)what;
    *(size_t *)user = total;
    return true;
}

static bool tell(int reports, const report *r) {
    return write(reports, r, sizeof *r) == (ssize_t)sizeof *r;
}

/* Builds what it is ordered to; its exit code matters only where it told none. */
static int work(const building *b, int orders, int reports) {
    clattn_context *context = NULL;
    size_t order;
    report r = { .code = cli_open(b->device, &context) };
    if (!r.code) {
        r.is_cpu = clattn_context_device(context)->kind == CLATTN_DEVICE_CPU;
        snprintf(r.device, sizeof r.device, "%s", clattn_context_device(context)->name);
    }
    bool heard = tell(reports, &r);
    while (heard && !r.code && read(orders, &order, sizeof order) == (ssize_t)sizeof order) {
        r.examples = 0;
        r.code = cli_failed(COMMAND, context, clattn_prewarm(context, b->names + order, 1, count_examples, &r.examples));
        heard = tell(reports, &r);
    }
    clattn_close(&context);
    guard_end();
    return r.code;
}

/* ---- The others' ends ---- */

static void close_end(int *end) {
    if (*end >= 0) close(*end);
    *end = -1;
}

static bool start(building *b) {
    int orders[2], reports[2];
    worker *w = &b->workers[b->started];
    if (pipe(orders)) return false;
    if (pipe(reports)) return close(orders[0]), close(orders[1]), false;
    const pid_t child = fork();
    if (child == 0) {
        for (size_t i = 0; i < b->started; i++) close_end(&b->workers[i].orders), close_end(&b->workers[i].reports);
        close(orders[1]);
        close(reports[0]);
        _exit(work(b, orders[0], reports[1]));
    }
    close(orders[0]);
    close(reports[1]);
    *w = (worker){ .process = child, .orders = orders[1], .reports = reports[0] };
    if (child < 0) return close_end(&w->orders), close_end(&w->reports), false;
    b->started++;
    return true;
}

/* The next operation, or none: then the worker writes what it has built to the cache, and ends. */
static void hand_out(building *b, worker *w) {
    if (b->code || b->handed == b->count || write(w->orders, &b->handed, sizeof b->handed) != (ssize_t)sizeof b->handed) {
        close_end(&w->orders);
        return;
    }
    w->at = b->handed++;
    progress_show(b->done, b->count, b->names[w->at]);
}

/* Processes that the first one's device gains by, where the user leaves it to us: a GPU's examples would wait for each other. */
static size_t wanted(const building *b, const report *first, long jobs) {
    const long cores = sysconf(_SC_NPROCESSORS_ONLN);
    const size_t many = jobs ? (size_t)jobs : !first->is_cpu || cores < 1 ? 1 : cores < MOST_UNASKED ? (size_t)cores : MOST_UNASKED;
    return many < b->count ? many : b->count;
}

static void take_report(building *b, worker *w, long jobs) {
    report r;
    const ssize_t size = read(w->reports, &r, sizeof r);
    if (size < 0 && errno == EINTR) return;
    if (size != (ssize_t)sizeof r) {
        close_end(&w->orders);
        close_end(&w->reports);
        return;
    }
    if (r.code && !b->code) b->code = r.code;
    if (w->ready) {
        b->done++;
        b->examples += r.examples;
    } else if (!r.code) {
        w->ready = true;
        snprintf(b->on, sizeof b->on, "%s", r.device);
        if (b->started == 1)
            for (const size_t many = wanted(b, &r, jobs); b->started < many && start(b);) {}
    }
    hand_out(b, w);
}

/* Waits for a report of any; false when all have ended. */
static bool listen(building *b, long jobs) {
    struct pollfd ends[CACHE_BUILD_MOST];
    bool open = false;
    const size_t count = b->started;
    for (size_t i = 0; i < count; i++) {
        ends[i] = (struct pollfd){ .fd = b->workers[i].reports, .events = POLLIN };
        open = open || ends[i].fd >= 0;
    }
    if (open && poll(ends, count, -1) > 0)
        for (size_t i = 0; i < count; i++)
            if (ends[i].revents) take_report(b, &b->workers[i], jobs);
    return open;
}

/* A driver may end its process. */
static void reap(building *b) {
    for (size_t i = 0; i < b->started; i++) {
        int state = 0;
        char how[128];
        if (waitpid(b->workers[i].process, &state, 0) < 0 || b->code || (WIFEXITED(state) && WEXITSTATUS(state) == 0)) continue;
        guard_how(state, how, sizeof how);
        b->code = CLI_DEVICE_FAILED;
        if (b->workers[i].ready) cli_error(COMMAND, "the process that built the kernels of %s ended with %s", b->names[b->workers[i].at], how);
        else cli_error(COMMAND, "the process that opens the device ended with %s", how);
    }
}

int cache_build(const cli_device_options *device, const char *const *names, size_t count, long jobs) {
    building b = { .device = device, .names = names, .count = count };
    fflush(NULL);
    void (*const before)(int) = signal(SIGPIPE, SIG_IGN);
    if (!start(&b)) {
        cli_error(COMMAND, "cannot start a process: %s", strerror(errno));
        b.code = CLI_DEVICE_FAILED;
    }
    while (listen(&b, jobs)) {}
    progress_end();
    reap(&b);
    signal(SIGPIPE, before);
    if (!b.code) printf("%zu examples run on %s: their kernels are in the cache\n", b.examples, b.on);
    return b.code;
}
