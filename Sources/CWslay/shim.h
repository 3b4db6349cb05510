#ifndef SHUNT_CWSLAY_SHIM_H
#define SHUNT_CWSLAY_SHIM_H

#include <wslay/wslay.h>

#endif
