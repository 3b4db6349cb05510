#ifndef SHUNT_CUV_SHIM_H
#define SHUNT_CUV_SHIM_H

#include <uv.h>

#endif
