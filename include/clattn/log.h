/* clattn/log.h - where clattn says what it does. The library never prints: without a callback the lines are lost. */
#ifndef CLATTN_LOG_H
#define CLATTN_LOG_H

#ifdef __cplusplus
extern "C" {
#endif

typedef enum clattn_log_level {
    CLATTN_LOG_WARNING, /* something is wrong, but the work goes on: a damaged cache entry was rebuilt */
    CLATTN_LOG_INFO,    /* decisions: which device was chosen, and why */
    CLATTN_LOG_DEBUG    /* each program built or loaded, with its time */
} clattn_log_level;

/* Called on the thread that made the clattn call. `message` is one line without a line end, valid during the call. */
typedef void (*clattn_log_fn)(void *user, clattn_log_level level, const char *message);

#ifdef __cplusplus
}
#endif
#endif
