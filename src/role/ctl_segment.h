/* `henge ctl segment dump|verify|stat`: looking into segment files without a server. */
#ifndef HG_ROLE_CTL_SEGMENT_H
#define HG_ROLE_CTL_SEGMENT_H

/* argv[0] is "segment". Returns the exit code: 0 fine, 1 a file is damaged or cannot be read, 2 the command is wrong. */
int hg_ctl_segment(int argc, char **argv);

#endif
