/* Drivers that end the process: found, hidden and reported, so that the tool goes on with the others. */
#ifndef CLATTN_CLI_GUARD_H
#define CLATTN_CLI_GUARD_H

#include <stdbool.h>
#include <stddef.h>

/* Called before the first use of OpenCL. The process becomes two: the one that returns from here goes on, and the one
 * that was there before waits for it and passes its exit code on. When a driver ends the process while devices are looked
 * for, that driver is hidden with a warning, and a new process goes on from here; later it is reported, with exit code 3. */
void guard_begin(const char *command);
/* The devices have been looked for. */
void guard_found_devices(void);
/* The tool ends by itself now. */
void guard_end(void);

/* `driver`: the .icd file or the library. `how`: "signal 11 (Segmentation fault)", "exit code 1". */
typedef void (*guard_fn)(void *user, const char *driver, const char *how);

/* Loads each OpenCL driver in a process of its own, tells of those that end it, and hides these from this process and
 * those that it makes, by OCL_ICD_VENDORS. False when that leaves no driver, or nothing was found to hide. */
bool guard_hide_drivers(guard_fn tell, void *user);
/* Removes what guard_hide_drivers has left on disk. */
void guard_clean(void);

/* How a process ended, for a message. */
void guard_how(int state, char *text, size_t size);

#endif
