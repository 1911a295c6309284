/* Calls that have no place here; included by base/err.c's build flags through -include. */
#ifndef HG_BASE_BANNED_H
#define HG_BASE_BANNED_H
#include <stdio.h>
#include <string.h>
#include <stdlib.h>
#pragma GCC poison strcpy strcat strncpy strncat sprintf vsprintf gets strtok alloca
#endif
