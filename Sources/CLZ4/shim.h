#ifndef SHUNT_CLZ4_SHIM_H
#define SHUNT_CLZ4_SHIM_H

#include <lz4frame.h>

#endif
