#ifndef SHUNT_CLINUX_H
#define SHUNT_CLINUX_H

// Functions of Linux and the GNU C library that Swift's Glibc module leaves out.

/// Accepts a client of a listening socket, non-blocking and closed on exec; -1 and errno if there is none.
int linux_accept(int descriptor);

/// Has the kernel find out whether the machine at the other end of a silent TCP connection still answers.
/// - seconds: after so long without an answer the connection fails with ETIMEDOUT; 0: the system's own times.
void linux_keep_alive(int descriptor, unsigned seconds);

/// How the other end of a TCP connection acknowledges what it is sent.
typedef struct {
    /// Whether any written byte has not been acknowledged, or not been sent.
    _Bool waits;
    /// How many these are.
    int bytes;
    /// Retransmissions or probes in a row that had no answer.
    unsigned unanswered;
    /// Since the last acknowledgement.
    unsigned silent_milliseconds;
} linux_acknowledgements;

/// - Returns: 0, or -1 and errno.
int linux_read_acknowledgements(int descriptor, linux_acknowledgements *found);

/// Names the calling thread, for `top -H` and debuggers; at most 15 bytes.
void linux_name_thread(const char *name);

/// No core dump of this process is ever written, by whatever pattern the system has for them.
void linux_forbid_dump(void);

/// Has the allocator give blocks of 2 MiB and more back to the system when they are freed: tables that grow leave nothing behind. By
/// default it begins to keep blocks of a size once one of that size was freed.
void linux_return_large_blocks(void);

/// Returns freed heap to the system, and drops the pages of the program file's read-only segments from the resident set.
/// They stay in the page cache, and come back one by one where they are still used.
void linux_settle_memory(void);

/// Gives memory back to the system that was freed.
void linux_trim_memory(void);

/// Writes the bytes in standard output's buffer.
/// - Returns: 0, or why something printed since the start could not be written: a value of errno.
int linux_flush_output(void);

/// Forgets the bytes that could not be written until now.
void linux_forget_output_errors(void);

/// From here on the signal does nothing by itself, and waits to be read, however late that is.
/// - Returns: a descriptor that can be read when a signal waits, the same for all signals; or -1 and errno.
int linux_catch_signal(int number);

/// Takes the signal that has waited longest.
/// - Returns: its number; 0 where none waits.
int linux_caught_signal(void);

#endif
