#ifndef SHUNT_CZLIB_SHIM_H
#define SHUNT_CZLIB_SHIM_H

#include <zlib.h>

#endif
