#define _POSIX_C_SOURCE 200809L
#include "peers.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "timing.h"

enum { MOST_FAILURES = 3 };

/* ---- The list ---- */

static bool add_peer(peer_list *list, const char *line) {
    peer_process p = { .input = -1, .output = -1, .state = PEER_LOST };
    if (sscanf(line, "%31s %63s %63s", p.name, p.driver, p.argument) < 2 || p.name[0] == '#') return true;
    peer_process *grown = realloc(list->peers, ((size_t)list->count + 1) * sizeof *grown);
    if (!grown) return false;
    list->peers = grown;
    list->peers[list->count++] = p;
    return true;
}

static const char *find_python(void) {
    static char path[512];
    const char *given = getenv("CLATTN_BENCH_PYTHON"), *cache = getenv("XDG_CACHE_HOME"), *home = getenv("HOME");
    if (given && *given) return given;
    if (cache && *cache) snprintf(path, sizeof path, "%s/clattn/peers/bin/python", cache);
    else snprintf(path, sizeof path, "%s/.cache/clattn/peers/bin/python", home ? home : "");
    return access(path, X_OK) == 0 ? path : "python3";
}

bool peers_read(peer_list *list, unsigned threads, char *message, size_t message_size) {
    const char *given = getenv("CLATTN_BENCH_PEERS"), *patience = getenv("CLATTN_BENCH_PATIENCE");
    char path[512], line[256];
    *list = (peer_list){ .directory = given && *given ? given : BENCH_PEERS, .python = find_python(), .threads = threads, .patience = patience ? strtod(patience, NULL) : 0 };
    if (!(list->patience > 0)) list->patience = 300;
    snprintf(path, sizeof path, "%s/peers.txt", list->directory);
    FILE *file = fopen(path, "r");
    if (!file) return snprintf(message, message_size, "%s: %s", path, strerror(errno)), false;
    bool complete = true;
    while (complete && fgets(line, sizeof line, file)) complete = add_peer(list, line);
    fclose(file);
    signal(SIGPIPE, SIG_IGN); /* a peer that died is found by write() */
    if (complete) return true;
    snprintf(message, message_size, "out of memory");
    peers_close(list);
    return false;
}

/* ---- Processes ---- */

static void end(peer_process *p) {
    if (p->process > 0) {
        kill(-p->process, SIGKILL);
        waitpid(p->process, NULL, 0);
    }
    if (p->input >= 0) close(p->input);
    if (p->output >= 0) close(p->output);
    p->process = 0;
    p->input = p->output = -1;
    p->pending_size = 0;
}

static peer_answer lose(peer_process *p, const char *format, ...) CLATTN_PRINTF(2, 3);
static peer_answer lose(peer_process *p, const char *format, ...) {
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(p->message, sizeof p->message, format, arguments);
    va_end(arguments);
    end(p);
    p->state = ++p->failures < MOST_FAILURES ? PEER_LOST : PEER_ABSENT;
    return PEER_FAILED;
}

/* Between fork and exec: only calls that are safe there. The peer's group is its own, to be held as a whole; held or not, it ends
 * when the bench does. */
static void become(const peer_list *list, const peer_process *p, const char *path, int input, int output) {
    setpgid(0, 0);
    dup2(input, STDIN_FILENO);
    dup2(output, STDOUT_FILENO);
    execlp(list->python, list->python, path, p->argument[0] ? p->argument : (char *)NULL, (char *)NULL);
    _exit(127);
}

static bool launch(const peer_list *list, peer_process *p) {
    int to[2] = { -1, -1 }, from[2] = { -1, -1 };
    char path[600], threads[16];
    snprintf(path, sizeof path, "%s/%s", list->directory, p->driver);
    snprintf(threads, sizeof threads, "%u", list->threads);
    setenv("CLATTN_BENCH_THREADS", threads, 1);
    setenv("PYTHONDONTWRITEBYTECODE", "1", 1);
    const bool piped = pipe(to) == 0 && pipe(from) == 0;
    if (piped) {
        fcntl(to[1], F_SETFD, FD_CLOEXEC); /* another peer that holds it would keep this one's input open */
        fcntl(from[0], F_SETFD, FD_CLOEXEC);
        p->process = fork();
        if (p->process == 0) become(list, p, path, to[0], from[1]);
        if (p->process > 0) setpgid(p->process, p->process); /* whoever is first */
    }
    if (to[0] >= 0) close(to[0]);
    if (from[1] >= 0) close(from[1]);
    p->input = to[1];
    p->output = from[0];
    if (piped && p->process > 0) return true;
    p->process = 0;
    return lose(p, "cannot be started: %s", strerror(errno)), false;
}

/* ---- Lines ---- */

/* Moves the first line of `pending` to `line`. */
static bool take_line(peer_process *p, char *line, size_t size) {
    char *newline = memchr(p->pending, '\n', p->pending_size);
    if (!newline) return false;
    const size_t length = (size_t)(newline - p->pending), kept = length < size ? length : size - 1;
    memcpy(line, p->pending, kept);
    line[kept] = '\0';
    p->pending_size -= length + 1;
    memmove(p->pending, newline + 1, p->pending_size);
    return true;
}

