#define _DEFAULT_SOURCE
#include "guard.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>
#ifdef __linux__
#include <sys/prctl.h>
#endif

#include "cli.h"

#define VENDORS "/etc/OpenCL/vendors"

enum { PATIENCE = 30, LONGEST = 4200 }; /* seconds; bytes of a path */

void guard_how(int state, char *text, size_t size) {
    if (WIFSIGNALED(state)) snprintf(text, size, "signal %d (%s)", WTERMSIG(state), strsignal(WTERMSIG(state)));
    else snprintf(text, size, "exit code %d", WEXITSTATUS(state));
}

/* ---- One driver in a process of its own ---- */

static int look_for_devices(const char *driver) {
    clattn_device_info info;
    size_t count;
    const int nowhere = open("/dev/null", O_WRONLY);
    if (nowhere >= 0) dup2(nowhere, STDERR_FILENO), dup2(nowhere, STDOUT_FILENO);
    setenv("OCL_ICD_VENDORS", driver, 1);
    alarm(PATIENCE);
    clattn_device_list(&info, 1, &count, NULL, 0);
    return 0;
}

/* Also true when no process can be made to try it. */
static bool survives(const char *driver, char *how, size_t size) {
    int state = 0, ends[2];
    char returned = 0;
    if (pipe(ends)) return true;
    const pid_t child = fork();
    if (child == 0) {
        look_for_devices(driver);
        _exit(write(ends[1], "1", 1) == 1 ? 0 : 1);
    }
    close(ends[1]);
    const bool silent = child > 0 && read(ends[0], &returned, 1) != 1;
    close(ends[0]);
    if (child > 0) waitpid(child, &state, 0);
    if (silent) guard_how(state, how, size);
    return !silent;
}

/* ---- The drivers that there are ---- */

typedef struct drivers {
    char **paths;
    size_t count;
} drivers;

static void add_driver(drivers *d, const char *path) {
    char **grown = realloc(d->paths, (d->count + 1) * sizeof *grown);
    if (!grown) return;
    d->paths = grown;
    if ((grown[d->count] = strdup(path))) d->count++;
}

static bool ends_with(const char *text, const char *end) {
    const size_t length = strlen(text), tail = strlen(end);
    return length >= tail && strcmp(text + length - tail, end) == 0;
}

static void add_directory(drivers *d, const char *directory) {
    DIR *stream = opendir(directory);
    char path[LONGEST];
    for (struct dirent *entry; stream && (entry = readdir(stream));)
        if (ends_with(entry->d_name, ".icd") && snprintf(path, sizeof path, "%s/%s", directory, entry->d_name) < (int)sizeof path) add_driver(d, path);
    if (stream) closedir(stream);
}

/* As the loader reads OCL_ICD_VENDORS: a directory, an .icd file (without a slash: of the usual directory), or a library. */
static drivers list_drivers(void) {
    const char *value = getenv("OCL_ICD_VENDORS");
    char path[LONGEST];
    struct stat status;
    drivers d = { .count = 0 };
    snprintf(path, sizeof path, "%s%s", value && strchr(value, '/') ? "" : VENDORS "/", value ? value : "");
    if (stat(path, &status) == 0 && S_ISDIR(status.st_mode)) add_directory(&d, path);
    else add_driver(&d, ends_with(path, ".icd") ? path : value);
    return d;
}

static void free_drivers(drivers *d) {
    for (size_t i = 0; i < d->count; i++) free(d->paths[i]);
    free(d->paths);
}

/* ---- Hiding ---- */

/* The .icd files that stay, as links in a directory for OCL_ICD_VENDORS. */
static char shown[64];

void guard_clean(void) {
    DIR *stream = *shown ? opendir(shown) : NULL;
    for (struct dirent *entry; stream && (entry = readdir(stream));)
        if (entry->d_name[0] != '.') unlinkat(dirfd(stream), entry->d_name, 0);
    if (stream) closedir(stream);
    if (*shown) rmdir(shown);
    *shown = '\0';
}

