#ifndef SHUNT_HOST_MEMORY_H
#define SHUNT_HOST_MEMORY_H

#include <stddef.h>

/// A state's lua_Alloc.
void *state_allocate(void *context, void *block, size_t old_size, size_t size);

#endif