static peer_answer read_line(const peer_list *list, peer_process *p, char *line, size_t size) {
    const double deadline = timing_now() + list->patience;
    while (!take_line(p, line, size)) {
        const double left = deadline - timing_now();
        struct pollfd wait = { .fd = p->output, .events = POLLIN };
        if (p->pending_size == sizeof p->pending) return lose(p, "answered with an endless line");
        if (left <= 0) return lose(p, "gave no answer in %g s", list->patience);
        if (poll(&wait, 1, (int)(1e3 * left) + 1) <= 0) continue;
        const ssize_t got = read(p->output, p->pending + p->pending_size, sizeof p->pending - p->pending_size);
        if (got == 0) return lose(p, "ended unexpectedly");
        if (got < 0 && errno != EINTR) return lose(p, "cannot be read: %s", strerror(errno));
        if (got > 0) p->pending_size += (size_t)got;
    }
    return PEER_OK;
}

static bool send_line(peer_process *p, const char *text) {
    size_t left = strlen(text);
    while (left > 0) {
        const ssize_t sent = write(p->input, text, left);
        if (sent < 0 && errno == EINTR) continue;
        if (sent <= 0) return lose(p, "ended unexpectedly"), false;
        text += sent;
        left -= (size_t)sent;
    }
    return true;
}

/* What comes after the word, if the line begins with it. */
static const char *after(const char *line, const char *word) {
    const size_t length = strlen(word);
    if (strncmp(line, word, length) != 0 || (line[length] && line[length] != ' ')) return NULL;
    return line + length + (line[length] == ' ');
}

/* Reads an answer that should begin with `expected`; `*rest` is what follows, within `line`. */
static peer_answer read_answer(const peer_list *list, peer_process *p, const char *expected, char *line, const char **rest) {
    const char *reason;
    const peer_answer answer = read_line(list, p, line, PEER_LINE);
    if (answer) return answer;
    if ((*rest = after(line, expected))) return PEER_OK;
    const bool unsupported = (reason = after(line, "unsupported")) != NULL;
    if (!unsupported && !(reason = after(line, "error"))) return lose(p, "answered \"%.100s\"", line);
    snprintf(p->message, sizeof p->message, "%.250s", reason);
    return unsupported ? PEER_UNSUPPORTED : PEER_FAILED;
}

/* Threads of some libraries spin for long after their work, on the cores that the next one is timed on: held, they do not. */
static void hold(const peer_process *p, bool held) {
    if (p->process > 0) kill(-p->process, held ? SIGSTOP : SIGCONT);
}

static peer_answer ask(const peer_list *list, peer_process *p, const char *question, const char *expected, char *line, const char **rest) {
    if (p->state != PEER_READY) return PEER_FAILED;
    hold(p, false);
    const peer_answer answer = send_line(p, question) ? read_answer(list, p, expected, line, rest) : PEER_FAILED;
    hold(p, true);
    return answer;
}

/* ---- The questions ---- */

bool peer_start(const peer_list *list, peer_process *p) {
    char line[PEER_LINE];
    const char *version = "";
    if (p->state == PEER_LOST && launch(list, p)) {
        const peer_answer answer = read_answer(list, p, "ready", line, &version);
        if (answer == PEER_OK) {
            snprintf(p->version, sizeof p->version, "%.127s", version);
            p->state = PEER_READY;
            hold(p, true);
        } else if (p->process) {
            end(p);
            p->state = PEER_ABSENT;
        }
    }
    return p->state == PEER_READY;
}

peer_answer peer_prepare(const peer_list *list, peer_process *p, const char *directory) {
    char question[600], line[PEER_LINE];
    const char *rest;
    snprintf(question, sizeof question, "prepare %s\n", directory);
    return ask(list, p, question, "ok", line, &rest);
}

peer_answer peer_run(const peer_list *list, peer_process *p, long runs, double *seconds) {
    char question[40], line[PEER_LINE], *end_of_number;
    const char *rest = "";
    snprintf(question, sizeof question, "run %ld\n", runs);
    peer_answer answer = ask(list, p, question, "times", line, &rest);
    for (long i = 0; i < runs && answer == PEER_OK; i++, rest = end_of_number) {
        seconds[i] = strtod(rest, &end_of_number);
        if (end_of_number == rest || !(seconds[i] > 0)) answer = lose(p, "answered %ld times instead of %ld", i, runs);
    }
    return answer;
}

void peer_forget(const peer_list *list, peer_process *p) {
    char line[PEER_LINE];
    const char *rest;
    ask(list, p, "forget\n", "ok", line, &rest);
}

void peers_close(peer_list *list) {
    for (int i = 0; i < list->count; i++) end(&list->peers[i]);
    free(list->peers);
    *list = (peer_list){ .peers = NULL };
}
