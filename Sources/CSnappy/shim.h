#ifndef SHUNT_CSNAPPY_SHIM_H
#define SHUNT_CSNAPPY_SHIM_H

#include <snappy-c.h>

#endif
