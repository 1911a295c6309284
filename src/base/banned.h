/* Calls that have no place here, and what to use instead: strcpy, strcat, sprintf (snprintf, memcpy), gets, strtok (spans),
 * Force-included into every C file of ours by CMakeLists.txt. */
#ifndef HG_BASE_BANNED_H
#define HG_BASE_BANNED_H
#include <stdio.h>
#include <string.h>
#include <stdlib.h>
#pragma GCC poison strcpy strcat strncpy strncat sprintf vsprintf gets strtok
#endif