static bool show(const char *driver, size_t number) {
    char link[LONGEST], target[PATH_MAX];
    if (!*shown) {
        snprintf(shown, sizeof shown, "/tmp/clattn-icd-XXXXXX");
        if (!mkdtemp(shown)) return *shown = '\0', false;
    }
    snprintf(link, sizeof link, "%s/%zu.icd", shown, number);
    return realpath(driver, target) && symlink(target, link) == 0;
}

bool guard_hide_drivers(guard_fn tell, void *user) {
    drivers d = list_drivers();
    size_t left = 0;
    for (size_t i = 0; i < d.count; i++) {
        char how[128];
        if (!survives(d.paths[i], how, sizeof how)) tell(user, d.paths[i], how);
        else left += show(d.paths[i], i);
    }
    const bool hidden = left && left < d.count && setenv("OCL_ICD_VENDORS", shown, 1) == 0;
    free_drivers(&d);
    if (!hidden) guard_clean();
    return hidden;
}

/* ---- The tool ---- */

/* What the process that works tells the one that waits. */
typedef struct guard_state {
    bool found_devices, ended;
} guard_state;

static guard_state *state;
static volatile sig_atomic_t worker;

static void pass_on(int signal) {
    if (worker > 0) kill((pid_t)worker, signal);
}

/* A key pressed in the terminal reaches both processes; what is sent to the first is passed on. */
static void take_signals(bool waiting) {
    static const int passed[] = { SIGTERM, SIGHUP, SIGUSR1, SIGUSR2 }, shared[] = { SIGINT, SIGQUIT };
    for (size_t i = 0; i < sizeof passed / sizeof *passed; i++) signal(passed[i], waiting ? pass_on : SIG_DFL);
    for (size_t i = 0; i < sizeof shared / sizeof *shared; i++) signal(shared[i], waiting ? SIG_IGN : SIG_DFL);
}

static bool is_crash(int number) {
    return number == SIGSEGV || number == SIGBUS || number == SIGABRT || number == SIGILL || number == SIGFPE || number == SIGSYS || number == SIGTRAP;
}

static void warn(void *user, const char *driver, const char *how) {
    cli_error(*(const char **)user, "warning: the OpenCL driver of %s ends the process with %s while devices are looked for; it is left out (`clattn doctor` tells more)", driver, how);
}

static void leave(int code) {
    guard_clean();
    _exit(code);
}

/* The worker has ended: the same end, or a message and exit code 3. Returns when another worker should try. */
static void follow(const char *command, int ended, bool again) {
    char how[128];
    if (WIFEXITED(ended) && state->ended) leave(WEXITSTATUS(ended));
    if (WIFSIGNALED(ended) && !is_crash(WTERMSIG(ended))) {
        guard_clean();
        signal(WTERMSIG(ended), SIG_DFL);
        raise(WTERMSIG(ended));
        leave(128 + WTERMSIG(ended));
    }
    guard_how(ended, how, sizeof how);
    if (!state->found_devices && again && guard_hide_drivers(warn, &command)) return;
    if (state->found_devices) cli_error(command, "the process ended with %s while the device was in use; `clattn doctor` tells which operations its driver fails at", how);
    else cli_error(command, "the process ended with %s while devices were looked for, and no driver is left to go on with", how);
    leave(CLI_DEVICE_FAILED);
}

static void work(pid_t waiting) {
    take_signals(false);
#ifdef __linux__
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (getppid() != waiting) raise(SIGKILL);
#endif
    (void)waiting;
}

void guard_begin(const char *command) {
    if (state) return;
    guard_state *made = mmap(NULL, sizeof *made, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (made == MAP_FAILED) return;
    state = made;
    fflush(NULL);
    const pid_t self = getpid();
    for (bool again = true;; again = false) {
        *state = (guard_state){ .ended = false };
        const pid_t child = fork();
        if (child < 0) return; /* then without a guard */
        if (child == 0) {
            work(self);
            return;
        }
        int ended = 0;
        worker = child;
        take_signals(true);
        while (waitpid(child, &ended, 0) < 0 && errno == EINTR) continue;
        worker = 0;
        follow(command, ended, again);
    }
}

void guard_found_devices(void) {
    if (state) state->found_devices = true;
}

void guard_end(void) {
    if (state) state->ended = true;
}
