#include "role/ctl.h"

#include <stdio.h>
#include <string.h>

#include "role/ctl_segment.h"

static void usage(FILE *out)
{
    fputs("usage: henge ctl COMMAND …\n\nCommands:\n"
          "  segment    looks into segment files: henge ctl segment dump|verify|stat FILE …\n"
          "\nhenge ctl COMMAND --help tells more.\n",
          out);
}

int hg_ctl_main(int argc, char **argv)
{
    const char *command = argc > 1 ? argv[1] : "";
    if (strcmp(command, "--help") == 0 || strcmp(command, "help") == 0) return usage(stdout), 0;
    if (strcmp(command, "segment") == 0) return hg_ctl_segment(argc - 1, argv + 1);
    if (*command) fprintf(stderr, "henge ctl: \"%s\" is no command\n\n", command);
    usage(stderr);
    return 2;
}
