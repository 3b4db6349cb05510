#ifndef SHUNT_CCRYPT_SHIM_H
#define SHUNT_CCRYPT_SHIM_H

#include <crypt.h>

#endif
