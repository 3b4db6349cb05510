#ifndef SHUNT_CDASHBOARD_H
#define SHUNT_CDASHBOARD_H

#include <stddef.h>

// The files of the operators' page, as they stand in the folder page: the compiler puts them into the binary.

/// A file of the page.
typedef struct {
    /// Without the folder; NULL where there is no such file.
    const char *name;
    const unsigned char *bytes;
    size_t count;
} dashboard_file;

/// The file of that number, from 0 on; one without a name where there are no more.
dashboard_file dashboard_file_at(size_t number);

#endif
